"""`ringostat demo`: loads a bundled account, builds the marts, and shows what a marketer sees.

It runs the ordinary loader and the ordinary `dbt build` on a database of its own in the embedded
Postgres: nothing of it gets into the user's data, and nobody has to clean up after it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from decimal import Decimal

import click
import psycopg
from psycopg import sql
from rich.table import Table

from loader import database, raw
from loader.commands import screen
from loader.commands.dbt import build
from loader.errors import ConfigurationError, LoadError
from loader.load import load_projects
from loader.projects import choose, read_projects
from loader.sandbox import SEEDS, Sandbox, Spend, demo_account, demo_spend

DATABASE = "ringostat_demo"

_KEYS = {11111: "SANDBOX_AUTH_KEY_CLINIC", 22222: "SANDBOX_AUTH_KEY_DEALER"}

# Where a connector such as Fivetran would write what the advertising platforms report as spent.
_SPEND = ("ringostat_demo_ads", "campaign_spend")

# Raise it with each change of the bundled account: calls of an earlier one would stay for good, or
# look as if Ringostat no longer listed them.
_EDITION = "made of edition 3 of the demo's account"

_NEXT_STEPS = f"""
What next:
  look at the dashboard      make bi
  open the docs              make docs
  query the marts            PGDATABASE={DATABASE} .venv/bin/ringostat db psql
  connect your own account   RINGOSTAT_AUTH_KEY=... .venv/bin/ringostat connect \\
                                 --name "My project" --time-zone Europe/Kyiv
"""


def demo() -> None:
    """Loads the sandbox account, builds the marts, prints a summary to stdout.

    A second run on the same day reads a fortnight again and changes nothing. Raises LoadError if
    the load or the build fails.
    """
    notes = screen.console(stderr=True)
    now = datetime.now(timezone.utc)
    with Sandbox(demo_account(now)) as sandbox, _settings(sandbox):
        warehouse = database.environment()
        if not database.is_embedded() or warehouse["PGDATABASE"] != DATABASE:
            raise ConfigurationError(f"the demo writes only to its own database, {DATABASE}")
        with database.connect(warehouse) as conn:
            forget_other_editions(conn)
            write_spend(conn, demo_spend(now.date()))
        with screen.progress() as bar:
            results = load_projects(choose(read_projects(), ()), bar=bar)
        for loaded in results:
            if loaded.error:
                raise LoadError(f"{loaded.project}: {loaded.error}")
        with notes.status("building the marts: dbt build"):
            # Also where an older version has made the demo.
            spend = json.dumps({"ringostat_ad_spend": ".".join(_SPEND)})
            build("--quiet", "--full-refresh", "--vars", spend)
        with database.connect(warehouse) as conn:
            print_summary(conn)
    click.echo(_NEXT_STEPS)


def forget_other_editions(conn: psycopg.Connection) -> None:
    """Drops what was made of another edition of the account; marks the database with this one."""
    schemas = conn.execute(
        """
        select nspname
        from pg_namespace
        where
            nspname like 'ringostat%%'
            and obj_description(to_regnamespace('ringostat_raw'), 'pg_namespace')
            is distinct from %s
        """,
        [_EDITION],
    ).fetchall()
    with conn.transaction():
        for (schema,) in schemas:
            conn.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(schema)))
    raw.create_tables(conn)
    mark = sql.SQL("comment on schema ringostat_raw is {}").format(sql.Literal(_EDITION))
    conn.execute(mark)


def write_spend(conn: psycopg.Connection, rows: Iterable[Spend]) -> None:
    """Replaces the table of spend, which the var `ringostat_ad_spend` names in the demo's build."""
    schema, table = sql.Identifier(_SPEND[0]), sql.Identifier(*_SPEND)
    with conn.transaction():
        conn.execute(sql.SQL("drop schema if exists {} cascade").format(schema))
        conn.execute(sql.SQL("create schema {}").format(schema))
        conn.execute(
            sql.SQL(
                """
                create table {} (
                    date_day date,
                    platform text,
                    campaign_id text,
                    campaign_name text,
                    spend numeric(12, 2),
                    project_id bigint
                )
                """
            ).format(table)
        )
        with conn.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy:
            for row in rows:
                copy.write_row(row)


def print_summary(conn: psycopg.Connection) -> None:
    """What the marts of the warehouse say, as tables on stdout."""
    console = screen.console(pipe_width=125)
    for table in (
        _last_days(conn),
        _kpi_modes(conn),
        _unmapped_pools(conn),
        _money(conn),
    ):
        console.print(table)
        console.print()
    for line in (*_lost_requests(conn), *_broken_pools(conn)):
        console.print(line)


@contextmanager
def _settings(sandbox: Sandbox) -> Iterator[None]:
    """Sets the environment of the demo (API, keys, seeds, database) and restores the user's."""
    before = dict(os.environ)
    for variable in before:
        if variable.startswith(("PG", "RINGOSTAT_")):
            del os.environ[variable]
    os.environ["PGDATABASE"] = DATABASE
    os.environ["RINGOSTAT_SEEDS"] = str(SEEDS)
    os.environ["RINGOSTAT_API_URL"] = sandbox.url
    for project_id, variable in _KEYS.items():
        os.environ[variable] = sandbox.project(project_id).auth_key
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _last_days(conn: psycopg.Connection) -> Table:
    rows = conn.execute(
        """
        select
            project_name,
            traffic_source,
            traffic_type,
            campaign,
            sum(conversions) as conversions,
            sum(conversions_all) as conversions_all,
            sum(answered) as answered,
            sum(missed) as missed
        from ringostat_marts.rpt_conversions_daily
        where
            conversion_date
            > (select max(conversion_date) from ringostat_marts.rpt_conversions_daily) - 30
        group by project_name, traffic_source, traffic_type, campaign
        order by project_name, conversions desc, traffic_source, traffic_type, campaign
        """
    ).fetchall()
    table = _table(
        "Conversions of the last 30 days, by each project's KPI mode",
        ("project", "source", "type", "campaign"),
        ("conversions", "of all", "answered", "missed"),
    )
    project = None
    for name, source, kind, campaign, *counts in rows:
        if project not in (None, name):
            table.add_section()
        shown = "" if name == project else name
        table.add_row(shown, source, kind, campaign, *_counts(*counts))
        project = name
    return table


