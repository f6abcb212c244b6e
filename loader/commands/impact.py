"""What an edit of the seeds moves between campaigns, and in money, before it is merged or built.

The same models build the marts twice beside the real ones, with the seeds of a git revision and
with those of the working tree, so attribution has one definition. Reading JSON, the expensive part,
is not repeated: the real staging tables of calls, forms and spend are read (dbt's `--defer`).
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
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
_STAGING = ("stg_ringostat__calls", "stg_ringostat__forms", "stg_ads__spend")

# A conversion of a project that the edit adds or removes has no campaign on one side.
_CONVERSIONS = """
select
    coalesce(after.project_id, before.project_id) as project_id,
    coalesce(after.project_name, before.project_name) as project_name,
    before.campaign as before,
    after.campaign as after,
    count(*) as conversions
from {before}.fct_conversions as before
full outer join {after}.fct_conversions as after
    on
        before.project_id = after.project_id
        and before.conversion_id = after.conversion_id
where
    (before.traffic_source, before.traffic_type, before.campaign)
    is distinct from (after.traffic_source, after.traffic_type, after.campaign)
group by 1, 2, 3, 4
order by project_id, conversions desc, before, after
"""

_CAMPAIGNS = """
select
    project_id,
    project_name,
    campaign,
    count(*) as conversions,
    count(*) filter (where is_tagged) as tagged,
    count(*) filter (where is_counted) as counted,
    null::numeric as spend
from {marts}.fct_conversions
group by project_id, project_name, campaign
"""

# It looks up each missed call for `lost`, so it is read only if it says more than the conversions.
_CAMPAIGNS_WITH_SPEND = """
select
    project_id,
    project_name,
    campaign,
    sum(conversions_all)::bigint as conversions,
    sum(conversions_tagged)::bigint as tagged,
    sum(conversions)::bigint as counted,
    sum(spend) as spend
from {marts}.rpt_campaigns_monthly
group by project_id, project_name, campaign
"""

_IS_SPEND_KNOWN = """
select
    exists (select 1 from {staging}.stg_ads__spend)
    or exists (select 1 from {before}.stg_config__channel_costs)
    or exists (select 1 from {after}.stg_config__channel_costs)
"""


@dataclass(frozen=True)
class Flow:
    """The conversions that the edit moves from one campaign, source and type to another.

    None: they are not in the marts on that side. The campaigns may be the same.
    """

    project_id: int
    project_name: str
    before: str | None
    after: str | None
    conversions: int


@dataclass(frozen=True)
class Campaign:
    """A campaign on one side, all that is loaded.

    `tagged`: how many of its conversions carry a tag; `counted`: how many the project's KPI mode
    counts. `spend` is None if nothing is known to be spent. Spend without a project has none here.
    """

    project_id: int | None
    project_name: str | None
    campaign: str
    conversions: int = 0
    tagged: int = 0
    counted: int = 0
    spend: Decimal | None = None

    @property
    def cost_per_conversion(self) -> Decimal | None:
        """As in `rpt_campaigns_monthly`."""
        if self.spend is None or not self.counted:
            return None
        return (self.spend / self.counted).quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass(frozen=True)
class Impact:
    """What moves, and every campaign on both sides. With spend, campaigns have the names by which
    `rpt_campaigns_monthly` shows them, which may be others than those in `flows`."""

    flows: Sequence[Flow]
    before: Sequence[Campaign]
    after: Sequence[Campaign]
    is_spend_known: bool


def moves(impact: Impact) -> Table:
    """The moves between campaigns, as Markdown that suits a terminal and a pull request."""
    table = Table("project", "from campaign", "to campaign", box=box.MARKDOWN)
    table.add_column("conversions", justify="right")
    for flow in impact.flows:
        table.add_row(
            _cell(f"{flow.project_id} {flow.project_name}"),
            _cell(flow.before or "(not in the marts)"),
            _cell(flow.after or "(not in the marts)"),
            f"{flow.conversions:,}",
        )
    return table


def campaigns(impact: Impact) -> Table:
    """The campaigns whose numbers change, before → after."""
    before, after = _by_campaign(impact.before), _by_campaign(impact.after)
    names = {one.project_id: one.project_name for one in (*impact.before, *impact.after)}
    table = Table("project", "campaign", box=box.MARKDOWN)
    headings = ["conversions", "tagged", "counted"]
    if impact.is_spend_known:
        headings += ["spend", "cost per conversion"]
    for heading in headings:
        table.add_column(heading, justify="right")
    projects = {
        number: "(no project)" if number is None else f"{number} {name}"
        for number, name in names.items()
    }
    for number, campaign in sorted(
        before.keys() | after.keys(), key=lambda key: (projects[key[0]], key[1])
    ):
        nothing = Campaign(number, None, campaign)
        old = _numbers(before.get((number, campaign), nothing))
        new = _numbers(after.get((number, campaign), nothing))
        if old != new:
            changes = map(_change, old[: len(headings)], new[: len(headings)])
            table.add_row(_cell(projects[number]), _cell(campaign), *changes)
    return table


def _by_campaign(rows: Sequence[Campaign]) -> Mapping[tuple[int | None, str], Campaign]:
    return {(row.project_id, row.campaign): row for row in rows}


def _numbers(row: Campaign) -> tuple[int | Decimal | None, ...]:
    return (row.conversions, row.tagged, row.counted, row.spend, row.cost_per_conversion)


def measure(conn: psycopg.Connection, base: str) -> Impact:
    """Where conversions go and what they cost, by the seeds of the git revision `base` and by those
    of the working tree.

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
        return _read(conn, before, after)


