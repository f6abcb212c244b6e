"""The marts, calculated a second time: in plain Python, from the contract's words.

The warehouse tests compare every row of the dbt marts with what these functions return for the
same API answers. It is worth something only as long as it is independent: it knows no SQL and no
model, it has no I/O, and each rule is one small function that quotes the sentence it carries out.
Where a mart and this page differ, read the sentence and decide which of the two is wrong.

Input is what the outside world hands over: seeds as `csv.DictReader` gives them (all text), calls
as the API answers them (any field may be absent, null, blank, or of another JSON type), forms as
their importer names them. Output is a list of dicts with the columns of the contract, without
`loaded_at`: that one tells when something was loaded, not what is true.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

SeedRow = Mapping[str, str]
Payload = Mapping[str, object]

# In the order in which they win where two channels match one conversion.
CHANNEL_PARAMETERS = (
    "n_alias",
    "dst",
    "pool_name",
    "scheme_name",
    "department",
    "additional_number",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
)
UTM_FIELDS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
# All that a form has in common with a call; it has none of a call's other fields.
FORM_FIELDS = ("pool_name", "client_id", "landing", *UTM_FIELDS, "tag")

# The best one first.
ANSWERED_DISPOSITIONS = ("PROPER", "REPEATED", "ANSWERED")
IN_PROGRESS = ("", "CALLING", "IN PROGRESS")
VISIT_FIELDS = ("client_id", "landing", "refferrer", "remote_ip")


@dataclass(frozen=True)
class Settings:
    """What decides what a mart shows: the dbt vars, with the contract's defaults, and the salt."""

    kpi_mode: str = "all"
    excluded_call_types: tuple[str, ...] = ("out", "transitout")
    transfer_seconds: int = 120
    primary_rule: str = "vendor"
    primary_window_days: int | None = None
    unknown_campaign: str = "Неизвестная кампания"
    unknown_source: str = "(unknown)"
    unknown_type: str = "(unknown)"
    caller_salt: str = "salt of the oracle"
    call_back_hours: int = 24
    call_back_seconds: int = 10
    health_conversions: int = 20
    health_probability: Decimal = Decimal("0.001")
    show_employees: bool = True
    show_visits: bool = True


# ------------------------------------------------------------------------ reading what was answered

SPACES = " \t\n\r\f\v\u00a0"


def text(payload: Payload, field: str) -> str | None:
    """The field as text, or None if it is absent or null.

    Scalars of any JSON kind compare as their text: the number 101 is '101', true is 'true'.
    """
    value = payload.get(field)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(Decimal(str(value)), "f")


def is_blank(value: str | None) -> bool:
    """Blank is null or nothing but whitespace, the no-break space included."""
    return value is None or value.strip(SPACES) == ""


def number(value: str | None) -> int | None:
    """At most 15 digits, perhaps with a fraction, which is cut off; anything else is null."""
    found = re.fullmatch(rf"[{SPACES}]*(-?[0-9]{{1,15}})(\.[0-9]+)?[{SPACES}]*", value or "")
    return int(found[1]) if found else None


def flag(value: str | None) -> bool | None:
    """“Flags are 0/1, "0"/"1", true/false, yes/no”, in any case; anything else is null."""
    spelling = (value or "").strip(SPACES).lower()
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(
        spelling
    )


def decimal(value: str | None) -> Decimal | None:
    """A number of at most 15 digits and 6 decimals; anything else is null."""
    found = re.fullmatch(
        rf"[{SPACES}]*(-?[0-9]{{1,15}}(?:\.[0-9]{{1,6}})?)[{SPACES}]*", value or ""
    )
    return Decimal(found[1]) if found else None


def digits(value: str | None) -> str:
    """The digits 0-9 of a phone number: `+38 (044) 111` and `38044111` are one number. “Of
    `"Name" <380…>` the number in the brackets”, the last ones."""
    in_brackets = re.findall(r"<([^<>]*)>", value or "")
    return re.sub(r"[^0-9]", "", in_brackets[-1] if in_brackets else value or "")


