"""The oracle's own rules, each on examples that were worked out by hand.

What checks the marts is itself checked here, by literals and nothing else. The last tests look at
the random accounts: an account in which a rule never comes up would check nothing.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from .accounts import UNLISTED_PROJECT, Account, edit, random_account
from .oracle import (
    CHANNEL_PARAMETERS,
    UTM_FIELDS,
    Settings,
    call_id,
    channel_id,
    dim_channels,
    dynamic_pools,
    fct_conversions,
    moment,
    number,
    rpt_conversions_daily,
    rpt_unmapped_pools,
    seed_row,
    spaces_collapsed,
    suggested_cells,
    suggestion,
)

KYIV = ZoneInfo("Europe/Kyiv")
DEFAULTS = Settings()
FIRST_CONTACT = Settings(primary_rule="first_contact")
THIRTY_DAYS = Settings(primary_rule="first_contact", primary_window_days=30)


def project(project_id: int = 1, **columns: str) -> dict[str, str]:
    return {
        "project_id": str(project_id),
        "project_name": f"Project {project_id}",
        "auth_key_env": "",
        "time_zone": "Europe/Kyiv",
        "kpi_mode": "",
        "load_from": "2026-01-01",
        "is_active": "true",
        **columns,
    }


def channel(
    parameter: str,
    value: str,
    campaign: str = "Spring",
    valid_from: str = "",
    valid_to: str = "",
    project_id: int = 1,
) -> dict[str, str]:
    return {
        "project_id": str(project_id),
        "parameter": parameter,
        "parameter_value": value,
        "traffic_source": "outdoor",
        "traffic_type": "offline",
        "campaign": campaign,
        "valid_from": valid_from,
        "valid_to": valid_to,
    }


def tag(parameter: str, value: str, label: str, project_id: int = 1) -> dict[str, str]:
    return {
        "project_id": str(project_id),
        "parameter": parameter,
        "parameter_value": value,
        "tag": label,
    }


def call(uniqueid: object = "c1", **fields: object) -> dict[str, object]:
    return {
        "uniqueid": uniqueid,
        "calldate": "2026-05-04T12:00:00+0300",
        "caller": "380441112233",
        "call_type": "in",
        **fields,
    }


def form(form_id: object = "f1", **fields: object) -> dict[str, object]:
    return {
        "form_id": form_id,
        "submitted_at": "2026-05-04T12:00:00+0300",
        "phone": "+38 044 111-22-33",
        **fields,
    }


def conversions(
    *calls: dict,
    forms: list[dict] = (),
    channels: list[dict] = (),
    tags: list[dict] = (),
    settings: Settings = DEFAULTS,
    **project_columns: str,
) -> list[dict]:
    """`fct_conversions` of one project."""
    listed = [project(1, **project_columns)]
    return fct_conversions(listed, channels, tags, {1: calls}, {1: forms}, settings)


def the_conversion(*calls: dict, **inputs: object) -> dict:
    (row,) = conversions(*calls, **inputs)
    return row


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


# ------------------------------------------------------------------------------------------ moments


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ("2026-05-04T12:00:00+0300", utc(2026, 5, 4, 9)),
        ("2026-05-04T12:00:00+03:00", utc(2026, 5, 4, 9)),
        ("2026-05-04T12:00:00-0330", utc(2026, 5, 4, 15, 30)),
        ("2026-05-04T12:00:00Z", utc(2026, 5, 4, 12)),
        ("2026-05-04T12:00:00+0000", utc(2026, 5, 4, 12)),
        ("2026-05-04T12:00:00", utc(2026, 5, 4, 9)),
        ("2026-05-04 12:00:00", utc(2026, 5, 4, 9)),
        ("2026-01-04T12:00:00", utc(2026, 1, 4, 10)),
        # 03:30 comes twice in Kyiv that night; without an offset it is the second, +02:00.
        ("2025-10-26T03:30:00", utc(2025, 10, 26, 1, 30)),
        ("2025-10-26T03:30:00+0300", utc(2025, 10, 26, 0, 30)),
        # and never on this one: the clocks go from 03:00 to 04:00.
        ("2026-03-29T03:30:00", utc(2026, 3, 29, 1, 30)),
    ],
)
def test_calldate_is_read_with_any_offset_or_in_the_zone_of_the_project(
    answered: str, expected: datetime
) -> None:
    assert moment(answered, KYIV) == expected


@pytest.mark.parametrize(("zone", "day"), [("Europe/Kyiv", 5), ("UTC", 4), ("America/New_York", 4)])
def test_a_day_is_a_day_of_the_project(zone: str, day: int) -> None:
    row = the_conversion(call(calldate="2026-05-04T23:30:00Z"), time_zone=zone)
    assert row["conversion_date"] == date(2026, 5, day)


def test_a_day_begins_at_another_hour_of_utc_once_the_clocks_have_changed() -> None:
    late_in_winter = call(1, calldate="2026-03-28T21:30:00Z")  # 23:30 in Kyiv
    late_in_summer = call(2, calldate="2026-03-29T21:30:00Z")  # 00:30 of the next day
    days = [row["conversion_date"] for row in conversions(late_in_winter, late_in_summer)]
    assert days == [date(2026, 3, 28), date(2026, 3, 30)]


# -------------------------------------------------------------------- what is a conversion, its ids


@pytest.mark.parametrize(
    ("call_type", "expected"),
    [
        ("in", ["call"]),
        ("transitin", ["call"]),
        ("something new", ["call"]),
        ("", ["call"]),
        (None, ["call"]),
        ("callback", ["callback"]),
        (" CallBack ", ["callback"]),
        ("out", []),
        ("Out ", []),
        ("TRANSITOUT", []),
    ],
)
def test_only_outgoing_types_are_no_conversions(call_type: object, expected: list[str]) -> None:
    rows = conversions(call(call_type=call_type))
    assert [row["conversion_type"] for row in rows] == expected


def test_excluded_types_are_a_setting() -> None:
    calls = [call(1, call_type="out"), call(2, call_type="callback"), call(3)]
    rows = conversions(*calls, settings=Settings(excluded_call_types=("callback",)))
    assert [row["source_id"] for row in rows] == ["1", "3"]


def test_ids_name_project_kind_and_source() -> None:
    rows = conversions(call("a", call_type="callback"), call(7), forms=[form("a")])
    assert [(row["conversion_id"], row["source_id"]) for row in rows] == [
        ("1:call:7", "7"),
        ("1:call:a", "a"),
        ("1:form:a", "a"),
    ]


@pytest.mark.parametrize("uniqueid", ["", None, "  ", "\u00a0"])
def test_a_call_without_id_is_known_by_a_hash(uniqueid: str | None) -> None:
    expected = hashlib.sha256(b"2026-05-04T12:00:00+0300|380441112233|").hexdigest()
    assert call_id(call(uniqueid)) == f"sha256:{expected}"
    row = the_conversion(call(uniqueid), settings=Settings(caller_salt="salt"))
    salted = hashlib.sha256(f"saltsha256:{expected}".encode()).hexdigest()
    assert row["source_id"] == f"sha256:{salted}"
    assert row["conversion_id"] == f"1:call:sha256:{salted}"


def test_of_rows_with_one_id_the_last_counts() -> None:
    rows = conversions(call(5, billsec=10), call("5", billsec=20))
    assert [row["talk_seconds"] for row in rows] == [20]


def test_listed_projects_are_in_the_marts_the_inactive_too() -> None:
    projects = [project(1), project(2, is_active="false")]
    calls = {1: [call()], 2: [call()], 3: [call()]}
    rows = fct_conversions(projects, [], [], calls, {3: [form()]}, DEFAULTS)
    assert [row["project_id"] for row in rows] == [1, 2]


# -------------------------------------------------------------------------------------- attribution


def test_a_static_channel_gives_its_three_values_before_a_visit_does() -> None:
    billboard = channel("pool_name", "Billboard")
    row = the_conversion(
        call(pool_name="Billboard", client_id="1", utm_source="google"), channels=[billboard]
    )
    assert [row[column] for column in ("traffic_source", "traffic_type", "campaign")] == [
        "outdoor",
        "offline",
        "Spring",
    ]
    assert (row["attribution_method"], row["unknown_reason"]) == ("static_channel", None)
    assert row["channel_id"] == hashlib.md5(b"1|pool_name|Billboard|").hexdigest()  # noqa: S324
    assert row["utm_source"] == "google"


@pytest.mark.parametrize("parameter", CHANNEL_PARAMETERS)
def test_every_parameter_matches_its_own_field(parameter: str) -> None:
    row = the_conversion(call(**{parameter: "x"}), channels=[channel(parameter, "x")])
    assert row["attribution_method"] == "static_channel"


def test_the_first_parameter_in_order_wins_whatever_the_order_of_the_rows() -> None:
    values = dict.fromkeys(CHANNEL_PARAMETERS, "x")
    for winner in range(len(CHANNEL_PARAMETERS)):
        channels = [channel(name, "x", campaign=name) for name in CHANNEL_PARAMETERS[winner:]]
        row = the_conversion(call(**values), channels=channels[::-1])
        assert row["campaign"] == CHANNEL_PARAMETERS[winner]


@pytest.mark.parametrize("answered", ["billboard", "Billboard ", "Вillboard", "Bill\u00a0board"])
def test_a_value_nearly_equal_is_another_value(answered: str) -> None:
    row = the_conversion(call(pool_name=answered), channels=[channel("pool_name", "Billboard")])
    assert row["unknown_reason"] == "unmapped_pool"


@pytest.mark.parametrize(("answered", "value"), [(101, "101"), (True, "true"), ("101", "101")])
def test_values_of_any_json_type_compare_as_text(answered: object, value: str) -> None:
    row = the_conversion(call(department=answered), channels=[channel("department", value)])
    assert row["attribution_method"] == "static_channel"


@pytest.mark.parametrize(
    ("calldate", "matches"),
    [
        ("2026-05-03T23:59:59", False),
        ("2026-05-04T00:00:00", True),
        ("2026-05-06T23:59:59", True),
        ("2026-05-07T00:00:00", False),
    ],
)
def test_a_channel_is_valid_on_its_first_and_last_day(calldate: str, matches: bool) -> None:
    bounded = channel("pool_name", "x", valid_from="2026-05-04", valid_to="2026-05-06")
    row = the_conversion(call(calldate=calldate, pool_name="x"), channels=[bounded])
    assert (row["attribution_method"] == "static_channel") is matches


def test_a_channel_of_another_project_does_not_match() -> None:
    foreign = channel("pool_name", "x", project_id=2)
    row = the_conversion(call(pool_name="x"), channels=[foreign])
    assert row["attribution_method"] == "unknown"


@pytest.mark.parametrize("visit", [{"client_id": "1"}, {"landing": "localhost/"}])
def test_a_visit_gives_utm_values_as_answered_or_not_set(visit: dict) -> None:
    row = the_conversion(call(**visit, utm_source=" Google", utm_medium="", utm_term="x"))
    assert row["attribution_method"] == "utm"
    assert [row[column] for column in ("traffic_source", "traffic_type", "campaign")] == [
        " Google",
        "(not set)",
        "(not set)",
    ]
    assert [row[column] for column in ("utm_medium", "utm_campaign", "utm_term")] == ["", None, "x"]


@pytest.mark.parametrize("field", UTM_FIELDS)
def test_the_utm_values_of_a_form_are_its_visit(field: str) -> None:
    row = the_conversion(forms=[form(**{field: "x"})])
    assert (row["attribution_method"], row["unknown_reason"]) == ("utm", None)
    assert the_conversion(forms=[form(**{field: " "})])["attribution_method"] == "unknown"
    assert the_conversion(call(**{field: "x"}))["attribution_method"] == "unknown"


@pytest.mark.parametrize(
    ("pool", "reason"),
    [("Billboard", "unmapped_pool"), ("", "no_pool"), (None, "no_pool"), (" \u00a0", "no_pool")],
)
def test_without_a_channel_or_a_visit_the_source_is_unknown(pool: str | None, reason: str) -> None:
    blank_visit = {"client_id": " ", "landing": None, "utm_source": "google"}
    row = the_conversion(call(pool_name=pool, **blank_visit))
    assert row["unknown_reason"] == reason
    assert [row[column] for column in ("traffic_source", "traffic_type", "campaign")] == [
        "(unknown)",
        "(unknown)",
        "Неизвестная кампания",
    ]


# --------------------------------------------------------------------------------------------- tags


@pytest.mark.parametrize(
    ("category", "expected"),
    [(101, True), ("VIP", True), (0, True), (-1, False), (" -1 ", False), ("", False)],
)
def test_without_tag_rows_a_category_is_a_tag(category: object, expected: bool) -> None:
    elsewhere = tag("category_number", "101", "target", project_id=2)
    row = the_conversion(call(category_number=category), tags=[elsewhere])
    assert (row["is_tagged"], row["tags"]) == (expected, [])


def test_with_tag_rows_only_they_count() -> None:
    rules = [tag("category_number", "101", "target")]
    assert the_conversion(call(category_number=101), tags=rules)["tags"] == ["target"]
    other_category = the_conversion(call(category_number=5), tags=rules)
    assert (other_category["is_tagged"], other_category["tags"]) == (False, [])


def test_several_tags_are_sorted_and_distinct() -> None:
    rules = [
        tag("category_number", "101", "я"),
        tag("category_mark", "3", "я"),
        tag("department", "Sales", "a"),
        tag("proper_flag", "1", "Z"),
        tag("employee_number", "7", "not this one"),
    ]
    fields = {"category_number": 101, "category_mark": "3", "department": "Sales", "proper_flag": 1}
    assert the_conversion(call(**fields), tags=rules)["tags"] == ["Z", "a", "я"]


@pytest.mark.parametrize("answered", ["No-Answer", "NO  ANSWER", " no_+answer", "NO\u00a0ANSWER"])
@pytest.mark.parametrize("wanted", ["NO ANSWER", "no_answer"])
def test_dispositions_compare_in_their_normal_form(answered: str, wanted: str) -> None:
    row = the_conversion(call(disposition=answered), tags=[tag("disposition", wanted, "missed")])
    assert row["tags"] == ["missed"]
    assert row["disposition"] == answered


def test_other_tag_values_compare_exactly() -> None:
    rules = [tag("proper_flag", "1", "proper"), tag("scheme_name", "Day", "day")]
    row = the_conversion(call(proper_flag=True, scheme_name="day"), tags=rules)
    assert row["is_tagged"] is False


def test_the_tag_of_a_form_is_a_parameter_of_forms_alone() -> None:
    rules = [tag("tag", "Заявка", "form request"), tag("department", "Sales", "sales")]
    rows = conversions(
        call(tag="Заявка"), forms=[form(tag="Заявка", department="Sales")], tags=rules
    )
    assert [row["tags"] for row in rows] == [[], ["form request"]]


# ------------------------------------------------------------------------------------------ primary


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"unique_call": "yes", "call_counter": 9}, True),
        ({"unique_call": False, "call_counter": 1}, False),
        ({"unique_call": "maybe", "call_counter": "1"}, True),
        ({"call_counter": 1.9}, True),
        ({"call_counter": 2}, False),
        ({"call_counter": "first"}, False),
        ({}, False),
    ],
)
def test_vendor_rule_takes_the_first_answer_that_is_readable(fields: dict, expected: bool) -> None:
    # The earlier call of the same caller makes history answer "no".
    earlier = call("earlier", calldate="2026-05-01T12:00:00Z")
    _, row = conversions(earlier, call(**fields))
    assert row["is_primary"] is expected


def primaries(*moments: str, settings: Settings) -> list[bool]:
    """`is_primary` of calls of one caller at these moments."""
    calls = [call(str(place), calldate=at) for place, at in enumerate(moments)]
    return [row["is_primary"] for row in conversions(*calls, settings=settings)]


@pytest.mark.parametrize("settings", [DEFAULTS, FIRST_CONTACT])
def test_the_first_in_history_is_primary(settings: Settings) -> None:
    moments = ("2026-05-01T12:00:00Z", "2026-05-01T12:00:01Z", "2027-05-01T12:00:00Z")
    assert primaries(*moments, settings=settings) == [True, False, False]


def test_with_a_window_a_caller_is_primary_again_after_exactly_that_silence() -> None:
    start, just_short, exactly, soon = (
        "2026-05-01T12:00:00Z",
        "2026-05-31T11:59:59Z",
        "2026-06-30T11:59:59Z",
        "2026-07-01T12:00:00Z",
    )
    expected = [True, False, True, False]
    assert primaries(start, just_short, exactly, soon, settings=THIRTY_DAYS) == expected


def test_silence_is_measured_in_hours_of_24_across_a_clock_change() -> None:
    # 30 days by the wall clock of Kyiv, but an hour less.
    moments = ("2026-03-10T12:00:00+0200", "2026-04-09T12:00:00+0300")
    assert primaries(*moments, settings=THIRTY_DAYS) == [True, False]


def test_in_one_second_the_smaller_id_is_first() -> None:
    rows = conversions(call("b"), call("a"), call("B"), settings=FIRST_CONTACT)
    assert {row["source_id"]: row["is_primary"] for row in rows} == {
        "B": True,
        "a": False,
        "b": False,
    }


def test_calls_and_forms_of_one_number_are_one_history() -> None:
    rows = conversions(
        call("late", calldate="2026-05-04T12:00:01+0300", caller=380441112233),
        forms=[form(phone="+38 (044) 111-22-33")],
        settings=FIRST_CONTACT,
    )
    assert [(row["conversion_type"], row["is_primary"]) for row in rows] == [
        ("form", True),
        ("call", False),
    ]


def test_excluded_calls_are_no_history() -> None:
    outgoing = call("earlier", calldate="2026-05-01T12:00:00Z", call_type="out")
    assert the_conversion(outgoing, call(), settings=FIRST_CONTACT)["is_primary"] is True


@pytest.mark.parametrize("settings", [DEFAULTS, FIRST_CONTACT, THIRTY_DAYS])
def test_a_caller_without_a_number_is_always_primary(settings: Settings) -> None:
    hidden = {"caller": "anonymous", "unique_call": 0, "call_counter": 5}
    rows = conversions(call(1, **hidden), call(2, **hidden), settings=settings)
    assert [(row["is_primary"], row["caller_key"]) for row in rows] == [(True, None)] * 2


# ---------------------------------------------------------------------------------------- KPI modes


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("all", [True, True, True, True]),
        ("tagged", [True, True, False, False]),
        ("primary", [True, False, True, False]),
        ("tagged_primary", [True, False, False, False]),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_kpi_mode_of_the_project_wins_over_the_setting(
    mode: str, expected: list[bool], own: bool
) -> None:
    calls = [
        call(1, category_number=5, unique_call=1),
        call(2, category_number=5, unique_call=0),
        call(3, unique_call=1),
        call(4, unique_call=0),
    ]
    settings = DEFAULTS if own else Settings(kpi_mode=mode)
    rows = conversions(*calls, settings=settings, kpi_mode=mode if own else "")
    assert [row["is_counted"] for row in rows] == expected


# ------------------------------------------------------------------------------------ other columns


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("ANSWERED", True),
        (" proper_", True),
        ("Repeated", True),
        ("NO ANSWER", False),
        ("NOT ANSWERED", False),
        ("VOICEMAIL", False),
        ("-", None),
        ("", None),
        (None, None),
        ("calling", None),
        ("IN_PROGRESS", None),
    ],
)
def test_answered_means_that_a_conversation_took_place(
    disposition: str | None, expected: bool
) -> None:
    assert the_conversion(call(disposition=disposition))["is_answered"] is expected


def test_forms_have_neither_outcome_nor_seconds() -> None:
    row = the_conversion(forms=[form(disposition="ANSWERED", billsec=5, waittime=5)])
    columns = ("is_answered", "disposition", "wait_seconds", "talk_seconds")
    assert [row[column] for column in columns] == [None] * 4


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ("36", 36),
        (" 36.9\t", 36),
        ("-5.5", -5),
        ("007", 7),
        ("999999999999999", 999_999_999_999_999),
        ("1234567890123456", None),
        ("+5", None),
        (".5", None),
        ("5.", None),
        ("1e3", None),
        ("٣", None),
        ("n/a", None),
        ("", None),
        (None, None),
    ],
)
def test_numbers_are_whole_or_unreadable(answered: str | None, expected: int | None) -> None:
    assert number(answered) == expected


@pytest.mark.parametrize(
    ("fields", "hashed"),
    [
        ({"caller": "+38 (044) 111-22-33"}, "salt380441112233"),
        ({"caller": "anonymous", "caller_number": "380441112233"}, "salt380441112233"),
        ({"caller": '"agent7" <agent7>', "caller_number": "380441112233"}, "salt7"),
        ({"caller": '"Shop 2" <380441112233>'}, "salt380441112233"),
        ({"caller": '"Shop 2" <shop>', "caller_number": "380441112233"}, "salt380441112233"),
        ({"caller": '"<1>" <+38 044 111 22 33>'}, "salt380441112233"),
        ({"caller": "<380441112233"}, "salt380441112233"),
        ({"caller": "٣٨٠", "caller_number": None}, None),
    ],
)
def test_caller_key_is_salted_and_of_digits_alone(fields: dict, hashed: str | None) -> None:
    row = the_conversion(call(**fields), settings=Settings(caller_salt="salt"))
    expected = hashlib.sha256(hashed.encode()).hexdigest() if hashed else None
    assert row["caller_key"] == expected


# -------------------------------------------------------------------------------- transferred calls


def transferred(*rows: tuple[str, int, dict], **inputs: object) -> list[dict]:
    """Conversions of one caller's calls: (call type, seconds after noon, other fields)."""
    noon = utc(2026, 5, 4, 9)
    calls = [
        call(
            f"c{place}",
            calldate=(noon + timedelta(seconds=seconds)).isoformat(),
            call_type=call_type,
            **fields,
        )
        for place, (call_type, seconds, fields) in enumerate(rows)
    ]
    return conversions(*calls, **inputs)


