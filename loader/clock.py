"""Moments, and the wall clock of a time zone. Pure functions, no I/O."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_ISO = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?\s*(?:(Z)|([+-]\d\d):?(\d\d)?)?\s*"
)


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """The UTC moment of e.g. `2026-01-31T09:30:47+0300`, to the second; None if it is not a time.

    `+03:00`, `+03`, `Z` and a space instead of the `T` are read as well; without an offset, the
    time is on the clock of `zone`.
    """
    found = _ISO.fullmatch(text)
    if not found:
        return None
    day, minutes, seconds, utc, offset_hours, offset_minutes = found.groups()
    offset = "+00:00" if utc else f"{offset_hours}:{offset_minutes or '00'}" if offset_hours else ""
    try:
        read = datetime.fromisoformat(f"{day}T{minutes}{seconds or ':00'}{offset}")
        return read.astimezone(ZoneInfo("UTC")) if offset else instant(read, zone)
    except (ValueError, OverflowError):
        return None


def agrees_with_zone(text: str, zone: ZoneInfo) -> bool:
    """Whether the offset in `text` is the zone's, or that of UTC, in which an API may answer.

    True if there is no offset to compare.
    """
    moment, offset = read_moment(text, zone), written_offset(text)
    if moment is None or not offset:
        return True
    return offset == moment.astimezone(zone).utcoffset()


def written_offset(text: str) -> timedelta | None:
    """The time offset that `text` gives, zero for `Z`; None if it gives none, or is not a time."""
    found = _ISO.fullmatch(text)
    if found is None or not (found[4] or found[5]):
        return None
    hours, minutes = int(found[5] or 0), int(found[6] or 0)
    sign = -1 if (found[5] or "").startswith("-") else 1
    return timedelta(hours=hours, minutes=sign * minutes)


def fixed_zone(offset: timedelta | None) -> ZoneInfo | None:
    """The zone whose clock always has this offset; None if no IANA zone has it.

    The sign in such a name is turned around: `Etc/GMT-3` is three hours ahead of UTC.
    """
    hours, rest = divmod(offset or timedelta(), timedelta(hours=1))
    if offset is None or rest or not -12 <= hours <= 14:
        return None
    return ZoneInfo(f"Etc/GMT{-hours:+d}" if hours else "UTC")


def instant(wall: datetime, zone: ZoneInfo, fold: int = 0) -> datetime:
    """The UTC moment at which the zone's clock shows `wall` (naive), for the `fold`-th time.

    A time that the clock skipped means the moment of the change, so that the function never runs
    backwards: windows that touch on the wall clock touch in UTC.
    """
    first, second = readings(wall, zone)
    if second < first:
        new_offset = first.astimezone(zone).utcoffset()
        seconds = range(int(second.timestamp()), int(first.timestamp()) + 1)
        change = bisect_left(
            seconds,
            True,
            key=lambda second: datetime.fromtimestamp(second, zone).utcoffset() == new_offset,
        )
        return datetime.fromtimestamp(seconds[change], timezone.utc)
    return second if fold else first


def wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clock shows at `moment` (aware), as a naive datetime."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def shown_once(wall: datetime, zone: ZoneInfo) -> datetime:
    """`wall` (naive), or, if the zone's clock shows it twice, an earlier time that it shows once.

    A period that begins with a doubled time is then read from its first occurrence, whichever of
    the two the API assumes.
    """
    return wall - (instant(wall, zone, fold=1) - instant(wall, zone))


def readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both moments that `wall` may be read as; they differ around a clock change only."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(timezone.utc)
    return first, second