def moment(answered: str, zone: ZoneInfo) -> datetime:
    """A `calldate` in UTC. Without an offset it is in the project's zone.

    Where the clocks change, one without an offset may be read in two ways: it is the later one.
    Raises ValueError for what is no moment.
    """
    with_offset = re.search(r"(Z|[+-]\d\d:?\d\d)$", answered)
    layout = "%Y-%m-%dT%H:%M:%S" + ("%z" if with_offset else "")
    read = datetime.strptime(answered.replace(" ", "T"), layout)
    if with_offset:
        return read.astimezone(timezone.utc)
    return max(read.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1))


# --------------------------------------------------------------------------- calls and forms as one


@dataclass(frozen=True)
class Conversion:
    """A request from a client, of any kind, before seeds and settings say anything about it."""

    project_id: int
    conversion_type: str
    landed_id: str
    occurred_at: datetime
    digits: str
    payload: Payload
    # The rows of the log that follow the first one and are the same request.
    legs: tuple[Conversion, ...] = ()

    @property
    def rows(self) -> tuple[Conversion, ...]:
        return (self, *self.legs)

    @property
    def is_form(self) -> bool:
        return self.conversion_type == "form"

    @property
    def origin(self) -> str:
        """A callback is a call."""
        return "form" if self.is_form else "call"

    def text(self, field: str) -> str | None:
        return text(self.payload, field)


def call_id(call: Payload) -> str:
    """“`uniqueid`, or where that is empty `sha256:` + a hash of `calldate`, `caller`, `dst`”."""
    uniqueid = text(call, "uniqueid")
    if not is_blank(uniqueid):
        return uniqueid
    parts = [text(call, field) or "" for field in ("calldate", "caller", "dst")]
    return "sha256:" + sha256("|".join(parts))


def caller_digits(call: Payload) -> str:
    """Who called: the digits of `caller`, or of `caller_number` where `caller` has none."""
    return digits(text(call, "caller")) or digits(text(call, "caller_number"))


def call_type(call: Payload) -> str:
    """Call types compare trimmed and in lower case; a missing one is ''."""
    return (text(call, "call_type") or "").strip(SPACES).lower()


def is_excluded(call: Payload, settings: Settings) -> bool:
    """“Calls that are no request from a client. Everything else, unknown and missing types too,
    is a conversion”."""
    return call_type(call) in settings.excluded_call_types


def call_conversion(project_id: int, call: Payload, zone: ZoneInfo) -> Conversion:
    """A call is of type `callback` if its call type says so, else `call`."""
    return Conversion(
        project_id=project_id,
        conversion_type="callback" if call_type(call) == "callback" else "call",
        landed_id=call_id(call),
        occurred_at=moment(text(call, "calldate") or "", zone),
        digits=caller_digits(call),
        payload=call,
    )


def form_conversion(project_id: int, form: Payload, zone: ZoneInfo) -> Conversion:
    """A form request is a conversion of type `form`, with the few fields it shares with a call."""
    return Conversion(
        project_id=project_id,
        conversion_type="form",
        landed_id=text(form, "form_id"),
        occurred_at=moment(text(form, "submitted_at") or "", zone),
        digits=digits(text(form, "phone")),
        payload={field: form.get(field) for field in FORM_FIELDS},
    )


def loaded_history(
    project: SeedRow, calls: Iterable[Payload], forms: Iterable[Payload], settings: Settings
) -> list[Conversion]:
    """A project's conversions of all kinds, in the order in which they happened.

    Of rows with one id the last counts. The order is that of (occurred_at, call or form, id), ids
    as they are landed and compared by code point, so that it is total even within one second and no
    salt changes it.
    """
    project_id, zone = int(project["project_id"]), ZoneInfo(project["time_zone"])
    last_calls = {call_id(call): call for call in calls}.values()
    last_forms = {text(form, "form_id"): form for form in forms}.values()
    conversions = requests(
        [
            call_conversion(project_id, call, zone)
            for call in last_calls
            if not is_excluded(call, settings)
        ],
        settings,
    )
    conversions += [form_conversion(project_id, form, zone) for form in last_forms]
    return sorted(conversions, key=lambda one: (one.occurred_at, one.origin, one.landed_id))