def test_a_transferred_call_is_one_conversion_with_what_its_legs_add() -> None:
    (row,) = transferred(
        ("in", 0, {"disposition": "NO ANSWER", "billsec": 5, "waittime": 9, "pool_name": "A"}),
        ("transitin", 40, {"disposition": "ANSWERED", "billsec": 60, "category_number": 101}),
        ("transitin", 160, {"disposition": "Proper", "billsec": 7, "category_mark": 30}),
        tags=[tag("category_number", "101", "target"), tag("category_mark", "30", "VIP")],
    )
    assert (row["source_id"], row["occurred_at"], row["pool_name"]) == (
        "c0",
        utc(2026, 5, 4, 9),
        "A",
    )
    assert (row["legs"], row["disposition"], row["is_answered"]) == (3, "Proper", True)
    assert (row["talk_seconds"], row["wait_seconds"]) == (72, 9)
    assert (row["tags"], row["category_number"]) == (["VIP", "target"], "101")


@pytest.mark.parametrize(
    ("seconds", "after", "legs"),
    [(120, 0, [2]), (120, 120, [2]), (120, 121, [1, 1]), (60, 61, [1, 1]), (0, 0, [1, 1])],
)
def test_a_leg_begins_soon_after_the_row_before(seconds: int, after: int, legs: list[int]) -> None:
    rows = transferred(
        ("in", 0, {}), ("transitin", after, {}), settings=Settings(transfer_seconds=seconds)
    )
    assert [row["legs"] for row in rows] == legs


