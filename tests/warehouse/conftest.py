"""dbt for the warehouse tests: builds into folders of its own, not into the developer's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from loader import database
from loader import raw as raw_tables
from loader.commands.dbt import dbt

from .support import CHANNELS, ONE_PROJECT, TAGS, land


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that dbt parses the project once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture
def build(
    dbt_folder: Path, warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`build(*arguments, **vars)`: seeds and models of the seeds in RINGOSTAT_SEEDS, no tests."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(dbt_folder / "logs"))

    def run(*arguments: str, **variables: object) -> None:
        assert database.environment() == warehouse, "not the database of this test"
        assert warehouse["PGDATABASE"].startswith("test_")
        if "--select" not in arguments and "--with-tests" not in arguments:
            arguments += ("--exclude-resource-type", "test", "unit_test")
        arguments = tuple(word for word in arguments if word != "--with-tests")
        assert dbt("build", "--quiet", "--vars", json.dumps(variables), *arguments) == 0

    return run


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of seeds with one project in it."""
    (tmp_path / "projects.csv").write_text(ONE_PROJECT)
    (tmp_path / "static_channels.csv").write_text(CHANNELS)
    (tmp_path / "kpi_tags.csv").write_text(TAGS)
    monkeypatch.setenv("RINGOSTAT_SEEDS", str(tmp_path))
    return tmp_path


@pytest.fixture
def raw(conn: psycopg.Connection, seeds: Path) -> psycopg.Connection:
    """A warehouse with the raw tables and one call in them."""
    raw_tables.create_tables(conn)
    land(conn, "a", caller="380001", pool_name="Billboard")
    return conn
