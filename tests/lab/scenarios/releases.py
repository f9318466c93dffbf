"""The rows that are also run on other releases of Debian: `python3 -m tests.lab.scenarios --builds --suite trixie`.

Those whose truth differs between OpenSSH 8.4, 9.2 and 10.0 or between Nova 22, 26 and 31, and a
choice across the table: as said there, Nova and the agent of that release are asked, not this list.
"""

from __future__ import annotations

from dataclasses import replace

from tests.lab.scenarios.fault import Fault

# scp asks for the SFTP server since 9.0; before, it started `scp -t` with the login shell.
COPY = (
    "D06-shell-rbash D06b-shell-rbash-rsync D20-ssh-rc-stdout D20b-ssh-rc-stdout-rsync"
    " D22-ssh-rc-hangs C31-no-sftp-subsystem C31b-no-sftp-subsystem-rsync C32-sftp-wrong-path"
    " C32b-sftp-read-only C32c-sftp-denied-requests C33-internal-sftp Z01-internal-sftp-nologin"
    " Z02-internal-sftp-noise T03-no-scp-at-destination T04-no-sftp-server"
    " E63-sftp-server-not-executable D14-bashrc-stdout K18d-command-internal-sftp"
    " E64b-wrapper-nova-lines"
)
# Signatures, the order of host key types, options that came (RequiredRSASize: 9.1, SetEnv ...) or
# were renamed (PubkeyAcceptedAlgorithms: 8.5), penalties for refused logins (9.8).
ALGORITHMS = (
    "C30-host-key-sha1-only H18-wrong-ed25519-right-others H18c-right-rsa-wrong-ecdsa"
    " H14-only-ecdsa-known H15-only-rsa-known C45-required-rsa-size E67-sha1-only"
    " C03-accepts-rsa-only X15-client-rsa-only S36-dsa-only Z08-knownhostscommand-false"
    " X26-forkafterauthentication X28-sessiontype-none X32-updatehostkeys-yes"
    " C21-maxstartups-busy C47-persource-busy S25-unaccepted-keys-first C19-maxauthtries-1"
)
# Debian's own patches: group-writable is accepted where the group holds only its user; tcp_wrappers.
PATCHES = (
    "P02-home-775 P03-home-775-shared-group P11-ssh-770 P21-keys-664 P32-keys-acl-write"
    " P34-home-acl-write C17-keys-command-group-writable X02-config-0664 D46-hosts-deny"
)
# migration_inbound_addr came with Nova 29; the shared-storage question was asked otherwise in 22.
NOVA = (
    "V19-migration_inbound_addr-ignored-in-26 V03-my_ip-loopback-on-destination V11b-rsync-both"
    " V10-instances_path-differs-on-destination V10d-instances_path-trailing-slash"
    " V10e-instances_path-state_path-form V13-conf-syntax-source V15-host-differs"
)
ACROSS = (
    "OK-baseline I02-of-root I05-disk-full I14-instances-700 J08-source-undeletable-resize"
    " D01-shell-nologin D08-shell-true D17-bashrc-sleeps D24-uid-changed D26-locked-pam"
    " D27-locked-no-pam D33-password-must-change D36-etc-nologin E28-umask-077-bashrc"
    " S01-no-private-key S07-passphrase S13-pub-of-another-key CA08-user-certificate-only-expired"
    " X07b-port-8022-both X10-strict-no-dev-null X16b-controlmaster-auto T06-no-ssh-at-source"
    " C01-pubkey-no C07b-denyusers-source C10b-forcecommand-false"
    " C14b-keys-file-elsewhere-open-dir C35-config-broken-restarted C37-no-host-keys"
    " C39-sshd-stopped C42-run-sshd-missing N01-dropped N10-not-ssh N12-sshd-stopped-by-signal"
    " N20-ipv6-baseline N22-ipv6-unknown-host H03-peer-absent H04-all-keys-of-peer-changed"
    " H19-revoked-all H27-global-only H42-ca-host-certificate-only P01-home-777 P20-keys-666"
    " P27-keys-link-to-etc K03-peer-key-absent K11-from-other K16-command-true"
    " K18b-command-runs-original N09-another-host-answers"
)
CHOSEN = frozenset(" ".join((COPY, ALGORITHMS, PATCHES, NOVA, ACROSS)).split())

# scp and ssh of OpenSSH 8.4 do not stumble over these, so there is nothing that it could name.
NO_FAULT_ON = {
    "bullseye": frozenset(
        "C30-host-key-sha1-only C31-no-sftp-subsystem C32-sftp-wrong-path T04-no-sftp-server"
        " E63-sftp-server-not-executable H18-wrong-ed25519-right-others".split()
    )
}


# 10.0 cannot even make a DSA key, and an sshd of 8.4 that meets PerSourceMaxStartups does not start.
NOT_ON = {
    "trixie": frozenset(["S36-dsa-only"]),
    "bullseye": frozenset(["C47-persource-busy"]),
}
# Where that release's Nova reads migration_inbound_addr, the row is as V17 of the table.
ACCEPTED_ON = {
    "trixie": {
        "V19-migration_inbound_addr-ignored-in-26": "class differs: whoever has the address gets the disk, here nobody has"
    }
}


def chosen(suite: str) -> frozenset[str]:
    """Names of the rows."""
    return CHOSEN - NOT_ON.get(suite, frozenset())


def on(suite: str, fault: Fault) -> Fault:
    """The row as it is for that release: the table's reasons are those of the usual one."""
    if fault.name in NO_FAULT_ON.get(suite, frozenset()):
        return replace(fault, reason="", side="")
    accepted = ACCEPTED_ON.get(suite, {}).get(fault.name, fault.accepted)
    return replace(fault, accepted=accepted)
