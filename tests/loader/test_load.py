"""A load lands everything it claims: over real HTTP, into a real Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from loader import database, raw
from loader.projects import Project, read_projects
from loader.sandbox import Sandbox, SandboxProject

from .calls import KYIV, call, calls_every
from .hostile import Hostile, once, response
from .support import KEY, Setting, ringostat

HOUR = timedelta(hours=1)


def assert_equals_the_source(setting: Setting) -> None:
    """Every call of the API is in raw once, as answered, and nothing else is."""
    expected = {row["uniqueid"]: row for row in setting.project.calls}
    assert dict(setting.raw()) == expected


def assert_no_gap(setting: Setting) -> None:
    """The load log claims each window once, one beginning where the other ends."""
    windows = setting.loads("window_from, window_to")
    assert all(one[1] == other[0] for one, other in pairwise(windows))


def test_a_load_lands_every_call_as_answered(setting: Setting) -> None:
    setting.project.calls = calls_every(5 * HOUR, datetime(2024, 1, 1), datetime(2025, 1, 1))
    result = setting.load()
    assert result.exit_code == 0, result.stderr
    count = len(setting.project.calls)
    assert result.stdout == (
        f"project 11111 (Clinic): {count} calls read: {count} new, 0 changed, 0 removed\n"
    )
    assert_equals_the_source(setting)
    assert_no_gap(setting)
    assert len(setting.api.requests) <= 30
    year = (
        datetime(2024, 1, 1, tzinfo=KYIV).astimezone(timezone.utc),
        datetime(2025, 1, 1, tzinfo=KYIV).astimezone(timezone.utc),
    )
    assert setting.conn.execute(
        "select loaded_from, loaded_until from ringostat_raw.loaded_ranges"
    ).fetchall() == [year]


def test_a_first_load_beside_a_large_project_compares_no_call_with_each_other_one(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres has counted the other project's calls, and expects none of this one."""
    setting.load("--until", "2024-01-02")  # makes the tables
    setting.conn.execute(
        """
        insert into ringostat_raw.calls
        select 22222, 'id-' || md5(number::text), '2024-01-01', '{}', 1, now(), now(), null
        from generate_series(1, 30000) as number
        """
    )
    setting.conn.execute("vacuum analyze ringostat_raw.calls")
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "1500")
    setting.sandbox.row_cap = 1500
    setting.project.calls = calls_every(HOUR, datetime(2024, 1, 1), datetime(2025, 1, 1))
    loaded = setting.load()
    assert loaded.exit_code == 0, loaded.stderr
    setting.conn.execute("select pg_stat_clear_snapshot()")
    (read,) = setting.conn.execute(
        "select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'calls'"
    ).fetchone()
    assert read < 100 * len(setting.project.calls)


def test_what_is_asked(setting: Setting) -> None:
    setting.load("--since", "2024-05-01", "--until", "2024-05-01 12:00:00")
    (request,) = setting.api.requests
    fields = request.pop("fields").split(",")
    assert request == {
        "export_type": "json",
        "from": "2024-04-30 23:59:59",
        "to": "2024-05-01 12:00:00",
        "merge": "0",
        "order": "calldate asc",
    }
    assert "calldate" in fields
    assert "recording" not in fields
    assert setting.api.headers[0]["Auth-key"] == KEY


