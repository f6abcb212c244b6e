"""The recipes of docs/forms.md, where they can be run here."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
import requests

from loader import ROOT

PAGE = (ROOT / "docs/forms.md").read_text(encoding="utf-8")
PROJECTS = (
    "project_id,project_name,auth_key_env,time_zone,kpi_mode,load_from,is_active\n"
    "11111,Clinic,,Europe/Kyiv,,2024-01-01,true\n"
)
FORM = {"form_id": "f1", "submitted_at": "2024-03-01 12:00:00", "name": "Їжак"}
SECRET = "secret-of-the-tests-7d2a"


def block(name: str) -> str:
    """The code block that the comment `name` marks."""
    (found,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "projects.csv").write_text(PROJECTS)
    monkeypatch.setenv("RINGOSTAT_SEEDS", str(tmp_path))
    monkeypatch.setenv("RINGOSTAT_FORMS_SECRET", SECRET)


def test_the_collector(
    seeds: None, conn: psycopg.Connection, warehouse: dict[str, str], tmp_path: Path
) -> None:
    program = block("collector")
    assert len(program.strip().splitlines()) <= 25
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "8767" in program
    url = f"http://127.0.0.1:{port}/"
    file = tmp_path / "forms.jsonl"
    for torn in ("", '{"form_id": '):
        file.write_text(torn)
        collecting = subprocess.Popen(
            [sys.executable, "-c", program.replace("8767", str(port))],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
        )
        try:
            _wait_for(port)
            assert requests.post(url + SECRET, json=FORM, timeout=30).status_code == 200
            assert requests.post(url + "wrong", json=FORM, timeout=30).status_code == 404
        finally:
            collecting.kill()
            _, errors = collecting.communicate()
        assert SECRET.encode() not in errors
        assert [line for line in file.read_text().splitlines() if line != torn] == [
            json.dumps(FORM)
        ]
        imported = subprocess.run(
            [sys.executable, "-m", "loader", "forms", "import", str(file), "--project", "11111"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        assert imported.returncode == bool(torn), imported.stderr
    assert conn.execute("select payload from ringostat_raw.forms").fetchall() == [(FORM,)]


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=30).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < until
            threading.Event().wait(0.05)


@pytest.mark.embedded
def test_the_line_of_the_crontab(
    seeds: None, conn: psycopg.Connection, warehouse: dict[str, str], tmp_path: Path
) -> None:
    """cron's shell runs it; only what has landed, and is old, is deleted."""
    folder = tmp_path / "forms" / "11111"
    folder.mkdir(parents=True)
    for name in ("2024-03-01.jsonl", "2024-03-02.jsonl", "unreadable.jsonl"):
        (folder / name).write_text(json.dumps({**FORM, "form_id": name}) + "\n")
    for name in ("2024-03-01.jsonl", "unreadable.jsonl"):
        os.utime(folder / name, (0, 0))
    line = block("crontab").split(None, 5)[5]
    for written, here in (
        ("/opt/ringostat-marts", str(ROOT)),
        ("/etc/ringostat.env", "/dev/null"),
        ("/var/lib/ringostat/forms", str(tmp_path / "forms")),
        (".venv/bin/ringostat", f"{sys.executable} -m loader"),
    ):
        assert written in line
        line = line.replace(written, here)
    (folder / "2024-03-02.jsonl").write_text("{\n")
    assert subprocess.run(["sh", "-c", line], check=False, capture_output=True).returncode == 1
    assert len(list(folder.iterdir())) == 3
    (folder / "2024-03-02.jsonl").write_text(json.dumps(FORM) + "\n")
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["2024-03-02.jsonl", "unreadable.jsonl"]
    assert len(conn.execute("select from ringostat_raw.forms").fetchall()) == 2


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_the_unit(tmp_path: Path) -> None:
    unit = block("unit")
    program = "/opt/ringostat-marts/.venv/bin/ringostat forms serve"
    assert f"ExecStart={program} --folder /var/lib/ringostat/forms\n" in unit
    # systemd looks for the program, the folder and the user on this machine.
    unit = unit.replace(program, f"{sys.executable} -m loader forms serve")
    unit = unit.replace("/opt/ringostat-marts", str(ROOT)).replace("User=ringostat\n", "")
    file = tmp_path / "ringostat-forms.service"
    file.write_text(unit)
    run = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "ringostat-forms" not in run.stderr
