"""What a hostile nova does to its own home, one line each: script, run as nova in ~/.ssh, and what the agent must say.

`by_root` are the few that only root can set up (another user's file, chattr).  One of `reasons` must be found.
"""

from __future__ import annotations

from dataclasses import dataclass

SECRET = "canary-4f1d9c"
"""In files that only root can read; it must come out nowhere."""
VICTIM = "/etc/victim"
EVIL = "/var/lib/nova/evil"
RAN = "/tmp/ran-as"
"""The uids that something of nova's ran as."""


@dataclass(frozen=True)
class Trick:
    name: str
    script: str
    reasons: tuple[str, ...]
    by_root: bool = False
    runs: bool = False  # EVIL is meant to run, as nova
    ci: bool = False


LINK, ODD = ("planted_link",), ("authorized_keys_unreadable", "no_key_accepted", "planted_link")
KEY = ("identity_unreadable", "identity_broken", "no_identity", "planted_link", "identity_mode")
LIST = ("known_hosts_unreadable", "host_key_unknown", "planted_link", "malformed_line")
CONFIG = ("client_config_invalid", "client_hangs", "not_observed", "planted_link")
FIX = "rm -f {0}; ln -s {1} {0}"


def _link(name: str, target: str, *reasons: str, ci: bool = False) -> Trick:
    said = reasons or LINK
    return Trick(f"{name}->{target}", FIX.format(name, target), said, ci=ci)


def _instead(name: str, what: str, script: str, *reasons: str, ci: bool = False) -> Trick:
    return Trick(f"{name}={what}", f"rm -f {name}; {script.format(name)}", reasons, ci=ci)


SOCKET = 'python3 -c "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])" {}'  # stays when closed
DEEP = "python3 -c \"import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\""

