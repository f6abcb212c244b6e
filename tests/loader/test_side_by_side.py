"""Projects, sessions and people: what one does must not harm another."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from loader import ROOT, database, landing, raw
from loader.errors import LoadError
from loader.landing import Answer, Run
from loader.load import Interrupted, Show, load_projects
from loader.projects import Project, read_projects
from loader.sandbox import Sandbox, SandboxProject
from loader.windows import Window

from .calls import KYIV, calls_every
from .hostile import Hostile, response
from .support import Setting, ringostat

ROWS = (
    "11111,Clinic,KEY_ONE,Europe/Kyiv,,2024-01-01,true",
    "22222,Dealer,KEY_TWO,Europe/Kyiv,,2024-01-01,true",
    "33333,Bakery,KEY_THREE,Europe/Kyiv,,2024-01-01,true",
)


@pytest.fixture
def three(
    seeds: Callable[..., Path],
    serve: Callable[..., Hostile],
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Hostile:
    """The API of three projects with 29 calls each; projects.csv lists them."""
    seeds(*ROWS)
    projects = []
    for row in ROWS:
        number, _, variable, *_ = row.split(",")
        monkeypatch.setenv(variable, f"key-{number}")
        calls = calls_every(
            timedelta(days=1), datetime(2024, 2, 1, 12), datetime(2024, 3, 1, 12), call_card=None
        )
        projects.append(SandboxProject(int(number), f"key-{number}", "Europe/Kyiv", calls))
    return serve(Sandbox(projects))


def load(*arguments: str) -> tuple[int, dict[str, str], str]:
    """`ringostat load`: its exit code, each project's line of the result, and the log."""
    result = ringostat("load", "--until", "2024-05-01", *arguments)
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    return result.exit_code, lines, result.stderr


DONE = "29 calls read: 29 new, 0 changed, 0 removed"
CLINIC, DEALER, BAKERY = (f"project {row[:5]} ({row.split(',')[1]})" for row in ROWS)


# --- one project's failure is its own --------------------------------------------------------


