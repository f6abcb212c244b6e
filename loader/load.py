"""The loop that joins projects, API, windows and landing: what `ringostat load` does."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import NamedTuple

import psycopg

from loader import database, landing, raw, settings
from loader.api import Api, Stopped, WindowTooLong
from loader.clock import agrees_with_zone, instant, shown_once, wall_clock
from loader.errors import ConfigurationError, Failure, LoadError
from loader.landing import Answer, Landed, Run, Staged
from loader.masking import mask
from loader.projects import Project, read_projects
from loader.rows import Row, calldates
from loader.windows import OUTER, SECOND, Cursor, Window

log = logging.getLogger(__name__)

DEFAULT_LOOKBACK_DAYS = 14
DEFAULT_JOBS = 4


@dataclass(frozen=True)
class Asked:
    """The part of a project's time to load, on its zone's clock, naive.

    `since` None: from the end of what is loaded without a gap, less `lookback_days`, and never
    before `load_from`. `until` None, or later than now: until now. `allow_removals`: calls that
    Ringostat no longer lists are removed, however many they are. `may_lose_fields`: load without a
    field that is now refused, although calls had it before.
    """

    since: datetime | None = None
    until: datetime | None = None
    lookback_days: int = DEFAULT_LOOKBACK_DAYS
    allow_removals: bool = False
    may_lose_fields: bool = False


@dataclass(frozen=True)
class Loaded:
    """The result of one project's load; `error` is None if everything asked for is landed.

    `is_stopped`: it was interrupted, paused or deleted meanwhile, which is no fault.
    """

    project: Project
    landed: Landed
    error: str | None = None
    is_stopped: bool = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: `results` are those of the projects whose load had begun."""

    def __init__(self, results: Sequence[Loaded]) -> None:
        super().__init__()
        self.results = results


class _AnswersCut(LoadError):
    """The API answers no more than `calls` calls at a time, below the row cap."""

    def __init__(self, window: Window, calls: int, found: int) -> None:
        super().__init__(
            f"Ringostat returns at most {calls} calls at a time, and {window} has at least "
            f"{found}: set RINGOSTAT_ROW_CAP to {calls}"
        )
        self.calls = calls


class _Stopped(LoadError):
    """The load of a project ends early without a fault."""


Show = Callable[[Window, Window, Landed], None]


def _show_nothing(project: Project) -> Show:
    return lambda period, window, landed: None


def load_projects(
    projects: Sequence[Project],
    asked: Asked = Asked(),
    jobs: int = DEFAULT_JOBS,
    bar: Callable[[Project], Show] = _show_nothing,
) -> list[Loaded]:
    """Loads `projects` into the warehouse, `jobs` of them at the same time.

    A project's failure does not stop the others: it is logged, written to the load log, returned.
    `bar(project)` is called after each window with the period, the window and the sum so far.
    Raises ConfigurationError, and changes nothing, if no project has its key, for settings that
    cannot work, and for a Postgres that cannot be reached or written. Raises Interrupted on Ctrl-C.
    """
    _check_settings(projects)
    warehouse = database.environment()
    with database.connect(warehouse) as conn:
        raw.create_tables(conn)
    stop = threading.Event()
    futures: list[Future[Loaded]] = []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for project in projects:
                show = bar(project)
                futures.append(pool.submit(_load_project, project, asked, warehouse, show, stop))
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            pool.shutdown(cancel_futures=True)
            begun = [future.result() for future in futures if not future.cancelled()]
            raise Interrupted(begun) from None


def _check_settings(projects: Sequence[Project]) -> None:
    """Raises ConfigurationError for settings with which no project can be loaded."""
    settings.api_url()
    settings.row_cap()
    settings.max_removed_share()
    settings.max_removed_calls()
    faults = []
    for project in projects:
        try:
            settings.auth_key(project.key_variable)
        except ConfigurationError as error:
            faults.append(error)
    if faults and len(faults) == len(projects):
        raise faults[0]


def _load_project(
    project: Project,
    asked: Asked,
    warehouse: Mapping[str, str],
    show: Show,
    stop: threading.Event,
) -> Loaded:
    """Loads one project. Any failure becomes its `error`."""
    landed = Landed()
    try:
        # The connections that land the calls also hold the lock: if one is lost, the load fails.
        with (
            database.connect(warehouse) as conn,
            database.connect(warehouse) as second,
            raw.lock(project, conn, second),
        ):
            project = _still_active(project)
            period = _period(conn, project, asked)
            if period is None:
                log.info("%s: nothing to load", project)
                return Loaded(project, landed)
            log.info("%s: loading %s", project, period, extra={"is_step": True})
            run = Run(project, period, asked.allow_removals)
            for window, brought in _land_windows((conn, second), run, asked, warehouse, stop):
                landed += brought
                show(period, window, landed)
    except _Stopped as stopped:
        log.warning("%s: %s", project, stopped)
        return Loaded(project, landed, str(stopped), is_stopped=True)
    except Exception as error:  # no failure of one project may stop the others
        log.error("%s: %s", project, describe(error))
        if not isinstance(error, Failure | psycopg.Error):
            log.debug("%s", "".join(traceback.format_tb(error.__traceback__)))
        return Loaded(project, landed, describe(error))
    if run.repeated:
        log.warning(
            "%s: Ringostat returned %d ids more than once: the later call of each is kept",
            project,
            len(run.repeated),
        )
    if landed.rejected:
        log.warning(
            "%s: %d calls cannot be placed in time: they are in ringostat_raw.rejected_calls",
            project,
            landed.rejected,
        )
    log.info("%s: done, %s", project, landed)
    return Loaded(project, landed)


