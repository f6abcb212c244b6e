"""The fixtures of the loader's tests: projects.csv, an API, and one project ready to load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from loader.commands.seeds import CHANNEL_COLUMNS, COST_COLUMNS, TAG_COLUMNS
from loader.sandbox import Sandbox, SandboxProject

from .hostile import Fault, Hostile
from .support import HEADER, KEY, Setting


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`seeds(row, …)` writes projects.csv, and the other CSVs with headers only, for the loader."""

    def write(*rows: str) -> Path:
        folder = tmp_path / "seeds"
        folder.mkdir(exist_ok=True)
        (folder / "projects.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows))
        for name, columns in (
            ("static_channels", CHANNEL_COLUMNS),
            ("kpi_tags", TAG_COLUMNS),
            ("channel_costs", COST_COLUMNS),
        ):
            if not (folder / f"{name}.csv").exists():
                (folder / f"{name}.csv").write_text(",".join(columns) + "\n")
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
    monkeypatch.setattr(
        "tenacity.nap.sleep_using_event.__call__", lambda self, seconds: slept.append(seconds)
    )
    return slept
