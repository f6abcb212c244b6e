"""The demo's account: two made-up businesses and their calls of 120 days.

A person's whole story (the first call, later calls, the manager who calls back) depends only on the
project and the day of the first call. So a day's calls do not depend on today's date, and
`call_counter` is right although the account shows only a part of each story.

Two sources are broken, so that tracking health has something to find: a number is dead, and a site
lost Ringostat's script. Both happened a fixed number of days before today, whatever day that is:
longer ago than the loader's lookback, so that a demo of each day changes no call of the day before.

Nobody has these numbers: after the country code (380, 7) comes a 0, with which no area code begins.
Sites are under `.example`, visitors' addresses in 203.0.113.0/24, both reserved for documentation.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import TypeVar
from zoneinfo import ZoneInfo

from loader.sandbox.server import Call, SandboxProject

_T = TypeVar("_T")

DAYS = 120
LONGEST_STORY = timedelta(days=45)

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
VISIT = ("client_id", "landing", "refferrer", "remote_ip")


# ------------------------------------------------------------------------------ the two businesses


@dataclass(frozen=True)
class Source:
    """Where people find the number to call: on a site, or at a place such as a billboard.

    A site shows each visitor a number of a dynamic pool, so a call belongs to a visit and its UTM
    values. A billboard shows everybody the same number of a static pool, so there is no visit.
    """

    share: float  # of all first calls, in relation to the other sources
    pool_name: str | None
    lines: tuple[int, ...]  # the last digits of its numbers
    landing: str = ""
    utm: tuple[str, ...] = ()  # values of the five in UTM, or empty
    dead_days: int = 0  # for so many days nobody has reached its number
    no_visit_days: int = 0  # for so many days its site has passed on no visit


def dynamic(
    share: float,
    pool_name: str,
    landing: str,
    source: str,
    medium: str,
    campaign: str,
    term: str = "(not set)",
) -> Source:
    # Google Ads writes the campaign's id, and the click's id into the content.
    content = "gclid_" if campaign.isdecimal() else "(not set)"
    utm = (source, medium, campaign, content, term)
    return Source(share, pool_name, tuple(range(100, 112)), landing, utm)


def static(share: float, pool_name: str | None, line: int, utm: tuple[str, ...] = ()) -> Source:
    return Source(share, pool_name, (line,), utm=utm)


@dataclass(frozen=True)
class Business:
    project_id: int
    time_zone: str
    callers: str  # how callers' numbers begin; seven digits follow
    lines: str  # how the business' own numbers begin; four digits follow
    first_calls: float  # by new callers, on an average day
    weekdays: tuple[float, ...]  # Monday to Sunday, 1 is average
    opens: int
    closes: int
    sources: tuple[Source, ...]
    scheme_name: str
    nodes: tuple[str, ...]  # how ids of calls begin: the servers that the calls went through
    employees: tuple[tuple[str, str], ...]  # name and department
    first_employee: int  # the staff id of the first one
    category_values: dict[int, int]  # what a request of each category is worth
    refused_fields: frozenset[str] = frozenset()


# UTM values that are set by hand on a static pool, the same for all its calls.
FLYERS = ("flyers", "offline", "poznyaky", "(not set)", "(not set)")
OLX = ("olx", "classified", "(not set)", "(not set)", "(not set)")

SITE, IMPLANTS = "Динамічний пул: сайт", "Динамічний пул: імплантація"
PERFORMANCE = "Performance Max"

CLINIC = Business(
    project_id=11111,
    time_zone="Europe/Kyiv",
    callers="38000",
    lines="38009000",
    first_calls=61,
    weekdays=(1.35, 1.2, 1.15, 1.1, 1.1, 0.75, 0.35),
    opens=9,
    closes=20,
    sources=(
        dynamic(15, SITE, "dental.example/", "google", "cpc", "21034567801", "стоматологія"),
        dynamic(13, SITE, "dental.example/", "google", "organic", "(not set)", "(not provided)"),
        dynamic(8, SITE, "dental.example/price", "(direct)", "(none)", "(direct)", "none)"),
        dynamic(6, SITE, "dental.example/sale", "instagram", "paid_social", "vidbiluvannya"),
        dynamic(3, SITE, "dental.example/", "", "", "", ""),
        dynamic(9, IMPLANTS, "implant.example/", "google", "cpc", "21034567802", "імплант ціна"),
        # Performance Max writes the pool's name where others write the medium.
        dynamic(5, PERFORMANCE, "dental.example/", "google", PERFORMANCE, "21034567803"),
        dynamic(4, IMPLANTS, "implant.example/", "facebook", "paid_social", "implantaciya", ""),
        # Mapped in seeds/static_channels.csv, the last two by number
        static(11, "Google Maps", 11),
        static(7, "Білборд на Оболоні", 12),
        replace(static(5, "Сітілайт біля метро", 16), dead_days=24),
        static(4, "OLX", 13),
        static(4, "Радіо, ранковий ефір", 14),
        static(3, "Довідник лікарів", 15),
        # Nearly mapped: a Latin i, a space at the end, lower case
        static(2.5, "Білборд на Оболонi", 21),
        static(1.5, "OLX ", 22),
        static(1.5, "Google maps", 23),
        # Not mapped; the second has UTM values of its own
        static(2, "Візитки лікарів", 31),
        static(1.5, "Листівки: Позняки", 32, FLYERS),
        static(4, None, 41),
        static(1, "", 42),
    ),
    scheme_name="Основна схема",
    nodes=("ua9", "ua18", "pl5"),
    first_employee=48215,
    category_values={1: 900, 2: 2500, 3: 14000, 4: 0, 5: 350},
    employees=(
        ("Олена Вигадана", "Реєстратура"),
        ("Ірина Прикладна", "Реєстратура"),
        ("Марія Умовна", "Реєстратура"),
        ("Петро Взірцевий", "Лікарі"),
    ),
)

SALON, SERVICE = "Динамический пул: автосалон", "Динамический пул: сервис"

DEALER = Business(
    project_id=22222,
    time_zone="Asia/Almaty",
    callers="7000",
    lines="7009000",
    first_calls=41,
    weekdays=(1.1, 1.05, 1.0, 1.0, 1.1, 1.15, 0.6),
    opens=9,
    closes=19,
    sources=(
        dynamic(14, SALON, "auto.example/new", "google", "cpc", "new_cars", "купить авто"),
        dynamic(10, SALON, "auto.example/", "yandex", "cpc", "brand", "автосалон алматы"),
        dynamic(9, SALON, "auto.example/", "google", "organic", "(not set)", "(not provided)"),
        dynamic(6, SALON, "auto.example/", "(direct)", "(none)", "(direct)", "none)"),
        dynamic(5, SALON, "auto.example/trade-in", "instagram", "paid_social", "trade_in"),
        replace(
            dynamic(6, SERVICE, "auto.example/service", "google", "cpc", "service", "то авто"),
            no_visit_days=18,
        ),
        # Mapped, the last two by utm_source and by number
        static(13, "2ГИС", 11),
        static(6, "Google Maps", 12),
        static(6, "Щит на Аль-Фараби", 13),
        static(7, "Доска объявлений", 14, OLX),
        static(4, "Газета «Авторынок»", 15),
        # Nearly mapped: lower case, two spaces, a Latin a
        static(2.5, "2гис", 21),
        static(2, "Щит на  Аль-Фараби", 22),
        static(1.5, "Щит нa Аль-Фараби", 23),
        # Not mapped
        static(3, "Радио в пробках", 31),
        static(1.5, "Визитки менеджеров", 32),
        static(3, None, 41),
        static(0.5, "", 42),
    ),
    scheme_name="Рабочая схема",
    nodes=("kz1", "kz3"),
    first_employee=51740,
    category_values={1: 15000, 2: 40000, 3: 250000, 4: 0, 5: 5000},
    employees=(
        ("Айгуль Примерова", "Отдел продаж"),
        ("Руслан Образцов", "Отдел продаж"),
        ("Данияр Условный", "Отдел продаж"),
        ("Виктор Тестовый", "Сервис"),
    ),
    refused_fields=frozenset({"unique_call", "employee_fio"}),
)

# Weights: hours of the day, then ways to miss a call, then categories.
HOURS = (2, 1, 1, 1, 1, 2, 6, 20, 60, 100, 120, 110, 90, 70, 80, 90, 90, 70, 40, 26, 12, 8, 6, 4)

MISSED = {
    "NO ANSWER": 55, "BUSY": 14, "CLIENT NO ANSWER": 8, "DECLINE": 6, "VOICEMAIL": 5, "FAILED": 5,
    "NO EXTENSION": 3, "WRONG EXTENSION": 3, "IN PROGRESS": 1, "": 1,
}  # fmt: skip
MISSED_WHILE_CLOSED = {"NO-FORWARD": 60, "VOICEMAIL": 25, "NO ANSWER": 15}
MISSED_BY_THE_CLIENT = {
    "CLIENT NO ANSWER": 65, "BUSY": 20, "FAILED": 10, "FAILED FORBIDDEN DESTINATION": 5,
}  # fmt: skip
CATEGORIES = {1: 30, 2: 25, 3: 20, 4: 15, 5: 10}


def demo_account(now: datetime) -> list[SandboxProject]:
    """The two projects with the calls of the 120 days before today, without today itself.

    Days are days in the project's zone: in the evening of UTC it is already tomorrow in Almaty, and
    an account that ended with the day of UTC would have been silent for a day.
    """
    return [_project(business, now) for business in (CLINIC, DEALER)]


def _project(business: Business, now: datetime) -> SandboxProject:
    today = now.astimezone(ZoneInfo(business.time_zone)).date()
    return SandboxProject(
        project_id=business.project_id,
        auth_key=f"sandbox-key-{business.project_id}",
        time_zone=business.time_zone,
        calls=_calls(business, today - timedelta(days=DAYS), today),
        refused_fields=business.refused_fields,
        staff=_staff(business),
    )


def _staff(business: Business) -> list[dict[str, object]]:
    """The employees as the staff list has them."""
    return [
        {
            "id": business.first_employee + n,
            "name": name,
            "email": f"staff{n}@{business.project_id}.example",
            "phones": [f"{business.lines}{900 + n:04d}"],
            "sip": [_sip_login(business, n)],
            "departments": [department],
        }
        for n, (name, department) in enumerate(business.employees)
    ]


def _sip_login(business: Business, n: int) -> str:
    return f"p{business.project_id}_{101 + n}"


def _calls(business: Business, start: date, end: date) -> list[Call]:
    """The calls from `start` to before `end`, in order of time."""
    first_day = start - LONGEST_STORY - timedelta(days=1)  # the last call may be after midnight
    days = (first_day + timedelta(days=n) for n in range((end - first_day).days))
    told = [
        (moment, call)
        for day in days
        for moment, call in _Day(business, day).calls(end)
        if start <= moment.date() < end
    ]
    calls = [call for _, call in sorted(told, key=lambda one: one[0])]
    # The newest one still rings.
    calls[-1] |= {
        "disposition": "CALLING", "billsec": 0, "duration": 0, "waittime": "0", "duration_ms": "0",
        "has_recording": "0", "recording": "", "recording_wav": "", "employee_number": -1,
        "employee_fio": "", "connected_with": "", "category_number": -1, "category_mark": 0,
        "proper_flag": 0, "repeated_flag": 0, "call_type": "in",
    }  # fmt: skip
    return calls


# ---------------------------------------------------------------------------- the stories of a day


@dataclass(frozen=True)
class Person:
    number: str
    source: Source
    client_id: str  # "" without a visit
    remote_ip: str


def _as_tracked(
    source: Source, story: Iterable[tuple[datetime, Call]], today: date
) -> Iterator[tuple[datetime, Call]]:
    """A story as Ringostat logs it: without what a dead number or a site without the script hides.

    The whole story is told first: what is hidden must not change the stories of other people.
    """
    for moment, call in story:
        days_ago = (today - moment.date()).days
        if days_ago <= source.dead_days:
            continue
        is_hidden = days_ago <= source.no_visit_days
        hidden = [name for name in (*UTM, *VISIT) if is_hidden and name in call]
        yield moment, call | dict.fromkeys(hidden, "")


class _Day:
    """The stories that begin on a day: the people who call for the first time, and what follows.

    Each call has the moment at which it begins, in the project's zone.
    """

    def __init__(self, business: Business, day: date) -> None:
        self.business = business
        self.day = day
        self.zone = ZoneInfo(business.time_zone)
        self.rng = random.Random(f"{business.project_id} {day}")
        self.told = 0

    def calls(self, today: date) -> Iterator[tuple[datetime, Call]]:
        expected = self.business.first_calls * self.business.weekdays[self.day.weekday()]
        for n in range(round(expected * self.rng.uniform(0.85, 1.15))):
            person = self._person(self._number(n))
            story = self._story(person, self._moment_on(self.day))
            yield from _as_tracked(person.source, story, today)
        if self.day.weekday() == 1:
            person = self._person(f"38008{self.day.toordinal() % 10_000:07d}")
            yield from _as_tracked(person.source, [self._robot(person)], today)

    def _number(self, n: int) -> str:
        """The number of the n-th person of the day, unique within 27 years."""
        if self.rng.random() < 0.03:
            return "anonymous"
        # The factor shares no divisor with 10,000,000: all stay different, in no visible order.
        digits = (self.day.toordinal() % 10_000 * 1_000 + n) * 7_654_321 % 10_000_000
        return f"{self.business.callers}{digits:07d}"

    def _person(self, number: str) -> Person:
        sources = self.business.sources
        (source,) = self.rng.choices(sources, [source.share for source in sources])
        if source.landing and self.rng.random() < 0.02:
            # Now and then Ringostat does not know the visit, although the pool is dynamic.
            source = replace(source, landing="", utm=())
        if not source.landing:
            return Person(number, source, client_id="", remote_ip="")
        client_id = f"{self.rng.randrange(10**9, 2 * 10**9)}.{self.rng.randrange(10**9)}"
        return Person(number, source, client_id, f"203.0.113.{self.rng.randrange(1, 255)}")

    def _story(self, person: Person, moment: datetime) -> Iterator[tuple[datetime, Call]]:
        """All calls of a person to the business, and the calls back."""
        rng = self.rng
        counter, had_target_call = 1, False
        while moment.date() <= self.day + LONGEST_STORY:
            call = self._call(person, moment, counter, had_target_call)
            had_target_call = had_target_call or call["disposition"] == "PROPER"
            yield moment, self._worn(call)
            if call["call_type"] == "in" and rng.random() < 0.07:
                leg_at, leg = self._transferred(person, moment, call)
                yield leg_at, self._worn(leg)

            if person.number == "anonymous":
                return
            if rng.random() < (0.03 if call["billsec"] else 0.45):
                later = self._exact(moment, timedelta(minutes=rng.uniform(3, 50)))
                yield later, self._worn(self._call_back(person, later))
            if rng.random() < 0.68:
                return
            counter += 1
            if rng.random() < 0.3:
                moment = self._exact(moment, timedelta(minutes=rng.uniform(4, 90)))
            else:
                days = 1 + int(rng.expovariate(0.1))
                moment = self._moment_on(moment.date() + timedelta(days))

    def _robot(self, person: Person) -> tuple[datetime, Call]:
        """A robot that sells loans calls every business, so one caller is in two projects."""
        nine = datetime.combine(self.day, time(9), timezone.utc).astimezone(self.zone)
        moment = self._exact(nine, timedelta(seconds=self.rng.randrange(300)))
        return moment, self._call(person, moment, counter=1, had_target_call=False)

    def _moment_on(self, day: date) -> datetime:
        (hour,) = self.rng.choices(range(24), HOURS)
        clock = time(hour, self.rng.randrange(60), self.rng.randrange(60))
        return self._exact(datetime.combine(day, clock, self.zone), timedelta(0))

    def _exact(self, moment: datetime, pause: timedelta) -> datetime:
        """`pause` later, computed in UTC: a clock never shows an hour that it skips."""
        later = moment.astimezone(timezone.utc) + pause
        return later.replace(microsecond=0).astimezone(self.zone)

    # ------------------------------------------------------------------------- one call of a story

    def _call(self, person: Person, moment: datetime, counter: int, had_target_call: bool) -> Call:
        """A call of a person to the business, or a callback ordered on its site."""
        rng, source = self.rng, person.source
        call_type = "in"
        if person.client_id and rng.random() < 0.09:
            call_type = "callback"
        elif not source.pool_name and rng.random() < 0.1:
            call_type = "transitin"

        is_open = self.business.opens <= moment.hour < self.business.closes
        if rng.random() < (0.84 if is_open else 0.06):
            talk = 5 + int(rng.lognormvariate(4.4, 0.9))
            if rng.random() < 0.01:
                talk = 0  # answered, and hung up at once
            is_target = talk >= 90
            disposition = "REPEATED" if had_target_call else "PROPER" if is_target else "ANSWERED"
        else:
            disposition = self._drawn(MISSED if is_open else MISSED_WHILE_CLOSED)
            talk = rng.randrange(4, 40) if disposition == "VOICEMAIL" else 0

        number = f"{self.business.lines}{rng.choice(source.lines):04d}"
        # A call without UTM values has placeholders of one kind or another.
        utm = source.utm or [rng.choice((None, None, None, "", "(not set)"))] * len(UTM)
        visit = {}
        if person.client_id:
            found_by = source.utm[0]
            visit = {
                # Many visitors refuse it, or block it; their UTM values are known all the same.
                "client_id": person.client_id if rng.random() < 0.67 else "",
                "landing": source.landing,
                "refferrer": f"https://{found_by}.example/" if found_by.isalpha() else "",
                "remote_ip": person.remote_ip,
            }
        values = dict(zip(UTM, utm, strict=True))
        if values["utm_content"] == "gclid_":
            values["utm_content"] = f"gclid_{rng.getrandbits(160):040x}"
        return {
            **self._row(moment, call_type, disposition, talk, person.number, number),
            "n_alias": number,
            "call_counter": counter,
            "unique_call": int(counter == 1),
            "pool_name": source.pool_name,
            **values,
            **visit,
        }

    def _transferred(self, person: Person, moment: datetime, call: Call) -> tuple[datetime, Call]:
        """The leg of a transferred call, to another employee. If nobody answered, both rows begin
        in the same second."""
        rng = self.rng
        pause = timedelta(seconds=rng.randrange(15, 90) if call["billsec"] else 0)
        leg_at = self._exact(moment, pause)
        disposition, talk = "NO ANSWER", 0
        if call["billsec"] and rng.random() < 0.85:
            disposition, talk = "ANSWERED", 5 + int(rng.lognormvariate(4.4, 0.9))
        row = self._row(leg_at, "transitin", disposition, talk, person.number, str(call["dst"]))
        carried = ("n_alias", "pool_name", *UTM)  # U: here all but the visit
        return leg_at, row | {name: call[name] for name in carried}

    def _call_back(self, person: Person, moment: datetime) -> Call:
        """A call of a manager to a person: not a client's request, so without pool and visit."""
        disposition, talk = self._drawn(MISSED_BY_THE_CLIENT), 0
        if self.rng.random() < 0.7:
            disposition, talk = "ANSWERED", 5 + int(self.rng.lognormvariate(4.2, 0.9))
        call_type = "out" if self.rng.random() < 0.85 else "transitout"
        return self._row(moment, call_type, disposition, talk, '"reception" <101>', person.number)

    def _row(
        self, moment: datetime, call_type: str, disposition: str, talk: int, caller: str, dst: str
    ) -> Call:
        """A call of unknown origin, with the JSON types of the vendor's sample.

        Some numbers are text there. "", null, -1 and the placeholders in brackets mean none.
        """
        rng = self.rng
        self.told += 1
        call_number = self.day.toordinal() % 10_000 * 1_000 + self.told
        node = rng.choice(self.business.nodes)
        uniqueid = f"{node}_-{moment.timestamp():.0f}.{call_number}"
        project = f"project_id={self.business.project_id}"
        recording = f"https://app.ringostat.com/recordings/{uniqueid}.wav?token=sandbox"

        wait = rng.randrange(3, 40)
        employee, name, department, extension, took = -1, "", "", "", ""
        category, value = -1, 0
        if disposition in ("ANSWERED", "PROPER", "REPEATED"):
            n = rng.randrange(len(self.business.employees))
            name, department = self.business.employees[n]
            employee, extension = self.business.first_employee + n, str(101 + n)
            own_phone = f"{self.business.lines}{900 + n:04d}"
            took = rng.choice((own_phone, _sip_login(self.business, n)))
            if rng.random() < 0.5:  # managers note a category on every other conversation
                category = self._drawn(CATEGORIES)
                value = self.business.category_values[category]

        return {
            "calldate": moment.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "uniqueid": uniqueid,
            "call_card": f"https://app.ringostat.com/project/callcards/card/{uniqueid}/?{project}",
            "recording": recording if talk else "",
            "recording_wav": recording if talk else "",
            "has_recording": "1" if talk else "0",
            "caller": caller,
            "caller_number": caller,
            "dst": dst,
            "n_alias": "",
            "connected_with": took,
            "additional_number": extension,
            "scheme_name": self.business.scheme_name,
            "department": department,
            "employee_number": employee,
            "employee_mark": rng.randrange(1, 6) if category > 0 else 0,
            "employee_fio": name,
            "call_type": call_type,
            "disposition": disposition,
            "duration": wait + talk,
            "billsec": talk,
            "waittime": str(wait),
            "duration_ms": str((wait + talk) * 1000),
            "call_counter": 1,
            "unique_call": 0,
            "proper_flag": int(disposition == "PROPER"),
            "repeated_flag": int(disposition == "REPEATED"),
            "category_number": category,
            "category_mark": value,
            "pool_name": None,
            **dict.fromkeys(UTM),
            **dict.fromkeys(VISIT, ""),
        }

    def _worn(self, call: Call) -> Call:
        """The call with some oddities that the sample lacks and real answers have."""
        rng, worn = self.rng, dict(call)
        if rng.random() < 0.04:
            disposition = str(call["disposition"])
            spellings = [disposition.replace(" ", other) for other in "_+-"]
            worn["disposition"] = rng.choice([disposition.lower(), disposition.title(), *spellings])
        if rng.random() < 0.005:
            worn["uniqueid"] = ""
        if rng.random() < 0.02:
            no_or_yes = rng.choice((("0", "1"), (False, True), ("no", "yes")))
            worn["unique_call"] = no_or_yes[call["unique_call"] == 1]
        if rng.random() < 0.03:
            name = rng.choice(("billsec", "duration", "call_counter", "category_number"))
            worn[name] = str(call[name])
        if rng.random() < 0.03:
            worn[rng.choice(("connected_with", "department", "utm_term", "refferrer"))] = None
        if rng.random() < 0.03:
            del worn[rng.choice(("additional_number", "employee_fio", "utm_content", "landing"))]
        return worn

    def _drawn(self, weights: dict[_T, int]) -> _T:
        return self.rng.choices(list(weights), list(weights.values()))[0]
