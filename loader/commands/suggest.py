"""A row of `static_channels.csv` for each pool that no channel matches. Reads the marts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader import settings
from loader.commands.seeds import CHANNEL_COLUMNS
from loader.errors import ConfigurationError

# Each pool in «Неизвестная кампания»; those that nearly equal a configured name come first. A pool
# gets the labels of that name, one row for each of the name's rows; otherwise the UTM values that
# all its calls share, unless they are placeholders.
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

_LABELS = CHANNEL_COLUMNS[3:6]
_DIFFERENCES = {
    "whitespace": "in spaces only",
    "case": "in case only",
    "look_alike": "in letters that look alike only",
}


@dataclass(frozen=True)
class Suggestion:
    """A row of `static_channels.csv` for a pool that no channel matches.

    `cells` has the row's columns, empty where the user has to fill them in. `meant` is the
    configured name that the pool's name nearly equals, `difference` says how they differ.
    """

    cells: Mapping[str, str]
    conversions: int
    first_day: date
    last_day: date
    meant: str | None
    difference: str | None

    @property
    def is_complete(self) -> bool:
        """Whether no label is left to fill in."""
        return all(self.cells[column] for column in _LABELS)

    def __str__(self) -> str:
        count = f"{self.conversions:,} conversions, {self.first_day} to {self.last_day}"
        text = f"«{self.cells['parameter_value']}» ({count})"
        if self.meant is not None:
            text += f" differs from the configured «{self.meant}» {self.difference}: "
            text += "correct the row, or add this one"
        elif any(self.cells[column] for column in _LABELS):
            text += ": all its calls carry these UTM values"
        return text


def suggest(conn: psycopg.Connection) -> list[Suggestion]:
    """A row for each pool in the mart `rpt_unmapped_pools`, near misses first.

    If the channel that a pool nearly equals has several rows, one per period, the pool gets as many
    rows. Raises ConfigurationError if the marts are not built.
    """
    marts = settings.schema("marts")
    try:
        found = (
            conn.cursor(row_factory=dict_row)
            .execute(sql.SQL(_UNMAPPED_POOLS).format(marts=sql.Identifier(marts)))
            .fetchall()
        )
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise ConfigurationError(
            f"the marts are not built ({marts}.rpt_unmapped_pools does not exist): "
            "run `ringostat run` first"
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
