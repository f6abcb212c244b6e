"""The raw tables, the lock of a project, and the load log."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import errors

from loader import settings
from loader.errors import ConfigurationError, LoadError
from loader.projects import Project
from loader.windows import Window

log = logging.getLogger(__name__)

_HAS_DIGEST = """
    select true from pg_attribute
    where attrelid = 'ringostat_raw.calls'::regclass and attname = 'digest'
"""
_TABLES = (Path(__file__).parent / "raw.sql").read_text(encoding="utf-8")


def create_tables(conn: psycopg.Connection) -> None:
    """Creates the schema `ringostat_raw` where it is missing; an existing one stays as it is.

    Stores the salt of `caller_key` too: no call gets here before there is one. Raises
    ConfigurationError if the role may not do so or the database is read-only.
    """
    try:
        with conn.transaction():
            # Two first loads at once: one creates, the other waits and finds all of it.
            conn.execute("select pg_advisory_xact_lock(hashtextextended('ringostat_raw', 0))")
            # The newest table of the file: if it exists, all the rest does.
            if conn.execute("select to_regclass('ringostat_raw.settings')").fetchone()[0] is None:
                conn.execute(_TABLES)
            if not conn.execute(_HAS_DIGEST).fetchone():
                # Tables of before 0.1.0. The calls in there are compared by their payload.
                conn.execute("alter table ringostat_raw.calls add column digest bigint")
            _keep_caller_salt(conn)
            # What raw.sql adds to tables that an earlier version made.
            conn.execute(_TABLES[_TABLES.index("alter table ringostat_raw.loads") :])
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"Postgres: {error.diag.message_primary}. The role {conn.info.user} needs the right "
            f"to create schemas: grant create on database {conn.info.dbname} to {conn.info.user}"
        ) from None
    except errors.ReadOnlySqlTransaction as error:
        raise ConfigurationError(f"Postgres is read-only: {error.diag.message_primary}") from None


def _keep_caller_salt(conn: psycopg.Connection) -> None:
    """Stores RINGOSTAT_CALLER_SALT; without it what is stored stays, at first a random salt.

    A variable that one shell or cron job lacks must not change the keys of all history.
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


@contextmanager
def lock(conn: psycopg.Connection, project: Project) -> Iterator[None]:
    """Holds the project against other loads, on this machine or another, for the session `conn`.

    Raises LoadError at once if one is running. Postgres frees the lock of a session that died.
    """
    taken = conn.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [_key(project)])
    if not taken.fetchone()[0]:
        raise LoadError(f"another load of project {project.project_id} is running")
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError):  # the session is gone, and its lock with it
            conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [_key(project)])


def hold(conn: psycopg.Connection, project: Project) -> None:
    """Makes sure, inside a transaction, that nobody else has the project's `lock`.

    Raises LoadError if this session does not have it either, as behind a pooler that gives each
    transaction another session.
    """
    taken = conn.execute(
        "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [_key(project)]
    )
    if not taken.fetchone()[0]:
        raise LoadError(
            f"the lock of project {project.project_id} is held by another session: another load is "
            "running, or a pooler gives each transaction another session (it must pool sessions)"
        )


def _key(project: Project) -> str:
    return f"ringostat load {project.project_id}"


def loaded_until(conn: psycopg.Connection, project: Project, first: datetime) -> datetime | None:
    """Up to where `project` is loaded without a gap from the moment `first` on; None if not.

    What was read in another zone than today's, and all before it, does not count.
    """
    row = conn.execute(
        """
        select upper(ranges.loaded)
        from (
            select unnest(range_agg(tstzrange(window_from, window_to))) as loaded
            from ringostat_raw.loads
            where
                project_id = %(project_id)s
                and status = 'loaded'
                and load_id > (
                    select coalesce(max(load_id), 0)
                    from ringostat_raw.loads
                    where
                        project_id = %(project_id)s
                        and status = 'loaded'
                        and time_zone <> %(zone)s
                )
        ) as ranges
        where ranges.loaded @> %(first)s::timestamptz
        """,
        {"project_id": project.project_id, "zone": project.time_zone.key, "first": first},
    ).fetchone()
    return row[0] if row else None


def latest_zone(conn: psycopg.Connection, project: Project) -> str | None:
    """The zone in which the newest window of `project` was read; None if there is none."""
    row = conn.execute(
        """
        select time_zone
        from ringostat_raw.loads
        where project_id = %s and status = 'loaded'
        order by load_id desc
        limit 1
        """,
        [project.project_id],
    ).fetchone()
    return row[0] if row else None


def next_load(conn: psycopg.Connection, project: Project) -> tuple[int, datetime]:
    """The id and the `loaded_at` of what is landed next, while the project's `lock` is held.

    The time is later than that of all calls and forms landed before, even if the machine's clock
    was set back: dbt reads on from the latest `loaded_at` that it has seen.
    """
    return conn.execute(
        """
        select
            nextval(pg_get_serial_sequence('ringostat_raw.loads', 'load_id')),
            greatest(clock_timestamp(), max(landed_at) + interval '1 microsecond')
        from (
            select max(finished_at) as landed_at
            from ringostat_raw.loads
            where project_id = %(project_id)s
            union all
            select max(loaded_at)
            from ringostat_raw.forms
            where project_id = %(project_id)s
        ) as landed
        """,
        {"project_id": project.project_id},
    ).fetchone()


def record_failure(
    conn: psycopg.Connection, project: Project, window: Window, asked_at: datetime, error: str
) -> None:
    """Writes a `failed` row into the load log: nothing of `window` was landed."""
    conn.execute(
        """
        insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at, error)
        values (%s, %s, %s, 'failed', %s, clock_timestamp(), %s)
        """,
        [project.project_id, window.begins, window.ends, asked_at, error],
    )
