"""The command `ringostat`: its subcommands and their options, nothing else.

Log lines go to stderr, results to stdout. Exit 0: done; 1: something failed; 2: usage or
configuration, nothing was changed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import ZoneInfo

import click
import psycopg

from loader import ROOT, alerts, csv_file, database, forms, settings
from loader.commands import (
    check,
    impact,
    init,
    lifecycle,
    logs,
    overrides,
    screen,
    seeds,
    suggest,
    xlsx,
)
from loader.commands.dbt import build, read_vars
from loader.commands.measure import measure
from loader.commands.status import as_line, as_table, is_healthy, read_status, tracking_line
from loader.errors import ConfigurationError, Failure, LoadError
from loader.load import (
    DEFAULT_JOBS,
    DEFAULT_LOOKBACK_DAYS,
    Asked,
    Interrupted,
    Loaded,
    describe,
    load_projects,
)
from loader.projects import (
    DEFAULT_KEY_VARIABLE,
    Project,
    choose,
    find,
    is_key_variable,
    read_projects,
    read_zone,
)
from loader.sandbox import demo_account, serve

if TYPE_CHECKING:
    from loader.commands.connect import Seen

log = logging.getLogger(__name__)

_BUILT = "dbt build: the marts are up to date"


class _Day(click.DateTime):
    """A date or time of a plausible year."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        moment: datetime = super().convert(value, param, ctx)
        if not 2000 <= moment.year <= 2100:
            self.fail(f"{value!r} must be in the years 2000 to 2100", param, ctx)
        return moment


_DAY_OR_TIME = _Day(["%Y-%m-%d", "%Y-%m-%d %H:%M:%S"])


class _Commands(click.Group):
    """A failed command ends with one line and the exit code of the failure."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Failure as failure:
            _fail(ctx, str(failure), failure.exit_code)
        except psycopg.Error as error:
            _fail(ctx, describe(error), 1)
        except click.ClickException as error:
            if not logs.is_json():
                raise  # click shows it, with the usage
            _fail(ctx, error.format_message(), error.exit_code)
        except KeyboardInterrupt:
            if not logs.is_json():
                raise
            _fail(ctx, "interrupted", 1)


def _fail(ctx: click.Context, message: str, exit_code: int) -> NoReturn:
    """Ends the command. In a log file, the error is a log line with a time."""
    if logs.is_json() or (ctx.invoked_subcommand == "run" and logs.is_quiet()):
        for line in message.splitlines():
            log.error("%s", line)
    else:
        click.ClickException(message).show()
    raise SystemExit(exit_code) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ringostat-marts", prog_name="ringostat")
@click.option("-v", "--verbose", is_flag=True, help="Log every request and every window.")
@click.option(
    "--log-format",
    type=click.Choice(settings.LOG_FORMATS),
    help="`json`: one object per log line, for log collectors. Default: RINGOSTAT_LOG_FORMAT, "
    "else text.",
)
def main(verbose: bool, log_format: str | None) -> None:
    """Load Ringostat's calls into Postgres and build tables for BI."""
    if not (ROOT / "dbt_project.yml").is_file():
        raise ConfigurationError(
            f"{ROOT} is not the project's folder: `ringostat` runs from a checkout, where "
            "`make install` sets it up"
        )
    logs.set_up(verbose, log_format or settings.log_format())


