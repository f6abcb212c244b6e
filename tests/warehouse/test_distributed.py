"""Past one machine: what the tables on several nodes of Citus hold, and that nodes do the work.

`make test-citus` runs these tests, and all the others here, on a coordinator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from loader import database
from loader import raw as raw_tables
from loader.errors import ConfigurationError

from .. import databases
from .accounts import edit, random_account
from .support import NO_TESTS, land, one, run_dbt
from .test_marts import SETTINGS, Source, _vars, source  # noqa: F401 -- a fixture

Build = Callable[..., None]

# The time of day.
NOT_COMPARED = {"hours_behind"}
RAW = ("calls", "forms", "loads", "load_state", "settings")
# Few rows of configuration and of spend, whose campaigns may belong to any project, and what was
# written since the last run, to be compared with other projects.
COLLECTED = ("stg_config__", "stg_ads__", "int_spend_campaigns", "int_labels", "int_duplicates")


@pytest.fixture(autouse=True)
def on_citus(server: dict[str, str]) -> None:
    if not databases.is_citus(server):
        pytest.skip("PGHOST names no coordinator of Citus")


@pytest.fixture
def alone(server: dict[str, str], database_name: str) -> Iterator[dict[str, str]]:
    """An empty database of the coordinator's Postgres without Citus."""
    name = f"alone_{database_name}"
    quoted = sql.Identifier(name)
    with database.connect(server) as conn:
        conn.execute("set citus.enable_create_database_propagation = off")
        conn.execute(sql.SQL("create database {}").format(quoted))
        yield {**server, "PGDATABASE": name}
        conn.execute(sql.SQL("drop database {} with (force)").format(quoted))


def test_marts_equal_those_on_postgres_alone(
    source: Callable[..., Source],  # noqa: F811
    conn: psycopg.Connection,
    build: Build,
    warehouse: dict[str, str],
    alone: dict[str, str],
    dbt_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = random_account(7)
    api = source(account)
    compared = 0
    for step in (0, 1, 2):
        api.load(account, conn)
        build(**_vars(SETTINGS))
        with database.connect(alone) as other, monkeypatch.context() as here:
            here.setenv("RINGOSTAT_DISTRIBUTED", "0")
            for variable, value in alone.items():
                here.setenv(variable, value)
            _copy_raw(conn, other)
            folder = dbt_folder / "alone"
            folder.mkdir(exist_ok=True)
            given = json.dumps(_vars(SETTINGS))
            built = run_dbt(folder, "build", "--vars", given, *NO_TESTS)
            assert built.returncode == 0, built.stdout
            for mart in _marts(conn):
                rows = _rows(conn, mart)
                assert rows == _rows(other, mart), f"{mart} after step {step}"
                compared += len(rows)
        account = edit(account, step + 1)
    print(f"{compared} rows compared")
    assert compared > 10_000


def _copy_raw(conn: psycopg.Connection, other: psycopg.Connection) -> None:
    """The raw tables and the spend as they are on Citus."""
    raw_tables.create_tables(other)
    names = [sql.Identifier("ringostat_raw", table) for table in RAW]
    other.execute("drop table if exists public.spend")
    other.execute(
        """
        create table public.spend (
            project_id bigint, date_day date, platform text, campaign_id text,
            campaign_name text, spend numeric, utm_source text, utm_medium text, utm_campaign text
        )
        """
    )
    for name in [*names, sql.Identifier("public", "spend")]:
        other.execute(sql.SQL("truncate {}").format(name))
        reading = sql.SQL("copy (select * from {}) to stdout").format(name)
        writing = sql.SQL("copy {} from stdin").format(name)
        with conn.cursor().copy(reading) as read, other.cursor().copy(writing) as write:
            for data in read:
                write.write(data)


def _marts(conn: psycopg.Connection) -> list[str]:
    found = conn.execute(
        "select relname from pg_class where relnamespace = 'ringostat_marts'::regnamespace"
        " and relkind in ('r', 'v') order by 1"
    ).fetchall()
    assert len(found) > 15
    return [name for (name,) in found]


def _rows(conn: psycopg.Connection, mart: str) -> list[str]:
    cursor = conn.execute(
        sql.SQL("select * from {}").format(sql.Identifier("ringostat_marts", mart))
    )
    names = [column.name for column in cursor.description]
    kept = [place for place, name in enumerate(names) if name not in NOT_COMPARED]
    return sorted(repr([row[place] for place in kept]) for row in cursor)


def test_a_filled_warehouse_moves_with_its_history(
    raw: psycopg.Connection, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `raw` has spread its tables already: begin anew, on the coordinator alone.
    raw.execute("drop schema ringostat_raw cascade")
    monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "0")
    raw_tables.create_tables(raw)
    for number in range(50):
        land(raw, f"c{number}", caller=f"38000{number % 7}", pool_name="Billboard")
    build()
    before = {mart: _rows(raw, mart) for mart in _marts(raw)}
    reported = "select count(*) from ringostat_intermediate.int_reported_daily"
    had = one(raw, reported)

    monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "1")
    raw_tables.create_tables(raw)
    build()
    assert {mart: _rows(raw, mart) for mart in _marts(raw)} == before
    assert one(raw, reported) == had
    land(raw, "later", caller="380001", pool_name="Billboard")
    build()
    assert len(_rows(raw, "fct_conversions")) == len(before["fct_conversions"]) + 1
    spread = raw.execute(
        "select count(distinct colocation_id) from citus_tables"
        " where citus_table_type = 'distributed'"
    ).fetchone()
    assert spread == (1,)


