"""nova.conf can be read and says what Nova needs for a resize."""

from __future__ import annotations

from collections.abc import Iterator

from agent.formats import nova_conf, places
from agent.formats.access import is_denied
from agent.model import (
    Check,
    Finding,
    NovaConfig,
    Role,
    Snapshot,
    Unreadable,
    failed,
    passed,
    skipped,
    unknown,
)
from agent.settings import Settings

# The options that decide what peers dial (see nova_address).
_OF_THE_ADDRESS = ("[libvirt]migration_inbound_addr", "[DEFAULT]my_ip")


def evaluate(snapshot: Snapshot, want: Settings) -> Iterator[Finding]:
    nova = snapshot.nova
    if isinstance(nova, Unreadable):
        denied = not snapshot.host.privileged and (
            is_denied(nova) or isinstance(snapshot.layout, Unreadable)
        )
        yield unknown("nova.conf", "needs_root" if denied else "nova_conf_unreadable", nova.reason)
        return
    for problem in nova.problems:
        if not nova.address and problem.endswith(nova_conf.NO_HOST):
            yield skipped("nova.conf", f"{problem}: see nova_address")  # no fault of the source's
        elif not nova.address and problem.startswith(_OF_THE_ADDRESS):
            yield unknown("nova.conf", "address_unknown", problem)
        else:
            yield failed("nova.conf", "nova_option_invalid", problem)
    if not nova.instances_path.is_absolute():
        path = nova.instances_path
        text = f"instances_path is {path}, expected an absolute path"
        yield failed("nova.conf", "nova_option_invalid", text)
    elif not places.is_one_word(nova.instances_path):
        text = f"instances_path is {nova.instances_path}, expected no blank and nothing that a shell expands: Nova sends it unquoted"
        yield failed("nova.conf", "nova_option_invalid", text)
    elif not nova.problems:
        yield passed("nova.conf", f"read {_files(nova)}; {_process(nova, live=snapshot.host.live)}")


def _files(nova: NovaConfig) -> str:
    return ", ".join(map(str, nova.files)) or "no file: every option has its default"


def _process(nova: NovaConfig, *, live: bool) -> str:
    if nova.running is not None:
        return f"nova-compute runs as process {nova.running}"
    return "nova-compute does not run" if live else "nothing runs in an image"


CHECK = Check(
    id="nova_config",
    role=Role.BOTH,
    summary="Nova's configuration can be read and is valid",
    why=(
        "The address peers dial, the directory and the transport all come from nova.conf as nova-compute reads it. "
        "Without it nothing can be said about a resize."
    ),
    evaluate=evaluate,
)
