"""One window: `stage` its answer, then `merge` it in one transaction.

Postgres parses the calls itself. A call that is known to be unchanged is not sent to it: reading a
period again costs half as much as the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import errors, sql

from loader import call_card, deletions, raw, settings
from loader.database import only_row
from loader.errors import LoadError
from loader.masking import mask
from loader.projects import Project
from loader.rows import Row, storable, text_digests, unparsed_id
from loader.windows import SECOND, Window

# Separates the rows of an answer on their way to Postgres: this character never occurs unescaped in
# JSON (RFC 7464).
_SEPARATOR = b"\x1e"

# More rejected rows than this number and this share mean a general fault.
_FEW = 3
_SMALL_SHARE = 0.01

# From so many new calls of a run on, Postgres is told of them.
_MANY_NEW = 1000

# For the transaction only, since a pooler may give the session to somebody else. An answer is
# parsed without using the disk, and compiling a statement would take longer than running it. The
# first setting makes Citus pass the others on to its nodes: a calldate without an offset would be
# read in the node's own zone. Postgres alone takes a setting of any such name, and ignores it.
_SETTINGS = sql.SQL(
    "set local citus.propagate_set_commands = 'local'; "
    "set local work_mem = '32MB'; set local jit = off; set local timezone to {zone}"
)

# The calls that are known by their digest: those of a time that no other window writes.
_IS_KNOWN = """
    project_id = %(project_id)s
    and call_at between %(known_from)s and %(latest)s
    and removed_at is null
"""

# Reads a moment; null instead of an error.
_CAREFUL_MOMENT = """
    create or replace function pg_temp.moment(calldate text) returns timestamptz
    language plpgsql as $$
    begin
        return calldate::timestamptz;
    exception when others then
        return null;
    end $$
"""


@dataclass
class Run:
    """One run over one project and its whole `period`. The windows are landed in order.

    `missing` collects the stored calls that the answers should have contained and did not. Only the
    last window removes them, because only then the run has read far enough beyond them.

    `is_whole`: the API was proven to cut no answer, before the last window is merged.

    `carried` are answered calls that are stored in a later part of the period: that part shows
    whether they have moved, or whether their id is answered twice and the later one counts.

    `counted` is how many of the `inserted` calls Postgres has been told of.
    """

    project: Project
    period: Window
    allow_removals: bool = False
    is_whole: bool = False
    first_load_id: int | None = None
    fetched: int = 0
    missing: list[str] = field(default_factory=list)
    carried: list[tuple[datetime, Row]] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    rejected: set[bytes] = field(default_factory=set)
    rejected_ids: set[str] = field(default_factory=set)
    inserted: int = 0
    counted: int = 0


@dataclass(frozen=True)
class Answer:
    """What the API answered for a window."""

    window: Window
    rows: Sequence[Row]
    asked_at: datetime


class Misplaced(NamedTuple):
    """A call whose `calldate` is no moment of its window."""

    place: int
    call_id: str
    is_unreadable: bool
    calldate: str | None


@dataclass
class Staged:
    """An answer in the temporary table `answer` of `conn`.

    A row's `place` in the table is its index in `rows`, or a negative one in `carried`. `rejected`
    are rows with their call_id and the reason, `repeated` the ids that were answered twice.
    """

    conn: psycopg.Connection
    answer: Answer
    rows: list[Row]
    carried: list[Row] = field(default_factory=list)
    rejected: list[tuple[Row, str, str]] = field(default_factory=list)
    misplaced: list[Misplaced] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)

    def row(self, place: int) -> Row:
        return self.rows[place] if place >= 0 else self.carried[place]


@dataclass(frozen=True)
class Landed:
    """How many calls a window brought, and how many were new, changed, removed and rejected."""

    fetched: int = 0
    inserted: int = 0
    updated: int = 0
    removed: int = 0
    rejected: int = 0

    def __str__(self) -> str:
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        return (
            f"{self.fetched} calls read: {self.inserted} new, {self.updated} changed, "
            f"{self.removed} removed{rejected}"
        )

    def __add__(self, other: Landed) -> Landed:
        return Landed(
            self.fetched + other.fetched,
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.removed + other.removed,
            self.rejected + other.rejected,
        )


def stage(conn: psycopg.Connection, project: Project, answer: Answer) -> Staged:
    """Makes the temporary table `answer`: the calls as answered, the last one of equal ids.

    Writes nothing else, so other connections may meanwhile stage or merge the windows before.
    Raises LoadError for calls of another project, and if `conn` has no half of the project's lock.
    """
    staged = Staged(conn, answer, list(answer.rows))
    with conn.transaction():
        _begin(conn, project)
        conn.execute("set local synchronous_commit = off; drop table if exists pg_temp.answer")
        try:
            with conn.transaction():
                has_unknown = _expand(staged, project, range(len(staged.rows)), "timestamptz")
        # A row that Postgres cannot store, or a wrong calldate: prepare row by row, which is slow.
        except (psycopg.DataError, errors.StatementTooComplex):
            _make_storable(staged)
            conn.execute(_CAREFUL_MOMENT)
            has_unknown = _expand(staged, project, range(len(staged.rows)), "pg_temp.moment")
        if has_unknown:  # a known call is stored, so it has passed all this
            _check_project(conn, project)
            _leave_out_deleted(conn, project)  # first: what is rejected is stored too
            _reject(staged)
        _keep_last(staged)
    return staged


def _begin(conn: psycopg.Connection, project: Project) -> None:
    """Prepares a transaction of the session that holds a half of the project's lock."""
    raw.hold(conn, project)
    # A calldate without an offset is the project's time.
    conn.execute(_SETTINGS.format(zone=sql.Literal(project.time_zone.key)))


