"""Measures what the project costs, and writes `results.json` and the table of `README.md`.

make bench                              everything
.venv/bin/python -m benchmarks.run --only landing
.venv/bin/python -m benchmarks.run --only shapes --scale 0.1    what CI runs
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import click

from benchmarks import landing, report, shapes, transform
from loader import database

RESULTS = Path(__file__).parent / "results.json"
PARTS = ("landing", "transform", "shapes")


@click.command()
@click.option("--only", type=click.Choice(PARTS), help="One part; the others keep their figures.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--scale", type=float, default=1.0, help="Of the calls: for trying things out.")
def main(only: str | None, runs: int, scale: float) -> None:
    """Measure and write the figures down. With --scale the figures are only shown."""
    is_kept = scale == 1.0
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if is_kept else {}
    for part in PARTS:
        if only not in (None, part):
            continue
        click.echo(f"{part}, {datetime.now():%H:%M:%S}, {conditions()}", err=True)
        with postgres() as (warehouse, folder):
            found = conditions() | {"postgres": server_version(warehouse)}
            measured = run_part(part, warehouse, folder, runs, scale)
        measured["versions"] = found.pop("postgres") | measured["versions"]
        results[part] = found | measured
        if is_kept:
            # After each part, so that its figures survive if the next one fails.
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            report.write(results)
    click.echo(report.table(results))
    if bad_plans := shapes.bad_plans(results.get("shapes", {}).get("shapes", [])):
        raise click.ClickException("\n".join(bad_plans))


def run_part(part: str, warehouse: dict[str, str], folder: Path, runs: int, scale: float) -> dict:
    if part == "landing":
        return landing.measure(warehouse, folder, round(landing.CALLS * scale), runs)
    if part == "shapes":
        return shapes.measure(warehouse, folder, scale)
    calls, more = round(transform.CALLS * scale), round(transform.MORE_CALLS * scale)
    return transform.measure(warehouse, folder, calls, more, runs)


@contextmanager
def postgres() -> Iterator[tuple[dict[str, str], Path]]:
    """An embedded Postgres with the project's settings, and a folder; both are removed later."""
    for name in list(os.environ):
        if name.startswith(("PG", "RINGOSTAT_", "DBT_")):
            del os.environ[name]  # the user's warehouse and settings are not to be touched
    folder = Path(tempfile.mkdtemp(prefix="bench"))
    try:
        yield database.start(folder / "data"), folder
    finally:
        database.stop(folder / "data")
        shutil.rmtree(folder)


def conditions() -> dict[str, str]:
    """The date, the machine, and how busy the machine was."""
    load = os.getloadavg()[0]
    if load > 1:
        click.echo(f"the machine is busy (load {load:.1f}): figures will be too high", err=True)
    return {
        "at": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": machine(),
        "load": f"{load:.1f}",
    }


def machine() -> str:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores ({processor()}), {pages * page / 1024**3:.0f} GB,"
        f" {platform.system()} {platform.release()}"
    )


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def server_version(warehouse: dict[str, str]) -> dict[str, str]:
    with database.connect(warehouse) as conn:
        (postgres_version,) = conn.execute("show server_version").fetchone()
    return {"Postgres": postgres_version, "Python": platform.python_version()}


if __name__ == "__main__":
    main()
