"""Everything that reads what somebody else wrote, as functions of bytes, with what must hold whatever they are.

A target raises AssertionError where a promise is broken; any other exception is a crash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import PurePosixPath

from agent import archive, checks, explain, metrics, plan, render, settings, verdict
from agent.document import DocumentError, load
from agent.formats import (
    authorized_keys,
    certificate,
    host_key_verdict,
    inventory,
    keys,
    known_hosts,
    lines,
    matching,
    mounts,
    nova_conf,
    nova_told,
    passwd,
    record,
    sockets,
    ssh_failure,
    ssh_output,
    trust,
)
from agent.formats.escape import visible, visible_bytes
from agent.model import Account, NovaConfig, Record, RecordProblem, Report, Scope
from agent.page import html
from tests.hosts import KEYS, NOW, SSH, a_host, a_key, a_peer, a_tombstone, an_attempt, novas

P = PurePosixPath
FILE = P("/etc/resize-agent/peers.d/compute2.yaml")
PEERS = (a_peer("compute2"), a_peer("compute3"), a_tombstone("compute4"))
HOST = a_host(peers=PEERS)
TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")


def document(data: bytes) -> None:
    try:
        load(data, "F")
    except DocumentError as error:
        assert str(error).startswith("F")


def configuration(data: bytes) -> None:
    try:
        settings.shown(settings.parse([("F", data)]))
    except DocumentError as error:
        assert str(error).startswith("F")


def peer_record(data: bytes) -> None:
    found = record.parse(FILE, data)
    if isinstance(found, RecordProblem):
        assert found.where.startswith(str(FILE)) and found.message.isprintable()
        return
    again = record.parse(FILE, record.render(found).encode())
    assert again == found
    if found.present:
        written_lines(found)


def written_lines(told: Record) -> tuple[list[bytes], list[bytes]]:
    """What a record makes us write: (known_hosts, authorized_keys), each exactly one line that says what was meant."""
    names = trust.lookup_names((told.address, told.name, *told.names), told.port)
    hosts = [known_hosts.entry_line(names, key) for key in told.host_keys if names]
    users = [authorized_keys.entry_line(told.name, key, "10.0.0.0/8") for key in told.user_keys]
    for text, key in zip(hosts, told.host_keys):
        assert b"\n" not in text and known_hosts.is_ours(text)
        (entry,) = known_hosts.parse(text)
        assert (entry.key.line, entry.marker, entry.hashed) == (key.line, "", False)
        assert (
            not any(c in entry.patterns for c in "*?!|@# \t") and known_hosts.malformed(text) == ()
        )
    for text, key in zip(users, told.user_keys):
        assert b"\n" not in text and authorized_keys.owner_of(text) == told.name
        (accepted,) = authorized_keys.parse(text)
        assert accepted.key.line == key.line and accepted.problem == ""
        assert accepted.options == (("restrict", None), ("from", "10.0.0.0/8"))
    return hosts, users


def records(data: bytes) -> None:
    """Several files: no name or address is ever trusted for two hosts, and never our own."""
    names = ("compute1", "compute2", "compute3", "COMPUTE2")
    texts = [(FILE.with_name(f"{n}.yaml"), t) for n, t in zip(names, data.split(b"\n---\n"))]
    found = inventory.read(texts, "compute1", ["10.100.0.1"])
    claims: set[str] = set()
    for each in found.peers("compute1"):
        mine = {each.name, each.address, *each.names}
        assert not claims & mine and not mine & {"compute1", "10.100.0.1"}
        claims |= mine


def accepted_keys(data: bytes) -> None:
    """Foreign lines come out of an edit byte for byte, and only our own are withdrawn."""
    assert authorized_keys.malformed(data) == tuple(sorted(authorized_keys.malformed(data)))
    listed = authorized_keys.AuthorizedKeys.of(data)
    listed.accepts(a_key("nova@compute2"), "10.100.0.2", NOW)
    assert isinstance(HOST.nova, NovaConfig)
    wanted = trust.user_trust(HOST, HOST.nova, ["10.100.0.0/16"])
    edit = wanted.edit(listed, (), NOW)
    list(wanted.foreign_withdrawn(listed))
    assert all(authorized_keys.owner_of(line) for line in (*edit.present, *edit.absent))
    _foreign_survive(data, lines.result(data, edit.present, edit.absent), edit.present)


def _foreign_survive(before: bytes, after: bytes, ours: Iterable[bytes]) -> None:
    new = after.split(b"\n")
    old = before.removesuffix(b"\n").split(b"\n") if before else []
    for was, now in zip(old, new):
        mine = authorized_keys.owner_of(was) or any(line.startswith(was) for line in ours)
        assert was == now or (mine and now[1:] == was[1:] and now[:1] == b"#")
    added = [line for line in new[len(old) :] if line]
    assert set(added) <= set(ours)


def known_host_keys(data: bytes) -> None:
    assert len(known_hosts.parse(data)) + len(known_hosts.malformed(data)) <= data.count(b"\n") + 1
    index = known_hosts.KnownHosts.of([("F", data)])
    host_key_verdict.verdict(index, "compute2", [a_key("host compute2")], TYPES)
    host_key_verdict.verdict(index, "[10.100.0.2]:2222", [a_key("host compute2")], TYPES)
    assert isinstance(HOST.nova, NovaConfig)
    wanted = trust.host_trust(HOST, HOST.nova)
    wanted.outdated(data)
    there = {raw.rstrip(b"\r") for _, raw in lines.numbered(data)}
    for line in filter(None, wanted.whole_file(data).split(b"\n")):
        names = known_hosts.parse(line)[0].patterns if known_hosts.is_ours(line) else ""
        # Ours, or a shorter list of names of a line that is there, or a @revoked as it is.
        was_there = line in there or any(
            set(names.split(",")) <= set(e.patterns.split(",")) for e in known_hosts.parse(data)
        )
        assert line.startswith(b"#") or line in wanted.lines or was_there


def shared_lines(data: bytes) -> None:
    mine = tuple(trust.user_trust(HOST, HOST.nova, ()).edit(_NONE, (), NOW).present)  # type: ignore[arg-type]
    once = lines.result(data, mine, ())
    assert lines.missing(once, mine) == ()
    assert lines.result(once, mine, ()) == once, "a second edit changes nothing"
    withdrawn = lines.result(once, (), mine)
    assert len(withdrawn) == len(once) and lines.withdrawals(withdrawn, mine) == ()


_NONE = authorized_keys.AuthorizedKeys(())


def accounts(data: bytes) -> None:
    first, _, second = data.partition(b"\n\n")
    found = passwd.account(first, second, "nova")
    assert not isinstance(found, Account) or found.name == "nova"
    passwd.password(first, "nova")
    passwd.memberships(second, first)


def mount_tables(data: bytes) -> None:
    table = mounts.mountinfo(data)
    mounts.mount_of(table, P("/var/lib/nova/instances"))
    mounts.expected_under(mounts.fstab(data), P("/var/lib/nova/instances"))
    mounts.mount_unit("var-lib-nova-instances.mount", data)
    list(sockets.listeners(data))


def nova_configuration(data: bytes) -> None:
    texts = [(P(f"/etc/nova/{n}"), t) for n, t in enumerate(data.split(b"\n---\n"))]
    environ = {"OS_DEFAULT__MY_IP": data[:40].decode("utf-8", "replace")}
    for around in ({}, environ):
        found = nova_conf.effective(
            nova_conf.parse(texts, around), hostname="h", route_address=None, release="26.2.2"
        )
        if isinstance(found, NovaConfig):
            assert found.instances_path.is_absolute() and "\0" not in str(found.instances_path)


def nova_log(data: bytes) -> None:
    """What is told of a log, an answer or a fault is printable, line by line."""
    told = nova_told.read([data], {"10.100.0.2": "compute2"})
    assert all(line.isprintable() for line in explain.history(told).split("\n"))
    explain.history_document(told)


def ssh_words(data: bytes) -> None:
    text = data.decode("utf-8", "backslashreplace")
    for tool in ("ssh", "scp", "rsync"):
        for code in (255, 1, None):
            failure = ssh_failure.classify(code, text[:200], text, tool)
            assert failure is not None and failure.detail.isprintable()
    ssh_output.client_config(text).one("user", "")
    server = ssh_output.server_config(text)
    assert all(isinstance(port, int) for port in server.ports)
    certificate.validity(text)


def public_keys(data: bytes) -> None:
    key = keys.read(data)
    if key is not None:
        assert keys.read(key.line.encode()) is not None and key.comment.isprintable()
        assert keys.fingerprint(key).startswith("SHA256:")
    text = data.decode("utf-8", "replace")
    parsed = keys.parse_public(text)
    assert parsed is None or parsed.line.isprintable()


def patterns(data: bytes) -> None:
    name, _, listed = data.partition(b"\n")
    matching.matches_list(name, listed)
    try:
        matching.in_networks(name.decode("utf-8", "replace"), listed.decode("utf-8", "replace"))
    except matching.InvalidList:
        pass
    canonical = matching.canonical_address(name.decode("utf-8", "replace"))
    assert canonical is None or matching.canonical_address(canonical) == canonical


def shown_text(data: bytes) -> None:
    assert visible_bytes(data).isprintable()
    assert visible(data.decode("utf-8", "replace"), 40).isprintable()


def whole_report(data: bytes) -> None:
    """Hostile files, records and ssh's words through every check: in no output do they drive a terminal or break a line."""
    first, _, rest = data.partition(b"\n--\n")
    second, _, third = rest.partition(b"\n--\n")
    text = third.decode("utf-8", "backslashreplace")
    failure = ssh_failure.classify(255, "", text, "ssh")
    assert failure is not None
    attempt = an_attempt(
        passed=(), stage=failure.stage, reason=failure.reason, detail=failure.detail
    )
    snapshot = a_host(
        peers=PEERS,
        files={KEYS: novas(first), SSH / "known_hosts": novas(second)},
        self_dials=(attempt,),
    )
    want = settings.Settings()
    results = verdict.settle(checks.evaluate(checks.catalogue(), snapshot, want), snapshot)
    assert not any(f.reason == "check_crashed" for r in results for f in r.findings)
    report = Report(
        host="compute1",
        scope=Scope.FULL,
        taken_at=NOW,
        valid_until=NOW + timedelta(minutes=3),
        duration_seconds=1.0,
        interrupted=False,
        results=results,
        peers=verdict.rows(snapshot, results, want, {}, frozenset()),
        plan=plan.make(results),
    )
    document = archive.dump(report)
    assert document.isascii()
    told = json.loads(document)
    printed = (render.text(report, render.Style()), html(told, NOW), metrics.text(told, NOW))
    for shown in printed:
        assert all(line.isprintable() for line in shown.split("\n"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        document,
        configuration,
        peer_record,
        records,
        accepted_keys,
        known_host_keys,
        shared_lines,
        accounts,
        mount_tables,
        nova_configuration,
        nova_log,
        ssh_words,
        public_keys,
        patterns,
        shown_text,
        whole_report,
    )
}
