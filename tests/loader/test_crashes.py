"""Machines that fail: what is claimed is landed, and a normal run mends the rest."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from loader import ROOT, database
from loader.projects import read_projects
from loader.sandbox import Sandbox, SandboxProject

from .calls import calls_every
from .hostile import Hostile
from .support import KEY, Setting

ISO = "%Y-%m-%dT%H:%M:%S%z"
SINCE, UNTIL = datetime(2024, 1, 1), datetime(2024, 3, 1)


def loader() -> subprocess.Popen:
    """`ringostat load` of the first months of 2024, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "loader", "load", "--until", str(UNTIL)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of a Postgres that the test may kill; PG* name it."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        for variable, value in database.start(folder / "data").items():
            monkeypatch.setenv(variable, value)
        yield folder / "data"
    finally:
        database.stop(folder / "data")
        shutil.rmtree(folder)


@pytest.fixture
def busy(
    seeds: Callable[..., Path], serve: Callable[..., Hostile], monkeypatch: pytest.MonkeyPatch
) -> Hostile:
    """About 8,600 calls, in more than a hundred windows."""
    monkeypatch.setenv("RINGOSTAT_AUTH_KEY", KEY)
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "100")
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true")
    calls = calls_every(timedelta(minutes=10), SINCE, UNTIL)
    return serve(Sandbox([SandboxProject(11111, KEY, "Europe/Kyiv", calls)], row_cap=100))


def assert_claims_are_landed(conn: psycopg.Connection, api: Hostile) -> None:
    """Raw holds exactly the calls of the windows that the load log claims."""
    ranges = conn.execute(
        "select loaded_from, loaded_until from ringostat_raw.loaded_ranges"
    ).fetchall()
    raw = dict(conn.execute("select call_id, payload from ringostat_raw.calls").fetchall())
    calls = {row["uniqueid"]: row for row in api.sandbox.project(11111).calls}
    assert all(calls[call_id] == payload for call_id, payload in raw.items())
    claimed = {
        call_id
        for call_id, row in calls.items()
        if any(start <= datetime.strptime(row["calldate"], ISO) < end for start, end in ranges)
    }
    # A window may bring a call or two of its neighbour's, by the second of overlap.
    assert claimed <= raw.keys()
    assert len(raw) <= len(claimed) + 2


def assert_normal_run_mends_everything(api: Hostile) -> None:
    with database.connect(database.environment()) as conn:
        (project,) = read_projects()
        # The backend of a killed loader holds its lock until it notices.
        key = f"ringostat load {project.project_id}"
        conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [key])
        conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])
        assert_claims_are_landed(conn, api)
        (reached,) = conn.execute("select max(window_to) from ringostat_raw.loads").fetchone()

        api.fault = lambda number, parameters: None
        api.requests.clear()
        child = loader()
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, output

        first = datetime.fromisoformat(api.requests[0]["from"])
        resumed = reached.astimezone(project.time_zone).replace(tzinfo=None) - timedelta(
            days=14, hours=52
        )
        assert first == max(SINCE, resumed) - timedelta(seconds=1)
        assert_claims_are_landed(conn, api)
        count = conn.execute("select count(*) from ringostat_raw.calls").fetchone()
        assert count == (len(api.sandbox.project(11111).calls),)
        assert conn.execute(
            "select count(*) from ringostat_raw.loaded_ranges where project_id = 11111"
        ).fetchone() == (1,)


def kill_loader(api: Hostile, at: int) -> None:
    """Starts a loader and kills it with `kill -9` as it makes its request number `at`."""
    child = loader()

    def fault(number: int, parameters: dict[str, str]) -> None:
        if number == at:
            child.send_signal(signal.SIGKILL)

    api.requests.clear()
    api.fault = fault
    child.communicate(timeout=120)


def kill_postgres(api: Hostile, data: Path, at: int) -> str:
    """Kills Postgres with `kill -9` at the loader's request number `at`; what the loader says."""

    def fault(number: int, parameters: dict[str, str]) -> None:
        if number == at:
            pid = int((data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)

    api.requests.clear()
    api.fault = fault
    child = loader()
    output, _ = child.communicate(timeout=120)
    assert child.returncode in (0, 1), output
    return output


def test_a_killed_loader(busy: Hostile, own_server: Path) -> None:
    kill_loader(busy, at=20)
    assert_normal_run_mends_everything(busy)


def test_a_killed_postgres(busy: Hostile, own_server: Path) -> None:
    output = kill_postgres(busy, own_server, at=20)
    assert "Postgres" in output
    assert "Traceback" not in output
    database.start(own_server)
    assert_normal_run_mends_everything(busy)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_thirty_kills_at_random_moments(busy: Hostile, own_server: Path, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(10):
        at = dice.randrange(60)
        if dice.random() < 0.5:
            kill_loader(busy, at)
        else:
            kill_postgres(busy, own_server, at)
            database.start(own_server)
        with (
            suppress(psycopg.errors.UndefinedTable),  # killed before the tables were made
            database.connect(database.environment()) as conn,
        ):
            assert_claims_are_landed(conn, busy)
    assert_normal_run_mends_everything(busy)


def test_loaded_at_grows_with_every_window(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt reads on from the latest `loaded_at`: what commits later must not have less."""
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "100")
    setting.project.calls = calls_every(timedelta(hours=1), SINCE, UNTIL)
    setting.load()
    # As if the machine's clock had been set back since.
    setting.conn.execute(
        "update ringostat_raw.load_state set last_loaded_at = last_loaded_at + '1 day'"
    )
    setting.project.calls[5]["billsec"] = 1
    setting.project.calls[-1]["billsec"] = 1
    setting.load()
    loads = setting.loads("load_id, finished_at")
    assert all(one < other for (_, one), (_, other) in pairwise(loads))
    changed = [row for row in setting.raw("load_id, loaded_at, payload ->> 'billsec'") if row[2]]
    assert len({load_id for load_id, _, _ in changed}) == 2
    assert all((load_id, at) in loads for load_id, at, _ in changed)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("53100", "could not extend file: no space left on device"),
        ("25006", "cannot execute INSERT in a read-only transaction"),
    ],
)
def test_a_database_that_takes_no_more(setting: Setting, state: str, words: str) -> None:
    setting.load("--until", "2024-01-02")
    setting.conn.execute(
        f"""
        create function refuse() returns trigger language plpgsql as
        $$ begin raise exception using errcode = '{state}', message = '{words}'; end $$;
        create trigger refuse before insert on ringostat_raw.calls
        for each statement execute function refuse()
        """
    )
    setting.project.calls = calls_every(timedelta(hours=1), SINCE, UNTIL)
    result = setting.load()
    assert result.exit_code == 1
    assert f"Postgres: {words}" in result.stderr
    assert setting.raw() == []
    assert setting.loads("status, error")[-1] == ("failed", f"Postgres: {words}")


def test_a_full_disk(
    busy: Hostile, server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: a file system of 100 MB, where the test may make one."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    try:
        if mounted.returncode:
            pytest.skip("only root can make a small file system")
        for variable, value in database.start(folder / "data").items():
            monkeypatch.setenv(variable, value)
        for row in busy.sandbox.project(11111).calls:
            row["landing"] = os.urandom(6000).hex()
        child = loader()
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 1
        assert "Postgres: " in output
        assert "Traceback" not in output
    finally:
        database.stop(folder / "data")
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)
        shutil.rmtree(folder)