@pytest.mark.parametrize("key", [None, "two words"])
def test_a_missing_key_is_one_projects_failure(
    three: Hostile, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("KEY_TWO") if key is None else monkeypatch.setenv("KEY_TWO", key)
    exit_code, lines, log = load()
    assert exit_code == 1
    assert (lines[CLINIC], lines[BAKERY]) == (DONE, DONE)
    assert "FAILED: KEY_TWO" in lines[DEALER]
    assert f"ERROR {DEALER}: KEY_TWO" in log
    ((status, error),) = conn.execute(
        "select status, error from ringostat_raw.loads where project_id = 22222"
    ).fetchall()
    assert status == "failed"
    assert "KEY_TWO" in error


def test_no_key_at_all_is_a_configuration_error(
    three: Hostile, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("KEY_ONE", "KEY_TWO", "KEY_THREE"):
        monkeypatch.delenv(variable)
    exit_code, lines, log = load()
    assert (exit_code, lines) == (2, {})
    assert "KEY_ONE is not set" in log
    assert conn.execute("select to_regnamespace('ringostat_raw')").fetchone() == (None,)


def test_an_unexpected_error(three: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    merge = landing.merge

    def fail(run: Run, staged: landing.Staged) -> landing.Landed:
        if run.project.project_id == 22222:
            raise KeyError("380441112233")
        return merge(run, staged)

    monkeypatch.setattr(landing, "merge", fail)
    exit_code, lines, log = load()
    assert exit_code == 1
    assert (lines[CLINIC], lines[BAKERY]) == (DONE, DONE)
    assert lines[DEALER].endswith("FAILED: KeyError: '***'")
    assert "Traceback" not in log
    assert "380441112233" not in log


@pytest.mark.parametrize("later", [ROWS[1].replace("true", "false"), ""])
def test_a_project_that_is_gone_when_its_turn_comes(
    three: Hostile, seeds: Callable[..., Path], conn: psycopg.Connection, later: str
) -> None:
    def edit(number: int, parameters: dict[str, str]) -> None:
        seeds(*filter(None, (ROWS[0], later, ROWS[2])))

    three.fault = edit
    exit_code, lines, log = load("--jobs", "1")
    assert exit_code == 1
    assert (lines[CLINIC], lines[BAKERY]) == (DONE, DONE)
    assert "no longer lists it as active" in lines[DEALER]
    assert "ERROR" not in log
    for table in ("calls", "loads"):
        assert conn.execute(
            f"select count(*) from ringostat_raw.{table} where project_id = 22222"
        ).fetchone() == (0,)


@pytest.mark.parametrize("deleted", [11111, 22222])
def test_a_deletion_beside_a_load_of_several_projects(
    three: Hostile, conn: psycopg.Connection, deleted: int
) -> None:
    """What is being loaded stays; what waits for its turn goes, and does not come back."""
    load()
    ended: list[int] = []

    def delete(number: int, parameters: dict[str, str]) -> None:
        if not ended:  # the first project's first request
            command = ["project", "delete", str(deleted), "--yes"]
            child = subprocess.run(
                [sys.executable, "-m", "loader", *command], cwd=ROOT, check=False, timeout=60
            )
            ended.append(child.returncode)

    three.fault = delete
    exit_code, lines, _ = load("--since", "2024-01-01", "--jobs", "1")
    calls = "select count(*) from ringostat_raw.calls where project_id = %s"
    again = "29 calls read: 0 new, 0 changed, 0 removed"
    assert (lines[CLINIC], lines[BAKERY]) == (again, again)
    if deleted == 11111:
        assert (ended, exit_code, lines[DEALER]) == ([1], 0, again)
        assert conn.execute(calls, [deleted]).fetchone() == (29,)
        assert len(read_projects()) == 3
        return
    assert (ended, exit_code) == ([0], 1)
    assert "no longer lists it as active" in lines[DEALER]
    for table in ("calls", "loads", "load_state", "known_fields", "rejected_calls"):
        query = f"select count(*) from ringostat_raw.{table} where project_id = %s"
        assert conn.execute(query, [deleted]).fetchone() == (0,)
    assert [project.project_id for project in read_projects()] == [11111, 33333]


# --- sessions --------------------------------------------------------------------------------


def test_a_load_whose_session_is_ended_fails_and_says_so(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is gone with the session: another load may be at work."""
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "40")
    setting.project.calls = calls_every(
        timedelta(hours=1), datetime(2024, 5, 1), datetime(2024, 5, 20)
    )

    def end(number: int, parameters: dict[str, str]) -> None:
        if number == 5:
            setting.conn.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' "
                "and database = (select oid from pg_database where datname = current_database())"
            )

    setting.api.fault = end
    result = setting.load("--since", "2024-05-01", "--until", "2024-05-20")
    assert result.exit_code == 1
    assert "Postgres: " in result.stderr
    *loaded, (status, error) = setting.loads("status, error")
    assert {status for status, _ in loaded} == {"loaded"}
    assert status == "failed"
    assert error.startswith("Postgres: ")


def test_landing_without_the_lock(setting: Setting) -> None:
    """As behind a pooler that gives each transaction another session."""
    setting.load("--until", "2024-01-02")
    (project,) = read_projects()
    window = Window(datetime(2024, 5, 1), datetime(2024, 5, 2), KYIV)
    answer = Answer(window, [], datetime.now(timezone.utc))
    with database.connect(database.environment()) as other, raw.lock(project, other):
        with pytest.raises(LoadError, match="must pool sessions"):
            landing.stage(setting.conn, project, answer)
        landing.stage(other, project, answer)


def test_a_session_is_left_as_it_was(warehouse: dict[str, str]) -> None:
    """A pooler may give it to somebody else, and may have got it from somebody else."""
    with database.connect(warehouse) as conn:
        conn.execute("create temporary table of_somebody_else ()")
        changed = conn.execute(
            "select name from pg_settings where source = 'session' and setting <> reset_val"
        ).fetchall()
    assert set(changed) <= {("TimeZone",), ("DateStyle",)}


@pytest.mark.parametrize("style", ["German", "SQL,DMY"])
def test_a_server_with_another_date_style(
    three: Hostile, monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    monkeypatch.setenv("PGOPTIONS", f"-c DateStyle={style}")
    exit_code, lines, _ = load()
    assert (exit_code, lines) == (0, {CLINIC: DONE, DEALER: DONE, BAKERY: DONE})
    assert ringostat("status").exit_code == 0


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_server_with_another_isolation_level(
    three: Hostile, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    escaped = level.replace(" ", "\\ ")
    monkeypatch.setenv("PGOPTIONS", f"-c default_transaction_isolation={escaped}")
    exit_code, lines, _ = load()
    assert (exit_code, lines) == (0, {CLINIC: DONE, DEALER: DONE, BAKERY: DONE})
    with database.connect(database.environment()) as conn, conn.transaction():
        assert conn.execute("show transaction_isolation").fetchone() == ("read committed",)


# --- Ctrl-C ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["none", "503"])
def test_ctrl_c_ends_at_once_and_tells_what_is_done(three: Hostile, answer: str) -> None:
    """While the API keeps silent, and while the loader waits for its next attempt."""
    child = subprocess.Popen(
        [sys.executable, "-m", "loader", "load", "--until", "2024-05-01", "--jobs", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    over = threading.Event()
    interrupted: list[datetime] = []

    def fault(number: int, parameters: dict[str, str]) -> bytes | None:
        # The first project is done; the second one has landed a window.
        if not conn_has_loads(22222):
            return None
        if not interrupted:
            interrupted.append(datetime.now(timezone.utc))
            child.send_signal(signal.SIGINT)
        if answer == "none":
            over.wait(60)
        return response("busy", status=503, Retry_After="100")

    three.fault = fault
    try:
        stdout, stderr = child.communicate(timeout=60)
        assert datetime.now(timezone.utc) - interrupted[0] < timedelta(seconds=15)
    finally:
        over.set()
        child.kill()
    assert child.returncode == 1
    lines = dict(line.split(": ", 1) for line in stdout.splitlines())
    assert lines[CLINIC] == DONE
    assert "FAILED: stopped; the next run goes on from 2024-" in lines[DEALER]
    assert f"WARNING {DEALER}: stopped" in stderr
    assert BAKERY not in stdout + stderr
    assert "Traceback" not in stderr


def test_ctrl_c_while_projects_are_begun(three: Hostile) -> None:
    """Those that are begun are told to stop, and those that are not are not begun."""

    def bar(project: Project) -> Show:
        if project.project_id == 22222:
            raise KeyboardInterrupt
        return lambda period, window, landed: None

    with pytest.raises(Interrupted) as interrupted:
        load_projects(read_projects(), jobs=2, bar=bar)
    assert [result.project.project_id for result in interrupted.value.results] == [11111]


def conn_has_loads(project_id: int) -> bool:
    with database.connect(database.environment()) as conn:
        return (
            conn.execute(
                "select from ringostat_raw.loads where project_id = %s", [project_id]
            ).rowcount
            > 0
        )


def test_ctrl_c_does_not_build(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted([])

    monkeypatch.setattr("loader.commands.cli.load_projects", interrupt)
    monkeypatch.setattr("loader.commands.cli.build", lambda *_: pytest.fail("dbt was run"))
    result = ringostat("run")
    assert result.exit_code == 1
    assert "Aborted" in result.stderr