def _still_active(project: Project) -> Project:
    """The project as projects.csv lists it now: it may have waited for its turn for hours."""
    for listed in read_projects():
        if listed.project_id == project.project_id and listed.is_active:
            return listed
    raise _Stopped("not loaded, since projects.csv no longer lists it as active")


def _period(conn: psycopg.Connection, project: Project, asked: Asked) -> Window | None:
    """The period of `project` to read; None if there is nothing to read."""
    zone, api_zone = project.time_zone, project.api_time_zone
    # The future must not be recorded as loaded, even if this machine's clock is wrong.
    (moment,) = database.only_row(conn.execute("select clock_timestamp()"))
    now = wall_clock(moment, zone).replace(microsecond=0)
    end = min(asked.until or now, now)
    start = asked.since
    if start is None:
        start = first = datetime.combine(project.load_from, time())
        until = raw.loaded_until(conn, project, instant(first, zone))
        if until is not None:
            start = max(first, wall_clock(until, zone) - _lookback(asked.lookback_days))
        elif (earlier := raw.latest_clocks(conn, project)) not in (None, project.clocks):
            log.info(
                "%s: the time zone was %s before: everything is read again from %s on",
                project,
                earlier,
                first,
            )
    if start >= end:
        return None
    # The API is asked by its own clock.
    begins, ends = (wall_clock(instant(wall, zone), api_zone) for wall in (start, end))
    return Window(shown_once(begins, api_zone), ends, api_zone)


def _lookback(days: int) -> timedelta:
    """How far back to read, so that missing calls of `days` days count as removed: the outer hours
    at both ends do not show it."""
    return timedelta(days=days) + 2 * OUTER if days else timedelta()


class _Begun(NamedTuple):
    """A window that is being fetched and staged; None after the last one."""

    answer: Future[Answer | None]
    staged: Future[Staged | None]


def _land_windows(
    connections: Sequence[psycopg.Connection],
    run: Run,
    asked: Asked,
    warehouse: Mapping[str, str],
    stop: threading.Event,
) -> Iterator[tuple[Window, Landed]]:
    """Lands the run's period window by window, in order.

    While one window is fetched, the ones before it are staged, each on a connection of its own, and
    merged one after the other. A failure gets a row in the load log: nothing of its window, and
    nothing of a later one, is landed.
    """
    window, asked_at = run.period, _now()

    def stage(conn: psycopg.Connection, fetched: Future[Answer | None]) -> Staged | None:
        answer = fetched.result()
        return landing.stage(conn, run.project, answer) if answer else None

    def begin(conn: psycopg.Connection) -> _Begun:
        answer = fetching.submit(answers.next)
        return _Begun(answer, staging.submit(stage, conn, answer))

    try:
        with (
            ThreadPoolExecutor(1) as fetching,
            ThreadPoolExecutor(len(connections)) as staging,
            closing(_Answers(connections[0], run, asked, stop)) as answers,
        ):
            begun = deque(map(begin, connections))
            while True:
                oldest = begun.popleft()
                try:
                    answer = oldest.answer.result()
                finally:
                    window, asked_at = answers.window, answers.asked_at
                if answer is not None:
                    window, asked_at = answer.window, answer.asked_at
                staged = oldest.staged.result()
                if staged is None:
                    return
                landed = landing.merge(run, staged)
                answers.keep_fields(staged.conn)
                free = staged.conn
                # An answer has megabytes: this one goes before the next one is fetched.
                del oldest, answer, staged
                begun.append(begin(free))
                log.debug("%s: %s: %s", run.project, window, landed)
                yield window, landed
    except (_Stopped, Stopped):
        raise _Stopped(f"stopped; the next run goes on from {window.start}") from None
    except Exception as error:
        # On a new connection, because the other ones may have failed. If Postgres cannot be reached
        # at all, the first error is reported.
        with suppress(psycopg.Error, ConfigurationError), database.connect(warehouse) as fresh:
            if isinstance(error, _AnswersCut):
                raw.distrust(fresh, run.project, error.calls, describe(error))
            raw.record_failure(fresh, run.project, window, asked_at, describe(error))
        raise