def _kpi_modes(conn: psycopg.Connection) -> Table:
    rows = conn.execute(
        """
        select
            projects.project_name,
            projects.kpi_mode,
            count(*) as conversions,
            count(*) filter (where is_tagged) as tagged,
            count(*) filter (where is_primary) as primary_ones,
            count(*) filter (where is_tagged and is_primary) as tagged_and_primary,
            round(100.0 * count(*) filter (where attribution_method = 'unknown') / count(*), 1)
        from ringostat_marts.fct_conversions
        inner join ringostat_marts.dim_projects as projects using (project_id)
        group by projects.project_id, projects.project_name, projects.kpi_mode
        order by projects.project_name
        """
    ).fetchall()
    table = _table(
        "KPI modes side by side, all that is loaded",
        ("project", "counts by"),
        ("all", "tagged", "primary", "tagged_primary", "in «Неизвестная кампания»"),
    )
    for name, mode, *counts, unknown in rows:
        table.add_row(name, mode, *_counts(*counts), f"{unknown} %")
    return table


def _unmapped_pools(conn: psycopg.Connection) -> Table:
    rows = conn.execute(
        """
        select
            project_name,
            pool_name,
            conversions,
            case when is_dynamic then 'dynamic' else 'static' end,
            coalesce(suggested_value, ''),
            coalesce(suggestion_reason, '')
        from ringostat_marts.rpt_unmapped_pools
        order by project_name, is_dynamic, suggested_value is null, conversions desc
        """
    ).fetchall()
    table = _table(
        "Pools in «Неизвестная кампания»: add them to static_channels.csv",
        ("project", "pool", "kind", "nearly equals", "differs in"),
        ("conversions",),
    )
    for name, pool, conversions, kind, suggestion, reason in rows:
        table.add_row(name, f"«{pool}»", kind, suggestion, reason, *_counts(conversions))
    return table


def _money(conn: psycopg.Connection) -> Table:
    rows = conn.execute(
        """
        with

        daily as (
            select * from ringostat_marts.rpt_spend_daily
        ),

        last_day as (
            select max(date_day) as last_day
            from daily
            where conversions_all > 0
        )

        select
            project_name,
            campaign,
            sum(spend),
            sum(conversions),
            sum(spend) / nullif(sum(conversions), 0),
            sum(lost)
        from daily
        -- The costs of static channels are known for days to come, too.
        inner join last_day
            on date_day > last_day - 30 and date_day <= last_day
        group by project_name, traffic_source, traffic_type, campaign
        having sum(spend) > 0
        order by project_name, sum(spend) desc, campaign
        """
    ).fetchall()
    table = _table(
        "Money of the last 30 days, in each project's currency",
        ("project", "campaign"),
        ("spend", "conversions", "cost per conversion", "lost requests"),
    )
    project = None
    for name, campaign, spend, conversions, cost, lost in rows:
        if project not in (None, name):
            table.add_section()
        shown = "" if name == project else name
        counts = _counts(conversions, lost)
        table.add_row(shown, campaign, _money_of(spend), counts[0], _money_of(cost), counts[1])
        project = name
    return table


def _lost_requests(conn: psycopg.Connection) -> Iterator[str]:
    rows = conn.execute(
        """
        select
            count(*),
            count(*) filter (where outcome = 'called_back'),
            count(*) filter (where outcome = 'client_reached_us'),
            count(*) filter (where outcome = 'lost'),
            count(*) filter (where outcome = 'open')
        from ringostat_marts.rpt_lost_requests
        where
            conversion_date
            > (select max(conversion_date) from ringostat_marts.rpt_lost_requests) - 30
        """
    )
    missed, called_back, by_themselves, lost, still_open = _counts(*database.only_row(rows))
    yield (
        f"Missed requests of the last 30 days: {missed}. {called_back} were called back, "
        f"{by_themselves} reached us by another call, {lost} are lost, {still_open} are open."
    )


def _broken_pools(conn: psycopg.Connection) -> Iterator[str]:
    rows = conn.execute(
        """
        select pool_name, project_name, status, silent_days, visit_share_before, visit_share
        from ringostat_marts.rpt_tracking_health
        where status in ('silent', 'visits_dropped')
        order by status, project_name, pool_name
        """
    )
    for pool, project, status, days, before, now in rows:
        found = f"has been silent for {days} days: is the number dead?"
        if status == "visits_dropped":
            found = f"had a visit for {100 * before:.0f} % of its calls, now for {100 * now:.0f} %."
        yield f"«{pool}» of {project} {found}"


def _table(title: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _counts(*values: int) -> list[str]:
    return [f"{value:,}" for value in values]


def _money_of(amount: Decimal | None) -> str:
    return "—" if amount is None else f"{amount:,.2f}"
