"""Rows as they come: nothing is dropped, nothing crashes."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.abc import Params, Query

from loader import landing
from loader.rows import split, storable

from .calls import call, calls_every
from .hostile import always, once, response
from .support import Setting

PERIOD = ("--since", "2024-05-01", "--until", "2024-05-02")
NOON = datetime(2024, 5, 1, 12)


def test_texts_that_postgres_cannot_hold(setting: Setting) -> None:
    setting.project.calls = [
        call(NOON, "nul", pool_name="a\0b"),
        call(NOON, "high", pool_name="a\ud83d"),
        call(NOON, "low", pool_name="\ude00b", **{"k\0ey": 1}),
        call(NOON, "pair", pool_name="\N{GRINNING FACE}"),
        call(NOON, "backslash", pool_name="\\u0000 \\ud83d"),
        call(NOON, "controls", pool_name="tab\t bell\a new\nline"),
    ]
    result = setting.load(*PERIOD)
    assert result.exit_code == 0, result.stderr
    assert {call_id: payload["pool_name"] for call_id, payload in setting.raw()} == {
        "nul": "a\ufffdb",
        "high": "a\ufffd",
        "low": "\ufffdb",
        "pair": "\N{GRINNING FACE}",
        "backslash": "\\u0000 \\ud83d",
        "controls": "tab\t bell\a new\nline",
    }
    assert "0 new, 0 changed" in setting.load(*PERIOD).stdout


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999999", "1e999999"),
        ("9" * 5000, None),
        ("1.5", 1.5),
        ('"raw \x01 control"', "raw \x01 control"),
        ('"raw \n line"', "raw \n line"),
    ],
)
def test_values_that_are_not_quite_json(setting: Setting, written: str, kept: object) -> None:
    text = json.dumps([call(NOON, "odd", duration="?")]).replace('"?"', written)
    setting.api.fault = always(response(text))
    result = setting.load(*PERIOD)
    assert result.exit_code == 0, result.stderr
    ((value,),) = setting.conn.execute(
        "select payload -> 'duration' #>> '{}' from ringostat_raw.calls"
    ).fetchall()
    assert value == (written if kept is None else str(kept))


def test_bytes_that_are_no_utf8(setting: Setting) -> None:
    body = json.dumps([call(NOON, "odd", pool_name="???")]).encode().replace(b"???", b"\xff\xfe")
    setting.api.fault = always(response(body))
    assert setting.load(*PERIOD).exit_code == 0
    assert setting.raw("payload ->> 'pool_name'") == [("\ufffd\ufffd",)]


def test_a_byte_order_mark(setting: Setting) -> None:
    body = json.dumps([call(NOON, "one")], indent=4)
    setting.api.fault = always(response(b"\xef\xbb\xbf" + body.encode()))
    assert setting.load(*PERIOD).exit_code == 0
    assert setting.raw("call_id") == [("one",)]


def test_numbers_as_texts_missing_keys_and_nulls(setting: Setting) -> None:
    setting.project.calls = [
        call(NOON, 4711, billsec="12", duration=None),
        {"calldate": "2024-05-01T12:00:00+0300", "uniqueid": "bare"},
        call(NOON, "nulls", pool_name=None, call_card=None, caller=None),
        call(NOON, True, call_type=False),
    ]
    assert setting.load(*PERIOD).exit_code == 0
    assert dict(setting.raw()) == {
        "4711": setting.project.calls[0],
        "bare": setting.project.calls[1],
        "nulls": setting.project.calls[2],
        "true": setting.project.calls[3],
    }


def test_the_last_of_equal_ids_wins(setting: Setting) -> None:
    setting.project.calls = [
        call(NOON, "twice", billsec=1),
        call(NOON, "once"),
        call(NOON, "twice", billsec=2),
        call(NOON + timedelta(hours=1), "twice", billsec=3),
    ]
    result = setting.load(*PERIOD)
    assert result.stdout == "project 11111 (Clinic): 4 calls read: 2 new, 0 changed, 0 removed\n"
    assert dict(setting.raw())["twice"]["billsec"] == 3
    assert "0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout


def test_equal_ids_in_two_windows_the_later_wins(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "12")
    setting.project.calls = calls_every(
        timedelta(hours=1), datetime(2024, 5, 1), datetime(2024, 5, 9)
    )
    for number, row in enumerate(setting.project.calls):
        row |= {"uniqueid": f"id-{number % 5}", "billsec": number}
    assert setting.load("--since", "2024-05-01", "--until", "2024-05-09").exit_code == 0
    assert sorted(payload["billsec"] for _, payload in setting.raw()) == list(range(187, 192))


@pytest.mark.parametrize("empty", ["", None, " \t\n\u00a0", "absent"])
def test_a_call_without_an_id_is_known_by_time_and_numbers(
    setting: Setting, empty: str | None
) -> None:
    row = call(NOON, "?") | {"uniqueid": empty}
    if empty == "absent":
        del row["uniqueid"]
    stranger = row | {"dst": None, "calldate": "2024-05-01T12:00:01+0300"}
    setting.project.calls = [row, stranger, dict(row)]
    assert setting.load(*PERIOD).exit_code == 0
    known_by = [
        "2024-05-01T12:00:00+0300|380441112233|380931112233",
        "2024-05-01T12:00:01+0300|380441112233|",
    ]
    assert [call_id for call_id, _ in setting.raw()] == sorted(
        "sha256:" + hashlib.sha256(text.encode()).hexdigest() for text in known_by
    )
    assert "0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout


def test_a_megabyte_of_text_and_fields_nobody_knows(setting: Setting) -> None:
    setting.project.calls = [
        call(NOON, "long", landing="ї" * 1_000_000),
        call(NOON, "new", sentiment={"score": 0.5, "words": ["a", "}, {"]}),
    ]
    assert setting.load(*PERIOD).exit_code == 0
    assert dict(setting.raw()) == {row["uniqueid"]: row for row in setting.project.calls}


def test_a_list_of_48_000_calls_is_not_trusted(setting: Setting) -> None:
    setting.sandbox.over_cap = "none"
    setting.project.calls = calls_every(timedelta(seconds=9), datetime(2024, 5, 1), NOON)
    setting.api.fault = once(response([{"calldate": "2024-05-01T10:00:00+0300"}] * 48_000))
    assert setting.load(*PERIOD).exit_code == 0
    assert len(setting.raw("1")) == len(setting.project.calls)


# --- calls that are known already ------------------------------------------------------------


def test_the_same_json_written_differently_is_no_change(setting: Setting) -> None:
    row = call(NOON, "one")
    for text in (json.dumps([row]), json.dumps([row], indent=1, sort_keys=True)):
        setting.api.fault = always(response(text))
        result = setting.load(*PERIOD)
    assert "1 calls read: 0 new, 0 changed, 0 removed" in result.stdout


def test_a_known_text_is_not_compared_by_its_payload(setting: Setting) -> None:
    """As DECISIONS.md says of payloads that were edited by hand."""
    setting.project.calls = [call(NOON, "one", billsec=1), call(NOON, "two", billsec=1)]
    setting.load(*PERIOD)
    setting.conn.execute("""update ringostat_raw.calls set payload = payload || '{"billsec": 7}'""")
    assert "0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout
    setting.conn.execute("update ringostat_raw.calls set digest = null where call_id = 'one'")
    assert "0 new, 1 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert [payload["billsec"] for _, payload in setting.raw()] == [1, 7]


def test_only_texts_that_are_not_known_are_sent_to_postgres(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    execute = psycopg.Connection.execute

    def spy(conn: psycopg.Connection, query: Query, values: Params | None = None) -> psycopg.Cursor:
        if isinstance(values, dict):
            sent.extend(value for value in values.values() if isinstance(value, bytes))
        return execute(conn, query, values)

    monkeypatch.setattr(psycopg.Connection, "execute", spy)

    def texts() -> set[str]:
        rows = [row for text in sent if text for row in text.split(b"\x1e")]
        found = {json.loads(row)["uniqueid"] for row in rows}
        sent.clear()
        return found

    setting.project.calls = [call(NOON, "one"), call(NOON, "two"), call(NOON, "three")]
    setting.load(*PERIOD)
    assert texts() == {"one", "two", "three"}
    setting.project.calls[1] = call(NOON, "two", billsec=77)
    assert "3 calls read: 0 new, 1 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert texts() == {"two"}
    setting.conn.execute("update ringostat_raw.calls set digest = digest + 1")  # of another version
    assert "3 calls read: 0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert texts() == {"one", "two", "three"}
    assert "3 calls read: 0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert texts() == set()


def test_digests_that_are_changed_during_a_load_lose_no_call(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As somebody does who follows the way back in DECISIONS.md."""
    setting.project.calls = [call(NOON, "one"), call(NOON, "two")]
    setting.load(*PERIOD)
    before = setting.raw("call_id, payload, removed_at")
    parse = landing._parse

    def meanwhile(*arguments: object) -> None:
        setting.conn.execute("update ringostat_raw.calls set digest = null where call_id = 'one'")
        parse(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(landing, "_parse", meanwhile)
        result = setting.load(*PERIOD)
    assert result.exit_code == 1
    assert "ringostat_raw.calls.digest was changed during the load: load again" in result.stderr
    assert setting.raw("call_id, payload, removed_at") == before
    assert "2 calls read: 0 new, 0 changed, 0 removed" in setting.load(*PERIOD).stdout


def test_tables_from_before_there_were_digests(setting: Setting) -> None:
    setting.project.calls = [call(NOON, "one"), call(NOON, "two")]
    setting.load(*PERIOD)
    setting.conn.execute("alter table ringostat_raw.calls drop column digest")
    setting.project.calls = [call(NOON, "one"), call(NOON, "two", billsec=77)]
    assert "0 new, 1 changed, 0 removed" in setting.load(*PERIOD).stdout
    assert setting.raw("call_id, digest is null") == [("one", False), ("two", False)]


# --- properties ------------------------------------------------------------------------------


def json_values(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict]]:
    scalars = st.none() | st.booleans() | st.integers() | text
    floats = st.floats(allow_nan=False, allow_infinity=False)
    values = st.recursive(
        scalars | floats, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=6
    )
    return st.lists(st.dictionaries(text, values), max_size=4)