def requests(rows: Iterable[Conversion], settings: Settings) -> list[Conversion]:
    """“A `transitin` that begins at most `ringostat_transfer_seconds` after another incoming row of
    the same project and caller is a leg of that request. Legs chain. A `transitin` alone, or
    without a caller's number, is a conversion.” With 0 “every row counts by itself”.

    Both may begin in the same second: then the transferred call is the earlier one.
    """
    limit, found = timedelta(seconds=settings.transfer_seconds), []
    latest: dict[str, tuple[int, datetime]] = {}  # of each caller: which request, and its last row
    for row in sorted(rows, key=lambda one: (one.occurred_at, is_transfer(one), one.landed_id)):
        if limit and row.digits in latest and is_transfer(row):
            place, begun_at = latest[row.digits]
            if row.occurred_at - begun_at <= limit:
                found[place] = replace(found[place], legs=(*found[place].legs, row))
                latest[row.digits] = place, row.occurred_at
                continue
        if row.digits:
            latest[row.digits] = len(found), row.occurred_at
        found.append(row)
    return found


def is_transfer(row: Conversion) -> bool:
    return call_type(row.payload) == "transitin"


# -------------------------------------------------------------------------------------- attribution


@dataclass(frozen=True)
class Attribution:
    traffic_source: str
    traffic_type: str
    campaign: str
    attribution_method: str
    unknown_reason: str | None = None
    channel_id: str | None = None


def seed_date(cell: str) -> date | None:
    """A day of a seed; an empty cell is an open end."""
    return date.fromisoformat(cell) if cell else None


def channel_id(channel: SeedRow) -> str:
    """MD5 of project, parameter, value and first day: one channel's row in the seed."""
    key = ("project_id", "parameter", "parameter_value", "valid_from")
    value = "|".join(channel[column] for column in key)
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


def is_valid_on(channel: SeedRow, day: date) -> bool:
    """“Days in the project's zone, both inclusive, empty = open”."""
    first, last = seed_date(channel["valid_from"]), seed_date(channel["valid_to"])
    return (first is None or first <= day) and (last is None or day <= last)


def static_channel(
    conversion: Conversion, day: date, channels: Sequence[SeedRow]
) -> SeedRow | None:
    """“Where two channels match one call the first of this order wins”; the value “must equal the
    call's value exactly: case, spaces and look-alike letters count”."""
    for parameter in CHANNEL_PARAMETERS:
        for channel in channels:
            if (
                channel["parameter"] == parameter
                and channel["parameter_value"] == conversion.text(parameter)
                and is_valid_on(channel, day)
            ):
                return channel
    return None


def has_visit(conversion: Conversion) -> bool:
    """“`client_id`, `landing`, `refferrer` or `remote_ip` not blank”; a form's UTM is its visit."""
    traces = (*VISIT_FIELDS, *(UTM_FIELDS if conversion.is_form else ()))
    return not all(is_blank(conversion.text(field)) for field in traces)


def channel_label(conversion: Conversion, cell: str) -> str:
    """“Each of the three label cells may be one of `{utm_source}`, …: the call's own value, blank →
    `(not set)`”."""
    field = cell.removeprefix("{").removesuffix("}")
    return utm_value(conversion, field) if cell in [f"{{{one}}}" for one in UTM_FIELDS] else cell


def utm_value(conversion: Conversion, field: str) -> str:
    """“As answered, blank or null → `(not set)`”."""
    value = conversion.text(field)
    return "(not set)" if is_blank(value) else value


def attribution(
    conversion: Conversion, day: date, channels: Sequence[SeedRow], settings: Settings
) -> Attribution:
    """A static channel, else the visit's UTM values, else the unknown three.

    “A conversion is never dropped because its source is unknown.”
    """
    channel = static_channel(conversion, day, channels)
    if channel:
        return Attribution(
            channel_label(conversion, channel["traffic_source"]),
            channel_label(conversion, channel["traffic_type"]),
            channel_label(conversion, channel["campaign"]),
            "static_channel",
            channel_id=channel_id(channel),
        )
    if has_visit(conversion):
        return Attribution(
            utm_value(conversion, "utm_source"),
            utm_value(conversion, "utm_medium"),
            utm_value(conversion, "utm_campaign"),
            "utm",
        )
    return Attribution(
        settings.unknown_source,
        settings.unknown_type,
        settings.unknown_campaign,
        "unknown",
        unknown_reason="no_pool" if is_blank(conversion.text("pool_name")) else "unmapped_pool",
    )


