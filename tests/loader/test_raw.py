"""The raw tables: who may make them, what heals by itself, and how the load log stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from loader import database, raw
from loader.errors import ConfigurationError

from .calls import calls_every
from .support import Setting

# What the first versions made: no digest, and views that read the whole log.
OLD_TABLES = """
create schema if not exists ringostat_raw;
create table ringostat_raw.calls (
    project_id bigint not null,
    call_id text not null,
    call_at timestamptz not null,
    payload jsonb not null,
    load_id bigint not null,
    first_loaded_at timestamptz not null,
    loaded_at timestamptz not null,
    removed_at timestamptz,
    primary key (project_id, call_id)
);
create index calls_call_at on ringostat_raw.calls (project_id, call_at);
create index calls_loaded_at on ringostat_raw.calls (project_id, loaded_at);
create table ringostat_raw.loads (
    load_id bigint generated always as identity,
    project_id bigint not null,
    window_from timestamptz not null,
    window_to timestamptz not null,
    status text not null check (status in ('loaded', 'failed')),
    fetched bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    removed bigint not null default 0,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    error text,
    primary key (project_id, load_id)
);
create table ringostat_raw.forms (
    project_id bigint not null,
    form_id text not null,
    submitted_at timestamptz not null,
    payload jsonb not null,
    load_id bigint not null,
    first_loaded_at timestamptz not null,
    loaded_at timestamptz not null,
    primary key (project_id, form_id)
);
create index forms_loaded_at on ringostat_raw.forms (project_id, loaded_at);
create view ringostat_raw.loaded_ranges as
select
    merged.project_id,
    lower(ranges.loaded) as loaded_from,
    upper(ranges.loaded) as loaded_until
from (
    select
        project_id,
        range_agg(tstzrange(window_from, window_to)) as loaded
    from ringostat_raw.loads
    where status = 'loaded'
    group by project_id
) as merged
cross join lateral unnest(merged.loaded) as ranges (loaded);
create view ringostat_raw.last_loads as
select
    newest.project_id,
    newest.status,
    newest.error,
    newest.finished_at,
    landed.last_loaded_at
from (
    select distinct on (project_id)
        project_id,
        status,
        error,
        finished_at
    from ringostat_raw.loads
    order by project_id, load_id desc
) as newest
left join (
    select
        project_id,
        max(finished_at) as last_loaded_at
    from ringostat_raw.loads
    where status = 'loaded'
    group by project_id
) as landed
    on newest.project_id = landed.project_id;