def _read(conn: psycopg.Connection, before: str, after: str) -> Impact:
    """What was built with these two prefixes."""
    query = sql.SQL(_CONVERSIONS).format(
        before=sql.Identifier(f"{before}_marts"), after=sql.Identifier(f"{after}_marts")
    )
    flows = conn.cursor(row_factory=class_row(Flow)).execute(query).fetchall()
    query = sql.SQL(_IS_SPEND_KNOWN).format(
        staging=sql.Identifier(settings.schema("staging")),
        before=sql.Identifier(f"{before}_staging"),
        after=sql.Identifier(f"{after}_staging"),
    )
    (is_spend_known,) = only_row(conn.execute(query))
    campaigns = sql.SQL(_CAMPAIGNS_WITH_SPEND if is_spend_known else _CAMPAIGNS)
    old, new = (
        conn.cursor(row_factory=class_row(Campaign))
        .execute(campaigns.format(marts=sql.Identifier(f"{prefix}_marts")))
        .fetchall()
        for prefix in (before, after)
    )
    return Impact(flows, old, new, is_spend_known)


def _check_out(base: str, folder: Path) -> None:
    """Writes the seeds of the git revision `base` to the new `folder`."""
    folder.mkdir()
    for name in SEEDS:
        # Without `--end-of-options`, a revision that begins with a dash would be an option.
        try:
            shown = subprocess.run(
                ["git", "show", "--end-of-options", f"{base}:./{name}"],
                cwd=settings.seeds_folder(),
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise ConfigurationError(
                f"git cannot be run in {settings.seeds_folder()}: {error.strerror}: "
                f"{error.filename}"
            ) from None
        if shown.returncode != 0 and name in _OPTIONAL:
            continue
        if shown.returncode != 0:
            reason = shown.stderr.decode(errors="replace").strip().splitlines()[0]
            raise ConfigurationError(f"--base {base}: {reason}")
        (folder / name).write_bytes(shown.stdout)


def _build(scratch: Path, schema: str, folder: Path) -> None:
    """Builds the conversions, spend, and what they need with the seeds of `folder`."""
    build(
        "--quiet",
        "--select",
        "+fct_conversions",
        "+rpt_campaigns_monthly",
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


def _change(before: int | Decimal | None, after: int | Decimal | None) -> str:
    shown = _shown(before), _shown(after)
    return shown[0] if before == after else " → ".join(shown)


def _shown(number: int | Decimal | None) -> str:
    if number is None:
        return "–"
    return f"{number:,.2f}" if isinstance(number, Decimal) else f"{number:,}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
