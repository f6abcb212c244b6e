"""A Postgres for every test that wants one.

With PGHOST set, that server is used (PG* as for the loader; the role must be able to create
databases; on a coordinator of Citus, the tables are spread over its workers), else an embedded one
in a temporary folder. Each test gets databases of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from loader import ROOT, database
from loader.sandbox import Sandbox

from . import databases, dbt_server

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("any machine")

# Tests that share something slow to make: one worker gets all of them.
TOGETHER = ("tests/bi/", "tests/warehouse/test_package.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `-n`, sends the tests to the workers one by one, except for those."""
    from xdist.scheduler import LoadScopeScheduling

    class TogetherOrOneByOne(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((names for names in TOGETHER if nodeid.startswith(names)), nodeid)

    return TogetherOrOneByOne(config, log)


MEMORY = "/dev/shm"  # where Postgres itself keeps what its processes share


def _has_room(folder: str) -> bool:
    """Whether the servers of two workers fit there: a container's default is 64 MB."""
    return os.path.isdir(folder) and shutil.disk_usage(folder).free > 4 * 2**30


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """PGHOST, PGPORT, PGUSER and PGDATABASE (and PGPASSWORD) of a running Postgres."""
    if not database.is_embedded():
        yield database.environment()
        return
    # pytest's own temporary folders have paths too long for a socket. In memory, as nothing here
    # outlives the machine: making and dropping databases takes a fifth of the time.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=MEMORY if _has_room(MEMORY) else None))
    try:
        found = database.start(folder / "data")
        with database.connect(found) as conn:
            conn.execute("alter system set fsync = off")
            conn.execute("select pg_reload_conf()")
        yield found
    finally:
        database.stop(folder / "data")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def quick_dbt() -> Iterator[tuple[str, ...]]:
    """The command that runs dbt without importing it first."""
    # pytest's own temporary folders have paths too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="dbt"))
    path = str(folder / "socket")
    serving = subprocess.Popen(
        [sys.executable, "-m", dbt_server.__name__, path], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert serving.stdout.readline() == b"ready\n"
        yield sys.executable, "-S", "-E", dbt_server.__file__, path
    finally:
        serving.kill()
        serving.communicate()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def database_name() -> str:
    """The same for all tests: dbt parses the whole project again if its database changes."""
    return f"test_{uuid4().hex}"


@pytest.fixture
def template() -> str:
    """The database that `warehouse` is a copy of: an empty one."""
    return "template1"


@pytest.fixture
def warehouse(
    server: dict[str, str],
    database_name: str,
    template: str,
    no_settings_of_the_user: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """A new database: its PG*, which the environment has too, for child processes."""
    name = database_name
    databases.create(server, name, template)
    found = {**server, "PGDATABASE": name}
    for variable, value in found.items():
        monkeypatch.setenv(variable, value)
    if databases.is_citus(server):
        monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "1")
    yield found
    databases.drop(server, name)


@pytest.fixture
def conn(warehouse: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A connection to `warehouse`, in autocommit."""
    with database.connect(warehouse) as connection:
        yield connection


@pytest.fixture(autouse=True)
def no_misspelt_parameter_goes_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "strict", True)


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell sets must not reach a test."""
    for variable in list(os.environ):
        if variable.startswith("RINGOSTAT_"):
            monkeypatch.delenv(variable)
