"""A project's later life: to pause it, go on with it, and leave no trace of it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from loader import csv_file, projects, raw
from loader.commands import seeds
from loader.projects import Project

_RAW_TABLES = ("calls", "rejected_calls", "forms", "loads")
_BOOKKEEPING = ("load_state", "known_fields")


def set_active(project: Project, is_active: bool) -> bool:
    """Edits the one cell `is_active`. False, and the file untouched, if it says so already."""
    if project.is_active == is_active:
        return False
    seed = projects.parse_seed()
    word = str(is_active).lower()
    seed.save(
        (row.with_cell("is_active", word) if _is_of(row, project) else row).text
        for row in seed.rows
    )
    return True


@dataclass(frozen=True)
class Traces:
    """What there is of a project: rows in the raw tables, and rows in the seeds, by file."""

    raw: dict[str, int]
    seeds: list[csv_file.Seed]
    project: Project

    def __str__(self) -> str:
        found = [f"{count:,} rows in ringostat_raw.{table}" for table, count in self.raw.items()]
        for seed in self.seeds:
            count = sum(_is_of(row, self.project) for row in seed.rows)
            found.append(f"{count} in {seed.file.name}")
        return ", ".join(found)


def find_traces(conn: psycopg.Connection, project: Project) -> Traces:
    """What `delete` will delete. Raises ConfigurationError for a seed that cannot be edited."""
    # projects.csv last: where a deletion was interrupted, the project is still there to delete.
    files = [seeds.parse_channels(), seeds.parse_tags(), projects.parse_seed()]
    for seed in files:
        csv_file.refuse(seed.faults)
    raw.create_tables(conn)
    counts = {
        table: conn.execute(
            _raw("select count(*) from {} where project_id = %s", table), [project.project_id]
        ).fetchone()[0]
        for table in _RAW_TABLES
    }
    return Traces(counts, files, project)


def delete(conn: psycopg.Connection, project: Project) -> Traces:
    """Deletes the project's raw rows in one transaction, then its rows in the three seeds.

    Static channels and tags go too: `channels check` and dbt's tests refuse those of no project.
    The marts lose the project on the next `dbt build`. Raises LoadError while a load is running.
    """
    with raw.lock(conn, project):
        traces = find_traces(conn, project)
        with conn.transaction():
            for table in (*_RAW_TABLES, *_BOOKKEEPING):
                conn.execute(
                    _raw("delete from {} where project_id = %s", table), [project.project_id]
                )
    for seed in traces.seeds:
        kept = [row.text for row in seed.rows if not _is_of(row, project)]
        if len(kept) < len(seed.rows):
            seed.save(kept)
    return traces


def _raw(query: str, table: str) -> sql.Composed:
    return sql.SQL(query).format(sql.Identifier("ringostat_raw", table))


def _is_of(row: csv_file.Row, project: Project) -> bool:
    return row["project_id"] == str(project.project_id)