@pytest.mark.parametrize(
    "rows",
    [
        [("transitin", 0, {}), ("in", 60, {})],
        [("in", 0, {}), ("in", 60, {})],
        [("in", 0, {}), ("transitin", 0, {"caller": "380449999999"})],
        [("in", 0, {"caller": "anonymous"}), ("transitin", 0, {"caller": "anonymous"})],
        [("out", 0, {}), ("transitin", 0, {}), ("in", 1, {})],
    ],
)
def test_what_is_no_leg_is_a_conversion(rows: list) -> None:
    assert [row["legs"] for row in transferred(*rows)] == [1, 1]


@pytest.mark.parametrize(
    ("dispositions", "expected"),
    [
        (("NO ANSWER", "BUSY"), ("NO ANSWER", False)),
        (("NO ANSWER", "CALLING"), ("NO ANSWER", None)),
        (("CALLING", "BUSY"), ("CALLING", None)),
        (("CALLING", "REPEATED"), ("REPEATED", True)),
        (("ANSWERED", "REPEATED"), ("REPEATED", True)),
    ],
)
def test_the_best_disposition_of_the_legs_counts(
    dispositions: tuple[str, str], expected: tuple[str, bool | None]
) -> None:
    first, second = ({"disposition": one} for one in dispositions)
    (row,) = transferred(("in", 0, first), ("transitin", 0, second))
    assert (row["disposition"], row["is_answered"]) == expected


