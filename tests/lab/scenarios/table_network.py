"""Between the hosts (N)."""

from __future__ import annotations

from tests.lab.scenarios.fault import Fault

# One fault, one line.
# fmt: off

_LISTEN = 'stop_sshd; python3 -c "%s" >/tmp/up 2>/dev/null & while ! [ -s /tmp/up ]; do :; done'
_SILENT = "import socket,time; s=socket.create_server(('',22)); print(flush=True); time.sleep(300)"
_HTTP = "import socket; s=socket.create_server(('',22)); print(flush=True)\nwhile 1:\n c,_=s.accept(); c.sendall(b'HTTP/1.0 400 Bad Request\\r\\n\\r\\n'); c.close()"
_CLOSES = "import socket; s=socket.create_server(('',22)); print(flush=True)\nwhile 1: s.accept()[0].close()"
_TRANSLATED = "iptables -t nat -A OUTPUT -d %s -p tcp --dport 22 -j DNAT --to-destination"

FAULTS = (
    Fault("N01-dropped", b_after="ip route add blackhole $A", reason="connect_timeout", side="network"),
    Fault("N01b-dropped-iptables", b_after="iptables -A INPUT -p tcp --dport 22 -j DROP", reason="connect_timeout"),
    Fault("N01c-dropped-from-source", b_after="iptables -A INPUT -p tcp --dport 22 -s $A -j DROP", reason="connect_timeout", ci=True),
    Fault("N01d-dropped-both-ways", b_after="for c in INPUT OUTPUT; do iptables -A $c -p tcp -j DROP; done", reason="connect_timeout", side="network"),
    Fault("N02-rejected-reset", b_after="iptables -A INPUT -p tcp --dport 22 -s $A -j REJECT --reject-with tcp-reset", reason="connection_refused"),
    Fault("N03-rejected-icmp", b_after="iptables -A INPUT -p tcp --dport 22 -s $A -j REJECT --reject-with icmp-admin-prohibited"),
    Fault("N04-no-route", a_after="ip route flush all; ip addr flush dev eth0"),
    Fault("N04b-unreachable-route", a_after="ip route add unreachable $B", reason="no_route", ci=True),
    Fault("N04c-prohibit-route", a_after="ip route add prohibit $B"),
    Fault("N05-peer-down", b_after="ip link set eth0 down"),
    Fault("N05b-link-down-here", a_after="ip link set eth0 down"),
    Fault("N06-mtu-black-hole", b_after="iptables -A INPUT -m length --length 1000:65535 -j DROP", reason="too_slow"),
    Fault("N07-mtu-small-both", a="ip link set eth0 mtu 600", b="ip link set eth0 mtu 600"),
    Fault("N08-large-packets-lost-in-copy", b_after="iptables -A INPUT -m length --length 1400:65535 -j DROP"),
    Fault("N10-not-ssh", b_after=_LISTEN % _HTTP, ci=True),
    Fault("N10b-closes-at-once", b_after=_LISTEN % _CLOSES),
    Fault("N11-silent-listener", b_after=_LISTEN % _SILENT, reason="too_slow", ci=True),
    Fault("N12-sshd-stopped-by-signal", b_after="pkill -STOP -x sshd", reason="too_slow"),
    Fault("N13-loopback-down-at-destination", b_after="ip link set lo down"),
    Fault("N14-loopback-down-at-source", a_after="ip link set lo down"),
    Fault("N15-name-unknown-at-source", a="sed -i '/compute2/d' /etc/hosts", reason="name_missing", ci=True),
    Fault("N16-name-of-source-unknown-at-destination", b="sed -i '/compute1/d' /etc/hosts"),
    Fault("N17-second-address", b="ip address add 10.100.0.132/24 dev eth0"),
    Fault("N18-address-moved-away", b="ip address del $B/24 dev eth0; ip address add 10.100.0.132/24 dev eth0"),
    Fault("N19-address-taken-by-source", a="ip address add $B/32 dev lo"),
    Fault("N30-address-translated-to-this-host", a="client 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null'", a_after=f"{_TRANSLATED % '$B'} $A", reason="another_host_answers", side="network", ci=True),
    Fault("N31-address-translated-to-the-peer", a='sed -i "s/^$N /10.100.0.99,&/" $KH', b="nova_option my_ip 10.100.0.99", records=True, a_after=f"{_TRANSLATED % '10.100.0.99'} $B", b_after=f"{_TRANSLATED % '10.100.0.99'} $B", by_hand_only=True),
    Fault("N20-ipv6-baseline", ipv6=True, ci=True),
    Fault("N21-ipv6-rsync", ipv6=True, a="rsync_transport", b="rsync_transport"),
    Fault("N22-ipv6-unknown-host", ipv6=True, a=": >$KH", reason="host_key_unknown"),
    Fault("N23-ipv6-allowusers-net", ipv6=True, b="cfg 'AllowUsers nova@fd00:10:100::/64'"),
    Fault("N24-ipv6-from-other", ipv6=True, b="option 'from=\"fd00:99::/64\"'", reason="user_key_refused", ci=True),
    Fault("N25-ipv6-from-this-net", ipv6=True, b="option 'from=\"fd00:10:100::/64\"'"),
    Fault("N26-ipv6-written-differently", ipv6=True, b="nova_option my_ip fd00:10:100:0::0032"),
    Fault("N27-ipv6-listen-ipv4-only", ipv6=True, b="cfg 'AddressFamily inet'"),
    Fault("N28-ipv6-nologin", ipv6=True, b="usermod -s /usr/sbin/nologin nova"),
    Fault("N29-slow-link", b_after="iptables -A OUTPUT -p tcp --sport 22 -m limit --limit 50/second --limit-burst 50 -j ACCEPT; iptables -A OUTPUT -p tcp --sport 22 -j DROP"),
)
