"""Static channels and KPI tags: whether the seeds are right, and what they lack.

`find_faults` needs no database; `suggest` reads the marts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader import projects, seeds
from loader.dbt import schema
from loader.errors import ConfigurationError
from loader.seeds import Fault

CHANNEL_COLUMNS = (
    "project_id",
    "parameter",
    "parameter_value",
    "traffic_source",
    "traffic_type",
    "campaign",
    "valid_from",
    "valid_to",
)
TAG_COLUMNS = ("project_id", "parameter", "parameter_value", "tag")

# As in the macros static_channel_parameters and kpi_tag_parameters.
CHANNEL_PARAMETERS = (
    "n_alias",
    "dst",
    "pool_name",
    "scheme_name",
    "department",
    "additional_number",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
)
TAG_PARAMETERS = (
    "category_number",
    "category_mark",
    "disposition",
    "proper_flag",
    "employee_number",
    "employee_mark",
    "department",
    "scheme_name",
    "tag",
)


class Record(Protocol):
    """A row of a seed, or of a sheet that is to become one."""

    def __getitem__(self, column: str) -> str: ...

    def at(self, column: str) -> object: ...


# ----------------------------------------------------------------------------------------- checks


def parse_channels() -> seeds.Seed:
    return seeds.parse(seeds.folder() / "static_channels.csv", CHANNEL_COLUMNS)


def parse_tags() -> seeds.Seed:
    return seeds.parse(seeds.folder() / "kpi_tags.csv", TAG_COLUMNS)


def find_faults() -> list[Fault]:
    """Every fault of the three seeds, those that dbt's tests of them find included."""
    listed, channels, tags = projects.parse_seed(), parse_channels(), parse_tags()
    numbers = None if listed.faults else {row["project_id"] for row in listed.rows}
    return [
        *listed.faults,
        *projects.find_faults(listed.rows),
        *channels.faults,
        *find_channel_faults(channels.rows, numbers),
        *tags.faults,
        *find_tag_faults(tags.rows, numbers),
    ]


def find_channel_faults(rows: Sequence[Record], listed: set[str] | None) -> Iterator[Fault]:
    """What is wrong with static channels. `listed`: the projects there are, None if unknown."""
    days_taken: dict[tuple[str, ...], list[tuple[date, date, Record]]] = defaultdict(list)
    for row in rows:
        yield from _shared_faults(row, CHANNEL_COLUMNS[2:6], CHANNEL_PARAMETERS, listed)
        for column in ("valid_from", "valid_to"):
            if not seeds.is_blank(row[column]) and not seeds.read_day(row[column]):
                what = f"{column}: a day is wanted, such as 2024-01-31, or nothing"
                yield Fault(row.at(column), what)
        first = seeds.read_day(row["valid_from"]) or date.min
        last = seeds.read_day(row["valid_to"]) or date.max
        if last < first:
            what = "valid_to is before valid_from: such a channel applies on no day"
            yield Fault(row.at("valid_to"), what)
            continue
        others = days_taken[row["project_id"], row["parameter"], row["parameter_value"]]
        for other_first, other_last, other in others:
            if first <= other_last and other_first <= last:
                yield Fault(
                    row.at("valid_from"),
                    "its days overlap with those of the same project, parameter and value at "
                    f"{other.at('project_id')}: end one before the other begins, or delete one",
                )
        others.append((first, last, row))


def find_tag_faults(rows: Sequence[Record], listed: set[str] | None) -> Iterator[Fault]:
    """What is wrong with KPI tags. `listed`: the projects there are, None if unknown."""
    first_rows: dict[tuple[str, ...], Record] = {}
    for row in rows:
        yield from _shared_faults(row, TAG_COLUMNS[2:], TAG_PARAMETERS, listed)
        first = first_rows.setdefault(tuple(row[column] for column in TAG_COLUMNS), row)
        if first is not row:
            what = f"the same row as at {first.at('project_id')}: delete one of them"
            yield Fault(row.at("project_id"), what)


def _shared_faults(
    row: Record, texts: Sequence[str], parameters: Sequence[str], listed: set[str] | None
) -> Iterator[Fault]:
    number = row["project_id"]
    if not projects.is_project_number(number):
        yield Fault(row.at("project_id"), "project_id: a project number is wanted, such as 11111")
    elif listed is not None and number not in listed:
        what = f"project_id: {number} is not in projects.csv (it has: {', '.join(sorted(listed))})"
        yield Fault(row.at("project_id"), what)
    if row["parameter"] not in parameters:
        yield Fault(row.at("parameter"), f"parameter: one of {', '.join(parameters)} is wanted")
    for column in texts:
        if seeds.is_blank(row[column]):
            what = f"{column} is empty" + (
                ": dbt reads the word null as nothing" if row[column].strip() else ": fill it in"
            )
            yield Fault(row.at(column), what)
        elif row[column] != row[column].strip(seeds.SPACES):
            what = f"{column} begins or ends with a space: leave it only if it is meant"
            yield Fault(row.at(column), what, is_warning=True)


