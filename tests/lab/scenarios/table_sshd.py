"""sshd's configuration and its process on the destination (C)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_IDLE = "python3 -c \"import socket,time; c=[socket.create_connection(('$B',22)) for _ in range({})]; print(flush=True); time.sleep(300)\" >/tmp/held 2>/dev/null & while ! [ -s /tmp/held ]; do :; done"
_NEW_RSA = "rm -f $K $K.pub; ssh-keygen -q -t rsa -b 2048 -N '' -C nova@compute1 -f $S/id_rsa; chown nova:nova $S/id_rsa*"

AUTHENTICATION = (
    Fault("C01-pubkey-no", b="cfg 'PubkeyAuthentication no'", reason="pubkey_disabled", ci=True),
    Fault("C02-second-factor", b="cfg 'AuthenticationMethods publickey,password'", reason="permission_denied", ci=True),
    Fault("C03-accepts-rsa-only", b="cfg 'PubkeyAcceptedAlgorithms rsa-sha2-512,rsa-sha2-256'"),
    Fault("C04-allowusers-root", b="cfg 'AllowUsers root'", reason="user_not_allowed", ci=True),
    Fault("C05-allowusers-other-net", b="cfg 'AllowUsers nova@10.99.0.0/16'", reason="user_not_allowed"),
    Fault("C05b-allowusers-this-net", b="cfg 'AllowUsers nova@10.100.0.0/24'"),
    Fault("C05c-allowusers-not-source", b='cfg "AllowUsers nova@$B"', reason="user_not_allowed"),
    Fault("C06-allowusers-name", b="cfg 'AllowUsers nova@compute1'", reason="user_not_allowed"),
    Fault("C06b-allowusers-wildcard", b="cfg 'AllowUsers n?v*'"),
    Fault("C07-denyusers", b="cfg 'DenyUsers nova'", reason="user_not_allowed"),
    Fault("C07b-denyusers-source", b='cfg "DenyUsers nova@$A"', reason="user_not_allowed", ci=True),
    Fault("C08-allowgroups", b="groupadd ssh-users; cfg 'AllowGroups ssh-users'", reason="user_not_allowed"),
    Fault("C08b-allowgroups-secondary", b="groupadd ssh-users; usermod -aG ssh-users nova; cfg 'AllowGroups ssh-users'"),
    Fault("C09-denygroups", b="cfg 'DenyGroups nova'", reason="user_not_allowed"),
    Fault("C11-match-address-pubkey-no", b="cfg 'Match Address 10.100.0.0/24' 'PubkeyAuthentication no'", reason="pubkey_disabled"),
    Fault("C11b-match-source-only", b="cfg \"Match Address $A\" 'PubkeyAuthentication no'"),
    Fault("C13-keys-file-elsewhere-empty", b="cfg 'AuthorizedKeysFile /etc/ssh/keys/%u'"),
    Fault("C14-keys-file-elsewhere-filled", b="mkdir -p /etc/ssh/keys; cp $AK /etc/ssh/keys/nova; chown root:root /etc/ssh/keys/nova; chmod 644 /etc/ssh/keys/nova; cfg 'AuthorizedKeysFile /etc/ssh/keys/%u'"),
    Fault("C14b-keys-file-elsewhere-open-dir", b="mkdir -p /srv/k; cp -p $AK /srv/k/nova; chmod 777 /srv; cfg 'AuthorizedKeysFile /srv/k/%u'"),
    Fault("C15-keys-file-none", b="cfg 'AuthorizedKeysFile none'", reason="no_key_accepted", ci=True),
    Fault("C16-keys-command", b="cp $AK /etc/akeys; chmod 644 /etc/akeys; rm $AK; akc 'cat /etc/akeys'"),
    Fault("C16b-keys-command-and-file", b="akc 'exit 0'"),
    Fault("C17-keys-command-group-writable", b="cp $AK /etc/akeys; chmod 644 /etc/akeys; rm $AK; akc 'cat /etc/akeys'; chmod 775 /etc/akc"),
    Fault("C18-keys-command-exits-1", b="cp $AK /etc/akeys; chmod 644 /etc/akeys; rm $AK; akc 'cat /etc/akeys; exit 1'", reason="authorized_keys_elsewhere", ci=True),
    Fault("C19-maxauthtries-1", a="ssh-keygen -q -t rsa -b 2048 -N '' -f $S/id_rsa; chown nova:nova $S/id_rsa*", b="cfg 'MaxAuthTries 1'", reason="too_many_authentication_failures", ci=True),
    Fault("C25-revoked-key", b="cat $AK | sed 's/^restrict //' >/etc/ssh/rk; cfg 'RevokedKeys /etc/ssh/rk'"),
    Fault("C26-revoked-file-missing", b="cfg 'RevokedKeys /etc/ssh/none'"),
    Fault("C45-required-rsa-size", a=_NEW_RSA, b="cfg 'RequiredRSASize 4096'", by_hand_only=True),
    Fault("E67-sha1-only", a=_NEW_RSA, b="cfg 'PubkeyAcceptedAlgorithms ssh-rsa'", by_hand_only=True),
    Fault("E68-second-key-unusable", a="ssh-keygen -q -t rsa -b 2048 -N '' -f $S/id_rsa; chown nova $S/id_rsa*; chmod 644 $S/id_rsa"),
    Fault("C49-two-keys-needed", b="cfg 'AuthenticationMethods publickey,publickey'"),
    Fault("C49b-second-factor-is-pam-permit", b="cfg 'AuthenticationMethods publickey,keyboard-interactive:pam' 'KbdInteractiveAuthentication yes'; sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/sshd"),
    Fault("E57-drop-in-mode-000", b="cfg 'AllowUsers root'; chmod 000 /etc/ssh/sshd_config.d/00x.conf", reason="user_not_allowed"),
    Fault("E58-option-on-command-line", b="echo 'SSHD_OPTS=\"-o AllowUsers=root\"' >>/etc/default/ssh"),
    Fault("E59-other-config-file", b="cp /etc/ssh/sshd_config /etc/ssh/other; sed -i '1i AllowUsers root' /etc/ssh/other; echo 'SSHD_OPTS=\"-f /etc/ssh/other\"' >>/etc/default/ssh"),
)

SESSION = (
    Fault("C10-forcecommand-internal-sftp", b="cfg 'Match User nova' 'ForceCommand internal-sftp'", reason="sftp_only", ci=True),
    Fault("C10b-forcecommand-false", b="cfg 'Match User nova' 'ForceCommand /bin/false'", reason="forced_command", ci=True),
    Fault("C10c-forcecommand-passes", b="printf '#!/bin/sh\\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\\n' >/opt/w; chmod 755 /opt/w; cfg 'Match User nova' 'ForceCommand /opt/w'"),
    Fault("C10d-forcecommand-other-user", b="cfg 'Match User other' 'ForceCommand /bin/false'"),
    Fault("C12-chroot-home", b="cfg 'Match User nova' 'ChrootDirectory /var/lib/nova'"),
    Fault("C12b-chroot-empty", b="mkdir /srv/jail; cfg 'Match User nova' 'ChrootDirectory /srv/jail'"),
    Fault("C20-maxsessions-0", b="cfg 'MaxSessions 0'", reason="channel_refused", ci=True),
    Fault("C20b-permittty-no", b="cfg 'PermitTTY no' 'X11Forwarding no' 'AllowTcpForwarding no'"),
    Fault("C31-no-sftp-subsystem", b="sed -i '/^Subsystem/d' /etc/ssh/sshd_config", reason="sftp_missing", ci=True),
    Fault("C31b-no-sftp-subsystem-rsync", a="rsync_transport", b="rsync_transport; sed -i '/^Subsystem/d' /etc/ssh/sshd_config"),
    Fault("C32-sftp-wrong-path", b="sed -i 's#^Subsystem.*#Subsystem sftp /usr/libexec/openssh/sftp-server#' /etc/ssh/sshd_config", reason="sftp_broken"),
    Fault("C32b-sftp-read-only", b="sed -i 's#^Subsystem.*#& -R#' /etc/ssh/sshd_config"),
    Fault("C32c-sftp-denied-requests", b="sed -i 's#^Subsystem.*#& -P write#' /etc/ssh/sshd_config"),
    Fault("C32d-sftp-umask", b="sed -i 's#^Subsystem.*#& -u 077#' /etc/ssh/sshd_config"),
    Fault("C33-internal-sftp", b="sed -i 's#^Subsystem.*#Subsystem sftp internal-sftp#' /etc/ssh/sshd_config"),
    Fault("C34-banner", b="echo 'AUTHORIZED USE ONLY' >/etc/issue.net; cfg 'Banner /etc/issue.net'"),
    Fault("C34b-printmotd-printlastlog", b="echo motd >/etc/motd; cfg 'PrintMotd yes' 'PrintLastLog yes'"),
    Fault("C34c-acceptenv-permituserenvironment", b="cfg 'PermitUserEnvironment yes'; echo 'PATH=/nonexistent' >$S/environment"),
    Fault("C34d-setenv", b="cfg 'SetEnv PATH=/nonexistent'", reason="command_missing", ci=True),
    Fault("C34e-clientalive", b="cfg 'ClientAliveInterval 1' 'ClientAliveCountMax 1' 'RekeyLimit 64K'"),
    Fault("E64-wrapper-allows-true", b="printf '#!/bin/sh\\n[ \"$SSH_ORIGINAL_COMMAND\" = true ] && exit 0; exit 1\\n' >/opt/w; chmod 755 /opt/w; cfg 'Match User nova' 'ForceCommand /opt/w'"),
    Fault("E64b-wrapper-nova-lines", b=r"""printf '%s\n' '#!/bin/sh' 'case "$SSH_ORIGINAL_COMMAND" in touch*|"rm "*|mkdir*|/usr/lib/openssh/sftp-server*) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND";; esac' 'echo Forbidden >&2; exit 1' >/opt/w; chmod 755 /opt/w; cfg 'Match User nova' 'ForceCommand /opt/w'"""),
    Fault("E64c-wrapper-all-but-the-copy", b=r"""printf '%s\n' '#!/bin/sh' 'case "$SSH_ORIGINAL_COMMAND" in touch*|"rm "*|mkdir*) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND";; esac' 'echo Forbidden >&2; exit 1' >/opt/w; chmod 755 /opt/w; cfg 'Match User nova' 'ForceCommand /opt/w'""", ci=True),
    Fault("Z01-internal-sftp-nologin", b="sed -i 's#^Subsystem.*#Subsystem sftp internal-sftp#' /etc/ssh/sshd_config; usermod -s /usr/sbin/nologin nova", reason="shell_refuses_commands"),
    Fault("Z02-internal-sftp-noise", b="sed -i 's#^Subsystem.*#Subsystem sftp internal-sftp#' /etc/ssh/sshd_config; rc 'echo hi'"),
    Fault("Z10-keys-in-srv-777", b="mkdir -p /srv/k; cp -p $AK /srv/k/nova; chmod 777 /srv/k; cfg 'AuthorizedKeysFile /srv/k/%u'", reason="strict_modes"),
)

DAEMON = (
    Fault("C21-maxstartups-busy", b="cfg 'MaxStartups 1:100:1'", a_after=_IDLE.format(1), reason="peer_busy", ci=True),
    Fault("C22-logingracetime", b="akc 'sleep 6'; cfg 'LoginGraceTime 2' 'AuthorizedKeysCommand /etc/akc' 'AuthorizedKeysCommandUser nobody' 'AuthorizedKeysFile none'"),
    Fault("C23-port-2222", b="cfg 'Port 2222'", reason="connection_refused", ci=True),
    Fault("C23b-port-22-and-2222", b="cfg 'Port 22' 'Port 2222'"),
    Fault("C24-listen-loopback", b="cfg 'ListenAddress 127.0.0.1'", reason="connection_refused"),
    Fault("C24b-listen-own-address", b='cfg "ListenAddress $B"'),
    Fault("C27-only-ecdsa-served-only-ed25519-known", a='sed -i "/^$N /{/ssh-ed25519/!d}" $KH', b="cfg 'HostKey /etc/ssh/ssh_host_ecdsa_key'"),
    Fault("C28-kex-without-overlap", b="cfg 'KexAlgorithms diffie-hellman-group1-sha1'", reason="negotiation_failed"),
    Fault("C29-ciphers-without-overlap", b="cfg 'Ciphers 3des-cbc'", reason="negotiation_failed", ci=True),
    Fault("C30-host-key-sha1-only", b="cfg 'HostKeyAlgorithms ssh-rsa'", reason="host_key_algorithms", ci=True),
    Fault("C30b-macs-without-overlap", b="cfg 'MACs hmac-md5' 'Ciphers aes128-ctr'"),
    Fault("C35-config-broken-restarted", b="cfg 'NoSuchOption yes'", reason="connection_refused"),
    Fault("C36-config-changed-not-reloaded", b_after="cfg 'AllowUsers root'", reason="sshd_not_reloaded", ci=True),
    Fault("C36b-config-broken-not-reloaded", b_after="cfg 'NoSuchOption yes'", reason="sshd_unanswered", ci=True, accepted="false not ready: cannot tell, where nothing proves what the running sshd does"),
    Fault("C37-no-host-keys", b="rm /etc/ssh/ssh_host_*"),
    Fault("C38-host-key-mode-ignored", a='sed -i "/^$N /{/ssh-ed25519/!d}" $KH', b="chmod 644 /etc/ssh/ssh_host_ed25519_key"),
    Fault("C39-sshd-stopped", b_after="stop_sshd", reason="sshd_not_running", ci=True),
    Fault("C39b-sshd-not-installed", b_after="stop_sshd; rm /usr/sbin/sshd", reason="sshd_missing", ci=True),
    Fault("C39c-source-sshd-stopped", a_after="stop_sshd"),
    Fault("C42-run-sshd-missing", b="rmdir /run/sshd 2>/dev/null || true", b_after="rmdir /run/sshd; stop_sshd; /usr/sbin/sshd || true"),
    Fault("C43-run-sshd-removed-later", b_after="rmdir /run/sshd"),
    Fault("C47-persource-busy", b="cfg 'PerSourceMaxStartups 1'", a_after=_IDLE.format(1)),
    Fault("E60-tmp-000", b_after="chmod 000 /tmp"),
    Fault("E61-dev-pts-gone", b_after="umount /dev/pts"),
)

FAULTS = (*AUTHENTICATION, *SESSION, *DAEMON)
