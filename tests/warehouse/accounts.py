"""Random Ringostat accounts that sit on the edges: what the warehouse tests feed the marts with.

`random_account(seed)` draws the seeds, calls and forms of many projects at once; `edit(account,
seed)` is the same account some days later. The values are nothing like real ones: every spelling
that a rule must read, and every near miss that it must not, comes up often enough that a broken
rule shows in any one account. The configuration is always valid: it passes the tests of the seeds.

Everything is drawn from one `random.Random`, so a seed that fails can be run again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from .oracle import CHANNEL_PARAMETERS, SeedRow, call_id, caller_digits, moment, text

Row = dict[str, object]

ABSENT = object()  # a key that the answer lacks
BLANKS = ("", "", None, ABSENT, "  ", "\u00a0", " \t\n")
UNLISTED_PROJECT = 99999  # has calls and forms, but projects.csv does not know it

PROJECT_COLUMNS = (
    "project_id",
    "project_name",
    "auth_key_env",
    "time_zone",
    "kpi_mode",
    "load_from",
    "is_active",
    "api_time_zone",
)
CHANNEL_COLUMNS = (
    "project_id",
    "parameter",
    "parameter_value",
    "traffic_source",
    "traffic_type",
    "campaign",
    "valid_from",
    "valid_to",
)
TAG_COLUMNS = ("project_id", "parameter", "parameter_value", "tag")
COST_COLUMNS = (
    "project_id",
    "traffic_source",
    "traffic_type",
    "campaign",
    "starts_on",
    "ends_on",
    "cost",
)

# Clocks that change in the north, in the south by half an hour, and never; odd offsets; both
# sides of UTC.
ZONES = (
    "Europe/Kyiv",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Europe/Warsaw",
    "UTC",
    "Asia/Almaty",
)
KPI_MODES = ("", "all", "tagged", "primary", "tagged_primary")

# A pool named `null` is missing: dbt reads that word in a seed as an empty cell.
POOLS = (
    "2ГИС",
    "Билборд Київ",
    "Google Ads",
    "Наружная реклама, Центр",
    'Сайт "Весна"',
    "Виставка\nКиїв 2026",
    " Radio Хіт",
    "Метро Їжак ",
    "Листівки;А5",
    "Facebook\u00a0Ads",
    "101",
    "true",
    "(not set)",
    "Вокзал  Нова",
)
TWINS = dict(zip("авсенікмортхуїАВСЕНІКМОРТХ", "abcehikmoptxyïABCEHIKMOPTX", strict=True))

PARAMETER_VALUES = {
    "n_alias": ("380441112233", "Головний номер"),
    "dst": ("380931112233", "380931112244"),
    "scheme_name": ("test schema", "Схема, нічна"),
    "department": ("Sales", "Відділ продажів", "true"),
    "additional_number": ("101", "007"),
    "utm_source": ("google", "(direct)", "виставка"),
    "utm_medium": ("cpc", "(none)"),
    "utm_campaign": ("spring", "(not set)", "2026"),
    "utm_content": ("banner", "(not set)"),
    "utm_term": ("купити", "none)"),
}
TRAFFIC = (
    ("outdoor", "offline", "Білборди"),
    ("2gis", "maps", "Весна, 2026"),
    ("google", "cpc", "spring"),
    ("(not set)", "(not set)", "(not set)"),
    ("(unknown)", "(unknown)", "Неизвестная кампания"),
    ("{utm_source}", "{utm_medium}", "{utm_campaign}"),
    ("{utm_term}", "{utm_content}", "{utm_source} of May"),
)
TAG_VALUES = {
    "category_number": ("101", "5", "0", "-1", "VIP"),
    "category_mark": ("0", "3"),
    "disposition": ("PROPER", "no answer", "No_Forward", "client+no--answer", "Voicemail"),
    "proper_flag": ("1", "true"),
    "employee_number": ("7", "-1"),
    "employee_mark": ("0", "5"),
    "department": ("Sales", "true"),
    "scheme_name": ("test schema",),
    "tag": ("Заявка", "callback form", "5"),
}
TAG_LABELS = ("target", "Zebra", "апельсин", "Ціль, гаряча", "VIP")

CALL_TYPES = ("in", "in", "in", "in", "transitin", "callback", "callback", "out", "transitout")
ODD_CALL_TYPES = ("IN", " Out ", "CallBack", "TRANSITOUT\t", "webcall", "аут", "outgoing", *BLANKS)
DISPOSITIONS = ("ANSWERED", "PROPER", "REPEATED", "NO ANSWER", "BUSY", "FAILED", "VOICEMAIL")
ODD_DISPOSITIONS = (
    "answered",
    " Proper ",
    "_REPEATED_",
    "NO-ANSWER",
    "no_answer",
    "No + Answer",
    "CLIENT_NO ANSWER",
    "Client  no-answer",
    "NO-FORWARD",
    "no forward",
    "WRONG+EXTENSION",
    "NO EXTENSION",
    "FAILED FORBIDDEN DESTINATION",
    "DECLINE",
    "IN PROGRESS",
    "in_progress",
    "Calling",
    "NOT ANSWERED",
    "-",
    7,
    *BLANKS,
)
CATEGORIES = (-1, -1, 101, 5)
ODD_CATEGORIES = ("-1", " -1 ", "101", " 101", "5", 0, "0", "VIP", "none", *BLANKS)
MARKS = (0, "0", 3, "3", 5, "150.50", 99.9, "5 points", None, ABSENT)
EMPLOYEES = (-1, "-1", 7, "7", None, ABSENT)
NAMES = ("Іваненко Олена", "O'Neil, Ann", *BLANKS)
SECONDS = (0, 7, 36, "36", 425, 61)
ODD_SECONDS = (
    " 36 ",
    "36.0",
    "36.9",
    12.7,
    -5,
    "-5.5",
    "-0.9",
    "007",
    "999999999999999",
    "1234567890123456",
    "+5",
    ".5",
    "5.",
    "1,5",
    "1e3",
    "n/a",
    True,
    *BLANKS,
)
FLAGS = (0, 1, "0", "1", True, False)
ODD_FLAGS = ("true", "FALSE", "Yes", "no", " 1 ", "NO ", "maybe", "y", 2, "-1", "01", *BLANKS)
CALL_COUNTERS = (1, 1, 2, 3, "1", "2")
ODD_CALL_COUNTERS = (" 1 ", "1.0", "1.9", "01", 0, -1, "first", "1e0", *BLANKS)
CLIENT_IDS = ("1169999034.15555555108", 1169999034)
LANDINGS = (
    "localhost/",
    "https://shop.example/?q=вікна",
    "https://shop.example/380441112233/ok",
    "?q=1",
)
REFERRERS = ("http://localhost:3000/", "android-app://com.google")
ADDRESSES = ("10.10.10.10", "2001:db8::1")
UTM_PLACEHOLDERS = ("(direct)", "(none)", "(not set)", "Google", " google", "none", 2026)
ANONYMOUS = ("anonymous", "Anonymous", "٣٨٠٤٤", '"ivanov" <ivanov>', *BLANKS)

LOADED_DAYS = 400  # enough for both clock changes of a year
WINDOWS = (7, 30)  # days of silence to straddle: what tests set as the primary window
TRANSFERRED_AFTER = (0, 0, 0, 1, 60, 119, 120, 121, 300)  # seconds
SECOND = timedelta(seconds=1)
CALLED_BACK_AFTER = (1, 60, 61, 3600, 86_399, 86_400, 86_401)  # seconds after a missed call
TALKED = (0, 9, 10, 11, "10", "600", None)

PLATFORMS = ("google_ads", "facebook_ads", "Google", "2gis")
CAMPAIGN_NAMES = ("spring", "sprnig", "Spring ", "Весна, 2026", "Весна 2026", "Білборди", "Лето")
CAMPAIGN_IDS = ("2026", "20260001", "", "")


@dataclass(frozen=True)
class Profile:
    """What the calls and forms of one project are drawn from."""

    project_id: int
    zone: ZoneInfo
    first: date  # calls lie in the days from `first` to `last`, in the project's zone
    last: date
    busy_days: Sequence[date]  # on which many calls fall, so that a row of the daily table sums
    channels: Sequence[SeedRow]
    pools: Sequence[str]
    callers: Sequence[str]
    sends_unique_call: float  # share of rows that have the field at all
    sends_call_counter: float


@dataclass(frozen=True)
class Account:
    """Seeds as `csv.DictReader` gives them; calls and forms by project, as the oracle takes them.

    `calls` are what the API lists at this moment, a row that is there twice next to its twin.
    Every call lies two days or more from both ends of `load_from` … `today`, so that a load of
    that whole period sees each removal.
    """

    projects: list[dict[str, str]]
    channels: list[dict[str, str]]
    tags: list[dict[str, str]]
    calls: dict[int, list[Row]]
    forms: dict[int, list[Row]]
    profiles: dict[int, Profile]
    costs: list[dict[str, str]] = field(default_factory=list)
    spend: list[Row] = field(default_factory=list)
    edits: int = field(default=0)

    def write_seeds(self, folder: Path) -> None:
        """Writes the CSVs to a folder that exists."""
        for name, columns, rows in (
            ("projects.csv", PROJECT_COLUMNS, self.projects),
            ("static_channels.csv", CHANNEL_COLUMNS, self.channels),
            ("kpi_tags.csv", TAG_COLUMNS, self.tags),
            ("channel_costs.csv", COST_COLUMNS, self.costs),
        ):
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def random_account(
    seed: int, projects: int = 30, calls_per_project: int = 60, today: date = date(2026, 6, 30)
) -> Account:
    """An account as it stands at the end of `today`; the same seed gives the same account."""
    rng = Random(seed)
    listed = [random_project(rng, index, today) for index in range(projects)]
    unlisted = {**random_project(rng, 0, today), "project_id": str(UNLISTED_PROJECT)}

    channels, tags, calls, forms, profiles = [], [], {}, {}, {}
    for index, project in enumerate([*listed, unlisted]):
        profile = random_profile(rng, project, today)
        seen: list[Contact] = []
        profiles[profile.project_id] = profile
        count = 0 if index % 10 == 7 else calls_per_project
        calls[profile.project_id] = random_calls(rng, profile, seen, count)
        forms[profile.project_id] = [
            random_form(rng, profile, seen) for _ in range(index % 2 * count // 5)
        ]
        if project is not unlisted:
            channels += profile.channels
            tags += random_tags(rng, project) if index % 3 else []
    # Of generators of their own, so that the calls above do not depend on what is drawn here.
    rng = Random(f"{seed} about money")
    for profile in [one for one in profiles.values() if calls[one.project_id]]:
        calls[profile.project_id] += random_sequels(rng, profile, calls[profile.project_id])
        calls[profile.project_id] += random_pool_that_breaks(rng, profile)
    return Account(
        listed,
        channels,
        tags,
        calls,
        forms,
        profiles,
        costs=random_costs(rng, [profiles[int(row["project_id"])] for row in listed]),
        spend=random_spend(rng, profiles),
    )


def edit(account: Account, seed: int) -> Account:
    """A later state of the account: the seeds as they were, calls changed, removed and added.

    Forms are never removed: a webhook takes nothing back.
    """
    rng = Random(f"{seed} after {account.edits} edits")
    calls, forms = {}, {}
    for project_id, profile in account.profiles.items():
        seen: list[Contact] = []
        listed = list({call_id(call): call for call in account.calls[project_id]}.values())
        kept = [call for call in listed if rng.random() > 0.06]
        calls[project_id] = [
            changed_call(rng, profile, call) if rng.random() < 0.3 else call for call in kept
        ] + random_calls(rng, profile, seen, 1 + len(listed) // 10)

        sent = account.forms[project_id]
        forms[project_id] = [
            present({**form, **random_visit(rng)}) if rng.random() < 0.1 else form for form in sent
        ] + [random_form(rng, profile, seen) for _ in range(len(sent) // 10)]
    spend = random_spend(rng, account.profiles)
    return replace(account, calls=calls, forms=forms, spend=spend, edits=account.edits + 1)


# -------------------------------------------------------------------------------------------- seeds


def random_project(rng: Random, index: int, today: date) -> dict[str, str]:
    """Zones, KPI modes and the rest by the index, so that few projects have them all."""
    project_id = str(10_000 + index if index % 10 != 5 else 3_000_000_000 + index)
    return {
        "project_id": project_id,
        "project_name": rng.choice(("Клініка «Здоров'я»", "Shop, Kyiv", 'Вікна "Весна"'))
        + f" {project_id}",
        "auth_key_env": f"RINGOSTAT_AUTH_KEY_{project_id}",
        "time_zone": ZONES[index % len(ZONES)],
        "kpi_mode": KPI_MODES[index % len(KPI_MODES)],
        "load_from": (today - timedelta(days=LOADED_DAYS)).isoformat(),
        "is_active": "false" if index % 10 == 3 else "true",
        "api_time_zone": ("", "UTC", "America/New_York")[index % 3],
    }


def random_profile(rng: Random, project: SeedRow, today: date) -> Profile:
    first = date.fromisoformat(project["load_from"]) + timedelta(days=2)
    last = today - timedelta(days=2)
    own_id, zone = project["project_id"], ZoneInfo(project["time_zone"])
    pools, traffic_of_project = rng.sample(POOLS, 6), rng.sample(TRAFFIC, 2)
    configured = {
        "pool_name": {*pools[:4], *(near_miss(rng, pool) for pool in pools[2:5])},
        **{
            parameter: rng.sample(values, rng.choice((0, 1, 1)))
            for parameter, values in PARAMETER_VALUES.items()
        },
    }
    channels = [
        dict(zip(CHANNEL_COLUMNS, (own_id, parameter, value, *traffic, *period), strict=True))
        for parameter in CHANNEL_PARAMETERS
        for value in sorted(configured[parameter])
        for period in random_periods(rng, zone, first, last)
        for traffic in [rng.choice(traffic_of_project)]
    ]
    rng.shuffle(channels)  # no rule goes by the order of lines
    numbers = [f"380{rng.randrange(10**8, 10**9)}" for _ in range(8)]
    return Profile(
        project_id=int(own_id),
        zone=zone,
        first=first,
        last=last,
        busy_days=[first + timedelta(days=rng.randrange((last - first).days)) for _ in range(2)],
        channels=channels,
        pools=pools,
        # The national spelling of a number has other digits: another caller.
        callers=[*numbers, numbers[0].removeprefix("38")],
        sends_unique_call=rng.choice((0.0, 0.7, 1.0)),
        sends_call_counter=rng.choice((0.0, 0.7, 1.0)),
    )


def random_periods(
    rng: Random, zone: ZoneInfo, first: date, last: date
) -> Sequence[tuple[str, str]]:
    """Periods of one channel value, which never overlap: open, bounded, adjacent, with a gap."""
    days = [first + timedelta(days=rng.randrange((last - first).days)) for _ in range(2)]
    days += [change.astimezone(zone).date() for change in clock_changes(zone, first, last)]
    one, other = sorted(rng.sample(days, 2))
    after_one, after_other = one + timedelta(days=1), other + timedelta(days=1)
    return rng.choice(
        (
            [("", "")],
            [("", "")],
            [(f"{one}", "")],
            [("", f"{other}")],
            [(f"{one}", f"{one}")],
            [(f"{one}", f"{other}")],
            [("", f"{one}"), (f"{after_one}", "")],
            [("", f"{one}"), (f"{after_other}", "")],
        )
    )


def random_tags(rng: Random, project: SeedRow) -> list[dict[str, str]]:
    """A few rows, some of one label and some of one value with two labels, none twice."""
    own_id, rows = project["project_id"], set()
    for _ in range(rng.randrange(1, 9)):
        parameter = rng.choice((*TAG_VALUES, "tag", "tag", "category_number"))
        rows.add((parameter, rng.choice(TAG_VALUES[parameter]), rng.choice(TAG_LABELS)))
    return [dict(zip(TAG_COLUMNS, (own_id, *row), strict=True)) for row in sorted(rows)]


def random_costs(rng: Random, profiles: Sequence[Profile]) -> list[dict[str, str]]:
    """One period or two of a few labels in each project; of some, no call ever has them."""
    rows = []
    for profile in profiles:
        labels = {
            (row["traffic_source"], row["traffic_type"], row["campaign"])
            for row in profile.channels
        }
        labels |= {("google", "cpc", "spring"), ("outdoor", "offline", "Бiлборди")}
        for one in rng.sample(sorted(labels), min(len(labels), 3)):
            first = profile.first + timedelta(days=rng.randrange(300))
            for _ in range(rng.choice((1, 2))):
                last = first + timedelta(days=rng.choice((0, 2, 30)))
                cost = rng.choice(("0", "100", "1000.01", "0.05", f"{rng.randrange(10**6)}"))
                cells = (str(profile.project_id), *one, f"{first}", f"{last}", cost)
                rows.append(dict(zip(COST_COLUMNS, cells, strict=True)))
                first = last + timedelta(days=1)
    return rows


def random_spend(rng: Random, profiles: dict[int, Profile]) -> list[Row]:
    """Rows of spend on a few days: by id and by name, renamed, mistyped, of any project or none.

    No two amounts are equal, so that one campaign always spent most.
    """
    rows: list[Row] = []
    for profile in profiles.values():
        number = profile.project_id
        own = (
            (f"9000{number}", f"promo {number}"),
            ("", f"promo_{number}"),
            ("", f"prmo_{number}"),
        )
        for _ in range(rng.randrange(6)):
            campaign_id, name = rng.choice(
                (*own, (rng.choice(CAMPAIGN_IDS), rng.choice(CAMPAIGN_NAMES)))
            )
            platform, source = rng.choice(PLATFORMS), rng.choice(("", None, "google", "Instagram"))
            project_id = rng.choice((number, number, None))
            for _ in range(rng.choice((1, 2, 3))):
                rows.append(
                    {
                        "project_id": project_id,
                        "date_day": rng.choice(
                            (*profile.busy_days, profile.first + timedelta(days=rng.randrange(300)))
                        ),
                        "platform": platform,
                        "campaign_id": campaign_id,
                        "campaign_name": rng.choice((name, name, f" {name}", f"{name} (new)")),
                        "spend": Decimal(len(rows) * 1000 + rng.randrange(1000)) / 100,
                        "utm_source": source,
                        "utm_medium": rng.choice(("", "cpc", "paid_social")),
                        "utm_campaign": rng.choice(("", None, f"promo_{number}")),
                    }
                )
    return rows


# ---------------------------------------------------------------------------------- calls and forms


@dataclass(frozen=True)
class Contact:
    """Who asked and when (UTC): what a later call or form may repeat or tie with."""

    at: datetime
    caller: str


def random_calls(rng: Random, profile: Profile, seen: list[Contact], count: int) -> list[Row]:
    """About `count` calls, some of them listed twice: the twin has the same id and `calldate`."""
    calls = []
    for _ in range(count):
        call = random_call(rng, profile, seen)
        calls.append(call)
        if rng.random() < 0.25:
            calls += random_legs(rng, profile, call)
        if rng.random() < 0.06:
            calls.append(present({**call, **random_outcome(rng), **random_category(rng)}))
    return calls


def random_legs(rng: Random, profile: Profile, call: Row) -> list[Row]:
    """The rows that Ringostat adds when the call is transferred, and near misses of such rows."""
    legs, at = [], moment(text(call, "calldate"), profile.zone)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at += rng.choice(TRANSFERRED_AFTER) * SECOND
        leg = {
            **call,
            "calldate": spelled_moment(rng, within(profile, at), profile.zone),
            "uniqueid": f"{rng.choice('AZaz')}{rng.getrandbits(40)}",
            **random_outcome(rng),
            **random_category(rng),
            "call_type": rng.choice(("transitin",) * 5 + ("TransitIn ", "in", "transitout")),
        }
        if rng.random() < 0.3:
            leg.update({"pool_name": random_pool(rng, profile), **random_visit(rng)})
        if rng.random() < 0.1:
            leg.update(random_caller(rng, rng.choice(profile.callers)))
        legs.append(present(leg))
    return legs


def random_sequels(rng: Random, profile: Profile, calls: Sequence[Row]) -> list[Row]:
    """What follows a call: the project calls back, perhaps transferred, or the client tries again.
    The client may come by a campaign that only this project has."""
    sequels = []
    for call in [one for one in calls if rng.random() < 0.3]:
        number = caller_digits(call)
        at = moment(text(call, "calldate"), profile.zone)
        at += rng.choice(CALLED_BACK_AFTER) * SECOND
        row: Row = {
            "calldate": spelled_moment(rng, within(profile, at), profile.zone),
            "uniqueid": f"s{rng.getrandbits(40)}",
            "disposition": rng.choice(DISPOSITIONS),
            "billsec": rng.choice(TALKED),
        }
        if number and rng.random() < 0.6:
            back = row | {"call_type": "out", "caller": "101", "dst": spelled(rng, number)}
            sequels.append(back)
            if rng.random() < 0.3:
                later = within(profile, at + rng.choice(TRANSFERRED_AFTER) * SECOND)
                sequels.append(
                    {
                        **back,
                        "calldate": spelled_moment(rng, later, profile.zone),
                        "uniqueid": f"t{rng.getrandbits(40)}",
                        "call_type": "transitout",
                        "billsec": rng.choice(TALKED),
                    }
                )
            continue
        campaign = rng.choice(
            (f"promo_{profile.project_id}", f"9000{profile.project_id}", "spring")
        )
        sequels.append(
            row
            | {
                "call_type": "in",
                "caller": number or "anonymous",
                "client_id": "1169999034.1",
                "utm_source": rng.choice(("google", "instagram")),
                "utm_medium": "cpc",
                "utm_campaign": campaign,
            }
        )
    return sequels


def random_pool_that_breaks(rng: Random, profile: Profile) -> list[Row]:
    """Calls of a pool that falls silent some time before the end, or whose visits stop."""
    if rng.random() < 0.4:
        return []
    silent_days, days = rng.choice((0, 1, 3, 7, 20)), rng.choice((20, 60, 150))
    calls = []
    for n in range(days):
        day = profile.last - timedelta(days=silent_days + n)
        if day < profile.first or (day.weekday() > 4 and days != 60):
            continue
        at = datetime.combine(day, time(12), profile.zone).astimezone(timezone.utc)
        calls.append(
            {
                "calldate": spelled_moment(rng, within(profile, at), profile.zone),
                "uniqueid": f"p{rng.getrandbits(40)}",
                "call_type": "in",
                "disposition": "ANSWERED",
                "caller": rng.choice(profile.callers),
                "pool_name": "Breaks",
                "client_id": "1169999034.1" if n > 25 or rng.random() < 0.2 else "",
            }
        )
    return calls


def random_call(rng: Random, profile: Profile, seen: list[Contact]) -> Row:
    at, caller, hit = random_occasion(rng, profile, seen)
    calldate = spelled_moment(rng, at, profile.zone)
    prefix = rng.choice(("ua9_", "UA9-", "u", "Z"))
    uniqueid: object = f"{prefix}{int(at.timestamp())}.{rng.getrandbits(32)}"
    if rng.random() < 0.1:
        uniqueid = rng.choice(BLANKS)
    elif rng.random() < 0.1:
        uniqueid = rng.getrandbits(40)
    return present(
        {
            "calldate": calldate,
            "uniqueid": uniqueid,
            **random_caller(rng, caller),
            **{parameter: random_value(rng, parameter) for parameter in PARAMETER_VALUES},
            "pool_name": random_pool(rng, profile),
            **random_visit(rng),
            **random_outcome(rng),
            **random_category(rng),
            "call_counter": usually(rng, CALL_COUNTERS, ODD_CALL_COUNTERS)
            if rng.random() < profile.sends_call_counter
            else ABSENT,
            "unique_call": usually(rng, FLAGS, ODD_FLAGS)
            if rng.random() < profile.sends_unique_call
            else ABSENT,
            "employee_number": rng.choice(EMPLOYEES),
            "employee_fio": rng.choice(NAMES),
            "employee_mark": rng.choice(MARKS),
            "connected_with": rng.choice(("380441119999", "")),
            "has_recording": rng.choice(("0", "1")),
            "call_card": "https://app.ringostat.com/project/callcards/card/x/"
            f"?project_id={profile.project_id}",
            # What the occasion is about: the value of the channel whose first or last day it is.
            **hit,
        }
    )


def random_form(rng: Random, profile: Profile, seen: list[Contact]) -> Row:
    at, caller, hit = random_occasion(rng, profile, seen)
    utm = {name: random_value(rng, name) for name in PARAMETER_VALUES if name.startswith("utm_")}
    return present(
        {
            "form_id": f"form-{rng.getrandbits(32)}",
            "submitted_at": spelled_moment(rng, at, profile.zone),
            "phone": spelled(rng, caller) if rng.random() < 0.8 else rng.choice(BLANKS),
            "email": "client@example.com",
            "name": "Олена",
            "form_name": "Замовити дзвінок",
            "tag": rng.choice((*TAG_VALUES["tag"], 5, "заявка", *BLANKS)),
            "pool_name": random_pool(rng, profile),
            **random_visit(rng),
            **utm,
            **{name: value for name, value in hit.items() if name == "pool_name" or name in utm},
        }
    )


def changed_call(rng: Random, profile: Profile, call: Row) -> Row:
    """The same call (unless it has no `uniqueid`) as a later answer may show it."""

    def moved(by: timedelta) -> Row:
        at = moment(text(call, "calldate"), profile.zone) + by
        return {"calldate": spelled_moment(rng, within(profile, at), profile.zone)}

    changes: Sequence[Callable[[], Row]] = (
        lambda: random_category(rng),
        lambda: random_outcome(rng),
        lambda: {"pool_name": random_pool(rng, profile)},
        lambda: random_visit(rng),
        lambda: random_caller(rng, rng.choice(profile.callers)),
        lambda: {"call_type": rng.choice(CALL_TYPES)},
        lambda: moved(timedelta(minutes=rng.choice((-90, -5, -1, 1, 5, 90)))),
        lambda: moved(timedelta(days=rng.choice((-40, -7, -1, 1, 7, 40)))),
    )
    changed = dict(call)
    for change in rng.sample(changes, rng.choice((1, 1, 2))):
        changed.update(change())
    return present(changed)


# ----------------------------------------------------------------------------------- parts of a row


def usually(rng: Random, usual: Sequence[object], odd: Sequence[object]) -> object:
    return rng.choice(odd if rng.random() < 0.35 else usual)


def present(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not ABSENT}


def random_outcome(rng: Random) -> Row:
    return {
        "call_type": usually(rng, CALL_TYPES, ODD_CALL_TYPES),
        "disposition": usually(rng, DISPOSITIONS, ODD_DISPOSITIONS),
        "waittime": usually(rng, SECONDS, ODD_SECONDS),
        "billsec": usually(rng, SECONDS, ODD_SECONDS),
        "duration": usually(rng, SECONDS, ODD_SECONDS),
    }


def random_category(rng: Random) -> Row:
    return {
        "category_number": usually(rng, CATEGORIES, ODD_CATEGORIES),
        "category_mark": rng.choice(MARKS),
        "proper_flag": usually(rng, FLAGS, ODD_FLAGS),
        "repeated_flag": rng.choice(FLAGS),
    }


def random_visit(rng: Random) -> Row:
    """A visit known by one field or more, or (half of the time) not at all."""
    return {
        "client_id": rng.choice(CLIENT_IDS if rng.random() < 0.2 else BLANKS),
        "landing": rng.choice(LANDINGS if rng.random() < 0.2 else BLANKS),
        "refferrer": rng.choice(REFERRERS if rng.random() < 0.1 else BLANKS),
        "remote_ip": rng.choice(ADDRESSES if rng.random() < 0.1 else BLANKS),
    }


def random_caller(rng: Random, caller: str) -> Row:
    """The caller's number in `caller`; in `caller_number` alone; nowhere; or in a login."""
    known, hidden = spelled(rng, caller), rng.choice(ANONYMOUS)
    return rng.choice(
        (
            *[{"caller": known, "caller_number": ABSENT}] * 5,
            {"caller": known, "caller_number": "380000000000"},
            {"caller": hidden, "caller_number": known},
            {"caller": hidden, "caller_number": rng.choice(ANONYMOUS)},
            {"caller": '"agent7" <agent7>', "caller_number": known},
        )
    )


