"""What nova-compute's configuration means for a resize."""

from __future__ import annotations

from pathlib import PurePosixPath as Pure
from typing import Any, Optional

import pytest

from agent.formats import nova_conf
from agent.model import NovaConfig, Unreadable


def read(text: str) -> nova_conf.Options:
    return nova_conf.parse([(Pure("/etc/nova/nova.conf"), text.encode())], {})


def config(text: str, release: Optional[str] = "26.2.2", **given: Any) -> NovaConfig:
    found = nova_conf.effective(
        read(text), hostname="Compute1", route_address="10.0.0.1", release=release, **given
    )
    assert isinstance(found, NovaConfig)
    return found


def refused(text: str) -> str:
    found = nova_conf.effective(read(text), hostname="c1", route_address=None, release="26.2.2")
    assert isinstance(found, Unreadable)
    return found.reason


def test_an_empty_file_gives_novas_defaults() -> None:
    found = config("", files=[Pure("/etc/nova/nova.conf")], running=12)
    assert found == NovaConfig(
        host="compute1",
        address="10.0.0.1",
        my_ip="10.0.0.1",
        instances_path=Pure("/var/lib/nova/instances"),
        release="26.2.2",
        origin=found.origin,
        files=(Pure("/etc/nova/nova.conf"),),
        running=12,
    )
    assert set(found.origin.values()) == {"default"}


def test_without_a_state_path_the_instances_lie_beside_novas_modules() -> None:
    """Nova's own default; a nova.conf that was written anew lacks what the distribution's says."""
    modules = Pure("/usr/lib/python3/dist-packages")

    assert config("", modules=modules).instances_path == modules / "instances"
    told = config("[DEFAULT]\nstate_path = /var/lib/nova\n", modules=modules)
    assert told.instances_path == Pure("/var/lib/nova/instances")


def test_without_a_route_the_address_is_this_host() -> None:
    found = nova_conf.effective(read(""), hostname="c", route_address=None, release="26")
    assert isinstance(found, NovaConfig)
    assert found.my_ip == found.address == "127.0.0.1"


INBOUND = "[DEFAULT]\nmy_ip=10.0.0.5\n[libvirt]\nmigration_inbound_addr=%s.mig\n"


@pytest.mark.parametrize(
    ("release", "address"),
    [("28.3.0", "10.0.0.5"), ("29.0.0", "Compute1.mig"), ("2:31.0.0-1", "Compute1.mig")],
)
def test_the_address_dialled_depends_on_the_release(release: str, address: str) -> None:
    assert config(INBOUND, release).address == address


def test_from_29_on_the_inbound_address_follows_my_ip() -> None:
    assert config("[DEFAULT]\nmy_ip=10.0.0.5\n", "29.0.0").address == "10.0.0.5"


def test_an_unknown_release_leaves_the_address_open_only_where_it_matters() -> None:
    unknown = config(INBOUND, None)
    assert unknown.address == ""
    assert "release of Nova here is unknown" in unknown.problems[0]
    assert config("", None).address == "10.0.0.1"


def test_an_address_nobody_can_dial_is_a_problem() -> None:
    for address in ("-oProxyCommand=x", "a b", ""):
        found = config(f"[DEFAULT]\nmy_ip = {address}\n")
        assert found.address == ""
        assert "[DEFAULT]my_ip (/etc/nova/nova.conf:2)" in found.problems[0]
    assert config("[DEFAULT]\nmy_ip = fd00::1\n").address == "fd00::1"


def test_the_transport_is_case_sensitive() -> None:
    group = "[libvirt]\nremote_filesystem_transport = "
    assert config(group + "rsync\n").transport == "rsync"
    assert "accepts only ssh and rsync" in config(group + "RSYNC\n").problems[0]


def test_the_cache_directory_may_have_its_old_name() -> None:
    found = config("[DEFAULT]\nimage_cache_subdirectory_name=_cache\ntempdir=/t\n")
    assert (found.image_cache, found.tempdir) == ("_cache", "/t")
    assert found.origin["[image_cache]subdirectory_name"] == "/etc/nova/nova.conf:2"


def test_the_instances_path_follows_the_state_path_and_keeps_what_oslo_keeps() -> None:
    assert config("[DEFAULT]\nstate_path=/srv/nova\n").instances_path == Pure("/srv/nova/instances")
    commented = config("[DEFAULT]\ninstances_path = /a # x\n")
    assert commented.instances_path == Pure("/a # x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[DEFAULT]\njunk\n", "/etc/nova/nova.conf:2: neither = nor : in the line"),
        ("[DEFAULT]\ninstances_path =\n", "instances_path (/etc/nova/nova.conf:2) is ''"),
        ("[DEFAULT]\ninstances_path = $x\n", "$x names no known option"),
        ("[DEFAULT]\nhost =\n", "[DEFAULT]host (/etc/nova/nova.conf:2) is empty"),
    ],
)
def test_what_nothing_can_be_judged_without_makes_it_unreadable(text: str, told: str) -> None:
    assert told in refused(text)


