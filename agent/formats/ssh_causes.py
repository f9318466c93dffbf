"""Which words of ssh, scp, rsync and the far side mean which cause.

In every table the first rule that matches counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Words that settle the cause.  An empty `stage` is the one after the last that was passed."""

    reason: str
    stage: str
    words: re.Pattern[str]


def rule(reason: str, stage: str, words: str) -> Rule:
    return Rule(reason, stage, re.compile(words))


# Before the login.
LOCAL = (
    rule("no_user_for_uid", "resolve", r"No user exists for uid"),
    rule(
        "client_config_invalid",
        "resolve",
        r"Bad configuration option|Bad owner or permissions on|terminating, \d+ bad configuration"
        r"|^/\S*config\S* line \d+: |Cannot execute command-line and remote command"
        r"|^bind .*: Cannot assign requested address",
    ),
    rule("rsync_without_ssh", "resolve", r"Failed to exec "),
    rule(
        "tool_missing",
        "resolve",
        r"^(?:/usr/bin/|/bin/)?ssh: No such file|ssh: command not found",
    ),
    rule("name_unresolvable", "resolve", r"Could not resolve hostname"),
    rule("connection_refused", "connect", r"connect to (?:host|address) .*: Connection refused"),
    rule(
        "no_route",
        "connect",
        r"connect to (?:host|address) .*: (?:No route to host|Network is unreachable"
        r"|Host is (?:down|unreachable)|Permission denied|Operation not permitted)",
    ),
    rule(
        "connect_timeout",
        "connect",
        r"connect to (?:host|address) .*: (?:Connection|Operation) timed out",
    ),
    rule("client_config_invalid", "host_key", r"^KnownHostsCommand"),
    rule(
        "host_key_algorithms",
        "host_key",
        r"Unable to negotiate .*: no matching host key type|: Invalid key length",
    ),
    rule("negotiation_failed", "host_key", r"Unable to negotiate .*: no matching "),
    rule("too_many_authentication_failures", "auth", r"Too many authentication failures"),
    rule("account_expired", "auth", r"Your account has expired"),
)
# ssh ends every refusal of a host key with this line; the reason stands above it.
UNTRUSTED = re.compile(r"Host key verification failed")
WHY_UNTRUSTED = (
    rule("host_key_revoked", "host_key", r"REVOKED HOST KEY|host key for .* was revoked"),
    rule(
        "host_key_changed",
        "host_key",
        r"^Offending .* key in |has changed and you have requested strict",
    ),
    rule("host_key_changed", "host_key", r"REMOTE HOST IDENTIFICATION HAS CHANGED"),
    rule(
        "known_hosts_unreadable", "host_key", r"hostkeys_foreach failed for .*: Permission denied"
    ),
    rule(
        "host_key_unknown",
        "host_key",
        r"hostkeys_foreach failed for|Certificate invalid|host key is known for",
    ),
)
# Words beside "Permission denied" that say more than it does.
DENIED = re.compile(r"(?:^|: )Permission denied \([a-z]")
IDENTITY = (
    rule(
        "identity_mode", "auth", r"^Load key .*: bad permissions|^Permissions \d+ for .* too open"
    ),
    rule("identity_mismatch", "auth", r"contents do not match public"),
    rule("identity_unreadable", "auth", r"^Load key .*: Permission denied"),
    rule("identity_broken", "auth", r"^Load key .*: (?!No such file)"),
)
CLOSED = re.compile(
    r"^(?:Connection (?:closed|reset) by |kex_exchange_identification: |banner exchange: "
    r"|ssh_exchange_identification: |ssh_dispatch_run_fatal: |Received disconnect from "
    r"|Disconnected from )"
)
SLOW = re.compile(
    r"^Connection to .* timed out|^Connection timed out during banner|^Timeout, server .* not "
    r"|^ssh_dispatch_run_fatal: .*timed out"
)
# What sshd says in place of a banner when it has no room; anything else is not sshd.
FOREIGN_BANNER = re.compile(
    r"^debug1: kex_exchange_identification: banner line \d+: (.*)", re.MULTILINE
)
SSHD_HAS_NO_ROOM = re.compile(r"Not allowed at this time|Exceeded Max")

# The client's own first words to the server, sent once it has read nova's keys.
GREETING = "debug1: Local version string"

# After the login.  A stage "copy" is one that scp and rsync alone reach.
SESSION = (
    rule(
        "password_expired",
        "shell",
        r"Password change required but no TTY|required to change your password",
    ),
    rule("account_expired", "shell", r"Your account has expired"),
    rule("sftp_only", "shell", r"This service allows sftp connections only"),
    rule("sftp_missing", "copy", r"^subsystem request failed on channel"),
    rule(
        "channel_refused", "shell", r"channel \d+: open failed|^(?:exec|shell) request failed on ch"
    ),
    rule(
        "shell_refuses_commands",
        "shell",
        r"This account is currently not available|: Exec format error$",
    ),
    rule("client_config_invalid", "shell", r"^unix_listener: "),
    rule("login_closed", "shell", r"^client_loop: send disconnect|^Connection .*closed by remote"),
    rule("rsync_missing_on_peer", "copy", r"\brsync: (?:command )?not found|\(code 127\)"),
    rule("shell_noise", "copy", r"is your shell clean|protocol error: mtime|: unexpected filename"),
)
ON_PEER = (
    rule("read_only", "", r"Read-only file system"),
    rule("no_space", "", r"No space left on device|[Qq]uota exceeded|File too large"),
    rule("no_space", "copy", r"^scp: (?:write remote|dest open|close remote) .*: Failure$"),
    rule(
        "directory_denied",
        "directory",
        r"(?:cannot|can't) (?:create directory|touch|remove) .*: (?:Permission denied|Operation not permitted)",
    ),
    rule(
        "directory_denied",
        "copy",
        r"^scp: (?:dest open|remote open|remote mkdir) .*: Permission denied"
        r"|^rsync: .*failed: Permission denied \(13\)|^scp: [^ ]*: Permission denied$",
    ),
    rule("command_missing", "", r"\b(?:mkdir|touch|rm|scp): (?:command )?not found"),
    rule("forced_command", "shell", r"^Forbidden$"),
)
TOO_LONG = re.compile(r"Received message too long (\d{1,10})$")
# rsync and scp repeat in their own words that ssh has gone: it adds nothing.
AFTERMATH = re.compile(
    r"^(?:scp: Connection closed$|lost connection$|rsync: connection unexpectedly closed"
    r"|rsync error: |Permission denied, please try again\.$|[@ ]+$|@ .* @$)"
)
