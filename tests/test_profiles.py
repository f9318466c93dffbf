"""Which layout a host has, from what speaks for one or another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath as P

import pytest

from agent import checks, profiles
from agent.checks import account, layout, sshd
from agent.model import (
    PACKAGE,
    Absent,
    Account,
    Finding,
    HaveLines,
    Layout,
    Login,
    Outcome,
    Seat,
    SetShell,
    Unreadable,
    frozen,
)
from agent.profiles import Dwelling, Evidence, decide
from agent.settings import Settings, parse
from tests.hosts import a_directory, a_file, a_host, a_server

COMPUTE, SSH = Seat(100, 4026532001), Seat(200, 4026532002)
KOLLA = Evidence(
    compute_here=False,
    computes=(Dwelling(COMPUTE),),
    sshds=(Dwelling(SSH, ports=(8022,)),),
    kolla="/etc/kolla/nova-compute",
)
RDO = Evidence(compute_here=True, logs_in_as="nova_migration")
PLAIN = Evidence(compute_here=True)
NOTHING = Evidence(compute_here=False)
APART = Dwelling(COMPUTE, "a network of its own", apart=True)
MIGRATION = Account("nova_migration", 981, 978, P("/"), P("/bin/bash"), (978,), ("nova_migration",))


def wanted(text: str) -> Settings:
    return parse([("agent.yaml", text.encode())])


@pytest.mark.parametrize(
    ("seen", "text", "profile"),
    [
        (PLAIN, "", "package"),
        (NOTHING, "", "package"),
        (KOLLA, "", "kolla"),
        (RDO, "", "rdo"),
        (replace(RDO, compute_here=False), "", "rdo"),
        (replace(RDO, logs_in_as="nova"), "", "package"),
        (RDO, "profile: package", "package"),
        (PLAIN, "profile: custom", "custom"),
        (replace(PLAIN, computes=(APART,)), "", "package"),
        (replace(RDO, computes=(APART,)), "", "rdo"),
        (replace(NOTHING, computes=(APART,)), "profile: package", "package"),
        (replace(KOLLA, kolla=""), "client: {run: nsenter}", "custom"),
        (replace(PLAIN, kolla="/etc/kolla/nova-ssh"), "", "package"),
    ],
)
def test_a_layout_is_told_by_where_nova_compute_lives(
    seen: Evidence, text: str, profile: str
) -> None:
    found = decide(seen, wanted(text))

    assert isinstance(found, Layout) and found.profile == profile and found.why


@pytest.mark.parametrize(
    ("seen", "text", "why"),
    [
        (replace(KOLLA, kolla=""), "", "not known"),
        (replace(NOTHING, computes=(APART,)), "", "not known"),
        (KOLLA, "profile: package", "the profile says on the host"),
        (KOLLA, "profile: rdo", "the profile says on the host"),
        (KOLLA, "client: {run: exec}", "client.container does not say"),
        (PLAIN, "profile: kolla", "runs in none"),
        (NOTHING, "profile: kolla", "runs in none"),
        (replace(NOTHING, kolla="/etc/kolla/nova-compute"), "", "runs nowhere"),
        (replace(KOLLA, compute_here=True), "", "on this host and in a container"),
        (replace(KOLLA, computes=(Dwelling(COMPUTE), Dwelling(SSH))), "", "2 containers"),
        (replace(KOLLA, computes=(Dwelling(COMPUTE, "no way in"),)), "", "no way in"),
        (replace(RDO, logs_in_as=Unreadable("only root can ask")), "", "only root can ask"),
        (
            replace(KOLLA, sshds=(Dwelling(SSH, ports=(8022,)), Dwelling(COMPUTE, ports=(8022,)))),
            "",
            "2 containers have an sshd",
        ),
    ],
)
def test_what_cannot_be_told_is_unknown_and_never_taken_for_a_package(
    seen: Evidence, text: str, why: str
) -> None:
    found = decide(seen, wanted(text))

    assert isinstance(found, Unreadable) and why in found.reason


def test_kolla_has_nova_and_its_sshd_in_two_containers_and_a_port_of_its_own() -> None:
    found = decide(KOLLA, Settings())

    assert isinstance(found, Layout)
    assert (found.client, found.server, found.port, found.login) == (COMPUTE, SSH, 8022, "nova")
    assert found.split and found.owner == "Kolla" and not found.server_missing


def test_among_several_containers_the_port_tells_which_sshd_is_meant() -> None:
    others = (Dwelling(Seat(300, 1), ports=(22,)), *KOLLA.sshds)

    found = decide(replace(KOLLA, sshds=others), Settings())

    assert isinstance(found, Layout) and found.server == SSH


def test_a_container_without_its_sshd_is_a_fault_of_the_destination() -> None:
    found = decide(replace(KOLLA, sshds=()), Settings())

    assert isinstance(found, Layout) and "port 8022" in found.server_missing
    host = a_host(layout=found, server=Unreadable(found.server_missing), listening=())
    (finding,) = sshd.CHECK.evaluate(host, Settings())
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "sshd_not_running")


def test_a_custom_layout_says_where_each_side_lives() -> None:
    text = "profile: custom\nclient: {run: nsenter}\nserver: {run: host, user: tester, port: 2022}"

    found = decide(replace(KOLLA, kolla=""), wanted(text))

    assert isinstance(found, Layout)
    assert (found.client, found.server, found.login, found.port) == (COMPUTE, None, "tester", 2022)
    assert found.owner == "" and "agent.yaml:1" in found.why


def test_the_engine_s_own_exec_is_asked_where_it_is_named() -> None:
    text = "client: {run: exec, container: nova_compute}"

    found = decide(KOLLA, wanted(text))

    assert isinstance(found, Layout)
    assert (found.profile, found.container, found.client) == ("kolla", "nova_compute", COMPUTE)


def test_the_report_says_which_layout_and_why() -> None:
    (finding,) = layout.CHECK.evaluate(a_host(), Settings())

    assert finding.outcome is Outcome.PASS
    assert finding.message == f"package: {PACKAGE.why}"


def test_a_layout_that_cannot_be_told_leaves_both_roles_unknown() -> None:
    host = a_host(layout=Unreadable("nova-compute runs in 2 containers"))

    (finding,) = layout.CHECK.evaluate(host, Settings())

    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "layout_unclear")


def separate_login(**changes: object) -> Login:
    keys = P("/etc/nova/migration/authorized_keys")
    files = {
        keys: a_file(b"", mode=0o640, gid=978),
        P("/"): a_directory(),
        P("/bin/bash"): a_file(mode=0o755),
    }
    login = Login(MIGRATION, a_host().password, frozen(files), frozen({}))
    return replace(login, **changes)


def rdo_host(login: Login) -> object:
    told = decide(RDO, Settings())
    assert isinstance(told, Layout)
    server = a_server(authorizedkeysfile="/etc/nova/migration/authorized_keys")
    return a_host(layout=told, login=login, server=server)


def test_a_check_of_the_login_judges_the_account_that_peers_log_in_as() -> None:
    results = checks.evaluate(checks.catalogue(), rdo_host(separate_login()), Settings())

    messages = {r.check.id: [f.message for f in r.findings] for r in results}
    subjects = {r.check.id: {f.subject for f in r.findings} for r in results}
    assert "user nova_migration" in subjects["login_shell"]
    assert "user nova" in subjects["nova_user"]
    assert any(
        "nobody's key is accepted for nova_migration" in m for m in messages["authorized_keys"]
    )


def test_an_account_to_log_in_as_that_does_not_exist_is_a_fault() -> None:
    host = rdo_host(separate_login(account=Absent()))

    (result,) = checks.evaluate((account.CHECK,), host, Settings())

    (finding,) = result.findings
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "no_login_user")


OURS = HaveLines(P("/etc/nova/migration/authorized_keys"), (b"key",), (), 0o600, 0, 0, None)
NOVAS = HaveLines(P("/var/lib/nova/instances/x"), (b"key",), (), 0o600, 0, 0, None)
SHELL = SetShell("nova", P("/bin/bash"), P("/bin/false"))


@pytest.mark.parametrize(
    ("seen", "action", "planned"),
    [
        (PLAIN, OURS, True),
        (RDO, OURS, False),
        (RDO, NOVAS, True),
        (RDO, SHELL, True),
        (KOLLA, NOVAS, False),
        (KOLLA, SHELL, False),
    ],
)
def test_what_a_deployer_owns_is_told_and_not_planned(
    seen: Evidence, action: HaveLines, planned: bool
) -> None:
    told = decide(seen, Settings())
    before = Finding("x", Outcome.FAIL, "is wrong", "strict_modes", fix=(action,))

    (after,) = profiles.withheld([before], told)

    assert (after.outcome, after.reason) == (before.outcome, before.reason)
    assert after.fix == ((action,) if planned else ())
    assert planned or "owns this" in str(after.remedy)


def test_a_site_may_have_it_repaired_all_the_same() -> None:
    told = decide(RDO, wanted("deployer_files: repair"))

    (after,) = profiles.withheld([Finding("x", Outcome.FAIL, "y", fix=(OURS,))], told)

    assert after.fix == (OURS,)


@pytest.mark.parametrize(("action", "planned"), [(NOVAS, True), (SHELL, False), (OURS, False)])
def test_what_a_new_container_would_be_without_is_not_written(
    action: HaveLines, planned: bool
) -> None:
    told = decide(KOLLA, wanted("deployer_files: repair"))

    (after,) = profiles.withheld([Finding("x", Outcome.FAIL, "y", fix=(action,))], told)

    assert after.fix == ((action,) if planned else ())
    assert planned or "image" in str(after.remedy)


def test_the_port_of_the_layout_is_the_one_that_peers_dial() -> None:
    told = decide(KOLLA, Settings())

    assert a_host(layout=told, listening=(22, 8022)).port == 8022
    assert a_host(listening=(8022, 22)).port == 22
