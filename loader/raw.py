"""The raw tables, the lock of a project, and the load log."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import errors

from loader import settings
from loader.api import Fields
from loader.clock import wall_clock
from loader.database import only_row
from loader.errors import ConfigurationError, LoadError
from loader.projects import Project
from loader.windows import Window

log = logging.getLogger(__name__)

TABLES = (Path(__file__).parent / "raw.sql").read_text(encoding="utf-8")
_RELATIONS = re.findall(
    r"(?m)^create (?:table if not exists|or replace view) ringostat_raw\.(\w+)"
    r"|^create index if not exists (\w+)",
    TABLES,
)
_COLUMNS = re.findall(
    r"(?m)^alter table ringostat_raw\.(\w+)\s+add column if not exists (\w+)", TABLES
)

# The tables that are spread by project; all but the first are placed beside it. `settings` is
# copied to every node instead.
_DISTRIBUTED = (
    "calls",
    "forms",
    "loads",
    "load_state",
    "known_fields",
    "rejected_calls",
    "alerts",
    "deleted_contacts",
)

# Of a call or a form, in bytes: an index of Postgres holds no more than 2,704.
LONGEST_ID = 2000

# The log keeps this many days; its oldest rows are deleted in small steps.
_LOG_DAYS = 90
_LOG_STEP = 100

# Refused fields are asked for again after this many days.
_REFUSED_DAYS = 7


def create_tables(conn: psycopg.Connection) -> None:
    """Creates what is missing in the schema `ringostat_raw`; changes nothing if nothing is missing.

    Also stores the salt of `caller_key`, so that there is one before the first call. Raises
    ConfigurationError if the role lacks the rights or the database is read-only.
    """
    missing: list[str] = []
    try:
        with conn.transaction():
            # If two first loads run at once, one creates the tables and the other waits.
            conn.execute("select pg_advisory_xact_lock(hashtextextended('ringostat_raw', 0))")
            missing = _missing(conn)
            if "ringostat_raw" in missing:
                # `if not exists` needs the right to create schemas even if the schema exists.
                conn.execute("create schema ringostat_raw")
            if missing:
                # One by one: Citus creates an index only by a statement of its own.
                for statement in TABLES.split(";\n"):
                    conn.execute(statement)
            _distribute(conn)
            _keep_caller_salt(conn)
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"Postgres: {error.diag.message_primary}. {_needed_rights(conn, missing)}"
        ) from None
    except errors.ReadOnlySqlTransaction as error:
        raise ConfigurationError(f"Postgres is read-only: {error.diag.message_primary}") from None


def _distribute(conn: psycopg.Connection) -> None:
    """Spreads the tables over the nodes of Citus if RINGOSTAT_DISTRIBUTED is 1, with their rows.

    Raises ConfigurationError if the database says otherwise than the setting: half of the tables
    would be spread, and half not.
    """
    has_citus = only_row(conn.execute("select to_regclass('pg_dist_partition') is not null"))[0]
    if not has_citus and settings.is_distributed():
        raise ConfigurationError(
            f"{settings.DISTRIBUTED} is 1, but the database has no Citus: create extension citus"
        )
    if not has_citus:
        return
    found = conn.execute(
        # by hash, or copied to every node: Citus also lists tables that it leaves where they are
        "select logicalrelid::text from pg_dist_partition join pg_class on oid = logicalrelid"
        " where relnamespace = 'ringostat_raw'::regnamespace"
        " and (partmethod = 'h' or partmethod = 'n' and repmodel = 't')"
    )
    spread = {name.rpartition(".")[2] for (name,) in found}
    if not settings.is_distributed():
        if spread:
            raise ConfigurationError(
                f"{settings.DISTRIBUTED} is not 1, but the tables of this database are spread over"
                " the nodes of Citus: set it to 1"
            )
        return
    try:
        for table in (table for table in _DISTRIBUTED if table not in spread):
            name = f"ringostat_raw.{table}"
            beside = "none" if table == _DISTRIBUTED[0] else f"ringostat_raw.{_DISTRIBUTED[0]}"
            conn.execute(
                "select create_distributed_table(%s, 'project_id', colocate_with => %s)",
                [name, beside],
            )
            conn.execute("select truncate_local_data_after_distributing_table(%s)", [name])
        if "settings" not in spread:
            conn.execute("select create_reference_table('ringostat_raw.settings')")
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"Postgres: {error.diag.message_primary}. To spread the tables over the nodes of Citus,"
            " load once as their owner"
        ) from None


def _keep_caller_salt(conn: psycopg.Connection) -> None:
    """Stores RINGOSTAT_CALLER_SALT; without it, keeps the stored salt, or makes a random one.

    If one shell or cron job lacks the variable, the keys of all history must not change.
    """
    stored = conn.execute(
        "select value from ringostat_raw.settings where name = 'caller_salt'"
    ).fetchone()
    salt = settings.caller_salt() or (stored[0] if stored else secrets.token_hex(32))
    if stored == (salt,):
        return
    conn.execute(
        """
        insert into ringostat_raw.settings (name, value) values ('caller_salt', %s)
        on conflict (name) do update set value = excluded.value
        """,
        [salt],
    )
    if stored:
        log.warning(
            "%s is not the salt of the last load: every caller_key changes on the next build",
            settings.CALLER_SALT,
        )


def _missing(conn: psycopg.Connection) -> list[str]:
    """What raw.sql names and the database lacks, the schema first. Needs no rights."""
    rows = conn.execute(
        """
        select 'ringostat_raw'
        where not exists (select from pg_namespace where nspname = 'ringostat_raw')
        union all
        select name
        from unnest(%(relations)s::text[]) as named (name)
        where not exists (
            select
            from pg_class
            join pg_namespace on pg_namespace.oid = relnamespace
            where nspname = 'ringostat_raw' and relname = name
        )
        union all
        select tables.name || '.' || columns.name
        from unnest(%(tables)s::text[]) with ordinality as tables (name, place)
        join unnest(%(columns)s::text[]) with ordinality as columns (name, place) using (place)
        where not exists (
            select
            from pg_attribute
            join pg_class on pg_class.oid = attrelid
            join pg_namespace on pg_namespace.oid = relnamespace
            where
                nspname = 'ringostat_raw'
                and relname = tables.name
                and attname = columns.name
                and not attisdropped
        )
        """,
        {
            "relations": [table or index for table, index in _RELATIONS],
            "tables": [table for table, _ in _COLUMNS],
            "columns": [column for _, column in _COLUMNS],
        },
    ).fetchall()
    return [name for (name,) in rows]


def _needed_rights(conn: psycopg.Connection, missing: list[str]) -> str:
    """The rights that `conn`'s role needs to create what is `missing`, and to store the salt."""
    ((role, database),) = conn.execute("select current_user, current_database()").fetchall()
    if "ringostat_raw" in missing:
        return (
            f"The role {role} needs the right to create schemas: grant create on database "
            f"{database} to {role}; or create the schema for it: create schema ringostat_raw "
            f"authorization {role}"
        )
    if not missing:
        return f"Do: grant select, insert, update on ringostat_raw.settings to {role}"
    return (
        f"ringostat_raw lacks {', '.join(missing)}: load once as the owner of its tables, or make "
        f"the role {role} their owner and grant usage, create on schema ringostat_raw to {role}"
    )


