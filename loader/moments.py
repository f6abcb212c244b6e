"""Times as Ringostat and form collectors write them."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from loader.windows import instant

_ISO = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?\s*(?:(Z)|([+-]\d\d):?(\d\d)?)?\s*"
)


def read_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """The UTC moment that `2026-01-31T09:30:47+0300` names, to the second; None if it is no time.

    `+03:00`, `+03`, `Z` and a space for the `T` are read as well; without an offset, it is the
    clock of `zone`.
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
