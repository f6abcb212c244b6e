"""The recipes for Dagster and Airflow, in a real Dagster and Airflow, with a sham `ringostat`.

`make test-hosting` installs both, which takes minutes, and runs these tests. Without them, they are
skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from loader import ROOT

PROGRAM = "/opt/ringostat-marts/.venv/bin/ringostat"


def program_of(name: str) -> str:
    """The command of .venv-dagster or .venv-airflow."""
    program = ROOT / f".venv-{name}/bin/{name}"
    if not program.exists():
        pytest.skip(f"{name} is not installed: `make test-hosting` installs it")
    return str(program)


@pytest.fixture
def recipe(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The recipe `request.param`, calling a sham `ringostat` that notes how it was called."""
    sham = tmp_path / "ringostat"
    sham.write_text(
        f'#!/bin/sh\necho "$* $RINGOSTAT_AUTH_KEY" >> {tmp_path}/calls\n'
        "echo 'INFO dbt build: the marts are up to date' >&2\nexit $EXIT_CODE\n"
    )
    sham.chmod(0o755)
    text = (ROOT / f"hosting/{request.param}/ringostat.py").read_text(encoding="utf-8")
    assert f'PROGRAM = "{PROGRAM}"\n' in text
    file = tmp_path / "dags/ringostat.py"
    file.parent.mkdir()
    file.write_text(text.replace(PROGRAM, str(sham)))
    return file


def run(recipe: Path, *command: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    home = recipe.parent.parent
    return subprocess.run(
        command,
        cwd=home,
        env={
            **os.environ,
            "RINGOSTAT_AUTH_KEY": "key",
            "EXIT_CODE": str(exit_code),
            "DAGSTER_HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("recipe", ["dagster"], indirect=True)
def test_dagster_runs_the_job(recipe: Path) -> None:
    dagster = program_of("dagster")
    (recipe.parent.parent / "dagster.yaml").touch()
    job = (dagster, "job", "execute", "-f", str(recipe), "-j", "ringostat")
    done = run(recipe, *job)
    assert done.returncode == 0, done.stdout
    assert "RUN_SUCCESS" in done.stdout
    failed = run(recipe, *job, exit_code=1)
    assert failed.returncode != 0
    assert "ringostat run ended with exit code 1" in failed.stdout
    assert (recipe.parent.parent / "calls").read_text() == "run key\n" * 2
    schedules = run(recipe, dagster, "schedule", "list", "-f", str(recipe))
    assert "Schedule: ringostat_schedule [RUNNING]" in schedules.stdout
    assert "Cron Schedule: 17 * * * *" in schedules.stdout


@pytest.mark.parametrize("recipe", ["airflow"], indirect=True)
def test_airflow_runs_the_dag(recipe: Path) -> None:
    airflow = program_of("airflow")
    assert run(recipe, airflow, "db", "migrate").returncode == 0
    done = run(recipe, airflow, "dags", "test", "ringostat")
    assert done.returncode == 0, done.stdout
    failed = run(recipe, airflow, "dags", "test", "ringostat", exit_code=1)
    assert failed.returncode != 0
    assert "DagRun failed" in failed.stdout
    assert (recipe.parent.parent / "calls").read_text() == "run key\n" * 2
