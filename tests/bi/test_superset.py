"""The dashboard as `make bi` serves it: it opens, its numbers are true, and it looks well."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
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

CHARTS = {
    "Conversions by day and source · Конверсии по дням и источникам",
    "KPI modes side by side · Режимы KPI",
    "Share of «Неизвестная кампания» by week",
    "Calls by hour · Звонки по часам",
    "Pools without a channel · Пулы без канала",
    "Load status · Состояние загрузки",
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
    assert set(charts) == CHARTS
    data = {name: _opened(superset, chromium, chart) for name, chart in charts.items()}
    assert all(data.values())

    with database.connect(demo_warehouse) as conn:
        by_day = data["Conversions by day and source · Конверсии по дням и источникам"]
        assert _by_day_and_source(by_day) == _sql(
            conn,
            """
            select conversion_date, traffic_source, count(*)
            from ringostat_marts.fct_conversions
            where is_counted
            group by conversion_date, traffic_source
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


def _opened(superset: Superset, chromium: Chrome, chart: int) -> Rows:
    """The rows behind a chart. Superset knows a chart's query once a browser has shown it."""
    chromium.get(f"{superset.url}/explore/?slice_id={chart}")
    _when(chromium, lambda: superset.get(f"/api/v1/chart/{chart}")["query_context"])
    (result,) = superset.get(f"/api/v1/chart/{chart}/data/")
    assert result["status"] == "success"
    return result["data"]


def _by_day_and_source(rows: Rows) -> set[tuple[Any, ...]]:
    """One row per day and source, from rows per day with one column per source."""
    return {
        (_day(row["conversion_date"]), column.removeprefix("conversions, "), count)
        for row in rows
        for column, count in row.items()
        if column != "conversion_date" and count
    }


def _day(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).date()


def _sql(conn: psycopg.Connection, query: str) -> set[tuple[Any, ...]]:
    return set(conn.execute(query).fetchall())


def test_columns_are_explained_where_a_chart_is_made(superset: Superset) -> None:
    for dataset in superset.get("/api/v1/dataset/"):
        columns = superset.get(f"/api/v1/dataset/{dataset['id']}")["columns"]
        assert columns
        if dataset["kind"] == "physical":
            assert all(column["description"] for column in columns)


def test_the_dashboard_looks_as_it_should(superset: Superset, chromium: Chrome) -> None:
    chromium.set_window_size(1400, 2700)
    chromium.get(f"{superset.url}/superset/dashboard/conversions/?standalone=1")
    _when(chromium, lambda: len(chromium.find_elements(By.CSS_SELECTOR, "canvas")) == 4)
    _when(chromium, lambda: len(chromium.find_elements(By.CSS_SELECTOR, "tbody tr")) > 10)
    _when(chromium, lambda: not chromium.find_elements(By.CSS_SELECTOR, ".loading"))

    shown = chromium.find_element(By.TAG_NAME, "body").text
    assert [title for title in CHARTS if title not in shown] == []
    assert "«Білборд на Оболонi»" in shown
    assert not chromium.find_elements(By.CSS_SELECTOR, "[role=alert], .ant-alert-error")
    fetched = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    strangers = [url for url in chromium.execute_script(fetched) if superset.url not in url]
    assert [url for url in strangers if not url.startswith(("data:", "blob:"))] == []

    _take(chromium, SCREENSHOT)
    assert SCREENSHOT.stat().st_size < 300_000


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
