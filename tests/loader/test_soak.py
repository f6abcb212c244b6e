"""A long load through an unreliable network: equal to the source, and flat in memory."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from loader import ROOT

from .calls import calls_every
from .hostile import response, shuffled
from .support import Setting

FAULTS = [
    b"",
    response("[]", length=500),
    response("busy", status=503),
    response("slow down", status=429, Retry_After="1"),
    response("<html>502</html>"),
    response('[{"calldate": "2024'),
    response(""),
]


@pytest.mark.slow
def test_300_000_calls_through_faults(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "1500")
    start = datetime(2024, 1, 1)
    calls = calls_every(timedelta(seconds=100), start, start + timedelta(seconds=100 * 300_000))
    for row in calls:
        row["landing"] = f"https://shop.example/?utm_campaign={row['uniqueid']}{'x' * 500}"
    setting.project.calls = calls
    setting.sandbox.row_cap = 1500
    setting.api.fault = shuffled(FAULTS, share=0.1, seed=1)

    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            # The pauses between attempts are left out; nothing else is.
            "import urllib3.util.retry as r, types, time;"
            "r.time = types.SimpleNamespace(sleep=lambda s: None, time=time.time);"
            "from loader.commands.cli import main;"
            "main(['load', '--until', '2024-12-13 21:20:00'])",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peaks: list[int] = []
    steady = setting.api.fault

    def fault(number: int, parameters: dict[str, str]) -> bytes | None:
        peaks.append(_peak_kilobytes(child.pid))
        return steady(number, parameters)

    setting.api.fault = fault
    output, _ = child.communicate(timeout=900)
    assert child.returncode == 0, output

    assert dict(setting.raw()) == {row["uniqueid"]: row for row in calls}
    quarter = len(peaks) // 4
    assert max(peaks[-quarter:]) <= 1.1 * max(peaks[quarter : 2 * quarter])
    assert max(peaks) <= 150 * 1024


def _peak_kilobytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
