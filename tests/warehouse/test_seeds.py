"""A fault in a CSV is named and never reaches the marts; what passed its tests stays in them."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from loader import database
from loader.commands import check, dbt

from ..faulty_seeds import FAULTY, RIGHT
from .support import CHANNELS, ONE_PROJECT, PROJECTS, land, one, run_dbt

Build = Callable[..., None]

SPEND = "select sum(spend) from ringostat_marts.rpt_campaigns_monthly"
COST = "1,s,t,c,2024-01-01,2024-01-31,100.01"
SEED_TESTS = ("build", "--select", "resource_type:seed", "path:tests/dbt/seeds")
MARTS = ("fct_conversions", "dim_projects", "dim_channels", "rpt_conversions_daily")


# ------------------------------------------------------------------------------- faults are named


def test_both_checkers_refuse_the_same_rows(
    seeds: Path, dbt_folder: Path, conn: psycopg.Connection
) -> None:
    for name, faulty in FAULTY.items():
        append(seeds, name, *(rows for rows, _ in faulty))
    by_python = [str(fault) for fault in check.find_faults()]
    built = run_dbt(dbt_folder, *SEED_TESTS)
    assert built.returncode == 1, built.stdout
    # dbt shows the first ten of each test.
    by_dbt = [
        row[0]
        for test in (dbt_folder / "target/compiled/ringostat/tests/dbt/seeds").glob("*.sql")
        for row in conn.execute(test.read_text()).fetchall()
    ]
    missing = []
    for name, faulty in FAULTY.items():
        for rows, word in faulty:
            row = rows.splitlines()[-1]
            place = f"{name}.csv:{line_of(seeds, name, row)}:"
            if not any(place in line and word in line for line in by_python):
                missing.append(("channels check", row, word))
            named = f"seeds/{name}.csv: {as_named(name, row)}: "
            if not any(line.startswith(named) and word in line for line in by_dbt):
                missing.append(("dbt", row, word))
    assert not missing
    assert "a-secret-key" not in "".join([built.stdout, *by_python, *by_dbt])


def test_both_checkers_accept_the_same_rows(
    seeds: Path, dbt_folder: Path, conn: psycopg.Connection
) -> None:
    for name, right in RIGHT.items():
        append(seeds, name, *right)
    assert not [fault for fault in check.find_faults() if not fault.is_warning]
    staging = ("path:models/staging/config", "--indirect-selection", "empty")
    built = run_dbt(dbt_folder, *SEED_TESTS, *staging)
    assert built.returncode == 0, built.stdout
    assert "WARN=0" in built.stdout


def test_a_space_at_an_end_is_a_warning(
    seeds: Path, dbt_folder: Path, conn: psycopg.Connection
) -> None:
    append(seeds, "static_channels", '1,pool_name,"A ",s,t," c",,')
    built = run_dbt(dbt_folder, *SEED_TESTS)
    assert built.returncode == 0, built.stdout
    for column in ("parameter_value", "campaign"):
        assert f"{column} begins or ends with a space" in built.stdout
        assert any(column in str(fault) and fault.is_warning for fault in check.find_faults())


# ---------------------------------------------------------------------- the marts stay as they were


@pytest.fixture
def labelled(raw: psycopg.Connection, seeds: Path, build: Build) -> psycopg.Connection:
    """Marts of one call, of a channel."""
    append(seeds, "static_channels", "1,pool_name,Billboard,s,t,First,,")
    build()
    return raw


EDIT = {
    "projects": PROJECTS + "1,Renamed,,Europe/Kyiv,primary,2024-01-01,true\n",
    "static_channels": CHANNELS + "1,pool_name,Billboard,x,y,Second,2024-01-01,\n",
}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("static_channels", "1,pool_name,Radio,s,t,c,01.10.2026,"),
        pytest.param("projects", "2,Two,,Europe/Kiew,,2024-01-01,true", marks=pytest.mark.slow),
        pytest.param("kpi_tags", "1,disposition,PROPER,", marks=pytest.mark.slow),
        pytest.param(
            "channel_costs", "1,s,t,c,2024-01-01,2024-01-31,1 000", marks=pytest.mark.slow
        ),
    ],
)
def test_a_fault_in_one_file_leaves_the_marts_as_they_were(
    name: str, row: str, labelled: psycopg.Connection, seeds: Path, dbt_folder: Path
) -> None:
    """With its tests and without them, though the other cells were edited as well."""
    before = marts(labelled)
    for edited, text in EDIT.items():
        (seeds / f"{edited}.csv").write_text(text)
    append(seeds, name, row)
    land(labelled, "b", caller="380002", pool_name="Billboard")
    refused = run_dbt(dbt_folder, "build")
    assert refused.returncode == 1
    assert f"seeds/{name}.csv: {as_named(name, row)}: " in refused.stdout
    assert marts(labelled) == before
    ran = run_dbt(dbt_folder, "run")
    assert ran.returncode == 1
    assert f"seeds/{name}.csv: " in ran.stdout
    assert ", but must " in ran.stdout
    assert marts(labelled) == before


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(PROJECTS.replace(",", ";").encode() + b"1;C;;UTC;;2024-01-01;true\n", id=";"),
        pytest.param(ONE_PROJECT.replace("Clinic", "Клініка").encode("cp1251"), id="cp1251"),
        pytest.param(ONE_PROJECT.replace("true", "true,").encode(), id="a cell too many"),
    ],
)
@pytest.mark.slow
def test_a_file_that_is_not_valid_csv_leaves_the_marts_as_they_were(
    content: bytes, labelled: psycopg.Connection, seeds: Path, dbt_folder: Path
) -> None:
    before = marts(labelled)
    (seeds / "projects.csv").write_bytes(content)
    assert run_dbt(dbt_folder, "build").returncode != 0
    assert marts(labelled) == before
    run_dbt(dbt_folder, "run")  # with the last seed that was loaded, if dbt refused this file
    assert marts(labelled) == before


def test_a_list_of_no_projects_empties_the_marts_and_keeps_what_was_loaded(
    built: psycopg.Connection, seeds: Path, build: Build
) -> None:
    (seeds / "projects.csv").write_text(PROJECTS)
    build()
    assert one(built, "select count(*) from ringostat_marts.fct_conversions") == 0
    assert one(built, "select count(*) from ringostat_raw.calls") == 1
    (seeds / "projects.csv").write_text(ONE_PROJECT)
    build()
    assert one(built, "select count(*) from ringostat_marts.fct_conversions") == 1


def test_rows_that_are_listed_twice_count_once_without_tests(
    raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    append(seeds, "projects", "1,Another name,,Europe/Kyiv,,2024-01-01,true")
    append(
        seeds,
        "static_channels",
        "1,pool_name,Billboard,s,t,Second,,",
        "1,pool_name,Billboard,s,t,First,,",
    )
    append(seeds, "kpi_tags", *["1,disposition,PROPER,Target"] * 2)
    build()
    (row,) = raw.execute(
        "select project_name, campaign from ringostat_marts.fct_conversions"
    ).fetchall()
    assert row == ("Another name", "First")
    assert one(raw, "select count(*) from ringostat_marts.dim_channels") == 1


def test_readers_of_the_configuration_see_the_old_rows_until_the_new_ones_are_there(
    built: psycopg.Connection, warehouse: dict[str, str], seeds: Path, build: Build
) -> None:
    """A reader's transaction stays open over the build, which does not wait for it."""
    (seeds / "projects.csv").write_text(EDIT["projects"])
    query = "select project_name from ringostat_staging.stg_config__projects"
    with database.connect(warehouse) as reader, reader.transaction():
        reader.execute("set transaction isolation level repeatable read")
        assert one(reader, query) == "Clinic"
        build("--select", "projects", "stg_config__projects")
        assert one(reader, query) == "Clinic"
    assert one(built, query) == "Renamed"


