"""Channels that would override the UTM of a dynamic pool: warnings, if the warehouse can tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg
from psycopg import sql

from loader import csv_file, database, projects, settings
from loader.commands.seeds import CHANNEL_LABELS, CHANNEL_TOKENS, Record
from loader.csv_file import AnyPlace_co, Fault
from loader.errors import ConfigurationError

# Nobody waits longer for warnings.
_SECONDS_TO_CONNECT = 3
_MILLISECONDS_TO_READ = 10_000

# A channel changes the labels of a pool's calls, not their visits. So the warning stays when the
# channel has been built.
_OVERRIDDEN = """
select
    channels.number::integer,
    sum(pools.conversions_with_visit)::bigint
from unnest(%(project_ids)s::bigint[], %(pools)s::text[], %(first)s::date[], %(last)s::date[])
    with ordinality as channels (project_id, pool_name, valid_from, valid_to, number)
inner join {intermediate}.int_pools_daily as pools
    on
        channels.project_id = pools.project_id
        and channels.pool_name = pools.pool_name
        and pools.conversion_date >= coalesce(channels.valid_from, '-infinity')
        and pools.conversion_date <= coalesce(channels.valid_to, 'infinity')
where
    pools.is_dynamic
    -- Postgres applies this inside the view, and so reads no other pool.
    and pools.pool_name = any(%(pools)s)
group by channels.number
having sum(pools.conversions_with_visit) > 0
order by channels.number
"""


def find_overrides(rows: Iterable[Record[AnyPlace_co]]) -> list[Fault[AnyPlace_co]]:
    """A warning for each channel on a dynamic pool that would override the UTM of its calls.

    A channel with a `{utm_source}` or the like among its labels is meant for such a pool. Returns
    nothing if the warehouse is not running, or if the marts are not built or cannot be read.
    """
    channels = [
        row
        for row in rows
        if row["parameter"] == "pool_name"
        and projects.is_project_number(row["project_id"])
        and not any(row[column] in CHANNEL_TOKENS for column in CHANNEL_LABELS)
    ]
    return [
        Fault(
            channels[number - 1].at("parameter_value"),
            "parameter_value: this pool is dynamic: the channel would override the UTM of "
            f"{calls:,} of its calls; the labels {', '.join(CHANNEL_TOKENS[:3])} keep it",
            is_warning=True,
        )
        for number, calls in (_count_overridden(channels) if channels else ())
    ]


def _count_overridden(channels: Sequence[Record[AnyPlace_co]]) -> list[tuple[int, int]]:
    """Which of the channels, counted from 1, override the UTM of how many calls."""
    columns = {
        "project_ids": [int(row["project_id"]) for row in channels],
        "pools": [row["parameter_value"] for row in channels],
        "first": [csv_file.read_day(row["valid_from"]) for row in channels],
        "last": [csv_file.read_day(row["valid_to"]) for row in channels],
    }
    query = sql.SQL(_OVERRIDDEN).format(
        intermediate=sql.Identifier(settings.schema("intermediate"))
    )
    try:
        warehouse = database.running()
        if warehouse is None:
            return []
        with database.connect(warehouse, _SECONDS_TO_CONNECT) as conn:
            conn.execute(f"set statement_timeout = {_MILLISECONDS_TO_READ}")
            return conn.execute(query, columns).fetchall()
    except (ConfigurationError, psycopg.Error):
        return []
