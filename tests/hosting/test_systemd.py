"""The units: systemd accepts them, and their sandbox is tight."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loader import ROOT

FOLDER = ROOT / "hosting/systemd"
SERVICE = (FOLDER / "ringostat.service").read_text(encoding="utf-8")
PROGRAM = "/opt/ringostat-marts/.venv/bin/ringostat run"

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with the program, the folder and the user of this machine, which systemd looks
    for."""
    service = SERVICE.replace(PROGRAM, f"{sys.executable} -m loader run")
    service = service.replace("=/opt/ringostat-marts", f"={ROOT}")
    service = service.replace("User=ringostat", f"User={getpass.getuser()}")
    (tmp_path / "ringostat.service").write_text(service)
    shutil.copy(FOLDER / "ringostat.timer", tmp_path)
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@needs_systemd
@pytest.mark.parametrize("name", ["ringostat.service", "ringostat.timer"])
def test_systemd_accepts_the_unit(units: Path, name: str) -> None:
    verified = analyze("verify", str(units / name))
    assert verified.returncode == 0, verified.stderr
    assert "ringostat." not in verified.stderr  # systemd warns of keys that it does not know


@needs_systemd
def test_a_slip_in_a_unit_is_noticed(units: Path) -> None:
    """So that the test above does not pass whatever a unit holds."""
    file = units / "ringostat.service"
    file.write_text(file.read_text().replace("ProtectHome=", "ProtectHom="))
    assert "ringostat.service" in analyze("verify", str(file)).stderr


@needs_systemd
def test_the_timer_runs_each_hour() -> None:
    (calendar,) = re.findall(
        r"^OnCalendar=(.+)$", (FOLDER / "ringostat.timer").read_text(), re.MULTILINE
    )
    shown = analyze("calendar", calendar).stdout
    assert "Normalized form: *-*-* *:00:00" in shown


@needs_systemd
def test_the_service_can_do_little_else(units: Path) -> None:
    """By systemd's own measure, from 0 to 10; without its sandbox the service has above 9."""
    rated = analyze(
        "security", "--offline=true", "--threshold=30", str(units / "ringostat.service")
    )
    assert rated.returncode == 0, rated.stdout[-300:]


def test_no_key_is_in_the_unit() -> None:
    assert "EnvironmentFile=/etc/ringostat.env" in SERVICE
    assert not re.search(r"KEY|PASSWORD|SECRET", SERVICE)
    assert f"ExecStart={PROGRAM}\n" in SERVICE