# ---------------------------------------------------------------------------------------- KPI flags


def normal_disposition(value: str) -> str:
    """“After upper-casing and turning `_`, `+`, `-` and runs of spaces into one space”; trimmed."""
    return re.sub(rf"[_+\-{SPACES}]+", " ", value.upper()).strip(" ")


def tag_matches(tag: SeedRow, conversion: Conversion) -> bool:
    """“Compared as text”, a disposition in its normal form; `tag` is a form's field alone."""
    if (tag["parameter"] == "tag") != conversion.is_form:
        return False
    wanted, value = tag["parameter_value"], conversion.text(tag["parameter"])
    if value is None:
        return False
    if tag["parameter"] == "disposition":
        return normal_disposition(value) == normal_disposition(wanted)
    return value == wanted


def labels(conversion: Conversion, tags: Sequence[SeedRow]) -> list[str]:
    """“A call may carry several tags”: its distinct labels, sorted by code point. A transferred one
    has “tags of all legs”."""
    return sorted({tag["tag"] for tag in tags for row in conversion.rows if tag_matches(tag, row)})


def has_category(conversion: Conversion) -> bool:
    """“A category is set (`category_number` neither empty nor -1)”."""
    category = conversion.text("category_number")
    return not is_blank(category) and category.strip(SPACES) != "-1"


def is_tagged(conversion: Conversion, tags: Sequence[SeedRow]) -> bool:
    """“A project without rows here: tagged = a category is set”; with rows: one of them matches."""
    if tags:
        return bool(labels(conversion, tags))
    return any(has_category(row) for row in conversion.rows)


def row_with_the_category(conversion: Conversion) -> Conversion:
    """The first row with a category; if there is none, the first row."""
    return next((row for row in conversion.rows if has_category(row)), conversion)


def vendor_primary(conversion: Conversion, previous: datetime | None) -> bool:
    """“`unique_call`, else `call_counter = 1`, else first in history”: the first one readable."""
    unique_call = flag(conversion.text("unique_call"))
    if unique_call is not None:
        return unique_call
    call_counter = number(conversion.text("call_counter"))
    if call_counter is not None:
        return call_counter == 1
    return previous is None


def first_contact_primary(
    conversion: Conversion, previous: datetime | None, window_days: int | None
) -> bool:
    """“The caller's first conversion in the project's loaded history, or, with
    `ringostat_primary_window_days`, the first after that many days of silence”.

    A day of silence is 24 hours; exactly that much is enough.
    """
    if previous is None:
        return True
    if window_days is None:
        return False
    return conversion.occurred_at - previous >= timedelta(days=window_days)


def with_primary(
    history: Sequence[Conversion], settings: Settings
) -> Iterator[tuple[Conversion, bool]]:
    """Each conversion of one project's history, with its `is_primary`.

    “A caller without a number is always primary”, whatever the rule.
    """
    last_of_caller: dict[str, datetime] = {}
    for conversion in history:
        previous = last_of_caller.get(conversion.digits)
        if not conversion.digits:
            yield conversion, True
        elif settings.primary_rule == "vendor":
            yield conversion, vendor_primary(conversion, previous)
        else:
            window_days = settings.primary_window_days
            yield conversion, first_contact_primary(conversion, previous, window_days)
        last_of_caller[conversion.digits] = conversion.occurred_at


def kpi_mode(project: SeedRow, settings: Settings) -> str:
    """“A project's own `kpi_mode` wins”."""
    return project["kpi_mode"] or settings.kpi_mode


def is_counted(mode: str, tagged: bool, primary: bool) -> bool:
    """What the KPI mode counts: `all`, `tagged`, `primary`, `tagged_primary`."""
    return {
        "all": True,
        "tagged": tagged,
        "primary": primary,
        "tagged_primary": tagged and primary,
    }[mode]


# ------------------------------------------------------------------------------------ other columns


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def caller_key(conversion: Conversion, settings: Settings) -> str | None:
    """“Salted SHA-256 of the digits of the number, null if there are none”."""
    return sha256(settings.caller_salt + conversion.digits) if conversion.digits else None


