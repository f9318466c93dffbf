"""The packages are built from this tree, are complete, and say nothing a packager would object to."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import agent

SOURCE = Path(__file__).resolve().parents[2]
UNITS = ("resize-agent.service", "resize-agent-exporter.service", "resize-agent-fix.service")
SHIPPED = {
    "/usr/bin/agent",
    "/etc/resize-agent/agent.yaml",
    "/etc/resize-agent/conf.d",
    "/etc/resize-agent/peers.d",
    "/usr/lib/tmpfiles.d/resize-agent.conf",
    "/usr/share/man/man1/agent.1.gz",
    "/usr/share/man/man5/resize-agent.yaml.5.gz",
    "/usr/share/man/man5/resize-agent-peer.5.gz",
    "/usr/share/bash-completion/completions/agent",
    "/usr/share/doc/resize-agent/install.md",
    "/usr/share/doc/resize-agent/examples/systemd/instances-path.conf",
    "/usr/share/doc/resize-agent/examples/ansible/roles/resize_agent/tasks/main.yml",
}
STATE = {"run/resize-agent": 0o700, "var/lib/resize-agent": 0o755}
# Directories that every package may share, and nothing else outside our own.
OURS = re.compile(
    r"/usr/bin/agent|/etc/resize-agent(/.*)?|/usr/share/resize-agent(/.*)?|(/usr)?/lib/systemd/.*"
    r"|/usr/share/python3/runtime\.d/resize-agent\.rtupdate"  # has the modules compiled anew for a new Python
    r"|/usr/lib/tmpfiles\.d/resize-agent\.conf|/usr/share/(doc|licenses|lintian|man|bash-completion|zsh)/.*"
)


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")


def said_by(*argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout + done.stderr


def built(kind: str, out: Path) -> Path:
    subprocess.run([SOURCE / "packaging" / "build", kind, out], check=True)
    [package] = out.glob(f"*.{kind}")
    return package


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("dpkg-buildpackage", "dh", "dh_python3")
    return built("deb", tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("rpmbuild", "rpm")
    return built("rpm", tmp_path_factory.mktemp("rpm"))


def modules() -> set[str]:
    kept = (SOURCE / "agent").rglob("*")
    return {
        f"/usr/share/resize-agent/{path.relative_to(SOURCE)}"
        for path in kept
        if path.suffix in (".py", ".json")
    }


def of_deb(package: Path) -> set[str]:
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True)
    rows = (line.split(maxsplit=5) for line in listed.stdout.splitlines())
    return {row[5].lstrip(".").rstrip("/") for row in rows} - {""}


def test_deb_has_every_module_and_file(deb: Path):
    files = of_deb(deb)

    units = {f"/lib/systemd/system/{unit}" for unit in (*UNITS, "resize-agent-fix.timer")}
    assert modules() | SHIPPED | units <= files
    assert not [f for f in files if "__pycache__" in f or "/." in f or f.endswith(".pyc")]


def test_deb_puts_nothing_elsewhere(deb: Path):
    files = of_deb(deb)
    parents = {str(parent) for file in files for parent in Path(file).parents}

    assert [file for file in files - parents if not OURS.fullmatch(file)] == []


def test_deb_has_the_programs_version_and_the_old_compression(deb: Path):
    fields = said_by("dpkg-deb", "-f", deb, "Version", "Architecture")

    assert fields == f"Version: {agent.__version__}\nArchitecture: all\n"
    assert "data.tar.xz" in said_by("ar", "t", deb)  # Debian 11 reads no zstd


def test_configuration_is_a_conffile(deb: Path):
    assert said_by("dpkg-deb", "-I", deb, "conffiles") == "/etc/resize-agent/agent.yaml\n"


def test_lintian_is_silent(deb: Path):
    needs("lintian")
    root = ["--allow-root"] if os.geteuid() == 0 else []

    assert said_by("lintian", *root, "--display-info", deb) == ""


def test_rpm_has_every_module_and_file(rpm: Path):
    files = set(said_by("rpm", "-qlp", rpm).splitlines())

    units = {f"/usr/lib/systemd/system/{unit}" for unit in (*UNITS, "resize-agent-fix.timer")}
    assert modules() | SHIPPED | units <= files
    assert said_by("rpm", "-qp", "--qf", "%{VERSION} %{ARCH}", rpm) == f"{agent.__version__} noarch"
    assert "/etc/resize-agent/agent.yaml" in said_by("rpm", "-qcp", rpm).splitlines()


def test_rpmlint_is_silent(rpm: Path):
    needs("rpmlint")
    config = SOURCE / "packaging" / "rpm" / "rpmlint.toml"

    assert "0 errors, 0 warnings" in said_by("rpmlint", "-c", config, rpm)


def test_rpm_scripts_are_there_where_a_distributions_macros_are_not(rpm: Path):
    scripts = said_by("rpm", "-qp", "--scripts", rpm)

    for word in ("systemctl preset", "daemon-reload", "try-restart", "disable --now"):
        assert word in scripts


def floors(text: str, pattern: str) -> dict[str, str]:
    """The oldest version that is asked for, by the library's name without what distributions put around it."""
    found = re.findall(pattern, text, re.MULTILINE)
    return {
        re.sub(r"^(python3-)?(py(?=yaml))?", "", name.lower()).replace("_", "-"): v
        for name, v in found
    }


