"""Reads the sheets of an XLSX file that may be damaged or too big.

openpyxl does not document its errors: a damaged file may raise any of a dozen, also while rows are
read.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from openpyxl import load_workbook
from openpyxl.cell.read_only import EmptyCell, ReadOnlyCell

from loader.errors import ConfigurationError

Cell = ReadOnlyCell | EmptyCell
Sheet = list[tuple[Cell, ...]]

_UNPACKED_BYTES = 50_000_000
_LAST_COLUMN = 64
_LAST_ROW_OF_EXCEL = 1_048_576


def read(file: Path, last_row: int, titles: Sequence[str] = ()) -> dict[str, Sheet]:
    """The rows of the existing sheets among `titles`; without titles, of the first sheet.

    Raises ConfigurationError for a file that cannot be read, is too big, or has a filled cell below
    `last_row`. Cells to the right of column BL are not read.
    """
    try:
        packed = io.BytesIO(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        _check_size(file, packed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and lists that openpyxl does not know
            workbook = load_workbook(packed, read_only=True)
            sheets = {sheet.title: sheet for sheet in workbook.worksheets}
            found = [title for title in titles or [next(iter(sheets))] if title in sheets]
            return {title: _rows(file, sheets[title], last_row) for title in found}
    except ConfigurationError:
        raise
    except Exception:
        raise ConfigurationError(
            f"{file}: not an XLSX workbook, damaged, or protected by a password"
        ) from None


def _check_size(file: Path, packed: io.BytesIO) -> None:
    """Refuses a small file that would fill the memory. Its stated size may be wrong."""
    with ZipFile(packed) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked <= _UNPACKED_BYTES:
            unpacked = 0
            for info in archive.infolist():
                with archive.open(info) as member:
                    while unpacked <= _UNPACKED_BYTES and (chunk := member.read(1 << 16)):
                        unpacked += len(chunk)
    if unpacked > _UNPACKED_BYTES:
        raise ConfigurationError(
            f"{file}: more than {_UNPACKED_BYTES // 1_000_000} MB when unpacked: split the file"
        )


def _rows(file: Path, sheet: Any, last_row: int) -> Sheet:  # openpyxl's types lack this class
    sheet.reset_dimensions()  # the file's own may be wrong, and rows would be lost
    rows: Sheet = []
    looked_at: object = None
    for number, cells in enumerate(sheet.iter_rows(max_col=_LAST_COLUMN), 1):
        if number <= last_row:
            rows.append(cells)
        elif number > _LAST_ROW_OF_EXCEL:
            raise ValueError(number)
        elif cells is not looked_at:  # the rows of a gap are one and the same object
            looked_at = cells
            if any(cell.value is not None for cell in cells):
                raise ConfigurationError(
                    f"{file}: sheet {sheet.title}, row {number}: "
                    f"only {last_row:,} rows are read: split the file"
                )
    return rows