def source_id(conversion: Conversion, settings: Settings) -> str:
    """“Call or form id”; a hash that stands for one is salted: “no phone number” may be found by
    hashing all of them."""
    if not conversion.landed_id.startswith("sha256:"):
        return conversion.landed_id
    return "sha256:" + sha256(settings.caller_salt + conversion.landed_id)


def conversion_id(conversion: Conversion, settings: Settings) -> str:
    """`<project_id>:call:<source_id>` or `<project_id>:form:<source_id>`."""
    return f"{conversion.project_id}:{conversion.origin}:{source_id(conversion, settings)}"


def is_answered(conversion: Conversion) -> bool | None:
    """“`ANSWERED`, `PROPER`, `REPEATED`; null for forms and for calls in progress: `CALLING`, `IN
    PROGRESS`, empty”. Of a transferred call “answered if any leg was”; it is in progress while a
    row is."""
    if conversion.is_form:
        return None
    shown = [normal_disposition(row.text("disposition") or "") for row in conversion.rows]
    if any(one in ANSWERED_DISPOSITIONS for one in shown):
        return True
    return None if any(one in IN_PROGRESS for one in shown) else False


def disposition(conversion: Conversion) -> str | None:
    """“The best disposition (`PROPER`, `REPEATED`, `ANSWERED`, then the first row's)”."""
    for best in ANSWERED_DISPOSITIONS:
        for row in conversion.rows:
            if normal_disposition(row.text("disposition") or "") == best:
                return row.text("disposition")
    return conversion.text("disposition")


def talk_seconds(conversion: Conversion) -> int | None:
    """“Talk seconds summed”; null if no row has any."""
    seconds = [number(row.text("billsec")) for row in conversion.rows]
    return sum(one or 0 for one in seconds) if any(one is not None for one in seconds) else None


def filled(value: str | None) -> str | None:
    """The value as answered, null if it is blank."""
    return None if is_blank(value) else value


def number_dialled(conversion: Conversion) -> str | None:
    """The tracking number; “no phone number” of a client, who may be the one that was dialled."""
    if conversion.is_form or call_type(conversion.payload) not in ("in", "transitin"):
        return None
    return conversion.text("dst")


def shown_call_type(conversion: Conversion) -> str | None:
    return None if conversion.is_form else call_type(conversion.payload) or None


def employee(conversion: Conversion, settings: Settings) -> dict[str, str | None]:
    """“Staff id, -1 = none”, and “a var switches it off”."""
    if not settings.show_employees:
        return {"employee_number": None, "employee_name": None}
    staff_id = filled(conversion.text("employee_number"))
    return {
        "employee_number": None if staff_id == "-1" else staff_id,
        "employee_name": filled(conversion.text("employee_fio")),
    }


def visit(conversion: Conversion, settings: Settings) -> dict[str, str | None]:
    """The page without what may name a client, and the id; “a var switches both off”."""
    if not settings.show_visits:
        return {"landing": None, "client_id": None}
    page = re.split("[?#;&]|%3[FfBb]|%2[36]", conversion.text("landing") or "")[0]
    page = re.sub("[^/]*(@|%40|[0-9]{7})[^/]*", "…", page)
    return {"landing": filled(page), "client_id": filled(conversion.text("client_id"))}


def local_time(conversion: Conversion, zone: ZoneInfo) -> dict[str, object]:
    """The clock of the project; Monday is weekday 1."""
    local = conversion.occurred_at.astimezone(zone).replace(tzinfo=None)
    return {"occurred_at_local": local, "hour": local.hour, "weekday": local.isoweekday()}


# -------------------------------------------------------------------------------------------- marts


