"""The seeds' CSVs: each cell has a place, and an edit changes only its own characters.

What the cells mean is checked by `projects.py` and `commands/check.py`, with `Fault`s that name a
cell as `file:line:column`, as a compiler does.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

from loader.errors import ConfigurationError, LoadError

NOT_UTF_8 = "not UTF-8: save the file as UTF-8 (in Excel as «CSV UTF-8»)"
SPACES = " \t\n\r\f\v\u00a0"

# Excel turns a long number into this, in a cell that is not formatted as text: 3.80E+11.
ROUNDED_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?E\+?[0-9]+")

_SEPARATORS = {",": ",", ";": ";", "\t": "tabs"}  # and their names
_CELLS = {
    separator: re.compile(rf'("(?:[^"]|"")*"|(?!")[^{separator}\r\n]*)(?:{separator}|(?=\r|\n|\Z))')
    for separator in _SEPARATORS
}
_BYTE_ORDER_MARK = "\ufeff"  # Excel begins UTF-8 with it


@dataclass(frozen=True)
class Place:
    """A character of a file; lines and columns are counted from 1."""

    file: Path
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.shown_file}:{self.line}:{self.column}"

    @property
    def shown_file(self) -> Path:
        """The file's path, relative to the working folder if it is below it."""
        here = Path.cwd()
        return self.file.relative_to(here) if self.file.is_relative_to(here) else self.file


AnyPlace_co = TypeVar("AnyPlace_co", covariant=True)


@dataclass(frozen=True)
class Fault(Generic[AnyPlace_co]):
    """What is wrong at a place, and how to correct it. A warning stops nothing."""

    place: AnyPlace_co
    what: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {'warning: ' if self.is_warning else ''}{self.what}"


@dataclass(frozen=True)
class Row:
    """One record of a seed: `row["name"]` is a cell's value, `row.at("name")` its place.

    `text` is the record as in the file, with its line end.
    """

    file: Path
    line: int
    text: str
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def at(self, column: str) -> Place:
        start, _ = self._span(column)
        line = self.line + self.text.count("\n", 0, start)
        return Place(self.file, line, start - self.text.rfind("\n", 0, start))

    def with_cell(self, column: str, value: str) -> Row:
        """The record with another value in one cell; no other character changes."""
        start, end = self._span(column)
        text = self.text[:start] + quoted(value) + self.text[end:]
        return replace(self, text=text, cells={**self.cells, column: value})

    def _span(self, column: str) -> tuple[int, int]:
        cells = _CELLS[","].finditer(self.text)
        return [cell.span(1) for cell in cells][list(self.cells).index(column)]


@dataclass
class Seed:
    """A seed's file: the text of its header, its records, and its faults of form."""

    file: Path
    header: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault[Place]] = field(default_factory=list)

    @property
    def ends_with_line_end(self) -> bool:
        last = self.rows[-1].text if self.rows else self.header
        return last.endswith(("\n", "\r"))

    @property
    def line_end(self) -> str:
        return "\r\n" if self.header.endswith("\r\n") else "\n"

    def line(self, cells: Mapping[str, str]) -> str:
        """The text of a new record, with the file's order of columns."""
        return ",".join(quoted(cells[column]) for column in self.columns) + self.line_end

    def add_column(self, name: str) -> None:
        """Adds an empty column at the end, if the file lacks it."""
        if name in self.columns:
            return
        self.columns.append(name)
        self.header = _with_cell(self.header, name)
        self.rows = [replace(row, text=_with_cell(row.text, "")) for row in self.rows]

    def save(self, texts: Iterable[str]) -> None:
        """Writes the header and the records' `texts` in one step. Raises LoadError if it fails."""
        content = "".join(
            text if text.endswith(("\n", "\r")) else text + self.line_end
            for text in (self.header, *texts)
        )
        target = self.file.resolve()
        try:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with open(handle, "wb") as file:
                    file.write(content.encode())
                if target.exists():
                    shutil.copymode(target, name)
                else:
                    os.chmod(name, 0o644)  # a temporary file is its owner's alone
                os.replace(name, target)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise LoadError(f"{self.file}: cannot be written: {error.strerror}") from None


def quoted(value: str) -> str:
    """A value as a CSV file writes it, in quotes only if it would be misread without them."""
    if re.search(r'[",\r\n]', value) or value != value.strip(SPACES):
        return '"' + value.replace('"', '""') + '"'
    return value


def is_blank(value: str) -> bool:
    """Whether dbt loads a seed's cell as null: empty cells and the word `null`."""
    return value.strip().lower() in ("", "null")


def read_day(text: str) -> date | None:
    """A day written as `2024-01-31`; None for anything else, other centuries included."""
    if not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}|2100-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_message(text: str) -> str:
    """The message for a `text` that `read_day` refuses. Shows the text only if it looks like a
    date: it may be a key in the wrong column."""
    shown = f"{text!r} " if re.fullmatch(r"[0-9./: -]{1,20}", text) else ""
    return f"{shown}must be a day from 2000 to 2100 as YYYY-MM-DD, e.g. 2024-01-31"