def test_legs_do_not_count_as_earlier_contacts() -> None:
    rows = transferred(("in", 0, {}), ("transitin", 60, {}), ("in", 90, {}), settings=FIRST_CONTACT)
    assert [(row["is_primary"], row["legs"]) for row in rows] == [(True, 2), (False, 1)]


# ---------------------------------------------------------------- what a call tells besides numbers


def test_the_local_time_is_that_of_the_project() -> None:
    row = the_conversion(call(calldate="2026-05-03T23:30:00+0000"))
    assert (row["occurred_at_local"], row["hour"], row["weekday"]) == (
        datetime(2026, 5, 4, 2, 30),
        2,
        1,
    )


@pytest.mark.parametrize(
    ("call_type", "number"),
    [(" IN", "380800"), ("transitin", "380800"), ("callback", None), ("webcall", None)],
)
def test_a_number_is_shown_only_if_the_client_dialled_it(call_type: str, number: str) -> None:
    assert the_conversion(call(call_type=call_type, dst="380800"))["number_dialled"] == number


def test_employees_and_visits_are_shown_unless_they_are_switched_off() -> None:
    answered = call(
        employee_number=7,
        employee_fio="Ann",
        landing="https://shop.example/a?phone=380441112233",
        client_id="1.2",
        department="Sales",
    )
    shown = ("employee_number", "employee_name", "landing", "client_id", "department")
    row = the_conversion(answered)
    assert [row[name] for name in shown] == ["7", "Ann", "https://shop.example/a", "1.2", "Sales"]
    row = the_conversion(answered, settings=Settings(show_employees=False, show_visits=False))
    assert [row[name] for name in shown] == [None, None, None, None, "Sales"]
    row = the_conversion(call(employee_number=-1, employee_fio=" ", landing="?a", client_id=""))
    assert [row[name] for name in shown] == [None] * 5


