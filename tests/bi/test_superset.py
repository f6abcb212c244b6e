"""The dashboard as `make bi` serves it: it opens, its numbers are true, and it looks well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from bi.superset.words import TABLE
from loader import ROOT, database

pytestmark = pytest.mark.bi

SCREENSHOT = ROOT / "docs/dashboard.png"
SCREENSHOT_OF_MONEY = ROOT / "docs/dashboard-money.png"

CHARTS = {
    "Conversions",
    "Without a known campaign",
    "Share of answered calls",
    "Missed calls",
    "KPI modes, and which one the project counts by",
    "Conversions by campaign",
    "Conversions by day and source",
    "Missed calls by hour and weekday",
    "Requests by kind",
    "Share without a known campaign by week",
}
CHARTS_OF_MONEY = {
    "Spend and cost per conversion",
    "Cost per conversion by week",
    "Spend by week",
    "Missed requests by hour",
    "Lost requests by campaign",
}
CHARTS_OF_DATA = {
    "Load and build status, in local time",
    "Pools without a channel",
    "Tracking health",
}

# What the headline numbers count, and how they are written.
HEADLINES = {
    "Conversions": ("count(*) filter (where is_counted)", ",.0f"),
    "Without a known campaign": ("avg((attribution_method = 'unknown')::int)", ".1%"),
    "Share of answered calls": ("avg(is_answered::int)", ".1%"),
    "Missed calls": ("count(*) filter (where not is_answered)", ",.0f"),
}

MODES = (
    "conversions_all",
    "conversions_tagged",
    "conversions_primary",
    "conversions_tagged_primary",
)

Rows = list[dict[str, Any]]


@dataclass
class Superset:
    url: str
    password: str
    session: requests.Session

    def get(self, path: str) -> Any:
        answer = self.session.get(self.url + path, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def charts(self) -> dict[str, int]:
        return {chart["slice_name"]: chart["id"] for chart in self.get("/api/v1/chart/")}


@pytest.fixture(scope="module")
def superset(
    demo_warehouse: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Superset]:
    """A Superset that serves the dashboard."""
    with _served(tmp_path_factory.mktemp("superset"), "en") as served:
        yield served


@contextmanager
def _served(folder: Path, language: str) -> Iterator[Superset]:
    """The dashboard in a language, on a free port."""
    command = [sys.executable, "-m", "bi.warehouse", ".venv-bi/bin/python", "bi/superset/serve.py"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", "0", "--home", folder / "home"],
            cwd=ROOT,
            env={**os.environ, "RINGOSTAT_LANG": language},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        printed = server.stdout.readline() + server.stdout.readline()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/.*\nlogin admin, password (.+)\n", printed)
        assert found, (folder / "log").read_text()
        yield Superset(found[1], found[2], _logged_in(found[1], found[2]))
    finally:
        server.terminate()
        server.wait()


def _logged_in(url: str, password: str) -> requests.Session:
    session = requests.Session()
    login = {"username": "admin", "password": password, "provider": "db"}
    answer = session.post(f"{url}/api/v1/security/login", json=login, timeout=60)
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


@pytest.fixture(scope="module")
def chromium(browser: Chrome, superset: Superset) -> Chrome:
    """A browser that has logged in to Superset."""
    _log_in(browser, superset)
    return browser


def _log_in(browser: Chrome, superset: Superset) -> None:
    browser.get(f"{superset.url}/login/")
    _when(browser, lambda: _is_past_login(browser, superset.password))


def _is_past_login(browser: Chrome, password: str) -> bool:
    """Fills in the form, once more where Superset shows it again: it does so now and then, when an
    answer that the login page asked for comes after the login and overwrites the cookie."""
    if "/login" not in browser.current_url:
        return True
    for username in browser.find_elements(By.ID, "username"):
        if not username.get_attribute("value"):
            username.send_keys("admin")
            browser.find_element(By.ID, "password").send_keys(password)
            browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    return False


def _when(browser: Chrome, condition: Callable[[], Any]) -> Any:
    wait = WebDriverWait(browser, 60, ignored_exceptions=[StaleElementReferenceException])
    return wait.until(lambda _: condition())


def test_every_number_of_the_first_tab_is_that_of_the_marts(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    charts = superset.charts()
    assert set(charts) == CHARTS | CHARTS_OF_MONEY | CHARTS_OF_DATA
    # The headline numbers are compared where they are shown: on the dashboard.
    data = {name: _opened(superset, chromium, charts[name]) for name in CHARTS - set(HEADLINES)}
    assert all(data.values())

    with database.connect(demo_warehouse) as conn:
        modes = data["KPI modes, and which one the project counts by"]
        assert _rows(modes, "project_name", "counted", *MODES) == _sql(
            conn,
            """
            select
                project_name,
                case kpi_mode when 'primary' then 'Primary' when 'all' then 'All' end,
                count(*),
                sum(is_tagged::int),
                sum(is_primary::int),
                sum((is_tagged and is_primary)::int)
            from ringostat_marts.fct_conversions
            inner join ringostat_marts.dim_projects using (project_id, project_name)
            group by project_name, kpi_mode
            """,
        )
        campaigns = data["Conversions by campaign"]
        labels = ("campaign", "traffic_source", "traffic_type")
        assert _rows(campaigns, *labels, "conversions", "conversions_all", "missed") == _sql(
            conn,
            """
            select
                campaign,
                traffic_source,
                traffic_type,
                count(*) filter (where is_counted),
                count(*),
                count(*) filter (where not is_answered)
            from ringostat_marts.fct_conversions
            group by campaign, traffic_source, traffic_type
            """,
        )
        by_day = data["Conversions by day and source"]
        assert _unpivoted(by_day, "conversion_date", "conversions, ") == _sql(
            conn,
            """
            with

            largest as (
                select traffic_source
                from ringostat_marts.fct_conversions
                where is_counted
                group by traffic_source
                order by count(*) desc
                limit 8
            )

            select
                conversion_date,
                coalesce(largest.traffic_source, 'Others'),
                count(*)
            from ringostat_marts.fct_conversions
            left join largest using (traffic_source)
            where is_counted
            group by conversion_date, largest.traffic_source
            """,
        )
        missed = data["Missed calls by hour and weekday"]
        assert {
            (_day(row["local_weekday"]).strftime("%a"), row["local_hour"], row["missed"])
            for row in missed
        } == _sql(
            conn,
            """
            select
                to_char(occurred_at at time zone time_zone, 'Dy'),
                to_char(occurred_at at time zone time_zone, 'HH24:00'),
                count(*)
            from ringostat_marts.fct_conversions
            inner join ringostat_marts.dim_projects using (project_id)
            where not is_answered
            group by 1, 2
            """,
        )
        assert _unpivoted(data["Requests by kind"], "kind", "requests, ") == _sql(
            conn,
            """
            select
                initcap(conversion_type) || 's',
                case attribution_method
                    when 'static_channel' then 'Static channel'
                    when 'utm' then 'UTM tags'
                    when 'unknown' then 'Unknown source'
                end,
                count(*)
            from ringostat_marts.fct_conversions
            group by conversion_type, attribution_method
            """,
        )
        share = data["Share without a known campaign by week"]
        weeks = {
            (week, project, round(float(value), 6))
            for row in share
            for week in [row.pop("week_of")]
            for project, value in row.items()
            if value is not None  # where the week is not over, and elsewhere it is
        }
        assert weeks == _sql(
            conn,
            """
            select
                date_trunc('week', conversion_date)::date::text,
                project_name,
                round(avg((attribution_method = 'unknown')::int), 6)::float
            from ringostat_marts.fct_conversions
            inner join ringostat_marts.dim_projects using (project_id, project_name)
            inner join ringostat_marts.rpt_load_status using (project_id, project_name)
            group by project_name, time_zone, built_until, date_trunc('week', conversion_date)
            -- The demo has calls on each day, so its first week is whole if all its days are there.
            having
                date_trunc('week', conversion_date)::date + 7
                <= (built_until at time zone time_zone)::date
                and (
                    count(distinct conversion_date) = 7
                    or date_trunc('week', conversion_date)::date + 7 > current_date - 7
                )
            """,
        )


def test_the_charts_of_money_show_the_numbers_of_the_marts(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    charts = superset.charts()
    data = {name: _opened(superset, chromium, charts[name]) for name in CHARTS_OF_MONEY}
    assert all(data.values())

    with database.connect(demo_warehouse) as conn:
        campaigns = data["Spend and cost per conversion"]
        labels = ("project_name", "traffic_source", "campaign")
        assert _rows(
            campaigns, *labels, "spend", "conversions", "cost_per_conversion"
        ) == _rounded_sql(
            conn,
            """
            select
                project_name,
                traffic_source,
                campaign,
                sum(spend),
                sum(conversions),
                sum(spend) / nullif(sum(conversions), 0)
            from ringostat_marts.rpt_spend_daily
            where date_day <= current_date
            group by project_name, traffic_source, campaign
            having sum(spend) > 0
            """,
        )
        assert [row["cost_per_conversion"] for row in campaigns].count(None) == 2
        for name, value in (
            (
                "Cost per conversion by week",
                "sum(spend) / nullif(sum(conversions), 0)",
            ),
            ("Spend by week", "sum(spend)"),
        ):
            weeks = _unpivoted(data[name], "week_of", "")
            assert len({campaign for _, campaign, _ in weeks}) == 8
            assert weeks == _rounded_sql(
                conn,
                f"""
                with

                projects as (
                    select
                        project_id,
                        min(conversion_date) as first_day
                    from ringostat_marts.fct_conversions
                    group by project_id
                ),

                daily as (
                    select * from ringostat_marts.rpt_spend_daily
                    inner join projects using (project_id)
                    where
                        date_trunc('week', date_day) >= first_day
                        and date_day < date_trunc('week', current_date)
                ),

                largest as (
                    select campaign
                    from daily
                    where spend > 0
                    group by campaign
                    order by sum(conversions) desc
                    limit 8
                )

                select date_trunc('week', date_day)::date::text, campaign, {value}
                from daily
                inner join largest using (campaign)
                group by 1, 2
                having sum(spend) > 0 and {value} is not null
                """,
            )
        hours = data["Missed requests by hour"]
        assert {
            (hour, outcome, count) for hour, outcome, count in _unpivoted(hours, "hour_of_day", "")
        } == _sql(
            conn,
            """
            select
                hour_of_day,
                case outcome
                    when 'called_back' then 'Called back'
                    when 'client_reached_us' then 'Client called again'
                    when 'lost' then 'Lost'
                    when 'open' then 'Still open'
                end,
                count(*)
            from ringostat_marts.rpt_lost_requests
            group by hour_of_day, outcome
            """,
        )
        lost = data["Lost requests by campaign"]
        assert _rows(
            lost, "project_name", "campaign", "missed", "lost", "lost_spend"
        ) == _rounded_sql(
            conn,
            """
            select
                project_name,
                campaign,
                sum(missed),
                sum(lost),
                coalesce(sum(spend) * sum(lost) / nullif(sum(conversions_all), 0), 0)
            from ringostat_marts.rpt_spend_daily
            where date_day <= current_date
            group by project_name, campaign
            having sum(missed) > 0
            """,
        )


def test_the_charts_of_the_data_show_the_rows_of_the_marts(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    charts = superset.charts()
    data = {name: _opened(superset, chromium, charts[name]) for name in CHARTS_OF_DATA}

    with database.connect(demo_warehouse) as conn:
        loads = data["Load and build status, in local time"]
        assert {
            (row["project_name"], row["state"], _moment(row["built_until"]), row["time_zone"])
            for row in loads
        } == _sql(
            conn,
            """
            select
                project_name,
                case status when 'loaded' then 'Up to date' end,
                to_char(built_until at time zone time_zone, 'YYYY-MM-DD HH24:MI'),
                time_zone
            from ringostat_marts.rpt_load_status
            inner join ringostat_marts.dim_projects using (project_id, project_name)
            """,
        )
        pools = data["Pools without a channel"]
        assert {row["difference"] for row in pools} >= {"look-alike letters", "spaces", ""}
        kinds = [row["kind"] for row in pools]
        assert set(kinds) == {"Dynamic pool", "Static pool"}
        assert kinds == sorted(kinds, reverse=True)  # dynamic ones last
        assert _rows(pools, "seed_row", "conversions") == _sql(
            conn,
            """
            select pools.seed_row, count(*)
            from ringostat_marts.fct_conversions as conversions
            inner join ringostat_marts.rpt_unmapped_pools as pools
                on
                    conversions.project_id = pools.project_id
                    and conversions.pool_name = pools.pool_name
            where conversions.unknown_reason = 'unmapped_pool'
            group by pools.seed_row
            """,
        )
        health = data["Tracking health"]
        states = list(dict.fromkeys(row["state"] for row in health))
        assert states[:3] == ["Silent", "Visits are missing", "Works"]
        assert _rows(health, "pool_name", "silent_days", "visit_share") == _rounded_sql(
            conn,
            """
            select '«' || pool_name || '»', silent_days, visit_share
            from ringostat_marts.rpt_tracking_health
            """,
        )


def _opened(superset: Superset, chromium: Chrome, chart: int) -> Rows:
    """The rows behind a chart. Superset knows a chart's query once a browser has shown it."""
    chromium.get(f"{superset.url}/explore/?slice_id={chart}")
    _when(chromium, lambda: superset.get(f"/api/v1/chart/{chart}")["query_context"])
    (result,) = superset.get(f"/api/v1/chart/{chart}/data/")
    assert result["status"] == "success"
    return result["data"]


