"""Ways a host drifts that the table has no row for, and why: beside it on the page of results."""

from __future__ import annotations

_ONE_GUEST = "of one guest only, whose name no check can know; every other guest moves"
_CHANCE = "chance decides, and differently each time: no two moves have one truth"
_LATER = "Nova meets it after the driver's function has returned, where the judge cannot look"

LEFT_OUT: dict[str, str] = {
    "zsh that prints from .zshenv": "no zsh in the hosts' tree; the rows with bash's start-up files are the same to scp",
    "30 idle connections at MaxStartups 10:30:100": f"{_CHANCE}; C21 and C47 are the certain case",
    "100 logins at once": f"{_CHANCE}; test_thirty_hosts.py counts what 29 peers do",
    "penalties after refused logins or key scans (OpenSSH 9.8)": "they last as long as the clock says; the dial's word for them is peer_busy",
    "the guest's directory is there: a file, root's, or with a root's disk inside": _ONE_GUEST,
    "the guest's disk at the source cannot be read by nova": _ONE_GUEST,
    "a ForceCommand or command= for single peers that changes the umask": "the agent says ready and Nova ends in ERROR at the destination: only those peers have that login",
    "umask 077 by a ForceCommand for all, a PAM jump or passwd's comment field, where the host's own key is not accepted": "the same: nova's shell is started without sshd there, and these are not in it",
    "no sudo for privsep": _LATER,
    "a base image that is gone from Glance": _LATER,
    "SELinux labels": "no SELinux in a namespace",
    "an MTU that loses large packets": "hangs until TCP gives up, as N12-sshd-stopped-by-signal does",
    "storage of the network that hangs": "no such server in a namespace; test_shared_storage.py has the shared directory itself",
}