def fct_conversions(
    projects: Sequence[SeedRow],
    channels: Sequence[SeedRow],
    tags: Sequence[SeedRow],
    calls: Mapping[int, Sequence[Payload]],
    forms: Mapping[int, Sequence[Payload]],
    settings: Settings,
) -> list[dict]:
    """One row a conversion, by project and in order of time within it.

    `calls` and `forms` by project number; calls are those that the API still lists. “Removed
    calls, and calls of projects that `projects.csv` does not list, are not in the marts. Inactive
    projects stay in them.”
    """
    rows = []
    for project in projects:
        project_id, zone = int(project["project_id"]), ZoneInfo(project["time_zone"])
        own_channels = [row for row in channels if int(row["project_id"]) == project_id]
        own_tags = [row for row in tags if int(row["project_id"]) == project_id]
        mode = kpi_mode(project, settings)
        history = loaded_history(
            project, calls.get(project_id, ()), forms.get(project_id, ()), settings
        )
        for conversion, primary in with_primary(history, settings):
            day = conversion.occurred_at.astimezone(zone).date()
            source = attribution(conversion, day, own_channels, settings)
            tagged = is_tagged(conversion, own_tags)
            noted = row_with_the_category(conversion)
            rows.append(
                {
                    "conversion_id": conversion_id(conversion, settings),
                    "project_id": project_id,
                    "project_name": project["project_name"],
                    "conversion_type": conversion.conversion_type,
                    "source_id": source_id(conversion, settings),
                    "occurred_at": conversion.occurred_at,
                    "conversion_date": day,
                    "traffic_source": source.traffic_source,
                    "traffic_type": source.traffic_type,
                    "campaign": source.campaign,
                    "attribution_method": source.attribution_method,
                    "unknown_reason": source.unknown_reason,
                    "channel_id": source.channel_id,
                    "pool_name": conversion.text("pool_name"),
                    **{field: conversion.text(field) for field in UTM_FIELDS},
                    "is_tagged": tagged,
                    "is_primary": primary,
                    "is_counted": is_counted(mode, tagged, primary),
                    "tags": labels(conversion, own_tags),
                    "disposition": disposition(conversion),
                    "is_answered": is_answered(conversion),
                    "wait_seconds": number(conversion.text("waittime")),
                    "talk_seconds": talk_seconds(conversion),
                    "caller_key": caller_key(conversion, settings),
                    "legs": len(conversion.rows),
                    "category_number": noted.text("category_number"),
                    "category_value": decimal(noted.text("category_mark")),
                    **local_time(conversion, zone),
                    "call_type": shown_call_type(conversion),
                    "number_dialled": number_dialled(conversion),
                    "scheme_name": conversion.text("scheme_name"),
                    "department": conversion.text("department"),
                    **employee(conversion, settings),
                    **visit(conversion, settings),
                }
            )
    return rows


DAILY_GRAIN = (
    "conversion_date",
    "project_id",
    "conversion_type",
    "traffic_source",
    "traffic_type",
    "campaign",
)


def rpt_conversions_daily(
    conversions: Sequence[dict], projects: Sequence[SeedRow], settings: Settings
) -> list[dict]:
    """One row a day, project, type of conversion and source; all KPI modes side by side.

    `conversions` are rows of `fct_conversions`. Only `conversions` follows the project's KPI mode;
    answered, missed, talk_seconds and unique_callers are of all conversions of the row.
    """
    by_id = {int(project["project_id"]): project for project in projects}
    rows = []
    for key, group in grouped(conversions, DAILY_GRAIN).items():
        grain = dict(zip(DAILY_GRAIN, key, strict=True))
        project = by_id[grain["project_id"]]
        by_mode = {
            mode: sum(is_counted(mode, one["is_tagged"], one["is_primary"]) for one in group)
            for mode in ("all", "tagged", "primary", "tagged_primary")
        }
        callers = {one["caller_key"] for one in group if one["caller_key"] is not None}
        methods = {one["attribution_method"] for one in group}
        rows.append(
            {
                **grain,
                "project_name": project["project_name"],
                "conversions": by_mode[kpi_mode(project, settings)],
                "conversions_all": by_mode["all"],
                "conversions_tagged": by_mode["tagged"],
                "conversions_primary": by_mode["primary"],
                "conversions_tagged_primary": by_mode["tagged_primary"],
                "answered": sum(one["is_answered"] is True for one in group),
                "missed": sum(one["is_answered"] is False for one in group),
                "talk_seconds": sum(one["talk_seconds"] or 0 for one in group),
                "unique_callers": len(callers),
                "in_progress": sum(
                    one["is_answered"] is None and one["conversion_type"] != "form" for one in group
                ),
                "category_value": sum(
                    (one["category_value"] or Decimal(0) for one in group if one["is_counted"]),
                    Decimal(0),
                ),
                "conversions_unknown": sum(
                    one["is_counted"] and one["attribution_method"] == "unknown" for one in group
                ),
                "attribution_method": methods.pop() if len(methods) == 1 else "mixed",
                "kpi_mode": kpi_mode(project, settings),
            }
        )
    return rows


