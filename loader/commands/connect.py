"""`ringostat connect`: the project of a key, and its line in `projects.csv`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from rich.table import Table

from loader import projects, settings
from loader.api import Api, WindowTooLong
from loader.call_card import project_number
from loader.clock import agrees_with_zone, read_moment, wall_clock
from loader.errors import ConfigurationError, LoadError
from loader.projects import DEFAULT_KEY_VARIABLE, Project
from loader.rows import storable
from loader.windows import DAY, SECOND, Window

Call = dict[str, object]

_YEAR = timedelta(days=365)
# Enough calls to show which pools there are; if a day has fewer, earlier days are read as well.
_ENOUGH_CALLS = 500
_GROWTH = 4
# As in the macro has_visit of stg_ringostat__calls.
_VISIT_FIELDS = ("client_id", "landing", "refferrer", "remote_ip")

NOTICE = """\
KPIs may double: call tracking counts a client who calls, and a CRM, web analytics or an advertising
account may count the same client again as a form, an order or a call of its own. Compare their
numbers before you add them up: ringostat_marts.rpt_possible_duplicates lists the conversions that
may be counted twice."""


@dataclass(frozen=True)
class Seen:
    """The latest calls of an account, `days` back from now, and what they show about it."""

    project_id: int
    zone: ZoneInfo
    days: float
    calls: Sequence[Call]
    api: Api

    def lines(self) -> Iterator[str]:
        yield f"Ringostat project {self.project_id}"
        if not self.calls:
            yield f"no calls in the last {self.days:g} days"
            return
        moments = sorted(filter(None, (_moment(call, self.zone) for call in self.calls)))
        if moments:
            first, last = moments[0].astimezone(self.zone), moments[-1].astimezone(self.zone)
            yield f"first call seen  {first:%Y-%m-%d %H:%M}, last {last:%Y-%m-%d %H:%M}"
        yield (
            f"calls per day    {len(self.calls) / self.days:,.1f} "
            f"({len(self.calls):,} in {self.days:g} days)"
        )
        types = Counter(str(call.get("call_type") or "(none)") for call in self.calls)
        yield "call types       " + ", ".join(f"{kind} {n:,}" for kind, n in types.most_common())

    def agrees_with_zone(self) -> bool:
        """Whether a call has the zone's offset, or none that could differ."""
        calldates = [str(call.get("calldate")) for call in self.calls]
        return not calldates or any(agrees_with_zone(text, self.zone) for text in calldates)

    def pools(self) -> Table:
        """Calls by pool. Dynamic is what the macro is_dynamic_pool says."""
        calls: Counter[str] = Counter()
        visits: Counter[str] = Counter()
        for call in self.calls:
            pool = str(call.get("pool_name") or "")
            calls[pool] += 1
            visits[pool] += any(str(call.get(name) or "").strip() for name in _VISIT_FIELDS)
        table = Table("pool", "kind")
        table.add_column("calls", justify="right")
        for pool, count in calls.most_common():
            is_dynamic = visits[pool] * 2 > count
            kind = "dynamic" if is_dynamic else "static: map it in static_channels.csv"
            table.add_row(f"«{pool}»" if pool else "(no pool)", kind if pool else "", f"{count:,}")
        return table


def look(
    key_variable: str, zone: ZoneInfo, project_id: int | None, api_zone: ZoneInfo | None = None
) -> Seen:
    """Asks the API, with the key in the environment, for the latest calls, up to a year back.

    `api_zone` is the clock by which it is asked, by default that of the project's `zone`.
    `project_id` is needed for an account whose calls do not show it. Raises ConfigurationError if
    the number is unknown or differs from that of the calls, and if the API does not answer.
    """
    api = Api(settings.auth_key(key_variable), key_variable)
    try:
        calls, days = _latest_calls(api, api_zone or zone)
    except LoadError as error:
        raise ConfigurationError(str(error)) from None
    cards = [str(call.get("call_card")) for call in calls]
    found = {number for card in cards if (number := project_number(card)) is not None}
    numbers = found or ({project_id} if project_id else set())
    if not numbers:
        raise ConfigurationError(
            f"no call of the last {days:g} days shows the project's number: "
            "give it with --project-id (Ringostat shows it in the address of the project's pages)"
        )
    if len(numbers) > 1 or (project_id or min(numbers)) not in numbers:
        owners = ", ".join(map(str, sorted(found)))
        raise ConfigurationError(
            f"the key in {key_variable} belongs to project {owners}: nothing was added"
        )
    return Seen(min(numbers), zone, days, calls, api)


def check_zone(seen: Seen) -> None:
    """Raises ConfigurationError if the time offset of all calls differs from the zone's."""
    if not seen.agrees_with_zone():
        raise ConfigurationError(
            f"no call has the time offset of {seen.zone}: nothing was added. Give the zone that "
            "the project has in Ringostat; if it is this one, add --trust-time-zone"
        )


def check_is_new(new: Project) -> None:
    """Raises ConfigurationError if the project, or another one with its key, is already listed."""
    for project in projects.read_projects():
        if project.project_id == new.project_id:
            raise ConfigurationError(f"{project} is already in projects.csv")
        if project.key_variable == new.key_variable:
            raise ConfigurationError(
                f"projects.csv already uses {new.key_variable} for {project}, and a key belongs "
                "to one project: put the new key into another variable, named with --auth-key-env"
            )


def add(project: Project) -> str:
    """Appends the project's line to `projects.csv`, and returns it."""
    seed = projects.parse_seed()
    is_same = project.api_time_zone.key == project.time_zone.key
    api_zone = "" if is_same else project.api_time_zone.key
    if api_zone:
        seed.add_column("api_time_zone")
    variable = project.key_variable
    line = seed.line(
        {
            "project_id": str(project.project_id),
            "project_name": project.project_name,
            "auth_key_env": "" if variable == DEFAULT_KEY_VARIABLE else variable,
            "time_zone": project.time_zone.key,
            "kpi_mode": project.kpi_mode,
            "load_from": project.load_from.isoformat(),
            "is_active": str(project.is_active).lower(),
            "api_time_zone": api_zone,
        }
    )
    seed.save([*(row.text for row in seed.rows), line])
    return line


def a_year_ago(zone: ZoneInfo) -> date:
    return datetime.now(zone).date() - _YEAR


def _latest_calls(api: Api, zone: ZoneInfo) -> tuple[list[Call], float]:
    """The latest calls, enough of them or a year's, and how many days they span."""
    now = wall_clock(datetime.now(timezone.utc), zone).replace(microsecond=0)
    start, length = now, DAY
    calls: dict[str, Call] = {}  # by id: neighbouring windows overlap by a second
    while start > now - _YEAR and len(calls) < _ENOUGH_CALLS:
        window = Window(max(start - length, now - _YEAR), start, zone)
        try:
            found = [json.loads(storable(row)) for row in api.calls(window)]
        except WindowTooLong as refusal:
            if length <= refusal.shortest:
                raise
            length = max(length // 2 // SECOND * SECOND, refusal.shortest)
            continue
        calls |= {str(call.get("uniqueid") or id(call)): call for call in found}
        start, length = window.start, length * _GROWTH
    return list(calls.values()), round((now - start) / DAY, 2)


def _moment(call: Call, zone: ZoneInfo) -> datetime | None:
    return read_moment(str(call.get("calldate")), zone)
