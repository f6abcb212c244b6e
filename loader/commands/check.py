"""Checks the CSVs. Works without a database."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Generic

from loader import csv_file, projects
from loader.commands.seeds import (
    CHANNEL_COLUMNS,
    CHANNEL_LABELS,
    CHANNEL_PARAMETERS,
    CHANNEL_TOKENS,
    COST_COLUMNS,
    NUMBER_PARAMETERS,
    TAG_COLUMNS,
    TAG_PARAMETERS,
    Record,
    parse_channels,
    parse_costs,
    parse_tags,
)
from loader.csv_file import AnyPlace_co, Fault, Place


def find_faults() -> list[Fault[Place]]:
    """Every fault of the four seeds, including those that dbt's tests find."""
    listed, channels, tags, costs = (
        projects.parse_seed(),
        parse_channels(),
        parse_tags(),
        parse_costs(),
    )
    numbers = None if listed.faults else {row["project_id"] for row in listed.rows}
    return [
        *listed.faults,
        *projects.find_faults(listed.rows),
        *channels.faults,
        *find_channel_faults(channels.rows, numbers),
        *tags.faults,
        *find_tag_faults(tags.rows, numbers),
        *costs.faults,
        *find_cost_faults(costs.rows, numbers),
    ]


def find_channel_faults(
    rows: Sequence[Record[AnyPlace_co]], listed: set[str] | None
) -> Iterator[Fault[AnyPlace_co]]:
    """The faults of static channels. `listed`: the listed projects, None if unknown."""
    days_taken = _DaysTaken[AnyPlace_co]()
    for row in rows:
        yield from _project_faults(row, listed)
        yield from _parameter_faults(row, CHANNEL_PARAMETERS)
        yield from _text_faults(row, CHANNEL_COLUMNS[2:6])
        if row["parameter"] in NUMBER_PARAMETERS:
            yield from _number_faults(row)
        yield from _token_faults(row)
        unreadable = [
            column
            for column in ("valid_from", "valid_to")
            if not csv_file.is_blank(row[column]) and not csv_file.read_day(row[column])
        ]
        for column in unreadable:
            what = f"{column}: {csv_file.day_message(row[column])}, or empty"
            yield Fault(row.at(column), what)
        if unreadable:
            continue
        first = csv_file.read_day(row["valid_from"]) or date.min
        last = csv_file.read_day(row["valid_to"]) or date.max
        if last < first:
            what = "valid_to is before valid_from: such a channel applies on no day"
            yield Fault(row.at("valid_to"), what)
            continue
        for other in days_taken.take(row, CHANNEL_COLUMNS[:3], first, last):
            yield Fault(
                row.at("valid_from"),
                "its days overlap with those of the same project, parameter and value at "
                f"{other.at('project_id')}: end one before the other begins, or delete one",
            )


class _DaysTaken(Generic[AnyPlace_co]):
    """The days of the rows so far, by the columns in which two rows may not share a day."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], list[tuple[date, date, Record[AnyPlace_co]]]] = (
            defaultdict(list)
        )

    def take(
        self, row: Record[AnyPlace_co], columns: Sequence[str], first: date, last: date
    ) -> list[Record[AnyPlace_co]]:
        """Adds the row's days, `first` to `last`; returns the rows that had one of them."""
        others = self._rows[tuple(row[column] for column in columns)]
        overlapping = [
            other
            for other_first, other_last, other in others
            if first <= other_last and other_first <= last
        ]
        others.append((first, last, row))
        return overlapping


def _number_faults(row: Record[AnyPlace_co]) -> Iterator[Fault[AnyPlace_co]]:
    """The faults of a `parameter_value` that a call's number must equal."""
    value = row["parameter_value"].strip(csv_file.SPACES)
    if csv_file.ROUNDED_NUMBER.fullmatch(value):
        what = f"{value} is a number that Excel rounded: write all its digits"
        yield Fault(row.at("parameter_value"), f"parameter_value: {what}")
    elif re.fullmatch(r"[0-9+() .\u00a0-]+", value) and not value.isdigit():
        what = f"{value} never matches: the API gives a number as digits only, e.g. 380441112233"
        yield Fault(row.at("parameter_value"), f"parameter_value: {what}", is_warning=True)


