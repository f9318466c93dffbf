"""Owners and modes that sshd's StrictModes looks at on the destination (P)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_OTHER = "usermod -aG nova other"

FAULTS = (
    Fault("P01-home-777", b="chmod 777 $H", reason="strict_modes"),
    Fault("P02-home-775", b="chmod 775 $H"),
    Fault("P03-home-775-shared-group", b=f"chmod 775 $H; {_OTHER}", reason="strict_modes", ci=True),
    Fault("P04-home-of-root", b="chown root:root $H"),
    Fault("P05-home-of-other", b="chown other $H", reason="strict_modes"),
    Fault("P06-home-000", b="chmod 000 $H"),
    Fault("P07-home-700", b="chmod 700 $H"),
    Fault("P07b-home-750", b="chmod 750 $H"),
    Fault("P07c-home-711", b="chmod 711 $H"),
    Fault("P08-var-lib-777", b="chmod 777 /var/lib"),
    Fault("P09-home-is-link", b="mv $H /srv/nova; ln -s /srv/nova $H"),
    Fault("P10-ssh-777", b="chmod 777 $S", reason="strict_modes"),
    Fault("P11-ssh-770", b="chmod 770 $S"),
    Fault("P11b-ssh-770-group-of-others", b="chgrp kvm $S; chmod 770 $S", reason="strict_modes"),
    Fault("P12-ssh-500", b="chmod 500 $S"),
    Fault("P13-ssh-of-root-755", b="chown -R root:root $S; chmod 755 $S; chmod 644 $AK"),
    Fault("P14-ssh-of-root-700", b="chown root:root $S; chmod 700 $S"),
    Fault("P15-ssh-of-other", b="chown other $S", reason="authorized_keys_unreadable", ci=True),
    Fault("P16-ssh-missing", b="rm -rf $S"),
    Fault("P17-ssh-links-to-tmp", b="cp -a $S /tmp/sshdir; rm -rf $S; ln -s /tmp/sshdir $S"),
    Fault("P18-ssh-links-to-srv", b="mv $S /srv/sshdir; ln -s /srv/sshdir $S; chown -h nova $S"),
    Fault("P19-ssh-000", b="chmod 000 $S"),
    Fault("P20-keys-666", b="chmod 666 $AK", reason="strict_modes"),
    Fault("P21-keys-664", b="chmod 664 $AK"),
    Fault("P22-keys-664-shared-group", b=f"chmod 664 $AK; {_OTHER}", reason="strict_modes"),
    Fault("P22b-keys-664-primary-group-shared", b="chmod 664 $AK; usermod -g nova other", reason="strict_modes"),
    Fault("P23-keys-of-root-600", b="chown root:root $AK; chmod 600 $AK", reason="authorized_keys_unreadable"),
    Fault("P23b-keys-of-root-640-group-nova", b="chown root:nova $AK; chmod 640 $AK"),
    Fault("P24-keys-of-root-644", b="chown root:root $AK; chmod 644 $AK"),
    Fault("P25-keys-of-other-644", b="chown other $AK; chmod 644 $AK", reason="strict_modes"),
    Fault("P26-keys-000", b="chmod 000 $AK", reason="authorized_keys_unreadable"),
    Fault("P26b-keys-400", b="chmod 400 $AK"),
    Fault("P26c-keys-200", b="chmod 200 $AK"),
    Fault("P27-keys-link-to-etc", b="mv $AK /etc/nova-keys; chown root:root /etc/nova-keys; chmod 644 /etc/nova-keys; ln -s /etc/nova-keys $AK"),
    Fault("P28-keys-link-to-tmp", b="mv $AK /tmp/nk; ln -s /tmp/nk $AK"),
    Fault("P29-keys-dangling-link", b="rm $AK; ln -s /nonexist $AK"),
    Fault("P30-keys-directory", b="rm $AK; mkdir $AK"),
    Fault("P31-keys-fifo", b="rm $AK; mkfifo $AK; chown nova $AK"),
    Fault("P31b-keys-dev-null", b="rm $AK; ln -s /dev/null $AK", reason="planted_link", ci=True),
    Fault("P32-keys-acl-write", b="setfacl -m u:other:rw $AK"),
    Fault("P33-keys-acl-read", b="setfacl -m u:other:r $AK"),
    Fault("P34-home-acl-write", b="setfacl -m u:other:rwx $H"),
    Fault("P35-keys-2-both-one-bad-mode", b="cp -p $AK ${AK}2; chmod 666 $AK"),
    Fault("P36-strictmodes-no", b="chmod 777 $H; chmod 666 $AK; cfg 'StrictModes no'"),
    Fault("P37-home-sticky-1777", b="chmod 1777 $H", reason="strict_modes"),
    Fault("P38-home-2755", b="chmod 2755 $H"),
    Fault("P39-ssh-000-keys-in-etc-too", b="mkdir -p /etc/ssh/keys; cp $AK /etc/ssh/keys/nova; chown root:root /etc/ssh/keys/nova; chmod 644 /etc/ssh/keys/nova; chmod 000 $S; cfg 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u'"),
    Fault("P39b-ssh-777-keys-in-etc-too", b="mkdir -p /etc/ssh/keys; cp $AK /etc/ssh/keys/nova; chown root:root /etc/ssh/keys/nova; chmod 644 /etc/ssh/keys/nova; chmod 777 $S; cfg 'AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u'"),
    Fault("E52-keys-sparse", b="truncate -s 4G $AK", by_hand_only=True),
)
