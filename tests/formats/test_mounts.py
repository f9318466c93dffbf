"""Where a directory lies, and where it should lie."""

from __future__ import annotations

from pathlib import PurePosixPath as Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats.mounts import (
    expected_under,
    fstab,
    mount_of,
    mount_unit,
    mountinfo,
    reminder,
    root_device,
)
from agent.model import Mount

INSTANCES = Path("/var/lib/nova/instances")
MOUNTINFO = rb"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
23 22 0:5 / /proc rw,nosuid shared:12 master:3 - proc proc rw
40 22 0:50 / /var/lib/nova/instances rw,relatime - nfs4 nas:/nova\040disks rw,vers=4.2
41 22 254:2 / /mnt/a\040b\134c ro,relatime shared:20 - ext4 /dev/vdb rw
"""


def test_mountinfo_gives_both_sets_of_options_once() -> None:
    root, _, nfs, odd = mountinfo(MOUNTINFO)
    assert root == Mount(Path("/"), "ext4", "/dev/vda1", ("rw", "relatime", "errors=remount-ro"))
    assert (nfs.source, nfs.fstype) == ("nas:/nova disks", "nfs4")
    assert odd.mountpoint == Path("/mnt/a b\\c")


@given(
    where=st.text(
        st.characters(min_codepoint=1, exclude_characters="/", exclude_categories=("Cs",)),
        max_size=20,
    ),
    source=st.text(st.characters(min_codepoint=1, exclude_categories=("Cs",)), max_size=20),
)
def test_what_is_remembered_is_read_again_whatever_its_name(where: str, source: str) -> None:
    mount = Mount(Path("/srv/x", where), "fuse.sshfs", source, ("rw",))
    (again,) = fstab(reminder(mount).encode())
    told = (again.mountpoint, again.fstype, again.source)
    assert told == (mount.mountpoint, "fuse.sshfs", source or "none")
    assert expected_under((again,), mount.mountpoint) == (again,)


def test_names_that_are_no_text_are_remembered_too() -> None:
    mount = Mount(Path("/srv/\udcff#x"), "ext4", "#1")
    (again,) = fstab(reminder(mount).encode())
    assert (again.mountpoint, again.source) == (mount.mountpoint, "#1")


def test_read_only_on_either_level_is_read_only() -> None:
    assert mountinfo(MOUNTINFO)[3].options == ("ro", "relatime")


@pytest.mark.parametrize(
    ("path", "holder"),
    [
        ("/var/lib/nova/instances/uuid/disk", "/var/lib/nova/instances"),
        ("/var/lib/nova/instances", "/var/lib/nova/instances"),
        ("/var/lib/nova/instances-old", "/"),
        ("/", "/"),
    ],
)
def test_a_path_is_held_by_the_mount_above_it(path: str, holder: str) -> None:
    found = mount_of(mountinfo(MOUNTINFO), Path(path))
    assert found is not None
    assert found.mountpoint == Path(holder)


def test_a_later_mount_covers_an_earlier_one_even_from_above() -> None:
    lower = Mount(INSTANCES, "xfs", "/dev/vdb")
    over = Mount(Path("/var/lib/nova"), "tmpfs", "tmpfs")
    assert mount_of([lower, Mount(INSTANCES, "nfs4", "nas:/x")], INSTANCES) != lower
    assert mount_of([lower, over], INSTANCES) == over


def test_nothing_holds_a_path_in_an_empty_table() -> None:
    assert mount_of([], INSTANCES) is None


FSTAB = rb"""
# comment
UUID=1-2 / ext4 errors=remount-ro 0 1
/dev/vda5 none swap sw 0 0
nas:/nova	/var/lib/nova/instances	nfs	vers=4.2,_netdev 0 0
/dev/vdc /var/lib/nova xfs
/dev/vdd /var/lib/nova/instances-old xfs defaults
/dev/cd0 /var/lib/nova/instances iso9660 noauto
nas:/b /var/lib/nova/instances nfs noauto,x-systemd.automount
/dev/vde /srv/with\040blank ext4 defaults
two fields
"""


def test_fstab_reads_every_entry_with_three_fields() -> None:
    entries = fstab(FSTAB)
    assert [str(entry.mountpoint) for entry in entries][-1] == "/srv/with blank"
    assert entries[2].options == ("vers=4.2", "_netdev")
    assert entries[3].options == ("defaults",)
    assert len(entries) == 8


def test_what_must_be_mounted_for_a_directory() -> None:
    expected = expected_under(fstab(FSTAB), INSTANCES)
    assert [entry.source for entry in expected] == ["nas:/nova", "/dev/vdc", "nas:/b"]


UNIT = b"""[Unit]
What=not here
[Mount]
# comment
What = nas:/nova
Where=/var/lib/nova/instances
Type=nfs
Options=vers=4.2,\\
; another comment
hard
[Install]
WantedBy=multi-user.target
"""


def test_a_mount_unit_is_an_entry() -> None:
    unit = mount_unit("var-lib-nova-instances.mount", UNIT)
    assert unit == Mount(INSTANCES, "nfs", "nas:/nova", ("vers=4.2", "hard"))


def test_a_unit_without_where_is_named_after_its_path() -> None:
    unit = mount_unit(r"srv-a\x2db-c.mount", b"[Mount]\nWhat=/dev/vdb\n")
    assert unit is not None
    assert unit.mountpoint == Path("/srv/a-b/c")


@pytest.mark.parametrize("text", [b"", b"[Mount]\nWhere=/a\n", b"[Mount]\nWhat=x\nWhere=a\n"])
def test_a_unit_that_systemd_would_not_load_is_none(text: bytes) -> None:
    assert mount_unit("a.mount", text) is None


@settings(deadline=None)
@given(st.binary(), st.text())
def test_garbage_is_never_an_error(text: bytes, name: str) -> None:
    for table in (mountinfo(text), fstab(text)):
        mount_of(table, INSTANCES)
        expected_under(table, INSTANCES)
    mount_unit(name, text)
    mount_unit(name, b"[Mount]\n" + text)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=1, blacklist_categories=["Cs"]), min_size=1))
def test_octal_escapes_give_the_path_back(name: str) -> None:
    written = b"/" + b"".join(b"\\%03o" % byte for byte in name.encode())
    table = mountinfo(b"1 0 0:1 / " + written + b" rw - ext4 /dev/x rw\n")
    assert table[0].mountpoint == Path("/" + name)


def test_root_device_tells_one_tree_from_another():
    own = MOUNTINFO + b"\n90 22 0:52 / /var/lib/nova rw - ext4 /dev/vda1 rw\n"
    container = b"1 0 0:88 / / rw - overlay overlay rw\n"

    assert root_device(MOUNTINFO) == root_device(own) == b"254:1 /"
    assert root_device(container) != root_device(own)
    assert root_device(b"") == root_device(b"nonsense\n") == b""
