"""Windows: how a period of a project's time is cut into requests, and what each may answer.

The API reads `from` and `to` on the wall clock of a zone: the project's, or the one of
`api_time_zone` in projects.csv. So a window is a stretch of wall-clock time too: windows without
gaps on the wall clock lose nothing at a clock change, whichever of the two moments of a doubled
hour the API assumes. This module derives their UTC times.
Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from loader.clock import instant, readings, wall_clock

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# The most by which a wrong zone or bound can move calls across the ends of what a run read.
OUTER = timedelta(hours=26)

# A window is sized for this share of the cap, so that a busy hour does not waste a request.
_FILL = 0.75
# How many times longer than the one before a window may be, so that a quiet account needs few
# requests.
_GROWTH = 8


@dataclass(frozen=True)
class Window:
    """Wall-clock time of `zone` from `start` to `end` (naive, whole seconds), half-open."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def __str__(self) -> str:
        return f"{self.start} to {self.end} ({self.zone})"

    def halves(self) -> tuple[Window, Window]:
        """The window in two; it must be longer than a second."""
        middle = self.start + (self.end - self.start) // 2 // SECOND * SECOND
        return Window(self.start, middle, self.zone), Window(middle, self.end, self.zone)

    @property
    def begins(self) -> datetime:
        """UTC: with `ends`, what the load log records. Neighbours touch and do not overlap."""
        return instant(self.start, self.zone)

    @property
    def ends(self) -> datetime:
        return instant(self.end, self.zone)

    @property
    def asked_from(self) -> datetime:
        """`from` of the request, on the wall clock: a second early, so that neighbours overlap.

        It is unknown whether the API includes its bounds; the overlap makes it unimportant. A bound
        is never a time that the clock skipped: servers disagree on the meaning of such a time.
        """
        return wall_clock(self.begins - SECOND, self.zone)

    @property
    def asked_to(self) -> datetime:
        return wall_clock(self.ends, self.zone)

    @property
    def earliest(self) -> datetime:
        """UTC: with `latest`, the widest period of an answer, however the API reads the bounds.

        One second of tolerance is included. A call outside means a wrong zone.
        """
        return min(readings(self.asked_from, self.zone)) - SECOND

    @property
    def latest(self) -> datetime:
        return max(readings(self.asked_to, self.zone)) + SECOND

    @property
    def certain_from(self) -> datetime:
        """UTC: with `certain_to`, what an answer covers however the API reads the bounds.

        Only a call of this half-open period is missing if the answer lacks it.
        """
        return instant(self.start, self.zone, fold=1)

    @property
    def certain_to(self) -> datetime:
        return instant(self.end, self.zone)

    @property
    def removable_from(self) -> datetime:
        """UTC: with `removable_to`, where a call that a run did not find counts as removed."""
        return self.begins + OUTER

    @property
    def removable_to(self) -> datetime:
        return self.ends - OUTER

    def doubled(self, zone: ZoneInfo) -> timedelta:
        """The time between the two moments that the end may mean on the clock of `zone`; mostly
        zero."""
        first, second = readings(wall_clock(self.ends, zone), zone)
        return second - first


class Cursor:
    """Walks a period window by window and fits the windows to the account's density.

    Request `window`; then call `read(rows)` to go on, or `halve()` to get a shorter one.
    """

    def __init__(self, period: Window, cap: int) -> None:
        self._period = period
        self._cap = cap
        self._start = period.start
        self._length = DAY

    @property
    def window(self) -> Window | None:
        """The window to read next; None once the period is read."""
        return self._next() if self._start < self._period.end else None

    def read(self, rows: int) -> None:
        """The window was answered completely, with `rows` calls: go on to the next one."""
        window = self._next()
        length = window.end - window.start
        fitting = length * (_FILL * self._cap / max(rows, 1))
        seconds = min(fitting, length * _GROWTH) // SECOND
        self._start = window.end
        self._length = max(seconds * SECOND, SECOND)

    def halve(self, shortest: timedelta) -> bool:
        """Halves the window, down to `shortest`. False if it was already as short as that."""
        window = self._next()
        length = window.end - window.start
        if length <= shortest:
            return False
        self._length = max(length // 2 // SECOND * SECOND, shortest)
        return True

    def _next(self) -> Window:
        length = min(self._length, self._period.end - self._start)
        return Window(self._start, self._start + length, self._period.zone)
