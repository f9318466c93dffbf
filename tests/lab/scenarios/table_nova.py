"""Nova's own configuration: the silent faults among them."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_ANYBODY = "class differs: the address is anybody's, so the worst is said"
_STALE = "the records are not of today"
_LINK = "false not ready: two names of one directory are not seen through"
_MOVE = "mkdir -p /srv/i; chown nova:nova /srv/i; nova_option instances_path /srv/i"
_UMLAUT = "mkdir /srv/\u00efnst; chown nova /srv/\u00efnst; nova_option instances_path /srv/\u00efnst"
_DUPLICATE = 'nova_option my_ip "$A"'

FAULTS = (
    Fault("V01-same-my_ip-on-destination", b=_DUPLICATE, reason="my_ip_not_here", ci=True),
    Fault("V02-packaged-my_ip-on-both", a="nova_option my_ip 192.0.2.10", b="nova_option my_ip 192.0.2.10", reason="my_ip_not_here"),
    Fault("V03-my_ip-loopback-on-destination", b="nova_option my_ip 127.0.0.1", reason="address_loopback", accepted=_ANYBODY),
    Fault("V03b-my_ip-loopback-on-both", a="nova_option my_ip 127.0.0.1", b="nova_option my_ip 127.0.0.1", reason="address_loopback", ci=True),
    Fault("V04-my_ip-nobody", b="nova_option my_ip 10.100.0.99", accepted=_ANYBODY),
    Fault("V02r-packaged-my_ip-on-both-records-new", a="nova_option my_ip 192.0.2.10", b="nova_option my_ip 192.0.2.10", records=True),
    Fault("V01r-same-my_ip-records-new", b=_DUPLICATE, records=True),
    Fault("V03r-my_ip-loopback-records-new", b="nova_option my_ip 127.0.0.1", records=True, accepted=_ANYBODY),
    Fault("V04r-my_ip-nobody-records-new", b="nova_option my_ip 10.100.0.99", records=True),
    Fault("V05-my_ip-unparsable", b="nova_option my_ip not-an-address", reason="name_unresolvable", ci=True),
    Fault("V05b-my_ip-unparsable-source", a="nova_option my_ip not-an-address"),
    Fault("V06-records-name-one-address", a='sed -i "s/^address: .*/address: $A/" /etc/resize-agent/peers.d/compute2.yaml', b=_DUPLICATE),
    Fault("V07-my_ip-of-source-changed", a="nova_option my_ip $B", reason="duplicate_address", ci=True),
    Fault("V10-instances_path-differs-on-destination", b=_MOVE),
    Fault("V10b-instances_path-differs-on-source", a=_MOVE, accepted=f"class differs: {_STALE}"),
    Fault("V10c-instances_path-same-elsewhere", a=_MOVE, b=_MOVE, accepted=f"false not ready: {_STALE}"),
    Fault("V10d-instances_path-trailing-slash", b="nova_option instances_path /var/lib/nova/instances/"),
    Fault("V10e-instances_path-state_path-form", b="nova_option instances_path '$state_path/instances'"),
    Fault("V10f-state_path-differs", b="mkdir -p /srv/n/instances; chown -R nova:nova /srv/n; nova_option state_path /srv/n"),
    Fault("V10g-instances_path-link-to-the-other", b="ln -s /var/lib/nova/instances /srv/i; nova_option instances_path /srv/i", accepted=_LINK),
    Fault("V10h-instances_path-missing-on-both", a="nova_option instances_path /srv/none/i", b="nova_option instances_path /srv/none/i", accepted=f"class differs: {_STALE}"),
    Fault("V10i-instances_path-relative", b="nova_option instances_path instances"),
    Fault("V10r-instances_path-differs-records-new", b=_MOVE, records=True, reason="instances_path_differs", side="inventory", ci=True),
    Fault("V10rb-instances_path-differs-on-source-records-new", a=_MOVE, records=True, reason="instances_path_differs", accepted="class differs: nova may not make that path at B; where it may, the disk is lost"),
    Fault("V10rc-instances_path-same-elsewhere-records-new", a=_MOVE, b=_MOVE, records=True, ci=True),
    Fault("V10rg-link-to-the-other-records-new", b="ln -s /var/lib/nova/instances /srv/i; nova_option instances_path /srv/i", records=True, accepted=_LINK),
    Fault("V10s-instances_path-with-umlaut", a=_UMLAUT, b=_UMLAUT, records=True),
    Fault("V11-transport-differs", b="rsync_transport"),
    Fault("V11b-rsync-both", a="rsync_transport", b="rsync_transport", ci=True),
    Fault("V11c-transport-invalid", a="sed -i 's/^\\[libvirt\\]$/&\\nremote_filesystem_transport = tar/' $CONF", ci=True),
    Fault("V12-conf-missing-source", a="rm $CONF", reason="nova_conf_unreadable"),
    Fault("V12b-conf-missing-destination", b="rm $CONF", reason="not_observed", ci=True),
    Fault("V13-conf-syntax-source", a="echo 'no option here' >>$CONF", reason="nova_conf_unreadable"),
    Fault("V13b-conf-syntax-destination", b="echo 'no option here' >>$CONF", reason="nova_conf_unreadable", ci=True),
    Fault("V14-conf-of-root-0600-source", a="chown root:root $CONF; chmod 600 $CONF"),
    Fault("V14b-conf-of-root-0600-destination", b="chown root:root $CONF; chmod 600 $CONF"),
    Fault("V15-host-differs", b="nova_option host compute2.example.org"),
    Fault("V15b-host-of-source-renamed", a="nova_option host other-name"),
    Fault("V16-option-given-twice", b='sed -i "s/^my_ip.*/my_ip = 10.9.9.9\\n&/" $CONF'),
    Fault("V17-my_ip-in-nova-compute.conf", b="printf '[DEFAULT]\\nmy_ip = 10.9.9.9\\n' >>/etc/nova/nova-compute.conf", accepted=_ANYBODY),
    Fault("V18-image_cache-differs", b="printf '[image_cache]\\nsubdirectory_name = other\\n' >>$CONF", reason="image_cache_differs", unseen="E-dest", ci=True),
    Fault("V19-migration_inbound_addr-ignored-in-26", b="printf '[libvirt]\\nmigration_inbound_addr = 10.9.9.9\\n' >>$CONF"),
    Fault("V20-my_ip-quoted", b="nova_option my_ip \"'$B'\""),
    Fault("V21-comment-after-value", b='nova_option my_ip "$B # ours"', reason="nova_option_invalid", side="here", ci=True),
    Fault("V21b-comment-after-value-source", a='nova_option my_ip "$A # ours"'),
    Fault("V21c-my_ip-empty", b="nova_option my_ip ''"),
    Fault("V21d-my_ip-with-user", b='nova_option my_ip "nova@$B"', accepted="false not ready: that Nova takes what is no address is not relied on"),
    Fault("V21e-my_ip-as-url", b='nova_option my_ip "ssh://$B"', reason="address_unknown", ci=True),
    Fault("V21f-my_ip-is-an-option", b="nova_option my_ip -v"),
    Fault("V21g-my_ip-two-addresses", b='nova_option my_ip "$B,10.9.9.9"'),
    Fault("R02-no-records-at-destination", b="rm /etc/resize-agent/peers.d/*", reason="no_peers", ci=True),
    Fault("R03-record-broken-at-destination", b="echo '{' >/etc/resize-agent/peers.d/compute1.yaml", reason="record_invalid", ci=True),
    Fault("R04-record-newer", b="sed -i 's/^schema: .*/schema: 9/' /etc/resize-agent/peers.d/compute1.yaml", reason="record_newer", ci=True),
    Fault("R05-record-claimed-twice", b="sed 's/^name: .*/name: compute9/' /etc/resize-agent/peers.d/compute1.yaml >/etc/resize-agent/peers.d/compute9.yaml", reason="record_conflict", ci=True),
    Fault("R06-own-record-stale", b="sed -i 's/^  transport: .*/  transport: rsync/; s/transport: ssh/transport: rsync/' /etc/resize-agent/peers.d/compute2.yaml", reason="record_stale", ci=True),
    Fault("R07-tombstone-of-source", b="printf 'schema: 1\\nname: compute1\\nstate: absent\\n' >/etc/resize-agent/peers.d/compute1.yaml", reason="withdrawn_key", ci=True),
    Fault("R08-record-with-old-host-key", a="sed -i 's/AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]*/AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/' /etc/resize-agent/peers.d/compute2.yaml", reason="record_stale"),
    Fault("R09-record-other-uid-own-storage", a="sed -i 's/uid: 64060/uid: 162/' /etc/resize-agent/peers.d/compute2.yaml"),
    Fault("R10-record-says-shared-storage", b="sed -i 's/fstype: .*/fstype: nfs/; s/source: .*/source: nas:\\/i/' /etc/resize-agent/peers.d/compute1.yaml", reason="storage_differs", ci=True),
    Fault("R12-not-its-turn", a="echo 'probe: {peers: 1}' >/etc/resize-agent/agent.yaml; sed 's/compute2/compute10/; s/^address: .*/address: 10.100.0.30/; s/^names: .*/names: []/' /etc/resize-agent/peers.d/compute2.yaml >/etc/resize-agent/peers.d/compute10.yaml", reason="not_probed", accepted="false not ready: one run dials so many peers, and it was another one's turn", ci=True),
    Fault("R11-record-says-shared-storage-and-other-uid", b="sed -i 's/uid: 64060/uid: 162/; s/fstype: .*/fstype: nfs/; s/source: .*/source: nas:\\/i/' /etc/resize-agent/peers.d/compute1.yaml"),
)