def _load_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that `load` and `run` share."""
    for option in reversed(
        [
            click.option(
                "--project",
                "ids",
                type=int,
                multiple=True,
                help="Load only this project; may be repeated.",
            ),
            click.option("--since", type=_DAY_OR_TIME, help="In the project's zone, inclusive."),
            click.option("--until", type=_DAY_OR_TIME, help="In the project's zone, exclusive."),
            click.option(
                "--lookback-days",
                type=click.IntRange(min=0, max=36500),
                default=DEFAULT_LOOKBACK_DAYS,
                show_default=True,
                help="How many of the loaded days to read again, if --since is not given.",
            ),
            click.option(
                "--jobs",
                type=click.IntRange(min=1, max=64),
                default=DEFAULT_JOBS,
                show_default=True,
                help="How many projects to load at the same time.",
            ),
            click.option(
                "--allow-removals",
                is_flag=True,
                help="Remove calls that Ringostat no longer lists, however many they are.",
            ),
            click.option(
                "--accept-lost-fields",
                "may_lose_fields",
                is_flag=True,
                help="Continue without fields that Ringostat returned before and now refuses.",
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
    allow_removals: bool,
    may_lose_fields: bool,
) -> list[Loaded]:
    if since and until and since >= until:
        raise ConfigurationError(f"--since {since} is not before --until {until}")
    projects = choose(read_projects(), ids)
    asked = Asked(since, until, lookback_days, allow_removals, may_lose_fields)
    with screen.progress() as bar:
        return load_projects(projects, asked, jobs, bar)


def _print(results: Iterable[Loaded]) -> None:
    """One line per project. With JSON, the log alone says it."""
    for result in () if logs.is_json() else results:
        failure = f"; FAILED: {result.error}" if result.error else ""
        click.echo(f"{result.project}: {result.landed}{failure}")


def _print_of_run(results: Iterable[Loaded]) -> None:
    """Off a terminal, only what failed: cron mails what is printed."""
    _print(result for result in results if result.error or not logs.is_quiet())


def _load_and_alert(
    alert: alerts.Alerts, show: Callable[[Iterable[Loaded]], None], options: Mapping[str, Any]
) -> bool:
    """Loads, and shows the results. False if a project failed."""
    try:
        results = _load(**options)
    except Interrupted as interrupted:
        show(interrupted.results)
        raise
    show(results)
    ended = [result for result in results if not result.is_stopped]
    alert.tell({alerts.of_project(result.project): result.error for result in ended})
    return not any(result.error for result in results)


@main.command()
@_load_options
def load(**options: Any) -> None:
    """Land calls in the raw tables.

    \b
    Example: ringostat load --project 11111 --since 2024-01-01 --until 2024-02-01
    """
    alert = alerts.Alerts()
    with alert.watch(alerts.RUN):
        is_loaded = _load_and_alert(alert, _print, options)
    if not is_loaded:
        raise SystemExit(1)


@main.command()
@_load_options
@click.option(
    "--full-refresh",
    is_flag=True,
    help="Build all tables again. Use it once after an upgrade if CHANGELOG.md says so. "
    "It drops your own views on the marts: create them again.",
)
def run(full_refresh: bool, **options: Any) -> None:
    """Land calls, then build the marts: what cron calls.

    Faults in the CSVs stop it before anything is loaded. If a project fails, the others are still
    loaded and built. A build waits for another one to end. Off a terminal it logs one line per
    project and one for the build, and prints only what failed.

    \b
    Example: ringostat run
    """
    alert = alerts.Alerts()
    with alert.watch(alerts.RUN):
        read_vars()  # its faults before anything is loaded
        _check_csvs()
        is_loaded = _load_and_alert(alert, _print_of_run, options)
    with alert.watch(alerts.of_build()):
        try:
            build(*(["--full-refresh"] if full_refresh else []))
        except ConfigurationError as error:  # calls have landed, so not exit code 2
            raise LoadError(str(error)) from None
    if logs.is_quiet():
        log.info("%s", _BUILT)
    else:
        click.echo(_BUILT, err=True)
    if not is_loaded:
        raise SystemExit(1)


def _check_csvs() -> None:
    """Shows the faults of the CSVs. Raises ConfigurationError unless they are warnings only."""
    faults = check.find_faults()
    for fault in faults:
        if logs.is_quiet():
            log.log(logging.WARNING if fault.is_warning else logging.ERROR, "%s", fault)
        else:
            click.echo(fault, err=True)
    if not all(fault.is_warning for fault in faults):
        raise ConfigurationError("nothing was loaded or built: correct the CSVs first")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a list of objects.")
@click.option(
    "--check",
    is_flag=True,
    help="For monitoring: print only active projects that are not `loaded`; exit 1 if any is.",
)
def status(as_json: bool, check: bool) -> None:
    """Show how far each project is loaded and built, and what went wrong.

    Prints a table on a terminal, and one line per project into a pipe. A last line, which --check
    leaves out, counts the pools of active projects that rpt_tracking_health finds silent or without
    their visits.

    \b
    Example: ringostat status --json
    """
    projects = read_projects()
    with database.connect(database.environment()) as conn:
        statuses = read_status(conn, projects)
    shown = [
        (project, status)
        for project, status in zip(projects, statuses, strict=True)
        if not (check and is_healthy(status))
    ]
    console = screen.console()
    if as_json:
        rows = [dataclasses.asdict(status) for _, status in shown]
        click.echo(json.dumps(rows, default=datetime.isoformat, ensure_ascii=False, indent=2))
    elif console.is_terminal and shown and not check:
        console.print(as_table(projects, statuses))
    else:
        for project, status in shown:
            click.echo(as_line(project, status))
    tracking = tracking_line(statuses)
    if tracking and not check and not as_json:
        click.echo(tracking)
    if not projects:
        file = settings.seeds_folder() / "projects.csv"
        click.echo(f"{file} lists no project: add yours with `ringostat connect`", err=True)
    if check and (shown or not projects):
        raise SystemExit(1)


@main.command()
def demo() -> None:
    """Load a bundled sandbox account, build the marts and show them. Needs no key.

    \b
    Example: ringostat demo
    """
    from loader.commands.demo import demo as show_demo  # noqa: PLC0415 - only this command needs it

    show_demo()


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
def sandbox(port: int) -> None:
    """Serve the sandbox API on loopback, until Ctrl-C.

    \b
    Example: ringostat sandbox --port 8765
    """
    try:
        serve(demo_account(datetime.now(timezone.utc)), port)
    except OSError as error:
        raise ConfigurationError(f"port {port} cannot be used: {error.strerror}") from None


@main.command("init")
@click.argument(
    "folder", default=".", type=click.Path(file_okay=False, path_type=Path), metavar="[FOLDER]"
)
def init_folder(folder: Path) -> None:
    """Set up FOLDER (default: this one) as your private repository: CSVs, vars, keys, a schedule.

    What is yours then lives outside the project's folder, and an upgrade never touches it. Refuses
    to overwrite a file.

    \b
    Example: ringostat init ~/our-ringostat
    """
    made = init.init(folder)
    folder = folder.resolve()
    click.echo(f"made in {folder}:")
    for one in made:
        click.echo(f"  {one.name:<33} {one.purpose}")
    click.echo("next, once .env has your key and your Postgres:")
    click.echo(f"  set -a && . {shlex.quote(str(folder / '.env'))} && set +a")
    click.echo('  ringostat connect --name "My project" --time-zone Europe/Kyiv')
    click.echo("  ringostat run")


@main.command()
@click.option("--name", help="The project's name in reports.")
@click.option("--time-zone", help="The project's zone in Ringostat, e.g. Europe/Kyiv.")
@click.option(
    "--check",
    "listed_id",
    metavar="ID",
    type=int,
    help="Measure the API of a project that projects.csv lists; write nothing.",
)
@click.option(
    "--auth-key-env",
    default=DEFAULT_KEY_VARIABLE,
    show_default=True,
    help="The environment variable that holds the key.",
)
@click.option(
    "--project-id",
    type=click.IntRange(1),
    help="The project's number, if the account's calls do not show it.",
)
@click.option(
    "--load-from", type=_Day(["%Y-%m-%d"]), help="The first day to load. Default: a year ago."
)
@click.option(
    "--trust-time-zone",
    is_flag=True,
    help="Add the project although its calls carry the time offset of another zone.",
)
def connect(
    name: str | None,
    time_zone: str | None,
    listed_id: int | None,
    auth_key_env: str,
    project_id: int | None,
    load_from: datetime | None,
    trust_time_zone: bool,
) -> None:
    """Try a key, show its project, measure its API, and add the project to projects.csv.

    \b
    Example: RINGOSTAT_AUTH_KEY=... ringostat connect --name Clinic --time-zone Europe/Kyiv
    Example: ringostat connect --check 11111
    """
    from loader.commands import connect as connecting  # noqa: PLC0415 - the name is the command's

    if listed_id is not None:
        if name or time_zone or project_id or load_from or trust_time_zone:
            raise ConfigurationError("--check ID measures a listed project: give no other option")
        _check_connection(find(read_projects(), listed_id))
        return
    if name is None or time_zone is None:
        raise ConfigurationError("give --name and --time-zone, or --check ID for a listed project")
    zone = read_zone(time_zone)
    if zone is None:
        raise ConfigurationError(f"--time-zone {time_zone}: must be an IANA zone, e.g. Europe/Kyiv")
    if csv_file.is_blank(name):
        raise ConfigurationError("--name must not be empty: reports show it")
    if not is_key_variable(auth_key_env):
        raise ConfigurationError(
            "--auth-key-env must be the NAME of an environment variable, never the key itself"
        )
    read_projects()  # its faults before the API's
    seen = connecting.look(auth_key_env, zone, project_id)
    first_day = load_from.date() if load_from else connecting.a_year_ago(zone)
    project = Project(
        seen.project_id, name, auth_key_env, zone, "", first_day, is_active=True, api_time_zone=zone
    )
    connecting.check_is_new(project)
    _show_seen(seen)
    if not trust_time_zone:
        connecting.check_zone(seen)
    clock = _show_measured(seen)
    if clock is not None:
        project = dataclasses.replace(project, api_time_zone=clock)
    click.echo(connecting.NOTICE)
    line = connecting.add(project)
    click.echo(f"added to {settings.seeds_folder() / 'projects.csv'}: {line.strip()}")
    click.echo("next: ringostat run")


def _check_connection(project: Project) -> None:
    """Shows what the API of a listed project does; exits with 1 if it reads another clock."""
    from loader.commands import connect as connecting  # noqa: PLC0415 - the name is the command's

    variable, zone = project.key_variable, project.time_zone
    seen = connecting.look(variable, zone, project.project_id, project.api_time_zone)
    _show_seen(seen)
    clock = _show_measured(seen)
    if clock is not None and clock.key != project.api_time_zone.key:
        click.echo(
            f"{project}: the API uses the clock of {clock.key}, not of "
            f"{project.api_time_zone.key} as projects.csv says: set api_time_zone to {clock.key}",
            err=True,
        )
        raise SystemExit(1)


def _show_seen(seen: Seen) -> None:
    for line in seen.lines():
        click.echo(line)
    if seen.calls:
        screen.console().print(seen.pools())


def _show_measured(seen: Seen) -> ZoneInfo | None:
    """Shows what the account's API does; returns the clock that it reads, None if unknown."""
    try:
        measured = measure(seen.api, seen.zone, seen.calls)
    except LoadError as error:
        raise ConfigurationError(str(error)) from None
    screen.console().print(measured.table())
    return measured.clock


