"""What a load believes of an answer: removals, cut answers, rows without a place in time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from loader import call_card

from .calls import KYIV, call, calls_every
from .hostile import always, response
from .support import KEY, Setting, ringostat

HOUR = timedelta(hours=1)
NOON = datetime(2024, 5, 1, 12)
PERIOD = ("--since", "2024-05-01", "--until", "2024-05-02")


# --- removals --------------------------------------------------------------------------------


def test_an_answer_without_calls_removes_nothing(setting: Setting) -> None:
    setting.project.calls = calls_every(2 * HOUR, datetime(2024, 3, 1), datetime(2024, 4, 1))
    setting.load()
    before = setting.raw("*, ctid::text")
    setting.api.fault = always(response("[]"))
    result = setting.load()
    assert result.exit_code == 1
    assert f"no longer lists {len(before)} of the {len(before)} calls" in result.stderr
    assert "--allow-removals" in result.stderr
    assert setting.raw("*, ctid::text") == before
    assert setting.loads("status")[-1] == ("failed",)
    (latest,) = setting.conn.execute(
        "select max(window_to) from ringostat_raw.loads where load_id > 1 and status = 'failed'"
    ).fetchone()
    assert latest.astimezone(KYIV).date().isoformat() == "2025-01-01"

    result = setting.load("--allow-removals")
    assert result.exit_code == 0
    assert f"{len(before)} removed" in result.stdout
    assert setting.raw() == []


@pytest.mark.parametrize(
    ("stored", "gone", "settings", "exit_code"),
    [
        (100, 30, {}, 0),
        (100, 31, {}, 1),
        (20, 20, {}, 0),  # as few calls as these may always go
        (21, 21, {}, 1),
        (100, 31, {"RINGOSTAT_MAX_REMOVED_SHARE": "0.31"}, 0),
        (100, 31, {"RINGOSTAT_MAX_REMOVED_CALLS": "31"}, 0),
        (100, 1, {"RINGOSTAT_MAX_REMOVED_CALLS": "0", "RINGOSTAT_MAX_REMOVED_SHARE": "0"}, 1),
    ],
)
def test_how_many_calls_may_go(
    setting: Setting,
    monkeypatch: pytest.MonkeyPatch,
    stored: int,
    gone: int,
    settings: dict[str, str],
    exit_code: int,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    start = datetime(2024, 3, 1)
    setting.project.calls = calls_every(HOUR, start, start + stored * HOUR)
    setting.load()
    del setting.project.calls[:gone]
    assert setting.load().exit_code == exit_code
    assert len(setting.raw("1")) == stored - (0 if exit_code else gone)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGOSTAT_MAX_REMOVED_SHARE", "30%"),
        ("RINGOSTAT_MAX_REMOVED_SHARE", "1.5"),
        ("RINGOSTAT_MAX_REMOVED_CALLS", "-1"),
    ],
)
def test_impossible_limits(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    result = setting.load()
    assert result.exit_code == 2
    assert name in result.stderr
    assert setting.api.requests == []


@pytest.mark.parametrize("days", [1, 2, 3])
def test_removals_are_seen_by_every_lookback(setting: Setting, days: int) -> None:
    """In the whole lookback, except in its latest 26 hours."""
    end = datetime(2024, 3, 20)
    setting.project.calls = calls_every(HOUR, datetime(2024, 3, 1), end)
    setting.load("--until", str(end))
    gone = [end - 26 * HOUR - timedelta(days=days) + shift for shift in (-HOUR, 2 * HOUR)]
    gone_text = {f"{at:%Y-%m-%dT%H}" for at in gone}
    setting.project.calls = [
        row for row in setting.project.calls if row["calldate"][:13] not in gone_text
    ]
    result = setting.load("--until", str(end), "--lookback-days", str(days))
    assert "0 new, 0 changed, 1 removed" in result.stdout


# --- answers that are cut --------------------------------------------------------------------


MAY = ("--since", "2024-05-01", "--until", "2024-05-20")


@pytest.fixture
def busy(setting: Setting) -> Setting:
    """A call every six minutes, of which the API answers no more than 120 at a time."""
    setting.sandbox.row_cap = 120
    setting.project.calls = calls_every(HOUR / 10, datetime(2024, 5, 1), datetime(2024, 5, 20))
    return setting


@pytest.mark.parametrize("over_cap", ["cut_end", "cut_start"])
def test_a_lower_cap_than_believed_is_noticed(
    busy: Setting, monkeypatch: pytest.MonkeyPatch, over_cap: str
) -> None:
    busy.sandbox.over_cap = over_cap
    result = busy.load(*MAY)
    assert result.exit_code == 1
    assert "set RINGOSTAT_ROW_CAP to 120" in result.stderr
    # Whatever was cut does not count as loaded.
    assert set(busy.loads("status")) == {("failed",)}
    assert loaded_hours(busy) == 0
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "120")
    assert busy.load("--until", "2024-05-20").exit_code == 0
    assert len(busy.raw("1")) == len(busy.project.calls)
    assert loaded_hours(busy) > 19 * 24


def loaded_hours(setting: Setting) -> float:
    ranges = "select unnest(loaded) as range from ringostat_raw.load_state"
    hours = "coalesce(sum(extract(epoch from upper(range) - lower(range))), 0) / 3600"
    return setting.conn.execute(f"select {hours} from ({ranges}) as ranges").fetchone()[0]


def test_windows_that_are_proven_still_count_if_the_api_begins_to_cut(busy: Setting) -> None:
    busy.sandbox.row_cap = 6500
    first_days = ("--since", "2024-05-01", "--until", "2024-05-05")
    assert busy.load(*first_days).exit_code == 0
    assert busy.loads("whole_since is not null") == [(True,)] * len(busy.loads("1"))
    before = loaded_hours(busy)
    busy.sandbox.row_cap = 120
    assert busy.load("--since", "2024-05-05", "--until", "2024-05-20").exit_code == 1
    assert loaded_hours(busy) == before


def test_windows_of_a_run_that_crashed_are_proven_by_the_next_one(busy: Setting) -> None:
    assert busy.load(*MAY).exit_code == 1
    # As a run leaves them that was killed before the proof.
    busy.conn.execute(
        "update ringostat_raw.loads set status = 'loaded', error = null where fetched > 0"
    )
    busy.conn.execute(
        """
        update ringostat_raw.load_state
        set loaded = (
            select range_agg(tstzrange(window_from, window_to))
            from ringostat_raw.loads
            where status = 'loaded'
        )
        """
    )
    assert loaded_hours(busy) > 24
    result = busy.load("--since", "2024-05-19 23:00:00", "--until", "2024-05-20 00:00:00")
    assert "set RINGOSTAT_ROW_CAP to 120" in result.stderr
    assert loaded_hours(busy) == 0


def test_nothing_is_removed_by_a_run_whose_answers_are_cut(busy: Setting) -> None:
    busy.sandbox.row_cap = 6500
    assert busy.load(*MAY).exit_code == 0
    busy.sandbox.row_cap = 1000
    assert busy.load(*MAY, "--allow-removals").exit_code == 1
    assert busy.raw("removed_at is null") == [(True,)] * len(busy.project.calls)


def test_the_proof_costs_two_requests_and_can_be_turned_off(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "160")
    setting.project.calls = calls_every(HOUR / 5, datetime(2024, 5, 1), datetime(2024, 5, 11))
    period = ("--since", "2024-05-01", "--until", "2024-05-11")
    assert setting.load(*period).exit_code == 0
    windows = len(setting.loads("1"))
    assert len(setting.api.requests) == windows + 2
    setting.api.requests.clear()
    monkeypatch.setenv("RINGOSTAT_PROVE_ROW_CAP", "0")
    assert setting.load(*period).exit_code == 0
    assert len(setting.api.requests) == len(setting.loads("1")) - windows


def test_calls_that_come_during_the_proof_are_no_proof_of_a_cut(setting: Setting) -> None:
    setting.project.calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 2))
    period = ("--since", "2024-05-01", "--until", "2024-05-02")
    answer = setting.sandbox.answer

    def with_a_new_call(*asked: object) -> object:
        if len(setting.sandbox.requests) == 1:
            new = call(datetime(2024, 5, 1, 3, 30), "new")
            setting.project.calls = [*setting.project.calls, new]
        return answer(*asked)

    setting.sandbox.answer = with_a_new_call
    assert setting.load(*period).exit_code == 0
    assert setting.loads("whole_since is not null") == [(True,)]


# --- an id that is answered twice ------------------------------------------------------------


def test_an_id_answered_twice_is_kept_once_and_told(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "40")
    setting.project.calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 9))
    # In one answer, in neighbouring ones, and three times far apart.
    for first, *others in ([3, 5], [10, 40], [20, 100, 180]):
        for number in others:
            setting.project.calls[number]["uniqueid"] = f"id-{first:06}"
    period = ("--since", "2024-05-01", "--until", "2024-05-09")
    results = [setting.load(*period) for _ in range(3)]
    kept = {row["uniqueid"]: row for row in setting.project.calls}
    assert dict(setting.raw()) == kept
    for result in results:
        (warning,) = [line for line in result.stderr.splitlines() if "WARNING" in line]
        assert "returned 3 ids more than once" in warning
    for result in results[1:]:
        assert "0 new, 0 changed, 0 removed" in result.stdout


def test_of_an_id_that_is_no_longer_answered_twice_the_other_stays(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "40")
    setting.project.calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 9))
    setting.project.calls[100]["uniqueid"] = "id-000020"
    period = ("--since", "2024-05-01", "--until", "2024-05-09")
    setting.load(*period)
    del setting.project.calls[100]
    result = setting.load(*period)
    assert "0 new, 1 changed, 0 removed" in result.stdout
    assert "WARNING" not in result.stderr
    assert dict(setting.raw()) == {row["uniqueid"]: row for row in setting.project.calls}


# --- rows without a place in time ------------------------------------------------------------


def rejected(setting: Setting, columns: str = "payload::jsonb ->> 'uniqueid', reason") -> list:
    return setting.conn.execute(f"select {columns} from ringostat_raw.rejected_calls").fetchall()


@pytest.mark.parametrize(
    ("calldate", "reason"),
    [
        ("", "unreadable calldate"),
        (None, "unreadable calldate"),
        ("2024-05-01 at noon", "unreadable calldate"),
        ("2024-02-30T10:00:00Z", "unreadable calldate"),
        ("2024-05-01T12:00:00 Europe/Atlantis", "unreadable calldate"),
        ("2023-05-01T12:00:00+0300", "outside the period asked"),
        ("294276-05-01", "unreadable calldate"),
    ],
)
def test_a_row_that_cannot_be_placed_is_set_aside(
    setting: Setting, calldate: object, reason: str
) -> None:
    good = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 2))
    poison = call(NOON, "poison") | {"calldate": calldate}
    setting.api.fault = always(response([*good[:5], poison, *good[5:]]))
    result = setting.load(*PERIOD)
    assert result.exit_code == 0, result.stderr
    assert "25 calls read: 24 new, 0 changed, 0 removed, 1 rejected\n" in result.stdout
    assert "1 calls cannot be placed in time" in result.stderr
    assert dict(setting.raw()) == {row["uniqueid"]: row for row in good}
    ((uniqueid, why),) = rejected(setting)
    assert uniqueid == "poison"
    assert why.startswith(reason)

    before = rejected(setting, "*")
    assert "0 new, 0 changed, 0 removed, 1 rejected" in setting.load(*PERIOD).stdout
    assert rejected(setting, "*") == before


@pytest.mark.parametrize("depth", [700, 100_000])
def test_a_row_nested_too_deeply_is_set_aside(setting: Setting, depth: int) -> None:
    deep = ("[" * depth) + '"\\u0000 }]"' + ("]" * depth)
    good = '{"calldate": "2024-05-01T12:00:00+0300", "uniqueid": "good"}'
    poison = f'{{"calldate": "2024-05-01T13:00:00+0300", "uniqueid": "deep", "x": {deep}}}'
    setting.api.fault = always(response(f"[{poison}, {good}]"))
    result = setting.load(*PERIOD)
    assert result.exit_code == 0, result.stderr
    assert setting.raw("call_id") == [("good",)]
    assert rejected(setting, "payload, reason") == [(poison, "nested too deeply")]


def test_an_id_too_long_for_an_index_is_set_aside(setting: Setting) -> None:
    endless = random.Random(1).randbytes(2000).hex()  # which Postgres cannot compress
    setting.api.fault = always(
        response([call(NOON, "good"), call(NOON, "") | {"uniqueid": endless}])
    )
    assert setting.load(*PERIOD).exit_code == 0
    assert setting.raw("call_id") == [("good",)]
    assert rejected(setting) == [(endless, "the uniqueid is too long")]
    many = [call(NOON, "") | {"uniqueid": f"{n}{endless}"} for n in range(9)]
    setting.api.fault = always(response(many))
    result = setting.load(*PERIOD)
    assert result.exit_code == 1
    assert "9 calls cannot be stored: the uniqueid is too long" in result.stderr


def test_a_stored_call_that_loses_its_time_is_not_removed(setting: Setting) -> None:
    setting.project.calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 9))
    setting.load("--until", "2024-05-09")
    setting.project.calls[100]["calldate"] = ""
    result = setting.load("--until", "2024-05-09")
    assert "0 new, 0 changed, 0 removed, 1 rejected" in result.stdout
    assert len(setting.raw("1")) == 192


def test_a_stored_call_that_is_now_nested_too_deeply_is_not_removed(setting: Setting) -> None:
    calls = calls_every(HOUR, datetime(2024, 5, 1), datetime(2024, 5, 9))
    setting.project.calls = calls
    setting.load("--until", "2024-05-09")

    def answer(number: int, parameters: dict[str, str]) -> bytes:
        bounds = [parameters[name].replace(" ", "T") for name in ("from", "to")]
        rows = [row for row in calls if bounds[0] <= str(row["calldate"])[:19] <= bounds[1]]
        text = json.dumps([row | {"x": "DEEP"} if row is calls[100] else row for row in rows])
        return response(text.replace('"DEEP"', "[" * 100_000 + "]" * 100_000))

    setting.api.fault = answer
    result = setting.load("--until", "2024-05-09")
    assert "0 new, 0 changed, 0 removed, 1 rejected" in result.stdout
    assert len(setting.raw("1")) == 192


def test_a_message_does_not_tell_the_number_by_a_hash(setting: Setting) -> None:
    setting.api.fault = always(response([call("", "", caller=f"38044111223{n}") for n in range(9)]))
    result = setting.load(*PERIOD)
    assert result.exit_code == 1
    for text in (result.stderr, setting.loads("error")[0][0]):
        assert "a call without uniqueid (and 8 more) has an unreadable calldate" in text
        assert "sha256" not in text


@pytest.mark.parametrize(("bad", "good", "exit_code"), [(3, 0, 0), (4, 390, 1), (4, 400, 0)])
def test_how_many_rows_may_be_rejected(
    setting: Setting, bad: int, good: int, exit_code: int
) -> None:
    rows = [call("", f"bad-{n}") for n in range(bad)]
    rows += [call(NOON + n * timedelta(seconds=1), f"good-{n}") for n in range(good)]
    setting.api.fault = always(response(rows))
    assert setting.load(*PERIOD).exit_code == exit_code
    assert len(rejected(setting)) == (0 if exit_code else bad)
    assert len(setting.raw("1")) == (0 if exit_code else good)


def test_a_calldate_in_a_message_holds_no_secret(setting: Setting) -> None:
    odd = f"380441112233 https://app.example/x.ogg?token=abc {KEY * 2} " + "x " * 500
    setting.api.fault = always(response([call(odd, f"{n}") for n in range(9)]))
    result = setting.load(*PERIOD)
    assert result.exit_code == 1
    for text in (result.stderr, setting.loads("error")[0][0]):
        assert "unreadable calldate: '*** <link> ***" in text
        assert KEY not in text
        assert "x " * 20 not in text


# --- the project's number --------------------------------------------------------------------

CARDS = {
    "https://app.example/card/1/?project_id=11111": True,
    "https://app.example/card/1/?project_id=11111#tab": True,
    "https://app.example/card/1/?project_id=11111;x": True,
    "https://app.example/card/1/?old_project_id=5&project_id=11111&x=1": True,
    "https://app.example/card/1/?old_project_id=5": None,
    "https://app.example/card/1/": None,
    "https://app.example/card/1/?project_id=22222#11111": False,
    "https://app.example/card/1/?a=1&project_id=111111": False,
}


@pytest.mark.parametrize(("card", "is_ours"), CARDS.items(), ids=str)
def test_landing_and_connect_read_the_number_alike(
    setting: Setting, card: str, is_ours: bool | None
) -> None:
    setting.project.calls = [call(NOON, "one", call_card=card)]
    assert setting.load(*PERIOD).exit_code == (1 if is_ours is False else 0)
    number = call_card.project_number(card)
    assert (number and number == 11111) == is_ours


# --- time ------------------------------------------------------------------------------------


def test_a_call_of_the_doubled_hour_without_an_offset(setting: Setting) -> None:
    """An API that reads a bound as the second 03:30 answers the first 03:50 too."""
    rows = [call(f"2024-10-27 {clock}", clock) for clock in ("02:50:00", "03:20:00", "03:50:00")]
    setting.api.fault = always(response(rows))
    result = setting.load("--since", "2024-10-27", "--until", "2024-10-27 03:30:00")
    assert result.exit_code == 0, result.stderr
    assert "rejected" not in result.stdout
    assert dict(setting.raw("call_id, call_at")) == {
        "02:50:00": datetime(2024, 10, 26, 23, 50, tzinfo=timezone.utc),
        "03:20:00": datetime(2024, 10, 27, 1, 20, tzinfo=timezone.utc),
        "03:50:00": datetime(2024, 10, 27, 0, 50, tzinfo=timezone.utc),
    }


def test_a_call_beyond_a_doubled_hour_is_outside(setting: Setting) -> None:
    rows = [call("2024-10-27 04:10:00", "alone"), call("2024-10-27T03:50:00+0200", "offset")]
    setting.api.fault = always(response(rows))
    result = setting.load("--since", "2024-10-27", "--until", "2024-10-27 03:30:00")
    assert "0 new, 0 changed, 0 removed, 2 rejected" in result.stdout


def test_another_zone_reads_all_again(setting: Setting, seeds: Callable[..., Path]) -> None:
    day = timedelta(days=1)
    setting.project.calls = [
        call((datetime(2024, 1, 1, 12) + n * day).isoformat(" "), f"{n}") for n in range(90)
    ]
    setting.load("--until", "2024-04-01")
    zone = "select time_zone from ringostat_raw.load_state"
    assert setting.conn.execute(zone).fetchall() == [("Europe/Kyiv",)]
    # Westwards, and interrupted half way.
    seeds("11111,Clinic,,Europe/Warsaw,,2024-01-01,true")
    setting.api.fault = lambda number, parameters: (
        response("no", status=403) if parameters["to"] > "2024-03" else None
    )
    result = setting.load("--until", "2024-04-01")
    assert result.exit_code == 1
    assert "the time zone was Europe/Kyiv before: everything is read again" in result.stderr
    assert "from 2024-01-01" in result.stderr
    setting.api.fault = lambda number, parameters: None
    setting.api.requests.clear()
    result = setting.load("--until", "2024-04-01", "--lookback-days", "0")
    assert result.exit_code == 0
    assert setting.api.requests[0]["from"] > "2024-01-05"
    assert setting.raw("distinct extract(hour from call_at at time zone 'Europe/Warsaw')") == [
        (12,)
    ]
    # As before from now on.
    setting.api.requests.clear()
    result = setting.load("--until", "2024-04-01", "--lookback-days", "1")
    assert "the time zone was" not in result.stderr
    assert setting.api.requests[0]["from"] > "2024-03-20"


def test_loads_of_before_the_zone_was_kept(setting: Setting) -> None:
    setting.load("--until", "2024-04-01")
    setting.conn.execute("update ringostat_raw.load_state set time_zone = null")
    setting.api.requests.clear()
    result = setting.load("--until", "2024-04-02")
    assert "the time zone was" not in result.stderr
    assert setting.api.requests[0]["from"] > "2024-03"


def test_a_clock_that_is_ahead_does_not_claim_the_future(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: timezone | None = None) -> datetime:
            return datetime.now(tz) + timedelta(days=3)

    monkeypatch.setattr("loader.load.datetime", Ahead)
    assert ringostat("load").exit_code == 0
    assert setting.conn.execute(
        "select max(window_to) <= now(), max(started_at) <= now() from ringostat_raw.loads"
    ).fetchone() == (True, True)


# --- digests ---------------------------------------------------------------------------------


def test_a_lost_digest_comes_back_and_nothing_else_moves(
    setting: Setting, conn: psycopg.Connection
) -> None:
    setting.project.calls = [call(NOON, "one"), call(NOON, "two")]
    setting.load(*PERIOD)
    before = setting.raw("*")
    conn.execute("update ringostat_raw.calls set digest = null where call_id = 'one'")
    assert "0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert setting.raw("*") == before