@contextmanager
def lock(project: Project, *connections: psycopg.Connection) -> Iterator[None]:
    """Locks the project against other loads, on any machine, for the one or two `connections`.

    The lock has two halves, and two connections hold one each. A load needs both halves, so none
    can begin while a session of this one is left. Raises LoadError at once if one is running.
    Postgres frees what a session held that died.
    """
    halves = list(zip(_halves(project), (connections[0], connections[-1]), strict=True))
    with ExitStack() as held:
        for key, conn in halves:
            taken = conn.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
            if not only_row(taken)[0]:
                raise LoadError(f"another load of project {project.project_id} is running")
            held.callback(_unlock, conn, key)
        yield


def _unlock(conn: psycopg.Connection, key: str) -> None:
    with suppress(psycopg.OperationalError):  # the session is gone, and its lock with it
        conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def hold(conn: psycopg.Connection, project: Project) -> None:
    """Makes sure, inside a transaction, that this session has a half of the project's `lock`.

    Raises LoadError if it does not, as behind a pooler that gives each transaction another session.
    """
    taken = conn.execute(
        """
        select
            pg_try_advisory_xact_lock(hashtextextended(%s, 0))
            or pg_try_advisory_xact_lock(hashtextextended(%s, 0))
        """,
        _halves(project),
    )
    if not only_row(taken)[0]:
        raise LoadError(
            f"the lock of project {project.project_id} is held by another session: another load is "
            "running, or a pooler gives each transaction another session (it must pool sessions)"
        )


