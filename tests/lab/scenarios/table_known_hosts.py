"""What the source knows of the destination's host keys (H)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_KEEP = 'sed -i "/^$N /{/%s/!d}" $KH'
# A wrong key of each type, for B's names.
_WRONG = "ssh-keygen -q -t %s -N '' -f /tmp/w; w=\"$N $(cut -d' ' -f1,2 /tmp/w.pub)\""
_FIRST = '; { echo "$w"; cat $KH; } >/tmp/k; cat /tmp/k >$KH'
_REKEY = "rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null"

FAULTS = (
    Fault("H01-missing", a="rm $KH", reason="host_key_unknown", side="here", ci=True),
    Fault("H02-empty", a=": >$KH", reason="host_key_unknown", side="here"),
    Fault("H03-peer-absent", a='sed -i "/^$N /d" $KH', reason="host_key_unknown", side="here"),
    Fault("H04-all-keys-of-peer-changed", b=_REKEY, reason="host_key_changed", side="inventory", ci=True),
    Fault("H04b-keys-changed-records-new", b=_REKEY, records=True, reason="host_key_changed", side="here", ci=True),
    Fault("H05-only-the-name", a='sed -i "s/^$N /compute2 /" $KH', reason="host_key_unknown"),
    Fault("H05b-only-the-address", a='sed -i "s/^$N /$B /" $KH', reason="host_key_name_unknown", ci=True),
    Fault("H06-hashed", a="ssh-keygen -q -H -f $KH; chown nova $KH"),
    Fault("H07-bracketed-22", a='sed -i "s/^$N /[$B]:22 /" $KH', reason="host_key_unknown"),
    Fault("H08-bracketed-2222", a='sed -i "s/^$N /[$B]:2222 /" $KH'),
    Fault("H09-wildcard", a='sed -i "s/^$N /10.100.* /" $KH', reason="wildcard_host_key", ci=True),
    Fault("H10-negated", a='sed -i "s/^$N /10.100.*,!$B /" $KH'),
    Fault("H11-list", a='sed -i "s/^$N /x,$B,y /" $KH'),
    Fault("H12-list-with-space", a='sed -i "s/^$N /compute2, $B /" $KH'),
    Fault("H13-crlf", a="sed -i 's/$/\\r/' $KH"),
    Fault("H14-only-ecdsa-known", a=_KEEP % "ecdsa"),
    Fault("H15-only-rsa-known", a=_KEEP % "ssh-rsa"),
    Fault("H16-only-rsa-known-and-gone", a=_KEEP % "ssh-rsa", b="rm /etc/ssh/ssh_host_rsa_key*"),
    Fault("H16b-rsa-gone-all-known", b="rm /etc/ssh/ssh_host_rsa_key*"),
    Fault("H16c-host-key-type-added", a=_KEEP % "ecdsa", b="cfg 'HostKey /etc/ssh/ssh_host_ecdsa_key' 'HostKey /etc/ssh/ssh_host_ed25519_key'"),
    Fault("H17-wrong-then-right-same-type", a=_WRONG % "ed25519" + _FIRST),
    Fault("H18-wrong-ed25519-right-others", a='sed -i "/^$N ssh-ed25519/d" $KH; ' + _WRONG % "ed25519" + _FIRST, reason="host_key_changed"),
    Fault("H18b-right-ed25519-wrong-rsa", a='sed -i "/^$N ssh-rsa/d" $KH; ' + _WRONG % "rsa" + _FIRST),
    Fault("H18c-right-rsa-wrong-ecdsa", a='sed -i "/^$N ssh-ed25519/d; /^$N ecdsa/d" $KH; ' + _WRONG % "ecdsa" + _FIRST),
    Fault("H19-revoked-all", a='sed -n "s/^$N /@revoked &/p" $KH >/tmp/k; cat /tmp/k >>$KH', reason="host_key_revoked", ci=True),
    Fault("H19b-revoked-ed25519-only", a='sed -n "s/^$N ssh-ed25519/@revoked * ssh-ed25519/p" $KH >/tmp/k; cat /tmp/k >>$KH'),
    Fault("H19c-revoked-somebody-else", a=_WRONG % "ed25519" + '; echo "@revoked * ${w#* }" >>$KH'),
    Fault("H20-0666", a="chmod 666 $KH"),
    Fault("H21-of-root-0600", a="chown root $KH; chmod 600 $KH", reason="known_hosts_unreadable"),
    Fault("H22-of-root-0644", a="chown root $KH; chmod 644 $KH"),
    Fault("H23-directory", a="rm $KH; mkdir $KH"),
    Fault("H24-truncated-lines", a='sed -i "/^$N /s/.\\{12\\}$//" $KH'),
    Fault("H25-binary-junk", a="{ head -c 300 /dev/urandom; echo; cat $KH; } >/tmp/k; cat /tmp/k >$KH"),
    Fault("H26-bom-only-entry", a="{ printf '\\357\\273\\277'; grep \"^$N \" $KH | head -1; } >/tmp/k; cat /tmp/k >$KH"),
    Fault("H27-global-only", a="mv $KH /etc/ssh/ssh_known_hosts; chown root /etc/ssh/ssh_known_hosts; chmod 644 /etc/ssh/ssh_known_hosts"),
    Fault("E13-global-2-only", a="mv $KH /etc/ssh/ssh_known_hosts2; chown root /etc/ssh/ssh_known_hosts2; chmod 644 /etc/ssh/ssh_known_hosts2"),
    Fault("E11-global-only-0600", a="mv $KH /etc/ssh/ssh_known_hosts; chown root /etc/ssh/ssh_known_hosts; chmod 600 /etc/ssh/ssh_known_hosts", reason="known_hosts_unreadable", ci=True),
    Fault("H27b-user-wrong-global-right", a="cp $KH /etc/ssh/ssh_known_hosts; chown root /etc/ssh/ssh_known_hosts; " + _WRONG % "ed25519" + '; echo "$w" >$S/known_hosts; chown nova $S/known_hosts'),
    Fault("H28-known_hosts2-only", a="mv $KH ${S}/known_hosts2; chown nova $S/known_hosts2"),
    Fault("H29-commented", a='sed -i "s/^$N /#&/" $KH'),
    Fault("H30-merged-lines", a="grep '^compute1\\|,compute1 ' $KH | head -1 | tr -d '\\n' >/tmp/a; grep \"^$N ssh-ed\" $KH >>/tmp/a; cat /tmp/a >$KH"),
    Fault("H31-nul-bytes-line", a="{ head -c 4096 /dev/zero; echo; cat $KH; } >/tmp/k; cat /tmp/k >$KH"),
    Fault("H31b-nul-bytes-glued", a='{ head -c 64 /dev/zero; grep "^$N ssh-ed" $KH; } >/tmp/k; cat /tmp/k >$KH'),
    Fault("H32-type-word-mismatch", a=_KEEP % "ssh-ed25519" + '; sed -i "s/^$N ssh-ed25519/$N ssh-rsa/" $KH'),
    Fault("H33-unknown-marker", a='{ echo "@foo $B ssh-ed25519 AAAA"; cat $KH; } >/tmp/k; cat /tmp/k >$KH'),
    Fault("H34-50000-entries", a="python3 -c \"import base64,os; b=lambda n: base64.b64encode(os.urandom(n)).decode(); p=b'\\0\\0\\0\\x0bssh-ed25519\\0\\0\\0 '; print('\\n'.join('|1|'+b(20)+'|'+b(20)+' ssh-ed25519 '+base64.b64encode(p+os.urandom(32)).decode() for _ in range(50000)))\" >/tmp/k; cat $KH >>/tmp/k; cat /tmp/k >$KH"),
    Fault("H35-dangling-link", a="rm $KH; ln -s /nonexist $KH"),
    Fault("H36-zero-padded", a='sed -i "s/^$N /010.100.000.032 /" $KH'),
    Fault("H37-upper-case-name", a='sed -i "s/^$N /COMPUTE2,$B /" $KH'),
    Fault("H38-cert-authority-with-keys", a=_WRONG % "ed25519" + '; echo "@cert-authority * ${w#* }" >>$KH'),
    Fault("H39-last-line-no-newline", a='grep -v "^$N " $KH >/tmp/k || true; grep "^$N ssh-ed" $KH | tr -d "\\n" >>/tmp/k; cat /tmp/k >$KH'),
    Fault("H40-key-with-trailing-words", a='sed -i "/^$N /s/$/ added by hand # 2024/" $KH'),
    Fault("H41-tabs-between", a="sed -i 's/ /\\t/g' $KH"),
    Fault("H42-ca-host-certificate-only", a='sed -i "/^$N /d" $KH; echo "@cert-authority * $(cat /etc/ssh/ssh_host_ed25519_key.pub)" >>$KH'),
    Fault("H43-own-file-outdated", a=": >/etc/ssh/ssh_known_hosts.nova", reason="known_hosts_outdated", ci=True),
    Fault("Z06-root-ran-keygen-R", a="ssh-keygen -R 10.100.0.99 -f $KH >/dev/null 2>&1 || true; chown root:root $KH"),
    Fault("Z07-changed-key-strict-no", a='sed -i "/^$N /d" $KH; ' + _WRONG % "ed25519" + "; echo \"$w\" >>$KH; client 'StrictHostKeyChecking no'", ci=True),
    Fault("H44-accept-new-other-file-wrong", a=_WRONG % "ed25519" + "; echo \"$w\" >/etc/nova/kh; chown nova /etc/nova/kh; rm $KH; client 'StrictHostKeyChecking accept-new' 'UserKnownHostsFile /etc/nova/kh'", reason="host_key_changed", side="here", ci=True),
    Fault("H44b-accept-new-file-by-name-wrong", a=_WRONG % "ed25519" + "; echo \"$w\" >$S/kh-$B; chown nova $S/kh-$B; rm $KH; client 'StrictHostKeyChecking accept-new' 'UserKnownHostsFile ~/.ssh/kh-%h'"),
    Fault("H44c-strict-file-by-name", a="mv $KH $S/kh-$B; chown nova $S/kh-$B; client 'StrictHostKeyChecking yes' 'UserKnownHostsFile ~/.ssh/kh-%h'", by_hand_only=True),
    Fault("N09-another-host-answers", b=_REKEY + "; rm $AK"),
)
