"""The demo's account has what the reports on money and on broken numbers are for, and shows it."""

from __future__ import annotations

from decimal import Decimal

import psycopg
import pytest

from loader import database
from loader.commands.demo import print_summary


@pytest.fixture(scope="module")
def marts(demo_warehouse: dict[str, str]) -> psycopg.Connection:
    with database.connect(demo_warehouse) as conn:
        yield conn


def test_missed_requests_end_in_every_way(marts: psycopg.Connection) -> None:
    rows = marts.execute(
        "select outcome, count(*) from ringostat_marts.rpt_lost_requests group by outcome"
    )
    found = dict(rows.fetchall())
    # A request is open for 24 hours, and the account ends with yesterday: late in the day none is.
    found.pop("open", None)
    assert found.keys() == {"called_back", "client_reached_us", "lost"}
    assert min(found.values()) > 100


def test_the_broken_pools_are_found_and_no_other(marts: psycopg.Connection) -> None:
    rows = marts.execute(
        """
        select status, pool_name
        from ringostat_marts.rpt_tracking_health
        where status not in ('ok', 'too_few')
        """
    )
    assert set(rows.fetchall()) == {
        ("silent", "Сітілайт біля метро"),
        ("visits_dropped", "Динамический пул: сервис"),
    }


def test_spend_meets_conversions_or_is_audited(marts: psycopg.Connection) -> None:
    matches = marts.execute(
        """
        select distinct campaign, spend_match
        from ringostat_marts.rpt_campaigns_monthly
        where spend is not null and spend_match <> 'channel_cost'
        """
    )
    assert dict(matches.fetchall()) == {
        "Стоматологія: пошук": "campaign_id",
        "Імплантація: Київ": "campaign_id",
        "Performance Max": "campaign_id",
        "vidbiluvannya": "campaign_name",
        "new_cars": "campaign_name",
        "service": "campaign_name",
        "trade_in": "campaign_name",
        "implantacia": "none",
        "Брекети: медійна": "none",
    }
    audited = marts.execute(
        "select distinct side, campaign, nearest_match from ringostat_marts.rpt_spend_audit"
    )
    assert set(audited.fetchall()) == {
        ("spend", "implantacia", "implantaciya"),
        ("conversions", "implantaciya", "implantacia"),
        ("spend", "Брекети: медійна", None),
        ("conversions", "brand", None),
    }


def test_all_spend_of_the_platforms_is_in_the_reports(marts: psycopg.Connection) -> None:
    (spent,) = database.only_row(
        marts.execute("select sum(spend) from ringostat_demo_ads.campaign_spend")
    )
    (reported,) = database.only_row(
        marts.execute(
            """
            select sum(spend)
            from ringostat_marts.rpt_spend_daily
            where spend_match <> 'channel_cost'
            """
        )
    )
    assert reported == spent


def test_the_summary_shows_the_money_of_the_marts(
    marts: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(marts)
    summary = capsys.readouterr().out
    table = summary.split("Money of the last 30 days")[1].split("└")[0]
    shown = [
        [cell.strip().replace(",", "") for cell in line.split("│")[2:-1]]
        for line in table.splitlines()
        if line.startswith("│")
    ]
    assert all(bool(Decimal(conversions)) == (cost != "—") for _, _, conversions, cost, _ in shown)
    last_day = "(select max(conversion_date) from ringostat_marts.fct_conversions)"
    sums = marts.execute(
        f"""
        select campaign, sum(spend), sum(conversions)::numeric, sum(lost)::numeric
        from ringostat_marts.rpt_spend_daily
        where
            (project_id, traffic_source, traffic_type, campaign) in (
                select project_id, traffic_source, traffic_type, campaign
                from ringostat_marts.rpt_spend_daily
                where spend > 0
            )
            and date_day > {last_day} - 30
            and date_day <= {last_day}
        group by project_id, traffic_source, traffic_type, campaign
        having sum(spend) > 0
        """
    ).fetchall()
    assert len(sums) > 10
    assert sorted(sums) == sorted(
        (campaign, Decimal(spend), Decimal(conversions), Decimal(lost))
        for campaign, spend, conversions, _, lost in shown
    )
    assert "«Сітілайт біля метро» of Стоматологія «Вигадка» has been silent for 24 days" in summary
    (lost,) = database.only_row(
        marts.execute(
            f"""
            select count(*)
            from ringostat_marts.rpt_lost_requests
            where outcome = 'lost' and conversion_date > {last_day} - 30
            """
        )
    )
    assert f" {lost:,} are lost" in summary
