"""Pauses, resumes and deletes a project, and deletes one client's calls and forms."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from loader import csv_file, deletions, projects, raw, settings
from loader.commands import seeds
from loader.database import only_row
from loader.errors import ConfigurationError, LoadError
from loader.projects import Project

log = logging.getLogger(__name__)

_LAYERS = ("seeds", "staging", "intermediate", "marts")

# The tables with the key of a contact, and the columns that name its project and it.
_CONTACTS = (
    ("int_contacts", "project_id", "contact_id"),
    ("int_duplicates", "project_id", "contact_id"),
    ("int_duplicates", "other_project_id", "other_contact_id"),
)
# The watermark of the tables that are computed anew after a deletion.
_CLOCKS = {
    "int_contacts": "staged_at",
    "int_attribution": "staged_at",
    "int_calls_daily": "written_at",
    "int_channels_daily": "written_at",
    "int_conversions_daily": "written_at",
    "int_duplicates": "written_at",
    "int_reported_daily": "written_at",
}

# As in the macro public_id: what the marts show instead of an id that is a hash.
_PUBLIC_ID = sql.SQL(
    """
    case when {id} like 'sha256:%%' then 'sha256:' || encode(sha256(convert_to((
        select value from ringostat_raw.settings where name = 'caller_salt'
    ) || {id}, 'utf8')), 'hex') end
    """
)


def set_active(project: Project, is_active: bool) -> bool:
    """Edits the cell `is_active`. False, and the file does not change, if it has this value."""
    if project.is_active == is_active:
        return False
    seed = projects.parse_seed()
    word = str(is_active).lower()
    seed.save(
        (row.with_cell("is_active", word) if _is_of(row, project) else row).text
        for row in seed.rows
    )
    return True


def listed_or_not(project_id: int) -> Project:
    """The project with that number; an unlisted one can be deleted too."""
    for project in projects.read_projects():
        if project.project_id == project_id:
            return project
    name = "not in projects.csv"
    utc = ZoneInfo("UTC")
    return Project(project_id, name, "", utc, "", date.max, is_active=False, api_time_zone=utc)


# ------------------------------------------------------------------------------- a whole project


@dataclass(frozen=True)
class Traces:
    """The data of a project: rows in the tables of the warehouse, and rows in the CSVs."""

    tables: dict[tuple[str, str], int]
    seeds: list[csv_file.Seed]
    project: Project

    def __bool__(self) -> bool:
        return any(self.tables.values()) or any(map(self._count, self.seeds))

    def __str__(self) -> str:
        rows = [
            f"{count:,} rows in {schema}.{table}"
            for (schema, table), count in self.tables.items()
            if count
        ]
        rows += [f"{self._count(seed)} in {seed.file.name}" for seed in self.seeds]
        return ", ".join(rows)

    def _count(self, seed: csv_file.Seed) -> int:
        return sum(_is_of(row, self.project) for row in seed.rows)


def find_traces(conn: psycopg.Connection, project: Project) -> Traces:
    """What `delete` will delete. Raises ConfigurationError for a seed that cannot be edited, and
    for a project without any data."""
    files = _editable_seeds()
    raw.create_tables(conn)
    return _count_traces(conn, project, files)


def _editable_seeds() -> list[csv_file.Seed]:
    files = [
        projects.parse_seed(),
        seeds.parse_channels(),
        seeds.parse_tags(),
        seeds.parse_costs(),
    ]
    for seed in files:
        csv_file.refuse(seed.faults)
    return files


def _count_traces(conn: psycopg.Connection, project: Project, files: list[csv_file.Seed]) -> Traces:
    counts = {
        table: only_row(
            conn.execute(
                _of_project("select count(*) from {} where {}", table),
                {"project_id": str(project.project_id)},
            )
        )[0]
        for table in _tables(conn)
    }
    traces = Traces(counts, files, project)
    if not traces:
        projects.find(projects.read_projects(), project.project_id)
    return traces


def delete(conn: psycopg.Connection, project: Project) -> Traces:
    """Deletes the project from the warehouse, in one transaction, and from the four CSVs.

    Its row of projects.csv is deleted before the commit, while no load can run: a load that waits
    reads the file again and stops. Its channels, tags and costs are deleted last; an interrupted
    deletion can be repeated with the same number. Raises LoadError while a load is running.
    """
    with _nobody_else_writes(conn, project):
        # Not `find_traces`: its lock on the creation of tables would keep all loads waiting.
        traces = _count_traces(conn, project, _editable_seeds())
        for table in traces.tables:
            conn.execute(
                _of_project("delete from {} where {}", table),
                {"project_id": str(project.project_id)},
            )
        _delete_from_marts(conn, "starts_with({}, %s || ':')", str(project.project_id))
        listed, *labels = traces.seeds
        _take_out(listed, project)
    for seed in labels:
        _take_out(seed, project)
    return traces


def _tables(conn: psycopg.Connection) -> list[tuple[str, str]]:
    """Every present table of the loader and of dbt that has the column project_id."""
    return conn.execute(
        """
        select namespaces.nspname, tables.relname
        from pg_class as tables
        inner join pg_namespace as namespaces on tables.relnamespace = namespaces.oid
        inner join pg_attribute as columns on tables.oid = columns.attrelid
        where
            namespaces.nspname = any(%(schemas)s)
            and tables.relkind in ('r', 'p')
            and not tables.relispartition
            and columns.attname = 'project_id'
            and not columns.attisdropped
        order by array_position(%(schemas)s, namespaces.nspname::text), tables.relname
        """,
        {"schemas": ["ringostat_raw", *map(settings.schema, _LAYERS)]},
    ).fetchall()


def _of_project(query: str, table: tuple[str, str]) -> sql.Composed:
    """`query` of the rows of %(project_id)s. A pair of conversions is of two projects."""
    is_pair = table == (settings.schema("intermediate"), "int_duplicates")
    projects_of_row = "(project_id, other_project_id)" if is_pair else "(project_id)"
    return sql.SQL(query).format(
        sql.Identifier(*table), sql.SQL("%(project_id)s in " + projects_of_row)
    )


def _delete_from_marts(conn: psycopg.Connection, condition: str, value: object) -> None:
    """Deletes rows of the marts that are tables, by the ids of conversions in them.

    The others are views. A mart is a table on Citus if there is a BI role, or as the user chose.
    """
    marts = conn.execute(
        """
        select tables.relname, columns.attname
        from pg_class as tables
        inner join pg_namespace as namespaces on tables.relnamespace = namespaces.oid
        inner join pg_attribute as columns on tables.oid = columns.attrelid
        where
            namespaces.nspname = %s
            and tables.relkind = 'r'
            and columns.attname in ('conversion_id', 'other_id')
        """,
        [settings.schema("marts")],
    ).fetchall()
    for mart, column in marts:
        query = sql.SQL("delete from {} where {}").format(
            sql.Identifier(settings.schema("marts"), mart),
            sql.SQL(condition).format(sql.Identifier(column)),
        )
        conn.execute(query, [value])


def _take_out(seed: csv_file.Seed, project: Project) -> None:
    kept = [row.text for row in seed.rows if not _is_of(row, project)]
    if len(kept) < len(seed.rows):
        seed.save(kept)


# ------------------------------------------------------------------------ one client's contacts


@dataclass(frozen=True)
class Contacts:
    """Calls and forms of a project, by their ids, in any table of the warehouse."""

    project: Project
    calls: list[str]
    forms: list[str]
    first_at: datetime
    last_at: datetime

    @property
    def keys(self) -> list[str]:
        """The ids of the contacts in the models."""
        calls = [f"call:{call_id}" for call_id in self.calls]
        return calls + [f"form:{form_id}" for form_id in self.forms]

    def __str__(self) -> str:
        zone = self.project.time_zone
        first, last = (f"{at.astimezone(zone):%Y-%m-%d}" for at in (self.first_at, self.last_at))
        return f"{len(self.calls)} calls and {len(self.forms)} forms of {first} to {last}"


def find_contacts(
    conn: psycopg.Connection, project: Project, ids: Sequence[str], number: str | None
) -> Contacts:
    """The calls and forms with these `ids`, or of the client with this phone number.

    Also finds rows that only staging has, because somebody deleted the raw row by hand. Raises
    ConfigurationError, which does not show the number, if there are none.
    """
    raw.create_tables(conn)
    _refuse_earlier_marts(conn)
    read = sql.SQL(f"select {_digits('%(number)s::text')}")
    (digits,) = only_row(conn.execute(read, {"number": number}))
    if digits == "":
        raise ConfigurationError("a phone number must have digits")
    values = {"project_id": project.project_id, "ids": list(ids), "digits": digits}
    found: dict[deletions.Kind, set[str]] = {"call": set(), "form": set()}
    moments: list[datetime] = []
    for kind, query in _contact_queries(conn):
        for contact_id, at in conn.execute(query, values):
            found[kind].add(contact_id)
            moments.append(at)
    if not moments:
        sought = "of this number" if digits else f"with the id {' or '.join(ids)}"
        raise ConfigurationError(f"{project} has no call and no form {sought}")
    calls, forms = sorted(found["call"]), sorted(found["form"])
    return Contacts(project, calls, forms, min(moments), max(moments))


def delete_contacts(conn: psycopg.Connection, contacts: Contacts) -> None:
    """Deletes the contacts from the raw tables and from dbt's tables; no load brings them back.

    The next build computes the project again: a caller's next conversion may now be the first.
    Raises LoadError while a load is running.
    """
    project = contacts.project
    with _nobody_else_writes(conn, project):
        stored = set(_tables(conn))
        _delete_from_marts(conn, "{} = any(%s)", _conversion_ids(conn, contacts, stored))
        by_kind: dict[deletions.Kind, list[str]] = {"call": contacts.calls, "form": contacts.forms}
        for kind, ids in by_kind.items():
            deletions.remember(conn, project.project_id, kind, ids)
            for table in _contact_tables(kind):
                if table in stored:
                    query = sql.SQL("delete from {} where project_id = %s and {} = any(%s)")
                    names = sql.Identifier(*table), sql.Identifier(f"{kind}_id")
                    conn.execute(query.format(*names), [project.project_id, ids])
        _delete_by_key(conn, contacts, stored)
        _delete_unused_keys(conn, project, stored)
        _work_out_again(conn, project, stored)


def _conversion_ids(
    conn: psycopg.Connection, contacts: Contacts, stored: set[tuple[str, str]]
) -> list[str]:
    """The ids by which the marts know the contacts."""
    table = (settings.schema("intermediate"), "int_contacts")
    if table not in stored:
        return []
    query = sql.SQL("select conversion_id from {} where project_id = %s and contact_id = any(%s)")
    found = conn.execute(
        query.format(sql.Identifier(*table)), [contacts.project.project_id, contacts.keys]
    ).fetchall()
    return [conversion_id for (conversion_id,) in found]


def _refuse_earlier_marts(conn: psycopg.Connection) -> None:
    """Raises LoadError if the table is still there in which earlier versions held contacts."""
    table = (settings.schema("intermediate"), "int_conversions")
    if table in _tables(conn):
        raise LoadError(
            f"{'.'.join(table)} is of an earlier version and holds contacts too: run "
            "`ringostat run --full-refresh` first, which drops it unless a view of yours reads it"
        )


def _contact_tables(kind: deletions.Kind) -> list[tuple[str, str]]:
    return [
        ("ringostat_raw", f"{kind}s"),
        (settings.schema("staging"), f"stg_ringostat__{kind}s"),
        *([("ringostat_raw", "rejected_calls")] if kind == "call" else []),
    ]


def _contact_queries(conn: psycopg.Connection) -> Iterator[tuple[deletions.Kind, sql.Composed]]:
    """For each table with contacts: a query of ids and times, by %(ids)s or by %(digits)s."""
    stored = set(_tables(conn))
    # The client calls or is called. Of an incoming call, dst is the company's number; of a callback
    # and of an unknown type, it may be the client's.
    caller, caller_number, dst, phone = (
        _digits(f"payload ->> '{field}'") for field in ("caller", "caller_number", "dst", "phone")
    )
    raw_call = f"""
        {{digits}} in ({caller}, {caller_number})
        or (
            coalesce(lower(payload ->> 'call_type'), '') not in ('in', 'transitin')
            and {{digits}} = {dst}
        )
    """
    staged_call = f"""
        {{digits}} = caller_digits
        or (
            coalesce(call_type, '') not in ('in', 'transitin')
            and {{digits}} = {_digits("dst")}
        )
    """
    # Not always JSON, so the number may be anywhere in it.
    rejected_call = """
        regexp_replace(payload, '[ ().+-]', '', 'g')
            ~ ('(?<![0-9])' || {digits} || '(?![0-9])')
    """
    raw_form = f"{{digits}} = {phone}"
    staged_form = "{digits} = caller_digits"
    sought: dict[deletions.Kind, list[tuple[str, str]]] = {
        "call": [
            ("call_at", raw_call),
            ("call_at", staged_call),
            ("rejected_at", rejected_call),
        ],
        "form": [("submitted_at", raw_form), ("submitted_at", staged_form)],
    }
    for kind, of_tables in sought.items():
        for table, (moment, number) in zip(_contact_tables(kind), of_tables, strict=True):
            if table not in stored:
                continue
            yield (
                kind,
                sql.SQL(
                    "select {id}, {at} from {table} where project_id = %(project_id)s and "
                    "({id} = any(%(ids)s) or {public_id} = any(%(ids)s)"
                    " or %(digits)s::text is not null and ({number}))"
                ).format(
                    id=sql.Identifier(f"{kind}_id"),
                    public_id=_PUBLIC_ID.format(id=sql.Identifier(f"{kind}_id")),
                    at=sql.Identifier(moment),
                    table=sql.Identifier(*table),
                    number=sql.SQL(number).format(digits=sql.SQL("%(digits)s::text")),
                ),
            )


def _digits(number: str) -> str:
    """SQL: the digits of a phone number, as the macro `digits` reads them."""
    return (
        f"regexp_replace(coalesce(substring({number} from '.*<([^<>]*)>'), {number}),"
        " '[^0-9]', '', 'g')"
    )


def _delete_by_key(
    conn: psycopg.Connection, contacts: Contacts, stored: set[tuple[str, str]]
) -> None:
    for name, project_column, key_column in _CONTACTS:
        table = (settings.schema("intermediate"), name)
        if table in stored:
            conn.execute(
                sql.SQL("delete from {} where {} = %s and {} = any(%s)").format(
                    sql.Identifier(*table),
                    sql.Identifier(project_column),
                    sql.Identifier(key_column),
                ),
                [contacts.project.project_id, contacts.keys],
            )


def _work_out_again(
    conn: psycopg.Connection, project: Project, stored: set[tuple[str, str]]
) -> None:
    """Makes the next build compute all rows of the project again: its newest rows are then made
    with no settings that the build knows."""
    for name, clock in _CLOCKS.items():
        table = (settings.schema("intermediate"), name)
        if table in stored:
            _forget_what_it_was_made_with(conn, project, table, clock)


def _forget_what_it_was_made_with(
    conn: psycopg.Connection, project: Project, table: tuple[str, str], clock: str
) -> None:
    conn.execute(
        sql.SQL(
            """
            update {table} set made_with = null
            where
                project_id = %(project_id)s
                and {clock} = (
                    select max({clock}) from {table} where project_id = %(project_id)s
                )
            """
        ).format(table=sql.Identifier(*table), clock=sql.Identifier(clock)),
        {"project_id": project.project_id},
    )


def _delete_unused_keys(
    conn: psycopg.Connection, project: Project, stored: set[tuple[str, str]]
) -> None:
    """Deletes the keys of deleted contacts: that of an outgoing call has the dialled number."""
    staging, intermediate = settings.schema("staging"), settings.schema("intermediate")
    users = [
        (staging, "stg_ringostat__calls"),
        (staging, "stg_ringostat__forms"),
        (intermediate, "int_contacts"),
    ]
    if not stored.issuperset(users):
        return
    used = sql.SQL(" union ").join(
        _on("select attribution_key from {} where project_id = %(project_id)s", user)
        for user in users
    )
    query = sql.SQL(
        "delete from {} where project_id = %(project_id)s and attribution_key not in ({})"
    )
    for name in ("int_attribution_keys", "int_attribution"):
        if (intermediate, name) in stored:
            table = sql.Identifier(intermediate, name)
            conn.execute(query.format(table, used), {"project_id": project.project_id})


# ------------------------------------------------------------------------------------------ both


@contextmanager
def _nobody_else_writes(conn: psycopg.Connection, project: Project) -> Iterator[None]:
    """A transaction during which no load, import of forms or build writes to the project.

    Waits for an import and for a build; raises LoadError while a load is running.
    """
    build = f"ringostat build {settings.schema_prefix()}"
    with raw.lock(project, conn), conn.transaction():
        raw.hold_forms(conn, project)
        taken = conn.execute("select pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [build])
        if not only_row(taken)[0]:
            log.info("a dbt build is running: waiting for it")
            conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [build])
        yield


def _on(query: str, table: tuple[str, str]) -> sql.Composed:
    return sql.SQL(query).format(sql.Identifier(*table))


def _is_of(row: csv_file.Row, project: Project) -> bool:
    return row["project_id"] == str(project.project_id)