def _unpivoted(rows: Rows, along: str, prefix: str) -> set[tuple[Any, ...]]:
    """One row per place on the x-axis and series, from rows with one column per series."""
    return {
        (
            _day(row[along]) if along == "conversion_date" else row[along],
            column.removeprefix(prefix),
            _rounded(value),
        )
        for row in rows
        for column, value in row.items()
        if column != along and value
    }


def _day(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).date()


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M")


def _rows(rows: Rows, *columns: str) -> set[tuple[Any, ...]]:
    return {tuple(_rounded(row[column]) for column in columns) for row in rows}


def _rounded(value: Any) -> Any:
    """Numbers come as floats, or as numbers of Postgres with many digits."""
    return round(float(value), 2) if isinstance(value, (int, float, Decimal)) else value


def _sql(conn: psycopg.Connection, query: str) -> set[tuple[Any, ...]]:
    return set(conn.execute(query).fetchall())


def _rounded_sql(conn: psycopg.Connection, query: str) -> set[tuple[Any, ...]]:
    return {tuple(map(_rounded, row)) for row in conn.execute(query)}


def test_columns_are_explained_where_a_chart_is_made(superset: Superset) -> None:
    for dataset in superset.get("/api/v1/dataset/"):
        columns = superset.get(f"/api/v1/dataset/{dataset['id']}")["columns"]
        assert columns
        if dataset["kind"] == "physical":
            assert all(column["description"] for column in columns)


