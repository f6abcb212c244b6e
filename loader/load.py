"""The loop that joins projects, API, windows and landing: what `ringostat load` does."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone

import psycopg

from loader import database, landing, raw, settings
from loader.api import Api, RefusedWindow
from loader.clock import instant, shown_once, wall_clock
from loader.errors import ConfigurationError, LoadError
from loader.landing import Landed, Run
from loader.projects import Project
from loader.rows import Row
from loader.windows import Cursor, Window

log = logging.getLogger(__name__)

DEFAULT_LOOKBACK_DAYS = 14
DEFAULT_JOBS = 4

_FAILURES = (LoadError, ConfigurationError, psycopg.Error)


@dataclass(frozen=True)
class Asked:
    """The part of a project's time to load, on its zone's clock, naive.

    `since` None: from where it is loaded without a gap, less `lookback_days`, and never before
    `load_from`. `until` None, or later than now: until now.
    """

    since: datetime | None = None
    until: datetime | None = None
    lookback_days: int = DEFAULT_LOOKBACK_DAYS


@dataclass(frozen=True)
class Loaded:
    """What became of one project's load; `error` is None if all that was asked is landed."""

    project: Project
    landed: Landed
    error: str | None = None


Show = Callable[[Window, Window, Landed], None]


def _show_nothing(project: Project) -> Show:
    return lambda period, window, landed: None


def load_projects(
    projects: Sequence[Project],
    asked: Asked = Asked(),
    jobs: int = DEFAULT_JOBS,
    bar: Callable[[Project], Show] = _show_nothing,
) -> list[Loaded]:
    """Loads `projects`, `jobs` of them side by side, into the warehouse.

    One project's failure is its own: it is logged, written to the load log and returned.
    `bar(project)` is called after each window with the period, the window and the sum so far.
    Raises ConfigurationError, with nothing touched, for a missing key, for settings that cannot
    work, and for a Postgres that cannot be reached or written.
    """
    apis = [
        Api(settings.auth_key(project.key_variable), project.key_variable) for project in projects
    ]
    warehouse = database.environment()
    with database.connect(warehouse) as conn:
        raw.create_tables(conn)
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(_load_project, project, api, asked, warehouse, bar(project), stop)
            for project, api in zip(projects, apis, strict=True)
        ]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()  # each project ends after the window it is at
            raise


@dataclass(frozen=True)
class _Step:
    """A window on its way: `landed` is done once it is committed, or has failed."""

    window: Window
    asked_at: datetime
    landed: Future[Landed]


def _load_project(
    project: Project,
    api: Api,
    asked: Asked,
    warehouse: Mapping[str, str],
    show: Show,
    stop: threading.Event,
) -> Loaded:
    """Loads one project. Whatever is wrong with it ends up in `error`."""
    landed = Landed()
    try:
        with (
            database.connect(warehouse) as conn,
            database.connect(warehouse) as one,
            database.connect(warehouse) as other,
            raw.lock(conn, project),
        ):
            period = _period(conn, project, asked)
            if period is None:
                log.info("%s: nothing to load", project)
                return Loaded(project, landed)
            log.info("%s: loading %s", project, period)
            with closing(_steps(api, Run(project, period), (one, other), stop)) as steps:
                for step in steps:
                    landed += _finish(conn, project, step)
                    show(period, step.window, landed)
    except _FAILURES as error:
        log.error("%s: %s", project, describe(error))
        return Loaded(project, landed, describe(error))
    log.info("%s: done, %s", project, landed)
    return Loaded(project, landed)


def _period(conn: psycopg.Connection, project: Project, asked: Asked) -> Window | None:
    """What to read of `project`; None if that is nothing."""
    zone = project.time_zone
    now = wall_clock(datetime.now(timezone.utc), zone).replace(microsecond=0)
    # What has not happened yet must not be claimed as loaded.
    end = min(asked.until or now, now)
    start = asked.since
    if start is None:
        first = datetime.combine(project.load_from, time())
        until = raw.loaded_until(conn, project, instant(first, zone))
        lookback = timedelta(days=asked.lookback_days)
        start = first if until is None else max(first, wall_clock(until, zone) - lookback)
    return Window(shown_once(start, zone), end, zone) if start < end else None


def _steps(
    api: Api, run: Run, connections: Sequence[psycopg.Connection], stop: threading.Event
) -> Iterator[_Step]:
    """Reads the run's period window by window, in order; ends after the first that fails.

    The next window is fetched while the last ones are landed, one by each connection.
    """
    cursor = Cursor(run.period, api.row_cap)
    turns = itertools.cycle(connections)
    steps: deque[_Step] = deque()
    with ThreadPoolExecutor(len(connections)) as pool:
        while cursor.window is not None and not stop.is_set():
            asked_at = datetime.now(timezone.utc)
            try:
                rows = _rows(api, cursor)
            except LoadError as error:
                yield from steps
                failed: Future[Landed] = Future()
                failed.set_exception(error)
                yield _Step(cursor.window, asked_at, failed)
                return
            if len(steps) == len(connections):
                yield steps.popleft()  # finished before its connection takes the next turn
            window = cursor.window
            previous = steps[-1].landed if steps else None
            landed = pool.submit(landing.land, next(turns), run, window, rows, asked_at, previous)
            steps.append(_Step(window, asked_at, landed))
            cursor.read(len(rows))
        yield from steps


def _rows(api: Api, cursor: Cursor) -> list[Row]:
    """The calls of the cursor's window, which becomes shorter until an answer is whole."""
    while True:
        try:
            return api.calls(cursor.window)
        except RefusedWindow as refusal:
            log.debug("%s: %s", cursor.window, refusal)
            if not cursor.halve(refusal.shortest):
                raise LoadError(f"{refusal}, for no more than {cursor.window}") from None


def _finish(conn: psycopg.Connection, project: Project, step: _Step) -> Landed:
    """Waits until the step's window is landed; a failure is written to the load log."""
    try:
        landed = step.landed.result()
    except _FAILURES as error:
        # If Postgres itself is what failed, the first error is the one to tell.
        with suppress(psycopg.Error):
            raw.record_failure(conn, project, step.window, step.asked_at, describe(error))
        raise
    log.debug("%s: %s: %s", project, step.window, landed)
    return landed


def describe(error: Exception) -> str:
    """An error in one line, for people. Of Postgres's errors without the details, which may
    quote a call."""
    if isinstance(error, psycopg.Error):
        text = error.diag.message_primary or str(error)
        return f"Postgres: {' '.join(text.split())}"
    return str(error)