def spelled(rng: Random, caller: str) -> object:
    """One number as different systems write it; its digits are the same in all of them."""
    return rng.choice(
        (
            caller,
            caller,
            f"+{caller}",
            f"{caller[:2]} {caller[2:5]} {caller[5:8]}-{caller[8:]}",
            f"+{caller[:2]}\u00a0({caller[2:5]}) {caller[5:]}",
            f'"Shop 2" <{caller}>',
            f'"24/7 <main>" <+{caller}>',
            # As a JSON number it would lose a leading zero.
            caller if caller.startswith("0") else int(caller),
        )
    )


def random_pool(rng: Random, profile: Profile) -> object:
    """A pool of the project, a near miss of one, a pool of its own, or none."""
    pool = rng.choice(profile.pools)
    draw = rng.random()
    if draw < 0.35:
        return int(pool) if pool.isdigit() and rng.random() < 0.5 else pool
    if draw < 0.7:
        return near_miss(rng, pool)
    if draw < 0.8:
        return rng.choice(("Новий пул", 'Dynamic, "new"', "Пул\r\nна двох рядках", " x ", 7, True))
    return rng.choice(BLANKS)


def near_miss(rng: Random, name: str) -> str:
    """The name with one or two slips: in spaces, in case, in a letter of the other alphabet."""
    slips: Sequence[Callable[[str], str]] = (
        lambda value: value + rng.choice((" ", "\u00a0", "\t")),
        lambda value: " " + value,
        lambda value: value.replace(" ", rng.choice(("  ", "\u00a0", "\n"))),
        lambda value: value.strip(),
        lambda value: value.lower(),
        lambda value: value.upper(),
        lambda value: "".join(TWINS.get(letter, letter) for letter in value),
        lambda value: "".join(
            TWINS.get(letter, letter) if rng.random() < 0.4 else letter for letter in value
        ),
    )
    for slip in rng.sample(slips, rng.choice((1, 1, 2))):
        name = slip(name)
    return name


