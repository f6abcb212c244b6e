"""What both peers read: the call log in windows of 6,000 calls, as their authors would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

HOURS = timedelta(hours=28.8)  # of 5,000 calls a day: 6,000 calls, within the row cap


def requests_of(start: str, end: str) -> Iterator[dict[str, str]]:
    """The parameters of each request from `start` until `end`, both `YYYY-MM-DD HH:MM:SS`."""
    at, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    while at < last:
        until = min(at + HOURS, last)
        # `to` is inclusive: end one second earlier, so that no call comes twice.
        yield {"from": f"{at}", "to": f"{until - timedelta(seconds=1)}", "merge": "0"}
        at = until
