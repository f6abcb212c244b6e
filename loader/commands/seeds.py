"""The CSVs of channels, tags and costs: their columns and parameters."""

from __future__ import annotations

from typing import Protocol

from loader import csv_file, settings
from loader.csv_file import AnyPlace_co

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

# As in the macro channel_tokens: a label that is one of these is the call's own value.
CHANNEL_LABELS = ("traffic_source", "traffic_type", "campaign")
CHANNEL_TOKENS = ("{utm_source}", "{utm_medium}", "{utm_campaign}", "{utm_content}", "{utm_term}")

# As in the macros static_channel_parameters and kpi_tag_parameters.
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
NUMBER_PARAMETERS = ("n_alias", "dst", "additional_number")
TAG_PARAMETERS = (
    "category_number",
    "category_mark",
    "disposition",
    "proper_flag",
    "employee_number",
    "employee_mark",
    "department",
    "scheme_name",
    "tag",
)


class Record(Protocol[AnyPlace_co]):
    """A row of a seed, or of a sheet that will become one."""

    def __getitem__(self, column: str) -> str: ...

    def at(self, column: str) -> AnyPlace_co: ...


def parse_channels() -> csv_file.Seed:
    return csv_file.parse(settings.seeds_folder() / "static_channels.csv", CHANNEL_COLUMNS)


def parse_tags() -> csv_file.Seed:
    return csv_file.parse(settings.seeds_folder() / "kpi_tags.csv", TAG_COLUMNS)


def parse_costs() -> csv_file.Seed:
    """The costs; none if there is no such file, which dbt does without, too."""
    file = settings.seeds_folder() / "channel_costs.csv"
    if not file.exists():
        return csv_file.Seed(file, ",".join(COST_COLUMNS) + "\n", list(COST_COLUMNS))
    return csv_file.parse(file, COST_COLUMNS)
