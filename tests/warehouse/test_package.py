"""Another dbt project installs this one as a package: tests/dbt_host is such a project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from loader import ROOT, database
from loader import raw as raw_tables

from .support import NO_TESTS, land, one

HOST = ROOT / "tests/dbt_host"
OWN = ("--select", "package:host", "--exclude", "package:ringostat+")


@dataclass
class Project:
    """A copy of tests/dbt_host, and how to run dbt in it."""

    folder: Path
    command: tuple[str, ...]
    environment: dict[str, str]

    def dbt(self, *arguments: str, fails: bool = False) -> str:
        ran = subprocess.run(
            [*self.command, "--no-use-colors", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (ran.returncode != 0) == fails, ran.stdout
        return ran.stdout

    def what_ran(self) -> dict[str, str]:
        """What dbt did for each node of the project itself, without moments and random names."""
        files = (self.folder / "target/run/host").rglob("*.*")
        return {
            str(file.relative_to(self.folder)): re.sub(r"\d{6,}", "…", file.read_text())
            for file in files
            if file.is_file()
        }


@pytest.fixture(scope="module")
def plain(
    server: dict[str, str], quick_dbt: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The project without the package and the models that read it, in an empty database."""
    folder = tmp_path_factory.mktemp("plain") / "host"
    shutil.copytree(HOST, folder, ignore=shutil.ignore_patterns("packages.yml", "reports"))
    profiles = (ROOT / "profiles.example.yml").read_text()
    (folder / "profiles.yml").write_text(re.sub("^ringostat:", "host:", profiles, flags=re.M))
    name = f"test_{uuid4().hex}"
    with database.connect(server) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RINGOSTAT_", "DBT_"))
    }
    environment |= {**server, "PGDATABASE": name, "RINGOSTAT_SCHEMA": "analytics"}
    yield Project(folder, quick_dbt, environment)
    with database.connect(server) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def host(plain: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with the package installed, in the same database, which has no raw tables."""
    folder = tmp_path_factory.mktemp("with_the_package") / "host"
    shutil.copytree(HOST, folder)
    shutil.copy(plain.folder / "profiles.yml", folder)
    packages = (folder / "packages.yml").read_text()
    (folder / "packages.yml").write_text(packages.replace("../..", str(ROOT)))
    seeds = {"RINGOSTAT_SEEDS": str(folder / "ringostat_seeds")}
    project = Project(folder, plain.command, plain.environment | seeds)
    project.dbt("deps")
    return project


@pytest.fixture(scope="module")
def conn(plain: Project) -> Iterator[psycopg.Connection]:
    with database.connect(plain.environment) as connection:
        yield connection


@pytest.fixture(scope="module")
def built(host: Project, conn: psycopg.Connection) -> Project:
    """The host, built once from two calls."""
    raw_tables.create_tables(conn)
    land(conn, "a", caller="380001", pool_name="Billboard", category_number="7")
    land(conn, "b", caller="380002")
    host.dbt("build", *NO_TESTS)
    return host


@pytest.mark.slow
def test_the_hosts_own_nodes_are_built_as_by_plain_dbt(
    plain: Project, host: Project, conn: psycopg.Connection
) -> None:
    """Also twice, and in a database that has none of the package's tables."""
    ran, printed = {}, {}
    for project in (plain, host):
        conn.execute("drop schema if exists analytics, lists cascade")
        for time in ("first", "second"):
            printed[project.folder, time] = project.dbt("build", *OWN)
            ran[project.folder, time] = project.what_ran()
    assert len(ran[host.folder, "first"]) == 5
    for time in ("first", "second"):
        assert ran[host.folder, time] == ran[plain.folder, time]
        assert "Kyiv" not in printed[host.folder, time]  # a row of a test that fails
    # The host's own macros, strategy and vars, where the package has others of the same names.
    rows = conn.execute("select name_length, namesake, since::text from analytics.regions_view")
    assert set(rows.fetchall()) == {(4, "of the host", "2024-01-01")}
    assert one(conn, "select count(*) from analytics.regions_incremental") == 4
    assert one(conn, "select to_regnamespace('marts') is null")


def test_the_hosts_vars_seeds_and_schemas_make_the_marts(
    built: Project, conn: psycopg.Connection
) -> None:
    rows = conn.execute(
        "select source_id, project_name, campaign, tags, is_counted"
        " from marts.fct_conversions order by source_id"
    ).fetchall()
    assert rows == [
        ("a", "Clinic", "Summer offer", ["Appointment"], True),
        ("b", "Clinic", "No campaign", [], False),
    ]
    campaigns = conn.execute("select * from marts.campaigns order by campaign").fetchall()
    assert campaigns == [("No campaign", 0, 1), ("Summer offer", 1, 1)]
    assert one(conn, "select count(*) from marts.answered") == 2


def test_freshness_is_measured_where_the_host_puts_the_projects(built: Project) -> None:
    measured = built.dbt("source", "freshness", "--select", "source:ringostat", fails=True)
    assert "ERROR STALE freshness of ringostat.last_loads" in measured  # nothing was ever loaded


def test_a_second_build_adds_what_is_new_and_keeps_what_bi_has_put_on_the_marts(
    built: Project, conn: psycopg.Connection
) -> None:
    conn.execute("create view public.theirs as select * from marts.rpt_conversions_daily")
    # In this project itself, a table of this name is one of an older version.
    conn.execute("create schema analytics_intermediate")
    conn.execute("create table analytics_intermediate.int_conversions ()")
    role = f"bi_{built.environment['PGDATABASE'][-12:]}"
    conn.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    try:
        # The clock of staging goes on from the newest row, wherever the host puts the table.
        conn.execute("update staging.stg_ringostat__calls set staged_at = '2100-01-01'")
        land(conn, "c", caller="380003", pool_name="Radio", category_number="7")
        channels = built.folder / "ringostat_seeds/static_channels.csv"
        edited = channels.read_text().replace("Summer", "Winter")
        edited += "1,pool_name,Radio,radio,offline,Radio,,\n"
        channels.write_text(edited)
        # The var changes the definitions of views.
        own = {"ringostat_unknown_campaign": "Nobody's", "ringostat_bi_role": role}
        built.dbt("build", *NO_TESTS, "--vars", json.dumps(own))
        counted = "select campaign, sum(conversions_all) from public.theirs group by 1 order by 1"
        rows = conn.execute(counted).fetchall()
        assert rows == [("Nobody's", 1), ("Radio", 1), ("Winter offer", 1)]
        staged = (
            "select staged_at > '2100-01-01' from staging.stg_ringostat__calls where call_id = 'c'"
        )
        assert one(conn, staged)
        # The file itself is left as it is, although its path is absolute.
        assert channels.read_text() == edited
        assert one(conn, "select count(*) from analytics_intermediate.int_conversions") == 0
        rights = "select has_table_privilege('{}', 'marts.{}', 'select')"
        assert one(conn, rights.format(role, "fct_conversions"))
        assert not one(conn, rights.format(role, "campaigns"))
    finally:
        conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        conn.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_a_misspelt_var_of_the_package_stops_a_build_of_the_package_alone(built: Project) -> None:
    settings = built.folder / "dbt_project.yml"
    right = settings.read_text()
    settings.write_text(right.replace("ringostat_kpi_mode", "ringostat_kpi_mod"))
    try:
        refused = built.dbt("build", "--select", "dim_projects", fails=True)
        assert "ringostat_kpi_mod is not a setting: the settings are " in refused
        assert "ringostat_reports_since" not in refused
        built.dbt("seed", "--select", "regions")
    finally:
        settings.write_text(right)


def test_a_model_with_the_name_of_one_of_the_package_is_refused(built: Project) -> None:
    namesake = built.folder / "models/projects.sql"
    namesake.write_text("select 1 as project_id")
    try:
        # What dbt saves of a parse goes on naming the seed.
        refused = built.dbt("build", "--no-partial-parse", "--select", "dim_projects", fails=True)
        assert "would read model.host.projects, which has the name of one of ringostat" in refused
    finally:
        namesake.unlink()


@pytest.mark.slow
def test_with_dbts_flag_the_two_may_have_one_name(built: Project, conn: psycopg.Connection) -> None:
    namesake = built.folder / "models/projects.sql"
    namesake.write_text("select 1 as project_id")
    settings = built.folder / "dbt_project.yml"
    right = settings.read_text()
    flag = "require_ref_searches_node_package_before_root: true"
    settings.write_text(right.replace("flags:", f"flags:\n  {flag}"))
    try:
        built.dbt("build", *NO_TESTS, "--select", "host.projects", "dim_projects")
        assert one(conn, "select project_name from marts.dim_projects") == "Clinic"
        assert one(conn, "select project_id from analytics.projects") == 1
    finally:
        namesake.unlink()
        settings.write_text(right)


@pytest.mark.slow
def test_the_packages_own_tests_pass_in_the_host(built: Project) -> None:
    built.dbt("build")
