"""`ringostat status`: each status by what the load log says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.commands.status import Status

from .calls import call
from .hostile import always, response
from .support import Setting, ringostat


def one_status(*arguments: str) -> dict:
    (row,) = json.loads(ringostat("status", "--json", *arguments).stdout)
    return row


def test_never_loaded(setting: Setting) -> None:
    assert one_status() == {
        "project_id": 11111,
        "project_name": "Clinic",
        "status": "never_loaded",
        "loaded_until": None,
        "hours_behind": None,
        "last_loaded_at": None,
        "last_error": None,
        "calls": 0,
        "first_call_at": None,
        "last_call_at": None,
    }
    assert setting.conn.execute("select to_regnamespace('ringostat_raw')").fetchone() == (None,)


def test_loaded_then_failed_then_loaded(setting: Setting) -> None:
    setting.project.calls = [call("2024-06-01T12:00:00+0300"), call("2024-06-02T12:00:00+0300")]
    ringostat("load")
    status = one_status()
    assert status["status"] == "loaded"
    assert status["calls"] == 2
    assert status["hours_behind"] <= 0.1
    assert status["first_call_at"] == "2024-06-01T09:00:00+00:00"
    assert status["last_call_at"] == "2024-06-02T09:00:00+00:00"
    assert status["last_error"] is None

    setting.api.fault = always(response("closed", status=403))
    ringostat("load")
    failed = one_status()
    assert failed["status"] == "failed"
    assert "not accepted" in failed["last_error"]
    assert failed["loaded_until"] == status["loaded_until"]
    assert failed["last_loaded_at"] == status["last_loaded_at"]

    setting.api.fault = lambda number, parameters: None
    ringostat("load")
    assert one_status()["status"] == "loaded"


def test_stale(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.load("--until", "2024-03-01")
    status = one_status()
    assert status["status"] == "stale"
    assert status["loaded_until"] == "2024-02-29T22:00:00+00:00"
    monkeypatch.setenv("RINGOSTAT_STALE_HOURS", "900000")
    assert one_status()["status"] == "loaded"
    monkeypatch.setenv("RINGOSTAT_STALE_HOURS", "soon")
    result = ringostat("status")
    assert result.exit_code == 2
    assert "RINGOSTAT_STALE_HOURS" in result.stderr


def test_a_gap_after_load_from_is_stale(setting: Setting) -> None:
    setting.load("--since", "2024-02-01")
    status = one_status()
    assert (status["status"], status["loaded_until"]) == ("stale", None)


def test_inactive(setting: Setting, seeds: Callable[..., Path]) -> None:
    setting.load("--until", "2024-03-01")
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,false")
    assert one_status()["status"] == "inactive"


def test_the_table(setting: Setting) -> None:
    setting.load("--until", "2024-03-01")
    result = ringostat("status")
    assert result.exit_code == 0
    for word in ("11111", "Clinic", "stale", "2024-02-29 22:00 UTC"):
        assert word in result.stdout


def test_the_fields_are_those_of_the_contract() -> None:
    assert set(Status.__dataclass_fields__) == {
        *("project_id", "project_name", "status", "loaded_until", "last_loaded_at", "last_error"),
        *("calls", "first_call_at", "last_call_at", "hours_behind"),
    }