# ---------------------------------------------------------------------------------- the other marts


def test_the_daily_row_counts_every_mode_side_by_side() -> None:
    calls = [
        call(1, unique_call=1, category_number=5, disposition="ANSWERED", billsec=60),
        call(2, unique_call=0, category_number=5, disposition="BUSY", billsec=0),
        call(3, unique_call=1, caller="anonymous", disposition="PROPER", billsec="n/a"),
        call(4, unique_call=0, caller="380449999999", category_number=5, category_mark="12.50"),
        call(5, calldate="2026-05-05T12:00:00+0300", unique_call=0),
    ]
    rows = conversions(*calls, kpi_mode="tagged")
    first, second = rpt_conversions_daily(rows, [project(kpi_mode="tagged")], DEFAULTS)
    assert first == {
        "conversion_date": date(2026, 5, 4),
        "project_id": 1,
        "conversion_type": "call",
        "traffic_source": "(unknown)",
        "traffic_type": "(unknown)",
        "campaign": "Неизвестная кампания",
        "project_name": "Project 1",
        "conversions": 3,
        "conversions_all": 4,
        "conversions_tagged": 3,
        "conversions_primary": 2,
        "conversions_tagged_primary": 1,
        "answered": 2,
        "missed": 1,
        "talk_seconds": 60,
        "unique_callers": 2,
        "in_progress": 1,
        "category_value": Decimal("12.50"),
        "conversions_unknown": 3,
        "attribution_method": "unknown",
        "kpi_mode": "tagged",
    }
    # Nothing of it counts, but the row is there.
    assert (second["conversions"], second["conversions_all"]) == (0, 1)


