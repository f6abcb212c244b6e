"""What the loader's tests share: projects.csv, an API, and the command."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from hostile import Fault, Hostile

from loader.cli import main
from loader.sandbox import Sandbox, SandboxProject

HEADER = "project_id,project_name,auth_key_env,time_zone,kpi_mode,load_from,is_active\n"
KEY = "Key-Of-The-Tests-4f1c"


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`seeds(row, …)` writes projects.csv and makes it the loader's."""

    def write(*rows: str) -> Path:
        folder = tmp_path / "seeds"
        folder.mkdir(exist_ok=True)
        (folder / "projects.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
        monkeypatch.setenv("RINGOSTAT_SEEDS", str(folder))
        return folder / "projects.csv"

    return write


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hostile]]:
    """`serve(sandbox, fault)` is an API that the loader asks from now on."""
    with ExitStack() as stack:

        def start(sandbox: Sandbox, fault: Fault | None = None) -> Hostile:
            api = stack.enter_context(Hostile(sandbox, *([fault] if fault else [])))
            monkeypatch.setenv("RINGOSTAT_API_URL", api.url)
            return api

        yield start


@dataclass
class Setting:
    """One project, 11111 in Europe/Kyiv, with its API and its warehouse, ready to load."""

    project: SandboxProject
    sandbox: Sandbox
    api: Hostile
    conn: psycopg.Connection

    def load(self, *arguments: str) -> Result:
        """`ringostat load`, of 2024 if no bound is given."""
        if "--since" not in arguments and "--until" not in arguments:
            arguments += ("--since", "2024-01-01", "--until", "2025-01-01")
        return ringostat("load", *arguments)

    def raw(self, columns: str = "call_id, payload") -> list[tuple]:
        """The calls that are landed and not removed, in an order that is always the same."""
        rows = self.conn.execute(
            f"select {columns} from ringostat_raw.calls where removed_at is null"
        ).fetchall()
        return sorted(rows, key=str)

    def loads(self, columns: str) -> list[tuple]:
        return self.conn.execute(
            f"select {columns} from ringostat_raw.loads order by load_id"
        ).fetchall()


@pytest.fixture
def setting(
    seeds: Callable[..., Path],
    serve: Callable[..., Hostile],
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Setting:
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true")
    monkeypatch.setenv("RINGOSTAT_AUTH_KEY", KEY)
    project = SandboxProject(11111, KEY, "Europe/Kyiv", [])
    sandbox = Sandbox([project])
    return Setting(project, sandbox, serve(sandbox), conn)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the loader would have slept: no test waits."""
    slept: list[float] = []
    import time

    clock = types.SimpleNamespace(sleep=slept.append, time=time.time)
    monkeypatch.setattr("urllib3.util.retry.time", clock)
    return slept


def ringostat(*arguments: str, typed: str = "") -> Result:
    """The command, in this process, `typed` being its stdin. A traceback fails the test."""
    result = CliRunner().invoke(main, arguments, input=typed)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