class _Answers:
    """The answers for the windows of a run, in order; the next one is fetched in the background.

    `window` was asked for at `asked_at`: it is being fetched, or was the last one.
    """

    def __init__(
        self, conn: psycopg.Connection, run: Run, asked: Asked, stop: threading.Event
    ) -> None:
        self.window = run.period
        self.asked_at = _now()
        self._project = run.project
        self._run = run
        self._fullest = raw.fullest_unproven(conn, run.project)
        self._stop = stop
        self._is_ended = False
        self._fields = raw.known_fields(conn, run.project)
        key_variable = run.project.key_variable
        key = settings.auth_key(key_variable)
        self._api = Api(key, key_variable, stop, self._fields, asked.may_lose_fields)
        self._source = _Source(self._api)
        self._cursor = Cursor(run.period, self._api.row_cap)
        self._rows: Future[list[Row]] | None = None
        self._is_compared = False
        self._ask()

    def next(self) -> Answer | None:
        """Waits for the next answer; None after the last one.

        Raises the error of fetching, and _Stopped as soon as the load is to stop.
        """
        while self._rows is not None:
            try:
                rows = self._wait_for(self._rows)
            except WindowTooLong as refusal:
                log.debug("%s: %s", self.window, refusal)
                if not self._cursor.halve(refusal.shortest):
                    raise LoadError(f"{refusal}, even for the short window {self.window}") from None
                self._ask()
                continue
            if rows and not self._is_compared:
                _compare_offsets(self._project, rows)
                self._is_compared = True
            answer = Answer(self.window, rows, self.asked_at)
            if self._fullest is None or len(rows) >= self._fullest[1]:
                self._fullest = self.window, len(rows)
            self._cursor.read(len(rows))
            self._ask()
            if self._rows is None and settings.proves_row_cap():
                self._prove_whole(*self._fullest)
            return answer
        return None

    def _prove_whole(self, window: Window, calls: int) -> None:
        """Raises _AnswersCut if the fullest window has more calls than were answered.

        It is asked again in two halves. If they bring more, more calls may have come meanwhile;
        then the whole window, asked again, has more too. What is cut has the greatest length of
        all, so all other windows are proven with it.
        """
        if window.end - window.start > SECOND and calls > 1:
            try:
                halves = [row for half in window.halves() for row in self._fetch(half)]
                found = len(set(map(bytes, halves)))  # the halves overlap by a second
                if found > calls and found > (answered := len(self._fetch(window))):
                    raise _AnswersCut(window, answered, found)
            except WindowTooLong as refusal:
                log.debug("%s: not proven to be whole: %s", window, refusal)
                return
        self._run.is_whole = True

    def _fetch(self, window: Window) -> list[Row]:
        return self._wait_for(self._source.fetch(window))

    def close(self) -> None:
        """Ends a `next` that waits for an answer."""
        self._is_ended = True

    def keep_fields(self, conn: psycopg.Connection) -> None:
        """Stores which fields the API has accepted and refused, if that has changed."""
        if self._api.fields != self._fields:
            self._fields = self._api.fields
            raw.keep_fields(conn, self._project, self._fields)

    def _ask(self) -> None:
        """Starts to fetch the next window, if there is one."""
        window = self._cursor.window
        self._rows = None
        if window is not None:
            self.window, self.asked_at = window, _now()
            self._rows = self._source.fetch(window)

    def _wait_for(self, rows: Future[list[Row]]) -> list[Row]:
        while not (self._stop.is_set() or self._is_ended):
            if wait([rows], timeout=0.1).done:
                return rows.result()
        raise _Stopped


def _compare_offsets(project: Project, rows: Sequence[Row]) -> None:
    """Warns if the time offset of all calls differs from that of the project's zone."""
    moments = list(calldates(rows))
    if moments and not any(agrees_with_zone(text, project.time_zone) for text in moments):
        log.warning(
            "%s: no call carries the time offset of %s: is time_zone in projects.csv the zone that "
            "the project has in Ringostat? Reports count calls by its days",
            project,
            project.time_zone,
        )


class _Source:
    """Fetches windows in the background."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def fetch(self, window: Window) -> Future[list[Row]]:
        """Starts to fetch `window`; one window at a time."""
        rows: Future[list[Row]] = Future()

        def fetch() -> None:
            try:
                rows.set_result(self._api.calls(window))
            except BaseException as error:  # raised where the rows are read
                rows.set_exception(error)

        # A daemon thread, so that Ctrl-C does not wait for a slow answer.
        threading.Thread(target=fetch, daemon=True).start()
        return rows


def _now() -> datetime:
    return datetime.now(timezone.utc)


def describe(error: Exception) -> str:
    """An error in one line, for people. The details of Postgres's errors are left out: they may
    quote a call."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, psycopg.Error):
        text = error.diag.message_primary or str(error)
        return f"Postgres: {' '.join(text.split())}"
    return f"{type(error).__name__}: {mask(str(error))}"
