"""What an edit of the seeds moves between campaigns, before it is merged or built.

The marts are built twice beside the real ones, with the seeds of a git revision and with those of
the working tree, by the same models: there is no second notion of attribution here. What costs,
reading JSON, is not done again: the staging tables are read where they are (dbt's `--defer`).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from rich import box
from rich.table import Table

from loader import seeds
from loader.dbt import dbt, schema
from loader.errors import ConfigurationError, LoadError

SEEDS = ("projects.csv", "static_channels.csv", "kpi_tags.csv")

_LAYERS = ("seeds", "staging", "intermediate", "marts")
_STAGING = ("stg_ringostat__calls", "stg_ringostat__forms")

# A conversion on one side only, of a project that the edit adds or takes away, has no campaign on
# the other side.
_BOTH = """
with both_sides as (
    select
        coalesce(after.project_id, before.project_id) as project_id,
        coalesce(after.project_name, before.project_name) as project_name,
        before.campaign as campaign_before,
        after.campaign as campaign_after,
        (before.traffic_source, before.traffic_type, before.campaign)
            is distinct from (after.traffic_source, after.traffic_type, after.campaign)
            as is_moved,
        coalesce(before.is_counted, false) as is_counted_before,
        coalesce(after.is_counted, false) as is_counted_after
    from {before}.fct_conversions as before
    full outer join {after}.fct_conversions as after
        on
            before.project_id = after.project_id
            and before.conversion_id = after.conversion_id
)
"""

_MOVES = (
    _BOTH
    + """
select
    project_id,
    max(project_name) as project_name,
    campaign_before,
    campaign_after,
    count(*) as conversions
from both_sides
where is_moved
group by project_id, campaign_before, campaign_after
order by project_id, conversions desc, campaign_before, campaign_after
"""
)

_CAMPAIGNS = (
    _BOTH
    + """
, sides as (
    select project_id, project_name, campaign_before as campaign,
        1 as before, 0 as after, is_counted_before::int as counted_before, 0 as counted_after
    from both_sides
    where campaign_before is not null
    union all
    select project_id, project_name, campaign_after,
        0, 1, 0, is_counted_after::int
    from both_sides
    where campaign_after is not null
)

select
    project_id,
    max(project_name) as project_name,
    campaign,
    sum(before) as before,
    sum(after) as after,
    sum(counted_before) as counted_before,
    sum(counted_after) as counted_after
