"""The load status of every project, by the same rules as the mart `rpt_load_status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

import psycopg
from psycopg.rows import dict_row
from rich.table import Table

from loader import settings
from loader.clock import instant
from loader.projects import Project


@dataclass(frozen=True)
class Status:
    """One project's load status. Times are aware, `hours_behind` counts from `loaded_until`.

    `status` is `inactive`, `never_loaded`, `failed`, `stale` or `loaded`: the first that fits.
    `calls` are those in the raw table that are not removed.
    """

    project_id: int
    project_name: str
    status: str
    loaded_until: datetime | None = None
    hours_behind: float | None = None
    last_loaded_at: datetime | None = None
    last_error: str | None = None
    calls: int = 0
    first_call_at: datetime | None = None
    last_call_at: datetime | None = None


def read_status(conn: psycopg.Connection, projects: Sequence[Project]) -> list[Status]:
    """The status of each of `projects`, in their order. Writes nothing."""
    stale_after = settings.stale_hours()
    if conn.execute("select to_regclass('ringostat_raw.last_loads')").fetchone()[0] is None:
        return [
            Status(project.project_id, project.project_name, _word(project, {}, stale_after))
            for project in projects
        ]
    statuses = []
    for project in projects:
        facts = _facts(conn, project)
        word = _word(project, facts, stale_after)
        del facts["load_status"]
        statuses.append(Status(project.project_id, project.project_name, word, **facts))
    return statuses


def _facts(conn: psycopg.Connection, project: Project) -> dict:
    first = instant(datetime.combine(project.load_from, time()), project.time_zone)
    return (
        conn.cursor(row_factory=dict_row)
        .execute(
            """
            select
                last_loads.status as load_status,
                last_loads.error as last_error,
                last_loads.last_loaded_at,
                ranges.loaded_until,
                round(extract(epoch from now() - ranges.loaded_until) / 3600, 1)::float
                    as hours_behind,
                calls.calls,
                calls.first_call_at,
                calls.last_call_at
            from (
                select
                    count(*) as calls,
                    min(call_at) as first_call_at,
                    max(call_at) as last_call_at
                from ringostat_raw.calls
                where project_id = %(project_id)s and removed_at is null
            ) as calls
            left join ringostat_raw.last_loads on last_loads.project_id = %(project_id)s
            left join ringostat_raw.loaded_ranges as ranges
                on ranges.project_id = %(project_id)s
                and ranges.loaded_from <= %(first)s
                and ranges.loaded_until > %(first)s
            """,
            {"project_id": project.project_id, "first": first},
        )
        .fetchone()
    )


def _word(project: Project, facts: dict, stale_after: float) -> str:
    """As in the mart `rpt_load_status`; a test compares the two."""
    if not project.is_active:
        return "inactive"
    if facts.get("load_status") is None:
        return "never_loaded"
    if facts["load_status"] == "failed":
        return "failed"
    if facts["hours_behind"] is None or facts["hours_behind"] > stale_after:
        return "stale"
    return "loaded"


def as_table(statuses: Sequence[Status]) -> Table:
    """The statuses for a terminal."""
    table = Table("project", "status", "loaded until", "behind", "calls", "last error")
    for column in table.columns[1:-1]:
        column.no_wrap = True
    for status in statuses:
        table.add_row(
            f"{status.project_id} {status.project_name}",
            status.status,
            f"{status.loaded_until:%Y-%m-%d %H:%M} UTC" if status.loaded_until else "",
            "" if status.hours_behind is None else f"{status.hours_behind} h",
            f"{status.calls:,}",
            status.last_error or "",
        )
    return table