"""

VIEWS = ("loaded_ranges", "last_loads")


@pytest.fixture
def role(conn: psycopg.Connection) -> Iterator[str]:
    """A role without any right. After `as_role`, every connection is of this role."""
    name = f"loader_{uuid4().hex}"
    conn.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    conn.execute("reset role")
    conn.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(name)))
    conn.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def as_role(conn: psycopg.Connection, role: str, warehouse: dict[str, str]) -> Callable[..., None]:
    """`as_role(statement, …)` runs the statements, `{}` being the role, and becomes the role."""

    def become(*statements: str) -> None:
        database = sql.Identifier(warehouse["PGDATABASE"])
        for statement in statements:
            conn.execute(sql.SQL(statement).format(sql.Identifier(role)))
        conn.execute(
            sql.SQL("alter database {} set role = {}").format(database, sql.Identifier(role))
        )

    return become


@pytest.fixture
def account(setting: Setting) -> Setting:
    setting.project.calls = calls_every(
        timedelta(hours=9), datetime(2024, 5, 1), datetime(2024, 5, 9)
    )
    return setting


def look(conn: psycopg.Connection, view: str) -> list[tuple]:
    return conn.execute(f"select * from ringostat_raw.{view} order by 1, 2").fetchall()


# --- rights ----------------------------------------------------------------------------------


def test_a_schema_made_by_a_dba_is_enough(account: Setting, as_role: Callable[..., None]) -> None:
    as_role("create schema ringostat_raw authorization {}")
    for _ in range(2):
        result = account.load()
        assert result.exit_code == 0, result.stderr


def test_a_role_that_owns_nothing_can_load(account: Setting, as_role: Callable[..., None]) -> None:
    raw.create_tables(account.conn)
    as_role(
        "grant usage on schema ringostat_raw to {}",
        "grant select, insert, update, delete on all tables in schema ringostat_raw to {}",
        "grant usage on all sequences in schema ringostat_raw to {}",
    )
    for _ in range(2):
        result = account.load()
        assert result.exit_code == 0, result.stderr


def test_the_right_to_make_the_schema_is_named(
    account: Setting, as_role: Callable[..., None], role: str, warehouse: dict[str, str]
) -> None:
    as_role()
    result = account.load()
    assert result.exit_code == 2
    assert f"create schema ringostat_raw authorization {role}" in result.stderr
    assert f"grant create on database {warehouse['PGDATABASE']} to {role}" in result.stderr


def test_the_right_to_make_tables_is_named(
    account: Setting, as_role: Callable[..., None], role: str
) -> None:
    as_role("create schema ringostat_raw")
    result = account.load()
    assert result.exit_code == 2
    assert f"grant usage, create on schema ringostat_raw to {role}" in result.stderr


def test_a_table_that_a_role_may_not_add_is_named(
    account: Setting, as_role: Callable[..., None], role: str
) -> None:
    raw.create_tables(account.conn)
    account.conn.execute("alter table ringostat_raw.calls drop column digest")
    as_role("grant all on schema ringostat_raw to {}")
    result = account.load()
    assert result.exit_code == 2
    assert "ringostat_raw lacks calls.digest: load once as the owner" in result.stderr


def test_the_right_to_the_salt_is_named(
    account: Setting, as_role: Callable[..., None], role: str
) -> None:
    raw.create_tables(account.conn)
    as_role("grant usage on schema ringostat_raw to {}")
    result = account.load()
    assert result.exit_code == 2
    assert "permission denied for table settings. Do: grant select, insert" in result.stderr
    assert f"on ringostat_raw.settings to {role}" in result.stderr


# --- what is missing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "drop view ringostat_raw.last_loads cascade",
        "drop view ringostat_raw.loaded_ranges cascade",
        "drop table ringostat_raw.load_state cascade",
        "drop table ringostat_raw.known_fields",
        "drop index ringostat_raw.calls_loaded_at",
        "alter table ringostat_raw.calls drop column digest",
    ],
)
def test_missing_tables_are_created_again(account: Setting, damage: str) -> None:
    account.load()
    before = [look(account.conn, view) for view in VIEWS]
    account.conn.execute(damage)
    raw.create_tables(account.conn)
    assert raw._missing(account.conn) == []
    assert [look(account.conn, view) for view in VIEWS] == before
    assert account.load().exit_code == 0


def test_many_first_loads_at_once(warehouse: dict[str, str]) -> None:
    def create(_: int) -> None:
        with database.connect(warehouse) as conn:
            raw.create_tables(conn)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))


def test_nothing_is_touched_where_nothing_is_missing(conn: psycopg.Connection) -> None:
    raw.create_tables(conn)
    catalog = "select oid, xmin::text from pg_class where relnamespace::regnamespace::text = %s"
    before = conn.execute(catalog, ["ringostat_raw"]).fetchall()
    raw.create_tables(conn)
    assert conn.execute(catalog, ["ringostat_raw"]).fetchall() == before


def test_tables_of_an_earlier_version(account: Setting) -> None:
    conn = account.conn
    conn.execute(OLD_TABLES)
    conn.execute(
        """
        insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at, error)
        values
            (1, '2024-01-01', '2024-02-01', 'loaded', '2024-02-01', '2024-02-01', null),
            (1, '2024-01-20', '2024-03-01', 'loaded', '2024-03-01', '2024-03-01', null),
            (1, '2024-04-01', '2024-05-01', 'loaded', '2024-05-01', '2024-05-01', null),
            (1, '2024-05-01', '2024-06-01', 'failed', '2024-06-01', '2024-06-01', 'no key'),
            (2, '2024-05-01', '2024-06-01', 'failed', '2024-06-01', '2024-06-01', 'no key'),
            (11111, '2024-05-01', '2024-05-02', 'loaded', '2024-06-01', '2024-06-01', null)
        """
    )
    before = [look(conn, view) for view in VIEWS]
    for view in VIEWS:  # as dbt's and BI's
        conn.execute(f"create view of_{view} as select * from ringostat_raw.{view}")
    raw.create_tables(conn)
    assert [look(conn, view) for view in VIEWS] == before
    result = account.load("--since", "2024-05-02", "--until", "2024-05-09")
    assert result.exit_code == 0, result.stderr
    for view in VIEWS:
        of_view = conn.execute(f"select * from of_{view} order by 1, 2").fetchall()
        assert of_view == look(conn, view)
    assert len(look(conn, "last_loads")) == 3


def test_a_read_only_database(conn: psycopg.Connection) -> None:
    conn.execute("set default_transaction_read_only = on")
    with pytest.raises(ConfigurationError, match="read-only"):
        raw.create_tables(conn)


# --- the load log ----------------------------------------------------------------------------


def test_old_rows_of_the_log_are_folded(account: Setting) -> None:
    account.load("--since", "2024-05-01", "--until", "2024-05-09")
    account.conn.execute(
        """
        insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at)
        select project_id, now(), now(), status, moment, moment
        from
            generate_series(now() - interval '120 days', now(), interval '1 day') as days (moment),
            unnest(array[11111, 22222]) as projects (project_id),
            unnest(array['loaded', 'failed']) as statuses (status)
        """
    )
    ranges = look(account.conn, "loaded_ranges")
    account.load("--since", "2024-05-01", "--until", "2024-05-09")
    assert look(account.conn, "loaded_ranges") == ranges
    kept = "select project_id, count(*), min(finished_at) > now() - interval '91 days'"
    kept += " from ringostat_raw.loads group by project_id order by 1"
    mine, others = account.conn.execute(kept).fetchall()
    assert mine[1] < 2 * 92 + 6
    assert mine[2]
    assert others[1] == 2 * 121


def test_the_newest_row_of_the_log_stays(account: Setting) -> None:
    account.load()
    account.conn.execute("update ringostat_raw.loads set finished_at = '2020-01-01'")
    (count,) = account.loads("count(*) over ()")[0]
    account.api.fault = lambda number, parameters: b"HTTP/1.1 403 no\r\n\r\n"
    account.load()
    statuses = account.loads("status")
    assert len(statuses) < count or count == 1
    assert statuses[-1] == ("failed",)
    assert look(account.conn, "last_loads")[0][1] == "failed"
    assert look(account.conn, "loaded_ranges")


def test_every_table_that_has_a_project_can_be_spread_by_it(conn: psycopg.Connection) -> None:
    raw.create_tables(conn)
    tables = conn.execute(
        "select tables.relname, columns.attname is not null from pg_class as tables"
        " left join pg_attribute as columns"
        " on columns.attrelid = tables.oid and columns.attname = 'project_id'"
        " where tables.relnamespace = 'ringostat_raw'::regnamespace and tables.relkind = 'r'"
    ).fetchall()
    assert {name for name, has_project in tables if has_project} == set(raw._DISTRIBUTED)
    assert {name for name, has_project in tables if not has_project} == {"settings"}


@pytest.mark.embedded
def test_without_citus_the_setting_is_refused(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "1")
    with pytest.raises(ConfigurationError, match="create extension citus"):
        raw.create_tables(conn)
    assert conn.execute("select to_regnamespace('ringostat_raw')").fetchone() == (None,)
    monkeypatch.setenv("RINGOSTAT_DISTRIBUTED", "yes")
    with pytest.raises(ConfigurationError, match="RINGOSTAT_DISTRIBUTED"):
        raw.create_tables(conn)
