"""What the demo's businesses spend on advertising, as a connector such as Fivetran reports it.

A campaign meets its calls by its id, which Google Ads writes into `utm_campaign`, or by its name.
Four of them show what else happens: one was renamed, one has a typo in its name, one brings no
calls, and one loses its calls because the site passes on no visits (see account.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from loader.sandbox.account import CLINIC, DAYS, DEALER

RENAMED_DAYS_AGO = 60


class Spend(NamedTuple):
    """What is needed of Fivetran's `ad_reporting__campaign_report`, and the project."""

    date_day: date
    platform: str
    campaign_id: str
    campaign_name: str
    spend: Decimal
    project_id: int


@dataclass(frozen=True)
class Campaign:
    project_id: int
    platform: str
    campaign_id: str
    name: str
    per_day: int
    former_name: str = ""


GOOGLE, FACEBOOK = "google_ads", "facebook_ads"

CAMPAIGNS = (
    Campaign(CLINIC.project_id, GOOGLE, "21034567801", "Стоматологія: пошук", 2100),
    Campaign(CLINIC.project_id, GOOGLE, "21034567802", "Імплантація: Київ", 3900, "Імплантація"),
    Campaign(CLINIC.project_id, GOOGLE, "21034567803", "Performance Max", 1150),
    Campaign(CLINIC.project_id, GOOGLE, "21034567804", "Брекети: медійна", 450),  # brings nothing
    Campaign(CLINIC.project_id, FACEBOOK, "120208831440010", "vidbiluvannya", 700),
    # Its calls have implantaciya.
    Campaign(CLINIC.project_id, FACEBOOK, "120208831440020", "implantacia", 1300),
    Campaign(DEALER.project_id, GOOGLE, "20945678101", "new_cars", 34000),
    Campaign(DEALER.project_id, GOOGLE, "20945678102", "service", 6500),
    Campaign(DEALER.project_id, FACEBOOK, "120209942550010", "trade_in", 11000),
)


def demo_spend(today: date) -> list[Spend]:
    """What each campaign spent on each of the days that `demo_account` has calls of."""
    return [
        _spend(campaign, today - timedelta(days=days_ago), days_ago)
        for campaign in CAMPAIGNS
        for days_ago in range(DAYS, 0, -1)
    ]


def _spend(campaign: Campaign, day: date, days_ago: int) -> Spend:
    name = campaign.name
    if days_ago > RENAMED_DAYS_AGO:
        name = campaign.former_name or name
    share = random.Random(f"{campaign.campaign_id} {day}").uniform(0.8, 1.2)
    spend = round(Decimal(campaign.per_day * share), 2)
    return Spend(day, campaign.platform, campaign.campaign_id, name, spend, campaign.project_id)
