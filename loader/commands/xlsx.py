"""Static channels as an Excel workbook, for colleagues who do not edit CSV files, and back.

Excel turns what looks like a number or a date into one, and text after `=` into a formula. So all
cells are written as text, and a cell that comes back as anything else is refused, unless its
meaning is certain.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TypeGuard

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from loader import csv_file, workbook
from loader.commands import check, seeds
from loader.commands.seeds import CHANNEL_COLUMNS, CHANNEL_PARAMETERS
from loader.commands.suggest import Suggestion
from loader.csv_file import Fault
from loader.errors import ConfigurationError

CHANNELS_SHEET = "static_channels"
POOLS_SHEET = "unmapped_pools"
_LISTS_SHEET = "lists"

_LABELS = ("traffic_source", "traffic_type", "campaign")
_HINTS = ("conversions", "first_conversion", "last_conversion", "hint")
_WIDTHS = {"parameter_value": 36, "campaign": 36, "hint": 80}
_LINE_ENDS = "\r\n"
_LAST_ROW = 10_000  # the last one with drop-downs, and the last one that is read
_NUMBERS = ("n_alias", "dst")  # not an extension, which may begin with a zero that Excel drops
_DAYS = ("valid_from", "valid_to")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


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
    """Writes `static_channels.csv` and a sheet of unmapped pools to fill in.

    `numbers`: the projects to choose from. Raises ConfigurationError if the CSV has faults of form
    or the file cannot be written.
    """
    seed = seeds.parse_channels()
    csv_file.refuse(seed.faults)
    pools = {
        (one.cells["project_id"], one.cells["parameter_value"]): one for one in suggestions
    }.values()
    book = Workbook()
    _fill(book.worksheets[0], CHANNELS_SHEET, CHANNEL_COLUMNS, (row.cells for row in seed.rows))
    _fill(
        book.create_sheet(),
        POOLS_SHEET,
        (*CHANNEL_COLUMNS, *_HINTS),
        (_pool_cells(pool) for pool in pools),
    )
    _add_lists(book, numbers, _version(seed))
    try:
        book.save(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from None


def _version(seed: csv_file.Seed) -> str:
    """A hash that is the same for all CSVs with the same rows, in any order and format."""
    rows = sorted([row[column] for column in CHANNEL_COLUMNS] for row in seed.rows)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _pool_cells(pool: Suggestion) -> dict[str, str]:
    labels = ", ".join(pool.cells[column] for column in _LABELS if pool.cells[column])
    return {
        **dict.fromkeys(CHANNEL_COLUMNS, ""),
        **{column: pool.cells[column] for column in CHANNEL_COLUMNS[:3]},
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


def _add_lists(book: Workbook, numbers: Sequence[str], version: str) -> None:
    """A hidden sheet: the choices of the drop-downs, and the version of the CSV."""
    lists = book.create_sheet(_LISTS_SHEET)
    lists.sheet_state = "hidden"
    for index, choices in enumerate((numbers, CHANNEL_PARAMETERS), 1):
        for row, choice in enumerate(choices, 1):
            _write(lists, row, index, choice)
        letter = get_column_letter(index)
        for title in (CHANNELS_SHEET, POOLS_SHEET):
            listed = f"{_LISTS_SHEET}!${letter}$1:${letter}${max(len(choices), 1)}"
            drop_down = DataValidation(type="list", formula1=listed, allow_blank=True)
            drop_down.add(f"{letter}2:{letter}{_LAST_ROW}")  # A: project_id, B: parameter
            book[title].add_data_validation(drop_down)
    _write(lists, 1, 3, version)


# ----------------------------------------------------------------------------------------- import


@dataclass(frozen=True)
class Change:
    """What an import does to `static_channels.csv`; `lines` are the changed rows as a diff."""

    seed: csv_file.Seed
    texts: list[str]
    added: int
    changed: int
    removed: int
    lines: list[str]

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed, {self.removed} removed"

    def write(self) -> None:
        self.seed.save(self.texts)


def read_change(file: Path, numbers: set[str], force: bool = False) -> Change:
    """What the workbook changes. `numbers`: the listed projects.

    A row of the sheet of unmapped pools counts if one of its labels is filled in. Raises
    ConfigurationError with every fault of the workbook or of the present CSV, and, without `force`,
    if the CSV has changed since the export: the import would undo that change.
    """
    seed = seeds.parse_channels()
    csv_file.refuse([*seed.faults, *check.find_channel_faults(seed.rows, numbers)])
    sheets = workbook.read(file, _LAST_ROW, (CHANNELS_SHEET, POOLS_SHEET, _LISTS_SHEET))
    if CHANNELS_SHEET not in sheets:
        raise ConfigurationError(f"{file}: the sheet {CHANNELS_SHEET} is missing")
    faults: list[Fault[object]] = []
    known = {(column, row[column]) for row in seed.rows for column in CHANNEL_COLUMNS}
    rows = _rows(file, CHANNELS_SHEET, sheets, faults, lambda *cell: cell in known)
    if POOLS_SHEET in sheets:
        # A pool's name comes from the warehouse: its spaces are real.
        pools = _rows(
            file, POOLS_SHEET, sheets, faults, lambda column, _: column == "parameter_value"
        )
        rows += [row for row in pools if any(row[column] for column in _LABELS)]
    if not faults:
        faults += check.find_channel_faults(rows, numbers)
    csv_file.refuse(faults)
    change = _change(seed, rows)
    if change.lines and not force and _exported_version(sheets) != _version(seed):
        raise ConfigurationError(
            f"{file} was not exported from {seed.file.name} as it is now, and would undo what was "
            "changed there since: export again and repeat the edit, or use --force"
        )
    return change


def _exported_version(sheets: Mapping[str, workbook.Sheet]) -> object:
    """What `_add_lists` wrote; None for a workbook made by hand."""
    lists = sheets.get(_LISTS_SHEET)
    return lists[0][2].value if lists else None


def _rows(
    file: Path,
    title: str,
    sheets: Mapping[str, workbook.Sheet],
    faults: list[Fault[object]],
    may_have_spaces: Callable[[str, str], bool],
) -> list[SheetRow]:
    """The sheet's rows that are not empty. What Excel has changed is added to `faults`.

    Spaces at the ends count as a typing error, unless `may_have_spaces(column, value)`.
    """
    header, *records = sheets[title] or [()]
    titles = {str(cell.value): index for index, cell in enumerate(header) if cell.value is not None}
    missing = [column for column in CHANNEL_COLUMNS if column not in titles]
    if missing:
        place = f"{file}: sheet {title}, row 1"
        faults.append(Fault(place, f"missing column {', '.join(missing)}"))
        return []
    letters = {column: get_column_letter(titles[column] + 1) for column in CHANNEL_COLUMNS}
    rows = []
    for number, record in enumerate(records, 2):
        row = SheetRow(file, title, number, letters)
        cells = {column: record[titles[column]] for column in CHANNEL_COLUMNS}
        for column, cell in cells.items():
            text = _text(column, cell.value)
            what = _mangled(column, cell, is_number=cells["parameter"].value in _NUMBERS)
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
    return "" if value is None else _unescaped(str(value))


def _is_day(value: object) -> TypeGuard[datetime]:
    return isinstance(value, datetime) and value.time() == time()


def _mangled(column: str, cell: workbook.Cell, is_number: bool) -> str:
    """What Excel turned a text into, or "". `is_number`: the row is about phone numbers."""
    value = cell.value
    made = ""
    if cell.data_type == "f":
        return "a formula: it must be text; for one that begins with =, type ' before it"
    if cell.data_type == "e":
        return f"the error {value}"
    if isinstance(value, (datetime, date, time, timedelta)):
        if not (column in _DAYS and _is_day(value)):
            made = f"this into the date {value}"
    elif isinstance(value, str) and csv_file.ROUNDED_NUMBER.fullmatch(value.strip()):
        made = f"a number into {value}"
    elif isinstance(value, (bool, int, float)) and not (
        _is_exact(value) and (column == "project_id" or (column == "parameter_value" and is_number))
    ):
        made = f"this into the number {value}"
    return f"Excel turned {made}: format the cell as text and type it again" if made else ""


def _is_exact(value: object) -> bool:
    """Whether a number is certainly as it was typed: 380440000000 may have been 3.8044E+11."""
    return type(value) is int and 0 <= value < 10**15 and (value < 10**9 or value % 10**7 != 0)


def _change(seed: csv_file.Seed, wanted: Sequence[SheetRow]) -> Change:
    """The CSV's rows as they should be: kept rows stay in place, and change only where edited.

    A new row goes behind the last one that sorts before it.
    """
    rows_wanted = {_key(row): row for row in wanted}
    texts: list[tuple[tuple[int | str, ...], str]] = []
    lines: list[str] = []
    added = changed = removed = 0
    for row in seed.rows:
        target = rows_wanted.pop(_key(row), None)
        if target is None:
            removed += 1
            lines.append(f"- {row.text.rstrip(_LINE_ENDS)}")
            continue
        edited = row
        for column in CHANNEL_COLUMNS:
            if edited[column] != target[column]:
                edited = edited.with_cell(column, target[column])
        if edited is not row:
            changed += 1
            lines += [f"- {row.text.rstrip(_LINE_ENDS)}", f"+ {edited.text.rstrip(_LINE_ENDS)}"]
        texts.append((_key(row), edited.text))
    for key, new in sorted(rows_wanted.items()):
        added += 1
        text = seed.line(new.cells)
        lines.append(f"+ {text.rstrip(_LINE_ENDS)}")
        place = max((n for n, (other, _) in enumerate(texts, 1) if other < key), default=0)
        texts.insert(place, (key, text))
    return Change(seed, [text for _, text in texts], added, changed, removed, lines)


def _key(row: seeds.Record[object]) -> tuple[int | str, ...]:
    """What identifies a row; also the sort order of the file."""
    texts = (row[column] for column in ("parameter", "parameter_value", "valid_from"))
    return (int(row["project_id"]), *texts)


# -------------------------------------------------------------------------------------- escaping


def _escaped(text: str) -> str:
    """What XML cannot hold or would change, as Excel writes it: `_x000D_` for a carriage return."""
    return re.sub(
        r"[\x00-\x08\x0b-\x1f]|_(?=x[0-9A-Fa-f]{4}_)", lambda found: f"_x{ord(found[0]):04X}_", text
    )


def _unescaped(text: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