@main.group("project")
def project_group() -> None:
    """Pause a project, resume it, delete it."""


@project_group.command("deactivate")
@click.argument("project_id", metavar="ID", type=int)
def project_deactivate(project_id: int) -> None:
    """Stop loading a project. Its data stay in the warehouse and in the marts.

    \b
    Example: ringostat project deactivate 11111
    """
    project = find(read_projects(), project_id)
    changed = lifecycle.set_active(project, False)
    click.echo(f"{project} is {'now' if changed else 'already'} inactive")


@project_group.command("activate")
@click.argument("project_id", metavar="ID", type=int)
def project_activate(project_id: int) -> None:
    """Load a project again. The next load fills the gap since it was paused.

    \b
    Example: ringostat project activate 11111
    """
    project = find(read_projects(), project_id)
    changed = lifecycle.set_active(project, True)
    click.echo(f"{project} is {'now' if changed else 'already'} active")


@project_group.command("delete")
@click.argument("project_id", metavar="ID", type=int)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def project_delete(project_id: int, yes: bool) -> None:
    """Delete a project from the warehouse and from the four CSVs. This cannot be undone.

    Waits for a dbt build to end. To finish an interrupted deletion, run the same command again,
    even if projects.csv no longer lists the project.
    If it is added again, all that Ringostat still has is loaded again, also what
    `contact delete` has deleted.

    \b
    Example: ringostat project delete 11111
    """
    project = lifecycle.listed_or_not(project_id)
    with database.connect(database.environment()) as conn:
        click.echo(f"{project}: {lifecycle.find_traces(conn, project)}", err=True)
        if not yes:
            _need_terminal("--yes")
            typed = click.prompt("To delete them, type the project's number", err=True)
            if typed.strip() != str(project_id):
                raise click.Abort
        deleted = lifecycle.delete(conn, project)
    click.echo(f"{project} is deleted: {deleted}")


