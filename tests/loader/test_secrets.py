"""What a failing, verbose run writes anywhere holds no key and no recording link."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from loader import ROOT

from .calls import calls_every
from .hostile import Fault, always, once, response
from .support import KEY, Setting

RECORDING = "https://app.example/recordings/secret-recording.ogg?token=secret-token"


def everything_in(conn: psycopg.Connection) -> str:
    """All that the schema ringostat_raw holds, as text."""
    tables = conn.execute(
        "select table_name from information_schema.tables where table_schema = 'ringostat_raw'"
    ).fetchall()
    return "\n".join(
        str(conn.execute(f"select x::text from ringostat_raw.{table} as x").fetchall())
        for (table,) in tables
    )


FAULTS: dict[str, Fault] = {
    "401 that repeats the key": always(response(f"unknown key {KEY}", status=401)),
    "500 that repeats the key": always(response(f"<h1>{KEY}</h1> {RECORDING}", status=500)),
    "object that repeats the key": always(response(f'{{"error": "{KEY}", "at": "{RECORDING}"}}')),
    "cut-off call": always(response(f'[{{"recording": "{RECORDING}", "note": "{KEY}')),
    "redirect with the key": always(response(KEY, status=302, Location=f"http://x/?{KEY}")),
    "reset": always(b""),
    "no HTTP": always(f"{KEY}\r\n\r\n".encode()),
    "header of no length": always(response(KEY, length=-1)),
    "odd calls": once(
        response([{"calldate": KEY[:4], "uniqueid": n, "recording": RECORDING} for n in range(4)])
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_verbose_run_tells_no_secret(setting: Setting, fault: Fault) -> None:
    setting.api.fault = fault
    # In a process of its own: what its libraries print is seen too, and the pauses are real,
    # so one attempt must do.
    code = (
        "import loader.api, loader.commands.cli, sys;"
        "loader.api._ATTEMPTS = 1;"
        "loader.commands.cli.main(sys.argv[1:])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, "-v", "load", "--until", "2024-01-02"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    command_line = Path(f"/proc/{child.pid}/cmdline")
    listing = command_line.read_text() if command_line.exists() else ""
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 1, output
    assert "DEBUG" in output
    assert "Traceback" not in output
    for text in (listing, output, everything_in(setting.conn)):
        assert KEY not in text
        assert "secret-" not in text
    assert all(KEY not in str(request) for request in setting.api.requests)


def test_a_good_verbose_run_tells_no_secret(setting: Setting, monkeypatch) -> None:
    from datetime import datetime, timedelta

    monkeypatch.setenv("RINGOSTAT_RECORDINGS", "1")
    setting.project.calls = calls_every(
        timedelta(hours=9), datetime(2024, 5, 1), datetime(2024, 5, 9), recording=RECORDING
    )
    output = subprocess.run(
        [sys.executable, "-m", "loader", "-v", "load", "--until", "2024-06-01"],
        cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    for text in (output.stdout, output.stderr):
        assert KEY not in text
        assert "secret-" not in text
    assert KEY not in everything_in(setting.conn)
    assert setting.raw("payload ->> 'recording'")[0] == (RECORDING,)


def test_tls_cannot_be_turned_off() -> None:
    source = "".join(path.read_text() for path in (ROOT / "loader").glob("*.py"))
    assert "verify" not in source
