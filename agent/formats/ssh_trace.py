"""How far a connection came, as the `debug1:` lines of `ssh -v` tell it.

Remote programs write to the same stderr, in the middle of a line of ours if it suits them.  What
the client says before it has logged in can be relied on; nothing after it can.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from agent.formats.escape import visible

STAGES = ("resolve", "connect", "banner", "host_key", "auth", "shell")

# Far more than one attempt prints; the end holds the verdict and the beginning the way there.
_LONGEST = 256 * 1024
_LONGEST_LINE = 4096

_LOGGED_IN = re.compile(
    r"^(?:Authenticated to .* using \"|debug1: Authentication succeeded)", re.MULTILINE
)
_REACHED = {
    "resolve": re.compile(r"^debug1: Connecting to .* port ", re.MULTILINE),
    "connect": re.compile(r"^debug1: Connection established", re.MULTILINE),
    "banner": re.compile(r"^debug1: Remote protocol version ", re.MULTILINE),
    "host_key": re.compile(
        r"^debug1: (?:Host '.*' is known and matches|found matching key|SSH2_MSG_NEWKEYS sent"
        r"|Authentications that can continue)",
        re.MULTILINE,
    ),
}
_SENT = re.compile(r"^debug1: Sending (?:command|subsystem): ?", re.MULTILINE)
_EXIT = re.compile(r"^debug1: Exit status (-?\d+)", re.MULTILINE)
# The programs that Nova's lines start, speaking for themselves.
_TOOL_SPOKE = re.compile(
    r"(?:^|: )(?:(?:mkdir|touch|rm): |cannot (?:touch|create directory|remove) )", re.MULTILINE
)
_SPOKEN = re.compile(r"^debug1: (.*\S)", re.MULTILINE)
_MASTER = re.compile(r"^debug1: mux_client_request_session: master session id", re.MULTILINE)
_VERBOSE = re.compile(r"^(?:OpenSSH_|debug1: )", re.MULTILINE)
_HOST_KEY = re.compile(r"^debug1: Server host key: (\S+ \S+)", re.MULTILINE)
# The client's own line, wherever a remote text was interrupted by it.
_DEBUG = re.compile(r"(?:scp: |sftp: )?debug[123]: [^\n]*(?:\n|$)")
_CHATTER = re.compile(
    r"(?:OpenSSH_\d|Authenticated to |Transferred: sent |Bytes per second: |Executing: program "
    r"|Killed by signal 15\.|Warning: Permanently added )"
)


@dataclass(frozen=True)
class Trace:
    """One attempt's stderr, taken apart.

    `before` and `after` are the lines either side of the login, without the client's chatter;
    `since_key` those of `before` that follow the server's yes to a key, all of them where no yes
    is to be seen.  `forced`: the key used has a `command=`.  `last` is the client's last word.
    `verbose` is False for text without `-v`, where nothing can be told apart: `after` is then
    empty.
    """

    verbose: bool
    logged_in: bool
    shared: bool
    forced: bool
    key_accepted: bool
    last: str
    reached: tuple[str, ...]
    before: tuple[str, ...]
    since_key: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def next_stage(self) -> str:
        """The first stage that was not passed."""
        return next((stage for stage in STAGES if stage not in self.reached), "directory")


def trace(stderr: str) -> Trace:
    text = _bounded(stderr).replace("\r\n", "\n")
    shared = _MASTER.search(text) is not None
    login = _LOGGED_IN.search(text)
    before, after = (text[: login.start()], text[login.start() :]) if login else (text, "")
    if shared:
        before, after = "", text
    key = before.find("\ndebug1: Server accepts key: ")
    return Trace(
        verbose=_VERBOSE.search(text) is not None,
        logged_in=login is not None or shared,
        shared=shared,
        forced=any(_forces(line) for line in text.split("\n")),
        key_accepted=key >= 0,
        last=_last(text),
        reached=_stages(before, after, login is not None),
        before=_told(before),
        since_key=_told(before[max(key, 0) :]),
        after=_told(after),
    )


def reached(stderr: str) -> tuple[str, ...]:
    """The stages proved to be passed, in order; none of them through a live ControlMaster."""
    return trace(stderr).reached


def _stages(before: str, after: str, logged_in: bool) -> tuple[str, ...]:
    if logged_in:
        passed = len(STAGES) - (0 if _shell_ran(after) else 1)
        return STAGES[:passed]
    # A later stage proves the earlier ones, which a ProxyCommand does not print.
    seen = [index for index, stage in enumerate(_REACHED) if _REACHED[stage].search(before)]
    return STAGES[: max(seen) + 1] if seen else ()


def _shell_ran(after: str) -> bool:
    sent = _SENT.search(after)
    if sent is None:
        return False
    rest = after[sent.end() :]
    status = _EXIT.search(rest)
    spoke = _TOOL_SPOKE.search("\n".join(_told(rest)))
    return spoke is not None or (status is not None and status[1] == "0")


def _told(text: str) -> tuple[str, ...]:
    """What is left once the client's own chatter is taken out."""
    lines = (line.strip() for line in _DEBUG.sub("", text).split("\n"))
    return tuple(line for line in lines if line and not _CHATTER.match(line))


def _last(text: str) -> str:
    return next((m[1] for m in reversed(list(_SPOKEN.finditer(text)))), "")


def _forces(line: str) -> bool:
    """Whether sshd says that the authorized_keys line it used has a `command=`."""
    if not line.startswith("debug1: Remote: "):
        return False
    return "command" in line.partition("key options: ")[2].split()


def _bounded(text: str) -> str:
    half = _LONGEST // 2
    if len(text) > _LONGEST:
        text = text[:half] + "\n" + text[-half:]
    return "\n".join(line[:_LONGEST_LINE] for line in text.split("\n"))


def server_host_key(stderr: str) -> Optional[str]:
    """Type and fingerprint of the key that the server showed."""
    match = _HOST_KEY.search(stderr)
    return visible(match[1]) if match else None