@main.group("contact")
def contact_group() -> None:
    """A client's calls and forms."""


@contact_group.command("delete")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--project", "project_id", type=int, required=True, help="The number of their project."
)
@click.option(
    "--caller",
    is_flag=True,
    help="Delete all calls and forms of one phone number. The command asks for it, or reads it "
    "from stdin.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def contact_delete(ids: tuple[str, ...], project_id: int, caller: bool, yes: bool) -> None:
    """Delete calls and forms for good, as a client may demand. This cannot be undone.

    Give the ID of a call or form (the column source_id), or --caller for the client's number: the
    calls from and to the number, and its forms. They are not loaded again, although Ringostat still
    has them. Later calls of the client are loaded.

    \b
    Example: ringostat contact delete --caller --project 11111
    """
    if caller == bool(ids):
        raise ConfigurationError("give either ids or --caller")
    project = lifecycle.listed_or_not(project_id)
    # Not an option: other users of the machine can see the arguments of a command.
    number = _ask_number() if caller else None
    with database.connect(database.environment()) as conn:
        contacts = lifecycle.find_contacts(conn, project, ids, number)
        click.echo(f"{project}: {contacts}", err=True)
        if not yes:
            _need_terminal("--yes")
            click.confirm("Delete them for good?", abort=True, err=True)
        lifecycle.delete_contacts(conn, contacts)
    click.echo(f"{project}: deleted {contacts}")
    click.echo("the next `ringostat run` or `dbt build` brings primary flags up to date", err=True)


@main.group("channels")
def channels_group() -> None:
    """Static channels: check the CSVs, find what is missing, edit them in Excel."""


@channels_group.command("check")
@click.option("--github", is_flag=True, help="Print the faults as annotations for a pull request.")
def channels_check(github: bool) -> None:
    """Check the four CSVs. Works without a database.

    Prints every fault as file:line:column, what is wrong, and how to correct it. If the marts can
    be read, warns of channels that would override the UTM of a dynamic pool.

    \b
    Example: ringostat channels check
    """
    faults = [*check.find_faults(), *overrides.find_overrides(seeds.parse_channels().rows)]
    for fault in faults:
        click.echo(check.annotation(fault) if github else str(fault))
    errors = sum(not fault.is_warning for fault in faults)
    click.echo(f"{errors} faults, {len(faults) - errors} warnings", err=True)
    if errors:
        raise SystemExit(1)


@channels_group.command("suggest")
def channels_suggest() -> None:
    """Print a row for each pool that no channel matches.

    Rows go to stdout, so that you can append them to static_channels.csv; explanations go to
    stderr. Then fill in the empty cells: `ringostat channels check` names them. Dynamic pools come
    last: their rows keep the UTM of each call.

    \b
    Example: ringostat channels suggest >> seeds/static_channels.csv
    """
    seed = seeds.parse_channels()
    csv_file.refuse(seed.faults)
    with database.connect(database.environment()) as conn:
        suggestions = suggest.suggest(conn)
    shown = screen.visible if sys.stdout.isatty() else str
    if suggestions and not seed.ends_with_line_end and _stdout_is(seed.file):
        click.echo(seed.line_end, nl=False)  # after the last row of the CSV, which lacks it
    for is_dynamic, found in groupby(suggestions, lambda suggestion: suggestion.is_dynamic):
        if is_dynamic:
            click.echo("Dynamic pools: any other row would override their calls' UTM", err=True)
        for suggestion in found:
            click.echo(screen.visible(str(suggestion)), err=True)
            # Without `color`, click takes terminal escapes out of a pool's name.
            click.echo(shown(seed.line(suggestion.cells)), nl=False, color=True)
    if not suggestions:
        click.echo("every pool is mapped", err=True)
    if not all(suggestion.is_complete for suggestion in suggestions):
        click.echo("then fill in the empty cells", err=True)


@channels_group.command("impact")
@click.option("--base", required=True, metavar="REF", help="The git revision to compare with.")
def channels_impact(base: str) -> None:
    """Show which conversions, and which spend, an edit of the CSVs moves between campaigns.

    If costs are known, shows the spend and the cost per conversion of each campaign that changes,
    in the project's KPI mode.

    Builds the marts twice, with the CSVs of REF and with those of the working tree, in schemas of
    their own, and drops these schemas at the end.

    \b
    Example: ringostat channels impact --base origin/main
    """
    with database.connect(database.environment()) as conn:
        found = impact.measure(conn, base)
    moves, campaigns = impact.moves(found), impact.campaigns(found)
    if not moves.row_count and not campaigns.row_count:
        click.echo("No conversion moves, no number changes.")
    for table in (moves, campaigns):
        if table.row_count:
            screen.console().print(table)


@channels_group.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def channels_export(file: Path) -> None:
    """Write the channels, their costs, and the pools that lack a channel, to an Excel workbook.

    \b
    Example: ringostat channels export channels.xlsx
    """
    if file.suffix.lower() != ".xlsx":
        raise ConfigurationError(f"{file}: the name must end with .xlsx")
    numbers = [str(project.project_id) for project in read_projects()]
    suggestions = []
    try:
        with database.connect(database.environment()) as conn:
            suggestions = suggest.suggest(conn)
    except ConfigurationError as error:
        click.echo(f"the workbook lists no unmapped pools: {error}", err=True)
    xlsx.export(file, numbers, suggestions)
    click.echo(f"written to {file}")


@channels_group.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--force", is_flag=True, help="Import even if a CSV has changed since the export.")
def channels_import(file: Path, yes: bool, force: bool) -> None:
    """Show what an exported and edited workbook changes, ask, and write the CSVs.

    Writes static_channels.csv and channel_costs.csv. A workbook without a sheet of costs leaves
    channel_costs.csv alone. If the marts can be read, warns of channels that are new or changed
    and would override the UTM of a dynamic pool.

    \b
    Example: ringostat channels import channels.xlsx
    """
    numbers = {str(project.project_id) for project in read_projects()}
    changes = xlsx.read_changes(file, numbers, force)
    for change in changes:
        for line in change.lines:
            click.echo(screen.visible(line))
        click.echo(change)
    for warning in overrides.find_overrides(row for change in changes for row in change.channels):
        click.echo(warning, err=True)
    changes = [change for change in changes if change.lines]
    if not changes:
        return
    if not yes:
        _need_terminal("--yes")
        files = " and ".join(str(change.seed.file) for change in changes)
        click.confirm(f"Write {files}?", abort=True, err=True)
    for change in changes:
        change.write()


@main.group("forms")
def forms_group() -> None:
    """Form requests, which Ringostat pushes by webhook only."""


@forms_group.command("import")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--project", "project_id", type=int, required=True, help="The number of their project."
)
def forms_import(files: tuple[Path, ...], project_id: int) -> None:
    """Land the forms of files: JSON lines, CSV or XLSX, or a folder of `ringostat forms serve`.

    Bad lines are listed and left out. Importing the same files again changes nothing. The cells of
    a CSV may be separated by commas, semicolons or tabs.

    \b
    Example: ringostat forms import forms.jsonl --project 11111
    """
    (project,) = choose(read_projects(), [project_id])
    with database.connect(database.environment()) as conn:
        imported = forms.import_files(conn, files, project)
    for file, number, reason in imported.bad:
        click.echo(f"{file}:{number}: {reason}", err=True)
    click.echo(f"{project}: {imported}")
    if imported.bad:
        raise SystemExit(1)