def test_recordings_are_asked_for_on_request_only(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_RECORDINGS", "1")
    setting.load("--since", "2024-05-01", "--until", "2024-05-02")
    assert {"recording", "recording_wav"} <= set(setting.api.requests[0]["fields"].split(","))


def test_reading_again_changes_nothing(setting: Setting) -> None:
    setting.project.calls = calls_every(HOUR, datetime(2024, 3, 1), datetime(2024, 4, 1))
    setting.load()
    before = setting.raw("*, ctid::text")
    result = setting.load()
    assert "0 new, 0 changed, 0 removed" in result.stdout
    assert setting.raw("*, ctid::text") == before


# --- the row cap -----------------------------------------------------------------------------


@pytest.mark.parametrize("over_cap", ["cut_start", "cut_end", "error", "none"])
@pytest.mark.parametrize("inclusive_to", [True, False])
def test_the_row_cap_loses_nothing(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, over_cap: str, inclusive_to: bool
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "50")
    setting.sandbox.row_cap = 50
    setting.sandbox.over_cap = over_cap
    setting.sandbox.inclusive_to = inclusive_to
    # Quiet months before a rush. An error is tried down to an hour, so there an hour must fit.
    step = 90 if over_cap == "error" else 20
    setting.project.calls = [
        *calls_every(9 * HOUR, datetime(2024, 1, 1), datetime(2024, 6, 1)),
        *(
            call(datetime(2024, 6, 1, 9) + timedelta(seconds=step * n), f"rush-{n}")
            for n in range(600)
        ),
    ]
    result = setting.load()
    assert result.exit_code == 0, result.stderr
    assert_equals_the_source(setting)
    assert_no_gap(setting)


def test_a_second_with_as_many_calls_as_the_cap_stops_the_load(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "20")
    setting.sandbox.row_cap = 20
    rush = datetime(2024, 2, 2, 10)
    setting.project.calls = [
        call(datetime(2024, 1, 15), "before"),
        *(call(rush, f"rush-{n}") for n in range(20)),
    ]
    result = setting.load()
    assert result.exit_code == 1
    assert "20 calls in one answer, the cap is 20" in result.stderr
    assert "2024-02-02 09:59:59" in result.stderr or "2024-02-02 10:00:00" in result.stderr
    assert [call_id for (call_id,) in setting.raw("call_id")] == ["before"]
    *loaded, (status, error) = setting.loads("status, error")
    assert {status for status, _ in loaded} == {"loaded"}
    assert status == "failed"
    assert "the cap is 20" in error


def test_an_unknown_refusal_is_tried_down_to_an_hour(setting: Setting) -> None:
    setting.api.fault = lambda number, parameters: response("too much of something", status=422)
    result = setting.load("--since", "2024-05-01", "--until", "2024-05-02")
    assert result.exit_code == 1
    assert "too much of something" in result.stderr
    shortest = setting.api.requests[-1]
    assert (shortest["from"], shortest["to"]) == ("2024-04-30 23:59:59", "2024-05-01 01:00:00")
    assert len(setting.api.requests) == 6


def test_a_longer_answer_than_the_cap_allows_is_taken_in_parts(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.api._LONGEST_BODY", 20_000)
    setting.project.calls = calls_every(
        HOUR, datetime(2024, 5, 1), datetime(2024, 5, 8), landing="x" * 900
    )
    result = setting.load("--since", "2024-05-01", "--until", "2024-05-08")
    assert result.exit_code == 0, result.stderr
    assert_equals_the_source(setting)


@pytest.mark.parametrize("cap", ["0", "-5", "many", ""])
def test_an_impossible_cap(setting: Setting, monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", cap)
    result = setting.load()
    assert result.exit_code == 2
    assert "RINGOSTAT_ROW_CAP" in result.stderr


# --- bounds and time -------------------------------------------------------------------------


@pytest.mark.parametrize("change", [datetime(2024, 3, 31), datetime(2024, 10, 27)])
@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("inclusive_to", [True, False])
# With a cap of 10, no wall clock divides the doubled hour's 6 calls.
@pytest.mark.parametrize("cap", [10, pytest.param(6500, marks=pytest.mark.slow)])
def test_clock_changes_lose_and_double_nothing(
    setting: Setting,
    monkeypatch: pytest.MonkeyPatch,
    change: datetime,
    fold: int,
    inclusive_to: bool,
    cap: int,
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", str(cap))
    setting.sandbox.fold = fold
    setting.sandbox.inclusive_to = inclusive_to
    # A call every ten minutes of real time: both showings of the doubled hour have some.
    setting.project.calls = calls_every(
        HOUR / 6, change - timedelta(days=1), change + timedelta(days=2)
    )
    result = setting.load(
        "--since", str(change - timedelta(days=1)), "--until", str(change + timedelta(days=2))
    )
    assert result.exit_code == 0, result.stderr
    assert_equals_the_source(setting)
    assert_no_gap(setting)
    assert result.stdout.endswith(f"{len(setting.project.calls)} new, 0 changed, 0 removed\n")
    # A second reading finds each of them, in whichever hour it stands.
    setting.load(
        "--since", str(change - timedelta(days=1)), "--until", str(change + timedelta(days=2))
    )
    assert_equals_the_source(setting)


@pytest.mark.parametrize(
    "clock",
    [
        "America/New_York",
        *(pytest.param(steady, marks=pytest.mark.slow) for steady in ("UTC", "Etc/GMT-5")),
    ],
)
@pytest.mark.parametrize(
    "change", [datetime(2024, 3, 31), datetime(2024, 10, 27), datetime(2024, 3, 10)]
)
def test_an_api_with_a_clock_of_its_own(
    setting: Setting,
    seeds: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    clock: str,
    change: datetime,
) -> None:
    """The clocks of Kyiv and New York change on different days."""
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "10")
    file = seeds(f"11111,Clinic,,Europe/Kyiv,,2024-01-01,true,{clock}")
    file.write_text(file.read_text().replace("is_active", "is_active,api_time_zone"))
    setting.project.api_time_zone = clock
    first, last = change - timedelta(days=1), change + timedelta(days=2)
    setting.project.calls = calls_every(HOUR / 6, first, last)
    for new in (len(setting.project.calls), 0):
        result = setting.load("--since", str(first), "--until", str(last))
        assert result.exit_code == 0, result.stderr
        assert_equals_the_source(setting)
        assert result.stdout.endswith(f"{new} new, 0 changed, 0 removed\n")


def test_another_clock_reads_everything_again(setting: Setting, seeds: Callable[..., Path]) -> None:
    setting.project.calls = calls_every(5 * HOUR, datetime(2024, 1, 1), datetime(2024, 3, 1))
    setting.load("--until", "2024-03-01")
    file = seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true,UTC")
    file.write_text(file.read_text().replace("is_active", "is_active,api_time_zone"))
    setting.project.api_time_zone = "UTC"
    setting.api.requests.clear()
    result = setting.load("--until", "2024-03-01")
    assert "the time zone was Europe/Kyiv before" in result.stderr
    assert periods(setting.api)[0] == "2023-12-31 21:59:59"
    assert_equals_the_source(setting)


@pytest.mark.parametrize("hour", ["03:00:00", "03:30:00", "04:00:00"])
@pytest.mark.parametrize("change", ["2024-03-31", "2024-10-27"])
@pytest.mark.parametrize("fold", [0, 1])
def test_two_loads_that_meet_at_a_clock_change(
    setting: Setting, change: str, hour: str, fold: int
) -> None:
    setting.sandbox.fold = fold
    day = datetime.fromisoformat(change)
    setting.project.calls = calls_every(HOUR / 6, day, day + timedelta(days=1))
    setting.load("--since", change, "--until", f"{change} {hour}")
    setting.load("--since", f"{change} {hour}", "--until", str(day + timedelta(days=1)))
    assert_equals_the_source(setting)


@pytest.mark.parametrize(
    "calldate",
    [
        "2024-06-01T12:00:00+0300",
        "2024-06-01T12:00:00+03:00",
        "2024-06-01T09:00:00Z",
        "2024-06-01T09:00:00+0000",
        "2024-06-01T11:00:00+0200",
        "2024-06-01T12:00:00",
        "2024-06-01 12:00:00",
    ],
)
def test_calldate_with_any_offset(setting: Setting, calldate: str) -> None:
    setting.project.calls = [call(calldate)]
    setting.load()
    assert setting.raw("call_at") == [(datetime(2024, 6, 1, 9, tzinfo=timezone.utc),)]


def test_a_zone_that_is_put_right_moves_calls_without_an_offset(
    setting: Setting, seeds: Callable[..., Path]
) -> None:
    setting.project.calls = [call("2024-06-01 12:00:00")]
    seeds("11111,Clinic,,Europe/Warsaw,,2024-01-01,true")
    setting.load()
    assert setting.raw("call_at") == [(datetime(2024, 6, 1, 10, tzinfo=timezone.utc),)]
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true")
    assert "0 new, 1 changed, 0 removed" in setting.load("--since", "2024-01-01").stdout
    assert setting.raw("call_at") == [(datetime(2024, 6, 1, 9, tzinfo=timezone.utc),)]


@pytest.mark.parametrize(
    "calldate",
    ["", None, "yesterday", "06/01/2024 12:00", "2024-06-01 at noon", "2024-02-30T10:00:00Z"],
)
def test_unreadable_calldates_stop_the_load(setting: Setting, calldate: object) -> None:
    setting.project.calls = [call("x", f"call-{n}") | {"calldate": calldate} for n in range(4)]
    result = setting.load("--since", "2024-05-01", "--until", "2024-07-01")
    assert result.exit_code == 1
    assert "call-0 (and 3 more)" in result.stderr
    assert "calldate" in result.stderr
    assert str(calldate) in result.stderr
    assert setting.raw() == []


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Almaty", "America/New_York"])
def test_a_wrong_zone_stops_the_load_and_lands_nothing_of_the_window(
    setting: Setting, seeds: Callable[..., Path], time_zone: str
) -> None:
    setting.project.calls = calls_every(HOUR / 2, datetime(2024, 5, 1), datetime(2024, 5, 10))
    seeds(f"11111,Clinic,,{time_zone},,2024-01-01,true")
    result = setting.load("--since", "2024-05-03", "--until", "2024-05-09")
    assert result.exit_code == 1
    assert "time_zone" in result.stderr
    assert setting.raw() == []
    assert setting.loads("status") == [("failed",)]


def test_the_seconds_beside_a_window_are_no_wrong_zone(setting: Setting) -> None:
    noon = datetime(2024, 5, 2, 12)
    setting.project.calls = [
        call(noon + timedelta(seconds=second), f"{second}") for second in (-1, 0, 1)
    ]
    result = setting.load("--since", str(noon), "--until", str(noon + HOUR))
    assert result.exit_code == 0
    result = setting.load("--since", str(noon - HOUR), "--until", str(noon))
    assert result.exit_code == 0
    assert_equals_the_source(setting)


# --- which period ----------------------------------------------------------------------------


def periods(api: Hostile) -> tuple[str, str]:
    return api.requests[0]["from"], api.requests[-1]["to"]


def test_a_first_load_begins_at_load_from(setting: Setting) -> None:
    setting.load("--until", "2024-03-01")
    assert periods(setting.api) == ("2023-12-31 23:59:59", "2024-03-01 00:00:00")


def test_the_next_load_looks_back(setting: Setting) -> None:
    setting.load("--until", "2024-03-01")
    setting.api.requests.clear()
    setting.load("--until", "2024-03-02")
    # 14 days, and at both ends the 26 hours in which no call is known to be gone.
    assert periods(setting.api) == ("2024-02-13 19:59:59", "2024-03-02 00:00:00")
    setting.api.requests.clear()
    setting.load("--until", "2024-03-03", "--lookback-days", "1")
    assert periods(setting.api) == ("2024-02-27 19:59:59", "2024-03-03 00:00:00")


def test_the_lookback_ends_at_load_from(setting: Setting) -> None:
    setting.load("--until", "2024-01-05")
    setting.api.requests.clear()
    setting.load("--until", "2024-01-06")
    assert periods(setting.api)[0] == "2023-12-31 23:59:59"


def test_a_gap_is_filled(setting: Setting) -> None:
    setting.load("--until", "2024-02-01")
    setting.load("--since", "2024-04-01", "--until", "2024-05-01")
    setting.api.requests.clear()
    setting.load("--until", "2024-06-01", "--lookback-days", "0")
    assert periods(setting.api) == ("2024-01-31 23:59:59", "2024-06-01 00:00:00")


def test_an_earlier_load_from_is_loaded(setting: Setting, seeds: Callable[..., Path]) -> None:
    setting.load("--until", "2024-02-01")
    seeds("11111,Clinic,,Europe/Kyiv,,2023-06-01,true")
    setting.api.requests.clear()
    setting.load("--until", "2024-02-02")
    assert periods(setting.api)[0] == "2023-05-31 23:59:59"


def test_the_future_is_not_claimed(setting: Setting) -> None:
    result = setting.load("--since", "2024-01-01", "--until", "2099-01-01")
    assert result.exit_code == 0
    (latest,) = setting.conn.execute(
        "select max(window_to) <= now() from ringostat_raw.loads"
    ).fetchone()
    assert latest
    result = setting.load("--since", "2098-01-01", "--until", "2099-01-01")
    assert result.exit_code == 0
    assert "nothing to load" in result.stderr


def test_after_a_failure_the_load_goes_on_where_it_stopped(setting: Setting) -> None:
    setting.project.calls = calls_every(5 * HOUR, datetime(2024, 1, 1), datetime(2024, 12, 1))
    broken = response("no", status=403)
    setting.api.fault = lambda number, parameters: (
        broken if parameters["to"] > "2024-06-01" else None
    )
    assert setting.load("--until", "2025-01-01").exit_code == 1
    setting.api.fault = lambda number, parameters: None
    setting.api.requests.clear()
    result = setting.load("--until", "2025-01-01")
    assert result.exit_code == 0
    assert setting.api.requests[0]["from"] > "2024-02"
    assert_equals_the_source(setting)


# --- late changes ----------------------------------------------------------------------------


def test_a_late_change_is_brought_by_the_lookback(setting: Setting) -> None:
    first = datetime(2024, 3, 1)
    setting.project.calls = calls_every(5 * HOUR, first, datetime(2024, 3, 20))
    setting.load("--until", "2024-03-20")
    before = dict(setting.raw("call_id, loaded_at"))
    in_progress, tagged, target, too_early = (
        next(row for row in setting.project.calls if row["calldate"] > day)
        for day in ("2024-03-19", "2024-03-12", "2024-03-10", "2024-03-02")
    )
    in_progress |= {"disposition": "REPEATED", "billsec": 425}
    tagged["category_number"] = 7
    target["proper_flag"] = 1
    too_early["category_number"] = 7
    result = setting.load("--until", "2024-03-21")
    assert "0 new, 3 changed, 0 removed" in result.stdout
    after = dict(setting.raw("call_id, loaded_at"))
    changed = {call_id for call_id in after if after[call_id] != before[call_id]}
    assert changed == {row["uniqueid"] for row in (in_progress, tagged, target)}
    assert min(after[call_id] for call_id in changed) > max(before.values())
    (first_loaded,) = setting.conn.execute(
        "select count(*) from ringostat_raw.calls where first_loaded_at < loaded_at"
    ).fetchone()
    assert first_loaded == 3


def test_a_call_that_is_gone_is_removed_and_comes_back(setting: Setting) -> None:
    setting.project.calls = calls_every(5 * HOUR, datetime(2024, 3, 1), datetime(2024, 3, 20))
    setting.load()
    everything = list(setting.project.calls)
    gone = everything[40]
    setting.project.calls.remove(gone)
    result = setting.load()
    assert "0 new, 0 changed, 1 removed" in result.stdout
    assert_equals_the_source(setting)
    assert setting.conn.execute(
        "select call_id, removed_at = loaded_at, load_id = (select max(load_id) from "
        "ringostat_raw.loads) from ringostat_raw.calls where removed_at is not null"
    ).fetchall() == [(gone["uniqueid"], True, True)]
    assert "0 new, 0 changed, 0 removed" in setting.load().stdout

    setting.project.calls = everything
    assert "0 new, 1 changed, 0 removed" in setting.load().stdout
    assert_equals_the_source(setting)


def test_no_call_is_removed_in_the_outer_26_hours(setting: Setting) -> None:
    start, end = datetime(2024, 3, 1), datetime(2024, 3, 10)
    setting.project.calls = calls_every(HOUR, start, end)
    period = ("--since", str(start), "--until", str(end))
    setting.load(*period)
    setting.project.calls = []
    setting.load(*period, "--allow-removals")
    kept = [at.astimezone(KYIV).replace(tzinfo=None) for (at,) in setting.raw("call_at")]
    assert all(at < start + 26 * HOUR or at >= end - 26 * HOUR for at in kept)
    assert len(kept) == 52


def test_a_run_that_stops_half_way_removes_nothing(setting: Setting) -> None:
    """It has not read far enough to know."""
    setting.project.calls = calls_every(HOUR, datetime(2024, 3, 1), datetime(2024, 6, 1))
    setting.load()
    del setting.project.calls[300:310]
    setting.api.fault = lambda number, parameters: (
        response("no", status=403) if parameters["to"] > "2024-07" else None
    )
    assert setting.load().exit_code == 1
    assert len(setting.raw()) == len(setting.project.calls) + 10


def test_a_call_that_moved_in_time_is_not_removed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "40")
    setting.project.calls = calls_every(HOUR, datetime(2024, 3, 1), datetime(2024, 3, 20))
    setting.load()
    early, late = setting.project.calls[100], setting.project.calls[300]
    early["calldate"], late["calldate"] = late["calldate"], early["calldate"]
    assert "0 new, 2 changed, 0 removed" in setting.load().stdout
    assert_equals_the_source(setting)


@pytest.mark.parametrize("time_zone", ["Europe/London", "Asia/Tokyo", "Pacific/Honolulu"])
def test_a_wrong_zone_removes_nothing(
    setting: Setting, seeds: Callable[..., Path], time_zone: str
) -> None:
    """Not even of an account so quiet that the first windows hold no call to notice it by."""
    setting.project.calls = [
        call(datetime(2024, 3, day, hour), f"{day}-{hour}")
        for day in (1, 11, 20, 29)
        for hour in (0, 12, 23)
    ]
    setting.load()
    seeds(f"11111,Clinic,,{time_zone},,2024-01-01,true")
    setting.load("--since", "2024-03-01", "--until", "2024-04-20")
    assert_equals_the_source(setting)


# --- projects --------------------------------------------------------------------------------


def two_projects(
    seeds: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> tuple[SandboxProject, SandboxProject]:
    seeds(
        "11111,Clinic,KEY_ONE,Europe/Kyiv,,2024-01-01,true",
        "22222,Dealer,KEY_TWO,Asia/Almaty,,2024-01-01,true",
    )
    monkeypatch.setenv("KEY_ONE", "one")
    monkeypatch.setenv("KEY_TWO", "two")
    calls = calls_every(HOUR, datetime(2024, 3, 1), datetime(2024, 4, 1))
    others = [
        row | {"call_card": row["call_card"].replace("11111", "22222"), "caller": "77771112233"}
        for row in calls
    ]
    return (
        SandboxProject(11111, "one", "Europe/Kyiv", calls),
        SandboxProject(22222, "two", "Asia/Almaty", others),
    )


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_one_projects_failure_is_its_own(
    setting: Setting,
    seeds: Callable[..., Path],
    serve: Callable[..., Hostile],
    monkeypatch: pytest.MonkeyPatch,
    jobs: str,
) -> None:
    one, two = two_projects(seeds, monkeypatch)
    serve(Sandbox([one, two]))
    monkeypatch.setenv("KEY_ONE", "a-wrong-key")
    result = setting.load("--jobs", jobs)
    assert result.exit_code == 1
    assert "the key in KEY_ONE is not accepted" in result.stderr
    count = len(two.calls)
    assert f": {count} new, 0 changed, 0 removed" in result.stdout
    assert setting.raw("distinct project_id") == [(22222,)]

    statuses = {row["project_id"]: row for row in json.loads(ringostat("status", "--json").stdout)}
    assert "KEY_ONE is not accepted" in statuses[11111]["last_error"]
    assert statuses[22222]["last_error"] is None


def test_ids_are_a_projects_own(
    setting: Setting,
    seeds: Callable[..., Path],
    serve: Callable[..., Hostile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = two_projects(seeds, monkeypatch)
    serve(Sandbox([one, two]))
    setting.load()
    assert dict(setting.raw("project_id, count(*) over (partition by project_id)")) == {
        11111: len(one.calls),
        22222: len(two.calls),
    }


def test_only_the_projects_named_are_loaded(
    setting: Setting,
    seeds: Callable[..., Path],
    serve: Callable[..., Hostile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(Sandbox(two_projects(seeds, monkeypatch)))
    setting.load("--project", "22222")
    assert setting.raw("distinct project_id") == [(22222,)]


def test_a_key_of_another_project_stops_before_anything_is_written(setting: Setting) -> None:
    setting.project.calls = [
        call(datetime(2024, 5, 1, hour), f"{hour}")
        | {"call_card": f"https://app.example/card/{hour}/?project_id=22222&x=1"}
        for hour in range(10)
    ]
    result = setting.load()
    assert result.exit_code == 1
    assert "22222" in result.stderr
    assert "11111" in result.stderr
    assert setting.raw() == []


@pytest.mark.parametrize("left", [0, 1])
def test_a_load_that_has_lost_a_connection_keeps_others_out(setting: Setting, left: int) -> None:
    (project,) = read_projects()
    warehouse = database.environment()
    with (
        database.connect(warehouse) as first,
        database.connect(warehouse) as second,
        raw.lock(project, first, second),
    ):
        (second, first)[left].close()
        survivor = (first, second)[left]
        with survivor.transaction():
            raw.hold(survivor, project)
        _wait_until_one_half_is_free(project)
        result = setting.load()
        assert result.exit_code == 1
        assert "another load of project" in result.stderr
    assert setting.load().exit_code == 0


def _wait_until_one_half_is_free(project: Project) -> None:
    """Postgres ends the session of a closed connection a moment later."""
    with database.connect(database.environment()) as conn:
        held = 2
        while held > 1:
            (held,) = conn.execute(
                "select count(*) from pg_locks where locktype = 'advisory'"
            ).fetchone()


def test_two_loaders_of_one_project(setting: Setting) -> None:
    setting.load("--until", "2024-01-02")
    (project,) = read_projects()
    with (
        database.connect(database.environment()) as other,
        raw.lock(project, other),
    ):
        before = setting.loads("*")
        result = setting.load()
        assert result.exit_code == 1
        assert "another load of project 11111 is running" in result.stderr
        assert setting.loads("*") == before
    assert setting.load().exit_code == 0


def test_a_fault_between_good_answers_is_not_seen(setting: Setting) -> None:
    setting.project.calls = calls_every(5 * HOUR, datetime(2024, 1, 1), datetime(2024, 12, 1))
    setting.api.fault = once(response("bad gateway", status=502))
    assert setting.load().exit_code == 0
    assert_equals_the_source(setting)


# --- the zone ----------------------------------------------------------------------------------


def test_a_zone_that_no_call_agrees_with_is_a_warning(
    setting: Setting, seeds: Callable[..., Path]
) -> None:
    setting.project.calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 2))
    assert "WARNING" not in setting.load().stderr
    seeds("11111,Clinic,,Europe/Warsaw,,2024-01-01,true")
    result = setting.load("--since", "2024-04-30", "--until", "2024-05-03")
    warnings = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert [line for line in warnings if "time offset of Europe/Warsaw" in line] == warnings[:1]


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("year", ["0001", "1999", "9999"])
def test_an_implausible_year(setting: Setting, option: str, year: str) -> None:
    result = setting.load(option, f"{year}-06-01")
    assert result.exit_code == 2
    assert option in result.stderr
    assert "2000 to 2100" in result.stderr
