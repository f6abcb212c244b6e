"""What the marts said at the end of each day, and what has changed since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from .support import CHANNELS, PROJECTS, land, one

Build = Callable[..., None]

UNKNOWN = "Неизвестная кампания"


@pytest.fixture
def report(build: Build) -> Callable[..., None]:
    """A build that compares days of any age: the calls are of 2024."""
    return lambda *arguments: build(*arguments, ringostat_reported_days=36500)


@pytest.mark.slow
def test_what_changed_since_a_report_and_by_what(
    raw: psycopg.Connection, seeds: Path, report: Callable[..., None]
) -> None:
    raw.execute("delete from ringostat_raw.calls")
    channels, projects = seeds / "static_channels.csv", seeds / "projects.csv"
    for call_id in ("a", "b"):
        land(raw, call_id, pool_name="Radio")
    report()
    assert changes(raw) == []

    # The next day brings late calls. Of several builds the last one counts.
    a_day_passes(raw)
    report()
    assert changes(raw) == []
    for call_id in ("c", "d"):
        land(raw, call_id, pool_name="Radio")
        report()
    late = (UNKNOWN, 2, 4, "calls")
    assert changes(raw) == [late]

    # An edit that is taken back on the same day has changed nothing.
    a_day_passes(raw)
    channels.write_text(CHANNELS + "1,pool_name,Radio,s,t,First,,\n")
    report()
    edited = [("First", 0, 4, "configuration"), (UNKNOWN, 4, 0, "configuration")]
    assert changes(raw) == [late, *edited]
    channels.write_text(CHANNELS)
    report()
    assert changes(raw) == [late]

    # An edit and a call.
    a_day_passes(raw)
    channels.write_text(CHANNELS + "1,pool_name,Radio,s,t,Second,,\n")
    report()
    land(raw, "e", pool_name="Radio")
    report()
    both = [("Second", 0, 5, "both"), (UNKNOWN, 4, 0, "both")]
    assert changes(raw) == [late, *both]

    # Another KPI mode, and a removed call; what was reported survives a full refresh.
    a_day_passes(raw)
    projects.write_text(PROJECTS + "1,Clinic,,Europe/Kyiv,tagged,2024-01-01,true\n")
    report("--full-refresh")
    switched = ("Second", 5, 0, "configuration")
    assert changes(raw) == [late, *both, switched]
    assert raw.execute(
        """
        select conversions_all_before, conversions_all_after, kpi_mode_before, kpi_mode_after
        from ringostat_marts.rpt_report_changes
        order by changed_on desc
        limit 1
        """
    ).fetchone() == (5, 5, "all", "tagged")
    a_day_passes(raw)
    projects.write_text(PROJECTS + "1,Clinic,,Europe/Kyiv,all,2024-01-01,true\n")
    report()
    a_day_passes(raw)
    raw.execute(
        "update ringostat_raw.calls set removed_at = now(), loaded_at = now() where call_id = 'a'"
    )
    report()
    assert changes(raw)[4:] == [("Second", 0, 5, "configuration"), ("Second", 5, 4, "calls")]

    # A report of any day can be read again.
    said = raw.execute(
        """
        select days.reported_on, sum(latest.conversions)
        from (select distinct reported_on from ringostat_marts.rpt_reported_daily) as days
        cross join lateral (
            select distinct on (conversion_date, traffic_source, traffic_type, campaign) *
            from ringostat_marts.rpt_reported_daily as reported
            where reported.reported_on <= days.reported_on
            order by conversion_date, traffic_source, traffic_type, campaign,
                reported.reported_on desc
        ) as latest
        group by days.reported_on
        order by days.reported_on
        """
    )
    assert [conversions for _, conversions in said] == [2, 4, 5, 0, 5, 4]

    # A full refresh finds out that all calls of a day are gone.
    land(raw, "next day", pool_name="Metro")
    raw.execute(
        "update ringostat_raw.calls set call_at = '2024-05-02 10:00+00' where call_id = 'next day'"
    )
    report()
    a_day_passes(raw)
    raw.execute("delete from ringostat_raw.calls where not call_id = 'next day'")
    report("--full-refresh")
    assert changes(raw)[-1] == ("Second", 4, 0, "calls")


def test_a_day_is_reported_once_it_has_ended(raw: psycopg.Connection, build: Build) -> None:
    for call_id, age in (("today", 0), ("yesterday", 1)):
        land(raw, call_id, pool_name="Radio")
        raw.execute(
            """
            update ringostat_raw.calls
            set call_at = (now() at time zone 'Europe/Kyiv')::date::timestamp
                at time zone 'Europe/Kyiv' - %s * interval '12 hours'
            where call_id = %s
            """,
            [age, call_id],
        )
    build()
    reported = "select count(*), min(reported_on - conversion_date) from {}"
    mart = "ringostat_marts.rpt_reported_daily"
    # The call of `raw` is of 2024: its day ended more than 92 days ago.
    assert raw.execute(reported.format(mart)).fetchone() == (1, 1)

    # The day of `today` ends: it is reported for the first time, which is no change.
    a_day_passes(raw)
    # Two statements: Citus moves no row by a value of its own.
    (moment,) = raw.execute(
        "select call_at - interval '1 day' from ringostat_raw.calls where call_id = 'today'"
    ).fetchone()
    raw.execute(
        "update ringostat_raw.calls set call_at = %s, loaded_at = now() where call_id = 'today'",
        [moment],
    )
    build()
    assert raw.execute(
        f"select reported_on - conversion_date, conversions, reason from {mart} order by 1"
    ).fetchall() == [(0, 1, None), (1, 2, None)]
    assert changes(raw) == []

    build("--full-refresh", ringostat_reported_days=0)
    assert one(raw, f"select count(*) from {mart}") == 2


@pytest.mark.slow
def test_conversions_that_had_no_labels_are_reported_once_they_have_them(
    raw: psycopg.Connection, report: Callable[..., None]
) -> None:
    report()
    a_day_passes(raw)
    land(raw, "b", pool_name="Other")
    without_labels = ("stg_ringostat__calls", "int_contacts", "int_conversions_daily")
    report("--select", *without_labels, "int_reported_daily")
    assert changes(raw) == []
    report()
    late = (UNKNOWN, 1, 2, "calls")
    assert changes(raw) == [late]

    # A contact is deleted: the loader makes the next build compute the whole project again.
    a_day_passes(raw)
    raw.execute("delete from ringostat_intermediate.int_contacts where contact_id = 'call:b'")
    for table in ("int_conversions_daily", "int_reported_daily"):
        raw.execute(f"update ringostat_intermediate.{table} set made_with = null")
    raw.execute("delete from ringostat_staging.stg_ringostat__calls where call_id = 'b'")
    raw.execute("delete from ringostat_raw.calls where call_id = 'b'")
    report()
    assert changes(raw) == [late, (UNKNOWN, 2, 1, "calls")]


def a_day_passes(conn: psycopg.Connection) -> None:
    """The reports so far become a day older."""
    conn.execute(
        "update ringostat_intermediate.int_reported_daily"
        " set reported_on = reported_on - 1, earlier_on = earlier_on - 1"
    )


def changes(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute(
        """
        select campaign, conversions_before, conversions_after, reason
        from ringostat_marts.rpt_report_changes
        order by changed_on, campaign collate "C"
        """
    ).fetchall()
