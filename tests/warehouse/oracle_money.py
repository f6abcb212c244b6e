"""What campaigns cost and lose, and which pool is broken: calculated a second time, like `oracle`.

Input is what the outside world hands over, and rows of the marts that `oracle` has calculated. A
row of spend is a dict with `date_day`, `platform`, `campaign_id`, `campaign_name` and `spend`, and
perhaps `project_id`, `utm_source` and `utm_medium`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

from . import oracle
from .oracle import Payload, SeedRow, Settings

Labels = tuple[str, str, str]  # source, type, campaign
DAY = timedelta(days=1)
SUMS = (
    "conversions",
    "conversions_all",
    "conversions_tagged",
    "conversions_primary",
    "conversions_tagged_primary",
    "category_value",
    "missed",
    "lost",
)


def rounded(value: Fraction | Decimal, decimals: int) -> Decimal:
    """Half away from zero, as Postgres rounds."""
    exact = Fraction(value) * 10**decimals
    whole = int(abs(exact) + Fraction(1, 2))
    return Decimal(whole if exact >= 0 else -whole).scaleb(-decimals)


# ------------------------------------------------------------------------------------ lost requests


def rpt_lost_requests(
    conversions: Sequence[dict],
    projects: Sequence[SeedRow],
    calls: Mapping[int, Sequence[Payload]],
    forms: Mapping[int, Sequence[Payload]],
    loaded_until: Mapping[int, datetime],
    settings: Settings,
) -> list[dict]:
    """One row a missed conversion. `conversions` are rows of `fct_conversions`."""
    by_id = {row["conversion_id"]: row for row in conversions}
    limit, rows = timedelta(hours=settings.call_back_hours), []
    for project in projects:
        project_id, zone = int(project["project_id"]), ZoneInfo(project["time_zone"])
        history = oracle.loaded_history(
            project, calls.get(project_id, ()), forms.get(project_id, ()), settings
        )
        outgoing = outgoing_calls(calls.get(project_id, ()), zone, settings)
        for missed in history:
            if oracle.is_answered(missed) is not False:
                continue
            at = missed.occurred_at
            calls_back = [
                begun_at
                for number, begun_at, talked in outgoing
                if missed.digits
                and number == missed.digits
                and at < begun_at <= at + limit
                and talked >= settings.call_back_seconds
            ]
            retries = [
                later.occurred_at
                for later in history
                if missed.digits
                and later.digits == missed.digits
                and at < later.occurred_at <= at + limit
                and oracle.is_answered(later)
            ]
            back, retry = min(calls_back, default=None), min(retries, default=None)
            row = by_id[oracle.conversion_id(missed, settings)]
            rows.append(
                {
                    **{
                        column: row[column]
                        for column in (
                            "conversion_id",
                            "project_id",
                            "project_name",
                            "occurred_at",
                            "conversion_date",
                            "traffic_source",
                            "traffic_type",
                            "campaign",
                        )
                    },
                    "hour_of_day": at.astimezone(zone).hour,
                    "first_call_back_at": back,
                    "minutes_to_call_back": back
                    and rounded(Fraction((back - at) // timedelta(seconds=1), 60), 1),
                    "client_called_again_at": retry,
                    "outcome": outcome(back, retry, at + limit <= loaded_until[project_id]),
                }
            )
    return rows


def outcome(back: datetime | None, retry: datetime | None, is_over: bool) -> str:
    """“What came first decides”; “`open` within 24 h”, or while they are not loaded."""
    if back and (not retry or back <= retry):
        return "called_back"
    if retry:
        return "client_reached_us"
    return "lost" if is_over else "open"


def outgoing_calls(
    calls: Iterable[Payload], zone: ZoneInfo, settings: Settings
) -> list[tuple[str, datetime, int]]:
    """The number, moment and seconds of talk of each outgoing call; “legs of outgoing transfers
    count once”."""
    listed = {oracle.call_id(call): call for call in calls}
    rows = [
        (
            oracle.moment(oracle.text(call, "calldate"), zone),
            oracle.call_type(call) == "transitout",
            call_id,
            oracle.digits(oracle.text(call, "dst")),
            oracle.number(oracle.text(call, "billsec")) or 0,
        )
        for call_id, call in listed.items()
        if oracle.call_type(call) in ("out", "transitout")
    ]
    found: list[list] = []
    latest: dict[str, tuple[list, datetime]] = {}
    for at, is_transfer, _, number, talked in sorted(rows):
        if not number:
            continue
        request, before = latest.get(number, (None, None))
        within = before and at - before <= timedelta(seconds=settings.transfer_seconds)
        if request and is_transfer and settings.transfer_seconds and within:
            request[2] += talked
        else:
            request = [number, at, talked]
            found.append(request)
        latest[number] = request, at
    return [tuple(request) for request in found]


# ---------------------------------------------------------------------------------- tracking health


def rpt_tracking_health(
    projects: Sequence[SeedRow],
    channels: Sequence[SeedRow],
    calls: Mapping[int, Sequence[Payload]],
    loaded_until: Mapping[int, datetime],
    settings: Settings,
) -> list[dict]:
    """One row a project and pool, of its calls of the last 365 loaded days, without the hint."""
    rows = []
    for project in projects:
        project_id, zone = int(project["project_id"]), ZoneInfo(project["time_zone"])
        last_day = loaded_until[project_id].astimezone(zone).date() - DAY
        pools = defaultdict(list)
        for one in oracle.loaded_history(project, calls.get(project_id, ()), (), settings):
            day, pool = one.occurred_at.astimezone(zone).date(), one.text("pool_name")
            if not oracle.is_blank(pool) and day > last_day - 365 * DAY:
                pools[pool].append((day, one))
        for pool, found in pools.items():
            ends = [
                oracle.seed_date(row["valid_to"]) or date.max
                for row in channels
                if int(row["project_id"]) == project_id
                and row["parameter"] == "pool_name"
                and row["parameter_value"] == pool
            ]
            has_ended = bool(ends) and max(ends) < last_day
            load_from = date.fromisoformat(project["load_from"])
            health = pool_health(found, last_day, load_from, has_ended, settings)
            rows.append(
                {
                    "project_id": project_id,
                    "project_name": project["project_name"],
                    "pool_name": pool,
                    **health,
                }
            )
    return rows


def pool_health(
    calls: Sequence[tuple[date, oracle.Conversion]],
    last_day: date,
    load_from: date,
    has_ended: bool,
    settings: Settings,
) -> dict:
    days = [day for day, _ in calls]
    first, last = min(days), max(days)
    silence = [last + n * DAY for n in range(1, (last_day - last).days + 1)]
    probability = silence_probability(days, silence)
    now = [oracle.has_visit(one) for day, one in calls if day > last_day - 28 * DAY]
    before = [
        oracle.has_visit(one)
        for day, one in calls
        if last_day - 56 * DAY < day <= last_day - 28 * DAY
    ]
    least = settings.health_conversions
    is_new = first > last_day - 28 * DAY and first >= load_from + 28 * DAY
    if has_ended:
        status = "ok"
    elif len(calls) < least:
        status = "new" if is_new else "too_few"
    elif probability < settings.health_probability:
        status = "silent"
    elif len(now) >= least and len(before) >= least and has_dropped(now, before):
        status = "visits_dropped"
    else:
        status = "new" if is_new else "ok"
    return {
        "conversions": len(calls),
        "days_observed": (max(last_day, last) - first).days + 1,
        "last_conversion_at": max(one.occurred_at for _, one in calls),
        "silent_days": len(silence),
        "silence_probability": rounded(probability, 6),
        "visit_share": share(now),
        "visit_share_before": share(before),
        "status": status,
    }


def silence_probability(days: Sequence[date], silence: Sequence[date]) -> Decimal:
    """Poisson: how probable it is that a pool with the rate of each weekday, from its first to its
    last conversion, has none on the days of `silence`."""
    on_weekday = Counter(day.weekday() for day in days)
    first, last = min(days), max(days)
    observed = Counter((first + n * DAY).weekday() for n in range((last - first).days + 1))
    expected = sum(
        Fraction(on_weekday[day.weekday()], observed[day.weekday()])
        for day in silence
        if observed[day.weekday()]
    )
    with localcontext() as context:
        context.prec = 40
        exact = Fraction(expected)
        return (-Decimal(exact.numerator) / exact.denominator).exp()


def share(visits: Sequence[bool]) -> Decimal | None:
    return rounded(Fraction(sum(visits), len(visits)), 3) if visits else None


def has_dropped(now: Sequence[bool], before: Sequence[bool]) -> bool:
    """To half or less, and by more than 3.09 standard deviations of the difference."""
    new, old = Fraction(sum(now), len(now)), Fraction(sum(before), len(before))
    both = Fraction(sum(now) + sum(before), len(now) + len(before))
    variance = both * (1 - both) * (Fraction(1, len(now)) + Fraction(1, len(before)))
    return new * 2 <= old and (old - new) ** 2 > Fraction("3.09") ** 2 * variance


# -------------------------------------------------------------------------------------------- spend


@dataclass(frozen=True)
class Campaign:
    """A campaign of an advertising platform, “known by its id, else by its name”."""

    project_id: int | None
    platform: str
    campaign_id: str
    name: str  # "" if it has an id

    @classmethod
    def of(cls, row: Mapping) -> Campaign:
        campaign_id = trimmed(row, "campaign_id")
        name = "" if campaign_id else trimmed(row, "campaign_name")
        return cls(row.get("project_id"), trimmed(row, "platform"), campaign_id, name)


@dataclass(frozen=True)
class Shown:
    """A campaign as reports show it."""

    project_id: int | None
    labels: Labels
    spend_match: str


def trimmed(row: Mapping, column: str) -> str:
    return (row.get(column) or "").strip(oracle.SPACES)


def latest(rows: Sequence[Mapping], column: str) -> str:
    """“Its latest name”; of several on one day the last in the alphabet."""
    return max(
        ((row["date_day"], trimmed(row, column)) for row in rows if trimmed(row, column)),
        default=(None, ""),
    )[1]


def by_campaign(spend: Sequence[Mapping]) -> dict[Campaign, list[Mapping]]:
    groups = defaultdict(list)
    for row in spend:
        groups[Campaign.of(row)].append(row)
    return dict(groups)


def matches(
    conversions: Sequence[dict], spend: Sequence[Mapping]
) -> dict[tuple[int, Labels], tuple[Campaign, str]]:
    """The campaign that the labels of conversions stand for, and by what.

    “If several campaigns match the same conversions, the first of these decides: by id before by
    name; the `utm_source` of the spend is the source of the conversions; the platform begins with
    that source; the spend names the project; the campaign that spent most.” “Spend without a
    `project_id` belongs to the one project whose conversions it matches.”
    """
    groups = by_campaign(spend)
    found: dict[tuple[int, Labels], tuple[Campaign, str]] = {}
    for project_id, labels in {(row["project_id"], labels_of(row)) for row in conversions}:
        source, _, campaign = labels
        candidates = []
        for one, rows in groups.items():
            if one.project_id not in (None, project_id):
                continue
            names = {trimmed(row, of) for row in rows for of in ("campaign_name", "utm_campaign")}
            by = "campaign_id" if one.campaign_id == campaign else "campaign_name"
            if by == "campaign_name" and campaign not in names:
                continue
            order = (
                by != "campaign_id",
                latest(rows, "utm_source").lower() != source.lower(),
                not one.platform.lower().startswith(source.lower()),
                one.project_id is None,
                -sum(row["spend"] for row in rows),
            )
            candidates.append((order, one, by))
        if candidates:
            _, one, by = min(candidates, key=lambda candidate: candidate[0])
            found[project_id, labels] = one, by
    for one in [campaign for campaign in groups if campaign.project_id is None]:
        own = [(project, by) for (project, _), (other, by) in found.items() if other == one]
        best = min((by for _, by in own), default=None)
        projects = {project for project, by in own if by == best}
        for key in [key for key, (other, _) in found.items() if other == one]:
            if projects != {key[0]}:
                del found[key]
    return found


def labels_of(row: Mapping) -> Labels:
    return row["traffic_source"], row["traffic_type"], row["campaign"]


def shown_campaigns(
    conversions: Sequence[dict],
    spend: Sequence[Mapping],
    projects: Sequence[SeedRow],
) -> dict[Campaign, Shown]:
    """“Reports show the latest name. Source and type are the `utm_source` and `utm_medium` of the
    spend, else those of most of its conversions.” Spend of unlisted projects is in no report."""
    listed = [int(project["project_id"]) for project in projects]
    counts = Counter((row["project_id"], labels_of(row)) for row in conversions)
    matched = defaultdict(list)
    for key, (one, by) in matches(conversions, spend).items():
        matched[one].append((key, by))
    shown = {}
    for one, rows in by_campaign(spend).items():
        if one.project_id is not None and one.project_id not in listed:
            continue
        own = matched[one]
        main = min(own, key=lambda item: (-counts[item[0]], item[0][1]), default=None)
        project_id = one.project_id
        if project_id is None and main:
            project_id = main[0][0]
        if project_id is None and len(listed) == 1:
            (project_id,) = listed
        source, medium = latest(rows, "utm_source"), latest(rows, "utm_medium")
        labels = (
            source or (main[0][1][0] if main else one.platform) or "(not set)",
            medium or (main[0][1][1] if main else "(not set)"),
            latest(rows, "campaign_name") or one.campaign_id or "(not set)",
        )
        shown[one] = Shown(project_id, labels, min((by for _, by in own), default="none"))
    return shown


def daily_costs(costs: Sequence[SeedRow]) -> list[tuple[int, Labels, date, Decimal]]:
    """“Spread evenly over its days, in whole cents, so that the days add up to the amount.”"""
    found = []
    for row in costs:
        first, last = date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"])
        days, spent = (last - first).days + 1, Decimal(0)
        for n in range(days):
            due = rounded(Fraction(row["cost"]) * (n + 1) / days, 2)
            found.append((int(row["project_id"]), labels_of(row), first + n * DAY, due - spent))
            spent = due
    return found


def rpt_spend_daily(
    conversions: Sequence[dict],
    lost_requests: Sequence[dict],
    spend: Sequence[Mapping],
    costs: Sequence[SeedRow],
    projects: Sequence[SeedRow],
) -> list[dict]:
    """One row a day, project and campaign. The first three are rows of marts, and of spend."""
    names = {int(project["project_id"]): project["project_name"] for project in projects}
    shown, matched = shown_campaigns(conversions, spend, projects), matches(conversions, spend)

    def as_shown(project_id: int, labels: Labels) -> tuple[int | None, Labels]:
        if (project_id, labels) not in matched:
            return project_id, labels
        campaign = shown[matched[project_id, labels][0]]
        return campaign.project_id, campaign.labels

    days: dict[tuple, dict] = {}

    def row_of(day: date, project_id: int | None, labels: Labels) -> dict:
        empty = {**dict.fromkeys(SUMS, 0), "category_value": Decimal(0)}
        empty |= {"spend": None, "spend_match": "none"}
        return days.setdefault((day, project_id, *labels), empty)

    for one in conversions:
        row = row_of(one["conversion_date"], *as_shown(one["project_id"], labels_of(one)))
        row["conversions"] += one["is_counted"]
        row["conversions_all"] += 1
        row["conversions_tagged"] += one["is_tagged"]
        row["conversions_primary"] += one["is_primary"]
        row["conversions_tagged_primary"] += one["is_tagged"] and one["is_primary"]
        row["category_value"] += (one["category_value"] or 0) if one["is_counted"] else 0
        row["missed"] += one["is_answered"] is False
    for one in lost_requests:
        if one["outcome"] == "lost":
            key = as_shown(one["project_id"], labels_of(one))
            row_of(one["conversion_date"], *key)["lost"] += 1
    spent = [
        (row["date_day"], shown[one].project_id, shown[one].labels, row["spend"], shown[one])
        for one, rows in by_campaign(spend).items()
        if one in shown
        for row in rows
    ]
    for day, project_id, labels, amount, campaign in spent:
        row = row_of(day, project_id, labels)
        row["spend"] = (row["spend"] or 0) + amount
        row["spend_match"] = min(row["spend_match"], campaign.spend_match)
    for project_id, labels, day, amount in daily_costs(costs):
        row = row_of(day, *as_shown(project_id, labels))
        row["spend"] = (row["spend"] or 0) + amount
        row["spend_match"] = min(row["spend_match"], "channel_cost")
    columns = ("date_day", "project_id", "traffic_source", "traffic_type", "campaign")
    return [
        {**dict(zip(columns, key, strict=True)), "project_name": names.get(key[1]), **row}
        for key, row in days.items()
    ]


def rpt_campaigns_monthly(daily: Sequence[dict]) -> list[dict]:
    """`rpt_spend_daily` by month, with what one conversion costs, “null where there are none”."""
    keys = ("month", "project_id", "project_name", "traffic_source", "traffic_type", "campaign")
    with_month = [{**row, "month": row["date_day"].replace(day=1)} for row in daily]
    rows = []
    for key, group in oracle.grouped(with_month, keys).items():
        row = {**dict(zip(keys, key, strict=True))}
        row |= {name: sum(one[name] for one in group) for name in SUMS}
        known = [one["spend"] for one in group if one["spend"] is not None]
        row["spend"] = sum(known) if known else None
        row["spend_match"] = min(one["spend_match"] for one in group)
        for suffix in ("", "_all", "_tagged", "_primary", "_tagged_primary"):
            row[f"cost_per_conversion{suffix}"] = quotient(
                row["spend"], row[f"conversions{suffix}"]
            )
        lost = None if row["spend"] is None else row["spend"] * row["lost"]
        row["lost_spend"] = quotient(lost, row["conversions_all"])
        rows.append(row)
    return rows


def quotient(amount: Decimal | None, number: int) -> Decimal | None:
    return None if amount is None or not number else rounded(Fraction(amount) / number, 2)


# ---------------------------------------------------------------------------------------- the audit


def is_paid(traffic_type: str, campaign: str) -> bool:
    """“The type is `cpc`, `ppc`, `cpm`, `retargeting` or the like, or the campaign is an id of
    eight digits or more”."""
    spelling = r"cp.|.*[-_]cp.|ppc|retargeting|paid.*"
    return bool(
        re.fullmatch(spelling, traffic_type.lower(), re.DOTALL)
        or re.fullmatch(r"[0-9]{8,}", campaign)
    )


def rpt_spend_audit(
    monthly: Sequence[dict],
    conversions: Sequence[dict],
    spend: Sequence[Mapping],
    costs: Sequence[SeedRow],
    projects: Sequence[SeedRow],
) -> list[dict]:
    """“Spend without any conversion, and paid conversions without any spend”, with the nearest name
    of the other side; nothing while no spend is known. `monthly` and `conversions` are rows of
    marts."""
    if not spend and not costs:
        return []
    matched = matches(conversions, spend)
    labels = {(row["project_id"], labels_of(row)) for row in conversions}
    of_costs = {(int(row["project_id"]), labels_of(row)) for row in costs}
    idle_costs, free = of_costs - labels, labels - matched.keys() - of_costs
    spend_names = {(project, campaign) for project, (_, _, campaign) in idle_costs} | {
        (one.project_id, one.labels[2])
        for one in shown_campaigns(conversions, spend, projects).values()
        if one.spend_match == "none"
    }
    conversion_names = {(project, campaign) for project, (_, _, campaign) in free}

    sums: dict[tuple, list] = defaultdict(lambda: [None, 0])
    for row in monthly:
        key = row["project_id"], labels_of(row)
        place = row["month"], row["project_id"], row["campaign"]
        if row["spend"] is not None and not row["conversions_all"]:
            unmet = row["spend_match"] == "none"
            if unmet or (row["spend_match"] == "channel_cost" and key in idle_costs):
                entry = sums[(*place, "spend")]
                entry[0] = (entry[0] or 0) + row["spend"]
        is_free = row["spend"] is None and row["conversions_all"] and key in free
        if is_free and is_paid(row["traffic_type"], row["campaign"]):
            sums[(*place, "conversions")][1] += row["conversions_all"]
    rows = []
    for (month, project_id, campaign, side), (amount, number) in sums.items():
        if side == "spend":
            others = [n for p, n in conversion_names if project_id in (None, p)]
        else:
            others = [n for p, n in spend_names if p in (None, project_id)]
        rows.append(
            {
                "month": month,
                "project_id": project_id,
                "campaign": campaign,
                "side": side,
                "spend": amount,
                "conversions": number,
                "nearest_match": nearest(campaign, others),
            }
        )
    return rows


def nearest(name: str, others: Iterable[str]) -> str | None:
    """The name with which `name` shares most pairs of letters: half of them or more."""
    by_similarity = [(-similarity(name, other), other) for other in others]
    found = min(by_similarity, default=(Decimal(0), None))
    return found[1] if -found[0] >= Decimal("0.5") else None


def similarity(name: str, other: str) -> Decimal:
    def pairs(text: str) -> set[str]:
        padded = f" {oracle.twins_folded(text)} "
        return {padded[n : n + 2] for n in range(len(padded) - 1)}

    mine, theirs = pairs(name), pairs(other)
    return rounded(Fraction(2 * len(mine & theirs), len(mine) + len(theirs)), 3)
