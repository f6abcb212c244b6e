"""The command `ringostat`: the commands, and nothing but the commands.

Log lines go to stderr, results to stdout. Exit 0: done; 1: something failed; 2: usage or
configuration, nothing touched.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import date, datetime
from typing import Any

import click
from rich.console import Console

from loader import database
from loader.dbt import dbt
from loader.errors import ConfigurationError
from loader.load import DEFAULT_JOBS, DEFAULT_LOOKBACK_DAYS, Asked, load_projects
from loader.projects import choose, read_projects
from loader.sandbox import demo_account, serve
from loader.status import as_table, read_status

_DAY_OR_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%d %H:%M:%S"])


class _ToStderr(logging.Handler):
    """Log lines by way of click, which finds today's stderr and puts them above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Log every request and every window.")
def main(verbose: bool) -> None:
    """Ringostat's calls in a Postgres, ready for BI."""
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # the loader tells of requests itself


def _load_options(command: click.Command) -> click.Command:
    """The options that `load` and `run` share."""
    for option in reversed(
        [
            click.option("--project", "ids", type=int, multiple=True, help="Only this project."),
            click.option("--since", type=_DAY_OR_TIME, help="In the project's zone, inclusive."),
            click.option("--until", type=_DAY_OR_TIME, help="In the project's zone, exclusive."),
            click.option(
                "--lookback-days",
                type=click.IntRange(min=0, max=36500),
                default=DEFAULT_LOOKBACK_DAYS,
                show_default=True,
                help="Without --since: how much of what is loaded to read again.",
            ),
            click.option(
                "--jobs",
                type=click.IntRange(min=1, max=64),
                default=DEFAULT_JOBS,
                show_default=True,
                help="How many projects to load side by side.",
            ),
        ]
    ):
        command = option(command)
    return command


def _load(
    ids: tuple[int, ...],
    since: datetime | None,
    until: datetime | None,
    lookback_days: int,
    jobs: int,
) -> bool:
    """Loads, and prints a line for each project. False if one failed."""
    if since and until and since >= until:
        raise ConfigurationError(f"--since {since} is not before --until {until}")
    projects = choose(read_projects(), ids)
    results = load_projects(projects, Asked(since, until, lookback_days), jobs)
    for result in results:
        failure = f"; FAILED: {result.error}" if result.error else ""
        click.echo(f"{result.project}: {result.landed}{failure}")
    return not any(result.error for result in results)


@main.command()
@_load_options
def load(**options: Any) -> None:
    """Land calls in the raw tables.

    \b
    Example: ringostat load --project 11111 --since 2024-01-01 --until 2024-02-01
    """
    if not _load(**options):
        raise SystemExit(1)


@main.command()
@_load_options
def run(**options: Any) -> None:
    """Land calls, then build the marts: what cron calls.

    What has landed is built even if a project failed.

    \b
    Example: ringostat run
    """
    is_loaded = _load(**options)
    if dbt("build") != 0 or not is_loaded:
        raise SystemExit(1)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects instead of a table.")
def status(as_json: bool) -> None:
    """Show how far each project is loaded, and what went wrong.

    \b
    Example: ringostat status --json
    """
    projects = read_projects()
    with database.connect(database.environment()) as conn:
        statuses = read_status(conn, projects)
    if as_json:
        rows = [dataclasses.asdict(status) for status in statuses]
        click.echo(json.dumps(rows, default=datetime.isoformat, ensure_ascii=False, indent=2))
    else:
        Console().print(as_table(statuses))


@main.command()
def demo() -> None:
    """Load a bundled sandbox account, build the marts and show them. Needs no key.

    \b
    Example: ringostat demo
    """
    from loader.demo import demo as show_demo  # noqa: PLC0415 - only this command needs it

    show_demo()


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
def sandbox(port: int) -> None:
    """Serve the sandbox API on loopback, until Ctrl-C.

    \b
    Example: ringostat sandbox --port 8765
    """
    try:
        serve(demo_account(date.today()), port)
    except OSError as error:
        raise ConfigurationError(f"port {port} cannot be used: {error.strerror}") from None


@main.group()
def db() -> None:
    """The embedded Postgres, which serves while PGHOST is not set."""


@db.command("start")
def db_start() -> None:
    """Start it. The other commands do so too."""
    _need_embedded()
    click.echo(f"Postgres listens in {database.start()['PGHOST']}")


@db.command("stop")
def db_stop() -> None:
    """Stop it. The data stay."""
    _need_embedded()
    click.echo("stopped" if database.stop() else "it was not running")


@db.command("env")
def db_env() -> None:
    """Print `export` lines, so that plain dbt and psql find the warehouse.

    \b
    Example: eval "$(ringostat db env)"
    """
    click.echo(database.exports(database.environment()))


@db.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def db_psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the warehouse, or pass it ARGUMENTS.

    \b
    Example: ringostat db psql -c 'select * from ringostat_marts.rpt_load_status'
    """
    raise SystemExit(database.psql(database.environment(), arguments))


def _need_embedded() -> None:
    if not database.is_embedded():
        raise ConfigurationError("PGHOST is set: your own Postgres is used, not the embedded one")
