"""What an edit of the seeds moves between campaigns, before it is merged or built.

The same models build the marts twice beside the real ones, with the seeds of a git revision and
with those of the working tree, so attribution has one definition. Reading JSON, the expensive part,
is not repeated: the real staging tables are read (dbt's `--defer`).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from rich import box
from rich.table import Table

from loader import settings
from loader.commands.dbt import build, dbt
from loader.database import only_row
from loader.errors import ConfigurationError, LoadError

SEEDS = ("projects.csv", "static_channels.csv", "kpi_tags.csv", "channel_costs.csv")
_OPTIONAL = ("channel_costs.csv",)

_LAYERS = ("seeds", "staging", "intermediate", "marts")
_STAGING = ("stg_ringostat__calls", "stg_ringostat__forms")

# A conversion of a project that the edit adds or removes has no campaign on one side.
_CONVERSIONS = """
select
    coalesce(after.project_id, before.project_id) as project_id,
    coalesce(after.project_name, before.project_name) as project_name,
    before.campaign as before,
    after.campaign as after,
    (before.traffic_source, before.traffic_type, before.campaign)
        is distinct from (after.traffic_source, after.traffic_type, after.campaign) as is_moved,
    count(*) as conversions,
    count(*) filter (where before.is_tagged) as tagged_before,
    count(*) filter (where after.is_tagged) as tagged_after,
    count(*) filter (where before.is_counted) as counted_before,
    count(*) filter (where after.is_counted) as counted_after
from {before}.fct_conversions as before
full outer join {after}.fct_conversions as after
    on
        before.project_id = after.project_id
        and before.conversion_id = after.conversion_id
group by 1, 2, 3, 4, 5
order by project_id, conversions desc, before, after
"""


@dataclass(frozen=True)
class Flow:
    """The conversions that have one campaign before and one after, which may be the same.

    None: they are not in the marts on that side. `is_moved`: campaign, source or type changes.
    `tagged_…`: how many of them carry a tag; `counted_…`: how many the project's KPI mode counts.
    """

    project_id: int
    project_name: str
    before: str | None
    after: str | None
    is_moved: bool
    conversions: int
    tagged_before: int
    tagged_after: int
    counted_before: int
    counted_after: int


def moves(flows: Sequence[Flow]) -> Table:
    """The moves between campaigns, as Markdown that suits a terminal and a pull request."""
    table = Table("project", "from campaign", "to campaign", box=box.MARKDOWN)
    table.add_column("conversions", justify="right")
    for flow in flows:
        if flow.is_moved:
            table.add_row(
                _cell(f"{flow.project_id} {flow.project_name}"),
                _cell(flow.before or "(not in the marts)"),
                _cell(flow.after or "(not in the marts)"),
                f"{flow.conversions:,}",
            )
    return table


def campaigns(flows: Sequence[Flow]) -> Table:
    """The campaigns whose numbers change, before → after."""
    before: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    after: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for flow in flows:
        project = f"{flow.project_id} {flow.project_name}"
        if flow.before is not None:
            before[project, flow.before] += Counter(
                conversions=flow.conversions,
                tagged=flow.tagged_before,
                counted=flow.counted_before,
            )
        if flow.after is not None:
            after[project, flow.after] += Counter(
                conversions=flow.conversions, tagged=flow.tagged_after, counted=flow.counted_after
            )
    table = Table("project", "campaign", box=box.MARKDOWN)
    for name in ("conversions", "tagged", "counted"):
        table.add_column(name, justify="right")
    for project, campaign in sorted(before.keys() | after.keys()):
        old, new = before[project, campaign], after[project, campaign]
        if old != new:
            numbers = (
                _change(old[name], new[name]) for name in ("conversions", "tagged", "counted")
            )
            table.add_row(_cell(project), _cell(campaign), *numbers)
    return table


def measure(conn: psycopg.Connection, base: str) -> list[Flow]:
    """Where conversions go by the seeds of the git revision `base` and by the working tree's.

    Raises ConfigurationError if git has no such revision or seeds, or the warehouse was never
    built; LoadError if dbt fails, or another comparison is running on this warehouse.
    """
    staging = settings.schema("staging")
    for model in _STAGING:
        (found,) = only_row(conn.execute("select to_regclass(%s)", [f"{staging}.{model}"]))
        if found is None:
            raise ConfigurationError(f"{staging}.{model} does not exist: run `ringostat run` first")
    with tempfile.TemporaryDirectory() as name, _scratch_schemas(conn) as (before, after):
        scratch = Path(name)
        _check_out(base, scratch / "seeds")
        # dbt's plan of the real schemas, for --defer.
        if dbt("--quiet", "parse", "--target-path", str(scratch / "state")) != 0:
            raise LoadError("dbt parse failed: see above")
        _build(scratch, schema=before, folder=scratch / "seeds")
        _build(scratch, schema=after, folder=settings.seeds_folder())
        query = sql.SQL(_CONVERSIONS).format(
            before=sql.Identifier(f"{before}_marts"), after=sql.Identifier(f"{after}_marts")
        )
        return conn.cursor(row_factory=class_row(Flow)).execute(query).fetchall()


def _check_out(base: str, folder: Path) -> None:
    """Writes the seeds of the git revision `base` to the new `folder`."""
    folder.mkdir()
    for name in SEEDS:
        # Without `--end-of-options`, a revision that begins with a dash would be an option.
        shown = subprocess.run(
            ["git", "show", "--end-of-options", f"{base}:./{name}"],
            cwd=settings.seeds_folder(),
            capture_output=True,
            check=False,
        )
        if shown.returncode != 0 and name in _OPTIONAL:
            continue
        if shown.returncode != 0:
            reason = shown.stderr.decode(errors="replace").strip().splitlines()[0]
            raise ConfigurationError(f"--base {base}: {reason}")
        (folder / name).write_bytes(shown.stdout)


def _build(scratch: Path, schema: str, folder: Path) -> None:
    """Builds `fct_conversions` and what it needs with the seeds of `folder`."""
    build(
        "--quiet",
        "--select",
        "+fct_conversions",
        "--exclude",
        *_STAGING,
        "--exclude-resource-type",
        "test",
        "--defer",
        "--favor-state",
        "--state",
        str(scratch / "state"),
        "--target-path",
        str(scratch / "target"),
        RINGOSTAT_SCHEMA=schema,
        RINGOSTAT_SEEDS=str(folder.resolve()),
    )


@contextmanager
def _scratch_schemas(conn: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """The prefixes of two sets of schemas, which are dropped at the end.

    Their names are fixed, so that the next run drops what a killed run has left behind.
    """
    prefixes = settings.schema("impact_before"), settings.schema("impact_after")
    key = prefixes[0]
    taken = conn.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
    if not only_row(taken)[0]:
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


def _change(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
