"""What an account's API does, where sources disagree: measured around calls that were seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from rich.table import Table

from loader.api import Api, WindowTooLong
from loader.clock import fixed_zone, read_moment, wall_clock, written_offset
from loader.rows import Row, storable
from loader.windows import HOUR, SECOND, Window

Call = dict[str, object]

_MINUTE = timedelta(minutes=1)
# A window that should hold this many times the cap is long enough to show it.
_SURELY_MORE = 1.3
_LONGEST = timedelta(days=365)
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Measured:
    """What was measured; None where there were too few calls.

    `clock` is the zone by which the API reads `from` and `to`; it is None, too, if a call was
    looked for (`has_sample`) and found by no clock. `includes_to` says whether a call in the second
    `to` is answered. `cap` says in words what happens with more calls than the row cap.
    """

    has_sample: bool
    clock: ZoneInfo | None
    includes_to: bool | None
    refused_fields: Sequence[str] | None
    cap: str | None

    def table(self) -> Table:
        """The rows that `ringostat connect` prints."""
        table = Table("what this account's API does", "")
        not_found = "unknown: the sample call was not found by any clock that was tried"
        clock = self.clock.key if self.clock else not_found if self.has_sample else _UNKNOWN
        table.add_row("reads from and to on the clock of", clock)
        table.add_row("includes a call in the very second of `to`", _yes_or_no(self.includes_to))
        fields = _UNKNOWN if self.refused_fields is None else ", ".join(self.refused_fields)
        table.add_row("refuses the fields", fields or "(none)")
        table.add_row("more calls than the row cap", self.cap or _UNKNOWN)
        return table


_UNKNOWN = "not measured: too few calls"


def _yes_or_no(answer: bool | None) -> str:
    return _UNKNOWN if answer is None else "yes" if answer else "no"


def measure(api: Api, zone: ZoneInfo, calls: Sequence[Call]) -> Measured:
    """Asks at most 8 times around `calls`, the latest ones of the account.

    `zone` is the project's. Raises LoadError if the API does not answer.
    """
    sample = _sample(calls, zone)
    clock = _clock(api, zone, *sample) if sample else None
    includes_to = _includes_to(api, clock, *sample) if sample and clock else None
    cap = _cap(api, zone, clock or zone, calls)
    # An answer without calls does not prove that its fields are accepted.
    refused = api.fields.refused if calls else None
    return Measured(sample is not None, clock, includes_to, refused, cap)


def _sample(calls: Sequence[Call], zone: ZoneInfo) -> tuple[str, datetime, str] | None:
    """A call to look for: its id, its moment and its `calldate`. None if no call is fit for it.

    The newest ones may still change, so it is one from the middle; its offset is needed, because
    without one nobody knows its moment.
    """
    fit = []
    for call in calls:
        uniqueid, calldate = str(call.get("uniqueid") or ""), str(call.get("calldate"))
        moment = read_moment(calldate, zone)
        if uniqueid and moment and written_offset(calldate) is not None:
            fit.append((moment, uniqueid, calldate))
    if not fit:
        return None
    moment, uniqueid, calldate = sorted(fit)[len(fit) // 2]
    return uniqueid, moment, calldate


def _clock(
    api: Api, zone: ZoneInfo, uniqueid: str, moment: datetime, calldate: str
) -> ZoneInfo | None:
    """The first clock of the project's, UTC's and the row's own by which the call is found."""
    tried: set[datetime] = set()
    for clock in filter(None, (zone, _UTC, fixed_zone(written_offset(calldate)))):
        wall = wall_clock(moment, clock)
        if wall in tried:
            continue
        tried.add(wall)
        if uniqueid in _ids(api, Window(wall - _MINUTE, wall + _MINUTE, clock)):
            return clock
    return None


def _includes_to(api: Api, clock: ZoneInfo, uniqueid: str, moment: datetime, calldate: str) -> bool:
    wall = wall_clock(moment, clock)
    return uniqueid in _ids(api, Window(wall - _MINUTE, wall, clock))


def _ids(api: Api, window: Window) -> set[str]:
    return {str(call.get("uniqueid")) for call in _calls(api, window)}


def _calls(api: Api, window: Window) -> Iterator[Call]:
    for row in api.calls(window):
        yield json.loads(storable(row))


def _cap(api: Api, zone: ZoneInfo, clock: ZoneInfo, calls: Sequence[Call]) -> str | None:
    """What a window with more calls than the cap answers, in words; None if there are too few."""
    # Calls of the last hour may still arrive.
    end = datetime.now(_UTC) - HOUR
    moments = filter(None, (read_moment(str(call.get("calldate")), zone) for call in calls))
    first = min(moments, default=end)
    length = (end - first) * (_SURELY_MORE * api.row_cap / max(len(calls), 1))
    if not timedelta() < length <= _LONGEST:
        return None
    wall = wall_clock(end, clock).replace(microsecond=0)
    window = Window(wall - length // SECOND * SECOND, wall, clock)
    try:
        return _lower_cap(api, window, api.calls(window))
    except WindowTooLong as answer:
        if answer.calls is None:
            return f"are refused ({answer})"
        if answer.calls > api.row_cap:
            return f"are answered whole: {answer.calls:,} in one answer"
        return f"are cut at {answer.calls:,}"


def _lower_cap(api: Api, window: Window, whole: Sequence[Row]) -> str | None:
    """Fewer calls than expected: the days were quiet, or the API cuts below the cap."""
    halves = [row for half in window.halves() for row in api.calls(half)]
    if len(set(map(bytes, halves))) > len(whole):  # the halves overlap by a second
        return f"are cut at {len(whole):,}: set RINGOSTAT_ROW_CAP to {len(whole)}"
    return None
