"""How a period is cut into windows: nothing is lost, and few requests are made."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.clock import instant, shown_once, wall_clock
from loader.windows import DAY, HOUR, SECOND, Cursor, Window

KYIV = ZoneInfo("Europe/Kyiv")
ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Kyiv",
        "America/New_York",
        "Asia/Almaty",
        "Australia/Lord_Howe",  # half an hour's change
        "America/Havana",  # the change at midnight
        "UTC",
    )
]
SPRING = datetime(2024, 3, 31)  # Kyiv: 03:00 becomes 04:00
AUTUMN = datetime(2024, 10, 27)  # Kyiv: 04:00 becomes 03:00


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


def test_window_in_utc() -> None:
    window = Window(datetime(2024, 1, 1), datetime(2024, 1, 2), KYIV)
    assert (window.begins, window.ends) == (utc(2023, 12, 31, 22), utc(2024, 1, 1, 22))
    assert window.asked_from == datetime(2023, 12, 31, 23, 59, 59)
    assert window.asked_to == datetime(2024, 1, 2)
    assert window.earliest == utc(2023, 12, 31, 21, 59, 58)
    assert window.latest == utc(2024, 1, 1, 22, 0, 1)


def test_a_doubled_hour_is_asked_whole_and_claimed_once() -> None:
    before = Window(AUTUMN, AUTUMN.replace(hour=3), KYIV)
    doubled = Window(AUTUMN.replace(hour=3), AUTUMN.replace(hour=4), KYIV)
    assert before.ends == doubled.begins == utc(2024, 10, 27, 0)
    assert doubled.ends == utc(2024, 10, 27, 2)
    # Half of it: either reading may be answered, so nothing in it is known to be missing.
    half = Window(AUTUMN.replace(hour=3), AUTUMN.replace(hour=3, minute=30), KYIV)
    assert (half.earliest, half.latest) == (
        utc(2024, 10, 26, 23, 59, 58),
        utc(2024, 10, 27, 1, 30, 1),
    )
    assert half.certain_from > half.certain_to


def test_a_skipped_hour_is_a_moment() -> None:
    change = utc(2024, 3, 31, 1)
    for minute in (0, 1, 30, 59):
        assert instant(SPRING.replace(hour=3, minute=minute), KYIV) == change
    window = Window(SPRING.replace(hour=3, minute=20), SPRING.replace(hour=3, minute=40), KYIV)
    assert window.begins == window.ends == change
    # A bound that never was on the clock is not asked for.
    assert window.asked_from == SPRING.replace(hour=2, minute=59, second=59)
    assert window.asked_to == SPRING.replace(hour=4)


@pytest.mark.parametrize("cap", [100, 6500])
def test_a_quiet_year_costs_few_requests(cap: int) -> None:
    requests = _read_evenly(calls=5 * 365, period=365 * DAY, cap=cap)
    assert requests <= 30


@pytest.mark.parametrize("per_day", [50, 700, 6500, 20_000, 48_000, 500_000])
def test_a_busy_account_wastes_few_requests(per_day: int) -> None:
    days, cap = 60, 6500
    requests = _read_evenly(calls=per_day * days, period=days * DAY, cap=cap)
    assert requests <= 1.5 * math.ceil(per_day * days / cap) + 12


def _read_evenly(calls: int, period: timedelta, cap: int) -> int:
    start = datetime(2023, 1, 1)
    cursor = Cursor(Window(start, start + period, ZoneInfo("UTC")), cap)
    density = calls / period.total_seconds()
    requests = 0
    while cursor.window:
        requests += 1
        rows = round(density * (cursor.window.end - cursor.window.start).total_seconds())
        if rows >= cap:
            assert cursor.halve(SECOND)
        else:
            cursor.read(rows)
    return requests


def test_halving_ends_at_the_shortest() -> None:
    start = datetime(2024, 1, 1)
    cursor = Cursor(Window(start, start + DAY, KYIV), 10)
    lengths = []
    while cursor.halve(HOUR):
        lengths.append((cursor.window.end - start) / HOUR)
    assert lengths == [12, 6, 3, 1.5, 1]
    while cursor.halve(SECOND):
        pass
    assert cursor.window.end - start == SECOND


# A clock change of each zone, or no change at all, with a few days around it.
NEAR_A_CHANGE = st.sampled_from(
    [
        datetime(2024, 3, 10),
        datetime(2024, 3, 31),
        datetime(2024, 4, 7),
        datetime(2024, 10, 6),
        datetime(2024, 10, 27),
        datetime(2024, 11, 3),
        datetime(2024, 7, 1),
    ]
)
OFFSETS = st.integers(-3 * 86400, 3 * 86400)


@given(
    zone=st.sampled_from(ZONES),
    day=NEAR_A_CHANGE,
    bounds=st.lists(OFFSETS, min_size=2, max_size=2, unique=True),
    # Where calls are: moments around the change, many of them within a few hours.
    moments=st.lists(
        st.integers(-4 * 86400, 4 * 86400) | st.integers(-7200, 7 * 3600), max_size=120
    ),
    cap=st.integers(2, 60),
    reading=st.sampled_from(["first", "second", "text"]),
    to_is_inclusive=st.booleans(),
    from_is_inclusive=st.booleans(),
)
def test_the_windows_read_all_of_the_period(
    zone: ZoneInfo,
    day: datetime,
    bounds: list[int],
    moments: list[int],
    cap: int,
    reading: str,
    to_is_inclusive: bool,
    from_is_inclusive: bool,
) -> None:
    """Whatever the zone, the density, the cap and the way the API reads its bounds."""
    start, end = (day + timedelta(seconds=second) for second in sorted(bounds))
    period = Window(shown_once(start, zone), end, zone)
    base = instant(day, zone)
    calls = sorted({base + timedelta(seconds=second) for second in moments})

    def place(wall: datetime) -> float:
        """Where the API puts a bound on its axis: in UTC, or on the wall."""
        if reading == "text":
            return wall.timestamp()
        return wall.replace(tzinfo=zone, fold=int(reading == "second")).timestamp()

    keys = sorted(
        (wall_clock(at, zone).timestamp() if reading == "text" else at.timestamp(), at)
        for at in calls
    )
    positions = [key for key, _ in keys]

    def ask(window: Window) -> list[datetime]:
        first = (bisect_left if from_is_inclusive else bisect_right)(
            positions, place(window.asked_from)
        )
        last = (bisect_right if to_is_inclusive else bisect_left)(positions, place(window.asked_to))
        return [at for _, at in keys[first:last]]

    seen: set[datetime] = set()
    windows: list[Window] = []
    cursor = Cursor(period, cap)
    while window := cursor.window:
        answer = ask(window)
        if len(answer) >= cap and cursor.halve(SECOND):
            continue
        assert all(window.earliest <= at <= window.latest for at in answer)
        seen |= set(answer)
        windows.append(window)
        cursor.read(len(answer))

    assert windows[0].begins == period.begins
    assert windows[-1].ends == period.ends
    assert all(one.ends == other.begins for one, other in pairwise(windows))
    assert {at for at in calls if period.begins <= at < period.ends} <= seen
    for window in windows:
        certain = {at for at in calls if window.certain_from <= at < window.certain_to}
        assert certain <= set(ask(window))