def annotation(fault: Fault) -> str:
    """A fault of a CSV as GitHub shows it in a pull request."""
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


# ------------------------------------------------------------------------------------ suggestions

# Each pool in «Неизвестная кампания», those first that nearly equal a configured name. Its labels
# are those of that name, once for each of the name's rows; else the UTM values that all calls of
# the pool carry, where they are more than placeholders.
_UNMAPPED_POOLS = """
with placeholders as (
    select array['', '(not set)', '(none)', 'none)', '(direct)'] as words
),

utm_values as (
    select
        project_id,
        pool_name,
        min(utm_source) as utm_source,
        min(utm_medium) as utm_medium,
        min(utm_campaign) as utm_campaign
    from (
        select
            project_id,
            pool_name,
            case when btrim(utm_source) <> all (words) then utm_source end as utm_source,
            case when btrim(utm_medium) <> all (words) then utm_medium end as utm_medium,
            case when btrim(utm_campaign) <> all (words) then utm_campaign end as utm_campaign
        from {marts}.fct_conversions
        cross join placeholders
        where unknown_reason = 'unmapped_pool'
    ) as conversions
    group by project_id, pool_name
    having count(distinct (utm_source, utm_medium, utm_campaign)) = 1
)

select
    pools.project_id::text,
    'pool_name' as parameter,
    pools.pool_name as parameter_value,
    coalesce(channels.traffic_source, utm_values.utm_source, '') as traffic_source,
    coalesce(channels.traffic_type, utm_values.utm_medium, '') as traffic_type,
    coalesce(channels.campaign, utm_values.utm_campaign, '') as campaign,
    coalesce(channels.valid_from::text, '') as valid_from,
    coalesce(channels.valid_to::text, '') as valid_to,
    pools.conversions,
    pools.first_conversion_at,
    pools.last_conversion_at,
    pools.suggested_value,
    pools.suggestion_reason
from {marts}.rpt_unmapped_pools as pools
left join utm_values
    on
        pools.project_id = utm_values.project_id
        and pools.pool_name = utm_values.pool_name
left join {marts}.dim_channels as channels
    on
        pools.project_id = channels.project_id
        and channels.parameter = 'pool_name'
        and pools.suggested_value = channels.parameter_value
order by
    pools.suggested_value is null,
    pools.project_id,
    pools.conversions desc,
    pools.pool_name,
    channels.valid_from nulls first
"""

_DIFFERENCES = {
    "whitespace": "in spaces only",
    "case": "in case only",
    "look_alike": "in letters that look alike only",
}


@dataclass(frozen=True)
class Suggestion:
    """A row of `static_channels.csv` for a pool that no channel matches.

    `cells` has the row's columns, empty where the user has to say. `meant` is the configured name
    that the pool's nearly equals, `difference` says in what they differ.
    """

    cells: Mapping[str, str]
    conversions: int
    first_day: date
    last_day: date
    meant: str | None
    difference: str | None

    def __str__(self) -> str:
        count = f"{self.conversions:,} conversions, {self.first_day} to {self.last_day}"
        text = f"«{self.cells['parameter_value']}» ({count})"
        if self.meant is not None:
            text += f" differs from the configured «{self.meant}» {self.difference}: "
            text += "correct the row, or add this one"
        elif any(self.cells[column] for column in CHANNEL_COLUMNS[3:6]):
            text += ": all its calls carry these UTM values"
        return text


def suggest(conn: psycopg.Connection) -> list[Suggestion]:
    """A row for each pool in the mart `rpt_unmapped_pools`, near misses first.

    A near miss of a channel with several rows, one a period, gets as many. Raises
    ConfigurationError if the marts are not built.
    """
    marts = schema("marts")
    try:
        found = (
            conn.cursor(row_factory=dict_row)
            .execute(sql.SQL(_UNMAPPED_POOLS).format(marts=sql.Identifier(marts)))
            .fetchall()
        )
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise ConfigurationError(
            f"the marts are not built (no {marts}.rpt_unmapped_pools): `ringostat run` first"
        ) from None
    return [
        Suggestion(
            cells={column: pool[column] for column in CHANNEL_COLUMNS},
            conversions=pool["conversions"],
            first_day=pool["first_conversion_at"].date(),
            last_day=pool["last_conversion_at"].date(),
            meant=pool["suggested_value"],
            difference=_DIFFERENCES.get(pool["suggestion_reason"]),
        )
        for pool in found
    ]
