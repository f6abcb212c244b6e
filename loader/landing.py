"""One window in one transaction.

Postgres parses the calls itself, and only those that are not known to be as they were: reading a
period again costs half of reading it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from psycopg import errors

from loader import raw
from loader.errors import LoadError
from loader.projects import Project
from loader.rows import Row, storable
from loader.windows import Window

# A missing call this near to an end of what a run read is not believed to be gone: a wrong zone
# or bound moves calls over the ends by 26 hours at the most.
_OUTER = timedelta(hours=26)

# Between the rows of an answer on their way to Postgres: the one separator that no JSON holds as it
# is, in no text and beside none (RFC 7464).
_SEPARATOR = b"\x1e"


@dataclass
class Run:
    """One run over one project: `period` is all of it. Its windows are landed in order.

    `missing` gathers the calls that the answers should have held and did not. Only the last
    window removes them: until then, the run has not read far enough beyond them.
    """

    project: Project
    period: Window
    first_load_id: int | None = None
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Landed:
    """How many calls a window brought, and what became of them."""

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    removed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.fetched} calls read: {self.inserted} new, {self.updated} changed, "
            f"{self.removed} removed"
        )

    def __add__(self, other: Landed) -> Landed:
        return Landed(
            self.fetched + other.fetched,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.removed + other.removed,
        )


def land(
    conn: psycopg.Connection,
    run: Run,
    window: Window,
    rows: Sequence[Row],
    asked_at: datetime,
    previous: Future[Landed] | None,
) -> Landed:
    """Lands the `rows` that answered a window, and its row of the load log, in one transaction.

    Two windows may be landed at once, by two connections: parsing, which is most of the work,
    goes on side by side, then a window waits until the `previous` one is committed. So `loaded_at`
    grows in the order of commits, and two windows never wait for each other's rows. If the
    previous one failed, so does this.

    Raises LoadError, with nothing landed, for an answer that must not be believed.
    """
    is_last = window.end == run.period.end
    with conn.transaction():
        if not is_last:
            # A crash may lose the latest windows, log rows and all: they are read again. The last
            # one's commit waits until the disk has everything, before the run calls itself done.
            conn.execute("set local synchronous_commit = off")
        _parse(conn, run.project, window, rows)
        _check(conn, run.project, window)
        if previous is not None:
            previous.result()
        return _merge(conn, run, window, len(rows), asked_at)


def _parse(conn: psycopg.Connection, project: Project, window: Window, rows: Sequence[Row]) -> None:
    """Makes the temporary table `answer`: the calls in the order answered, the last of an id."""
    # A calldate without an offset is the project's time.
    conn.execute("select set_config('timezone', %s, true)", [project.time_zone.key])
    try:
        with conn.transaction():
            _expand(conn, project, window, rows)
    except psycopg.DataError:
        try:
            _expand(conn, project, window, list(map(storable, rows)))
        except (errors.InvalidDatetimeFormat, errors.DatetimeFieldOverflow) as error:
            raise LoadError(f"unreadable calldate: {error.diag.message_primary}") from None
        except RecursionError:
            raise LoadError("a call is nested too deeply") from None
    conn.execute(
        """
        delete from answer as earlier
        using answer as later
        where earlier.call_id = later.call_id and earlier.place < later.place
        """
    )


def _expand(
    conn: psycopg.Connection, project: Project, window: Window, rows: Sequence[Row]
) -> None:
    """Makes `answer`; a call that is known by the digest of its text gets no payload, and is left.

    Known are the calls of the window's certain period alone, since no other window that is landed
    at the same time may write those.
    """
    conn.execute(
        r"""
        create temporary table answer on commit drop as
        with

        answered as (
            select
                place,
                text,
                -- of the zone too, which a calldate without an offset is read in
                hashtextextended(text, hashtext(current_setting('timezone'))) as digest
            from
                string_to_table(convert_from(%(rows)b, 'utf8'), %(separator)s)
                with ordinality as answered (text, place)
        ),

        known as (
            select
                call_id,
                digest
            from ringostat_raw.calls
            where
                project_id = %(project_id)s
                and call_at >= %(certain_from)s
                and call_at < %(certain_to)s
                and removed_at is null
        ),

        parsed as (
            select
                answered.place,
                answered.digest,
                known.call_id as known_id,
                case when known.call_id is null then answered.text::jsonb end as payload
            from answered
            left join known on answered.digest = known.digest
            offset 0  -- or Postgres would parse the text again for each use of the payload
        )

        select
            place,
            digest,
            payload,
            case
                when known_id is not null
                    then known_id
                when btrim(payload ->> 'uniqueid', E' \t\n\r\f\x0b\u00a0') <> ''
                    then payload ->> 'uniqueid'
                else 'sha256:' || encode(sha256(convert_to(
                    coalesce(payload ->> 'calldate', '') || '|'
                    || coalesce(payload ->> 'caller', '') || '|'
                    || coalesce(payload ->> 'dst', ''), 'utf8')), 'hex')
            end as call_id,
            case
                when payload ->> 'calldate' like '____-__-__%%'
                    then (payload ->> 'calldate')::timestamptz
            end as call_at,
            coalesce(
                split_part(split_part(payload ->> 'call_card', 'project_id=', 2), '&', 1), ''
            ) as project_id
        from parsed
        """,
        {
            "rows": _SEPARATOR.join(rows),
            "separator": _SEPARATOR.decode(),
            "project_id": project.project_id,
            "certain_from": window.certain_from,
            "certain_to": window.certain_to,
        },
    )


def _check(conn: psycopg.Connection, project: Project, window: Window) -> None:
    """Raises LoadError for calls of another project, another period, or of no readable time."""
    wrong = conn.execute(
        r"""
        select call_id, call_at, payload ->> 'calldate', project_id
        from answer
        where
            payload is not null
            and (
                project_id not in ('', %(project_id)s)
                or call_at is null
                or call_at not between %(earliest)s and %(latest)s
            )
        -- the wrong key explains the rest
        order by project_id not in ('', %(project_id)s) desc, place
        limit 1
        """,
        {
            "project_id": str(project.project_id),
            "earliest": window.earliest,
            "latest": window.latest,
        },
    ).fetchone()
    if wrong is None:
        return
    call_id, call_at, calldate, project_id = wrong
    if project_id not in ("", str(project.project_id)):
        raise LoadError(
            f"the key in {project.key_variable} opens Ringostat project {project_id}, "
            f"but projects.csv gives it to project {project.project_id}"
        )
    if call_at is None:
        raise LoadError(f"call {call_id} has an unreadable calldate: {calldate!r}")
    raise LoadError(
        f"call {call_id} of {calldate} lies outside the period asked for, {window}: is time_zone "
        "in projects.csv the zone that the project has in Ringostat?"
    )


def _merge(
    conn: psycopg.Connection, run: Run, window: Window, fetched: int, asked_at: datetime
) -> Landed:
    """Brings `calls` up to the table `answer` and writes the load log."""
    load_id, now = raw.next_load(conn, run.project)
    values = {
        "project_id": run.project.project_id,
        "load_id": load_id,
        "now": now,
        "certain_from": window.certain_from,
        "certain_to": window.certain_to,
        "begins": window.begins,
        "ends": window.ends,
        "asked_at": asked_at,
    }
    # An unchanged call is left out before the upsert: it is neither written nor locked.
    inserted, updated = conn.execute(
        """
        with different as (
            select answer.place, calls.call_id is null as is_new
            from answer
            left join lateral (
                select *
                from ringostat_raw.calls
                where calls.project_id = %(project_id)s and calls.call_id = answer.call_id
                limit 1  -- one look into the index a call, never a reading of the whole table
            ) as calls on true
            where
                answer.payload is not null
                and (
                    calls.call_id is null
                    or calls.removed_at is not null
                    or calls.call_at <> answer.call_at
                    or calls.payload <> answer.payload
                )
        ),

        written as (
            insert into ringostat_raw.calls
                (project_id, call_id, call_at, payload, load_id, first_loaded_at, loaded_at,
                 digest)
            select %(project_id)s, call_id, call_at, payload, %(load_id)s, %(now)s, %(now)s, digest
            from answer
            where place in (select place from different)
            on conflict (project_id, call_id) do update set
                call_at = excluded.call_at,
                payload = excluded.payload,
                load_id = excluded.load_id,
                loaded_at = excluded.loaded_at,
                removed_at = excluded.removed_at,
                digest = excluded.digest
        )

        select count(*) filter (where is_new), count(*) filter (where not is_new)
        from different
        """,
        values,
    ).fetchone()
    missing = conn.execute(
        """
        select call_id
        from ringostat_raw.calls
        where
            project_id = %(project_id)s
            and call_at >= %(certain_from)s
            and call_at < %(certain_to)s
            and removed_at is null
            and not exists (select from answer where answer.call_id = calls.call_id)
        """,
        values,
    ).fetchall()
    run.first_load_id = run.first_load_id or load_id
    run.missing += [call_id for (call_id,) in missing]
    removed = 0
    if window.end == run.period.end:
        removed = _remove_missing(conn, run, load_id, now)
    landed = Landed(fetched, inserted, updated, removed)
    conn.execute(
        """
        insert into ringostat_raw.loads
            (load_id, project_id, window_from, window_to, status, fetched, inserted, updated,
             removed, started_at, finished_at)
        overriding system value
        values (%(load_id)s, %(project_id)s, %(begins)s, %(ends)s, 'loaded', %(fetched)s,
                %(inserted)s, %(updated)s, %(removed)s, least(%(asked_at)s, %(now)s), %(now)s)
        """,
        {**values, **vars(landed)},
    )
    return landed


def _remove_missing(conn: psycopg.Connection, run: Run, load_id: int, now: datetime) -> int:
    """Marks as removed what the whole run did not find, its outer hours left alone."""
    return conn.execute(
        """
        update ringostat_raw.calls
        set removed_at = %(now)s, loaded_at = %(now)s, load_id = %(load_id)s
        where
            project_id = %(project_id)s
            and call_id = any(%(missing)s)
            and removed_at is null
            and call_at >= %(removable_from)s
            and call_at < %(removable_to)s
            -- a call that moved to another time has been written by this run
            and load_id < %(first_load_id)s
        """,
        {
            "project_id": run.project.project_id,
            "load_id": load_id,
            "now": now,
            "missing": run.missing,
            "removable_from": run.period.begins + _OUTER,
            "removable_to": run.period.ends - _OUTER,
            "first_load_id": run.first_load_id,
        },
    ).rowcount