@pytest.mark.parametrize("style", ["German", pytest.param("SQL, DMY", marks=pytest.mark.slow)])
def test_ids_and_labels_do_not_depend_on_the_date_style(
    style: str, raw: psycopg.Connection, warehouse: dict[str, str], seeds: Path, build: Build
) -> None:
    append(seeds, "static_channels", "1,pool_name,Billboard,s,t,c,2024-04-03,2024-05-06")
    build()
    query = "select channel_id, campaign, is_used, valid_from = '20240403' from {}.dim_channels"
    query = query.format("ringostat_marts")
    labels = "select xmin::text, made_with::text from ringostat_intermediate.int_attribution"
    channels, attribution = raw.execute(query).fetchall(), raw.execute(labels).fetchall()
    # md5 of 1|pool_name|Billboard|2024-04-03
    assert channels == [("a848ce2cabd3402561effa788ca3491d", "c", True, True)]
    raw.execute(
        sql.SQL("alter database {} set datestyle to {}").format(
            sql.Identifier(warehouse["PGDATABASE"]), sql.Literal(style)
        )
    )
    build()
    # As a BI tool connects: `database.connect` would set the style back.
    with psycopg.connect(
        host=warehouse["PGHOST"],
        port=warehouse["PGPORT"],
        user=warehouse["PGUSER"],
        password=warehouse.get("PGPASSWORD"),
        dbname=warehouse["PGDATABASE"],
    ) as reader:
        assert one(reader, "show datestyle") == style.replace("German", "German, DMY")
        assert reader.execute(query).fetchall() == channels
        assert [row[1] for row in reader.execute(labels).fetchall()] == [
            row[1] for row in attribution
        ]