plain = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
hostile = st.text(st.characters(categories=["Cs", "Cc", "L"]))


@given(json_values(plain), st.sampled_from([None, 2]), st.booleans())
def test_rows_are_split_as_they_are(rows: list[dict], indent: int | None, escaped: bool) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=escaped).encode()
    assert [json.loads(bytes(row)) for row in split(body)] == rows


@given(json_values(plain), st.data())
def test_what_is_cut_or_garbled_is_no_list_unless_it_is_json(
    rows: list[dict], data: st.DataObject
) -> None:
    body = bytearray(json.dumps(rows).encode())
    place = data.draw(st.integers(0, len(body) - 1))
    body[place:] = data.draw(st.sampled_from([b"", bytes(body[place + 1 :])]))
    body[place:place] = data.draw(st.binary(max_size=2))
    try:
        read = json.loads(body.decode("utf-8-sig", errors="replace"), strict=False)
    except ValueError:
        read = None
    if isinstance(read, list) and all(isinstance(row, dict) for row in read):
        assert len(split(body)) == len(read)
    else:
        assert split(body) is None


@given(json_values(plain))
def test_a_row_too_deep_for_a_parser_does_not_hide_the_others(rows: list[dict]) -> None:
    deep = b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    body = json.dumps([*rows, "?", *rows]).encode().replace(b'"?"', deep, 1)
    if body.count(deep) == 1 and b'"?"' not in json.dumps(rows).encode():
        found = split(body)
        assert found.pop(len(rows)) == deep
        assert [json.loads(bytes(row)) for row in found] == rows * 2
        assert split(body[:-1]) is None


@given(json_values(plain))
def test_storable_text_stays_as_it_is(rows: list[dict]) -> None:
    assert [json.loads(storable(json.dumps(row).encode())) for row in rows] == rows


@given(json_values(hostile))
def test_text_that_cannot_be_stored_is_replaced(rows: list[dict]) -> None:
    for row in rows:
        text = storable(json.dumps(row).encode())
        assert isinstance(json.loads(text), dict)
        assert b"\\u0000" not in text