def test_all_packages_ask_for_the_same_libraries():
    project = (SOURCE / "pyproject.toml").read_text().partition("dependencies = [")[2]
    wheel = floors(project.partition("]")[0], r'"([A-Za-z-]+)>=([0-9.]+)"')
    control = (SOURCE / "packaging/debian/control").read_text()
    spec = (SOURCE / "packaging/rpm/resize-agent.spec").read_text()

    assert set(wheel) == {"yaml", "prometheus-client", "psutil", "paramiko"}
    assert floors(control, r"(python3-\S+) \(>= ([0-9.]+)\)") == wheel
    assert floors(spec, r"^Requires: +(python3-\S+) >= ([0-9.]+)$") == wheel
    assert "python3 (>= 3.9)" in control and "python3 >= 3.9" in spec


def test_directories_of_runs_outside_the_units(tmp_path: Path):
    needs("systemd-tmpfiles")
    file = SOURCE / "systemd" / "resize-agent.tmpfiles"

    assert said_by("systemd-tmpfiles", f"--root={tmp_path}", "--create", file) == ""

    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in STATE}
    assert modes == STATE


@pytest.mark.parametrize("unit", [*UNITS, "resize-agent-fix.timer"])
def test_systemd_understands_every_word_of_a_unit(unit: str, tmp_path: Path):
    needs("systemd-analyze")
    # It looks whether the program is there; on this machine it is not installed.
    for each in (SOURCE / "systemd").glob("resize-agent*.[st]*"):
        text = each.read_text().replace("/usr/bin/agent", "/bin/true")
        (tmp_path / each.name).write_text(text)

    # An unknown key alone does not change the exit status: any word is one too many.
    assert said_by("systemd-analyze", "verify", "--man=no", tmp_path / unit) == ""


@pytest.mark.parametrize(
    ("unit", "most"), [("resize-agent.service", 2.8), ("resize-agent-exporter.service", 1.2)]
)
def test_exposure(unit: str, most: float):
    needs("systemd-analyze")

    said = said_by("systemd-analyze", "security", "--offline=true", SOURCE / "systemd" / unit)

    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= most


@pytest.mark.parametrize("unit", UNITS)
def test_no_condition_keeps_a_unit_off_in_silence(unit: str):
    text = (SOURCE / "systemd" / unit).read_text()

    assert not re.search(r"^Condition", text, re.MULTILINE)


def test_examples_are_understood(tmp_path: Path):
    needs("systemd-analyze")
    shutil.copytree(SOURCE / "systemd" / "examples", tmp_path / "examples")
    for name in ("resize-agent.service", "resize-agent-exporter.service"):
        text = (SOURCE / "systemd" / name).read_text().replace("/usr/bin/agent", "/bin/true")
        (tmp_path / name).write_text(text)
    for example in (tmp_path / "examples").iterdir():
        text = example.read_text().replace("/usr/bin/agent", "/bin/true")
        [target] = set(re.findall(r"/etc/systemd/system/(resize-agent\S*\.service)\.d/", text))
        (tmp_path / f"{target}.d").mkdir(exist_ok=True)
        (tmp_path / f"{target}.d" / example.name).write_text(text)

    for name in ("resize-agent.service", "resize-agent-exporter.service"):
        assert said_by("systemd-analyze", "verify", "--man=no", tmp_path / name) == ""


@pytest.mark.slow
def test_wheel_and_sdist_hold_the_whole_program(tmp_path: Path):
    needs("pip")
    venv = tmp_path / "venv"
    subprocess.run(["python3", "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "-q", "install", "build"], check=True)
    env = {**os.environ, "PYTHON": str(venv / "bin" / "python")}
    subprocess.run([SOURCE / "packaging" / "build", "wheel", tmp_path / "out"], check=True, env=env)

    [wheel] = (tmp_path / "out").glob("*.whl")
    [sdist] = (tmp_path / "out").glob("*.tar.gz")
    subprocess.run([venv / "bin" / "pip", "-q", "install", wheel], check=True)

    assert said_by(venv / "bin" / "agent", "--version") == f"resize-agent {agent.__version__}\n"
    assert "report.json" not in said_by(venv / "bin" / "agent", "--list-checks")
    listed = said_by("tar", "-tzf", sdist)
    for part in (
        "agent/report.schema.json",
        "systemd/resize-agent.service",
        "packaging/man/agent.1",
    ):
        assert f"/{part}\n" in listed
