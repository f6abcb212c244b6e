"""The calculation of money and loss says what the contract says: examples worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from . import oracle, oracle_money
from .oracle import Settings

PROJECT = {
    "project_id": "1",
    "project_name": "Clinic",
    "time_zone": "UTC",
    "kpi_mode": "all",
    "load_from": "2024-01-01",
}
AT = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
LOADED = {1: datetime(2024, 6, 1, tzinfo=timezone.utc)}
CLIENT = "380441112233"


def call(after: int, **fields: object) -> dict[str, object]:
    """A call `after` so many seconds."""
    return {
        "calldate": f"{AT + timedelta(seconds=after):%Y-%m-%d %H:%M:%S}",
        "uniqueid": f"a{after}",
        "call_type": "in",
        "caller": CLIENT,
        "disposition": "NO ANSWER",
        **fields,
    }


def back(after: int, seconds: int = 10, call_type: str = "out") -> dict[str, object]:
    return call(after, caller="101", dst=f"+{CLIENT}", billsec=seconds, call_type=call_type)


def lost_requests(*calls: dict[str, object], loaded_until: datetime | None = None) -> list[dict]:
    landed = {1: list(calls)}
    conversions = oracle.fct_conversions([PROJECT], [], [], landed, {}, Settings())
    loaded = {1: loaded_until} if loaded_until else LOADED
    return oracle_money.rpt_lost_requests(conversions, [PROJECT], landed, {}, loaded, Settings())


# ------------------------------------------------------------------------------------ lost requests


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ([], "lost"),
        ([back(60)], "called_back"),
        ([back(86_400)], "called_back"),
        ([back(86_401)], "lost"),
        ([back(60, seconds=9)], "lost"),
        ([back(60, seconds=9), back(120, 1, "transitout")], "called_back"),
        ([back(60, seconds=9), back(181, 1, "transitout")], "lost"),
        ([call(60, disposition="ANSWERED")], "client_reached_us"),
        ([call(60, disposition="ANSWERED"), back(90)], "client_reached_us"),
        ([back(60), call(90, disposition="ANSWERED")], "called_back"),
        ([call(60, caller="380999", disposition="ANSWERED")], "lost"),
    ],
)
def test_what_came_first_decides(later: list[dict[str, object]], outcome: str) -> None:
    assert lost_requests(call(0), *later)[0]["outcome"] == outcome


def test_nobody_knows_before_the_hours_are_loaded() -> None:
    (row,) = lost_requests(call(0), loaded_until=AT + timedelta(hours=23))
    assert row["outcome"] == "open"
    (row,) = lost_requests(call(0), loaded_until=AT + timedelta(hours=24))
    assert row["outcome"] == "lost"


def test_the_minutes_to_the_call_back() -> None:
    (row,) = lost_requests(call(0), back(93))
    assert (row["minutes_to_call_back"], row["hour_of_day"]) == (Decimal("1.6"), 12)


# ---------------------------------------------------------------------------------- tracking health


def days(*numbers: int) -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=n) for n in numbers]  # a Monday


def test_silence_is_measured_by_the_rate_of_each_weekday() -> None:
    on_working_days = [day for day in days(*range(28)) if day.weekday() < 5]
    friday, weekend, week = days(25)[0], days(26, 27), days(26, 27, *range(28, 33))
    assert on_working_days[-1] == friday
    assert oracle_money.silence_probability(on_working_days, weekend) == 1
    found = oracle_money.silence_probability(on_working_days, week)
    assert oracle_money.rounded(found, 6) == Decimal("0.006738")  # e to the power of -5


def test_visits_drop_by_half_and_by_more_than_chance() -> None:
    assert oracle_money.has_dropped([False] * 20, [True] * 20)
    assert not oracle_money.has_dropped([True] * 11 + [False] * 9, [True] * 20)  # not to half
    assert not oracle_money.has_dropped([False] * 3, [True, True, False])  # perhaps by chance


# -------------------------------------------------------------------------------------------- spend


def conversion(campaign: str, project_id: int = 1, source: str = "google") -> dict[str, object]:
    return {
        "project_id": project_id,
        "traffic_source": source,
        "traffic_type": "cpc",
        "campaign": campaign,
    }


def spent(amount: int, name: str, campaign_id: str = "", **fields: object) -> dict[str, object]:
    return {
        "date_day": date(2024, 5, 1),
        "platform": "google_ads",
        "campaign_id": campaign_id,
        "campaign_name": name,
        "spend": Decimal(amount),
        "project_id": 1,
        **fields,
    }


def matched(conversions: list[dict], spend: list[dict]) -> dict[str, tuple[str, str]]:
    """Of each campaign of the conversions: the id or name of the spend, and by what they met."""
    return {
        labels[2]: (one.campaign_id or one.name, by)
        for (_, labels), (one, by) in oracle_money.matches(conversions, spend).items()
    }


def test_an_id_goes_before_a_name() -> None:
    spend = [spent(100, "777"), spent(1, "Spring", "777")]
    assert matched([conversion("777")], spend) == {"777": ("777", "campaign_id")}
    found = oracle_money.matches([conversion("777")], spend)
    ((one, _),) = found.values()
    assert one.name == ""


def test_a_name_must_be_equal() -> None:
    assert matched([conversion("spring"), conversion("Sprnig")], [spent(1, "spring")]) == {
        "spring": ("spring", "campaign_name")
    }


def test_any_name_that_the_campaign_has_had_matches_and_the_latest_is_shown() -> None:
    spend = [spent(1, "New", "7", date_day=date(2024, 5, 2)), spent(1, "Old", "7")]
    conversions = [conversion("Old"), conversion("New"), conversion("7")]
    assert len(matched(conversions, spend)) == 3
    (shown,) = oracle_money.shown_campaigns(conversions, spend, [PROJECT]).values()
    assert (shown.labels[2], shown.spend_match) == ("New", "campaign_id")


def test_spend_of_no_project_belongs_to_the_only_project_that_it_matches() -> None:
    spend = [spent(1, "spring", project_id=None)]
    assert matched([conversion("spring")], spend)
    assert not matched([conversion("spring"), conversion("spring", project_id=2)], spend)


def test_a_cost_is_spread_to_the_cent() -> None:
    cost = {
        **dict(zip(("traffic_source", "traffic_type", "campaign"), "stc", strict=True)),
        "project_id": "1",
        "starts_on": "2024-05-01",
        "ends_on": "2024-05-03",
        "cost": "100",
    }
    amounts = [amount for *_, amount in oracle_money.daily_costs([cost])]
    assert amounts == [Decimal("33.33"), Decimal("33.34"), Decimal("33.33")]


def test_the_nearest_name_has_half_of_the_pairs_of_letters_or_more() -> None:
    assert oracle_money.nearest("implantacia", ["spring", "implantaciya"]) == "implantaciya"
    assert oracle_money.nearest("implantacia", ["spring", "summer"]) is None


@pytest.mark.parametrize(
    ("traffic_type", "campaign", "is_paid"),
    [
        ("CPC", "x", True),
        ("paid_social", "x", True),
        ("retargeting", "x", True),
        ("organic", "x", False),
        ("Сайт", "21034567803", True),
        ("Сайт", "2024", False),
    ],
)
def test_paid_traffic(traffic_type: str, campaign: str, is_paid: bool) -> None:
    assert oracle_money.is_paid(traffic_type, campaign) is is_paid
