"""The load status of every project, by the same rules as the mart `rpt_load_status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from rich.table import Table

from loader import settings
from loader.clock import instant
from loader.database import has_columns, only_row
from loader.projects import Project

# The watermark of int_contacts in staging; as in the mart.
_CLOCK = "staged_at"
_WRITTEN = "written_at"

_TRACKING = "rpt_tracking_health"


@dataclass(frozen=True)
class Status:
    """One project's load status. Times are aware, `hours_behind` counts from `loaded_until`.

    `status` is the first of `inactive`, `never_loaded`, `failed`, `not_built`, `stale` and `loaded`
    that applies. `calls` counts the calls in the raw table that are not removed. The marts show
    every loaded call from before `built_until`. `tracking_findings` counts the pools of an
    active project that `rpt_tracking_health` finds silent or without visits; None if that mart does
    not exist.
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
    built_until: datetime | None = None
    tracking_findings: int | None = None


@dataclass(frozen=True)
class _Facts:
    """What the raw tables and the load log say of a project; as in `Status`."""

    load_status: str | None = None
    loaded_until: datetime | None = None
    hours_behind: float | None = None
    last_loaded_at: datetime | None = None
    last_error: str | None = None
    calls: int = 0
    first_call_at: datetime | None = None
    last_call_at: datetime | None = None


@dataclass(frozen=True)
class _Built:
    """How far dbt has taken a project's calls; the defaults apply if the marts do not exist.

    `first_not_built` is the earliest call that waits for a build.
    """

    is_ever_built: bool = False
    is_waiting: bool = True
    first_not_built: datetime | None = None


def read_status(conn: psycopg.Connection, projects: Sequence[Project]) -> list[Status]:
    """The status of each of `projects`, in their order. Writes nothing."""
    stale_after = settings.stale_hours()
    log = conn.execute("select to_regclass('ringostat_raw.last_loads')")
    is_created = only_row(log)[0] is not None
    findings = _tracking_findings(conn, projects)
    statuses = []
    for project in projects:
        facts = _facts(conn, project) if is_created else _Facts()
        built = _built(conn, project) if is_created else _Built()
        built_until = None
        if facts.loaded_until and built.is_ever_built:
            ends = facts.loaded_until, built.first_not_built
            built_until = min(end for end in ends if end)
        statuses.append(
            Status(
                project.project_id,
                project.project_name,
                _word(project, facts, built, stale_after),
                facts.loaded_until,
                facts.hours_behind,
                facts.last_loaded_at,
                facts.last_error,
                facts.calls,
                facts.first_call_at,
                facts.last_call_at,
                built_until,
                None if findings is None else findings.get(project.project_id, 0),
            )
        )
    return statuses


def _tracking_findings(
    conn: psycopg.Connection, projects: Sequence[Project]
) -> dict[int, int] | None:
    """How many pools of each active project need attention; None before the mart's first build."""
    mart = (settings.schema("marts"), _TRACKING)
    if not has_columns(conn, mart, "project_id", "status"):
        return None
    # As in the test assert_pools_still_work, which warns of each.
    query = sql.SQL(
        """
        select project_id, count(*)
        from {}
        where status in ('silent', 'visits_dropped') and project_id = any(%s)
        group by project_id
        """
    ).format(sql.Identifier(*mart))
    active = [project.project_id for project in projects if project.is_active]
    return dict(conn.execute(query, [active]).fetchall())