def hold_forms(conn: psycopg.Connection, project: Project) -> None:
    """Holds the project's forms until the transaction ends. Waits for another holder."""
    key = f"ringostat forms {project.project_id}"
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def _halves(project: Project) -> tuple[str, str]:
    return f"ringostat load {project.project_id}", f"ringostat load {project.project_id} too"


def loaded_until(conn: psycopg.Connection, project: Project, first: datetime) -> datetime | None:
    """The end of what is loaded of `project` without a gap from the moment `first` on, or None.

    What was read by other clocks than the present ones does not count: calls without an offset, or
    the ends of windows, would be hours off.
    """
    row = conn.execute(
        """
        select upper(ranges.loaded)
        from ringostat_raw.load_state
        cross join lateral unnest(load_state.loaded) as ranges (loaded)
        where
            load_state.project_id = %(project_id)s
            and coalesce(load_state.time_zone, %(zone)s) = %(zone)s
            and ranges.loaded @> %(first)s::timestamptz
        """,
        {"project_id": project.project_id, "zone": project.clocks, "first": first},
    ).fetchone()
    return row[0] if row else None


def latest_clocks(conn: psycopg.Connection, project: Project) -> str | None:
    """The clocks by which the newest window of `project` was read; None if they are unknown."""
    row = conn.execute(
        "select time_zone from ringostat_raw.load_state where project_id = %s",
        [project.project_id],
    ).fetchone()
    return row[0] if row else None


def next_id_and_time(conn: psycopg.Connection) -> tuple[int, datetime]:
    """The id of the next landing, and the time.

    A statement of its own: if it also read a distributed table, Citus would run it on a worker, and
    each worker has its own range of ids and its own clock.
    """
    drawn = conn.execute(
        """
        select
            nextval(pg_get_serial_sequence('ringostat_raw.loads', 'load_id')),
            clock_timestamp()
        """
    )
    load_id, now = only_row(drawn)
    return load_id, now


def next_load(conn: psycopg.Connection, project: Project) -> tuple[int, datetime]:
    """The id and the `loaded_at` of the next landing, while the project's `lock` is held.

    The time is later than that of all calls landed before, even if the machine's clock was set
    back: the latest `loaded_at` is dbt's watermark.
    """
    load_id, now = next_id_and_time(conn)
    earlier = conn.execute(
        """
        select max(last_loaded_at) + interval '1 microsecond'
        from ringostat_raw.load_state
        where project_id = %s
        """,
        [project.project_id],
    )
    (at_least,) = only_row(earlier)
    return load_id, max(now, at_least or now)


def mark_loaded(conn: psycopg.Connection, project: Project, window: Window, now: datetime) -> None:
    """Adds `window`, whose row of the log was just written, to the project's state.

    Belongs to the transaction that lands the window. Drops rows of the log that are too old.
    """
    conn.execute(
        """
        insert into ringostat_raw.load_state as state
            (project_id, loaded, last_loaded_at, status, finished_at, time_zone)
        values
            (%(project_id)s, tstzmultirange(tstzrange(%(begins)s, %(ends)s)), %(now)s, 'loaded',
             %(now)s, %(zone)s)
        on conflict (project_id) do update set
            -- Everything that was read in another zone must be read again.
            loaded = case
                when coalesce(state.time_zone, excluded.time_zone) = excluded.time_zone
                    then state.loaded + excluded.loaded
                else excluded.loaded
            end,
            time_zone = excluded.time_zone,
            last_loaded_at = excluded.last_loaded_at,
            status = excluded.status,
            error = null,
            finished_at = excluded.finished_at
        """,
        {
            "project_id": project.project_id,
            "begins": window.begins,
            "ends": window.ends,
            "now": now,
            "zone": project.clocks,
        },
    )
    _forget_old_rows(conn, project)


def fullest_unproven(conn: psycopg.Connection, project: Project) -> tuple[Window, int] | None:
    """The window of the log with the most calls, and how many, of those that no run has proven to
    be whole; None if there is none."""
    row = conn.execute(
        """
        select window_from, window_to, fetched
        from ringostat_raw.loads
        where project_id = %s and status = 'loaded' and whole_since is null and fetched > 1
        order by fetched desc, load_id
        limit 1
        """,
        [project.project_id],
    ).fetchone()
    if row is None:
        return None
    zone = project.api_time_zone
    start, end = (wall_clock(moment, zone) for moment in row[:2])
    return (Window(start, end, zone), row[2]) if start < end else None