def test_labels_that_come_from_a_channel_and_from_a_visit_are_one_row() -> None:
    utm = {"utm_source": "outdoor", "utm_medium": "offline", "utm_campaign": "Spring"}
    calls = [call(1, pool_name="A"), call(2, client_id="1.2", **utm), call(3)]
    rows = conversions(*calls, channels=[channel("pool_name", "A")])
    daily = rpt_conversions_daily(rows, [project()], DEFAULTS)
    assert [
        (row["attribution_method"], row["conversions"], row["conversions_unknown"]) for row in daily
    ] == [("mixed", 2, 0), ("unknown", 1, 1)]


def test_forms_are_neither_answered_nor_missed() -> None:
    rows = conversions(forms=[form()])
    (row,) = rpt_conversions_daily(rows, [project()], DEFAULTS)
    assert (row["conversions_all"], row["answered"], row["missed"], row["talk_seconds"]) == (
        1,
        0,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("pool", "configured", "expected"),
    [
        ("Big  Board ", ["Big Board"], ("Big Board", "whitespace")),
        ("Big\u00a0\nBoard", ["Big Board"], ("Big Board", "whitespace")),
        (" 2гис", ["2ГИС"], ("2ГИС", "case")),
        ("Kиїв", ["Київ"], ("Київ", "look_alike")),  # a Latin K
        ("ІНТЕРНЕТ", ["iнтepнeт"], ("iнтepнeт", "look_alike")),
        ("ї", ["Ï"], ("Ï", "look_alike")),
        # The first reason that fits, not the first candidate; within a reason the smallest.
        ("2гис ", ["2ГИС", "2гис"], ("2гис", "whitespace")),
        ("2гис", ["2Гис", "2ГИС"], ("2ГИС", "case")),
        ("Radio", ["Radia", "Radio 1"], (None, None)),
        # The name itself, valid on other days, comes first.
        ("Radio", ["Radio ", "Radio"], ("Radio", "days")),
    ],
)
def test_a_suggestion_is_the_nearest_configured_pool(
    pool: str, configured: list[str], expected: tuple
) -> None:
    channels = [channel("pool_name", value, valid_to="2020-01-01") for value in configured]
    # Neither another parameter nor another project is asked.
    channels += [
        channel("department", pool.upper()),
    ]
    assert suggestion(pool, channels) == expected


