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

# 1,000,000 calls in 300 projects are what `transform` measures.
SHAPES = (
    *itertools.product((1, 30, 300), (10_000, 100_000)),
    (1, 1_000_000),
    (30, 1_000_000),
)
# What CI measures: each of the bad plans that there were took its time here.
QUICK = ((1, 10_000), (300, 100_000))


def measure(warehouse: Mapping[str, str], folder: Path, scale: float) -> dict:
    """Seconds by shape: `typed`, `full`, `day`, `edit`, and a project's `year`."""
    found = []
    for projects, calls in SHAPES if scale == 1.0 else QUICK:
        name = f"shape_{projects}_{calls}"
        with database.connect(warehouse) as conn:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        own = {**warehouse, "PGDATABASE": name}
        notes, faults = _measure(own, folder / name, range(1000, 1000 + projects), calls)
        found.append(
            {"projects": projects, "calls": calls, "bad_plans": faults}
            | {figure: round(median(seconds), 4) for figure, seconds in notes.runs.items()}
        )
        with database.connect(warehouse) as conn:
            conn.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))
    return {"shapes": found, "versions": {}}


def _measure(
    warehouse: Mapping[str, str], folder: Path, projects: range, calls: int
) -> tuple[Notes, list[str]]:
    notes = Notes()
    with database.connect(warehouse) as conn:
        conn.execute("set timezone = 'UTC'")
        raw.create_tables(conn)
        conn.execute(transform.CALLS_SQL)
        days, dbt = Days(conn, warehouse, projects), Dbt(warehouse, folder)
        write_seeds(dbt.seeds, "Billboard 0", projects)
        days.add_history(calls)
        full = dbt.build("--full-refresh")
        notes.add_build("full", full)
        transform.typed(conn, dbt, notes, 1)
        tidy(conn)
        days.add_day()
        day = dbt.build()
        notes.add_build("day", day)
        write_seeds(dbt.seeds, "Billboard 1", projects)
        edit = dbt.build()
        notes.add_build("edit", edit)
        tidy(conn)
        year = transform.DAILY.replace("1005", str(projects.start))
        for _ in range(7):
            notes.add("year", seconds_of(conn, year))
    faults = _bad_plans(full, day, "an ordinary day") + _bad_plans(full, edit, "a channel edit")
    return notes, faults


def bad_plans(shapes: list[dict]) -> list[str]:
    """In words: each model that takes much longer for a day or an edit than for everything."""
    return [
        f"{one['projects']:,} projects with {one['calls']:,} calls: {fault}"
        for one in shapes
        for fault in one["bad_plans"]
    ]


def _bad_plans(full: dict[str, float], run: dict[str, float], name: str) -> list[str]:
    """The margin is wide, so that a slow machine is no fault. A plan that compares each row with
    each is one: int_attribution once took 5 s for an ordinary day instead of 0.1 s.
    """
    return [
        f"{model} took {seconds:.1f} s for {name}, {full[model]:.1f} s in the full build"
        for model, seconds in run.items()
        if seconds > 2 * full[model] + 2
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
