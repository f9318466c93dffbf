"""The instances directory, on the destination (I) and on the source (J)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_FILLED = "mount -t tmpfs -o size=64k,mode=755 t $I; chown nova:nova $I; dd if=/dev/zero of=$I/fill bs=4k 2>/dev/null || true"
_NO_INODES = "mount -t tmpfs -o nr_inodes=3,mode=755 t $I; chown nova:nova $I; touch $I/1 $I/2 2>/dev/null || true"

DESTINATION = (
    Fault("I01-missing", b="rm -rf $I"),
    Fault("I01b-missing-home-of-root", b="rm -rf $I; chown root:root $H", reason="instances_missing", ci=True),
    Fault("I02-of-root", b="chown root:root $I", reason="instances_not_writable", ci=True),
    Fault("I02b-of-root-rsync", a="rsync_transport", b="rsync_transport; chown root:root $I"),
    Fault("I03-mode-000", b="chmod 000 $I", reason="instances_not_writable"),
    Fault("I03b-mode-555", b="chmod 555 $I", reason="instances_not_writable"),
    Fault("I04-read-only", b="mount -t tmpfs -o ro,mode=777 t $I", reason="read_only", ci=True),
    Fault("I05-disk-full", b=_FILLED, reason="no_space", ci=True),
    Fault("I05b-disk-full-rsync", a="rsync_transport", b=f"rsync_transport; {_FILLED}", reason="no_space"),
    Fault("I05c-100k-left", b="mount -t tmpfs -o size=100k,mode=755 t $I; chown nova:nova $I"),
    Fault("I05d-2m-left", b="mount -t tmpfs -o size=2m,mode=755 t $I; chown nova:nova $I", reason="little_room", ci=True),
    Fault("I06-no-inodes", b=_NO_INODES, reason="no_inodes", ci=True),
    Fault("I06b-no-inodes-rsync", a="rsync_transport", b=f"rsync_transport; {_NO_INODES}"),
    Fault("I06c-two-inodes", b="mount -t tmpfs -o nr_inodes=2,mode=755 t $I; chown nova:nova $I", accepted="class differs: two dials at once take the one inode from each other"),
    Fault("I07-dangling-link", b="rm -rf $I; ln -s /mnt/none $I"),
    Fault("I08-link-to-directory", b="mv $I /srv/inst; ln -s /srv/inst $I"),
    Fault("I09-regular-file", b="rm -rf $I; touch $I; chown nova $I", reason="instances_not_directory", ci=True),
    Fault("I10-immutable", b="mount -t tmpfs -o mode=755 t $I; chown nova:nova $I; chattr +i $I", reason="instances_not_writable"),
    Fault("I11-group-writable-of-root", b="chown root:nova $I; chmod 775 $I"),
    Fault("I11b-world-writable-of-root", b="chown root:root $I; chmod 777 $I"),
    Fault("I11c-sticky-world-writable", b="chown root:root $I; chmod 1777 $I"),
    Fault("I12-var-lib-700", b="chmod 700 /var/lib", ci=True),
    Fault("I13-of-other-group-nova", b="chown other:nova $I; chmod 775 $I"),
    Fault("I13b-acl-for-nova", b="chown root:root $I; setfacl -m u:nova:rwx $I"),
    Fault("I13c-acl-denies-nova", b="chown root:nova $I; chmod 775 $I; setfacl -m u:nova:r-x $I", reason="directory_denied", ci=True),
    Fault("I14-instances-700", b="chmod 700 $I", reason="qemu_no_way", ci=True),
    Fault("I14b-home-750", b="chmod 750 $H", reason="qemu_no_way"),
    Fault("I14c-instances-750-qemu-in-group", b="chmod 750 $I; usermod -aG nova libvirt-qemu"),
    Fault("I14d-instances-700-acl-for-qemu", b="chmod 700 $I; setfacl -m u:libvirt-qemu:x $I"),
    Fault("I14e-instances-711", b="chmod 711 $I"),
    Fault("I14f-default-acl-closes", b="setfacl -d -m u::rwx,g::-,o::- $I"),
    Fault("I14g-setgid-instances", b="chmod 2755 $I"),
    Fault("I14h-default-acl-lets-qemu-in", b="setfacl -d -m u::rwx,g::rx,o::-,u:libvirt-qemu:rx,m::rx $I; rc 'umask 077'"),
    Fault("I14i-default-acl-keeps-qemu-out", b="setfacl -d -m u::rwx,g::rx,o::rx,u:libvirt-qemu:- $I", reason="umask_too_strict", side="here"),
    Fault("I14j-setgid-of-qemu-umask-027", b="chgrp libvirt-qemu $I; chmod 2755 $I; rc 'umask 027'"),
    Fault("I14k-setgid-of-others-umask-027", b="usermod -aG nova libvirt-qemu; chgrp mail $I; chmod 2755 $I; rc 'umask 027'", reason="umask_too_strict", side="here"),
    Fault("I14l-umask-027-qemu-in-group", b="usermod -aG nova libvirt-qemu; rc 'umask 027'"),
    Fault("I15-locks-of-root", b="mkdir $I/locks; chmod 755 $I/locks", reason="cache_not_writable", side="here", unseen="E-dest", ci=True),
    Fault("I15b-base-images-of-root", b="mkdir -p $I/_base; chown root:root $I/_base; chmod 755 $I/_base", reason="cache_not_writable", side="here", unseen="E-dest"),
    Fault("I17-noexec-nosuid-mount", b="mount -t tmpfs -o noexec,nosuid,nodev,mode=755 t $I; chown nova:nova $I"),
    Fault("I18-own-file-system-in-fstab", b="mount -t tmpfs -o mode=755 t $I; chown nova:nova $I; echo 't /var/lib/nova/instances tmpfs defaults 0 0' >>/etc/fstab"),
    Fault("I18r-own-file-system-records-new", b="mount -t tmpfs -o mode=755 t $I; chown nova:nova $I", records=True),
    Fault("I19-fstab-not-mounted", b="echo 'nfs:/i /var/lib/nova/instances nfs defaults 0 0' >>/etc/fstab", reason="share_not_mounted", unseen="S", ci=True),
    Fault("I19b-fstab-noauto", b="echo 'nfs:/i /var/lib/nova/instances nfs noauto 0 0' >>/etc/fstab"),
    Fault("I19c-mount-unit-not-mounted", b="printf '[Mount]\\nWhat=nfs:/i\\nWhere=/var/lib/nova/instances\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/var-lib-nova-instances.mount; mkdir -p /etc/systemd/system/multi-user.target.wants; ln -s ../var-lib-nova-instances.mount /etc/systemd/system/multi-user.target.wants/", reason="share_not_mounted", unseen="S"),
    Fault("I19d-fstab-parent-not-mounted", b="echo 'UUID=0-0 /var/lib/nova ext4 defaults 0 0' >>/etc/fstab", reason="share_not_mounted", unseen="S"),
    Fault("I19e-fstab-commented", b="echo '#nfs:/i /var/lib/nova/instances nfs defaults 0 0' >>/etc/fstab"),
    Fault("I19g-daemon-saw-a-share", b="mkdir -p /var/lib/resize-agent; echo 'nfs:/i /var/lib/nova/instances nfs defaults 0 0' >/var/lib/resize-agent/mounted", reason="share_not_mounted", unseen="S"),
    Fault("I19f-fstab-and-of-root", b="chown root:root $I; echo 'nfs:/i /var/lib/nova/instances nfs defaults 0 0' >>/etc/fstab", reason="share_not_mounted"),
    Fault("I20-path-below-is-file-system", b="mount -t tmpfs -o mode=755 t /srv; mkdir /srv/i; chown nova:nova /srv/i; rm -rf $I; ln -s /srv/i $I"),
    Fault("E24-unmounted-unknown", b="mkdir -p /mnt/real"),
    Fault("I21-leftover-probe", b="mkdir $I/7e512ea9-0000-4000-8000-000000000000; chown nova:nova $I/7*"),
    Fault("I22-many-entries", b="cd $I; for i in $(seq 2000); do mkdir d$i; done; chown -R nova $I"),
)

SOURCE = (
    Fault("J01-source-of-root", a="chown root:root $I"),
    Fault("J02-source-555", a="chmod 555 $I"),
    Fault("J04-source-missing", a="rm -rf $I"),
    Fault("J05-source-700", a="chmod 700 $I"),
    Fault("J07-source-stale-resize", a="mkdir $I/11111111-2222-3333-4444-555555555555_resize; chown nova $I/*_resize", reason="stale_resize", ci=True),
    Fault("J08-source-undeletable-resize", a="mkdir -p $I/11111111-2222-3333-4444-555555555555_resize/d; touch $I/11111111-2222-3333-4444-555555555555_resize/d/disk", reason="undeletable_resize", unseen="S", ci=True),
    Fault("J09-source-not-directory", a="rm -rf $I; touch $I; chown nova $I"),
    Fault("J10-source-home-of-root-700", a="chown root:root $H; chmod 700 $H"),
    Fault("J11-source-link", a="mv $I /srv/inst; ln -s /srv/inst $I"),
    Fault("J12-source-sticky", a="chown root:root $I; chmod 1777 $I"),
    Fault("J13-source-tmp-full-rsync", a="rsync_transport", b="rsync_transport", a_after="mount -t tmpfs -o nr_inodes=1,mode=1777 t /tmp"),
    Fault("J14-source-tmp-closed", a_after="chmod 000 /tmp"),
    Fault("J15-source-tmp-closed-rsync", a="rsync_transport", b="rsync_transport", a_after="chmod 755 /tmp"),
    Fault("J16-source-tmp-full", a_after="mount -t tmpfs -o size=4k,mode=1777 t /tmp"),
)

FAULTS = (*DESTINATION, *SOURCE)
