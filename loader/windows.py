"""Periods: how a stretch of a project's time is cut into requests, and what each may answer.

The API reads `from` and `to` on the wall clock of the project's zone. So a window is a stretch of
wall-clock time too: cut without gaps there, nothing is lost at a clock change, whichever of the two
moments the API takes a time of the doubled hour for. What a window means in UTC is derived here.
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
# A wrong zone or bound moves calls over the ends of what a run read by so much at the most.
OUTER = timedelta(hours=26)

# A window is sized for this share of the cap, so that an uneven hour does not waste a request.
_FILL = 0.75
# How much longer than its predecessor a window may be: a quiet account needs few requests.
_GROWTH = 8


@dataclass(frozen=True)
class Window:
    """Wall-clock time of `zone` from `start` to `end` (naive, whole seconds), half-open."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def __str__(self) -> str:
        return f"{self.start} to {self.end} ({self.zone})"

    @property
    def begins(self) -> datetime:
        """UTC: with `ends`, what the load log claims. Neighbours touch and do not overlap."""
        return instant(self.start, self.zone)

    @property
    def ends(self) -> datetime:
        return instant(self.end, self.zone)

    @property
    def asked_from(self) -> datetime:
        """What the API is asked for, on the wall: a second early, so that neighbours overlap.

        Whether the API counts its bounds in is unknown; the overlap makes it unimportant. A bound
        is never a time that the clock skipped: servers disagree on what such a time means.
        """
        return wall_clock(self.begins - SECOND, self.zone)

    @property
    def asked_to(self) -> datetime:
        return wall_clock(self.ends, self.zone)

    @property
    def earliest(self) -> datetime:
        """UTC: with `latest`, all that an answer may hold, however the API reads the bounds.

        A call outside, a second's grace included, means a wrong zone.
        """
        return min(readings(self.asked_from, self.zone)) - SECOND

    @property
    def latest(self) -> datetime:
        return max(readings(self.asked_to, self.zone)) + SECOND

    @property
    def certain_from(self) -> datetime:
        """UTC: with `certain_to`, what an answer holds however the API reads the bounds.

        Only a call in there, half-open, is missing if the answer lacks it.
        """
        return instant(self.start, self.zone, fold=1)

    @property
    def certain_to(self) -> datetime:
        return instant(self.end, self.zone)

    @property
    def removable_from(self) -> datetime:
        """UTC: with `removable_to`, where a call that a run did not find is believed to be gone."""
        return self.begins + OUTER

    @property
    def removable_to(self) -> datetime:
        return self.ends - OUTER

    @property
    def doubled(self) -> timedelta:
        """How far apart the two moments are that `asked_to` may mean; mostly zero."""
        first, second = readings(self.asked_to, self.zone)
        return second - first


class Cursor:
    """Walks a period window by window and fits the windows to the account's density.

    Ask for `window`; then say `read(rows)` to go on, or `halve()` to be given a shorter one.
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
        """The window was answered whole, with `rows` calls: go on to the next one."""
        window = self._next()
        length = window.end - window.start
        fitting = length * (_FILL * self._cap / max(rows, 1))
        seconds = min(fitting, length * _GROWTH) // SECOND
        self._start = window.end
        self._length = max(seconds * SECOND, SECOND)

    def halve(self, shortest: timedelta) -> bool:
        """Makes the window half as long, or `shortest`. False if it was no longer than that."""
        window = self._next()
        length = window.end - window.start
        if length <= shortest:
            return False
        self._length = max(length // 2 // SECOND * SECOND, shortest)
        return True

    def _next(self) -> Window:
        length = min(self._length, self._period.end - self._start)
        return Window(self._start, self._start + length, self._period.zone)