TRICKS = (
    # links
    _link("authorized_keys", "/etc/shadow", *ODD, ci=True),
    _link("authorized_keys", f"{VICTIM}/open"),
    _link("authorized_keys", f"{VICTIM}/new"),
    _link("authorized_keys", "/root/.ssh/authorized_keys", *ODD),
    _link("authorized_keys", "/proc/self/environ", *ODD),
    _link("authorized_keys", "/proc/1/mem", *ODD),
    _link("authorized_keys", "/proc/kmsg", *ODD),
    _link("authorized_keys", "/dev/zero", *ODD),
    _link("authorized_keys", "authorized_keys", *ODD, "not_observed"),
    _link("known_hosts", "/etc/shadow", *LIST),
    _link("known_hosts", f"{VICTIM}/open", *LIST),
    _link("known_hosts", f"{VICTIM}/new", *LIST),
    _link("known_hosts", "/root/.bashrc", *LIST),
    _link("id_ed25519", "/root/.ssh/id_ed25519", *KEY, ci=True),
    _link("id_ed25519", "/etc/ssh/ssh_host_ed25519_key", *KEY),
    _link("id_ed25519", "/etc/shadow", *KEY),
    _link("id_ed25519.pub", f"{VICTIM}/open"),
    _link("id_ed25519.pub", f"{VICTIM}/new"),
    _link("config", f"{VICTIM}/closed", *CONFIG, ""),
    Trick(".ssh->/root/.ssh", "cd; mv .ssh away; ln -s /root/.ssh .ssh", (*ODD, *KEY), ci=True),
    Trick(".ssh->/etc/victim", f"cd; mv .ssh away; ln -s {VICTIM} .ssh", (*ODD, *KEY)),
    Trick(".ssh->/proc/self", "cd; mv .ssh away; ln -s /proc/self .ssh", (*ODD, *KEY)),
    Trick(".ssh->nowhere", "cd; mv .ssh away; ln -s /etc/new .ssh", (*ODD, *KEY)),
    # hard links, as where fs.protected_hardlinks is off
    Trick("authorized_keys=hard-link", f"ln -f {VICTIM}/open authorized_keys", ODD, by_root=True),
    Trick("known_hosts=hard-link", f"ln -f {VICTIM}/open known_hosts", LIST, by_root=True, ci=True),
    Trick(
        "id_ed25519.pub=hard-link",
        f"ln -f {VICTIM}/open id_ed25519.pub",
        ("identity_mismatch", ""),
        by_root=True,
    ),
    # no files at all
    _instead("authorized_keys", "fifo", "mkfifo {}", *ODD, ci=True),
    _instead("known_hosts", "fifo", "mkfifo {}", *LIST),
    _instead("id_ed25519", "fifo", "mkfifo {}", "identity_blocks"),
    _instead("id_ed25519.pub", "fifo", "mkfifo {}", "identity_blocks"),
    _instead("id_rsa.pub", "fifo", "mkfifo {}", "identity_blocks"),
    _instead("config", "fifo", "mkfifo {}", *CONFIG),
    _instead("authorized_keys", "socket", SOCKET, *ODD),
    _instead("known_hosts", "socket", SOCKET, *LIST),
    _instead("id_ed25519", "socket", SOCKET, *KEY),
    _instead("authorized_keys", "directory", "mkdir {}", *ODD),
    _instead("known_hosts", "directory", "mkdir {}", *LIST),
    _instead("id_ed25519", "directory", "mkdir {}", *KEY),
    Trick(".ssh=file", "cd; mv .ssh away; echo x >.ssh", (*ODD, *KEY)),
    Trick(".ssh=fifo", "cd; mv .ssh away; mkfifo .ssh", (*ODD, *KEY)),
    # huge, sparse, deep.  ssh and sshd read a line into memory: not more than we mean to spend.  What is larger than we read
    # is not known: sshd might accept a key behind all that, so "cannot tell" is the word
    _instead("authorized_keys", "sparse", "truncate -s 32M {}", "not_observed"),
    _instead("known_hosts", "sparse", "truncate -s 32M {}", *LIST),
    _instead("authorized_keys", "1M-lines", "yes '#' | head -c 4M >{}", *ODD),
    _instead("known_hosts", "long-line", "head -c 4M /dev/zero | tr '\\0' x >{}", *LIST),
    Trick("deep-home", DEEP, ()),
    Trick("deep-resize", "mkdir ../instances/x_resize; cd ../instances/x_resize; " + DEEP, ()),
    # not to be read, not to be changed
    Trick(".ssh=closed", "chmod 0 .", (*ODD, *KEY, *LIST)),
    Trick("authorized_keys=closed", "chmod 0 authorized_keys", ODD),
    Trick("id_ed25519=closed", "chmod 0 id_ed25519", KEY),
    Trick("known_hosts=closed", "chmod 0 known_hosts", LIST),
    Trick("home=writable", "chmod 777 ..", ("strict_modes",)),
    Trick("key=readable-by-others", "chmod 644 id_ed25519", ("identity_mode", ""), ci=True),
    Trick("list=immutable", ": >authorized_keys; chattr +i authorized_keys", ODD, by_root=True),
    Trick("directory=immutable", ": >authorized_keys; chattr +i .", ODD, by_root=True),
    Trick("list=acl", "setfacl -m u:daemon:rw authorized_keys", ("strict_modes", "")),
    # ssh's own configuration
    Trick(
        "match-exec", f"echo 'Match exec {EVIL}' >config", ("client_config_invalid", ""), runs=True, ci=True
    ),
    Trick("match-exec-hangs", "echo 'Match exec \"sleep 1000\"' >config", CONFIG),
    Trick("proxy-command", f"echo 'ProxyCommand {EVIL}' >config", (), runs=True),
    Trick(
        "local-command",
        f"printf 'PermitLocalCommand yes\\nLocalCommand {EVIL}\\n' >config",
        (),
        runs=True,
    ),
    Trick("known-hosts-command", f"echo 'KnownHostsCommand {EVIL}' >config", (), runs=True),
    Trick("include-shadow", "echo 'Include /etc/shadow' >config", ()),
    Trick("identity-of-root", "echo 'IdentityFile /root/.ssh/id_ed25519' >config", ()),
    Trick("user-known-hosts-of-root", "echo 'UserKnownHostsFile /root/.bashrc' >config", ()),
    # the shell that peers, and we ourselves, log in to
    Trick("rc-runs", f"echo '{EVIL} >/dev/null' >~/.bashrc", (), runs=True, ci=True),
    Trick("ssh-rc", f"echo '{EVIL} >/dev/null' >rc", ()),  # not even as nova: our lines say `restrict`
    Trick("rc-daemon", "echo 'setsid sleep 1000 >/dev/null 2>&1 </dev/null &' >~/.bashrc", ()),
    Trick("rc-holds-output", "echo 'setsid sleep 1000 &' >~/.bashrc", ("too_slow", "shell_noise", "")),
    Trick("rc-noise", "printf 'printf \"\\\\033]0;\\\\007\\\\033[2J%s\" x\\n' >~/.bashrc", ("shell_noise", "copy_failed")),
    Trick("rc-flood", "echo 'yes | head -c 100M' >~/.bashrc", ("shell_noise", "copy_failed", "too_slow")),
    # what root's programs would read if it stood in nova's home
    Trick("python-modules", f"cd; mkdir agent; for m in yaml psutil agent/__init__ agent/__main__ sitecustomize; do printf 'import os; os.system(\"{EVIL}\")\\n' >$m.py; done", ()),
    Trick("probe-links", "ln -s /etc ../instances/7e512ea9-0000-0000-0000-000000000000; mkdir ../instances/7e512ea9-0000-0000-0000-000000000001; ln -s /etc/victim/open ../instances/7e512ea9-0000-0000-0000-000000000001/disk; touch -d '2 days ago' ../instances/7e512ea9-0000-0000-0000-000000000001", ()),
)  # fmt: skip