@pytest.mark.parametrize(
    ("periods", "unmapped_on", "open_days"),
    [
        ([("", "2024-01-31")], "2024-02-01", [("2024-02-01", "")]),
        ([("2024-01-01", "")], "2023-12-31", [("", "2023-12-31")]),
        (
            [("2024-03-01", ""), ("", "2024-01-31")],
            "2024-02-10",
            [("2024-02-01", "2024-02-29")],
        ),
        (
            [("2024-03-01", "2024-03-31"), ("", "2024-01-31")],
            "2024-02-10",
            [("2024-02-01", "2024-02-29")],
        ),
    ],
)
def test_open_days_lie_between_the_rows_of_a_pool(
    periods: list[tuple[str, str]], unmapped_on: str, open_days: list[tuple[str, str]]
) -> None:
    channels = [
        channel("pool_name", "Radio", valid_from=first, valid_to=last) for first, last in periods
    ]
    rows = conversions(
        call(pool_name="Radio", calldate=f"{unmapped_on}T12:00:00Z"), channels=channels
    )
    cells = suggested_cells("Radio", rows, channels, is_dynamic=False)
    assert [cell[3:] for cell in cells] == open_days
    tokens = ("{utm_source}", "{utm_medium}", "{utm_campaign}")
    cells = suggested_cells("Radio", rows, channels, is_dynamic=True)
    assert cells == [(*tokens, *days) for days in open_days]


def test_a_pool_most_of_whose_calls_have_a_visit_is_dynamic_and_keeps_their_utm() -> None:
    visit = {"pool_name": "A", "remote_ip": "10.1.1.1"}
    rows = conversions(call(1, pool_name="A"), call(2, **visit))
    assert dynamic_pools(rows) == set()
    rows = conversions(call(1, pool_name="A"), call(2, **visit), call(3, **visit))
    assert dynamic_pools(rows) == {(1, "A")}
    tokens = ("{utm_source}", "{utm_medium}", "{utm_campaign}", "", "")
    near = [channel("pool_name", "a", valid_to="2020-01-01")]
    assert suggested_cells("A", rows[:1], near, is_dynamic=True) == [tokens]
    assert suggested_cells("A", rows[:1], [], is_dynamic=True) == [tokens]
    assert suggested_cells("A", rows[:1], [], is_dynamic=False) == [("",) * 5]


def test_a_channel_may_keep_what_the_call_says() -> None:
    tokens = channel("pool_name", "A") | {
        "traffic_source": "{utm_source}",
        "traffic_type": "{utm_medium}",
        "campaign": "{utm_campaign}",
    }
    row = the_conversion(
        call(pool_name="A", utm_source="google", utm_medium=" "), channels=[tokens]
    )
    assert (row["traffic_source"], row["traffic_type"], row["campaign"]) == (
        "google",
        "(not set)",
        "(not set)",
    )
    assert row["attribution_method"] == "static_channel"


@pytest.mark.parametrize(
    ("pool", "cell"),
    [
        ("Billboard", "Billboard"),
        ("Center, left", '"Center, left"'),
        ('Site "Spring"', '"Site ""Spring"""'),
        ("two\nlines", '"two\nlines"'),
        (" ahead", '" ahead"'),
        ("behind\u00a0", '"behind\u00a0"'),
    ],
)
def test_a_seed_row_is_ready_to_paste(pool: str, cell: str) -> None:
    line = seed_row(11111, pool, *[""] * 5)
    assert line == f"11111,pool_name,{cell},,,,,"
    assert next(csv.reader(line.splitlines(keepends=True))) == [
        "11111",
        "pool_name",
        pool,
        *[""] * 5,
    ]


def test_unmapped_pools_count_conversions_of_that_reason() -> None:
    rows = conversions(
        call(1, pool_name="Big board", calldate="2026-05-04T12:00:00Z"),
        call(2, pool_name="Big board", calldate="2026-05-02T12:00:00Z"),
        call(3, pool_name="Big board", client_id="a visit"),
        call(4, pool_name=""),
        kpi_mode="tagged",  # none of them counts for the KPI: all the same they are unmapped
    )
    assert rpt_unmapped_pools(rows, rows, [channel("pool_name", "Big Board")]) == [
        {
            "project_id": 1,
            "pool_name": "Big board",
            "conversions": 2,
            "first_conversion_at": utc(2026, 5, 2, 12),
            "last_conversion_at": utc(2026, 5, 4, 12),
            "suggested_value": "Big Board",
            "suggestion_reason": "case",
            "seed_row": "1,pool_name,Big board,outdoor,offline,Spring,,",
            "conversions_by_utm": 1,
            "is_dynamic": False,
        }
    ]


def test_channels_tell_their_use() -> None:
    spring = channel("pool_name", "x", "Spring", valid_to="2026-05-31")
    summer = channel("pool_name", "x", "Summer", valid_from="2026-06-01")
    rows = conversions(call(pool_name="x"), channels=[spring, summer])
    used, unused = dim_channels(rows, [spring, summer])
    assert used == {
        **spring,
        "project_id": 1,
        "valid_from": None,
        "valid_to": date(2026, 5, 31),
        "channel_id": channel_id(spring),
        "conversions": 1,
        "first_conversion_at": utc(2026, 5, 4, 9),
        "last_conversion_at": utc(2026, 5, 4, 9),
        "is_used": True,
    }
    assert (unused["conversions"], unused["first_conversion_at"], unused["is_used"]) == (
        0,
        None,
        False,
    )


# ------------------------------------------------------------------------------ the random accounts


@pytest.fixture(scope="module", params=[1, 2, 3])
def account(request: pytest.FixtureRequest) -> Account:
    return random_account(request.param)