def _keep_last(staged: Staged) -> None:
    """Of the calls in `answer` with equal ids, the last one counts."""
    repeated = staged.conn.execute(
        """
        delete from answer as earlier
        using answer as later
        where earlier.call_id = later.call_id and earlier.place < later.place
        returning earlier.call_id
        """
    ).fetchall()
    staged.repeated.update(call_id for (call_id,) in repeated)


def _leave_out_deleted(conn: psycopg.Connection, project: Project) -> None:
    """Removes the calls from `answer` that `ringostat contact delete` has deleted."""
    # A call without a payload is in the raw table, so it is not deleted.
    landed = sql.SQL("select call_id from answer where payload is not null")
    if ids := deletions.deleted_ids(conn, project.project_id, "call", landed):
        conn.execute("delete from answer where call_id = any(%s)", [ids])


def _array(numbers: Iterable[int]) -> str:
    """An array as Postgres reads it. psycopg takes several times as long."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _expand(
    staged: Staged,
    project: Project,
    places: Sequence[int],
    moment: str,
    into: str = "create temporary table answer as",
) -> bool:
    """Writes the rows of `places` into `answer`; returns whether some of them had to be parsed.

    A call that is stored with the same digest gets its id and no payload, and its text is not sent.
    `moment` is the function that reads a calldate. Raises LoadError if somebody changes digests
    meanwhile.
    """
    conn, window = staged.conn, staged.answer.window
    of_window = {
        "project_id": project.project_id,
        "known_from": window.certain_from + 2 * SECOND,
        "latest": window.latest,
    }
    is_known = sql.SQL(_IS_KNOWN)
    query = sql.SQL("select digest from ringostat_raw.calls where {is_known}")
    stored = {digest for (digest,) in conn.execute(query.format(is_known=is_known), of_window)}
    found = text_digests(map(staged.row, places), project.time_zone.key)
    digests = dict(zip(places, found, strict=True))
    known = {place: digest for place, digest in digests.items() if digest in stored}
    unknown = {place: digest for place, digest in digests.items() if digest not in stored}
    _parse(staged, project, unknown, moment, into)
    if known:
        query = sql.SQL(
            """
            insert into answer (place, digest, call_id)
            select
                answered.place,
                answered.digest,
                calls.call_id
            from
                unnest(%(places)s::int[], %(digests)s::bigint[]) as answered (place, digest)
            inner join ringostat_raw.calls on answered.digest = calls.digest
            where {is_known}
            """
        )
        arrays = {"places": _array(known), "digests": _array(known.values())}
        added = conn.execute(query.format(is_known=is_known), {**of_window, **arrays})
        if added.rowcount < len(known):
            raise LoadError("ringostat_raw.calls.digest was changed during the load: load again")
    return bool(unknown)


def _parse(
    staged: Staged, project: Project, digests: Mapping[int, int], moment: str, into: str
) -> None:
    """Sends the rows of these places to Postgres, which parses them.

    Reads no other table: of a distributed one, Citus would have a worker parse the calls, which
    lacks the temporary function `moment`.
    """
    conn, window = staged.conn, staged.answer.window
    query = sql.SQL(
        r"""
        {into}
        with parsed as (
            select
                place,
                digest,
                text::jsonb as payload
            from
                rows from (
                    unnest(%(places)s::int[]),
                    unnest(%(digests)s::bigint[]),
                    string_to_table(convert_from(%(rows)b, 'utf8'), %(separator)s)
                ) as answered (place, digest, text)
            offset 0  -- otherwise Postgres parses the text again for each use of the payload
        )

        select
            place,
            digest,
            payload,
            case
                when btrim(payload ->> 'uniqueid', E' \t\n\r\f\x0b\u00a0') <> ''
                    then payload ->> 'uniqueid'
                else 'sha256:' || encode(sha256(convert_to(
                    coalesce(payload ->> 'calldate', '') || '|'
                    || coalesce(payload ->> 'caller', '') || '|'
                    || coalesce(payload ->> 'dst', ''), 'utf8')), 'hex')
            end as call_id,
            case
                when payload ->> 'calldate' like '____-__-__%%'
                    then {moment}(payload ->> 'calldate')
            end as call_at,
            case
                -- As nearly every card ends: the regular expression takes a third of the whole.
                when payload ->> 'call_card' like %(own_card)s then %(own_number)s
                else substring(payload ->> 'call_card' from %(card)s)
            end as project_id
        from parsed
        """
    )
    conn.execute(
        query.format(into=sql.SQL(into), moment=sql.SQL(moment)),
        {
            "places": _array(digests),
            "digests": _array(digests.values()),
            "rows": _SEPARATOR.join(map(staged.row, digests)),
            "separator": _SEPARATOR.decode(),
            "own_card": f"%?project_id={project.project_id}",
            "own_number": str(project.project_id),
            "card": call_card.PROJECT_NUMBER,
        },
    )
    doubled = window.doubled(project.time_zone)
    if doubled:
        # Postgres reads a time of the doubled hour as the later moment. If only the earlier one can
        # have been answered, it is the earlier one.
        conn.execute(
            r"""
            update answer
            set call_at = call_at - %(doubled)s
            where
                call_at > %(latest)s
                and (call_at - %(doubled)s)::timestamp = call_at::timestamp
                and payload ->> 'calldate' !~ ':\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)\s*$'
            """,
            {"doubled": doubled, "latest": window.latest},
        )


def _make_storable(staged: Staged) -> None:
    """Rewrites the staged rows so that Postgres can store them, and rejects the others."""
    rows: list[Row] = []
    for row in staged.rows:
        try:
            rows.append(storable(row))
        except RecursionError:
            staged.rejected.append((row, unparsed_id(row), "nested too deeply"))
    staged.rows = rows


def _check_project(conn: psycopg.Connection, project: Project) -> None:
    """Raises LoadError for calls of another project."""
    wrong = conn.execute(
        "select project_id from answer where project_id <> %s limit 1", [str(project.project_id)]
    ).fetchone()
    if wrong is not None:
        raise LoadError(
            f"the key in {project.key_variable} belongs to Ringostat project {wrong[0]}, "
            f"but projects.csv gives it to project {project.project_id}"
        )


def _reject(staged: Staged) -> None:
    """Removes the rows from `answer` that have no usable time or cannot be stored."""
    window = staged.answer.window
    unusable = staged.conn.execute(
        """
        delete from answer
        where
            octet_length(call_id) > %(longest_id)s
            or payload is not null
            and (call_at is null or call_at not between %(earliest)s and %(latest)s)
        returning
            octet_length(call_id) > %(longest_id)s,
            place,
            call_id,
            call_at is null,
            left(payload ->> 'calldate', 100)
        """,
        {"longest_id": raw.LONGEST_ID, "earliest": window.earliest, "latest": window.latest},
    )
    for is_endless, place, call_id, is_unreadable, calldate in unusable:
        if is_endless:
            reason = "the uniqueid is too long"
        else:
            outside = f"outside the period asked for, {window}"
            reason = "unreadable calldate" if is_unreadable else outside
            staged.misplaced.append(Misplaced(place, call_id, is_unreadable, calldate))
        staged.rejected.append((staged.row(place), call_id, reason))


def _count_rejected(run: Run, staged: Staged) -> int:
    """Adds the window's rejected rows to the run's; returns how many of them are new to it.

    Raises LoadError if they are too many: the fault is a general one.
    """
    run.rejected_ids.update(call_id for _, call_id, _ in staged.rejected)
    run.fetched += len(staged.answer.rows)
    before = len(run.rejected)
    run.rejected.update(bytes(row) for row, _, _ in staged.rejected)
    new = len(run.rejected) - before
    if not _are_many(len(staged.rejected), len(staged.answer.rows)) and not (
        new and _are_many(len(run.rejected), run.fetched)
    ):
        return new
    if not staged.misplaced:
        raise LoadError(f"{len(run.rejected)} calls cannot be stored: {staged.rejected[0][2]}")
    # A wrong zone explains the rest.
    _, call_id, is_unreadable, calldate = min(
        staged.misplaced, key=lambda call: (call.is_unreadable, call.place)
    )
    # An id that is a hash tells the caller's number to anybody who tries all of them.
    which = "a call without uniqueid" if call_id.startswith("sha256:") else f"call {call_id[:60]}"
    call = f"{which} (and {len(run.rejected) - 1} more)"
    shown = mask(str(calldate))[:40]
    if is_unreadable:
        raise LoadError(f"{call} has an unreadable calldate: {shown!r}")
    raise LoadError(
        f"{call} of {shown} lies outside the period asked for, {staged.answer.window}: is "
        "time_zone in projects.csv the zone that the project has in Ringostat, and does the API "
        "read from and to on its clock? `ringostat connect --check` measures it"
    )


def _are_many(rejected: int, fetched: int) -> bool:
    return rejected > _FEW and rejected > _SMALL_SHARE * fetched


def merge(run: Run, staged: Staged) -> Landed:
    """Brings `calls` up to the staged answer and writes the load log, in one transaction.

    The window before must have been merged. Raises LoadError for an answer that cannot be trusted:
    too many of its calls are rejected or, in the run's last window, gone.
    """
    with staged.conn.transaction():
        _begin(staged.conn, run.project)
        rejected = _count_rejected(run, staged)
        _take_carried(run, staged)
        run.repeated.update(staged.repeated)
        landed = _merge(staged.conn, run, staged, rejected)
    run.inserted += landed.inserted
    if staged.answer.window.end != run.period.end:
        _tell_of_new_calls(staged.conn, run)
    return landed


def _tell_of_new_calls(conn: psycopg.Connection, run: Run) -> None:
    """Has Postgres count each project's calls again, once the run has brought ten times as many.

    Of a project that it has not counted, Postgres expects one call. It may then look for a call in
    any index that begins with the project, and reads all of the project's calls each time: landing
    65,000 calls beside another project's 60,000 took 19 s instead of 1.4.
    """
    if run.inserted < max(_MANY_NEW, 10 * run.counted):
        return
    # A vacuum may hold the table for long: then the next window tries again.
    with suppress(errors.LockNotAvailable), conn.transaction():
        conn.execute("set local lock_timeout = '3s'")
        conn.execute("analyze ringostat_raw.calls (project_id)")
        run.counted = run.inserted


def _take_carried(run: Run, staged: Staged) -> None:
    """Adds the calls to `answer` that were carried to its window: before its own, which count."""
    latest = staged.answer.window.latest
    staged.carried = [row for stored_at, row in run.carried if stored_at <= latest]
    run.carried = [one for one in run.carried if one[0] > latest]
    if staged.carried:
        places = range(-len(staged.carried), 0)
        _expand(staged, run.project, places, "timestamptz", "insert into answer")
        _keep_last(staged)


def _merge(conn: psycopg.Connection, run: Run, staged: Staged, rejected: int) -> Landed:
    window = staged.answer.window
    is_last = window.end == run.period.end
    if not is_last:
        # A crash may lose the latest windows with their log rows: they are read again. The commit
        # of the last window waits until everything is on disk, before the run reports success.
        conn.execute("set local synchronous_commit = off")
    load_id, now = raw.next_load(conn, run.project)
    run.first_load_id = run.first_load_id or load_id
    values = {
        "project_id": run.project.project_id,
        "load_id": load_id,
        "first_load_id": run.first_load_id,
        "now": now,
        "latest": window.latest,
        "run_ends": run.period.ends,
        "certain_from": window.certain_from,
        "certain_to": window.certain_to,
    }
    inserted, updated = _upsert(conn, run, staged, values)
    missing = conn.execute(
        """
        select call_id
        from ringostat_raw.calls
        where
            project_id = %(project_id)s
            and call_at >= %(certain_from)s
            and call_at < %(certain_to)s
            and removed_at is null
            and call_id not in (select answer.call_id from answer)
        """,
        values,
    ).fetchall()
    run.missing += [call_id for (call_id,) in missing]
    removed = _remove_missing(conn, run, values) if is_last else 0
    _keep_rejected(conn, staged, values)
    landed = Landed(len(staged.answer.rows), inserted, updated, removed, rejected)
    conn.execute(
        """
        insert into ringostat_raw.loads
            (load_id, project_id, window_from, window_to, status, fetched, inserted, updated,
             removed, started_at, finished_at)
        overriding system value
        values (%(load_id)s, %(project_id)s, %(begins)s, %(ends)s, 'loaded', %(fetched)s,
                %(inserted)s, %(updated)s, %(removed)s, least(%(asked_at)s, %(now)s), %(now)s)
        """,
        {
            **values,
            **vars(landed),
            "begins": window.begins,
            "ends": window.ends,
            "asked_at": staged.answer.asked_at,
        },
    )
    raw.mark_loaded(conn, run.project, window, now)
    if is_last and run.is_whole:
        raw.mark_whole(conn, run.project, now)
    return landed


def _upsert(
    conn: psycopg.Connection, run: Run, staged: Staged, values: dict[str, object]
) -> tuple[int, int]:
    """Writes the new and the changed calls; returns the number of each."""
    # Unchanged calls are left out before the upsert: they are neither written nor locked.
    upserted = conn.execute(
        """
        with parsed as (
            select
                answer.place,
                answer.call_id,
                calls.call_at as stored_at,
                calls.call_id is null as is_new,
                calls.removed_at is not null
                or calls.call_at <> answer.call_at
                or calls.payload <> answer.payload as is_changed,
                calls.removed_at is null
                and calls.call_at > %(latest)s
                and calls.call_at < %(run_ends)s as is_waiting,
                calls.load_id >= %(first_load_id)s
                and calls.call_at <> answer.call_at as is_repeated
            from answer
            left join lateral (
                select *
                from ringostat_raw.calls
                where calls.project_id = %(project_id)s and calls.call_id = answer.call_id
                limit 1  -- one index look-up per call, never a scan of the whole table
            ) as calls on true
            where answer.payload is not null
        ),

        written as (
            insert into ringostat_raw.calls
                (project_id, call_id, call_at, payload, load_id, first_loaded_at, loaded_at,
                 digest)
            select %(project_id)s, call_id, call_at, payload, %(load_id)s, %(now)s, %(now)s, digest
            from answer
            where place in (
                select place from parsed where is_new or (is_changed and not is_waiting)
            )
            on conflict (project_id, call_id) do update set
                call_at = excluded.call_at,
                payload = excluded.payload,
                load_id = excluded.load_id,
                loaded_at = excluded.loaded_at,
                removed_at = excluded.removed_at,
                digest = excluded.digest
        )

        select
            count(*) filter (where is_new),
            count(*) filter (where is_changed and not is_waiting),
            count(*) filter (where not (is_new or is_changed)),
            array_agg(call_id) filter (where is_repeated),
            array_agg(place) filter (where is_waiting),
            array_agg(stored_at) filter (where is_waiting)
        from parsed
        """,
        values,
    )
    inserted, updated, rehashed, repeated, places, moments = only_row(upserted)
    run.repeated.update(repeated or ())
    run.carried += [
        (stored_at, staged.row(place))
        for place, stored_at in zip(places or (), moments or (), strict=True)
    ]
    if rehashed:
        # The same calls with another text, or without a digest: next time they are known.
        conn.execute(
            """
            update ringostat_raw.calls
            set digest = answer.digest
            from answer
            where
                calls.project_id = %(project_id)s
                and calls.call_id = answer.call_id
                and calls.call_at = answer.call_at
                and calls.payload = answer.payload
                and calls.digest is distinct from answer.digest
            """,
            values,
        )
    return inserted, updated


def _remove_missing(conn: psycopg.Connection, run: Run, values: dict[str, object]) -> int:
    """Marks the calls as removed that the whole run did not find, except in its outer hours."""
    values = {
        **values,
        # Rejected calls were answered, so they are not missing.
        "missing": [call_id for call_id in run.missing if call_id not in run.rejected_ids],
        "removable_from": run.period.removable_from,
        "removable_to": run.period.removable_to,
    }
    removed = conn.execute(
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
        values,
    ).rowcount
    if removed <= settings.max_removed_calls() or run.allow_removals:
        return removed
    counted = conn.execute(
        """
        select count(*)
        from ringostat_raw.calls
        where
            project_id = %(project_id)s
            and call_at >= %(removable_from)s
            and call_at < %(removable_to)s
            and removed_at is null
        """,
        values,
    )
    (kept,) = only_row(counted)
    if removed > settings.max_removed_share() * (kept + removed):
        raise LoadError(
            f"Ringostat no longer lists {removed} of the {kept + removed} calls of {run.period}: "
            "none of them was removed. If they are gone for good, run again with --allow-removals"
        )
    return removed


def _keep_rejected(conn: psycopg.Connection, staged: Staged, values: dict[str, object]) -> None:
    for row, call_id, reason in staged.rejected:
        payload = bytes(row).decode(errors="replace").replace("\0", "\ufffd")
        conn.execute(
            """
            insert into ringostat_raw.rejected_calls
                (project_id, digest, call_id, payload, reason, load_id, rejected_at)
            values (%(project_id)s, hashtextextended(%(payload)s, 0), %(call_id)s, %(payload)s,
                    %(reason)s, %(load_id)s, %(now)s)
            on conflict do nothing
            """,
            {**values, "call_id": call_id, "payload": payload, "reason": reason},
        )
