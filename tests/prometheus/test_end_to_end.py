"""From a broken host to a message that names the cause, and back: real hosts, daemons, exporters, Prometheus, Alertmanager."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host, end
from tests.lab.provision import agent, converge
from tests.prometheus import monitoring
from tests.prometheus.dashboard import queries, variables
from tests.prometheus.monitoring import Monitoring

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes namespaces and mounts: needs root"),
    pytest.mark.skipif(bool(monitoring.MISSING), reason=f"not here: {monitoring.MISSING}"),
]

NAMES = ("compute1", "compute2", "compute3")
CONFIG = "/etc/resize-agent/agent.yaml"
PORT = 19122
FINE = "interval: 10\n"
# Questions of the dashboard that a fleet without a fault of its own does not answer.
QUIET_IN_PEACE = {"Hosts that are not ready A", "Checks that fail, hosts A"}
ENVIRONMENT = {"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"}


class Watched:
    """The fleet with its daemons and exporters, and what watches it."""

    def __init__(self, fleet: Fleet, stack: ExitStack, directory: Path) -> None:
        self.fleet, self.stack = fleet, stack
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.exporters: dict[str, subprocess.Popen[bytes]] = {}
        for host in fleet:
            host.sh("mkdir -p /etc/resize-agent")
            host.write(CONFIG, FINE)
            self.start(self.daemons, host, "daemon")
            self.start(self.exporters, host, "exporter")
        first = fleet[NAMES[0]]
        self.monitoring = stack.enter_context(
            monitoring.running(
                directory,
                [f"{name}:{PORT}" for name in NAMES],
                namespace=first.pid,
                hosts=first.read("/etc/hosts").decode(),
                faster=40,
                shrunk=20,
            )
        )

    def start(self, kind: dict[str, subprocess.Popen[bytes]], host: Host, command: str) -> None:
        argv = ["/usr/bin/python3", "-m", "agent", command]
        process = host.spawn(argv, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        kind[host.name] = process
        self.stack.callback(lambda: finish(process))

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the daemon, whose process outside is nsenter."""
        self.fleet[name].sh(f"kill -{number.value} $(pgrep -o -f '[a]gent daemon')")