def _facts(conn: psycopg.Connection, project: Project) -> _Facts:
    first = instant(datetime.combine(project.load_from, time()), project.time_zone)
    return only_row(
        conn.cursor(row_factory=class_row(_Facts)).execute(
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
    )


def _built(conn: psycopg.Connection, project: Project) -> _Built:
    staging = (settings.schema("staging"), "stg_ringostat__calls")
    contacts = (settings.schema("intermediate"), "int_contacts")
    daily = (settings.schema("intermediate"), "int_conversions_daily")
    # Tables of an earlier version lack the clocks: the next build replaces them.
    clocks = ((staging, _CLOCK), (contacts, _CLOCK), (contacts, _WRITTEN), (daily, _WRITTEN))
    if not all(has_columns(conn, table, clock) for table, clock in clocks):
        return _Built()
    query = sql.SQL(
        """
        with taken as (
            select
                (
                    select loaded_at
                    from {staging}
                    where project_id = %(project_id)s
                    order by {clock} desc, loaded_at desc
                    limit 1
                ) as staged_until,
                (
                    select {clock}
                    from {contacts}
                    where project_id = %(project_id)s
                    order by {clock} desc
                    limit 1
                ) as converted_until,
                (
                    select {written}
                    from {daily}
                    where project_id = %(project_id)s and conversion_date is null
                ) as reported_until
        ),

        not_built as (
            select least(
                (
                    select min(call_at)
                    from (
                        select call_at
                        from ringostat_raw.calls
                        where
                            project_id = %(project_id)s
                            and loaded_at > coalesce(staged_until, '-infinity')
                            and loaded_at <= 'infinity'
                        offset 0  -- otherwise Postgres may read all calls in order of call_at
                    ) as landed
                ),
                (
                    select min(call_at)
                    from (
                        select call_at
                        from {staging}
                        where
                            project_id = %(project_id)s
                            and {clock} > coalesce(converted_until, '-infinity')
                            and {clock} <= 'infinity'
                        offset 0
                    ) as staged
                ),
                (
                    select min(occurred_at)
                    from (
                        select occurred_at
                        from {contacts}
                        where
                            project_id = %(project_id)s
                            and {written} > coalesce(reported_until, '-infinity')
                            and {written} <= 'infinity'
                            and conversion_type <> 'form'
                        offset 0
                    ) as converted
                )
            ) as first_not_built, reported_until
            from taken
        )

        select
            first_not_built,
            first_not_built is not null as is_waiting,
            coalesce(reported_until > '-infinity', false) or first_not_built is null
                as is_ever_built
        from not_built
        """
    ).format(
        staging=sql.Identifier(*staging),
        contacts=sql.Identifier(*contacts),
        daily=sql.Identifier(*daily),
        clock=sql.Identifier(_CLOCK),
        written=sql.Identifier(_WRITTEN),
    )
    return only_row(
        conn.cursor(row_factory=class_row(_Built)).execute(
            query, {"project_id": project.project_id}
        )
    )


def _word(project: Project, facts: _Facts, built: _Built, stale_after: float) -> str:
    """As in the mart `rpt_load_status`; a test compares the two."""
    if not project.is_active:
        return "inactive"
    if facts.load_status is None:
        return "never_loaded"
    if facts.load_status == "failed":
        return "failed"
    if built.is_waiting:
        return "not_built"
    if facts.hours_behind is None or facts.hours_behind > stale_after:
        return "stale"
    return "loaded"


def is_healthy(status: Status) -> bool:
    """Whether the project needs no attention: it is `loaded`, or `inactive`."""
    return status.status in ("loaded", "inactive")


def as_table(projects: Sequence[Project], statuses: Sequence[Status]) -> Table:
    """The statuses for a terminal; times are in the projects' zones."""
    headings = ("project", "status", "loaded until", "behind", "in the marts until", "calls")
    table = Table(*headings, "last error")
    for column in table.columns[1:-1]:
        column.no_wrap = True
    for project, status in zip(projects, statuses, strict=True):
        table.add_row(
            f"{status.project_id} {status.project_name}",
            status.status,
            _shown(status.loaded_until, project),
            "" if status.hours_behind is None else f"{status.hours_behind} h",
            _shown(status.built_until, project),
            f"{status.calls:,}",
            status.last_error or "",
        )
    return table


def as_line(project: Project, status: Status) -> str:
    """A status for a pipe: one line, of any length."""
    until, built = (_shown(at, project) for at in (status.loaded_until, status.built_until))
    behind = "" if status.hours_behind is None else f" ({status.hours_behind} h behind)"
    parts = [
        f"{status.project_id} {status.project_name}: {status.status}",
        f"loaded until {until or 'never'}{behind}",
        f"in the marts until {built or 'never'}",
        f"{status.calls} calls",
    ]
    if status.last_error:
        parts.append(f"last error: {status.last_error}")
    return " ".join("; ".join(parts).split())


def tracking_line(statuses: Sequence[Status]) -> str:
    """Where to read which pools need attention; "" if it is not known."""
    counts = [one.tracking_findings for one in statuses if one.tracking_findings is not None]
    if not counts:
        return ""
    findings = f"{sum(counts)} finding{'' if sum(counts) == 1 else 's'}"
    return f"tracking: {findings} in {settings.schema('marts')}.{_TRACKING}"


def _shown(at: datetime | None, project: Project) -> str:
    return f"{at.astimezone(project.time_zone):%Y-%m-%d %H:%M %Z}" if at else ""
