"""dbt for the warehouse tests: builds into folders of its own, not into the developer's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from loader import database
from loader import raw as raw_tables
from loader.commands import dbt

from .. import databases
from . import support
from .support import CHANNELS, COSTS, NO_TESTS, ONE_PROJECT, TAGS, land


@pytest.fixture(autouse=True)
def dbt_starts_quickly(
    quick_dbt: tuple[str, ...], dbt_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt, "_PROGRAM", quick_dbt)
    monkeypatch.setattr(support, "DBT", quick_dbt)
    # In the project's own `target`, MetricFlow reads what dbt has written for the demo.
    monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(dbt_folder / "logs"))


@pytest.fixture(autouse=True)
def raw_tables_are_spread(request: pytest.FixtureRequest) -> None:
    """On Citus, dbt builds nothing before the loader has spread its tables: they are there, and as
    yet without a salt."""
    if "warehouse" in request.fixturenames:
        warehouse = request.getfixturevalue("warehouse")
        if databases.is_citus(warehouse):
            with database.connect(warehouse) as conn:
                raw_tables.create_tables(conn)
                conn.execute("truncate ringostat_raw.settings")


@pytest.fixture(scope="session")
def dbt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that dbt parses the project once."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def templates(
    server: dict[str, str], database_name: str, quick_dbt: tuple[str, ...], dbt_folder: Path
) -> Iterator[dict[str, str]]:
    """The databases that the tests with `raw` and those with `built` begin with: one that dbt has
    built before any call was landed, and one with the call. Building takes 2 to 3 s a test."""
    # Under the tests' name: dbt makes a view again if its query names another database.
    warehouse = {**server, "PGDATABASE": database_name}
    names = {fixture: f"template_{fixture}_{uuid4().hex}" for fixture in ("raw", "built")}
    databases.create(server, database_name)
    folder = write_seeds(dbt_folder)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {**warehouse, "RINGOSTAT_SEEDS": str(folder)}.items():
            patch.setenv(variable, value)
        patch.setattr(support, "DBT", quick_dbt)
        for fixture, name in names.items():
            with database.connect(warehouse) as own:
                raw_tables.create_tables(own)
                if fixture == "built":
                    land_the_call(own)
            done = support.run_dbt(dbt_folder, "build", "--vars", "{}", *NO_TESTS)
            assert done.returncode == 0, done.stdout
            databases.create(server, name, database_name)
    shutil.rmtree(folder)
    databases.drop(server, database_name)
    yield names
    for name in names.values():
        databases.drop(server, name)


@pytest.fixture
def template(request: pytest.FixtureRequest) -> str:
    """For the tests with `raw` or `built`, what dbt has built. Others, test_marts among them, begin
    with an empty database and the first build, and on Citus all do: a copy of a coordinator's
    database would know the workers' tables of the first."""
    server = request.getfixturevalue("server")
    for fixture in ("built", "raw"):
        if fixture in request.fixturenames and not databases.is_citus(server):
            return request.getfixturevalue("templates")[fixture]
    return "template1"


@pytest.fixture
def build(
    dbt_folder: Path, warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`build(*arguments, tests=(), **vars)`: seeds and models of the seeds in RINGOSTAT_SEEDS, with
    the named of the two kinds of tests: "test", of data, and "unit_test"."""
    # Writing dbt's log takes a tenth of a build, and its artifacts another.
    quietly = ("--log-level", "warn", "--log-level-file", "none", "--no-write-json")
    monkeypatch.setattr(dbt, "_OFF_TERMINAL", quietly)

    def run(*arguments: str, tests: Collection[str] = (), **variables: object) -> None:
        # dbt parses the whole project again if its vars are not those of the same folder.
        given = json.dumps(variables, sort_keys=True)
        target = f"target_{sha256(given.encode()).hexdigest()}" if variables else "target"
        monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / target))
        assert database.environment() == warehouse, "not the database of this test"
        assert warehouse["PGDATABASE"].startswith("test_")
        for kind in {"test", "unit_test"}.difference(tests):
            arguments += ("--exclude-resource-type", kind)
        assert dbt.dbt("build", "--quiet", "--vars", given, *arguments) == 0

    return run


@pytest.fixture
def seeds(dbt_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of seeds with one project in it.

    It has the same name in all tests: dbt parses the whole project again if the name changes.
    """
    folder = write_seeds(dbt_folder)
    monkeypatch.setenv("RINGOSTAT_SEEDS", str(folder))
    yield folder
    shutil.rmtree(folder)


def write_seeds(dbt_folder: Path) -> Path:
    folder = dbt_folder / "seeds"
    folder.mkdir()
    (folder / "projects.csv").write_text(ONE_PROJECT)
    (folder / "static_channels.csv").write_text(CHANNELS)
    (folder / "kpi_tags.csv").write_text(TAGS)
    (folder / "channel_costs.csv").write_text(COSTS)
    return folder


@pytest.fixture
def raw(conn: psycopg.Connection, seeds: Path) -> psycopg.Connection:
    """A warehouse with the raw tables and one call in them."""
    raw_tables.create_tables(conn)
    land_the_call(conn)
    return conn


@pytest.fixture
def built(
    request: pytest.FixtureRequest, conn: psycopg.Connection, build: Callable[..., None]
) -> psycopg.Connection:
    """A warehouse with one call in its raw tables and in its marts."""
    request.getfixturevalue("seeds")
    if databases.is_citus(database.environment()):
        request.getfixturevalue("raw")
        build()
    return conn


def land_the_call(conn: psycopg.Connection) -> None:
    land(conn, "a", caller="380001", pool_name="Billboard")
