"""Form requests: lands the files of the user's webhook collector in `ringostat_raw.forms`.

Ringostat sends each form once, and only by webhook. A file may be JSON lines, CSV or XLSX; its
columns are the webhook's parameters, of which only `submitted_at` is required.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from loader import csv_file, deletions, projects, raw, workbook
from loader.clock import read_moment
from loader.database import only_row
from loader.errors import ConfigurationError
from loader.masking import mask
from loader.projects import Project
from loader.rows import storable

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".xlsx")
# Where `ringostat forms serve` keeps what is no form, beside the forms.
UNREADABLE = "unreadable.jsonl"

_LAST_ROW = 100_000  # of a sheet
_TIME_RULE = "must be a time, e.g. 2024-01-31T09:30:00+02:00"
_DECIMAL = re.compile(rf"{csv_file.ROUNDED_NUMBER.pattern}|[0-9]{{7,}}\.0+")


class BadLine(ValueError):
    """Why a line of the file is not a form."""


@dataclass(frozen=True)
class Form:
    """A form as received; without an id of its own, `form_id` is a hash of the payload."""

    form_id: str
    submitted_at: datetime
    payload: dict[str, object]


@dataclass(frozen=True)
class Imported:
    """How many forms were read, new and changed. `bad`: file, line number and reason."""

    read: int
    inserted: int
    updated: int
    bad: list[tuple[Path, int, str]]

    def __str__(self) -> str:
        return (
            f"{self.read} forms read: {self.inserted} new, {self.updated} changed, "
            f"{len(self.bad)} bad"
        )


def import_files(conn: psycopg.Connection, paths: Sequence[Path], project: Project) -> Imported:
    """Lands the forms of all files in one transaction; bad lines are left out and listed.

    Of a folder, the JSON lines that `ringostat forms serve` wrote there, in the order of their
    days. Reading the same files again changes nothing. Raises ConfigurationError for a file that
    cannot be read at all. Waits while another import of the project runs, never for a load.
    """
    forms: dict[str, Form] = {}
    read, bad = 0, []
    for file in _files(paths):
        for number, line in _lines(file):
            try:
                form = _form(line, project)
                forms[form.form_id] = form  # the last of an id wins
                read += 1
            except BadLine as reason:
                bad.append((file, number, str(reason)))
    raw.create_tables(conn)
    with conn.transaction():
        raw.hold_forms(conn, project)
        # The project may have been deleted while this import waited.
        projects.find(projects.read_projects(), project.project_id)
        ids = sql.SQL("select unnest({}::text[])").format(sql.Literal(list(forms)))
        for form_id in deletions.deleted_ids(conn, project.project_id, "form", ids):
            del forms[form_id]
        inserted, updated = _land(conn, project, list(forms.values()))
    return Imported(read, inserted, updated, bad)


def _land(conn: psycopg.Connection, project: Project, forms: list[Form]) -> tuple[int, int]:
    load_id, now = raw.next_id_and_time(conn)
    # A later import gets a later time, even if the machine's clock was set back: the latest
    # `loaded_at` is dbt's watermark.
    landed = conn.execute(
        """
        with landing as (
            select
                greatest(%(now)s::timestamptz, max(loaded_at) + interval '1 microsecond') as now
            from ringostat_raw.forms
            where project_id = %(project_id)s
        ),

        forms_read as (
            select *
            from unnest(%(form_ids)s::text[], %(times)s::timestamptz[], %(payloads)s::jsonb[])
                as read (form_id, submitted_at, payload)
        ),

        different as (
            select forms_read.*, forms.form_id is null as is_new
            from forms_read
            left join ringostat_raw.forms
                on forms.project_id = %(project_id)s and forms.form_id = forms_read.form_id
            where
                forms.form_id is null
                or forms.submitted_at <> forms_read.submitted_at
                or forms.payload <> forms_read.payload
        ),

        written as (
            insert into ringostat_raw.forms
                (project_id, form_id, submitted_at, payload, load_id, first_loaded_at, loaded_at)
            select %(project_id)s, form_id, submitted_at, payload, %(load_id)s, now, now
            from different
            cross join landing
            on conflict (project_id, form_id) do update set
                submitted_at = excluded.submitted_at,
                payload = excluded.payload,
                load_id = excluded.load_id,
                loaded_at = excluded.loaded_at
        )

        select count(*) filter (where is_new), count(*) filter (where not is_new)
        from different
        """,
        {
            "project_id": project.project_id,
            "load_id": load_id,
            "now": now,
            "form_ids": [form.form_id for form in forms],
            "times": [form.submitted_at for form in forms],
            "payloads": [_canonical(form.payload) for form in forms],
        },
    )
    inserted, updated = only_row(landed)
    return inserted, updated


def _form(line: str | BadLine, project: Project) -> Form:
    """The form that a line of JSON holds. Raises BadLine."""
    if isinstance(line, BadLine):
        raise line
    try:
        payload = json.loads(storable(line.encode(errors="replace")))
    except (ValueError, RecursionError):
        raise BadLine("not JSON") from None
    if not isinstance(payload, dict):
        raise BadLine("not a JSON object")
    form_id, submitted_at = payload.get("form_id"), payload.get("submitted_at")
    if isinstance(form_id, (dict, list, bool)):
        raise BadLine("form_id must be text or a number")
    if submitted_at is None or str(submitted_at).strip() == "":
        raise BadLine("submitted_at is missing")
    moment = read_moment(submitted_at, project.time_zone) if isinstance(submitted_at, str) else None
    if moment is None:
        # Shifted columns bring a phone number here.
        shown = mask(json.dumps(submitted_at, ensure_ascii=False))[:40]
        raise BadLine(f"submitted_at is {shown}: it {_TIME_RULE}")
    phone = payload.get("phone")
    if _DECIMAL.fullmatch(str(phone).strip().upper()) or (
        isinstance(phone, int) and phone >= 10**9 and phone % 10**7 == 0
    ):
        # Rounded numbers of several people would look like one caller.
        raise BadLine(
            "phone is a number that a spreadsheet rounded or gave decimals, such as 3.80E+11: "
            "format the column as text and export it again"
        )
    form_id = "" if form_id is None else str(form_id)
    if not form_id.strip():
        form_id = "sha256:" + hashlib.sha256(_canonical(payload).encode()).hexdigest()
    if len(form_id.encode()) > raw.LONGEST_ID:
        raise BadLine(f"form_id has more than {raw.LONGEST_ID:,} bytes")
    return Form(form_id, moment, payload)


def _canonical(payload: dict[str, object]) -> str:
    return json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.glob("*.jsonl") if file.name != UNREADABLE)
        else:
            yield path


def _lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    """Number and JSON text of each line (of a sheet, each row) that is not empty."""
    readers = {".csv": _csv_lines, ".xlsx": _xlsx_lines}
    if file.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{file}: the name must end with {', '.join(FORMATS)}")
    try:
        yield from readers.get(file.suffix.lower(), _json_lines)(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None


def _json_lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    with file.open("rb") as lines:
        beginning = lines.read(len(codecs.BOM_UTF8))
        if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ConfigurationError(f"{file}: {csv_file.NOT_UTF_8}")
        lines.seek(len(beginning) if beginning == codecs.BOM_UTF8 else 0)
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.decode(errors="replace")


def _csv_lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    seed = csv_file.parse(file, header=None)
    if not seed.columns:
        csv_file.refuse(seed.faults)
    _check_columns(file, seed.columns)
    for fault in seed.faults:
        yield fault.place.line, BadLine(fault.what)
    for row in seed.rows:
        yield row.line, json.dumps({name: cell for name, cell in row.cells.items() if cell})


def _xlsx_lines(file: Path) -> Iterator[tuple[int, str | BadLine]]:
    """The rows of the first sheet, whose first one names the columns."""
    (sheet,) = workbook.read(file, _LAST_ROW).values()
    columns = [str(cell.value or "").strip() for cell in sheet[0]] if sheet else []
    _check_columns(file, [name for name in columns if name])
    for number, cells in enumerate(sheet[1:], 2):
        filled = {
            name: cell
            for name, cell in zip(columns, cells, strict=False)
            if name and cell.value is not None
        }
        if any(cell.data_type == "f" for cell in filled.values()):
            yield number, BadLine("a formula: it must be a value")
        elif filled:
            yield number, json.dumps({name: _value(cell.value) for name, cell in filled.items()})


def _check_columns(file: Path, columns: list[str]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise ConfigurationError(f"{file}: duplicate column {name}")
    if "submitted_at" not in columns:
        found = ", ".join(columns) or "none"
        raise ConfigurationError(f"{file}: missing column submitted_at (found: {found})")


def _value(value: object) -> object:
    """A sheet's cell as a JSON value: Excel stores a phone as a number, a time as a date."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