def random_value(rng: Random, parameter: str) -> object:
    """What a call has in a field that a channel may name: mostly nothing that matches one."""
    value = rng.choice(PARAMETER_VALUES[parameter])
    draw = rng.random()
    if draw < 0.15:
        return int(value) if value.isdigit() and not value.startswith("0") else value
    if draw < 0.3:
        return rng.choice((value.upper(), value + " ", "+" + value, value == "true"))
    if parameter.startswith("utm_") and draw < 0.6:
        return rng.choice(UTM_PLACEHOLDERS)
    return rng.choice(BLANKS)


# ------------------------------------------------------------------------------------------ moments


def random_occasion(
    rng: Random, profile: Profile, seen: list[Contact]
) -> tuple[datetime, str, Row]:
    """When (UTC), who, and the channel value that the moment is chosen for, if it is."""
    caller, hit, draw = rng.choice(profile.callers), {}, rng.random()
    bounded = [row for row in profile.channels if row["valid_from"] or row["valid_to"]]
    changes = clock_changes(profile.zone, profile.first, profile.last)
    if draw < 0.2 and seen:
        # A caller again: in the same second, or after exactly a primary window, give or take one.
        before = rng.choice(seen)
        days = rng.choice((0, *WINDOWS))
        at = before.at + timedelta(days=days, seconds=rng.choice((-1, 0, 1)) if days else 0)
        caller = before.caller
    elif draw < 0.4 and bounded:
        channel = rng.choice(bounded)
        hit = {channel["parameter"]: channel["parameter_value"]}
        at = around_a_bound(rng, channel, profile.zone)
    elif draw < 0.5:
        at = random_midnight(rng, profile) + rng.choice((-1, 0, 1, -1800, 1800)) * SECOND
    elif draw < 0.6 and changes:
        offsets = (0, 1, 1799, 1800, 3599, 3600, 5400, 7200)
        at = rng.choice(changes) + rng.choice((-1, 1)) * rng.choice(offsets) * SECOND
    else:
        at = random_midnight(rng, profile) + rng.randrange(86_400) * SECOND
    at = within(profile, at)
    seen.append(Contact(at, caller))
    return at, caller, hit


