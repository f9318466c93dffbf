"""A real Prometheus and a real Alertmanager with the shipped files, only faster, and a webhook that remembers.

They run on loopback, of this machine or of a lab host's network namespace, with their own directories.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "packaging" / "prometheus"
NEEDED = ("prometheus", "prometheus-alertmanager", "promtool")
MISSING = [name for name in NEEDED if not shutil.which(name)]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CLONE_NEWNET = 0x40000000


@dataclass
class Webhook:
    """What the Alertmanager has sent, in order, one entry for each alert of each notification."""

    received: list[dict[str, Any]] = field(default_factory=list)

    def told(self, status: str) -> list[tuple[str, str]]:
        """(alert, host it is about), each once."""
        found = [
            (a["labels"]["alertname"], a["labels"].get("nova_host", ""))
            for a in self.received
            if a["status"] == status
        ]
        return list(dict.fromkeys(found))

    def descriptions(self, alert: str) -> list[str]:
        return [
            a["annotations"]["description"]
            for a in self.received
            if a["labels"]["alertname"] == alert
        ]


@dataclass(frozen=True)
class Monitoring:
    webhook: Webhook
    namespace: int  # the process whose network it is; 0 for this machine's own
    port: int

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = self._get("/api/v1/query?" + urlencode({"query": expression}))
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def label_values(self, selector: str, label: str) -> list[str]:
        asked = urlencode({"match[]": selector})
        values: list[str] = self._get(f"/api/v1/label/{label}/values?{asked}")["data"]
        return values

    def alerts(self) -> list[tuple[str, str, str]]:
        """(alert, host it is about, `pending` or `firing`) as Prometheus has them now."""
        found = self._get("/api/v1/alerts")["data"]["alerts"]
        return [
            (a["labels"]["alertname"], a["labels"].get("nova_host", ""), a["state"]) for a in found
        ]

    def await_that(self, condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"not within {seconds:.0f} s: {what}\nalerts: {self.alerts()}\n"
                f"sent: {[(a['status'], a['labels']) for a in self.webhook.received]}"
            )
            time.sleep(0.2)

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.sock = socket_in(self.namespace)
        connection.sock.settimeout(10)
        connection.sock.connect(("127.0.0.1", self.port))
        with contextlib.closing(connection):
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())


@contextlib.contextmanager
def running(
    directory: Path,
    targets: list[str],
    *,
    namespace: int = 0,
    hosts: str = "",
    faster: float = 300,
    shrunk: float = 0,
    instances: Mapping[str, str] | None = None,
) -> Iterator[Monitoring]:
    """`targets` as `compute1:19122`; `hosts` is what /etc/hosts shall say to Prometheus.

    `faster`: `for: 15m` in the rules becomes 3 s with 300; `shrunk`: the same for `[1h]`, where real dials take their time.  `instances` renames targets that are not called as the host is.
    """
    with contextlib.ExitStack() as stack:
        webhook, hook = Webhook(), free_socket(namespace)
        stack.enter_context(_serving(webhook, hook))
        ports = [_free_port(namespace) for _ in range(2)]
        _write(
            directory,
            targets,
            faster,
            shrunk or faster,
            ports,
            hook.getsockname()[1],
            instances or {},
        )
        enter = ["nsenter", "-t", str(namespace), "-n"] if namespace else []
        if hosts:
            (directory / "hosts").write_text(hosts)
            script = 'mount --bind "$1" /etc/hosts; shift; exec "$@"'
            enter += ["unshare", "--mount", "sh", "-ec", script, "sh", str(directory / "hosts")]
        commands = {
            "alertmanager": [
                *("prometheus-alertmanager", f"--config.file={directory}/alertmanager.yml"),
                *(f"--storage.path={directory}/alerts", "--cluster.listen-address="),
                f"--web.listen-address=127.0.0.1:{ports[1]}",
            ],
            "prometheus": [
                *("prometheus", f"--config.file={directory}/prometheus.yml"),
                *(f"--storage.tsdb.path={directory}/data", "--log.level=warn"),
                f"--web.listen-address=127.0.0.1:{ports[0]}",
            ],
        }
        for name, command in commands.items():
            # They go with us, also where nobody could clean up.
            argv = ["setpriv", "--pdeathsig", "TERM", *enter, *command]
            stack.enter_context(_process(argv, directory / f"{name}.log"))
        monitoring = Monitoring(webhook, namespace, ports[0])
        _await_ready(monitoring, directory)
        yield monitoring


def _write(
    directory: Path,
    targets: list[str],
    faster: float,
    shrunk: float,
    ports: list[int],
    hook: int,
    instances: Mapping[str, str],
) -> None:
    """The shipped files with shorter times and the test's own addresses; nothing else is changed."""
    rules = yaml.safe_load((FOLDER / "resize-agent.rules.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"\[(\w+)]", lambda m: f"[{_shorter(m[1], shrunk)}]", rule["expr"])
        if "for" in rule:
            rule["for"] = _shorter(rule["for"], faster)
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(directory / "rules.yml")]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{ports[1]}"]}
    ]
    job = config["scrape_configs"][0]
    job["file_sd_configs"] = [{"files": [str(directory / "targets.json")]}]
    job["relabel_configs"] += [
        {"source_labels": ["__address__"], "regex": re.escape(a), "target_label": "instance", "replacement": n}
        for a, n in instances.items()
    ]  # fmt: skip
    routing = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    routing["route"] |= {"group_wait": "3s", "group_interval": "1s"}
    for receiver in routing["receivers"]:
        receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{hook}/{receiver['name']}"
    files = {"rules.yml": rules, "prometheus.yml": config, "alertmanager.yml": routing}
    for name, content in files.items():
        (directory / name).write_text(yaml.safe_dump(copy.deepcopy(content)))
    (directory / "targets.json").write_text(json.dumps([{"targets": targets}]))


def _shorter(time_span: str, faster: float) -> str:
    number, unit = int(time_span[:-1]), time_span[-1]
    return f"{max(1, round(number * _UNITS[unit] / faster))}s"


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(monitoring: Monitoring, directory: Path) -> None:
    """Until it evaluates the rules: its first answers come some seconds before that."""
    deadline = time.monotonic() + 90
    while True:
        with contextlib.suppress(OSError, AssertionError, ValueError, http.client.HTTPException):
            if monitoring.query("count(up)"):
                return
        log = (directory / "prometheus.log").read_text()
        assert time.monotonic() < deadline, f"Prometheus scrapes nothing:\n{log}"
        time.sleep(0.2)


@contextlib.contextmanager
def _serving(webhook: Webhook, hook: socket.socket) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            webhook.received += body["alerts"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """The test looks at `received`."""

    with serving(Handler, hook):
        yield


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], listening: socket.socket) -> Iterator[int]:
    """An HTTP server on a socket that listens already; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket, server.daemon_threads = listening, True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_socket(namespace: int = 0) -> socket.socket:
    listening = socket_in(namespace)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def _free_port(namespace: int) -> int:
    with free_socket(namespace) as probe:
        port: int = probe.getsockname()[1]
    return port


def socket_in(namespace: int) -> socket.socket:
    """A TCP socket of the network namespace of that process; it stays there, whoever uses it."""
    if not namespace:
        return socket.socket()
    with ThreadPoolExecutor(1) as pool:  # a thread of its own: what it enters, it never leaves
        return pool.submit(_entered, namespace).result()


def _entered(namespace: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{namespace}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)
    return socket.socket()