def test_a_missing_index_is_created_on_all_nodes(raw: psycopg.Connection) -> None:
    raw.execute("drop index ringostat_raw.calls_loaded_at")
    raw_tables.create_tables(raw)
    counted = raw.execute(
        "select result::int > 0 from run_command_on_workers(%s)",
        ["select count(*) from pg_indexes where indexname like 'calls_loaded_at%'"],
    )
    assert counted.fetchall() == [(True,), (True,)]


def test_the_setting_and_the_tables_must_agree(
    raw: psycopg.Connection, dbt_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "0")
    with pytest.raises(ConfigurationError, match="RINGOSTAT_DISTRIBUTED is not 1"):
        raw_tables.create_tables(raw)
    refused = run_dbt(dbt_folder, "build")
    assert refused.returncode != 0
    assert "RINGOSTAT_DISTRIBUTED is not 1, but the raw tables are spread" in refused.stdout


def test_the_nodes_compute_the_days_build(
    raw: psycopg.Connection, dbt_folder: Path, build: Build
) -> None:
    """No step of an incremental run collects rows on the coordinator."""
    build()
    assert run_dbt(dbt_folder, "compile").returncode == 0
    notices: list[str] = []
    raw.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    tables = dict(
        raw.execute(
            "select tablename, schemaname from pg_tables where schemaname in"
            " ('ringostat_staging', 'ringostat_intermediate')"
        ).fetchall()
    )
    seen = 0
    compiled = dbt_folder / "target" / "compiled" / "ringostat" / "models"
    for file in compiled.rglob("*.sql"):
        if file.stem not in tables or file.stem.startswith(COLLECTED):
            continue
        with raw.transaction(force_rollback=True):
            raw.execute("set local client_min_messages = debug1")
            for step, plan, collected in _explain(
                raw, f"{tables[file.stem]}.{file.stem}", file.read_text(), notices
            ):
                assert not collected, f"{file.stem}, {step}: {collected[0][:300]}"
                assert "pull to coordinator" not in plan, f"{file.stem}, {step}:\n{plan}"
                assert "Task Count: 4" in plan, f"{file.stem}, {step}:\n{plan}"
                seen += 1
    assert seen > 25


def _explain(
    conn: psycopg.Connection, table: str, query: str, notices: list[str]
) -> Iterator[tuple[str, str, list[str]]]:
    """Runs the steps as macro create_table_as does; of each its name, its plan, and the sub-plans
    that collect more than the moment of writing or the salt."""
    before, *kept = re.split(r"(?ms)^(\w+) as materialized \((.*?)^\)", query)
    steps = []
    for name, body, after in zip(kept[::3], kept[1::3], kept[2::3], strict=True):
        steps.append((name, f"{before}{name} as ({body}) select * from {name}"))
        before += f"{name} as not materialized (select * from {table}__{name}){after}"
    for name, step in [*steps, ("rows", before)]:
        scratch = f"{table}__{name}"
        conn.execute(f"create unlogged table {scratch} as ({step}) with no data")
        conn.execute(
            "select create_distributed_table(%s, 'project_id', colocate_with => %s)",
            [scratch, "ringostat_raw.calls"],
        )
        notices.clear()
        explained = conn.execute(f"explain (costs off) insert into {scratch} ({step})")
        plan = "\n".join(line for (line,) in explained)
        collected = [
            notice
            for notice in notices
            if notice.startswith("generating subplan")
            and not re.search(r"GREATEST\(clock_timestamp|\(max\(newest\.", notice)
        ]
        yield name, plan, collected
        conn.execute(f"insert into {scratch} ({step})")


def test_one_node_answers_for_a_project_and_all_nodes_for_all_projects(
    raw: psycopg.Connection, build: Build
) -> None:
    build()
    for mart in ("rpt_conversions_daily", "fct_conversions"):
        query = f"explain (costs off) select campaign, count(*) from ringostat_marts.{mart}"
        plan = _plan(raw, f"{query} where project_id = 1 group by campaign")
        # Of a view with sub-queries for each row Citus does not see that they have one project.
        assert ("Task Count: 1\n" in plan) == (mart == "rpt_conversions_daily")
        assert "Subplan" not in plan
        plan = _plan(raw, f"{query} group by campaign")
        assert "Task Count: 4\n" in plan
        assert "Subplan" not in plan


def test_the_coordinator_alone_has_the_views_of_dbt(raw: psycopg.Connection, build: Build) -> None:
    build()
    views = "select count(*) from pg_views where schemaname ~ '^ringostat_[^r]'"
    assert raw.execute(views).fetchone() > (20,)
    on_workers = raw.execute("select result from run_command_on_workers(%s)", [views]).fetchall()
    assert set(on_workers) == {("0",)}


def _plan(conn: psycopg.Connection, query: str) -> str:
    return "\n".join(line for (line,) in conn.execute(query))
