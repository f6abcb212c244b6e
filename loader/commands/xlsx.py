"""Channels and their costs as an Excel workbook, for colleagues who do not edit CSVs, and back.

Excel turns what looks like a number or a date into one, and text after `=` into a formula. So all
cells are written as text, and a cell that comes back as anything else is refused, unless its
meaning is certain.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeGuard

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from loader import csv_file, workbook
from loader.commands import check, seeds
from loader.commands.seeds import (
    CHANNEL_COLUMNS,
    CHANNEL_LABELS,
    CHANNEL_PARAMETERS,
    COST_COLUMNS,
)
from loader.commands.suggest import Suggestion
from loader.csv_file import Fault
from loader.errors import ConfigurationError

CHANNELS_SHEET = "static_channels"
POOLS_SHEET = "unmapped_pools"
COSTS_SHEET = "channel_costs"
_LISTS_SHEET = "lists"

_HINTS = ("kind", "conversions", "first_conversion", "last_conversion", "hint")
_WIDTHS = {"parameter_value": 36, "campaign": 36, "hint": 80}
_LINE_ENDS = "\r\n"
_LAST_ROW = 10_000  # the last one with drop-downs, and the last one that is read
_NUMBERS = ("n_alias", "dst")  # not an extension, which may begin with a zero that Excel drops
_DAYS = ("valid_from", "valid_to", "starts_on", "ends_on")
_AMOUNTS = ("cost",)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class _Table:
    """A CSV that has a sheet of its name. `key`: what identifies a row, and the file's order."""

    title: str
    columns: Sequence[str]
    key: Sequence[str]
    parse: Callable[[], csv_file.Seed]
    find_faults: Callable[[Sequence[seeds.Record[Any]], set[str]], Iterable[Fault[Any]]]

    def key_of(self, row: seeds.Record[object]) -> tuple[int | str, ...]:
        number, *texts = (row[column] for column in self.key)
        return (int(number), *texts)

    def version_of(self, seed: csv_file.Seed) -> str:
        """A hash that is the same for all CSVs with the same rows, in any order and format."""
        rows = sorted([row[column] for column in self.columns] for row in seed.rows)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


_CHANNELS = _Table(
    CHANNELS_SHEET,
    CHANNEL_COLUMNS,
    ("project_id", "parameter", "parameter_value", "valid_from"),
    seeds.parse_channels,
    check.find_channel_faults,
)
_COSTS = _Table(
    COSTS_SHEET,
    COST_COLUMNS,
    ("project_id", "traffic_source", "traffic_type", "campaign", "starts_on"),
    seeds.parse_costs,
    check.find_cost_faults,
)
_TABLES = (_CHANNELS, _COSTS)  # in the order of their versions: a release adds its own at the end


@dataclass(frozen=True)
class SheetCell:
    """A place in a workbook."""

    file: Path
    sheet: str
    row: int
    column: str

    def __str__(self) -> str:
        return f"{self.file}: sheet {self.sheet}, row {self.row}, column {self.column}"


@dataclass(frozen=True)
class SheetRow:
    """A row of a sheet, checked as a seed's `Row` is."""

    file: Path
    sheet: str
    row: int
    letters: Mapping[str, str]
    cells: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def at(self, column: str) -> SheetCell:
        return SheetCell(self.file, self.sheet, self.row, self.letters[column])


# ----------------------------------------------------------------------------------------- export


