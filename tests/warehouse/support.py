"""Raw rows, seeds and dbt as a program, for the warehouse tests."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loader import ROOT

PROJECTS = "project_id,project_name,auth_key_env,time_zone,kpi_mode,load_from,is_active\n"
CHANNELS = (
    "project_id,parameter,parameter_value,traffic_source,traffic_type,campaign,"
    "valid_from,valid_to\n"
)
TAGS = "project_id,parameter,parameter_value,tag\n"
COSTS = "project_id,traffic_source,traffic_type,campaign,starts_on,ends_on,cost\n"
# The command that runs dbt; `dbt_starts_quickly` sets a quicker one.
DBT = (str(Path(sys.executable).with_name("dbt")),)
NO_TESTS = ("--exclude-resource-type", "test", "unit_test")
ONE_PROJECT = PROJECTS + "1,Clinic,,Europe/Kyiv,,2024-01-01,true\n"


def land(conn: psycopg.Connection, call_id: str, project_id: int = 1, **payload: object) -> None:
    """A call of 1 May 2024, 10:00 UTC, landed just now."""
    at = datetime(2024, 5, 1, 10, tzinfo=timezone.utc)
    landed_at = datetime.now(timezone.utc) - timedelta(minutes=1)
    conn.execute(
        "insert into ringostat_raw.calls values (%s, %s, %s, %s, 1, %s, clock_timestamp(), null)",
        [project_id, call_id, at, Jsonb({"uniqueid": call_id, **payload}), landed_at],
    )


def land_form(conn: psycopg.Connection, form_id: str) -> None:
    """A form of 1 May 2024, landed just now."""
    conn.execute(
        "insert into ringostat_raw.forms"
        " values (1, %s, '2024-05-01', %s, 1, clock_timestamp(), clock_timestamp())",
        [form_id, Jsonb({"form_id": form_id, "phone": "380009"})],
    )


def run_dbt(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(folder, *DBT, "--no-use-colors", *arguments, "--profiles-dir", str(folder))


def run_program(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of the virtual environment in the project's folder, on the test's warehouse."""
    return _run(folder, str(Path(sys.executable).with_name(program)), *arguments)


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "profiles.yml").write_bytes((ROOT / "profiles.example.yml").read_bytes())
    return subprocess.run(
        command,
        cwd=ROOT,
        env={
            **os.environ,
            "DBT_PROFILES_DIR": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def one(conn: psycopg.Connection, query: str | sql.Composed) -> object:
    return conn.execute(query).fetchone()[0]
