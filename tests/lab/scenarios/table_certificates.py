"""Certificates of hosts and of users, and who signed them (CA)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

# What each host already knows of the other serves as the authority: B's ed25519 host key signs B's
# ecdsa one, and A's host key signs nova's key at A.
_HOST_CA = 'k=$(awk "/^$N / && \\$2 == \\"ssh-ed25519\\" {print \\$2, \\$3}" $KH); '
_ONLY_CA = _HOST_CA + 'sed -i "/^$N /d" $KH; echo "@cert-authority $N $k" >>$KH'
_SIGN_HOST = "ssh-keygen -q -s {ca} -h -I b {options} /etc/ssh/ssh_host_ecdsa_key.pub; cfg 'HostCertificate /etc/ssh/ssh_host_ecdsa_key-cert.pub'"
_SIGN_USER = "ssh-keygen -q -s /etc/ssh/ssh_host_ed25519_key -I nova {} $K.pub; chown nova:nova $S/*"
_USER_CA = 'awk \'/compute1/ && $2 == "ssh-ed25519" {print $2, $3}\' $KH >/etc/ssh/user_ca; sed -i "/$MA/d" $AK; '
_TRUST = _USER_CA + "cfg 'TrustedUserCAKeys /etc/ssh/user_ca'"
_FRESH_CA = "ssh-keygen -q -t ed25519 -N '' -f /tmp/ca; "


def _host(options: str, ca: str = "/etc/ssh/ssh_host_ed25519_key") -> str:
    return _SIGN_HOST.format(ca=ca, options=options)


HOSTS = (
    Fault("CA00-host-certificate", a=_ONLY_CA, b=_host("-n $B,compute2")),
    Fault("CA00b-host-certificate-any-name", a=_ONLY_CA, b=_host("")),
    Fault("CA01-host-certificate-name-only", a=_ONLY_CA, b=_host("-n compute2"), reason="host_key_unknown"),
    Fault("CA02-host-certificate-expired", a=_ONLY_CA, b=_host("-n $B -V 20200101:20200102"), reason="host_key_unknown", ci=True),
    Fault("CA03-host-certificate-expired-plain-right", a=_HOST_CA + 'echo "@cert-authority $N $k" >>$KH', b=_host("-n $B -V 20200101:20200102")),
    Fault("CA04-host-certificate-not-yet-valid", a=_ONLY_CA, b=_host("-n $B -V +52w:+104w"), reason="host_key_unknown"),
    Fault("CA05-host-certificate-of-another-ca-plain-right", a=_HOST_CA + 'echo "@cert-authority $N $k" >>$KH', b=_FRESH_CA + _host("-n $B", "/tmp/ca")),
    Fault("CA05b-host-certificate-of-another-ca", a=_ONLY_CA, b=_FRESH_CA + _host("-n $B", "/tmp/ca")),
    Fault("CA06-host-without-certificate", a=_ONLY_CA, reason="host_key_unknown"),
    Fault("CA07-host-ca-revoked", a=_ONLY_CA + '; echo "@revoked * $k" >>$KH', b=_host("-n $B"), reason="host_key_revoked"),
)

USERS = (
    Fault("CA00c-user-certificate", a=_SIGN_USER.format("-n nova"), b=_TRUST, ci=True),
    Fault("CA00d-user-certificate-rsync", a="rsync_transport; " + _SIGN_USER.format("-n nova"), b="rsync_transport; " + _TRUST),
    Fault("CA08b-user-certificate-expired", a=_SIGN_USER.format("-n nova -V 20200101:20200102"), b=_TRUST, reason="certificate_dates"),
    Fault("CA08c-user-certificate-not-yet-valid", a=_SIGN_USER.format("-n nova -V +52w:+104w"), b=_TRUST, reason="certificate_dates"),
    Fault("CA08d-user-certificate-expired-key-accepted", a=_SIGN_USER.format("-n nova -V 20200101:20200102")),
    Fault("CA09-user-certificate-other-principal", a=_SIGN_USER.format("-n other"), b=_TRUST),
    Fault("CA09b-user-certificate-no-principal", a=_SIGN_USER.format(""), b=_TRUST),
    Fault("CA10-user-ca-file-missing", a=_SIGN_USER.format("-n nova"), b=_USER_CA + "cfg 'TrustedUserCAKeys /etc/ssh/none'"),
    Fault("CA11-principals-file-missing", a=_SIGN_USER.format("-n nova"), b=_USER_CA + "cfg 'TrustedUserCAKeys /etc/ssh/user_ca' 'AuthorizedPrincipalsFile /etc/ssh/none'"),
    Fault("CA11b-principals-file-0666", a=_SIGN_USER.format("-n nova"), b=_USER_CA + "echo nova >/etc/ssh/names; chmod 666 /etc/ssh/names; cfg 'TrustedUserCAKeys /etc/ssh/user_ca' 'AuthorizedPrincipalsFile /etc/ssh/names'"),
    Fault("CA11c-principals-file", a=_SIGN_USER.format("-n migration"), b=_USER_CA + "echo migration >/etc/ssh/names; cfg 'TrustedUserCAKeys /etc/ssh/user_ca' 'AuthorizedPrincipalsFile /etc/ssh/names'"),
    Fault("CA12-user-certificate-serial-revoked", a=_SIGN_USER.format("-n nova -z 7"), b=_USER_CA + "echo 'serial: 7' >/tmp/s; ssh-keygen -q -k -f /etc/ssh/krl -s /etc/ssh/user_ca /tmp/s; cfg 'TrustedUserCAKeys /etc/ssh/user_ca' 'RevokedKeys /etc/ssh/krl'"),
    Fault("CA13-private-key-replaced-old-certificate", a=_SIGN_USER.format("-n nova") + "; ssh-keygen -q -t ed25519 -N '' -f /tmp/z; cat /tmp/z >$K; cat /tmp/z.pub >$K.pub", b=_TRUST),
    Fault("CA14-user-certificate-force-command", a=_SIGN_USER.format("-n nova -O force-command=/bin/false"), b=_TRUST),
    Fault("CA14b-user-certificate-source-address", a=_SIGN_USER.format("-n nova -O source-address=10.99.0.0/16"), b=_TRUST),
)

FAULTS = (*HOSTS, *USERS)