@forms_group.command("serve")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where to save the forms: one folder per project, one file per day.",
)
@click.option(
    "--project",
    "ids",
    type=int,
    multiple=True,
    help="Take forms of this project only; may be repeated. Default: all active projects.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8766,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
def forms_serve(folder: Path, ids: tuple[int, ...], host: str, port: int) -> None:
    """Receive Ringostat's webhooks, until SIGTERM or Ctrl-C.

    Post to /SECRET/forms/ID, or to /forms/ID with the secret as the password of Basic auth. The
    secret is in RINGOSTAT_FORMS_SECRET. A form is on disk before 200 is answered; then land it with
    `ringostat forms import FOLDER/ID --project ID`. /health answers 200 while forms can be saved.

    \b
    Example: ringostat forms serve --folder /var/lib/ringostat/forms
    """
    projects = choose(read_projects(), ids)
    secret = settings.forms_secret()
    try:
        from loader.commands import forms_server  # noqa: PLC0415 - an extra, which may be missing
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the Python package {error.name} is missing: in the project's folder run "
            "`pip install -e '.[forms]'`, or `make install`"
        ) from None
    forms_server.serve(folder, projects, secret, host, port)


def _stdout_is(file: Path) -> bool:
    """Whether stdout is redirected into `file`."""
    with suppress(OSError):  # io.UnsupportedOperation is one
        return os.path.samestat(os.fstat(sys.stdout.fileno()), file.stat())
    return False


