# bash completion for agent(1)

_agent_resize() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} sub='' i
    # "--format=json" reaches us as three words.
    if [[ $word == '=' ]]; then
        word=''
    elif [[ $before == '=' ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        facts | explain | config | daemon | exporter) sub=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()
    case $before in
    --format)
        [[ $sub == explain ]] && COMPREPLY=($(compgen -W 'text json' -- "$word")) ||
            COMPREPLY=($(compgen -W 'text json prometheus' -- "$word"))
        return ;;
    --color) COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
    --only | --skip)
        COMPREPLY=($(compgen -W "$(agent --list-checks 2>/dev/null | cut -d' ' -f1)" -- "$word"))
        return ;;
    --peer)
        COMPREPLY=($(compgen -W "$(_agent_resize_peers)" -- "$word")); return ;;
    --config | --textfile | --web-config | --report) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --root) COMPREPLY=($(compgen -d -- "$word")); return ;;
    --timeout | --peer-timeout | --listen) return ;;
    --prune) [[ $word == -* ]] || return ;; # a number, or nothing
    esac
    local words
    case $sub in
    '')
        words='--help --version --fix --dry-run --diff --prune --only --skip --peer --no-probe --timeout --peer-timeout
            --strict --format --textfile --color --quiet --verbose --list-checks --config --root'
        [[ $word == -* ]] || words='facts explain config daemon exporter' ;;
    facts) words='--help --config --root' ;;
    explain)
        words='--help --format'
        [[ $word == -* ]] || COMPREPLY=($(compgen -f -- "$word")) ;;
    config)
        words='--help --config --root'
        [[ $word == -* ]] || words='show check' ;;
    daemon) words='--help --listen --web-config --textfile --config --root' ;;
    exporter) words='--help --listen --web-config --report' ;;
    esac
    COMPREPLY+=($(compgen -W "$words" -- "$word"))
}

_agent_resize_peers() {
    local file
    for file in /etc/resize-agent/peers.d/*.yaml; do
        file=${file##*/}
        [[ $file == '*.yaml' ]] || printf '%s\n' "${file%.yaml}"
    done
}

complete -o filenames -F _agent_resize agent
