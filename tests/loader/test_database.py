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

from loader import ROOT, database, raw
from loader.errors import ConfigurationError

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


def test_only_a_running_server_is_found(embedded: Path) -> None:
    assert database.running() is None
    assert not embedded.exists()
    started = database.start()
    assert database.running() == started
    database.stop()
    assert database.running() is None
    # A server that is just starting has written half of this file.
    (embedded / "postmaster.pid").write_text("1\n")
    assert database.running() is None
    (embedded / "postmaster.pid").unlink()


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


def test_after_db_env_it_is_still_the_embedded_one(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ringostat("db", "env").stdout.splitlines():
        monkeypatch.setenv(*shlex.split(line)[1].split("=", 1))
    assert ringostat("db", "stop").stdout == "stopped\n"
    assert ringostat("db", "stop").stdout == "it was not running\n"
    # Whatever needs it starts it again in the same shell.
    with database.connect(database.environment()) as conn:
        assert conn.execute("select current_database()").fetchone() == ("ringostat",)
    assert ringostat("db", "start").exit_code == 0
    assert ringostat("db", "delete", "--yes").exit_code == 0
    assert not embedded.exists()


def test_a_folder_that_was_moved_while_the_server_ran(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect(database.environment()) as conn:
        conn.execute("create table kept (x int)")
    moved = embedded.with_name("moved")
    embedded.rename(moved)
    monkeypatch.setattr(database, "DATA", moved)
    try:
        result = ringostat("db", "start")
        assert result.exit_code == 0, result.output
        assert str(moved) in result.stdout
        with database.connect(database.environment()) as conn:
            conn.execute("select from kept")
        moved.rename(embedded)
        monkeypatch.setattr(database, "DATA", embedded)
        assert ringostat("db", "stop").stdout == "stopped\n"
    finally:
        database.stop(moved)


def test_a_copy_of_the_folder_leaves_the_server_alone(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect(database.environment()) as conn:
        copy = embedded.with_name("copy")
        subprocess.run(["cp", "-a", embedded, copy], check=True)
        monkeypatch.setattr(database, "DATA", copy)
        assert ringostat("db", "stop").stdout == "it was not running\n"
        conn.execute("select 1")


def test_delete_says_what_is_lost_and_asks(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.connect(database.environment()) as conn:
        raw.create_tables(conn)
        conn.execute(
            "insert into ringostat_raw.forms (project_id, form_id, submitted_at, payload, load_id,"
            " first_loaded_at, loaded_at) values (1, 'a', now(), '{}', 1, now(), now())"
        )
    result = ringostat("db", "delete")
    assert result.exit_code == 2
    assert result.stderr.startswith("database ringostat: 0 calls and 1 forms, ")
    assert "form requests cannot" in result.stderr
    assert "there is no terminal to confirm on: add --yes to confirm" in result.stderr
    monkeypatch.setattr("loader.commands.cli._need_terminal", lambda flag: None)
    assert ringostat("db", "delete", typed="yes\n").exit_code == 1
    assert (embedded / "PG_VERSION").exists()
    result = ringostat("db", "delete", typed="delete\n")
    assert result.exit_code == 0
    assert result.stdout == f"{embedded} is deleted\n"
    assert not embedded.exists()
    result = ringostat("db", "delete")
    assert result.exit_code == 0
    assert f"{embedded} does not exist" in result.stderr


def test_only_its_user_reaches_it(embedded: Path) -> None:
    folder = Path(database.start(embedded)["PGHOST"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        monkeypatch.setattr(database, "DATA", deep / "data")
        monkeypatch.setenv("PGHOST", warehouse["PGHOST"])
        assert database.is_embedded()
        assert database.environment() == warehouse
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


def test_an_address_as_the_host_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "postgres://loader:s3cret@db.example/calls")
    with pytest.raises(ConfigurationError, match="PGHOST must be the name of a host") as error:
        database.environment()
    assert "s3cret" not in str(error.value)


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number alone."""

    def getuser() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.delenv("PGUSER", raising=False)
    monkeypatch.setattr("getpass.getuser", getuser)
    with pytest.raises(ConfigurationError, match="PGUSER is not set"):
        database.environment()


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
    printed = ringostat("db", "env").stdout
    assert "export PGHOST=db.example\n" in printed
    assert "secret" not in printed
    for command in ("start", "stop", "delete"):
        result = ringostat("db", command)
        assert result.exit_code == 2
        assert "PGHOST is set" in result.stderr


def test_the_version() -> None:
    assert ringostat("--version").stdout.startswith("ringostat, version 0.")