def marts(account: Account, settings: Settings = DEFAULTS) -> list[dict]:
    seeds = (account.projects, account.channels, account.tags)
    return fct_conversions(*seeds, account.calls, account.forms, settings)


def test_an_account_is_known_by_its_seed(account: Account) -> None:
    assert random_account(1) == random_account(1) != random_account(2)
    assert edit(account, 5) == edit(account, 5) != edit(account, 6)


def test_every_rule_comes_up_in_every_account(account: Account) -> None:
    rows = marts(account)
    by_channel = {channel_id(row): row["parameter"] for row in account.channels}
    parameters = Counter(by_channel[row["channel_id"]] for row in rows if row["channel_id"])
    assert min(parameters[parameter] for parameter in CHANNEL_PARAMETERS) >= 5

    methods = Counter((row["attribution_method"], row["unknown_reason"]) for row in rows)
    assert len(methods) == 4
    assert min(methods.values()) >= 30
    flags = Counter((row["is_tagged"], row["is_primary"]) for row in rows)
    assert len(flags) == 4
    assert min(flags.values()) >= 100
    assert {len(row["tags"]) for row in rows} >= {0, 1, 2}
    assert {row["conversion_type"] for row in rows} == {"call", "callback", "form"}
    assert sum(row["legs"] > 1 for row in rows) >= 50
    assert sum(row["legs"] > 2 for row in rows) >= 20
    assert sum(row["is_answered"] is None and row["legs"] > 1 for row in rows) >= 5

    without_channels = marts(replace(account, channels=[]))
    pools = rpt_unmapped_pools(rows, without_channels, account.channels)
    reasons = Counter(row["suggestion_reason"] for row in pools)
    assert min(reasons[one] for one in ("days", "whitespace", "case", "look_alike", None)) >= 5
    kinds = Counter(row["is_dynamic"] for row in pools)
    assert min(kinds[True], kinds[False]) >= 5
    days = rpt_conversions_daily(rows, account.projects, DEFAULTS)
    assert sum(row["conversions_all"] >= 3 for row in days) >= 20
    assert {row["conversions"] == 0 for row in days} == {True, False}
    assert {row["is_used"] for row in dim_channels(rows, account.channels)} == {True, False}


def test_ties_and_windows_come_up_in_every_account(account: Account) -> None:
    primary = {
        settings: sum(row["is_primary"] for row in marts(account, settings))
        for settings in (
            DEFAULTS,
            FIRST_CONTACT,
            THIRTY_DAYS,
            Settings(primary_rule="first_contact", primary_window_days=7),
        )
    }
    assert len(set(primary.values())) == 4
    contacts = Counter((row["caller_key"], row["occurred_at"]) for row in marts(account))
    assert sum(count > 1 for (caller, _), count in contacts.items() if caller) >= 20


def test_accounts_hold_what_only_an_account_can_hold(account: Account) -> None:
    listed = {int(row["project_id"]) for row in account.projects}
    assert account.calls[UNLISTED_PROJECT]
    assert UNLISTED_PROJECT not in listed
    assert [] in account.calls.values()
    inactive = [int(row["project_id"]) for row in account.projects if row["is_active"] == "false"]
    assert any(account.calls[project_id] for project_id in inactive)
    with_tags = {int(row["project_id"]) for row in account.tags}
    assert with_tags < listed
    ids = Counter(call_id(row) for rows in account.calls.values() for row in rows)
    assert max(ids.values()) > 1
    assert sum(one.startswith("sha256:") for one in ids) > 50


def test_seeds_of_an_account_are_valid_configuration(account: Account) -> None:
    periods: dict[tuple, list[tuple[date, date]]] = {}
    for row in account.channels:
        first = date.fromisoformat(row["valid_from"] or "0001-01-01")
        last = date.fromisoformat(row["valid_to"] or "9999-12-31")
        assert first <= last
        assert all(spaces_collapsed(row[name]) for name in row if not name.startswith("valid"))
        value = (row["project_id"], row["parameter"], row["parameter_value"])
        periods.setdefault(value, []).append((first, last))
    for of_one_value in periods.values():
        in_order = sorted(of_one_value)
        for (_, ends), (begins, _) in pairwise(in_order):
            assert ends < begins
    assert len({tuple(row.values()) for row in account.tags}) == len(account.tags)


def test_seeds_survive_their_files(account: Account, tmp_path: Path) -> None:
    account.write_seeds(tmp_path)
    for name, rows in (
        ("projects", account.projects),
        ("static_channels", account.channels),
        ("kpi_tags", account.tags),
    ):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            assert list(csv.DictReader(file)) == rows


def test_an_edit_changes_removes_and_adds(account: Account) -> None:
    def by_id(state: Account) -> dict:
        return {
            (project_id, call_id(row)): row
            for project_id, rows in state.calls.items()
            for row in rows
        }

    before, after = by_id(account), by_id(edit(account, 1))
    changed = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    assert len(before.keys() - after.keys()) > 50
    assert len(after.keys() - before.keys()) > 100
    assert len(changed) > 200
    fields = {
        name
        for key in changed
        for name in before[key].keys() | after[key].keys()
        if before[key].get(name) != after[key].get(name)
    }
    assert fields >= {
        "calldate",
        "caller",
        "call_type",
        "category_number",
        "disposition",
        "billsec",
        "pool_name",
        "client_id",
    }
