"""The dashboard as `make bi` serves it: it opens, its numbers are true, and it looks well."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
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

from loader import ROOT, database

pytestmark = pytest.mark.bi

SCREENSHOT = ROOT / "docs/dashboard.png"
SCREENSHOT_OF_MONEY = ROOT / "docs/dashboard-money.png"

CHARTS = {
    "Conversions by day and source · Конверсии по дням и источникам",
    "KPI modes side by side · Режимы KPI",
    "Share of «Неизвестная кампания» by week",
    "Calls by hour · Звонки по часам",
    "Pools without a channel · Пулы без канала",
    "Load status · Состояние загрузки",
}
CHARTS_OF_MONEY = {
    "Spend and cost per conversion · Расходы и цена конверсии",
    "Cost per conversion by week · Цена конверсии по неделям",
    "Spend by week · Расходы по неделям",
    "Missed requests by hour · Пропущенные обращения по часам",
    "Lost requests by campaign · Потерянные обращения по кампаниям",
    "Tracking health · Состояние отслеживания",
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
    """A Superset that serves the dashboard, on a free port."""
    folder = tmp_path_factory.mktemp("superset")
    command = [sys.executable, "-m", "bi.warehouse", ".venv-bi/bin/python", "bi/superset/serve.py"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--port", "0", "--home", folder / "home"],
            cwd=ROOT,
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
    browser.get(f"{superset.url}/login/")
    _when(browser, lambda: _is_past_login(browser, superset.password))
    return browser


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


def test_every_chart_opens_and_its_numbers_are_those_of_the_marts(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    charts = superset.charts()
    assert set(charts) == CHARTS | CHARTS_OF_MONEY
    data = {name: _opened(superset, chromium, charts[name]) for name in CHARTS}
    assert all(data.values())

    with database.connect(demo_warehouse) as conn:
        by_day = data["Conversions by day and source · Конверсии по дням и источникам"]
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
        modes = data["KPI modes side by side · Режимы KPI"]
        assert {(row["project_name"], *(row[mode] for mode in MODES)) for row in modes} == _sql(
            conn,
            """
            select
                project_name,
                count(*),
                sum(is_tagged::int),
                sum(is_primary::int),
                sum((is_tagged and is_primary)::int)
            from ringostat_marts.fct_conversions
            group by project_name
            """,
        )
        pools = data["Pools without a channel · Пулы без канала"]
        assert {(row["seed_row"], row["conversions"]) for row in pools} == _sql(
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


def test_the_charts_of_money_show_the_numbers_of_the_marts(
    superset: Superset, chromium: Chrome, demo_warehouse: dict[str, str]
) -> None:
    charts = superset.charts()
    data = {name: _opened(superset, chromium, charts[name]) for name in CHARTS_OF_MONEY}
    assert all(data.values())

    with database.connect(demo_warehouse) as conn:
        campaigns = data["Spend and cost per conversion · Расходы и цена конверсии"]
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
                "Cost per conversion by week · Цена конверсии по неделям",
                "sum(spend) / nullif(sum(conversions), 0)",
            ),
            ("Spend by week · Расходы по неделям", "sum(spend)"),
        ):
            weeks = _unpivoted(data[name], "date_day", "")
            assert len({campaign for _, campaign, _ in weeks}) == 8
            assert weeks == _rounded_sql(
                conn,
                f"""
                with

                daily as (
                    select * from ringostat_marts.rpt_spend_daily
                    where date_day <= current_date
                ),

                largest as (
                    select campaign
                    from daily
                    where spend > 0
                    group by campaign
                    order by sum(conversions) desc
                    limit 8
                )

                select date_trunc('week', date_day)::date, campaign, {value}
                from daily
                inner join largest using (campaign)
                group by 1, 2
                having sum(spend) > 0 and {value} is not null
                """,
            )
        hours = data["Missed requests by hour · Пропущенные обращения по часам"]
        assert {
            (hour, outcome, count) for hour, outcome, count in _unpivoted(hours, "hour_of_day", "")
        } == _sql(
            conn,
            """
            select hour_of_day, outcome, count(*)
            from ringostat_marts.rpt_lost_requests
            group by hour_of_day, outcome
            """,
        )
        lost = data["Lost requests by campaign · Потерянные обращения по кампаниям"]
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
                sum(spend) * sum(lost) / nullif(sum(conversions_all), 0)
            from ringostat_marts.rpt_spend_daily
            where date_day <= current_date
            group by project_name, campaign
            having sum(missed) > 0
            """,
        )
        health = data["Tracking health · Состояние отслеживания"]
        assert [row["status"] for row in health][:3] == ["silent", "visits_dropped", "ok"]
        assert _rows(health, "pool_name", "status", "silent_days", "visit_share", "hint") == (
            _rounded_sql(
                conn,
                """
                select '«' || pool_name || '»', status, silent_days, visit_share, hint
                from ringostat_marts.rpt_tracking_health
                """,
            )
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
        (_day_or_hour(row[along]), column.removeprefix(prefix), _rounded(value))
        for row in rows
        for column, value in row.items()
        if column != along and value
    }


def _day_or_hour(place: int) -> date | int:
    """A day comes in milliseconds."""
    return datetime.fromtimestamp(place / 1000, timezone.utc).date() if place > 23 else place


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


def test_the_dashboard_looks_as_it_should(superset: Superset, chromium: Chrome) -> None:
    chromium.set_window_size(1400, 2700)
    chromium.get(f"{superset.url}/superset/dashboard/conversions/?standalone=1")
    shown = _shown(chromium, canvases=4)
    assert [title for title in CHARTS if title not in shown] == []
    assert "«Білборд на Оболонi»" in shown
    _take(chromium, SCREENSHOT)

    for tab in chromium.find_elements(By.CSS_SELECTOR, "[role=tab]"):
        if "Money and losses" in tab.text:
            tab.click()
    chromium.set_window_size(1400, 3000)
    shown = _shown(chromium, canvases=3)
    assert [title for title in CHARTS_OF_MONEY if title not in shown] == []
    assert "«Сітілайт біля метро»" in shown
    _take(chromium, SCREENSHOT_OF_MONEY)

    fetched = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    strangers = [url for url in chromium.execute_script(fetched) if superset.url not in url]
    assert [url for url in strangers if not url.startswith(("data:", "blob:"))] == []
    assert SCREENSHOT.stat().st_size < 300_000
    assert SCREENSHOT_OF_MONEY.stat().st_size < 300_000


def _shown(chromium: Chrome, canvases: int) -> str:
    """The text of the open tab, once all its charts are drawn."""

    def visible(selector: str) -> int:
        found = chromium.find_elements(By.CSS_SELECTOR, selector)
        return sum(element.is_displayed() for element in found)

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