def mark_whole(conn: psycopg.Connection, project: Project, now: datetime) -> None:
    """All windows of the log are whole: the API cut the fullest of them nowhere.

    Belongs to the transaction that lands the last window of the run.
    """
    conn.execute(
        """
        update ringostat_raw.loads
        set whole_since = %s
        where project_id = %s and status = 'loaded' and whole_since is null
        """,
        [now, project.project_id],
    )


def distrust(conn: psycopg.Connection, project: Project, calls: int, error: str) -> None:
    """The API cuts answers at `calls`: the windows with as many calls no longer count as loaded."""
    values = {"project_id": project.project_id, "calls": calls, "error": error}
    with conn.transaction():
        conn.execute(
            """
            update ringostat_raw.load_state
            set loaded = loaded - coalesce(
                (
                    select range_agg(tstzrange(window_from, window_to))
                    from ringostat_raw.loads
                    where
                        project_id = %(project_id)s
                        and status = 'loaded'
                        and fetched >= %(calls)s
                        and whole_since is null
                ),
                '{}'
            )
            where project_id = %(project_id)s
            """,
            values,
        )
        conn.execute(
            """
            update ringostat_raw.loads
            set status = 'failed', error = %(error)s
            where
                project_id = %(project_id)s
                and status = 'loaded'
                and fetched >= %(calls)s
                and whole_since is null
            """,
            values,
        )


def _forget_old_rows(conn: psycopg.Connection, project: Project) -> None:
    """Deletes some of the oldest rows of the log, never the newest: the state has their
    contents."""
    conn.execute(
        """
        delete from ringostat_raw.loads
        where
            project_id = %(project_id)s
            and load_id in (
                select load_id
                from ringostat_raw.loads
                where project_id = %(project_id)s
                order by load_id
                limit %(step)s
            )
            and finished_at < now() - make_interval(days => %(days)s)
            and load_id < (
                select load_id
                from ringostat_raw.loads
                where project_id = %(project_id)s
                order by load_id desc
                limit 1
            )
        """,
        {"project_id": project.project_id, "step": _LOG_STEP, "days": _LOG_DAYS},
    )


def record_failure(
    conn: psycopg.Connection, project: Project, window: Window, asked_at: datetime, error: str
) -> None:
    """Writes a `failed` row into the load log: nothing of `window` was landed."""
    values = {
        "project_id": project.project_id,
        "begins": window.begins,
        "ends": window.ends,
        "asked_at": asked_at,
        "error": error,
    }
    with conn.transaction():
        conn.execute(
            """
            insert into ringostat_raw.loads
                (project_id, window_from, window_to, status, started_at, finished_at, error)
            values (%(project_id)s, %(begins)s, %(ends)s, 'failed', %(asked_at)s, now(), %(error)s)
            """,
            values,
        )
        conn.execute(
            """
            insert into ringostat_raw.load_state
                (project_id, loaded, status, error, finished_at)
            values (%(project_id)s, '{}', 'failed', %(error)s, now())
            on conflict (project_id) do update set
                status = excluded.status,
                error = excluded.error,
                finished_at = excluded.finished_at
            """,
            values,
        )
        _forget_old_rows(conn, project)


def known_fields(conn: psycopg.Connection, project: Project) -> Fields:
    """The fields of the project that earlier runs found. Refused ones are forgotten after a while,
    so that they are asked for again."""
    row = conn.execute(
        """
        select
            accepted,
            case
                when checked_at > now() - make_interval(days => %s) then refused
                else '{}'
            end
        from ringostat_raw.known_fields
        where project_id = %s
        """,
        [_REFUSED_DAYS, project.project_id],
    ).fetchone()
    return Fields(*map(tuple, row)) if row else Fields()


def keep_fields(conn: psycopg.Connection, project: Project, fields: Fields) -> None:
    """Stores which fields of the project this run found."""
    conn.execute(
        """
        insert into ringostat_raw.known_fields (project_id, accepted, refused, checked_at)
        values (%(project_id)s, %(accepted)s, %(refused)s, now())
        on conflict (project_id) do update set
            accepted = excluded.accepted,
            refused = excluded.refused,
            checked_at = excluded.checked_at
        """,
        {
            "project_id": project.project_id,
            "accepted": list(fields.accepted),
            "refused": list(fields.refused),
        },
    )