def test_the_dashboard_looks_as_it_should(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    chromium.set_window_size(1440, 3110)
    chromium.get(f"{superset.url}/superset/dashboard/conversions/?standalone=1")
    shown = _shown(chromium, "Conversions", canvases=4)
    assert [title for title in CHARTS if title not in shown] == []
    with database.connect(demo_warehouse) as conn:
        for title, (number, style) in HEADLINES.items():
            now, before = _last_month_and_before(conn, number)
            change = f"{now - before:.1%}" if style == ".1%" else f"{(now - before) / before:+.1%}"
            written = _lines_after(title, shown)
            assert format(now, style) in written
            assert f"{format(before, style)} before" in written
            assert change in written
    _take(chromium, SCREENSHOT)

    chromium.set_window_size(1440, 2500)
    shown = _shown(chromium, "Money and losses", canvases=3)
    assert [title for title in CHARTS_OF_MONEY if title not in shown] == []
    _take(chromium, SCREENSHOT_OF_MONEY)

    shown = _shown(chromium, "State of the data", canvases=0)
    assert [title for title in CHARTS_OF_DATA if title not in shown] == []
    assert "«Білборд на Оболоні»" in shown
    assert "«Сітілайт біля метро»" in shown

    fetched = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    strangers = [url for url in chromium.execute_script(fetched) if superset.url not in url]
    assert [url for url in strangers if not url.startswith(("data:", "blob:"))] == []
    assert SCREENSHOT.stat().st_size < 300_000
    assert SCREENSHOT_OF_MONEY.stat().st_size < 300_000


def _last_month_and_before(conn: psycopg.Connection, number: str) -> list[float]:
    """A number of the first project: of the month before this one, of as many days before that."""
    found = conn.execute(
        f"""
        with

        months as (
            select
                date_trunc('month', current_date - interval '1 month')::date as starts_on,
                date_trunc('month', current_date)::date as ends_before
        )

        select
            conversion_date >= starts_on as is_now,
            {number}
        from ringostat_marts.fct_conversions
        cross join months
        where
            project_name = (select min(project_name) from ringostat_marts.dim_projects)
            and conversion_date >= starts_on - (ends_before - starts_on)
            and conversion_date < ends_before
        group by is_now
        order by is_now desc
        """
    )
    return [float(row[1]) for row in found]


def _lines_after(title: str, shown: str) -> list[str]:
    lines = [line.lstrip("%△").rstrip("↑↓") for line in shown.replace("\u2212", "-").splitlines()]
    return lines[lines.index(title) + 1 :][:10]


def test_the_dashboard_is_in_one_language_and_fits_a_narrow_page(
    demo_warehouse: dict[str, str], browser: Chrome, tmp_path: Path
) -> None:
    with _served(tmp_path, "ru") as russian:
        _log_in(browser, russian)
        browser.set_window_size(800, 3000)
        browser.get(f"{russian.url}/superset/dashboard/conversions/?standalone=1")
        for tab, titles, canvases in (
            ("Conversions", CHARTS, 4),
            ("Money and losses", CHARTS_OF_MONEY, 3),
            ("State of the data", CHARTS_OF_DATA, 0),
        ):
            shown = _shown(browser, TABLE[tab]["ru"], canvases)
            assert [title for title in titles if TABLE[title]["ru"] not in shown] == []
            assert set(shown.splitlines()) & set(TABLE) == set()
            assert "N/A" not in shown
            assert browser.execute_script(_CUT) == []
        assert "похожие буквы" in shown


# The texts of tables and headline numbers that are larger than their place; tables may be long.
_CUT = """
    return [...document.querySelectorAll('.slice_container *')]
        .filter(element => element.offsetParent && element.clientWidth > 0)
        .filter(element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX))
        .filter(
            element =>
                element.scrollWidth > element.clientWidth + 1
                || !element.querySelector('table') && !element.closest('table')
                && element.scrollHeight > element.clientHeight + 1
        )
        .map(element => element.innerText.slice(0, 80))
"""


def _shown(chromium: Chrome, tab: str, canvases: int) -> str:
    """The text of a tab, once it is open and all its charts are drawn."""

    def visible(selector: str) -> int:
        found = chromium.find_elements(By.CSS_SELECTOR, selector)
        return sum(element.is_displayed() for element in found)

    def opened() -> bool:
        for element in chromium.find_elements(By.CSS_SELECTOR, "[role=tab]"):
            if tab == element.text.strip():
                element.click()
                return True
        return False

    _when(chromium, opened)
    _when(chromium, lambda: visible("canvas") == canvases)
    _when(chromium, lambda: visible("tbody tr") > 10)
    _when(chromium, lambda: not visible(".loading"))
    assert not chromium.find_elements(By.CSS_SELECTOR, "[role=alert], .ant-alert-error")
    return chromium.find_element(By.TAG_NAME, "body").text


def _take(chromium: Chrome, file: Path) -> None:
    """A picture of the whole page, once nothing moves on it any more."""
    pictures = [b""]

    def is_still() -> bool:
        pictures.append(chromium.get_screenshot_as_png())
        return pictures[-1] == pictures[-2]

    WebDriverWait(chromium, 60, poll_frequency=1).until(lambda _: is_still())
    file.write_bytes(pictures[-1])
    # 256 colours make it a third of the size. Superset's Python has what it takes.
    shrink = "import PIL.Image, sys; _, file = sys.argv; PIL.Image.open(file).quantize().save(file)"
    subprocess.run([".venv-bi/bin/python", "-c", shrink, file], cwd=ROOT, check=True)
