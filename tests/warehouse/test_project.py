"""What the dbt project promises besides its numbers: style, rights, steady views."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from loader import database
from loader import raw as raw_tables
from loader.commands import lifecycle
from loader.commands.status import read_status
from loader.projects import read_projects

from .support import CHANNELS, NO_TESTS, ONE_PROJECT, PROJECTS
from .support import land as _land
from .support import land_form as _land_form
from .support import one as _one
from .support import run_dbt as _dbt
from .support import run_program as _run

Build = Callable[..., None]

EVERY_WARNING = '{"error": "all"}'  # is an error


def test_the_project_parses_with_no_warning_and_no_deprecated_key(
    dbt_folder: Path, warehouse: dict[str, str]
) -> None:
    parsed = _dbt(dbt_folder, "parse", "--no-partial-parse", "--warn-error-options", EVERY_WARNING)
    assert parsed.returncode == 0, parsed.stdout


@pytest.mark.slow
def test_sql_is_in_style(dbt_folder: Path, raw: psycopg.Connection, build: Build) -> None:
    build()
    linted = _run(dbt_folder, "sqlfluff", "lint", "models", "tests")
    assert linted.returncode == 0, linted.stdout


def test_an_empty_warehouse_and_empty_seeds_build(
    conn: psycopg.Connection, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_tables.create_tables(conn)
    monkeypatch.setenv("RINGOSTAT_SEEDS", "seeds")  # as shipped: headers only
    build(tests=["test", "unit_test"])
    assert _one(conn, "select count(*) from ringostat_marts.fct_conversions") == 0


def test_views_on_the_marts_survive_a_build(built: psycopg.Connection, build: Build) -> None:
    built.execute(
        "create view public.theirs as select * from ringostat_marts.rpt_conversions_daily"
    )
    _land(built, "b", caller="380002")
    build()
    assert _one(built, "select sum(conversions_all) from public.theirs") == 2


def test_a_build_that_changes_no_view_finishes_while_a_mart_is_being_read(
    built: psycopg.Connection, warehouse: dict[str, str], dbt_folder: Path, build: Build
) -> None:
    views = "select oid, xmin::text from pg_class where relkind = 'v' and relname !~ '^pg_'"
    before = built.execute(views).fetchall()
    _land(built, "b", caller="380002")
    with database.connect(warehouse) as reader, reader.transaction():
        reader.execute("select * from ringostat_marts.rpt_conversions_daily")
        assert _dbt(dbt_folder, "build", *NO_TESTS).returncode == 0
    assert built.execute(views).fetchall() == before
    assert _one(built, "select count(*) from ringostat_marts.fct_conversions") == 2


def test_a_view_that_somebody_replaced_by_hand_is_put_right(
    built: psycopg.Connection, build: Build
) -> None:
    (query,) = built.execute(
        "select pg_get_viewdef('ringostat_marts.dim_projects'::regclass)"
    ).fetchone()
    empty = (
        "create or replace view ringostat_marts.dim_projects as select * from ({}) as v where false"
    )
    built.execute(sql.SQL(empty).format(sql.SQL(query.rstrip(";"))))
    build()
    assert _one(built, "select count(*) from ringostat_marts.dim_projects") == 1


def test_a_view_that_changes_keeps_no_reader_waiting(
    built: psycopg.Connection, warehouse: dict[str, str], dbt_folder: Path, build: Build
) -> None:
    built.execute("create view public.theirs as select * from ringostat_marts.fct_conversions")
    change = ("--vars", "ringostat_unknown_campaign: Unheard of")
    change += ("--target-path", str(dbt_folder / "target_of_a_change"))
    with ThreadPoolExecutor() as pool, database.connect(warehouse) as reader:
        with reader.transaction():
            reader.execute("select * from ringostat_marts.fct_conversions")
            building = pool.submit(_dbt, dbt_folder, "build", *NO_TESTS, *change)
            built.execute("set statement_timeout = '2s'")
            waiting = """
                select count(*) from pg_stat_activity
                where datname = current_database() and query ~ 'replace_view' and state = 'active'
            """
            reads = 0
            # Until dbt has tried in vain for a while.
            while reads < 500 and not building.done():
                built.execute("select count(*) from public.theirs")
                reads += bool(_one(built, waiting))
            assert not building.done(), building.result().stdout
        while not building.done():
            built.execute("select count(*) from public.theirs")
    assert building.result().returncode == 0, building.result().stdout
    assert _one(built, "select campaign from public.theirs") == "Unheard of"


def test_a_deleted_project_leaves_no_trace(
    built: psycopg.Connection, seeds: Path, build: Build
) -> None:
    (seeds / "projects.csv").write_text(PROJECTS + "2,Dealer,,Europe/Kyiv,,2024-01-01,true\n")
    _land(built, "b", project_id=2, caller="380002")
    for table in ("calls", "forms", "loads"):
        built.execute(f"delete from ringostat_raw.{table} where project_id = 1")
    build()
    tables = built.execute(
        """
        select table_schema, table_name
        from information_schema.columns
        where column_name = 'project_id' and table_schema like 'ringostat%'
        """
    ).fetchall()
    assert len(tables) > 15
    for name in tables:
        query = sql.SQL("select count(*) from {} where project_id::text = '1'")
        assert _one(built, query.format(sql.Identifier(*name))) == 0, name


def test_a_run_writes_what_has_changed_and_little_else(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    for call_id in ("b", "c"):
        _land(raw, call_id, caller="380002", pool_name="Radio")
    for call_id in ("x", "y", "z"):
        _land(raw, call_id, caller="101", dst=call_id, call_type="out")
    # Its labels are the calls' own, so they are not what its cells say.
    _land(raw, "d", caller="380003", pool_name="Site", utm_source="google")
    channels = CHANNELS + "1,pool_name,Site,{utm_source},{utm_medium},c,,\n"
    (seeds / "static_channels.csv").write_text(channels + "1,pool_name,Radio,s,t,First,,\n")
    build()

    conversions = _versions(raw, "int_contacts", "contact_id")
    raw.execute(
        """
        update ringostat_raw.calls
        set payload = payload || '{"billsec": 60}', loaded_at = now()
        where call_id in ('b', 'x')
        """
    )
    build()
    # c is computed with b, because it has the same caller, and stays as it was
    written = _written_since(conversions, raw, "int_contacts", "contact_id")
    assert written == {"call:b", "call:x"}

    key = "coalesce(pool_name, '') || attribution_key || staged_at"
    keys = _versions(raw, "int_attribution", key)
    assert len(keys) == 6
    (seeds / "static_channels.csv").write_text(channels + "1,pool_name,Radio,s,t,Second,,\n")
    build()
    written = _written_since(keys, raw, "int_attribution", key)
    newest = _one(
        raw,
        "select attribution_key::text from ringostat_intermediate.int_attribution"
        " order by staged_at desc, attribution_key desc limit 1",
    )
    assert written == {key for key in keys if key.startswith("Radio") or str(newest) in key}


def test_a_channel_listed_twice_does_not_stop_a_run_without_tests(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    twice = "1,pool_name,Billboard,s,t,First,,\n1,pool_name,Billboard,s,t,Second,,\n"
    backwards = "1,pool_name,Billboard,s,t,Third,2024-05-02,2024-05-01\n"
    (seeds / "static_channels.csv").write_text(CHANNELS + twice + backwards)
    build()
    campaigns = raw.execute("select campaign from ringostat_marts.fct_conversions").fetchall()
    assert campaigns == [("First",)]


@pytest.mark.parametrize("staged_first", ["calls", pytest.param("forms", marks=pytest.mark.slow)])
def test_what_lands_between_the_staging_of_calls_and_of_forms_is_not_skipped(
    staged_first: str, built: psycopg.Connection, build: Build
) -> None:
    _land_form(built, "f1")
    _land(built, "b", caller="380002")
    _land_form(built, "f2")
    _land(built, "c", caller="380003")
    build("--select", f"stg_ringostat__{staged_first}+")
    build()
    ids = "select array_agg(source_id order by source_id) from ringostat_marts.fct_conversions"
    assert _one(built, ids) == ["a", "b", "c", "f1", "f2"]


def test_a_row_of_the_newest_moment_that_arrives_later_is_not_skipped(
    built: psycopg.Connection, build: Build
) -> None:
    moment = _one(built, "select loaded_at from ringostat_raw.calls")
    for call_id in ("b", "c"):
        _land(built, call_id, caller="380002")
        built.execute("update ringostat_raw.calls set loaded_at = %s", [moment])
        build()
        # and only those that are not there: nothing is staged twice
        assert _one(
            built, "select count(distinct staged_at) from ringostat_staging.stg_ringostat__calls"
        ) == _one(built, "select count(*) from ringostat_raw.calls")
    assert _one(built, "select count(*) from ringostat_marts.fct_conversions") == 3


def test_conversions_built_without_their_labels_get_them_in_the_next_build(
    built: psycopg.Connection, build: Build
) -> None:
    _land(built, "b", caller="380002", pool_name="Radio", category_number=4)
    without_labels = ("stg_ringostat__calls", "int_contacts", "int_conversions_daily")
    build("--select", *without_labels)
    assert _one(built, "select count(*) from ringostat_marts.fct_conversions") == 1
    assert _one(built, "select sum(conversions) from ringostat_marts.rpt_conversions_daily") == 1
    build()
    assert _one(built, "select count(*) from ringostat_marts.fct_conversions") == 2
    assert _one(built, "select sum(conversions) from ringostat_marts.rpt_conversions_daily") == 2


@pytest.mark.parametrize("again", [[], pytest.param(["--full-refresh"], marks=pytest.mark.slow)])
def test_a_call_that_changes_its_day_is_counted_on_the_new_one_alone(
    again: list[str], built: psycopg.Connection, build: Build
) -> None:
    """Also if the conversions are built several times, or anew, before the days are."""
    models = ("stg_ringostat__calls", "int_calls_and_forms", "int_contacts")
    _land(built, "b", caller="380002")
    build()
    for day in ("2024-05-03", "2024-05-04"):
        built.execute(
            "update ringostat_raw.calls set call_at = %s, loaded_at = now() where call_id = 'b'",
            [day],
        )
        build("--select", *models, *again)
    build()
    daily = "select conversion_date::text, conversions from ringostat_marts.rpt_conversions_daily"
    assert built.execute(f"{daily} order by 1").fetchall() == [("2024-05-01", 1), ("2024-05-04", 1)]


def test_a_run_computes_only_days_on_which_something_changed(
    raw: psycopg.Connection, build: Build
) -> None:
    for call_id, day in (("b", "2024-05-03"), ("c", "2024-05-04")):
        _land(raw, call_id, caller=f"38000{call_id}")
        raw.execute(
            "update ringostat_raw.calls set call_at = %s where call_id = %s", [day, call_id]
        )
    build()
    day = "coalesce(conversion_date::text, 'read until')"
    before = _versions(raw, "int_conversions_daily", day)
    assert before.keys() == {"2024-05-01", "2024-05-03", "2024-05-04", "read until"}
    _land(raw, "d", caller="380009")
    build()
    written = _written_since(before, raw, "int_conversions_daily", day)
    assert written == {"2024-05-01", "read until"}
    before = _versions(raw, "int_conversions_daily", day)
    build(ringostat_kpi_mode="tagged")
    assert _one(raw, "select sum(conversions) from ringostat_marts.rpt_conversions_daily") == 0
    assert not _written_since(before, raw, "int_conversions_daily", day)


def test_an_edit_counts_again_only_the_labels_that_it_gives_and_takes(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    channels = seeds / "static_channels.csv"
    line = "1,pool_name,{},s,t,{},,\n"

    def edit(radio: str) -> None:
        channels.write_text(CHANNELS + line.format("Radio", radio) + line.format("Metro", "Metro"))

    for call_id in ("Radio", "Metro"):
        _land(raw, call_id, pool_name=call_id, caller="380009")
    edit("First")
    build()
    counted = "update ringostat_intermediate.int_conversions_daily set unique_callers = 99"
    daily = (
        "select campaign, conversions_all, unique_callers"
        " from ringostat_marts.rpt_conversions_daily where campaign = any(%s) order by 1"
    )
    campaigns = ["First", "Second", "Metro", "Неизвестная кампания"]

    raw.execute(counted)
    edit("Second")
    build()
    assert raw.execute(daily, [campaigns]).fetchall() == [
        ("Metro", 1, 99),
        ("Second", 1, 1),
        ("Неизвестная кампания", 1, 99),
    ]

    # One caller of two calls that have the same labels now.
    edit("Metro")
    build()
    assert raw.execute(daily, [campaigns]).fetchall() == [
        ("Metro", 2, 1),
        ("Неизвестная кампания", 1, 99),
    ]


def test_staging_goes_on_where_the_servers_clock_was_set_back(
    built: psycopg.Connection, build: Build
) -> None:
    for schema, table in (
        ("staging", "stg_ringostat__calls"),
        ("intermediate", "int_contacts"),
        ("intermediate", "int_attribution_keys"),
        ("intermediate", "int_tag_keys"),
        ("intermediate", "int_attribution"),
        ("intermediate", "int_tags"),
    ):
        built.execute(f"update ringostat_{schema}.{table} set staged_at = '2100-01-01 00:00:00+00'")
    for table in (
        "int_contacts",
        "int_calls_daily",
        "int_channels_daily",
        "int_conversions_daily",
        "int_duplicates",
    ):
        built.execute(
            f"update ringostat_intermediate.{table} set written_at = '2100-01-01 00:00:00+00'"
        )
    _land(built, "b", caller="380002", pool_name="Radio")
    _land_form(built, "f")
    build()
    assert _one(built, "select count(*) from ringostat_marts.fct_conversions") == 3
    assert _one(built, "select sum(conversions) from ringostat_marts.rpt_conversions_daily") == 3
    assert _one(built, "select sum(calls) from ringostat_intermediate.int_calls_daily") == 2


def test_no_view_is_left_to_be_dropped_with_a_table(
    built: psycopg.Connection, build: Build
) -> None:
    """Two tables at a time would lock the views on both in two orders, and block each other."""
    built.execute(
        "create view ringostat_marts.of_bi as select * from ringostat_intermediate.int_days"
    )
    built.execute("create table dropped (by_command text, kind text, name text)")
    built.execute(
        "create function note_dropped() returns event_trigger language plpgsql as"
        " $$ begin insert into public.dropped select tg_tag, object_type, object_identity"
        " from pg_event_trigger_dropped_objects(); end $$"
    )
    built.execute("create event trigger note_dropped on sql_drop execute function note_dropped()")
    build("--full-refresh")
    dropped = dict(built.execute("select name, by_command from dropped where kind = 'view'"))
    assert dropped.keys() > {"ringostat_marts.fct_conversions", "ringostat_marts.of_bi"}
    assert set(dropped.values()) == {"DROP VIEW"}


def test_a_full_refresh_makes_and_renames_a_table_in_one_transaction(
    built: psycopg.Connection, build: Build
) -> None:
    """Between two, nothing would hold the lock of staging, and no table would have the name."""
    built.execute("create table made (transaction_id bigint, command text, name text)")
    built.execute(
        "create function note_made() returns event_trigger language plpgsql as"
        " $$ begin insert into public.made select txid_current(), tg_tag, object_identity"
        " from pg_event_trigger_ddl_commands(); end $$"
    )
    built.execute(
        "create event trigger note_made on ddl_command_end"
        " when tag in ('CREATE TABLE AS', 'ALTER TABLE') execute function note_made()"
    )
    build("--full-refresh")
    of_models = "select schemaname || '.' || tablename from pg_tables where schemaname in"
    tables = built.execute(f"{of_models} ('ringostat_staging', 'ringostat_intermediate')")
    # A full refresh leaves what was reported as it is.
    models = {name for (name,) in tables} - {"ringostat_intermediate.int_reported_daily"}
    made: dict[str, set[int]] = {name: set() for name in models}
    for name, transaction in built.execute("select name, transaction_id from made").fetchall():
        if (model := name.removesuffix("__dbt_tmp")) in models:
            made[model].add(transaction)
    assert {name: ids for name, ids in made.items() if len(ids) != 1} == {}


def test_days_are_gone_after_the_contacts_were_built_again_without_them(
    built: psycopg.Connection, build: Build
) -> None:
    built.execute("delete from ringostat_raw.calls")
    _land(built, "b", caller="380002")
    built.execute("update ringostat_raw.calls set call_at = '2024-05-09'")
    again = ("stg_ringostat__calls", "int_calls_and_forms", "int_contacts")
    build("--full-refresh", "--select", *again)
    build()
    days = "select conversion_date::text, calls from ringostat_intermediate.int_calls_daily"
    assert built.execute(days).fetchall() == [("2024-05-09", 1)]
    assert _one(built, "select calls from ringostat_marts.rpt_load_status") == 1


def test_a_build_waits_for_the_holder_of_the_build_lock_and_not_for_the_run_it_belongs_to(
    raw: psycopg.Connection,
    warehouse: dict[str, str],
    dbt_folder: Path,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "hashtextextended('ringostat build ringostat', 0)"
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with database.connect(warehouse) as holder, ThreadPoolExecutor() as pool:
        holder.execute(f"select pg_advisory_lock({key})")
        monkeypatch.setenv("RINGOSTAT_BUILD_LOCK", "held")
        build()
        monkeypatch.delenv("RINGOSTAT_BUILD_LOCK")
        building = pool.submit(_dbt, dbt_folder, "build", *NO_TESTS)
        while not building.done() and not _one(raw, waiting):
            pass
        assert not building.done()
        holder.execute(f"select pg_advisory_unlock({key})")
    assert building.result().returncode == 0, building.result().stdout


def test_the_bi_role_reads_the_marts_and_nothing_else(
    raw: psycopg.Connection, warehouse: dict[str, str], build: Build
) -> None:
    role = f"bi_{warehouse['PGDATABASE'][-12:]}"
    raw.execute(sql.SQL("create role {} login password 'for a test'").format(sql.Identifier(role)))
    try:
        build(ringostat_bi_role=role)
        reader = {**warehouse, "PGUSER": role, "PGPASSWORD": "for a test"}
        with database.connect(reader) as conn:
            for mart in _relations(raw, "ringostat_marts"):
                conn.execute(sql.SQL("select * from {}").format(sql.Identifier(*mart)))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("create view ringostat_marts.theirs as select 1")
            for schema in ("raw", "staging", "intermediate", "seeds"):
                relations = _relations(raw, f"ringostat_{schema}")
                assert relations
                for relation in relations:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        conn.execute(sql.SQL("select * from {}").format(sql.Identifier(*relation)))
            # Nor by way of a view's definition: the salt of caller_key stands in none.
            definitions = conn.execute("select definition from pg_views").fetchall()
            assert not any("salt-of-the-test" in (text or "") for (text,) in definitions)
    finally:
        raw.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        raw.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.fixture(autouse=True)
def _salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", "salt-of-the-test")


@pytest.mark.parametrize(
    ("hours", "shown", "expected"),
    [
        ((1, 1), "PASS", 0),
        pytest.param((1, 30), "WARN", 0, marks=pytest.mark.slow),
        pytest.param((1, 60), "ERROR", 1, marks=pytest.mark.slow),
        ((1, None), "ERROR", 1),
    ],
)
def test_source_freshness_is_that_of_the_active_project_that_was_landed_longest_ago(
    hours: tuple[int, int | None],
    shown: str,
    expected: int,
    raw: psycopg.Connection,
    seeds: Path,
    dbt_folder: Path,
    build: Build,
) -> None:
    """The only call is years old, which is no fault; that nothing was loaded lately is one."""
    (seeds / "projects.csv").write_text(
        ONE_PROJECT
        + "2,Salon,,Europe/Kyiv,,2024-01-01,true\n"
        + "3,Closed,,Europe/Kyiv,,2024-01-01,false\n"
    )
    build("--select", "resource_type:seed", "stg_config__projects")
    for project_id, ago in enumerate(hours, 1):
        if ago is not None:
            raw.execute(
                """
                insert into ringostat_raw.loads
                    (project_id, window_from, window_to, status, started_at, finished_at)
                values
                    (%(id)s, now(), now(), 'loaded', now(), now() - %(ago)s * interval '1 hour'),
                    (%(id)s, now(), now(), 'failed', now(), now())
                """,
                {"id": project_id, "ago": ago},
            )
    raw.execute(raw_tables.TABLES)  # as an upgrade does: what the log says goes into load_state
    checked = _dbt(dbt_folder, "source", "freshness")
    assert checked.returncode == expected, checked.stdout
    assert f"{shown} " in checked.stdout.replace("[", " ")


def test_the_command_and_the_mart_agree_on_the_load_status(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    (seeds / "projects.csv").write_text(
        PROJECTS
        + "1,Loaded,,Europe/Kyiv,,2024-01-01,true\n"
        + "2,Stale,,Europe/Kyiv,,2024-01-01,true\n"
        + "3,Failed,,Europe/Kyiv,,2024-01-01,true\n"
        + "4,Never loaded,,Europe/Kyiv,,2024-01-01,true\n"
        + "5,Inactive,,Europe/Kyiv,,2024-01-01,false\n"
        + "6,Failed from the first,,Europe/Kyiv,,2024-01-01,true\n"
        + "7,With a gap at its begin,,Europe/Kyiv,,2023-01-01,true\n"
        + "8,Landed after the build,,Europe/Kyiv,,2024-01-01,true\n"
        + "9,Staged but no further,,Europe/Kyiv,,2024-01-01,true\n"
        + "10,Never built,,Europe/Kyiv,,2024-01-01,true\n"
        + "11,Not in the daily numbers,,Europe/Kyiv,,2024-01-01,true\n"
    )
    for project_id in (8, 9, 11):
        _land(raw, "built", project_id)
    raw.execute(
        """
        insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at, error)
        values
            (1, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (2, '2023-12-31 22:00:00+00', '2024-03-01', 'loaded', now(), now(), null),
            (3, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (3, now(), now(), 'failed', now(), now(), 'no key'),
            (5, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (6, now(), now(), 'failed', now(), now(), 'no key'),
            (7, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (8, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (9, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (10, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null),
            (11, '2023-12-31 22:00:00+00', now(), 'loaded', now(), now(), null)
        """
    )
    raw.execute(raw_tables.TABLES)  # fills load_state from the log
    build()
    _land(raw, "of 11, in the contacts", 11)
    build("--select", "stg_ringostat__calls", "int_contacts")
    _land(raw, "of 9, staged", 9)
    build("--select", "stg_ringostat__calls")
    _land(raw, "of 8, landed", 8)
    _land(raw, "of 10, landed", 10)
    mart = {
        row["project_id"]: row
        for row in raw.cursor(row_factory=dict_row).execute(
            "select * from ringostat_marts.rpt_load_status"
        )
    }
    told = {status.project_id: status for status in read_status(raw, read_projects())}
    assert {number: status.status for number, status in told.items()} == {
        1: "loaded",
        2: "stale",
        3: "failed",
        4: "never_loaded",
        5: "inactive",
        6: "failed",
        7: "stale",
        8: "not_built",
        9: "not_built",
        10: "not_built",
        11: "not_built",
    }
    call_at = datetime(2024, 5, 1, 10, tzinfo=timezone.utc)
    built_until = {number: told[number].built_until for number in (8, 9, 10, 11)}
    assert built_until == {8: call_at, 9: call_at, 10: None, 11: call_at}
    assert told[1].built_until == told[1].loaded_until
    for number, status in told.items():
        row = mart[number]
        # Both count the hours until now, one a moment after the other.
        hours = row.pop("hours_behind")
        assert (hours is None) == (status.hours_behind is None)
        assert hours is None or abs(float(hours) - status.hours_behind) <= 0.1
        assert row == {name: getattr(status, name) for name in row}


def test_after_a_contact_is_deleted_a_build_equals_a_full_refresh(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    for call_id in ("b", "c"):
        _land(raw, call_id, caller="380001", pool_name="Billboard")
    _land(raw, "dialled", caller="101", dst="380002", call_type="out")
    _land(raw, "z", caller="380009")
    build(ringostat_primary_rule="first_contact")
    flags = "select source_id, is_primary from ringostat_marts.fct_conversions order by 1"
    assert raw.execute(flags).fetchall() == [("a", True), ("b", False), ("c", False), ("z", True)]

    (project,) = read_projects()
    for ids, number in ((["a"], None), ([], "380002")):
        contacts = lifecycle.find_contacts(raw, project, ids, number)
        lifecycle.delete_contacts(raw, contacts)
    assert raw.execute(flags).fetchall() == [("b", False), ("c", False), ("z", True)]
    # The key of a call that the company made holds the number that it dialled.
    assert not raw.execute(
        "select 1 from ringostat_intermediate.int_attribution_keys where dst = '380002'"
        " union all select 1 from ringostat_staging.stg_ringostat__calls where call_id = 'dialled'"
    ).fetchall()

    build(ringostat_primary_rule="first_contact")
    everything = """
        select to_jsonb(conversions) - '{staged_at,made_with,written_at}'::text[]
        from ringostat_intermediate.int_contacts as conversions
        order by conversion_id
    """
    incremental = raw.execute(everything).fetchall()
    assert _one(raw, "select sum(conversions) from ringostat_marts.rpt_conversions_daily") == 3
    assert raw.execute(flags).fetchall() == [("b", True), ("c", False), ("z", True)]
    build("--full-refresh", ringostat_primary_rule="first_contact")
    assert raw.execute(everything).fetchall() == incremental


def test_deleted_contacts_leave_marts_that_are_tables(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    """As on Citus with a role for BI, or where a user has chosen so."""
    (seeds / "projects.csv").write_text(
        ONE_PROJECT + "2,Dealer,,Europe/Kyiv,,2024-01-01,true\n", encoding="utf-8"
    )
    _land(raw, "b", caller="380002")
    _land(raw, "b", project_id=2, caller="380002")
    build()
    marts = ("fct_conversions", "rpt_possible_duplicates")
    for mart in marts:
        raw.execute(f"create table public.{mart} as select * from ringostat_marts.{mart}")
        raw.execute(f"drop view ringostat_marts.{mart} cascade")
        raw.execute(f"alter table public.{mart} set schema ringostat_marts")
    ids = {
        mart: f"select distinct conversion_id from ringostat_marts.{mart} order by 1"
        for mart in marts
    }
    assert [raw.execute(ids[mart]).fetchall() for mart in marts] == [
        [("1:call:a",), ("1:call:b",), ("2:call:b",)],
        [("1:call:b",), ("2:call:b",)],
    ]
    lifecycle.delete_contacts(
        raw, lifecycle.find_contacts(raw, lifecycle.listed_or_not(1), ["b"], None)
    )
    assert [raw.execute(ids[mart]).fetchall() for mart in marts] == [
        [("1:call:a",), ("2:call:b",)],
        [],
    ]


def test_an_edit_that_is_taken_back_after_the_newest_contact_is_deleted_leaves_no_label(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    for call_id in ("b", "c"):
        _land(raw, call_id, pool_name=call_id)
    build()
    oldest, newest = raw.execute(
        """
        select (array_agg(pool_name order by staged_at, attribution_key))[1],
            (array_agg(pool_name order by staged_at desc, attribution_key desc))[1]
        from ringostat_intermediate.int_attribution
        """
    ).fetchone()
    channels = seeds / "static_channels.csv"
    before = channels.read_text()
    channels.write_text(f"{before}1,pool_name,{oldest},outdoor,offline,Oak,,\n")
    build()
    labelled = "select count(channel_id) from ringostat_marts.fct_conversions"
    assert _one(raw, labelled) == 1

    newest_id = {"Billboard": "a"}.get(newest, newest)
    (project,) = read_projects()
    lifecycle.delete_contacts(raw, lifecycle.find_contacts(raw, project, [newest_id], None))
    channels.write_text(before)
    build()
    assert _one(raw, labelled) == 0


def test_a_full_refresh_holds_no_keys_of_a_project_that_is_not_listed(
    raw: psycopg.Connection, build: Build
) -> None:
    _land(raw, "b", project_id=2, dst="380002")
    build("--full-refresh")
    for table in ("int_attribution_keys", "int_tag_keys"):
        projects = f"select array_agg(distinct project_id) from ringostat_intermediate.{table}"
        assert _one(raw, projects) == [1]


def test_of_a_deleted_project_that_is_added_again_nothing_old_is_built(
    built: psycopg.Connection, seeds: Path, build: Build
) -> None:
    lifecycle.delete(built, lifecycle.listed_or_not(1))
    assert "Clinic" not in (seeds / "projects.csv").read_text()
    for schema in ("raw", "staging", "intermediate", "seeds", "marts"):
        for relation in _relations(built, f"ringostat_{schema}"):
            query = sql.SQL("select * from {} as t where t::text ~ '380001'")
            assert not built.execute(query.format(sql.Identifier(*relation))).fetchall()

    (seeds / "projects.csv").write_text(ONE_PROJECT)
    _land(built, "c", caller="380003")
    build()
    for table in ("staging.stg_ringostat__calls", "intermediate.int_contacts"):
        assert _one(built, f"select count(*) from ringostat_{table}") == 1
    assert _one(built, "select source_id from ringostat_marts.fct_conversions") == "c"


def test_an_unknown_field_is_a_warning(raw: psycopg.Connection, dbt_folder: Path) -> None:
    _land(raw, "b", mood="cheerful")
    tested = _dbt(dbt_folder, "test", "--select", "assert_api_fields_are_known")
    assert tested.returncode == 0, tested.stdout
    assert "project 1 returns an unknown field: mood" in tested.stdout


def test_conversions_of_other_systems_may_be_duplicates(
    built: psycopg.Connection, dbt_folder: Path, build: Build
) -> None:
    built.execute(
        """
        create table public.crm
            (system text, conversion_id int, occurred_at timestamptz, phone text);
        insert into public.crm values
            ('crm', 7, '2024-05-01 10:05:00+00', '+380-001'),
            ('crm', 8, '2024-05-01 10:05:00+00', '+380-009')
        """
    )
    build(ringostat_other_conversions="public.crm")
    rows = built.execute(
        "select conversion_id, other_system, other_id, seconds_apart"
        " from ringostat_marts.rpt_possible_duplicates"
    ).fetchall()
    assert rows == [("1:call:a", "crm", "7", 300)]
    tested = _dbt(dbt_folder, "test", "--select", "assert_possible_duplicates_are_few")
    assert tested.returncode == 0
    assert "project 1: 1 of 1 conversions may be counted elsewhere too" in tested.stdout


def test_possible_duplicates_of_two_projects_come_and_go(
    built: psycopg.Connection, seeds: Path, build: Build
) -> None:
    (seeds / "projects.csv").write_text(ONE_PROJECT + "2,Dealer,,Europe/Kyiv,,2024-01-01,true\n")
    duplicates = """
        select conversion_id, other_id, seconds_apart
        from ringostat_marts.rpt_possible_duplicates order by 1, 2
    """
    assert built.execute(duplicates).fetchall() == []
    # At the moment of the call that is in the first project since the last build.
    _land(built, "b", project_id=2, caller="380001")
    _land(built, "c", project_id=2, caller="380002")
    build()
    pair = [("1:call:a", "2:call:b", 0), ("2:call:b", "1:call:a", 0)]
    assert built.execute(duplicates).fetchall() == pair
    (before,) = built.execute(
        "select xmin::text from ringostat_intermediate.int_duplicates"
        " where project_id <> other_project_id"
    ).fetchone()
    build()
    assert (before,) in built.execute(
        "select xmin::text from ringostat_intermediate.int_duplicates"
    ).fetchall()

    build(ringostat_duplicate_minutes=0)
    assert built.execute(duplicates).fetchall() == pair  # at the same moment
    # Two statements: Citus moves no row by a value of its own.
    (moment,) = built.execute(
        "select call_at + interval '5 minutes' from ringostat_raw.calls where call_id = 'b'"
    ).fetchone()
    built.execute(
        "update ringostat_raw.calls set call_at = %s, loaded_at = now() where call_id = 'b'",
        [moment],
    )
    build(ringostat_duplicate_minutes=0)
    assert built.execute(duplicates).fetchall() == []
    build()
    assert [row[:2] for row in built.execute(duplicates)] == [row[:2] for row in pair]

    built.execute(
        "update ringostat_raw.calls set removed_at = now(), loaded_at = now() where call_id = 'b'"
    )
    build()
    assert built.execute(duplicates).fetchall() == []
    kept = "select count(*) from ringostat_intermediate.int_duplicates where contact_id <> ''"
    assert _one(built, kept) == 0


def test_a_deletion_reaches_the_pairs_of_possible_duplicates(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    (seeds / "projects.csv").write_text(ONE_PROJECT + "2,Dealer,,Europe/Kyiv,,2024-01-01,true\n")
    for call_id in ("b", "c"):
        _land(raw, call_id, project_id=2, caller="380001")
    build()
    pairs = """
        select contact_id, other_contact_id from ringostat_intermediate.int_duplicates
        where contact_id <> '' order by 2
    """
    assert raw.execute(pairs).fetchall() == [("call:a", "call:b"), ("call:a", "call:c")]
    dealer = next(project for project in read_projects() if project.project_id == 2)
    lifecycle.delete_contacts(raw, lifecycle.find_contacts(raw, dealer, ["b"], None))
    assert raw.execute(pairs).fetchall() == [("call:a", "call:c")]
    lifecycle.delete(raw, dealer)
    assert raw.execute(pairs).fetchall() == []


def _versions(conn: psycopg.Connection, model: str, key: str) -> dict[str, str]:
    """Of each row of an intermediate model the transaction that wrote it, by an SQL key."""
    query = f"select {key}, xmin::text from ringostat_intermediate.{model}"
    return dict(conn.execute(query).fetchall())


def _written_since(
    before: dict[str, str], conn: psycopg.Connection, model: str, key: str
) -> set[str]:
    now = _versions(conn, model, key)
    return {name for name in now if now[name] != before.get(name)}


def _relations(conn: psycopg.Connection, schema: str) -> list[tuple[str, str]]:
    return conn.execute(
        "select table_schema, table_name from information_schema.tables where table_schema = %s",
        [schema],
    ).fetchall()