def around_a_bound(rng: Random, channel: SeedRow, zone: ZoneInfo) -> datetime:
    """On the first or last day of a channel or a day beside it, at noon or hard by midnight."""
    bound = rng.choice([day for day in (channel["valid_from"], channel["valid_to"]) if day])
    day = date.fromisoformat(bound) + timedelta(days=rng.choice((-1, 0, 0, 1)))
    wall_clock = rng.choice((time(0, 0, 0), time(12, 0, 0), time(23, 59, 59)))
    return datetime.combine(day, wall_clock, zone).astimezone(timezone.utc)


def random_midnight(rng: Random, profile: Profile) -> datetime:
    day = profile.first + timedelta(days=rng.randrange((profile.last - profile.first).days))
    if rng.random() < 0.8:
        day = rng.choice(profile.busy_days)
    return datetime.combine(day, time(), profile.zone).astimezone(timezone.utc)


def within(profile: Profile, at: datetime) -> datetime:
    """The moment, or the nearer end of the project's days if it lies outside them."""
    first = datetime.combine(profile.first, time(), profile.zone)
    last = datetime.combine(profile.last, time(), profile.zone)
    return min(max(at, first), last).astimezone(timezone.utc)


@cache
def clock_changes(zone: ZoneInfo, first: date, last: date) -> tuple[datetime, ...]:
    """The moments (UTC) from which the zone's clocks show another offset."""
    step, changes = timedelta(minutes=30), []
    at = datetime.combine(first, time(), timezone.utc)
    while at.date() < last:
        if at.astimezone(zone).utcoffset() != (at + step).astimezone(zone).utcoffset():
            changes.append(at + step)
        at += step
    return tuple(changes)


def spelled_moment(rng: Random, at: datetime, zone: ZoneInfo) -> str:
    """A `calldate` in one of the spellings that occur: any offset, or the project's wall clock."""
    local, utc = at.astimezone(zone), at.astimezone(timezone.utc)
    elsewhere = at.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    return rng.choice(
        (
            f"{local:%Y-%m-%dT%H:%M:%S%z}",
            f"{local:%Y-%m-%dT%H:%M:%S%z}",
            local.isoformat(),
            f"{local:%Y-%m-%dT%H:%M:%S}",
            f"{local:%Y-%m-%d %H:%M:%S}",
            f"{utc:%Y-%m-%dT%H:%M:%SZ}",
            f"{utc:%Y-%m-%dT%H:%M:%S%z}",
            f"{elsewhere:%Y-%m-%dT%H:%M:%S%z}",
        )
    )