def finish(process: subprocess.Popen[bytes]) -> None:
    """nsenter stops with what it started, and would not collect it."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
    end(process)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Fleet(NAMES) as fleet, ExitStack() as stack:
        fleet.start_sshd()
        converge(fleet)
        watched = Watched(fleet, stack, tmp_path_factory.mktemp("monitoring"))
        await_peace(watched.monitoring)
        yield watched


def await_peace(watch: Monitoring) -> None:
    """Every host is ready in both roles and nothing is alerted, not even pending."""
    ready = "sum(instance_role:resize_agent_ready:fresh)"
    watch.await_that(lambda: value(watch, ready) == 6 and not watch.alerts(), "peace", 600)


def value(watch: Monitoring, expression: str) -> float:
    found = watch.query(expression)
    return float(found[0]["value"][1]) if found else -1.0


@contextmanager
def one_alert(watch: Monitoring, name: str, host: str) -> Iterator[list[str]]:
    """Inside, that alert and no other has come; the list has its descriptions.  Leave it once the fault is repaired."""
    watch.webhook.received.clear()
    watch.await_that(lambda: watch.webhook.told("firing"), f"{name} about {host}", 600)
    assert watch.webhook.told("firing") == [(name, host)]
    yield watch.webhook.descriptions(name)
    watch.await_that(lambda: (name, host) in watch.webhook.told("resolved"), f"{name} ends", 600)
    await_peace(watch)
    assert watch.webhook.told("firing") == [(name, host)]


def test_a_broken_host_is_one_message_with_the_cause_until_it_is_fixed(watched: Watched) -> None:
    watch, host = watched.monitoring, watched.fleet["compute3"]
    host.sh("usermod --shell /usr/sbin/nologin nova")
    with one_alert(watch, "ResizeAgentHostNotReady", "compute3") as said:
        assert "Resizes cannot arrive at compute3 (role destination)" in said[0]
        assert "login_shell (fail)" in said[0]
        # The others meet it too, in the end, and are not heard of for it.
        failing = 'count(resize_agent_peer_failing{peer="compute3"})'
        watch.await_that(lambda: value(watch, failing) == 2, "both peers meet the shell", 600)
        assert ready(watch, "compute1") == ready(watch, "compute2") == 2
        assert QUIET_IN_PEACE.isdisjoint(unanswered(watch))
        run = agent(host, "--fix")
        assert run.report["roles"]["destination"]["ready"] is True, run


def unanswered(watch: Monitoring) -> set[str]:
    """Questions of the dashboard that have no data."""
    return {name for name, question in queries() if not watch.query(question)}


def ready(watch: Monitoring, name: str) -> float:
    return value(watch, f'sum(instance_role:resize_agent_ready:fresh{{instance="{name}"}})')


def test_a_host_that_only_others_find_dead_is_one_message_about_that_host(watched: Watched) -> None:
    watch, host = watched.monitoring, watched.fleet["compute2"]
    # What sshd answers to the others is thrown away; what stays inside the host is not.
    rule = ["nsenter", "-t", str(host.pid), "-n", "ip", "rule"]
    fault = ["ipproto", "tcp", "sport", "22", "blackhole"]
    subprocess.run([*rule, "add", *fault], check=True)
    try:
        with one_alert(watch, "ResizeAgentBadDestination", "compute2") as said:
            assert "2 hosts cannot reach compute2 as Nova would" in said[-1]
            assert "connect_timeout (2)" in said[-1]
            assert ready(watch, "compute2") == 2
            assert unanswered(watch) <= QUIET_IN_PEACE
            for selector, label in variables():
                assert watch.label_values(selector, label)
            subprocess.run([*rule, "del", *fault], check=True)
    finally:
        subprocess.run([*rule, "del", *fault], check=False, stderr=subprocess.DEVNULL)


def test_a_daemon_that_hangs_is_noticed_and_never_looks_ready(watched: Watched) -> None:
    watched.signal("compute3", signal.SIGSTOP)
    with one_alert(watched.monitoring, "ResizeAgentChecksStale", "compute3") as said:
        assert "compute3 has no report that speaks of now: the last one is" in said[0]
        assert ready(watched.monitoring, "compute3") == 0
        watched.signal("compute3", signal.SIGCONT)


def test_a_daemon_that_was_killed_is_noticed_and_never_looks_ready(watched: Watched) -> None:
    watched.signal("compute3", signal.SIGKILL)
    with one_alert(watched.monitoring, "ResizeAgentChecksStale", "compute3"):
        assert ready(watched.monitoring, "compute3") == 0
        watched.start(watched.daemons, watched.fleet["compute3"], "daemon")


def test_a_configuration_that_cannot_be_read_is_noticed_and_the_old_one_holds(
    watched: Watched,
) -> None:
    host = watched.fleet["compute3"]
    host.write(CONFIG, "interval: soon\n")
    watched.signal("compute3", signal.SIGHUP)
    with one_alert(watched.monitoring, "ResizeAgentConfigReloadFailed", "compute3"):
        assert ready(watched.monitoring, "compute3") == 2
        host.write(CONFIG, FINE)
        watched.signal("compute3", signal.SIGHUP)


def test_an_exporter_that_is_gone_is_noticed(watched: Watched) -> None:
    finish(watched.exporters["compute3"])
    with one_alert(watched.monitoring, "ResizeAgentDown", "compute3"):
        assert ready(watched.monitoring, "compute3") == -1
        watched.start(watched.exporters, watched.fleet["compute3"], "exporter")


def test_the_metrics_of_a_real_host_are_clean(watched: Watched) -> None:
    url = f"http://127.0.0.1:{PORT}/metrics"
    script = f"import urllib.request as u; print(u.urlopen('{url}').read().decode(), end='')"
    body = watched.fleet["compute2"].run(["/usr/bin/python3", "-c", script]).stdout
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), body