from sides
group by project_id, campaign
having sum(before) <> sum(after) or sum(counted_before) <> sum(counted_after)
order by project_id, campaign
"""
)


@dataclass(frozen=True)
class Move:
    """Conversions that go from one campaign to another; None: not in the marts on that side.

    Equal campaigns: the source or the type changes.
    """

    project_id: int
    project_name: str
    campaign_before: str | None
    campaign_after: str | None
    conversions: int


@dataclass(frozen=True)
class Campaign:
    """A campaign whose numbers change: all conversions, and those that the KPI mode counts."""

    project_id: int
    project_name: str
    campaign: str
    before: int
    after: int
    counted_before: int
    counted_after: int


@dataclass(frozen=True)
class Impact:
    moves: list[Move]
    campaigns: list[Campaign]

    def tables(self) -> Iterator[Table]:
        """As Markdown, which a terminal and a pull request show alike."""
        if self.moves:
            table = Table("project", "from campaign", "to campaign", box=box.MARKDOWN)
            table.add_column("conversions", justify="right")
            for move in self.moves:
                table.add_row(
                    _cell(f"{move.project_id} {move.project_name}"),
                    _cell(move.campaign_before or "(not in the marts)"),
                    _cell(move.campaign_after or "(not in the marts)"),
                    f"{move.conversions:,}",
                )
            yield table
        if self.campaigns:
            table = Table("project", "campaign", box=box.MARKDOWN)
            for name in ("before", "after", "counted before", "counted after"):
                table.add_column(name, justify="right")
            for row in self.campaigns:
                numbers = (row.before, row.after, row.counted_before, row.counted_after)
                table.add_row(
                    _cell(f"{row.project_id} {row.project_name}"),
                    _cell(row.campaign),
                    *(f"{number:,}" for number in numbers),
                )
            yield table


def measure(conn: psycopg.Connection, base: str) -> Impact:
    """What the working tree's seeds change against those of the git revision `base`.

    Raises ConfigurationError if git has no such revision or seeds, or the warehouse was never
    built; LoadError if dbt fails, or another comparison is under way on this warehouse.
    """
    staging = schema("staging")
    for model in _STAGING:
        if conn.execute("select to_regclass(%s)", [f"{staging}.{model}"]).fetchone()[0] is None:
            raise ConfigurationError(
                f"no {staging}.{model} in the warehouse: `ringostat run` first"
            )
    with tempfile.TemporaryDirectory() as name, _scratch_schemas(conn) as (before, after):
        scratch = Path(name)
        _check_out(base, scratch / "seeds")
        # dbt's plan of the real schemas, for --defer.
        if dbt("--quiet", "parse", "--target-path", str(scratch / "state")) != 0:
            raise LoadError("dbt parse failed: see above")
        _build(scratch, schema=before, folder=scratch / "seeds")
        _build(scratch, schema=after, folder=seeds.folder())
        return Impact(
            moves=_rows(conn, Move, _MOVES, before, after),
            campaigns=_rows(conn, Campaign, _CAMPAIGNS, before, after),
        )


def _check_out(base: str, folder: Path) -> None:
    """Writes the seeds of the git revision `base` to the new `folder`."""
    folder.mkdir()
    for name in SEEDS:
        # Without `--end-of-options`, a revision that begins with a dash would be an option.
        shown = subprocess.run(
            ["git", "show", "--end-of-options", f"{base}:./{name}"],
            cwd=seeds.folder(),
            capture_output=True,
            check=False,
        )
        if shown.returncode != 0:
            reason = shown.stderr.decode(errors="replace").strip().splitlines()[0]
            raise ConfigurationError(f"--base {base}: {reason}")
        (folder / name).write_bytes(shown.stdout)


def _build(scratch: Path, schema: str, folder: Path) -> None:
    """Builds `fct_conversions` and what it needs with the seeds of `folder`."""
    code = dbt(
        "--quiet",
        "build",
        "--select",
        "+fct_conversions",
        "--exclude",
        *_STAGING,
        "--exclude-resource-type",
        "test",
        "unit_test",
        "--defer",
        "--favor-state",
        "--state",
        str(scratch / "state"),
        "--target-path",
        str(scratch / "target"),
        RINGOSTAT_SCHEMA=schema,
        RINGOSTAT_SEEDS=str(folder.resolve()),
    )
    if code != 0:
        raise LoadError(f"dbt build with the seeds of {folder} failed: see above")


@contextmanager
def _scratch_schemas(conn: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """The prefixes of two sets of schemas, which are dropped in the end.

    Their names are fixed, so that what a killed run left behind is dropped by the next one.
    """
    prefixes = schema("impact_before"), schema("impact_after")
    key = prefixes[0]
    taken = conn.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
    if not taken.fetchone()[0]:
        raise LoadError("another `channels impact` is running on this warehouse")
    try:
        _drop(conn, prefixes)
        yield prefixes
    finally:
        with suppress(psycopg.OperationalError):
            _drop(conn, prefixes)
            conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])


def _drop(conn: psycopg.Connection, prefixes: tuple[str, str]) -> None:
    conn.execute("set client_min_messages = warning")  # no notice for each table dropped
    for prefix in prefixes:
        for layer in _LAYERS:
            name = sql.Identifier(f"{prefix}_{layer}")
            conn.execute(sql.SQL("drop schema if exists {} cascade").format(name))


def _rows(conn: psycopg.Connection, kind: type, query: str, before: str, after: str) -> list:
    cursor = conn.cursor(row_factory=class_row(kind))
    schemas = {
        "before": sql.Identifier(f"{before}_marts"),
        "after": sql.Identifier(f"{after}_marts"),
    }
    return cursor.execute(sql.SQL(query).format(**schemas)).fetchall()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