def refuse(faults: Iterable[Fault[object]]) -> None:
    """Raises ConfigurationError with all of `faults` that are not warnings, if there are any."""
    errors = [str(fault) for fault in faults if not fault.is_warning]
    if errors:
        raise ConfigurationError("\n".join(errors))


def _with_cell(text: str, cell: str) -> str:
    """A record with one more cell."""
    record = text.rstrip("\r\n")
    return f"{record},{cell}{text[len(record) :]}"


def parse(file: Path, header: Sequence[str] | None, optional: Sequence[str] = ()) -> Seed:
    """Reads `file`, whose first line names the columns of `header`, in any order.

    The cells of an `optional` column are empty if the file lacks it. Without a `header`, any
    columns are allowed, and semicolons or tabs may separate the cells, as Excel writes them in many
    countries. The caller checks what the cells mean.
    """
    seed = Seed(file)
    content = _read(file, header, seed.faults)
    if content is None:
        return seed
    mark = _BYTE_ORDER_MARK if content.startswith(_BYTE_ORDER_MARK) else ""
    # An empty file has no header.
    lines = io.StringIO(content.removeprefix(mark), newline="").readlines() or ["\n"]
    separator = max(_SEPARATORS, key=lines[0].count)
    if header is not None and separator != ",":
        what = (
            f"cells are separated by {_SEPARATORS[separator]}: save the file with commas "
            "(LibreOffice and Google Sheets do; Excel does where Windows' list separator is a "
            "comma)"
        )
        seed.faults.append(Fault(Place(file, 1, lines[0].index(separator) + 1), what))
        return seed
    reader = csv.reader(lines, strict=True, delimiter=separator)
    line = 1  # where the record begins: a quoted cell may run over several lines
    try:
        for cells in reader:
            text = "".join(lines[line - 1 : reader.line_num])
            if line == 1:
                seed.header, seed.columns = mark + text, cells
                if header is not None:
                    seed.faults += _header_faults(file, cells, header, optional)
                if seed.faults:
                    break  # cells cannot be checked if their columns are unknown
            elif len(cells) == len(seed.columns):
                named = dict(zip(seed.columns, cells, strict=True))
                named |= {name: "" for name in optional if name not in named}
                seed.rows.append(Row(file, line, text, named))
            elif cells:
                seed.faults.append(_count_fault(Place(file, line), cells, seed.columns))
            elif header is not None:
                what = "empty line: dbt reads it as a row without values, so delete it"
                seed.faults.append(Fault(Place(file, line), what))
            line = reader.line_num + 1
    except csv.Error as error:
        rest = "".join(lines[line - 1 :])
        fault = _quoting_fault(file, line, rest, separator, error)
        seed.faults.append(replace(fault, what=f"{fault.what}. Nothing after it was read"))
    return seed


def _read(file: Path, header: Sequence[str] | None, faults: list[Fault[Place]]) -> str | None:
    """The file's text; None, and a fault, if it cannot be read."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        advice = f": create it with the line {','.join(header)}" if header is not None else ""
        faults.append(Fault(Place(file, 1), f"the file does not exist{advice}"))
        return None
    except OSError as error:
        faults.append(Fault(Place(file, 1), f"cannot be read: {error.strerror}"))
        return None
    place = Place(file, 1)
    try:
        text = content.decode()
        if "\0" not in text:
            return text
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    faults.append(Fault(place, NOT_UTF_8))
    return None


def _header_faults(
    file: Path, columns: list[str], header: Sequence[str], optional: Sequence[str]
) -> Iterable[Fault[Place]]:
    """One fault if this is no header at all, else one for each kind of slip."""
    if not set(columns) & set(header):
        yield Fault(Place(file, 1), f"the first line must name the columns: {','.join(header)}")
        return
    missing = [name for name in header if name not in columns]
    if missing:
        yield Fault(Place(file, 1), f"missing column {', '.join(missing)}")
    known = [*header, *optional]
    for index, name in enumerate(columns):
        column = len(",".join([*columns[:index], ""])) + 1
        if name not in known:
            what = f"unknown column {name!r}: the columns are {', '.join(known)}"
            yield Fault(Place(file, 1, column), what)
        elif name in columns[:index]:
            yield Fault(Place(file, 1, column), f"duplicate column {name}")


def _count_fault(place: Place, cells: list[str], columns: list[str]) -> Fault[Place]:
    advice = "each cell needs its separator, an empty one too"
    if len(cells) > len(columns):
        advice = "a value that contains the separator must be in quotes"
    what = f"{len(cells)} cells, but the header names {len(columns)}"
    return Fault(place, f"{what}: {advice}")


def _quoting_fault(
    file: Path, line: int, text: str, separator: str, error: csv.Error
) -> Fault[Place]:
    """Names the cell of the first record of `text` that is not valid CSV."""
    start = 0
    while (cell := _CELLS[separator].match(text, start)) and cell.end() > start:
        start = cell.end()
    place = Place(file, line + text.count("\n", 0, start), start - text.rfind("\n", 0, start))
    advice = "a cell in quotes ends with a quote, and a quote inside it is written twice"
    return Fault(place, f"not valid CSV ({error}): {advice}")