def rpt_unmapped_pools(
    conversions: Sequence[dict],
    without_channels: Sequence[dict],
    channels: Sequence[SeedRow],
) -> list[dict]:
    """One row a project and pool “of the conversions whose reason is `unmapped_pool`”, all of them,
    counted by the KPI mode or not. `conversions` are rows of `fct_conversions`; `without_channels`
    are what they would be without static channels."""
    dynamic = dynamic_pools(without_channels)
    rows = []
    for (project_id, pool_name), group in grouped(conversions, ("project_id", "pool_name")).items():
        unmapped = [one for one in group if one["unknown_reason"] == "unmapped_pool"]
        if not unmapped:
            continue
        own = [row for row in channels if int(row["project_id"]) == project_id]
        suggested_value, suggestion_reason = suggestion(pool_name, own)
        is_dynamic = (project_id, pool_name) in dynamic
        rows.append(
            {
                "project_id": project_id,
                "pool_name": pool_name,
                **use(unmapped),
                "suggested_value": suggested_value,
                "suggestion_reason": suggestion_reason,
                "seed_row": "\n".join(
                    seed_row(project_id, pool_name, *cells)
                    for cells in suggested_cells(pool_name, unmapped, own, is_dynamic)
                ),
                "conversions_by_utm": sum(one["attribution_method"] == "utm" for one in group),
                "is_dynamic": is_dynamic,
            }
        )
    return rows


def dynamic_pools(without_channels: Sequence[dict]) -> set[tuple]:
    """The projects and pools of which “most conversions have a visit”: without channels, these are
    the ones that have UTM labels."""
    return {
        key
        for key, group in grouped(without_channels, ("project_id", "pool_name")).items()
        if sum(one["attribution_method"] == "utm" for one in group) * 2 > len(group)
    }


def dim_channels(conversions: Sequence[dict], channels: Sequence[SeedRow]) -> list[dict]:
    """One row a static channel, used or not. `conversions` are rows of `fct_conversions`."""
    by_channel = grouped(conversions, ("channel_id",))
    rows = []
    for channel in channels:
        key = channel_id(channel)
        group = by_channel.get((key,), [])
        rows.append(
            {
                **channel,
                "project_id": int(channel["project_id"]),
                "valid_from": seed_date(channel["valid_from"]),
                "valid_to": seed_date(channel["valid_to"]),
                "channel_id": key,
                **use(group),
                "is_used": bool(group),
            }
        )
    return rows


def named(rows: Iterable[dict], projects: Sequence[SeedRow]) -> list[dict]:
    """The rows with “`project_name` in every mart”; spend may belong to no project."""
    names = {int(project["project_id"]): project["project_name"] for project in projects}
    return [{**row, "project_name": names.get(row["project_id"])} for row in rows]


