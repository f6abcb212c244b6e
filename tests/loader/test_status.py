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


@pytest.fixture
def build(setting: Setting) -> Callable[[], None]:
    """`build()` takes what has landed into tables like those of dbt."""
    setting.conn.execute(
        """
        create schema ringostat_staging;
        create schema ringostat_intermediate;
        create table ringostat_staging.stg_ringostat__calls
            (project_id bigint, call_at timestamptz, loaded_at timestamptz, staged_at timestamptz);
        create table ringostat_intermediate.int_contacts (
            project_id bigint, conversion_type text, occurred_at timestamptz,
            staged_at timestamptz, written_at timestamptz
        );
        create table ringostat_intermediate.int_conversions_daily
            (project_id bigint, conversion_date date, written_at timestamptz);
        """
    )

    def run() -> None:
        setting.conn.execute(
            """
            truncate
                ringostat_staging.stg_ringostat__calls,
                ringostat_intermediate.int_contacts,
                ringostat_intermediate.int_conversions_daily;
            insert into ringostat_staging.stg_ringostat__calls
            select project_id, call_at, loaded_at, loaded_at from ringostat_raw.calls;
            insert into ringostat_intermediate.int_contacts
            select project_id, 'call', call_at, loaded_at, loaded_at from ringostat_raw.calls;
            insert into ringostat_intermediate.int_conversions_daily
            select project_id, null, max(loaded_at) from ringostat_raw.calls group by project_id;
            """
        )

    return run


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
        "built_until": None,
        "tracking_findings": None,
    }
    assert setting.conn.execute("select to_regnamespace('ringostat_raw')").fetchone() == (None,)


def test_loaded_then_failed_then_loaded(setting: Setting, build: Callable[[], None]) -> None:
    setting.project.calls = [call("2024-06-01T12:00:00+0300"), call("2024-06-02T12:00:00+0300")]
    ringostat("load")
    build()
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


