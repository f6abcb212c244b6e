"""The same transformation in several shapes: few and many projects, small and large.

A plan of Postgres that happens to be good at one size is not a design. Each shape has a database of
its own and is measured once; what counts is how the figures of one shape relate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from psycopg import sql

from benchmarks import transform
from benchmarks.transform import Days, Dbt, Notes, seconds_of, tidy, write_seeds
from loader import database, raw

PROJECTS = (1, 30, 300)
CALLS = (10_000, 100_000, 1_000_000)
# What CI measures: 100,000 calls were enough for the one bad plan there was.
QUICK = ((1, 10_000), (1, 100_000), (300, 10_000), (300, 100_000))


def measure(warehouse: Mapping[str, str], folder: Path, scale: float) -> dict:
    """Seconds by shape: `typed`, `full`, `day`, `edit`, and a project's `year`."""
    found = []
    shapes = itertools.product(PROJECTS, CALLS) if scale == 1.0 else QUICK
    for projects, calls in shapes:
        name = f"shape_{projects}_{calls}"
        with database.connect(warehouse) as conn:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        own = {**warehouse, "PGDATABASE": name}
        notes = _measure(own, folder / name, range(1000, 1000 + projects), calls)
        found.append(
            {"projects": projects, "calls": calls}
            | {figure: round(median(seconds), 4) for figure, seconds in notes.runs.items()}
        )
        with database.connect(warehouse) as conn:
            conn.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
    return {"shapes": found, "versions": {}}


def _measure(warehouse: Mapping[str, str], folder: Path, projects: range, calls: int) -> Notes:
    notes = Notes()
    with database.connect(warehouse) as conn:
        conn.execute("set timezone = 'UTC'")
        raw.create_tables(conn)
        conn.execute(transform.CALLS_SQL)
        days, dbt = Days(conn, warehouse, projects), Dbt(warehouse, folder)
        write_seeds(dbt.seeds, "Billboard 0", projects)
        days.add_history(calls)
        notes.add_build("full", dbt.build("--full-refresh"))
        transform.typed(conn, dbt, notes, 1)
        tidy(conn)
        days.add_day()
        notes.add_build("day", dbt.build())
        write_seeds(dbt.seeds, "Billboard 1", projects)
        notes.add_build("edit", dbt.build())
        tidy(conn)
        year = transform.DAILY.replace("1005", str(projects.start))
        for _ in range(7):
            notes.add("year", seconds_of(conn, year))
    return notes


def bad_plans(shapes: list[dict]) -> list[str]:
    """Shapes in which a run costs more than building everything, in words.

    The margin is wide, so that a slow machine is no fault, and a plan that reads all rows for each
    row is: an edit once took 17 times as long as the full build.
    """
    return [
        f"{one['projects']:,} projects with {one['calls']:,} calls: {name} took"
        f" {one[figure]:.1f} s, the full build {one['full']:.1f} s"
        for one in shapes
        for figure, name in (("day", "an ordinary day"), ("edit", "a channel edit"))
        if one[figure] > one["full"]
    ]


def table(shapes: list[dict]) -> Iterator[str]:
    """Lines of Markdown; what misses its limit is bold."""
    yield "| projects | calls | full build | ordinary day | channel edit in all projects | a year |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for one in shapes:
        cells = [
            _times(one["full"], one["typed"], "`create table as`", 4),
            _times(one["day"], one["full"], "the full build", 0.05),
            _times(one["edit"], one["full"], "the full build", 0.15),
            _bold(f"{one['year'] * 1000:.0f} ms", one["year"] > 0.05),
        ]
        yield f"| {one['projects']:,} | {one['calls']:,} | {' | '.join(cells)} |"


def _times(seconds: float, base: float, name: str, limit: float) -> str:
    ratio = seconds / base
    return _bold(f"{seconds:.1f} s, {ratio:.2f} × {name}", ratio > limit)


def _bold(text: str, is_missed: bool) -> str:
    return f"**{text}**" if is_missed else text
