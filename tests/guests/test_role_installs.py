"""The Ansible role on booted guests that have nothing of ours: it installs the package, and Nova's own driver confirms the rest."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ansible.site import PLAYBOOK, Site, site_of
from tests.ansible.test_role import NAMES, three_then_a_fourth
from tests.guests.compute import READY, STATE, active, await_that, furnish, journal, metrics
from tests.guests.conftest import MakeGuests
from tests.guests.guests import Guests
from tests.lab.container import Containers
from tests.lab.control import beside
from tests.lab.host import Host

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(not PLAYBOOK.exists(), reason="ansible-core is not installed"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client on this machine"),
]
ADDRESS = "10.99.0.1"


def raw(host: Host) -> None:
    """A compute node as it comes: nova's shell lets nobody in, there is no key, no directory for instances."""
    furnish(host)
    # Nova itself, for the judge, has no environment of nova-compute's.
    conf = f"[DEFAULT]\nhost = {host.name}\nmy_ip = {host.address}\n{STATE}"
    host.write("/etc/nova/nova.conf", conf, owner="nova:nova")
    host.write("/etc/nova/nova-compute.conf", "[libvirt]\nvirt_type = kvm\n", owner="nova:nova")
    host.sh("useradd --system --gid kvm --shell /usr/sbin/nologin libvirt-qemu")
    host.sh("usermod --shell /usr/sbin/nologin nova; rmdir /var/lib/nova/instances")


def test_three_raw_guests_then_a_fourth(deb: Path, make_guests: MakeGuests, tmp_path: Path) -> None:
    guests = make_guests("bookworm", *NAMES)
    for host in guests:
        raw(host)
    play = site_of(beside(guests, ADDRESS, tmp_path), [f"resize_agent_package_file={deb}"])

    with ExitStack() as stack:
        three_then_a_fourth(play, Containers(guests.hosts, stack))

    _run_and_say_ready(guests)
    _the_timer_is_the_site_s_choice(play, guests)


def _run_and_say_ready(guests: Guests) -> None:
    for host in guests:
        assert active(host), journal(host)
        await_that(
            lambda host=host: READY.items() <= metrics(host).items(),
            f"{host.name} is ready",
            lambda host=host: journal(host),
        )


def _the_timer_is_the_site_s_choice(play: Site, guests: Guests) -> None:
    first = guests[NAMES[0]]
    told = ["systemctl", "is-enabled", "resize-agent-fix.timer"]
    assert first.run(told).stdout == "disabled\n"
    play.play("--limit", NAMES[0], "-e", '{"resize_agent_fix_timer": true}')
    assert first.run(told).stdout == "enabled\n"
