"""Airflow 3: `ringostat run` each hour. Copy it to the folder of DAGs.

Keys and Postgres are variables of the workers' environment. A DAG that reads the marts waits for
the asset `ringostat_marts`: `schedule=[Asset("ringostat_marts")]`.
"""

from datetime import datetime, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset

PROGRAM = "/opt/ringostat-marts/.venv/bin/ringostat"

with DAG(
    "ringostat",
    description="Ringostat's conversions: the schema ringostat_marts",
    schedule="17 * * * *",
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # one run catches up all that was missed
    max_active_runs=1,
):
    # Exit code 1: a project or the build failed; the rest was done, and the next run catches up.
    BashOperator(
        task_id="run",
        bash_command=f"exec {PROGRAM} run",
        retries=0,
        outlets=[Asset("ringostat_marts")],
    )
