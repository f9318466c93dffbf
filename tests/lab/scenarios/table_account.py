"""Accounts, shells, start-up files, PAM and limits on the destination."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_UNSAFE = "usermod -p '*' nova; cfg 'UsePAM no'"

SHELLS = (
    Fault("D01-shell-nologin", b="usermod -s /usr/sbin/nologin nova", reason="shell_refuses_commands", side="peer", ci=True),
    Fault("D01b-shell-nologin-rsync", a="rsync_transport", b="rsync_transport; usermod -s /usr/sbin/nologin nova", reason="shell_refuses_commands"),
    Fault("D02-shell-false", b="usermod -s /bin/false nova", reason="shell_refuses_commands"),
    Fault("D03-shell-missing", b="usermod -s /bin/nosuch nova", reason="shell_missing", ci=True),
    Fault("D04-shell-not-executable", b="cp /bin/bash /opt/sh; chmod 644 /opt/sh; usermod -s /opt/sh nova", reason="shell_not_executable"),
    Fault("D05-shell-not-in-etc-shells", b="cp /bin/bash /opt/mysh; usermod -s /opt/mysh nova"),
    Fault("D06-shell-rbash", b="usermod -s /bin/rbash nova"),
    Fault("D06b-shell-rbash-rsync", a="rsync_transport", b="rsync_transport; usermod -s /bin/rbash nova"),
    Fault("D07-shell-empty", b="sed -i '/^nova:/s#:[^:]*$#:#' /etc/passwd"),
    Fault("D08-shell-true", b="usermod -s /bin/true nova", reason="shell_refuses_commands"),
    Fault("D09-shell-with-cr", b="sed -i '/^nova:/s#$#\\r#' /etc/passwd", reason="shell_missing"),
    Fault("D10-shell-is-directory", b="usermod -s /opt nova", reason="shell_not_executable", ci=True),
    Fault("D11-shell-bad-elf", b="printf '\\177ELFgarbage' >/opt/bad; chmod 755 /opt/bad; usermod -s /opt/bad nova"),
    Fault("D12-shell-sh", b="usermod -s /bin/sh nova"),
    Fault("D12b-shell-link-to-nologin", b="ln -s /usr/sbin/nologin /opt/shell; usermod -s /opt/shell nova"),
    Fault("D12c-shell-git-shell-like-script", b="printf '#!/bin/sh\\necho no; exit 1\\n' >/opt/s; chmod 755 /opt/s; usermod -s /opt/s nova"),
    Fault("D12d-shell-python", b="usermod -s /usr/bin/python3 nova"),
    Fault("D12e-shell-tilde-spaces", b="mkdir '/opt/a b'; cp /bin/bash '/opt/a b/sh'; sed -i '/^nova:/s#:[^:]*$#:/opt/a b/sh#' /etc/passwd"),
    Fault("D12f-shell-directory-closed", b="mkdir -m 700 /opt/p; cp /bin/bash /opt/p/sh; usermod -s /opt/p/sh nova"),
    Fault("E05-passwd-line-twice", b="sed -i '1i nova:x:64060:64060::/var/lib/nova:/usr/sbin/nologin' /etc/passwd"),
    Fault("E06-etc-shells-missing", b="rm -f /etc/shells"),
)

START_UP = (
    Fault("D14-bashrc-stdout", b="usermod -s /bin/bash nova; rc 'echo Welcome to compute'", reason="shell_noise", ci=True),
    Fault("D14b-bashrc-stdout-rsync", a="rsync_transport", b="rsync_transport; rc 'echo Welcome to compute'", reason="shell_noise"),
    Fault("D14c-bashrc-one-letter", b="rc 'printf T'", reason="shell_noise"),
    Fault("D14d-bashrc-nul", b=r"rc 'printf \\000'"),
    Fault("D14e-bashrc-newline", b="rc echo"),
    Fault("D15-bashrc-stderr", b="rc 'echo Welcome >&2'"),
    Fault("D15b-bashrc-stderr-rsync", a="rsync_transport", b="rsync_transport; rc 'echo Welcome >&2'"),
    Fault("D15c-profile-noise-not-read", b="echo 'echo hello' >$H/.profile; cp $H/.profile $H/.bash_profile"),
    Fault("D16-bashrc-exit-1", b="rc 'exit 1'"),
    Fault("D16b-bashrc-exit-0", b="rc 'exit 0'", ci=True),
    Fault("D16c-bashrc-returns-unless-interactive", b="rc 'case $- in *i*) ;; *) return;; esac' 'echo hello'"),
    Fault("D17-bashrc-sleeps", b="rc 'sleep 60'", reason="too_slow"),
    Fault("D17b-bashrc-sleeps-2", b="rc 'sleep 2'"),
    Fault("D17c-bashrc-background-job", b="rc 'sleep 60 &'"),
    Fault("D18-bashrc-stty", b="rc 'stty erase ^H'"),
    Fault("D19-bashrc-clears-path", b="rc 'export PATH=/nonexistent'"),
    Fault("D19b-bashrc-exec-sh", b="rc 'exec /bin/cat'", reason="copy_failed", ci=True),
    Fault("D20-ssh-rc-stdout", b="echo 'echo rc-noise' >$S/rc; chown nova $S/rc"),
    Fault("D20b-ssh-rc-stdout-rsync", a="rsync_transport", b="rsync_transport; echo 'echo rc-noise' >$S/rc; chown nova $S/rc", ci=True),
    Fault("D21-sshrc-exit-1", b="echo 'exit 1' >/etc/ssh/sshrc"),
    Fault("D22-ssh-rc-hangs", b="echo 'sleep 60' >$S/rc; chown nova $S/rc"),
    Fault("E28-umask-077-bashrc", b="rc 'umask 077'", reason="umask_too_strict", ci=True),
    Fault("E28b-umask-077-pam", b="sed -i 's/pam_umask.so/& umask=0077/' /etc/pam.d/common-session; grep -q umask=0077 /etc/pam.d/common-session || echo 'session optional pam_umask.so umask=0077' >>/etc/pam.d/common-session"),
    Fault("E28c-umask-027", b="rc 'umask 027'"),
    Fault("E28d-umask-077-rsync", a="rsync_transport", b="rsync_transport; rc 'umask 077'"),
    Fault("E28e-umask-002", b="rc 'umask 002'"),
    Fault("E28f-umask-077-login-defs", b="sed -i 's/^UMASK.*/UMASK 077/' /etc/login.defs; echo 'session optional pam_umask.so' >>/etc/pam.d/common-session"),
    Fault("E41-bash.bashrc-noise", b="sed -i '1i echo system-noise' /etc/bash.bashrc", reason="shell_noise"),
    Fault("E42-environment-path", b="echo 'PATH=/nonexistent' >/etc/environment"),
)

ACCOUNT = (
    Fault("D23-no-account", b="sed -i '/^nova:/d' /etc/passwd /etc/shadow", reason="no_nova_user", ci=True),
    Fault("D24-uid-changed", b="sed -i 's/^nova:x:64060:/nova:x:162:/' /etc/passwd"),
    Fault("D25-gid-changed", b="groupadd -g 162 nova2; usermod -g 162 nova"),
    Fault("D26-locked-pam", b="usermod -p '!' nova; cfg 'UsePAM yes'"),
    Fault("D27-locked-no-pam", b="usermod -p '!' nova; cfg 'UsePAM no'", reason="account_locked", ci=True),
    Fault("D28-locked-twice-no-pam", b="sed -i 's/^nova:[^:]*:/nova:!!:/' /etc/shadow; cfg 'UsePAM no'", reason="account_locked"),
    Fault("D29-star-no-pam", b=_UNSAFE),
    Fault("D30-empty-password-no-pam", b="usermod -p '' nova; cfg 'UsePAM no'"),
    Fault("D30b-usermod-L-no-pam", b="usermod -p '!$6$abc$def' nova; cfg 'UsePAM no'", reason="account_locked"),
    Fault("D31-expired", b="chage -E 1 nova", reason="account_expired", ci=True),
    Fault("D31b-expires-today", b="chage -E $(date -d tomorrow +%F) nova"),
    Fault("D32-expired-no-pam", b=f"chage -E 1 nova; {_UNSAFE}"),
    Fault("D33-password-must-change", b="chage -d 0 nova", reason="password_expired", ci=True),
    Fault("D33b-password-must-change-rsync", a="rsync_transport", b="rsync_transport; chage -d 0 nova"),
    Fault("D34-must-change-no-pam", b=f"chage -d 0 nova; {_UNSAFE}"),
    Fault("D35-aged-and-inactive", b="chage -d 2000-01-01 -M 30 -I 1 nova"),
    Fault("D35b-aged", b="chage -d 2000-01-01 -M 30 nova", reason="password_expired"),
    Fault("D35c-expiry-warning", b="chage -d $(date +%F) -M 5 -W 7 nova"),
    Fault("E53-no-shadow-line", b="sed -i '/^nova:/d' /etc/shadow"),
    Fault("D47-home-missing", b="rm -rf $H", reason="home_missing"),
    Fault("D48-home-elsewhere", b="usermod -d /home/nova nova"),
    Fault("D48b-home-moved-with-keys", b="mkdir -p /srv/home; cp -a $S /srv/home/; chown nova:nova /srv/home; usermod -d /srv/home nova"),
)

PAM = (
    Fault("D36-etc-nologin", b="echo 'maintenance window' >/etc/nologin", reason="nologin_file"),
    Fault("D37-run-nologin", b="echo 'System is booting up' >/run/nologin", reason="nologin_file"),
    Fault("D37b-empty-nologin", b=": >/etc/nologin", reason="nologin_file", ci=True),
    Fault("D38-nologin-no-pam", b=f"echo maint >/etc/nologin; {_UNSAFE}", reason="nologin_file"),
    Fault("D39-pam-access", b="echo 'account required pam_access.so' >>/etc/pam.d/sshd; echo '-:nova:ALL' >>/etc/security/access.conf", reason="login_closed"),
    Fault("D40-pam-session-missing", b="echo 'session required pam_nosuch.so' >>/etc/pam.d/sshd"),
    Fault("D41-maxlogins-0", b="echo 'nova hard maxlogins 0' >>/etc/security/limits.conf"),
    Fault("D42-nproc-0", b="echo 'nova hard nproc 0' >>/etc/security/limits.conf"),
    Fault("D43-nofile-3", b="printf 'nova hard nofile 3\\nnova soft nofile 3\\n' >>/etc/security/limits.conf"),
    Fault("D44-fsize-0", b="echo 'nova - fsize 0' >>/etc/security/limits.conf"),
    Fault("D44b-fsize-100k", b="echo 'nova - fsize 100' >>/etc/security/limits.conf"),
    Fault("E45-as-tiny", b="echo 'nova hard as 2000' >>/etc/security/limits.conf"),
    Fault("E45b-as-tiny-rsync", a="rsync_transport", b="rsync_transport; echo 'nova hard as 2000' >>/etc/security/limits.conf"),
    Fault("D45-dev-null-600", b_after="chmod 600 /dev/null"),
    Fault("D46-hosts-deny", b="echo 'sshd: ALL' >/etc/hosts.deny"),
    Fault("D46b-hosts-deny-source", b='echo "sshd: $A" >/etc/hosts.deny'),
    Fault("D49-pam-sshd-missing", b="rm /etc/pam.d/sshd; rm -f /etc/pam.d/other"),
    Fault("E09-pam-hangs", b="echo 'session optional pam_exec.so /bin/sleep 40' >>/etc/pam.d/sshd"),
    Fault("E09b-pam-deny-auth", b="sed -i '1i account required pam_deny.so' /etc/pam.d/sshd", reason="login_closed", ci=True),
    Fault("E09c-pam-prints", b="echo 'session optional pam_exec.so stdout /bin/echo hello' >>/etc/pam.d/sshd"),
    Fault("E09d-pam-time", b="echo 'account required pam_time.so' >>/etc/pam.d/sshd; echo 'sshd;*;nova;!Al0000-2400' >>/etc/security/time.conf"),
)

FAULTS = (*SHELLS, *START_UP, *ACCOUNT, *PAM)
