"""Runs on a lab host, as nova, with the host's own Nova: moves disks the way its driver does.

Standard input: one JSON line per job. Standard output: `{}` once Nova is loaded, then one JSON line
per job. Each job reads the host's configuration anew. See oracle_session.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import types
from collections.abc import Iterator
from typing import Any, TextIO

# Nova 22's eventlet wants a name server in /etc/resolv.conf; what Nova starts must not see the wish.
os.environ["EVENTLET_NO_GREENDNS"] = "yes"
import nova.conf  # type: ignore[import-not-found]
from nova import exception
from nova.virt.libvirt.driver import LibvirtDriver  # type: ignore[import-not-found]
from nova.virt.libvirt.volume import remotefs  # type: ignore[import-not-found]
from oslo_concurrency import processutils  # type: ignore[import-not-found]

del os.environ["EVENTLET_NO_GREENDNS"]

CONF = nova.conf.CONF
# What Debian starts nova-compute with.
CONFIG_FILES = ("/etc/nova/nova.conf", "/etc/nova/nova-compute.conf")


class Jobs:
    """Nova's book-keeping of the copies it runs."""

    def add_job(self, instance: object, pid: int) -> None:
        pass

    def remove_job(self, instance: object, pid: int) -> None:
        pass


class Driver:
    """Nova's own functions (`NOVAS`) on a driver without a hypervisor: one guest with one qcow2 disk."""

    def __init__(self) -> None:
        self._remotefs = remotefs.RemoteFilesystem()
        self.job_tracker = Jobs()
        # For migration_inbound_addr = %s, from Nova 29 on.
        self._host = types.SimpleNamespace(get_hostname=socket.gethostname)
        self.guest_is_off = False

    def power_off(self, *_: object) -> None:
        self.guest_is_off = True

    def unplug_vifs(self, *_: object) -> None:
        pass

    def _is_booted_from_volume(self, *_: object) -> bool:
        return False

    def _get_instance_disk_info(self, instance: Any, *_: object) -> list[dict[str, str]]:
        return [{"type": "qcow2", "path": f"{CONF.instances_path}/{instance.uuid}/disk"}]


# Nova before 23 and after calls what clears away by different names.
NOVAS = (
    *("get_host_ip_addr", "migrate_disk_and_power_off", "_is_path_shared_with"),
    *("_cleanup_remote_migration", "_cleanup_failed_instance_base", "_cleanup_failed_migration"),
)
for _name in NOVAS:
    if hasattr(LibvirtDriver, _name):
        setattr(Driver, _name, getattr(LibvirtDriver, _name))


def configure(transport: str | None) -> None:
    files = [f"--config-file={path}" for path in CONFIG_FILES if os.path.exists(path)]
    CONF(files, project="nova", prog="nova-compute")
    if transport is not None:
        CONF.set_override("remote_filesystem_transport", transport, "libvirt")


def facts() -> dict[str, str]:
    return {
        "verdict": "OK",
        "address": LibvirtDriver.get_host_ip_addr(Driver()),
        "instances_path": CONF.instances_path,
        "transport": CONF.libvirt.remote_filesystem_transport,
    }


def move(uuid: str, address: str) -> dict[str, str]:
    """Verdict and message of one move, in the classes that Nova's own exceptions make."""
    driver = Driver()
    flavor = types.SimpleNamespace(root_gb=1, ephemeral_gb=0)
    instance = types.SimpleNamespace(uuid=uuid, flavor=flavor)
    devices: dict[str, list[object]] = {"block_device_mapping": [], "ephemerals": []}
    try:
        LibvirtDriver.migrate_disk_and_power_off(
            driver, None, instance, address, flavor, [], devices
        )
    except exception.InstanceFaultRollback as error:
        return {"verdict": "R", "message": error.inner_exception.format_message()}
    except Exception as error:  # whatever Nova lets out is the answer asked for
        verdict = "E-off" if driver.guest_is_off else "E-on"
        return {"verdict": verdict, "message": f"{type(error).__name__}: {error}"}
    return {"verdict": "OK", "message": ""}


def report_commands(say: Any) -> None:
    """Tell of every program that Nova starts, when it starts and when it has ended."""
    execute = processutils.execute

    def reporting(*argv: str, **options: Any) -> Any:
        say({"argv": argv})
        try:
            out, err = execute(*argv, **options)
        except processutils.ProcessExecutionError as error:
            say({"exit_code": error.exit_code, "stderr": error.stderr or ""})
            raise
        except OSError as error:
            say({"exit_code": None, "stderr": str(error)})
            raise
        say({"exit_code": 0, "stderr": err})
        return out, err

    processutils.execute = reporting


def answer(job: dict[str, Any], out: TextIO) -> dict[str, str]:
    try:
        configure(job["transport"])
        said = facts()
    except Exception as error:  # there are many ways to break a configuration
        return {"verdict": "E-on", "message": f"nova does not start: {error}"}
    if "uuid" not in job:
        return said
    report_commands(lambda event: print(json.dumps(event), file=out))
    return move(job["uuid"], job["address"])


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """One job in a process of its own, which has no terminal and does not outlive the limit."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        with open(writer, "w", buffering=1) as out:
            print(json.dumps(answer(job, out)), file=out)
        os._exit(0)
    os.close(writer)
    trace: list[list[Any]] = []
    last = {"verdict": "H", "message": f"no end within {job['timeout']} s"}
    for event in events(reader, time.monotonic() + job["timeout"]):
        if "verdict" in event:
            last = event
        elif "argv" in event:
            trace.append([event["argv"], None, ""])
        else:
            trace[-1][1:] = [event["exit_code"], event["stderr"]]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {**last, "trace": trace}


def events(descriptor: int, deadline: float) -> Iterator[dict[str, Any]]:
    rest = b""
    with open(descriptor, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = pipe.read(65536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for event in map(json.loads, lines):
                yield event
                if "verdict" in event:
                    return


def main() -> None:
    # What is printed by Nova or a library must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.chdir(os.environ["HOME"])
    print("{}", file=answers)
    for line in sys.stdin:
        print(json.dumps(run_job(json.loads(line))), file=answers)


main()