def export(file: Path, numbers: Sequence[str], suggestions: Sequence[Suggestion]) -> None:
    """Writes a sheet of each CSV, and a sheet of unmapped pools to fill in.

    `numbers`: the projects to choose from. Raises ConfigurationError if a CSV has faults of form or
    the file cannot be written.
    """
    channels, costs = parsed = [table.parse() for table in _TABLES]
    csv_file.refuse(fault for seed in parsed for fault in seed.faults)
    pools = {
        (one.cells["project_id"], one.cells["parameter_value"]): one for one in suggestions
    }.values()
    book = Workbook()
    _fill(book.worksheets[0], CHANNELS_SHEET, CHANNEL_COLUMNS, (row.cells for row in channels.rows))
    _fill(
        book.create_sheet(),
        POOLS_SHEET,
        (*CHANNEL_COLUMNS, *_HINTS),
        (_pool_cells(pool) for pool in pools),
    )
    _fill(book.create_sheet(), COSTS_SHEET, COST_COLUMNS, (row.cells for row in costs.rows))
    versions = [table.version_of(seed) for table, seed in zip(_TABLES, parsed, strict=True)]
    _add_lists(book, numbers, versions)
    try:
        book.save(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from None


def _pool_cells(pool: Suggestion) -> dict[str, str]:
    labels = ", ".join(pool.cells[column] for column in CHANNEL_LABELS if pool.cells[column])
    return {
        **dict.fromkeys(CHANNEL_COLUMNS, ""),
        **{column: pool.cells[column] for column in CHANNEL_COLUMNS[:3]},
        "kind": "dynamic" if pool.is_dynamic else "static",
        "conversions": str(pool.conversions),
        "first_conversion": str(pool.first_day),
        "last_conversion": str(pool.last_day),
        "hint": ": ".join(filter(None, (pool.hint, labels))),
    }


def _fill(
    sheet: Worksheet, title: str, columns: Sequence[str], rows: Iterable[Mapping[str, str]]
) -> None:
    sheet.title = title
    for index, column in enumerate(columns, 1):
        cell = sheet.cell(1, index, column)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDEBF7")
        dimension = sheet.column_dimensions[get_column_letter(index)]
        dimension.width = _WIDTHS.get(column, 18)
        dimension.number_format = "@"  # of cells that are filled in later, too
    last = 1
    for last, row in enumerate(rows, 2):
        for index, column in enumerate(columns, 1):
            _write(sheet, last, index, row[column])
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{last}"


def _write(sheet: Worksheet, row: int, column: int, text: str) -> None:
    cell = sheet.cell(row, column, _escaped(text) if text else None)
    cell.number_format = "@"
    if text:
        cell.data_type = "s"  # openpyxl takes text that begins with = for a formula
        cell.quotePrefix = text.startswith(("=", "+", "-", "@"))
        cell.alignment = Alignment(wrap_text="\n" in text)


def _add_lists(book: Workbook, numbers: Sequence[str], versions: Sequence[str]) -> None:
    """A hidden sheet: the choices of the drop-downs, and the versions of the CSVs."""
    lists = book.create_sheet(_LISTS_SHEET)
    lists.sheet_state = "hidden"
    columns = {"project_id": numbers, "parameter": CHANNEL_PARAMETERS}
    for index, choices in enumerate((*columns.values(), versions), 1):
        for row, choice in enumerate(choices, 1):
            _write(lists, row, index, choice)
    for title in (CHANNELS_SHEET, POOLS_SHEET, COSTS_SHEET):
        titles = {cell.value: index for index, cell in enumerate(book[title][1], 1)}
        for letter, (column, choices) in zip("AB", columns.items(), strict=True):
            if column in titles:
                listed = f"{_LISTS_SHEET}!${letter}$1:${letter}${max(len(choices), 1)}"
                drop_down = DataValidation(type="list", formula1=listed, allow_blank=True)
                place = get_column_letter(titles[column])
                drop_down.add(f"{place}2:{place}{_LAST_ROW}")
                book[title].add_data_validation(drop_down)


# ----------------------------------------------------------------------------------------- import


@dataclass(frozen=True)
class Change:
    """What an import does to a CSV; `lines` are the changed rows as a diff.

    `channels` are the rows that are new or changed, if they are channels.
    """

    seed: csv_file.Seed
    texts: list[str]
    added: int
    changed: int
    removed: int
    lines: list[str]
    channels: list[SheetRow]

    def __str__(self) -> str:
        numbers = f"{self.added} added, {self.changed} changed, {self.removed} removed"
        return f"{self.seed.file.name}: {numbers}"

    def write(self) -> None:
        self.seed.save(self.texts)


def read_changes(file: Path, numbers: set[str], force: bool = False) -> list[Change]:
    """What the workbook changes, one item per CSV. `numbers`: the listed projects.

    A row of the sheet of unmapped pools counts if one of its labels is filled in. A workbook
    without the sheet of costs, as earlier releases export it, leaves the costs alone.

    Raises ConfigurationError with every fault of the workbook or of the present CSVs, and, without
    `force`, if a CSV has changed since the export: the import would undo that change.
    """
    parsed = [(table, table.parse()) for table in _TABLES]
    csv_file.refuse(
        fault
        for table, seed in parsed
        for fault in (*seed.faults, *table.find_faults(seed.rows, numbers))
    )
    titles = (CHANNELS_SHEET, POOLS_SHEET, COSTS_SHEET, _LISTS_SHEET)
    sheets = workbook.read(file, _LAST_ROW, titles)
    if CHANNELS_SHEET not in sheets:
        raise ConfigurationError(f"{file}: the sheet {CHANNELS_SHEET} is missing")
    faults: list[Fault[object]] = []
    wanted = [
        (table, seed, _wanted(file, table, seed, sheets, numbers, faults))
        for table, seed in parsed
        if table.title in sheets
    ]
    csv_file.refuse(faults)
    changes = [_change(table, seed, rows) for table, seed, rows in wanted]
    exported = _exported_versions(sheets)
    stale = [
        change.seed.file.name
        for (table, seed, _), change in zip(wanted, changes, strict=True)
        if change.lines and exported.get(table.title) != table.version_of(seed)
    ]
    if stale and not force:
        raise ConfigurationError(
            f"{file} was not exported from {' and '.join(stale)} as it is now, and would undo what "
            "was changed there since: export again and repeat the edit, or use --force"
        )
    return changes


def _exported_versions(sheets: Mapping[str, workbook.Sheet]) -> dict[str, object]:
    """What `_add_lists` wrote, by sheet; a workbook made by hand, or before, lacks some or all."""
    lists = sheets.get(_LISTS_SHEET, [])
    return {table.title: row[2].value for table, row in zip(_TABLES, lists, strict=False)}


def _wanted(
    file: Path,
    table: _Table,
    seed: csv_file.Seed,
    sheets: Mapping[str, workbook.Sheet],
    numbers: set[str],
    faults: list[Fault[object]],
) -> list[SheetRow]:
    """The rows that the workbook has for a CSV. Their faults are added to `faults`."""
    found: list[Fault[object]] = []
    known = {(column, row[column]) for row in seed.rows for column in table.columns}
    rows = _rows(file, table.title, table.columns, sheets, found, lambda *cell: cell in known)
    if table is _CHANNELS and POOLS_SHEET in sheets:
        # A pool's name comes from the warehouse: its spaces are real.
        pools = _rows(
            file,
            POOLS_SHEET,
            table.columns,
            sheets,
            found,
            lambda column, _: column == "parameter_value",
        )
        rows += [row for row in pools if any(row[column] for column in CHANNEL_LABELS)]
    faults += found or table.find_faults(rows, numbers)
    return rows


def _rows(
    file: Path,
    title: str,
    columns: Sequence[str],
    sheets: Mapping[str, workbook.Sheet],
    faults: list[Fault[object]],
    may_have_spaces: Callable[[str, str], bool],
) -> list[SheetRow]:
    """The sheet's rows that are not empty. What Excel has changed is added to `faults`.

    Spaces at the ends count as a typing error, unless `may_have_spaces(column, value)`.
    """
    header, *records = sheets[title] or [()]
    titles = {str(cell.value): index for index, cell in enumerate(header) if cell.value is not None}
    missing = [column for column in columns if column not in titles]
    if missing:
        place = f"{file}: sheet {title}, row 1"
        faults.append(Fault(place, f"missing column {', '.join(missing)}"))
        return []
    letters = {column: get_column_letter(titles[column] + 1) for column in columns}
    rows = []
    for number, record in enumerate(records, 2):
        row = SheetRow(file, title, number, letters)
        cells = {column: record[titles[column]] for column in columns}
        for column, cell in cells.items():
            text = _text(column, cell.value)
            what = _mangled(column, cells)
            if (
                not what
                and text != text.strip(csv_file.SPACES)
                and not may_have_spaces(column, text)
            ):
                what = "a space at the beginning or the end: delete it"
            if not what and _UNSTORABLE.search(text):
                what = "a character that CSV cannot hold: delete it"
            if what:
                faults.append(Fault(row.at(column), f"{column}: {what}"))
            row.cells[column] = text
        if any(row.cells.values()):
            rows.append(row)
    return rows


def _text(column: str, value: object) -> str:
    """A cell as the CSV has it."""
    if column in _DAYS and _is_day(value):
        return value.date().isoformat()
    if column in _AMOUNTS and isinstance(value, float) and _is_amount(value):
        return f"{value:.2f}"
    return "" if value is None else _unescaped(str(value))


def _is_day(value: object) -> TypeGuard[datetime]:
    return isinstance(value, datetime) and value.time() == time()


def _mangled(column: str, cells: Mapping[str, workbook.Cell]) -> str:
    """What Excel turned the text of a row's cell into, or ""."""
    value = cells[column].value
    made = ""
    if cells[column].data_type == "f":
        return "a formula: paste its value; before a text that begins with =, type '"
    if cells[column].data_type == "e":
        return f"the error {value}"
    if isinstance(value, (datetime, date, time, timedelta)):
        if not (column in _DAYS and _is_day(value)):
            made = f"this into the date {value}"
    elif isinstance(value, str) and csv_file.ROUNDED_NUMBER.fullmatch(value.strip()):
        made = f"a number into {value}"
    elif isinstance(value, (bool, int, float)) and not _is_certain(column, cells):
        made = f"this into the number {value}"
    return f"Excel turned {made}: format the cell as text and type it again" if made else ""


def _is_certain(column: str, cells: Mapping[str, workbook.Cell]) -> bool:
    """Whether the number in a row's cell is certainly as it was typed."""
    value = cells[column].value
    if column in _AMOUNTS:
        return _is_amount(value)
    is_number = column == "parameter_value" and cells["parameter"].value in _NUMBERS
    return (is_number or column == "project_id") and _is_exact(value)


def _is_exact(value: object) -> bool:
    """Whether digits are all there: 380440000000 may have been 3.8044E+11."""
    return type(value) is int and 0 <= value < 10**15 and (value < 10**9 or value % 10**7 != 0)


def _is_amount(value: object) -> bool:
    """Whether a number has at most two decimals: more are the result of a calculation."""
    return type(value) is int or (
        isinstance(value, float) and math.isfinite(value) and round(value, 2) == value
    )


def _change(table: _Table, seed: csv_file.Seed, wanted: Sequence[SheetRow]) -> Change:
    """The CSV's rows as they should be: kept rows stay in place, and change only where edited.

    A new row goes behind the last one that sorts before it.
    """
    rows_wanted = {table.key_of(row): row for row in wanted}
    texts: list[tuple[tuple[int | str, ...], str]] = []
    lines: list[str] = []
    edited_rows: list[SheetRow] = []
    added = changed = removed = 0
    for row in seed.rows:
        target = rows_wanted.pop(table.key_of(row), None)
        if target is None:
            removed += 1
            lines.append(f"- {row.text.rstrip(_LINE_ENDS)}")
            continue
        edited = row
        for column in table.columns:
            if _is_edited(column, row[column], target[column]):
                edited = edited.with_cell(column, target[column])
        if edited is not row:
            changed += 1
            edited_rows.append(target)
            lines += [f"- {row.text.rstrip(_LINE_ENDS)}", f"+ {edited.text.rstrip(_LINE_ENDS)}"]
        texts.append((table.key_of(row), edited.text))
    for key, new in sorted(rows_wanted.items()):
        added += 1
        edited_rows.append(new)
        text = seed.line(new.cells)
        lines.append(f"+ {text.rstrip(_LINE_ENDS)}")
        place = max((n for n, (other, _) in enumerate(texts, 1) if other < key), default=0)
        texts.insert(place, (key, text))
    channels = edited_rows if table is _CHANNELS else []
    return Change(seed, [text for _, text in texts], added, changed, removed, lines, channels)


def _is_edited(column: str, before: str, after: str) -> bool:
    if column in _AMOUNTS:  # Excel shows 15000.50 as 15000.5
        return Decimal(before) != Decimal(after)
    return before != after


# -------------------------------------------------------------------------------------- escaping


def _escaped(text: str) -> str:
    """What XML cannot hold or would change, as Excel writes it: `_x000D_` for a carriage return."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f]|_(?=x[0-9A-Fa-f]{4}_)", lambda found: f"_x{ord(found[0]):04X}_", text
    )


def _unescaped(text: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