def test_stale(
    setting: Setting, build: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_gap_after_load_from_is_stale(setting: Setting, build: Callable[[], None]) -> None:
    setting.load("--since", "2024-02-01")
    status = one_status()
    assert (status["status"], status["loaded_until"]) == ("stale", None)


def test_what_no_build_has_taken_is_not_built(setting: Setting, build: Callable[[], None]) -> None:
    first, second = call("2024-06-01T12:00:00+0300"), call("2024-06-02T12:00:00+0300")
    setting.project.calls = [first, second]
    setting.load()
    before = one_status()
    assert (before["status"], before["built_until"]) == ("not_built", None)
    build()
    built = one_status()
    assert (built["status"], built["built_until"]) == ("stale", built["loaded_until"])

    setting.project.calls = [first, {**second, "disposition": "BUSY"}]
    setting.load()
    changed = one_status()
    assert changed["status"] == "not_built"
    assert changed["built_until"] == "2024-06-02T09:00:00+00:00"
    build()
    assert one_status()["status"] == "stale"

    # a build that failed after int_contacts: the later call waits, a form is no call
    setting.conn.execute(
        """
        update ringostat_intermediate.int_contacts set written_at = written_at + interval '1 second'
        where occurred_at >= '2024-06-02';
        insert into ringostat_intermediate.int_contacts
        values (11111, 'form', '2024-05-01', '2024-05-01', '3000-01-01');
        """
    )
    waiting = one_status()
    assert waiting["status"] == "not_built"
    assert waiting["built_until"] == "2024-06-02T09:00:00+00:00"
    build()
    assert one_status()["status"] == "stale"

    # staged, and no further: a build that failed in between
    setting.conn.execute("delete from ringostat_intermediate.int_contacts")
    assert one_status()["status"] == "not_built"


def test_without_marts_nothing_is_built(setting: Setting) -> None:
    setting.load()
    status = one_status()
    assert (status["status"], status["built_until"]) == ("not_built", None)


def test_marts_of_an_earlier_version_are_not_built(
    setting: Setting, build: Callable[[], None]
) -> None:
    setting.load()
    build()
    setting.conn.execute("alter table ringostat_staging.stg_ringostat__calls drop staged_at")
    status = one_status()
    assert (status["status"], status["built_until"]) == ("not_built", None)


def test_inactive(setting: Setting, seeds: Callable[..., Path]) -> None:
    setting.load("--until", "2024-03-01")
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,false")
    assert one_status()["status"] == "inactive"


def test_a_line_in_a_pipe_is_whole_and_in_the_zone_of_the_project(
    setting: Setting, build: Callable[[], None]
) -> None:
    setting.load("--until", "2024-03-01")
    error = "word " * 60 + "end"
    setting.conn.execute("update ringostat_raw.load_state set error = %s", [error])
    result = ringostat("status")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.startswith("11111 Clinic: stale; loaded until 2024-03-01 00:00 EET (")
    assert "; in the marts until 2024-03-01 00:00 EET; 0 calls; " in line
    assert line.endswith(error)


def test_the_table_of_a_terminal(
    setting: Setting, build: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setenv("COLUMNS", "300")
    setting.load("--until", "2024-03-01")
    shown = ringostat("status").stdout
    for word in ("11111 Clinic", "stale", "2024-03-01 00:00 EET", "in the marts until"):
        assert word in shown


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("text", ["a[/]b", "400 [/b] x", "[bold red]x", ":house: y"])
def test_text_is_shown_as_it_is(
    setting: Setting,
    seeds: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    is_terminal: bool,
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", is_terminal)
    monkeypatch.setenv("COLUMNS", "300")
    setting.load("--until", "2024-03-01")
    setting.conn.execute("update ringostat_raw.load_state set error = %s", [text])
    seeds(f"11111,{text},,Europe/Kyiv,,2024-01-01,true")
    result = ringostat("status")
    assert result.exit_code == 0
    assert result.stdout.count(text) == 2


def test_check_names_each_project_that_needs_somebody(
    setting: Setting, build: Callable[[], None], seeds: Callable[..., Path]
) -> None:
    ringostat("load")
    healthy = ringostat("status", "--check")
    assert (healthy.exit_code, healthy.stdout) == (0, "")
    seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true",
        "22222,Salon,,Asia/Almaty,,2024-01-01,true",
        "33333,Closed,,Asia/Almaty,,2024-01-01,false",
    )
    ill = ringostat("status", "--check")
    assert ill.exit_code == 1
    (line,) = ill.stdout.splitlines()
    assert line.startswith("22222 Salon: never_loaded; loaded until never; ")
    assert ringostat("status").exit_code == 0
    seen = ringostat("status", "--check", "--json")
    assert [row["project_id"] for row in json.loads(seen.stdout)] == [22222]
    assert seen.exit_code == 1


def test_without_projects_it_names_connect(setting: Setting, seeds: Callable[..., Path]) -> None:
    seeds()
    result = ringostat("status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "`ringostat connect`" in result.stderr
    assert ringostat("status", "--check").exit_code == 1


@pytest.fixture
def health(setting: Setting) -> Callable[..., None]:
    """`health((project, status), …)` is what `rpt_tracking_health` finds."""
    setting.conn.execute(
        "create schema ringostat_marts;"
        "create table ringostat_marts.rpt_tracking_health (project_id bigint, status text)"
    )

    def write(*rows: tuple[int, str]) -> None:
        setting.conn.execute("truncate ringostat_marts.rpt_tracking_health")
        for row in rows:
            setting.conn.execute(
                "insert into ringostat_marts.rpt_tracking_health values (%s, %s)", row
            )

    return write


def test_findings_of_the_tracking_are_counted(
    health: Callable[..., None], seeds: Callable[..., Path]
) -> None:
    seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true",
        "22222,Salon,,Asia/Almaty,,2024-01-01,true",
    )
    health(*((11111, word) for word in ("silent", "visits_dropped", "ok", "new", "too_few")))
    result = ringostat("status")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == [
        "tracking: 2 findings in ringostat_marts.rpt_tracking_health"
    ]
    rows = json.loads(ringostat("status", "--json").stdout)
    assert [row["tracking_findings"] for row in rows] == [2, 0]
    health((22222, "silent"))
    assert "\ntracking: 1 finding in" in ringostat("status").stdout
    seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true",
        "22222,Salon,,Asia/Almaty,,2024-01-01,false",
    )
    assert "\ntracking: 0 findings in" in ringostat("status").stdout
    health()
    assert "\ntracking: 0 findings in" in ringostat("status").stdout


def test_findings_of_the_tracking_are_shown_below_the_table(
    health: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    health((11111, "silent"))
    last = ringostat("status").stdout.splitlines()[-1]
    assert last == "tracking: 1 finding in ringostat_marts.rpt_tracking_health"


def test_findings_of_the_tracking_do_not_fail_the_check(
    setting: Setting, build: Callable[[], None], health: Callable[..., None]
) -> None:
    ringostat("load")
    health((11111, "silent"))
    result = ringostat("status", "--check")
    assert (result.exit_code, result.stdout) == (0, "")


def test_without_the_mart_of_the_tracking_nothing_is_said(setting: Setting) -> None:
    assert "tracking" not in ringostat("status").stdout


def test_the_fields_are_those_of_the_contract() -> None:
    assert set(Status.__dataclass_fields__) == {
        *("project_id", "project_name", "status", "loaded_until", "last_loaded_at", "last_error"),
        *("calls", "first_call_at", "last_call_at", "hours_behind", "built_until"),
        "tracking_findings",
    }