def _ask_number() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("The client's phone number", err=True))
    return sys.stdin.readline()


def _need_terminal(flag: str) -> None:
    """Raises ConfigurationError if there is nobody to answer a question."""
    if not sys.stdin.isatty():
        raise ConfigurationError(f"there is no terminal to confirm on: add {flag} to confirm")


@main.group()
def db() -> None:
    """The embedded Postgres, which is used while PGHOST is not set."""


@db.command("start")
def db_start() -> None:
    """Start the embedded Postgres. The other commands start it too if they need it."""
    _need_embedded()
    click.echo(f"Postgres listens in {database.start()['PGHOST']}")


@db.command("stop")
def db_stop() -> None:
    """Stop the embedded Postgres. Its data are kept."""
    _need_embedded()
    click.echo("stopped" if database.stop() else "it was not running")


@db.command("delete")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def db_delete(yes: bool) -> None:
    """Delete the embedded Postgres with all its databases. This cannot be undone.

    Calls can be loaded again; form requests cannot.

    \b
    Example: ringostat db delete
    """
    _need_embedded()
    if not database.DATA.exists():
        click.echo(f"{database.DATA} does not exist", err=True)
        return
    for contents in database.contents():
        click.echo(contents, err=True)
    click.echo("Calls can be loaded again; form requests cannot.", err=True)
    if not yes:
        _need_terminal("--yes")
        typed = click.prompt(f"To delete {database.DATA}, type: delete", err=True)
        if typed.strip() != "delete":
            raise click.Abort
    database.delete()
    click.echo(f"{database.DATA} is deleted")


@db.command("env")
def db_env() -> None:
    """Print `export` lines, so that plain dbt and psql find the warehouse.

    PGPASSWORD is not printed: a shell that uses your own server has it already.

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