def test_a_problem_with_another_option_leaves_the_rest_readable() -> None:
    found = config("[DEFAULT]\ntempdir = $nope\n")
    assert found.tempdir is None
    assert found.problems == (
        "[DEFAULT]tempdir cannot be read: /etc/nova/nova.conf:2: $nope names no known option",
    )


def test_a_host_name_with_a_dollar_is_taken_as_it_is() -> None:
    found = nova_conf.effective(read(""), hostname="a$b", route_address=None, release="26")
    assert isinstance(found, NovaConfig)
    assert found.host == "a$b"


@pytest.mark.parametrize(
    ("version", "major"),
    [
        ("26.2.2", 26),
        ("2:26.2.2-1~deb12u3+deb12u1", 26),
        ("1:31.0.1-0.20250620.el9", 31),
        ("33", 33),
        ("29.0.0.0rc1", 29),
        ("2023.1", 27),
        ("2023.2", 28),
        ("2026.2", 34),
        ("2015.1.0", None),
        ("", None),
        ("zed", None),
        ("3:", None),
        ("99999999", None),
    ],
)
def test_the_major_release(version: str, major: Optional[int]) -> None:
    assert nova_conf.release_major(version) == major


def test_the_command_line_names_files_in_its_order() -> None:
    argv = ["/usr/bin/python3", "/usr/bin/nova-compute", "--config-file=/a", "--debug"]
    argv += ["--config-dir", "/d", "--config-file", "/b", "--config-file"]
    found = nova_conf.locations(argv)
    assert found == (("file", Pure("/a")), ("dir", Pure("/d")), ("file", Pure("/b")))
    assert nova_conf.locations(["nova-compute"]) == ()


def on(*paths: str) -> Any:
    return lambda path: str(path) in paths


NOVA, COMPUTE = "/etc/nova/nova.conf", "/etc/nova/nova-compute.conf"
DIST, DROPINS = "/usr/share/nova/nova-dist.conf", "/etc/nova/nova.conf.d"


@pytest.mark.parametrize(
    ("there", "read_in_order"),
    [
        ((NOVA, COMPUTE, "/etc/init.d/nova-compute"), (NOVA, COMPUTE)),
        ((NOVA, COMPUTE, "/etc/init.d/nova-compute", DROPINS), (DROPINS, NOVA, COMPUTE)),
        ((NOVA, DIST, DROPINS), (DIST, NOVA, DROPINS)),
        (("/etc/nova.conf",), ("/etc/nova.conf",)),
        ((), ()),
    ],
)
def test_the_distribution_decides_when_nova_does_not_run(
    there: tuple[str, ...], read_in_order: tuple[str, ...]
) -> None:
    found = nova_conf.default_locations(on(*there))
    assert tuple(str(path) for _, path in found) == read_in_order


def test_default_directories_are_read_before_named_files() -> None:
    found = nova_conf.sources(["nova-compute", "--config-file", "/a"], on(NOVA, DROPINS))
    assert found == (("dir", Pure(DROPINS)), ("file", Pure("/a")))
    found = nova_conf.sources(["nova-compute", "--config-dir=/d"], on(NOVA, DROPINS))
    assert found == (("file", Pure(NOVA)), ("dir", Pure("/d")))


def test_only_what_changes_the_answers_is_kept_of_the_environment() -> None:
    environ = {
        "PATH": "/usr/bin",
        "SSH_ASKPASS_REQUIRE": "never",
        "OS_DEFAULT__MY_IP": "10.0.0.1",
        "OS_LIBVIRT__MIGRATION_INBOUND_ADDR": "x",
        "OS_PASSWORD": "secret",
        "OS_DEFAULT__TRANSPORT_URL": "rabbit://u:secret@h",
        "LANG": "C",
    }
    assert set(environ) - set(nova_conf.kept(environ)) == {
        "OS_PASSWORD",
        "OS_DEFAULT__TRANSPORT_URL",
        "LANG",
    }


@pytest.mark.parametrize("path", ["/a" * 3000, "/" + "a" * 5000, "/a" * 500_000])
def test_a_path_too_long_for_the_kernel_is_refused(path: str) -> None:
    """nova writes it, and the directories above it are looked at one by one: megabytes of it would fill the memory."""
    assert "[DEFAULT]instances_path" in refused(f"[DEFAULT]\ninstances_path = {path}\n")


def test_a_value_of_megabytes_is_not_substituted() -> None:
    assert "too long" in refused("[DEFAULT]\nx=\nhost = a" + "$x" * 500_000 + "\n")
