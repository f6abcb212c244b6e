"""A row of `static_channels.csv` for each pool that no channel matches. Reads the marts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader import settings
from loader.commands.seeds import CHANNEL_COLUMNS, CHANNEL_LABELS
from loader.errors import ConfigurationError

# Pools that a configured name explains come first, dynamic pools last.
_UNMAPPED_POOLS = """
select
    seed_row,
    conversions,
    first_conversion_at,
    last_conversion_at,
    suggested_value,
    suggestion_reason,
    conversions_by_utm,
    is_dynamic
from {marts}.rpt_unmapped_pools
order by is_dynamic, suggested_value is null, project_id, conversions desc, pool_name
"""

_DIFFERENCES = {
    "whitespace": "in spaces only",
    "case": "in case only",
    "look_alike": "in letters that look alike only",
}


@dataclass(frozen=True)
class Suggestion:
    """A row of `static_channels.csv` for a pool that no channel matches.

    `cells` has the row's columns, empty where the user has to fill them in. `meant` is the
    configured name that explains the pool, `reason` says why its channel does not match. `by_utm`
    other conversions of the pool have UTM labels; most have them if the pool `is_dynamic`.
    """

    cells: Mapping[str, str]
    conversions: int
    first_day: date
    last_day: date
    meant: str | None
    reason: str | None
    by_utm: int
    is_dynamic: bool

    @property
    def is_complete(self) -> bool:
        """Whether no label is left to fill in."""
        return all(self.cells[column] for column in CHANNEL_LABELS)

    def __str__(self) -> str:
        count = f"{self.conversions:,} conversions, {self.first_day} to {self.last_day}"
        hint = f": {self.hint}" if self.hint else ""
        return f"«{self.cells['parameter_value']}» ({count}){hint}"

    @property
    def hint(self) -> str:
        """Where the row's labels come from, and what a channel would override."""
        hints = []
        if self.reason == "days":
            hints.append(f"configured, but not {self._open_days}: correct the days or add this row")
        elif self.meant is not None:
            difference = _DIFFERENCES[str(self.reason)]
            hints.append(f"differs from the configured «{self.meant}» {difference}")
            hints.append("correct that row or add this one")
        elif self.is_dynamic:
            hints.append("most of its calls have a visit")
        elif any(self.cells[column] for column in CHANNEL_LABELS):
            hints.append("all its calls carry these UTM values")
        if self.by_utm:
            overridden = f"{self.by_utm:,} of its calls have UTM: a channel would override them"
            hints.append(overridden + (", this row keeps them" if self.is_dynamic else ""))
        return "; ".join(hints)

    @property
    def _open_days(self) -> str:
        first, last = self.cells["valid_from"], self.cells["valid_to"]
        if first and last:
            return f"from {first} to {last}"
        return f"until {last}" if last else f"from {first} on"


def suggest(conn: psycopg.Connection) -> list[Suggestion]:
    """The rows that the mart `rpt_unmapped_pools` suggests: near misses first, dynamic pools last.

    If the labels of a pool depend on the day, the pool gets several rows. Raises ConfigurationError
    if the marts are not built.
    """
    marts = settings.schema("marts")
    try:
        found = (
            conn.cursor(row_factory=dict_row)
            .execute(sql.SQL(_UNMAPPED_POOLS).format(marts=sql.Identifier(marts)))
            .fetchall()
        )
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InvalidSchemaName,
    ):
        raise ConfigurationError(
            f"the marts are not built ({marts}.rpt_unmapped_pools does not exist, or is of an "
            "older version): run `ringostat run` first"
        ) from None
    return [
        Suggestion(
            cells=cells,
            conversions=pool["conversions"],
            first_day=pool["first_conversion_at"].date(),
            last_day=pool["last_conversion_at"].date(),
            meant=pool["suggested_value"],
            reason=pool["suggestion_reason"],
            by_utm=pool["conversions_by_utm"],
            is_dynamic=pool["is_dynamic"],
        )
        for pool in found
        for cells in _cells(pool["seed_row"])
    ]


def _cells(lines: str) -> Iterator[dict[str, str]]:
    """The cells of each line of a CSV."""
    for cells in csv.reader(io.StringIO(lines, newline="")):
        yield dict(zip(CHANNEL_COLUMNS, cells, strict=True))