def _token_faults(row: Record[AnyPlace_co]) -> Iterator[Fault[AnyPlace_co]]:
    """The labels in braces that stand for no value of a call."""
    for column in CHANNEL_LABELS:
        label = row[column]
        if re.fullmatch(r"[{].*[}]", label, re.DOTALL) and label not in CHANNEL_TOKENS:
            near = difflib.get_close_matches(label.lower(), CHANNEL_TOKENS, n=1)
            one_of = f"must be one of {', '.join(CHANNEL_TOKENS)}"
            cure = f"did you mean {near[0]}?" if near else one_of
            yield Fault(row.at(column), f"{column}: {label} stands for nothing: {cure}")


def find_tag_faults(
    rows: Sequence[Record[AnyPlace_co]], listed: set[str] | None
) -> Iterator[Fault[AnyPlace_co]]:
    """The faults of KPI tags. `listed`: the listed projects, None if unknown."""
    first_rows: dict[tuple[str, ...], Record[AnyPlace_co]] = {}
    for row in rows:
        yield from _project_faults(row, listed)
        yield from _parameter_faults(row, TAG_PARAMETERS)
        yield from _text_faults(row, TAG_COLUMNS[2:])
        first = first_rows.setdefault(tuple(row[column] for column in TAG_COLUMNS), row)
        if first is not row:
            what = f"duplicate of the row at {first.at('project_id')}: delete one of them"
            yield Fault(row.at("project_id"), what)


def find_cost_faults(
    rows: Sequence[Record[AnyPlace_co]], listed: set[str] | None
) -> Iterator[Fault[AnyPlace_co]]:
    """The faults of channel costs. `listed`: the listed projects, None if unknown."""
    days_taken = _DaysTaken[AnyPlace_co]()
    for row in rows:
        yield from _project_faults(row, listed)
        yield from _text_faults(row, CHANNEL_LABELS)
        first, last = (csv_file.read_day(row[column]) for column in ("starts_on", "ends_on"))
        for column, day in (("starts_on", first), ("ends_on", last)):
            if day is None:
                yield Fault(row.at(column), f"{column}: {csv_file.day_message(row[column])}")
        if not re.fullmatch("[0-9]{1,12}([.][0-9]{1,2})?", row["cost"]):
            what = "cost: must be an amount of money without spaces, e.g. 15000 or 15000.50"
            yield Fault(row.at("cost"), what)
        if first is None or last is None:
            continue
        if last < first:
            what = "ends_on is before starts_on: such a cost falls on no day"
            yield Fault(row.at("ends_on"), what)
            continue
        for other in days_taken.take(row, COST_COLUMNS[:4], first, last):
            yield Fault(
                row.at("starts_on"),
                f"its days overlap with those of the same labels at {other.at('project_id')}: "
                "end one before the other begins, or delete one",
            )


def _project_faults(
    row: Record[AnyPlace_co], listed: set[str] | None
) -> Iterator[Fault[AnyPlace_co]]:
    number = row["project_id"]
    if not projects.is_project_number(number):
        yield Fault(row.at("project_id"), "project_id: must be a project number, e.g. 11111")
    elif listed is not None and number not in listed:
        what = f"project_id: {number} is not in projects.csv (it has: {', '.join(sorted(listed))})"
        yield Fault(row.at("project_id"), what)


def _parameter_faults(
    row: Record[AnyPlace_co], parameters: Sequence[str]
) -> Iterator[Fault[AnyPlace_co]]:
    if row["parameter"] not in parameters:
        yield Fault(row.at("parameter"), f"parameter: must be one of {', '.join(parameters)}")


def _text_faults(row: Record[AnyPlace_co], columns: Sequence[str]) -> Iterator[Fault[AnyPlace_co]]:
    """The faults of cells that hold a text as reports or calls have it."""
    for column in columns:
        if csv_file.is_blank(row[column]):
            what = f"{column} is empty" + (
                ": dbt reads the word null as empty" if row[column].strip() else ": fill it in"
            )
            yield Fault(row.at(column), what)
        elif row[column] != row[column].strip(csv_file.SPACES):
            what = f"{column} begins or ends with a space: leave it only if it is meant"
            yield Fault(row.at(column), what, is_warning=True)


def annotation(fault: Fault[Place]) -> str:
    """A fault as an annotation that GitHub shows in a pull request."""
    place = fault.place
    kind = "warning" if fault.is_warning else "error"
    where = {"file": place.shown_file, "line": place.line, "col": place.column}
    properties = ",".join(
        f"{name}={_escaped(str(value)).replace(':', '%3A').replace(',', '%2C')}"
        for name, value in where.items()
    )
    return f"::{kind} {properties}::{_escaped(fault.what)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
