"""`seeds/projects.csv` → Project: which projects are loaded, in which zone, with which key."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from loader import csv_file, settings
from loader.csv_file import Fault, Place
from loader.errors import ConfigurationError

COLUMNS = (
    "project_id",
    "project_name",
    "auth_key_env",
    "time_zone",
    "kpi_mode",
    "load_from",
    "is_active",
)
# Files of earlier versions lack it.
OPTIONAL_COLUMNS = ("api_time_zone",)
KPI_MODES = ("all", "tagged", "primary", "tagged_primary")
DEFAULT_KEY_VARIABLE = "RINGOSTAT_AUTH_KEY"


@dataclass(frozen=True)
class Project:
    """A Ringostat project as the user configured it.

    `key_variable` names the environment variable that holds the Auth-key, `load_from` is the
    first day to load, in `time_zone`. An empty `kpi_mode` leaves the choice to the dbt var. The API
    reads `from` and `to` on the clock of `api_time_zone`.
    """

    project_id: int
    project_name: str
    key_variable: str
    time_zone: ZoneInfo
    kpi_mode: str
    load_from: date
    is_active: bool
    api_time_zone: ZoneInfo

    @property
    def clocks(self) -> str:
        """The zone whose days are reported and, if it is another one, the clock of the API."""
        if self.api_time_zone.key == self.time_zone.key:
            return self.time_zone.key
        return f"{self.time_zone.key}, asked in {self.api_time_zone.key}"

    def __str__(self) -> str:
        return f"project {self.project_id} ({self.project_name})"


def parse_seed() -> csv_file.Seed:
    return csv_file.parse(settings.seeds_folder() / "projects.csv", COLUMNS, OPTIONAL_COLUMNS)


def read_projects() -> list[Project]:
    """Every project of `projects.csv`, in its order.

    Raises ConfigurationError with every fault of the file.
    """
    seed = parse_seed()
    csv_file.refuse([*seed.faults, *find_faults(seed.rows)])
    return [_project(row) for row in seed.rows]


def find_faults(rows: Sequence[csv_file.Row]) -> Iterator[Fault[Place]]:
    """The faults in the cells of `projects.csv`."""
    first_rows: dict[str, csv_file.Row] = {}
    for row in rows:
        for column, is_right, rule in _CELLS:
            if not is_right(row[column]):
                what = rule if isinstance(rule, str) else rule(row[column])
                yield Fault(row.at(column), f"{column}: {what}")
        first_day, zone = csv_file.read_day(row["load_from"]), read_zone(row["time_zone"])
        if first_day and zone and first_day > datetime.now(zone).date():
            what = f"load_from: {first_day} is in the future: nothing is loaded until then"
            yield Fault(row.at("load_from"), what, is_warning=True)
        first = first_rows.setdefault(row["project_id"], row)
        if first is not row:
            what = f"project_id: duplicate project, first in line {first.line}"
            yield Fault(row.at("project_id"), what)


def find(projects: Sequence[Project], project_id: int) -> Project:
    """The project of that number, active or not. Raises ConfigurationError for an unknown one."""
    for project in projects:
        if project.project_id == project_id:
            return project
    listed = ", ".join(str(project.project_id) for project in projects) or "none yet"
    raise ConfigurationError(f"projects.csv has no project {project_id} (it has: {listed})")


def choose(projects: Sequence[Project], ids: Collection[int]) -> list[Project]:
    """The active projects, or those of `ids` alone.

    Raises ConfigurationError for an unknown or inactive id, and if no project is left.
    """
    for project_id in ids:
        if not find(projects, project_id).is_active:
            raise ConfigurationError(
                f"project {project_id} is inactive: `ringostat project activate {project_id}`"
            )
    chosen = [
        project
        for project in projects
        if project.is_active and (not ids or project.project_id in ids)
    ]
    if not chosen:
        raise ConfigurationError(
            f"{settings.seeds_folder() / 'projects.csv'} lists no active project: "
            "add yours with `ringostat connect`, or by hand"
        )
    return chosen


def read_zone(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, None if there is no such zone."""
    if name in ("localtime", "Factory") or name.startswith(("posix/", "right/")):
        return None  # Python may know them on this machine; Postgres may not, or may differ
    try:
        return ZoneInfo(name)
    # ZoneInfoNotFoundError is a KeyError; a folder's name, such as `Europe`, is an OSError.
    except (KeyError, ValueError, OSError):
        return None


def is_project_number(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,17}", text) is not None


def is_key_variable(text: str) -> bool:
    return re.fullmatch(r"[A-Z_][A-Z0-9_]*", text) is not None


# What a cell must be, column by column. The message does not show the cell: a user may have put the
# key there.
_CELLS: tuple[tuple[str, Callable[[str], object], str | Callable[[str], str]], ...] = (
    ("project_id", is_project_number, "must be a project number, e.g. 11111"),
    (
        "project_name",
        lambda cell: not csv_file.is_blank(cell),
        "must not be empty: reports show this name",
    ),
    (
        "auth_key_env",
        lambda cell: not cell or is_key_variable(cell),
        "must be the NAME of an environment variable, in capitals: never the key itself",
    ),
    ("time_zone", read_zone, "must be an IANA zone, e.g. Europe/Kyiv"),
    (
        "kpi_mode",
        lambda cell: cell in ("", *KPI_MODES),
        f"must be one of {', '.join(KPI_MODES)}, or empty",
    ),
    ("load_from", csv_file.read_day, csv_file.day_message),
    ("is_active", lambda cell: cell.lower() in ("true", "false"), "must be true or false"),
    (
        "api_time_zone",
        lambda cell: not cell or read_zone(cell),
        "must be an IANA zone, e.g. UTC, or empty: the clock by which the API reads from and to",
    ),
)


def _project(row: csv_file.Row) -> Project:
    return Project(
        project_id=int(row["project_id"]),
        project_name=row["project_name"],
        key_variable=row["auth_key_env"] or DEFAULT_KEY_VARIABLE,
        time_zone=ZoneInfo(row["time_zone"]),
        kpi_mode=row["kpi_mode"],
        load_from=date.fromisoformat(row["load_from"]),
        is_active=row["is_active"].lower() == "true",
        api_time_zone=ZoneInfo(row["api_time_zone"] or row["time_zone"]),
    )