@pytest.mark.parametrize(
    ("tests", "hours"),
    [(["test"], 25), pytest.param(["test", "unit_test"], 26, marks=pytest.mark.slow)],
)
def test_a_folder_without_channel_costs_has_no_costs(
    tests: list[str], hours: int, raw: psycopg.Connection, seeds: Path, build: Build
) -> None:
    # What dbt saves of such a parse must not reach the tests that have the file.
    of_its_own = {"ringostat_call_back_hours": hours}
    append(seeds, "channel_costs", COST)
    build(**of_its_own)
    assert str(one(raw, SPEND)) == "100.01"
    (seeds / "channel_costs.csv").unlink()
    assert check.find_faults() == []
    build(tests=tests, **of_its_own)
    assert one(raw, SPEND) is None


@pytest.mark.slow
def test_the_first_channel_costs_of_a_folder_are_noticed(
    raw: psycopg.Connection, seeds: Path, dbt_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / "target_without_costs"))
    monkeypatch.setenv("DBT_LOG_PATH", str(dbt_folder / "logs"))
    text = (seeds / "channel_costs.csv").read_text()
    (seeds / "channel_costs.csv").unlink()
    dbt.build("--exclude-resource-type", "test")
    assert one(raw, SPEND) is None
    # Moved here from another folder, so that its contents are older than the last build.
    moved = dbt_folder / "channel_costs.csv"
    moved.write_text(text + COST + "\n")
    os.utime(moved, (0, 0))
    moved.rename(seeds / "channel_costs.csv")
    dbt.build("--exclude-resource-type", "test")
    assert str(one(raw, SPEND)) == "100.01"


def append(seeds: Path, name: str, *rows: str) -> None:
    with (seeds / f"{name}.csv").open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def line_of(seeds: Path, name: str, row: str) -> int:
    """The last line that holds the row."""
    lines = (seeds / f"{name}.csv").read_text().splitlines()
    return len(lines) - lines[::-1].index(row)


def as_named(name: str, row: str) -> str:
    """The row as dbt shows it: a project's without the name of its key."""
    cells = ["" if cell.strip() in ("", "null") else cell for cell in next(csv.reader([row]))]
    if name == "projects":
        del cells[2]
    return ",".join(cells)


def marts(conn: psycopg.Connection) -> Iterable[object]:
    return [
        sorted(conn.execute(f"select * from ringostat_marts.{mart}").fetchall(), key=str)
        for mart in MARTS
    ]


@pytest.mark.parametrize(
    "cell",
    [*(pytest.param(cell, marks=pytest.mark.slow) for cell in ("UTC+3", "europe/kyiv")), "Factory"],
)
def test_the_clock_of_the_api_is_a_zone(
    cell: str, seeds: Path, dbt_folder: Path, conn: psycopg.Connection
) -> None:
    text = (ONE_PROJECT.rstrip() + f",{cell}\n").replace("is_active", "is_active,api_time_zone")
    (seeds / "projects.csv").write_text(text)
    (fault,) = check.find_faults()
    assert fault.what.startswith("api_time_zone: must be an IANA zone")
    assert "api_time_zone must be an IANA zone" in run_dbt(dbt_folder, *SEED_TESTS).stdout
