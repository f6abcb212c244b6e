"""`ringostat project deactivate`, `activate` and `delete`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from loader import database
from loader import raw as raw_tables
from loader.commands import seeds as csvs
from loader.projects import read_projects

from .calls import call
from .support import HEADER, Setting, ringostat

CLINIC = '11111,"Clinic, Kyiv",,Europe/Kyiv,,2024-01-01,"true"'
SALON = "22222,Salon,SALON_KEY,Asia/Almaty,,2024-01-01,true"


@pytest.fixture(autouse=True)
def folder(seeds: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two projects, each with a channel and a tag; the working folder."""
    folder = seeds(CLINIC, SALON).parent
    monkeypatch.chdir(folder)
    for name, columns, row in (
        ("static_channels", csvs.CHANNEL_COLUMNS, "dst,1,s,t,c,,"),
        ("kpi_tags", csvs.TAG_COLUMNS, "tag,1,x"),
    ):
        text = f"{','.join(columns)}\n11111,{row}\n22222,{row}\n"
        Path(f"{name}.csv").write_text(text)
    return folder


def texts() -> dict[str, str]:
    return {file.stem: file.read_text() for file in Path().glob("*.csv")}


@pytest.fixture
def raw(conn: psycopg.Connection) -> psycopg.Connection:
    """Two calls, a rejected one, a form and a load of each project."""
    raw_tables.create_tables(conn)
    for project_id in (11111, 22222):
        conn.execute(
            f"""
            insert into ringostat_raw.calls
            select {project_id}, n, now(), '{{}}', 1, now(), now()
            from generate_series(1, 2) as n;
            insert into ringostat_raw.rejected_calls
            values ({project_id}, 1, '{{}}', 'unreadable calldate', 1, now());
            insert into ringostat_raw.forms
            values ({project_id}, 'f', now(), '{{}}', 1, now(), now());
            insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at)
            values ({project_id}, now(), now(), 'loaded', now(), now());
            """
        )
    return conn


def counts(conn: psycopg.Connection, project_id: int) -> list[int]:
    return [
        conn.execute(
            f"select count(*) from ringostat_raw.{table} where project_id = %s", [project_id]
        ).fetchone()[0]
        for table in ("calls", "rejected_calls", "forms", "loads")
    ]


# --------------------------------------------------------------------------- deactivate, activate


def test_a_project_is_paused_and_resumed_by_one_cell() -> None:
    assert ringostat("project", "deactivate", "11111").exit_code == 0
    assert texts()["projects"] == f"{HEADER}{CLINIC.replace('true', 'false')}\n{SALON}\n".replace(
        '"false"', "false"
    )
    assert "already inactive" in ringostat("project", "deactivate", "11111").stdout
    assert ringostat("project", "activate", "11111").exit_code == 0
    assert texts()["projects"] == f"{HEADER}{CLINIC}\n{SALON}\n".replace('"true"', "true")


@pytest.mark.parametrize("command", [["deactivate"], ["activate"], ["delete", "--yes"]])
def test_an_unknown_project(command: list[str]) -> None:
    before = texts()
    result = ringostat("project", *command, "5")
    assert result.exit_code == 2
    assert "projects.csv has no project 5 (it has: 11111, 22222)" in result.stderr
    assert texts() == before


def test_a_resumed_project_is_loaded_from_where_it_stopped(setting: Setting) -> None:
    march, june = (call(datetime(2024, month, 1, 12), f"of month {month}") for month in (3, 6))
    setting.project.calls = [march, june]
    setting.load("--since", "2024-01-01", "--until", "2024-05-01")
    ringostat("project", "deactivate", "11111")
    assert "no active project" in setting.load("--until", "2024-07-01").stderr
    ringostat("project", "activate", "11111")
    setting.api.sandbox.requests.clear()
    assert setting.load("--until", "2024-07-01").exit_code == 0
    assert setting.raw("call_id") == [("of month 3",), ("of month 6",)]
    assert setting.api.sandbox.requests[0][1]["from"] == "2024-04-14 19:59:59"


# ----------------------------------------------------------------------------------------- delete


def test_a_deleted_project_leaves_nothing(raw: psycopg.Connection) -> None:
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 0
    assert result.stdout == (
        "project 11111 (Clinic, Kyiv) is deleted: 2 rows in ringostat_raw.calls, "
        "1 rows in ringostat_raw.rejected_calls, "
        "1 rows in ringostat_raw.forms, 1 rows in ringostat_raw.loads, "
        "1 in static_channels.csv, 1 in kpi_tags.csv, 1 in projects.csv\n"
    )
    assert counts(raw, 11111) == [0, 0, 0, 0]
    assert counts(raw, 22222) == [2, 1, 1, 1]
    assert all("11111" not in text for text in texts().values())
    assert all("22222" in text for text in texts().values())
    assert ringostat("channels", "check").exit_code == 0


def test_without_a_terminal_it_does_not_ask(raw: psycopg.Connection) -> None:
    before = texts()
    result = ringostat("project", "delete", "11111")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_the_number_is_to_be_typed(
    raw: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.commands.cli._need_terminal", lambda flag: None)
    assert ringostat("project", "delete", "11111", typed="22222\n").exit_code == 1
    assert ringostat("project", "delete", "11111", typed="y\n").exit_code == 1
    assert counts(raw, 11111) == [2, 1, 1, 1]
    assert ringostat("project", "delete", "11111", typed="11111\n").exit_code == 0
    assert counts(raw, 11111) == [0, 0, 0, 0]


def test_a_project_that_is_being_loaded_stays(
    raw: psycopg.Connection, warehouse: dict[str, str]
) -> None:
    before = texts()
    with database.connect(warehouse) as other, raw_tables.lock(other, read_projects()[0]):
        result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 1
    assert "another load of project 11111 is running" in result.stderr
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_all_raw_rows_go_or_none(raw: psycopg.Connection) -> None:
    before = texts()
    raw.execute(
        """
        create function refuse() returns trigger language plpgsql
        as $$ begin raise exception 'no'; end $$;
        create trigger refuse before delete on ringostat_raw.loads
        for each row execute function refuse();
        """
    )
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: Postgres: no\n")
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_a_seed_that_cannot_be_edited_stops_it_before_anything(raw: psycopg.Connection) -> None:
    Path("kpi_tags.csv").write_text("project_id\n")
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 2
    assert "kpi_tags.csv:1:1" in result.stderr
    assert counts(raw, 11111) == [2, 1, 1, 1]
