"""Every row of the marts equals the independent calculation from the same API answers.

Random accounts go the whole way: sandbox API → loader over HTTP → raw tables → `dbt build`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from loader import raw
from loader.commands.seeds import parse_channels
from loader.commands.suggest import suggest
from loader.load import Asked, load_projects
from loader.projects import read_projects
from loader.sandbox import Sandbox, SandboxProject

from . import accounts, oracle, oracle_money
from .accounts import Account, edit, random_account
from .oracle import Settings

FIRST_DAY = datetime(2025, 1, 1)
END = datetime(2026, 7, 3)

Build = Callable[..., None]

# With fewer conversions, so that small random pools are judged too.
SETTINGS = Settings(health_conversions=3)
SPEND = "public.spend"


class Source:
    """An account behind the sandbox API, and its seeds, which may be edited."""

    def __init__(self, account: Account, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.folder = folder
        self.sandbox = Sandbox(
            SandboxProject(
                int(row["project_id"]),
                f"key-{row['project_id']}",
                row["time_zone"],
                account.calls.get(int(row["project_id"]), []),
                api_time_zone=row["api_time_zone"] or None,
            )
            for row in account.projects
        )
        monkeypatch.setenv("RINGOSTAT_SEEDS", str(folder))
        monkeypatch.setenv("RINGOSTAT_CALLER_SALT", Settings().caller_salt)
        for row in account.projects:
            monkeypatch.setenv(row["auth_key_env"], f"key-{row['project_id']}")

    def configure(self, account: Account) -> None:
        """The seeds of `account`; what the API answers stays."""
        self.account = account
        account.write_seeds(self.folder)

    def load(self, account: Account, conn: psycopg.Connection) -> None:
        """Calls by the API and forms by hand, all of them: what is edited may be long ago."""
        # Inactive projects were loaded before they became so.
        self.configure(
            replace(account, projects=[{**row, "is_active": "true"} for row in account.projects])
        )
        for project in self.sandbox.projects.values():
            project.calls = account.calls.get(project.project_id, [])
        everything = Asked(since=FIRST_DAY, until=END)
        for loaded in load_projects(read_projects(), everything):
            assert loaded.error is None
        self.configure(account)
        _land_forms(conn, account)
        _land_spend(conn, account)


@pytest.fixture
def source(seeds: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[Callable[[Account], Source]]:
    opened: list[Sandbox] = []

    def open_source(account: Account) -> Source:
        found = Source(account, seeds, monkeypatch)
        monkeypatch.setenv("RINGOSTAT_API_URL", found.sandbox.__enter__().url)
        opened.append(found.sandbox)
        return found

    yield open_source
    for sandbox in opened:
        sandbox.__exit__(None, None, None)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_marts_equal_the_calculation(
    seed: int,
    source: Callable[[Account], Source],
    conn: psycopg.Connection,
    build: Build,
    seeds: Path,
) -> None:
    account = random_account(seed)
    source(account).load(account, conn)
    before = {file: file.read_bytes() for file in seeds.iterdir()}
    # The project's own tests hold on odd data too.
    build(tests=["test"], **_vars(SETTINGS))
    assert_marts_equal(conn, account, SETTINGS)
    printed = [parse_channels().line(one.cells) for one in suggest(conn)]
    in_mart = {row["seed_row"] for row in _read(conn, "rpt_unmapped_pools")}
    assert printed
    assert set("".join(printed).splitlines()) == {
        line for seed_row in in_mart for line in seed_row.splitlines()
    }
    assert before == {file: file.read_bytes() for file in seeds.iterdir()}


@pytest.mark.slow
def test_incremental_runs_over_edited_data_equal_the_calculation_and_a_full_refresh(
    source: Callable[[Account], Source], conn: psycopg.Connection, build: Build
) -> None:
    account = random_account(3)
    api = source(account)
    api.load(account, conn)
    build(**_vars(SETTINGS))
    for step in (1, 2, 3):
        account = edit(account, step)
        api.load(account, conn)
        build(**_vars(SETTINGS))
        assert_marts_equal(conn, account, SETTINGS)
    incremental = read_marts(conn)
    build("--full-refresh", **_vars(SETTINGS))
    assert read_marts(conn) == incremental


@pytest.mark.slow
def test_a_change_of_settings_needs_no_full_refresh(
    source: Callable[[Account], Source],
    conn: psycopg.Connection,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = random_account(4)
    source(account).load(account, conn)
    build()
    for settings in (
        Settings(kpi_mode="tagged"),
        Settings(kpi_mode="primary", primary_rule="first_contact"),
        Settings(
            kpi_mode="tagged_primary",
            primary_rule="first_contact",
            primary_window_days=accounts.WINDOWS[0],
            unknown_campaign="It's unknown",
            unknown_source="—",
            unknown_type="?",
        ),
        Settings(excluded_call_types=("callback",), caller_salt="a pinch of 'salt'"),
        Settings(excluded_call_types=(), transfer_seconds=0),
        Settings(transfer_seconds=60, call_back_hours=1, call_back_seconds=0),
        Settings(health_conversions=1, health_probability=Decimal("0.5")),
        Settings(),
    ):
        monkeypatch.setenv("RINGOSTAT_CALLER_SALT", settings.caller_salt)
        raw.create_tables(conn)
        build(**_vars(settings))
        assert_marts_equal(conn, account, settings)


@pytest.mark.slow
def test_an_edit_of_the_seeds_relabels_all_history_with_no_reload(
    source: Callable[[Account], Source],
    conn: psycopg.Connection,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Landed in many windows: what was landed last is always worked out again.
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "20")
    account = random_account(5)
    api = source(account)
    api.load(account, conn)
    build()
    rng = random.Random(5)
    other = random_account(5 + 1000)
    for edited in (
        # rows deleted, and labels changed
        replace(account, channels=rng.sample(account.channels, len(account.channels) // 2)),
        replace(account, channels=[{**row, "campaign": "new"} for row in account.channels]),
        replace(account, channels=[]),
        # tags of some projects deleted, and all
        replace(account, tags=rng.sample(account.tags, len(account.tags) // 2)),
        replace(account, tags=[]),
        replace(account, costs=account.costs[::2]),
        # projects: other zones and modes, and some no longer listed
        replace(
            account,
            projects=[
                {**row, "time_zone": changed["time_zone"], "kpi_mode": changed["kpi_mode"]}
                for row, changed in zip(account.projects, other.projects, strict=True)
            ],
        ),
        _without_projects(account, rng),
        account,
    ):
        api.configure(edited)
        build(**_vars(SETTINGS))
        assert_marts_equal(
            conn, replace(edited, calls=_moments(account)), SETTINGS, _loaded_until(account)
        )


def test_without_spend_the_marts_equal_the_calculation(
    source: Callable[[Account], Source], conn: psycopg.Connection, build: Build
) -> None:
    account = replace(random_account(6, projects=7), costs=[], spend=[])
    source(account).load(account, conn)
    build()
    assert_marts_equal(conn, account, Settings())
    assert not [row for row in _read(conn, "rpt_spend_daily") if row["spend"] is not None]


def assert_marts_equal(
    conn: psycopg.Connection,
    account: Account,
    settings: Settings,
    loaded_until: dict[int, datetime] | None = None,
) -> None:
    """Compares every row of the marts with the calculation from `account`.

    `loaded_until` by project; by default all that `Source.load` has loaded in the projects' zones.
    """
    loaded_until = loaded_until or _loaded_until(account)
    conversions = oracle.fct_conversions(
        account.projects, account.channels, account.tags, account.calls, account.forms, settings
    )
    assert conversions or not account.projects
    without_channels = oracle.fct_conversions(
        account.projects, [], account.tags, account.calls, account.forms, settings
    )
    landed = account.projects, account.calls
    lost = oracle_money.rpt_lost_requests(
        conversions, *landed, account.forms, loaded_until, settings
    )
    money = account.spend, account.costs, account.projects
    daily = oracle_money.rpt_spend_daily(conversions, lost, *money)
    monthly = oracle_money.rpt_campaigns_monthly(daily)
    expected = {
        "fct_conversions": conversions,
        "rpt_conversions_daily": oracle.rpt_conversions_daily(
            conversions, account.projects, settings
        ),
        "rpt_unmapped_pools": oracle.named(
            oracle.rpt_unmapped_pools(conversions, without_channels, account.channels),
            account.projects,
        ),
        "dim_channels": oracle.named(
            oracle.dim_channels(conversions, account.channels), account.projects
        ),
        "rpt_lost_requests": lost,
        "rpt_tracking_health": oracle_money.rpt_tracking_health(
            account.projects, account.channels, account.calls, loaded_until, settings
        ),
        "rpt_spend_daily": daily,
        "rpt_campaigns_monthly": monthly,
        "rpt_spend_audit": oracle.named(
            oracle_money.rpt_spend_audit(monthly, conversions, *money), account.projects
        ),
    }
    for mart, rows in expected.items():
        actual = _read(conn, mart, without=("loaded_at", "hint"))
        difference = _difference(actual, rows)
        assert not difference, f"{mart}: {difference}"


def read_marts(conn: psycopg.Connection) -> dict[str, list[tuple]]:
    """All rows of all marts that do not depend on the time of day, in one order."""
    marts = (
        "fct_conversions",
        "rpt_conversions_daily",
        "rpt_unmapped_pools",
        "dim_channels",
        "dim_projects",
        "rpt_lost_requests",
        "rpt_tracking_health",
        "rpt_spend_daily",
        "rpt_campaigns_monthly",
        "rpt_spend_audit",
        "rpt_late_changes",
        "rpt_possible_duplicates",
    )
    return {mart: sorted(map(_comparable, _read(conn, mart))) for mart in marts}


def _read(conn: psycopg.Connection, mart: str, without: tuple[str, ...] = ()) -> list[dict]:
    rows = conn.cursor(row_factory=dict_row).execute(f"select * from ringostat_marts.{mart}")
    return [{name: row[name] for name in row if name not in without} for row in rows]


def _comparable(row: dict[str, Any]) -> str:
    """The row as text, in which one moment has one spelling, and one amount too."""

    def spelled(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.timestamp()
        return value.normalize() if isinstance(value, Decimal) else value

    return repr(sorted((name, spelled(value)) for name, value in row.items()))


def _difference(actual: list[dict], expected: list[dict]) -> str:
    """The first rows that only one side has; empty if there are none."""
    found = sorted(map(_comparable, actual))
    wanted = sorted(map(_comparable, expected))
    if found == wanted:
        return ""
    extra = sorted(set(found) - set(wanted))[:2]
    missing = sorted(set(wanted) - set(found))[:2]
    return f"{len(found)} rows, expected {len(wanted)}\n mart has {extra}\n expected {missing}"


def _vars(settings: Settings) -> dict[str, object]:
    return {
        "ringostat_kpi_mode": settings.kpi_mode,
        "ringostat_excluded_call_types": list(settings.excluded_call_types),
        "ringostat_transfer_seconds": settings.transfer_seconds,
        "ringostat_primary_rule": settings.primary_rule,
        "ringostat_primary_window_days": settings.primary_window_days,
        "ringostat_unknown_campaign": settings.unknown_campaign,
        "ringostat_unknown_source": settings.unknown_source,
        "ringostat_unknown_type": settings.unknown_type,
        "ringostat_ad_spend": SPEND,
        "ringostat_call_back_hours": settings.call_back_hours,
        "ringostat_call_back_seconds": settings.call_back_seconds,
        "ringostat_health_conversions": settings.health_conversions,
        "ringostat_health_probability": float(settings.health_probability),
        "ringostat_show_employees": settings.show_employees,
        "ringostat_show_visits": settings.show_visits,
    }


def _loaded_until(account: Account) -> dict[int, datetime]:
    return {
        int(row["project_id"]): END.replace(tzinfo=ZoneInfo(row["time_zone"]))
        for row in account.projects
    }


def _land_spend(conn: psycopg.Connection, account: Account) -> None:
    """The spend into the relation that the var names, as a connector replaces it."""
    with conn.transaction():
        conn.execute(f"drop table if exists {SPEND}")
        conn.execute(
            f"""
            create table {SPEND} (
                project_id bigint, date_day date, platform text, campaign_id text,
                campaign_name text, spend numeric, utm_source text, utm_medium text,
                utm_campaign text
            )
            """
        )
        with conn.cursor().copy(f"copy {SPEND} from stdin") as copy:
            for row in account.spend:
                copy.write_row(list(row.values()))


def _moments(account: Account) -> dict[int, list[dict]]:
    """The calls with their moments spelled out: what is landed does not move when a project's zone
    is edited later."""
    zones = {int(row["project_id"]): ZoneInfo(row["time_zone"]) for row in account.projects}
    return {
        project_id: [
            {
                **call,
                "calldate": oracle.moment(call["calldate"], zones[project_id]).isoformat(),
                "uniqueid": oracle.call_id(call),
            }
            for call in calls
        ]
        for project_id, calls in account.calls.items()
        if project_id in zones
    }


def _without_projects(account: Account, rng: random.Random) -> Account:
    kept = rng.sample(account.projects, len(account.projects) // 2)
    ids = {row["project_id"] for row in kept}
    return replace(
        account,
        projects=kept,
        channels=[row for row in account.channels if row["project_id"] in ids],
        tags=[row for row in account.tags if row["project_id"] in ids],
        costs=[row for row in account.costs if row["project_id"] in ids],
    )


def _land_forms(conn: psycopg.Connection, account: Account) -> None:
    """Forms into the raw table; those that are as they were stay untouched."""
    zones = {int(row["project_id"]): ZoneInfo(row["time_zone"]) for row in account.projects}
    with conn.transaction():
        for project_id, forms in account.forms.items():
            for form in forms:
                at = oracle.moment(form["submitted_at"], zones.get(project_id, ZoneInfo("UTC")))
                conn.execute(
                    """
                    insert into ringostat_raw.forms values (%s, %s, %s, %s, 0, now(), now())
                    on conflict (project_id, form_id) do update set
                        submitted_at = excluded.submitted_at,
                        payload = excluded.payload,
                        loaded_at = excluded.loaded_at
                    where forms.payload <> excluded.payload
                    """,
                    [project_id, form["form_id"], at, Jsonb(form)],
                )
