"""A warehouse of an older version: nothing is lost before somebody asks for the full refresh."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from loader import raw as raw_tables

from .support import land, land_form, one, run_dbt

Build = Callable[..., None]

# As the version before the clock `staged_at` left them: the configuration in views, staging without
# the clock, and BI's own view on a mart.
OLDER = """
create schema ringostat_seeds;
create schema ringostat_staging;
create schema ringostat_intermediate;
create schema ringostat_marts;
create table ringostat_seeds.projects (project_id int, project_name text, load_from date);
insert into ringostat_seeds.projects values (1, 'Clinic', '2024-01-01');
create view ringostat_staging.stg_config__projects as select * from ringostat_seeds.projects;
create table ringostat_staging.stg_ringostat__calls as
    select project_id, call_id, call_at, loaded_at from ringostat_raw.calls;
create table ringostat_intermediate.int_conversions as
    select *, 'call:' || call_id as contact_id from ringostat_staging.stg_ringostat__calls;
create view ringostat_marts.fct_conversions as
    select conversions.*, projects.project_name
    from ringostat_intermediate.int_conversions as conversions
    inner join ringostat_staging.stg_config__projects as projects using (project_id);
create schema bi;
create view bi.of_marts as select * from ringostat_marts.fct_conversions;
create view bi.of_contacts as select * from ringostat_intermediate.int_conversions;
"""


@pytest.mark.slow
def test_older_tables_are_refused_until_a_full_refresh(
    conn: psycopg.Connection, seeds: Path, dbt_folder: Path, build: Build
) -> None:
    raw_tables.create_tables(conn)
    land(conn, "a", caller="380001", pool_name="Billboard")
    land_form(conn, "f")
    conn.execute(OLDER)

    refused = run_dbt(dbt_folder, "build")
    assert refused.returncode != 0
    assert (
        "nothing was built: ringostat_staging.stg_config__projects is of an older version. Run"
        " `ringostat run --full-refresh` once"
    ) in refused.stdout
    assert one(conn, "select count(*) from bi.of_marts") == 1

    build("--full-refresh")
    sources = "select string_agg(source_id, ',' order by source_id)"
    assert one(conn, f"{sources} from ringostat_marts.fct_conversions") == "a,f"
    # A user's own view on the marts has to be created again.
    assert one(conn, "select to_regclass('bi.of_marts') is null")

    # A table that holds phone numbers under an old name goes as soon as no view reads it.
    old_table = "select to_regclass('ringostat_intermediate.int_conversions') is not null"
    assert one(conn, old_table)
    conn.execute("drop view bi.of_contacts")
    build()
    assert not one(conn, old_table)


@pytest.mark.parametrize(
    ("schema", "table", "column"),
    [
        ("intermediate", "int_contacts", "legs"),
        pytest.param("staging", "stg_ringostat__forms", "staged_at", marks=pytest.mark.slow),
    ],
)
def test_a_table_that_lacks_a_column_is_refused(
    schema: str, table: str, column: str, built: psycopg.Connection, dbt_folder: Path, build: Build
) -> None:
    built.execute(f"alter table ringostat_{schema}.{table} drop column {column} cascade")
    refused = run_dbt(dbt_folder, "build")
    assert refused.returncode != 0
    assert f"nothing was built: ringostat_{schema}.{table} is of an older version" in refused.stdout
    build("--full-refresh")
    assert one(built, "select sum(legs) from ringostat_marts.fct_conversions") == 1


def test_columns_that_only_a_table_or_only_its_model_has(
    built: psycopg.Connection, dbt_folder: Path, build: Build
) -> None:
    built.execute("alter table ringostat_intermediate.int_tags add column former text")
    refused = run_dbt(dbt_folder, "build", "--select", "int_tags")
    assert refused.returncode != 0
    assert "out of sync" in refused.stdout
    assert "former" in refused.stdout
    built.execute("alter table ringostat_intermediate.int_tags drop column former")

    # The configuration is stored as it is now; its table gets a new column without a full refresh.
    built.execute(
        "alter table ringostat_staging.stg_config__projects drop column is_active cascade"
    )
    build()
    assert one(built, "select is_active from ringostat_staging.stg_config__projects")
