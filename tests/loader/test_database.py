"""The embedded Postgres, and the commands around it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader import ROOT, database

from .support import ringostat


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No PGHOST, and a data folder that the test may use up."""
    for variable in list(os.environ):
        if variable.startswith("PG"):
            monkeypatch.delenv(variable)
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    data = folder / "data"
    monkeypatch.setattr(database, "DATA", data)
    yield data
    database.stop(data)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_life_of_the_embedded_postgres(embedded: Path) -> None:
    assert ringostat("db", "stop").stdout == "it was not running\n"
    result = ringostat("db", "start")
    assert result.exit_code == 0, result.output
    assert str(embedded) in result.stdout
    with database.connect(database.environment()) as conn:
        assert conn.execute("select current_database()").fetchone() == ("ringostat",)
        assert conn.execute("show jit").fetchone() == ("off",)
        conn.execute("create table kept (x int)")
    assert ringostat("db", "start").exit_code == 0
    assert ringostat("db", "stop").stdout == "stopped\n"
    with database.connect(database.environment()) as conn:
        conn.execute("select from kept")


def test_env_and_psql(embedded: Path) -> None:
    lines = ringostat("db", "env").stdout.splitlines()
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert all(line.startswith("export ") for line in lines)
    assert exported == database.environment()
    done = subprocess.run(
        [sys.executable, "-c",
         "from loader import database as d; from pathlib import Path; import sys;"
         "sys.exit(d.psql(d.environment(), ['-Atc', 'select current_database()']))"],
        env={**os.environ, **exported}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "ringostat\n"


def test_only_its_user_reaches_it(embedded: Path) -> None:
    folder = Path(database.start(embedded)["PGHOST"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket(embedded: Path) -> None:
    deep = embedded.parent / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    warehouse = database.start(deep / "data")
    try:
        folder = Path(warehouse["PGHOST"])
        assert folder != deep / "data"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700
        with database.connect(warehouse) as conn:
            conn.execute("select 1")
        assert database.stop(deep / "data")
        database.start(deep / "data")
    finally:
        database.stop(deep / "data")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_of_another_name(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATABASE", 'my "own"')
    with database.connect(database.environment()) as conn:
        assert conn.execute("select current_database()").fetchone() == ('my "own"',)


def test_a_folder_that_holds_something_else(embedded: Path) -> None:
    embedded.write_text("no folder")
    result = ringostat("db", "start")
    assert result.exit_code == 2
    assert str(embedded) in result.stderr
    embedded.unlink()


def test_the_users_own_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("PG"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGUSER", "loader")
    monkeypatch.setenv("PGPASSWORD", "it's secret")
    assert database.environment() == {
        "PGHOST": "db.example",
        "PGPORT": "5432",
        "PGUSER": "loader",
        "PGDATABASE": "loader",
        "PGPASSWORD": "it's secret",
    }
    for command in ("start", "stop"):
        result = ringostat("db", command)
        assert result.exit_code == 2
        assert "PGHOST is set" in result.stderr