def grouped(rows: Iterable[dict], columns: Sequence[str]) -> dict[tuple, list[dict]]:
    """The rows by their values in `columns`, groups in order of first appearance."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in columns)].append(row)
    return dict(groups)


def use(group: Sequence[dict]) -> dict:
    """How many conversions, and when the first and the last of them were (UTC, None if none)."""
    moments = [one["occurred_at"] for one in group]
    return {
        "conversions": len(moments),
        "first_conversion_at": min(moments, default=None),
        "last_conversion_at": max(moments, default=None),
    }


# ------------------------------------------------------------- what an unmapped pool may have meant

# Latin letters and the Cyrillic or Ukrainian ones that look the same, in lower case.
TWINS = str.maketrans("abcehikmoptxyï", "авсенікмортхуї")


def spaces_collapsed(name: str) -> str:
    """“Equal once spaces are trimmed and collapsed”."""
    return re.sub(rf"[{SPACES}]+", " ", name).strip(" ")


def lower_cased(name: str) -> str:
    """“And lower-cased”."""
    return spaces_collapsed(name).lower()


def twins_folded(name: str) -> str:
    """“And Latin/Cyrillic/Ukrainian twins folded”."""
    return lower_cased(name).translate(TWINS)


# "The first that fits."
SUGGESTION_REASONS = (
    ("days", str),
    ("whitespace", spaces_collapsed),
    ("case", lower_cased),
    ("look_alike", twins_folded),
)


def suggestion(pool_name: str, channels: Sequence[SeedRow]) -> tuple[str | None, str | None]:
    """“The configured pool name that it nearly equals”, and the reason; (None, None) if there is
    none. “`days`: configured, but not on these days”: then it is the pool itself.

    Any configured pool of the project may be meant, valid today or not. Of several for one reason
    it is the smallest by code point. `channels` are those of the project.
    """
    candidates = sorted(
        channel["parameter_value"] for channel in channels if channel["parameter"] == "pool_name"
    )
    for reason, form in SUGGESTION_REASONS:
        for candidate in candidates:
            if form(candidate) == form(pool_name):
                return candidate, reason
    return None, None


def suggested_cells(
    pool_name: str, unmapped: Sequence[dict], channels: Sequence[SeedRow], is_dynamic: bool
) -> list[tuple[str, str, str, str, str]]:
    """Source, type, campaign, first and last day of each line to paste, in order of days.
    `unmapped` are the pool's conversions that no channel matches. The labels of a dynamic pool keep
    the call's own values."""
    tokens = ("{utm_source}", "{utm_medium}", "{utm_campaign}")
    meant, reason = suggestion(pool_name, channels)
    of_meant = sorted(
        (
            row
            for row in channels
            if row["parameter"] == "pool_name" and row["parameter_value"] == meant
        ),
        key=lambda row: row["valid_from"],
    )
    if reason == "days":
        open_days = cells_of_open_days({one["conversion_date"] for one in unmapped}, of_meant)
        return [(*tokens, *cells[3:]) if is_dynamic else cells for cells in open_days]
    if is_dynamic:
        return [(*tokens, "", "")]
    columns = ("traffic_source", "traffic_type", "campaign")
    if meant is not None:
        return [
            (*(row[column] for column in columns), row["valid_from"], row["valid_to"])
            for row in of_meant
        ]
    shared = {
        tuple(
            None if (one[field] or "").strip(SPACES) in PLACEHOLDERS else one[field]
            for field in UTM_FIELDS[:3]
        )
        for one in unmapped
    }
    values = shared.pop() if len(shared) == 1 else (None,) * 3
    return [(*(value or "" for value in values), "", "")]


PLACEHOLDERS = ("", "(not set)", "(none)", "none)", "(direct)")
DAY = timedelta(days=1)


def cells_of_open_days(
    days: set[date], rows: Sequence[SeedRow]
) -> list[tuple[str, str, str, str, str]]:
    """For each stretch without a channel in which `days` lie: the labels of the channel before it,
    else after it. `rows` are the pool's, in order of days."""
    cells = []
    for before, after in zip([None, *rows], [*rows, None], strict=True):
        if before is not None and not before["valid_to"]:
            continue
        if after is not None and not after["valid_from"]:
            continue
        first = seed_date(before["valid_to"]) + DAY if before else None
        last = seed_date(after["valid_from"]) - DAY if after else None
        if any((not first or first <= day) and (not last or day <= last) for day in days):
            labels = before or after
            cells.append(
                (
                    labels["traffic_source"],
                    labels["traffic_type"],
                    labels["campaign"],
                    first.isoformat() if first else "",
                    last.isoformat() if last else "",
                )
            )
    return cells


def seed_row(project_id: int, pool_name: str, *cells: str) -> str:
    """“The CSV line to paste, filled in as `channels suggest` prints it”.

    Quoted where CSV needs it, and also where a cell begins or ends with a space: without quotes
    nobody would see it.
    """
    return ",".join([str(project_id), "pool_name", *map(csv_cell, (pool_name, *cells))])


def csv_cell(value: str) -> str:
    line = io.StringIO()
    ends_in_space = value.strip(SPACES) != value
    quoting = csv.QUOTE_ALL if ends_in_space else csv.QUOTE_MINIMAL
    csv.writer(line, quoting=quoting).writerow([value, ""])
    return line.getvalue().removesuffix(csv.excel.lineterminator).rsplit(",", 1)[0]
