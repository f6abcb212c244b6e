"""Dagster: the marts as an asset that is brought up to date each hour.

Add it to a code location, or try it: `dagster dev -f ringostat.py`. Keys and Postgres are variables
of Dagster's own environment. Assets that read the marts depend on `ringostat_marts`.
"""

import subprocess

import dagster

PROGRAM = "/opt/ringostat-marts/.venv/bin/ringostat"


@dagster.asset(description="Ringostat's conversions: the schema ringostat_marts")
def ringostat_marts() -> None:
    # Dagster keeps the log lines: the program writes to this process's stderr.
    with subprocess.Popen([PROGRAM, "run"]) as running:
        try:
            code = running.wait()
        finally:
            running.terminate()  # if Dagster ends the run
    if code:
        # 1: a project or the build failed; the rest was done, and the next run catches up.
        raise dagster.Failure(f"ringostat run ended with exit code {code}: see its log lines")


job = dagster.define_asset_job("ringostat", selection=[ringostat_marts])

defs = dagster.Definitions(
    assets=[ringostat_marts],
    jobs=[job],
    schedules=[
        dagster.ScheduleDefinition(
            job=job,
            cron_schedule="17 * * * *",
            default_status=dagster.DefaultScheduleStatus.RUNNING,
        )
    ],
)
