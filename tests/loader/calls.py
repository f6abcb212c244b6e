"""Calls for the tests, as Ringostat answers them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

KYIV = ZoneInfo("Europe/Kyiv")


def call(calldate: datetime | str, uniqueid: object = None, **fields: object) -> dict[str, object]:
    """A call at `calldate`, a naive one being Kyiv's clock; its id is the time if none is given."""
    if isinstance(calldate, datetime):
        zoned = calldate if calldate.tzinfo else calldate.replace(tzinfo=KYIV)
        calldate = zoned.strftime("%Y-%m-%dT%H:%M:%S%z")
    uniqueid = calldate if uniqueid is None else uniqueid
    return {
        "calldate": calldate,
        "uniqueid": uniqueid,
        "caller": "380441112233",
        "dst": "380931112233",
        "call_type": "in",
        "disposition": "ANSWERED",
        "pool_name": "Static pool",
        "call_card": f"https://app.example/card/{uniqueid}/?project_id=11111",
        **fields,
    }


def calls_every(
    step: timedelta, start: datetime, end: datetime, **fields: object
) -> list[dict[str, object]]:
    """Calls spread evenly from `start` until before `end`, Kyiv's clock if naive."""
    start, end = (at if at.tzinfo else at.replace(tzinfo=KYIV) for at in (start, end))
    first, last = start.timestamp(), end.timestamp()
    count = int((last - first) // step.total_seconds())
    return [
        call(datetime.fromtimestamp(first + n * step.total_seconds(), KYIV), f"id-{n:06}", **fields)
        for n in range(count)
    ]
