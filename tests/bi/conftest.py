"""The demo's warehouse and a headless Chromium, for the tests of what people look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver

from loader import ROOT, database
from loader.commands import dbt
from loader.commands.demo import DATABASE, demo

# Superset is installed by `make bi` and `make test-bi`; without it, the other tests run.
collect_ignore = [] if (ROOT / ".venv-bi/installed").exists() else ["test_superset.py"]


@pytest.fixture(scope="session")
def demo_database(quick_dbt: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """PG* of the demo's database, with the marts of the models as they are now.

    It is in the embedded Postgres of the project, which is stopped again if it did not run before.
    """
    was_running = (database.DATA / "postmaster.pid").exists()
    with pytest.MonkeyPatch.context() as environment:
        for variable in list(os.environ):
            if variable.startswith(("PG", "RINGOSTAT_")):
                environment.delenv(variable)
        environment.setenv("PGDATABASE", DATABASE)
        environment.setattr(dbt, "_PROGRAM", quick_dbt)
        demo()
        found = database.environment()
    yield found
    if not was_running:
        database.stop()


@pytest.fixture(scope="module")
def demo_warehouse(
    demo_database: dict[str, str], quick_dbt: tuple[str, ...]
) -> Iterator[dict[str, str]]:
    """The demo's database as the warehouse: its PG*, which the environment has too."""
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in demo_database.items():
            environment.setenv(variable, value)
        environment.setattr(dbt, "_PROGRAM", quick_dbt)
        yield demo_database


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Headless Chromium with a profile of its own, which asks nothing of the network by itself."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        missing = "Chromium is missing: apt-get install chromium chromium-driver"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "hide-scrollbars",
        "lang=en-US",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{argument}")
    chromium = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        chromium.set_window_size(1400, 1000)
        yield chromium
    finally:
        chromium.quit()
