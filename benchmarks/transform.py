"""Transformation: what building the marts costs, from raw calls that `calls.sql` makes.

dbt runs with `--threads 1`: two models side by side on one machine would slow each other down, and
the sum of their times would count the waiting twice.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import children
from loader import ROOT, database, raw
from loader.commands.seeds import CHANNEL_COLUMNS, COST_COLUMNS, TAG_COLUMNS
from loader.projects import COLUMNS as PROJECT_COLUMNS

CALLS = 1_000_000
MORE_CALLS = 4_000_000
CALLS_A_DAY = 2_700
CHANGED_CALLS_A_DAY = 1_000
PROJECTS = range(1000, 1300)
POOLS = ("Metro", "Radio", "Newspaper", "Flyers")  # campaigns beside the one that is edited
STAGING = "ringostat_staging.stg_ringostat__calls"
CALLS_SQL = (ROOT / "benchmarks" / "calls.sql").read_text(encoding="utf-8")

# Analysts ask for one project's year, and for all projects' last month.
DAILY = """
    select conversion_date, traffic_source, traffic_type, campaign, sum(conversions)
    from ringostat_marts.rpt_conversions_daily
    where project_id = 1005 and conversion_date >= '2021-01-01' and conversion_date < '2022-01-01'
    group by conversion_date, traffic_source, traffic_type, campaign
"""
LAST_30_DAYS = """
    select campaign, count(*) filter (where is_counted)
    from ringostat_marts.fct_conversions
    where conversion_date > date '2022-01-06' - 30
    group by campaign
"""

# Marts that are read whole, and how many milliseconds that may take.
WHOLE = {
    "rpt_load_status": 100,
    "rpt_late_changes": 100,
    "dim_channels": 100,
    "rpt_possible_duplicates": 300,
}

# The same year of the marts about money and loss.
YEARS = {
    "rpt_spend_daily": "date_day >= '2021-01-01' and date_day < '2022-01-01'",
    "rpt_campaigns_monthly": "month >= '2021-01-01' and month < '2022-01-01'",
    "rpt_spend_audit": "month >= '2021-01-01' and month < '2022-01-01'",
    "rpt_lost_requests": "conversion_date >= '2021-01-01' and conversion_date < '2022-01-01'",
    "rpt_tracking_health": "true",
}
SPEND = """
    create table benchmark.spend as
    select distinct
        project_id, conversion_date as date_day, 'google_ads' as platform,
        campaign as campaign_id, 'Search: ' || campaign as campaign_name, 12.34 as spend
    from ringostat_marts.rpt_conversions_daily
    where campaign in ('search_campaign_0', 'search_campaign_1', 'search_campaign_2')
"""


class Dbt:
    """dbt on one warehouse, with seeds and a target folder of its own."""

    def __init__(self, warehouse: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self.seeds = folder / "seeds"
        self.seeds.mkdir(parents=True)
        profile = (ROOT / "profiles.example.yml").read_text(encoding="utf-8")
        (folder / "profiles.yml").write_text(profile, encoding="utf-8")
        self._env = {
            **warehouse,
            "RINGOSTAT_SEEDS": str(self.seeds),
            "DBT_PROFILES_DIR": str(folder),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }

    def run(self, *arguments: str) -> float:
        """Runs `dbt` with `arguments`; returns the seconds of the whole process."""
        program = Path(sys.executable).with_name("dbt")
        return children.run(
            [program, *arguments], env=self._env, log=self.folder / "dbt.log"
        ).seconds

    def build(self, *arguments: str) -> dict[str, float]:
        """`dbt build` without its tests; seconds of each model."""
        without_tests = ("--exclude-resource-type", "test", "unit_test")
        self.run("build", "--threads", "1", *without_tests, *arguments)
        results = json.loads((self.folder / "target" / "run_results.json").read_bytes())["results"]
        return {
            result["unique_id"].split(".")[-1]: result["execution_time"]
            for result in results
            if result["unique_id"].startswith("model.")
        }

    def compiled(self, model: str) -> str:
        """The query of a model as last compiled."""
        (file,) = (self.folder / "target" / "compiled").rglob(f"{model}.sql")
        return file.read_text(encoding="utf-8")


class Notes:
    """What was measured: a list of figures per name."""

    def __init__(self) -> None:
        self.runs: dict[str, list[float]] = {}
        self.models: dict[str, dict[str, float]] = {}

    def add(self, name: str, seconds: float) -> None:
        self.runs.setdefault(name, []).append(round(seconds, 4))
        print(f"  {name}: {seconds:.3f}", file=sys.stderr, flush=True)

    def add_build(self, name: str, times: dict[str, float]) -> None:
        """The sum of the models, and the slowest models of the last such run."""
        self.add(name, sum(times.values()))
        slowest = sorted(times, key=times.get, reverse=True)[:5]
        self.models[name] = {model: round(times[model], 3) for model in slowest}
        print(f"    {self.models[name]}", file=sys.stderr, flush=True)


def measure(
    warehouse: Mapping[str, str], folder: Path, calls: int, more_calls: int, runs: int
) -> dict:
    notes = Notes()
    facts: dict[str, float] = {}
    with database.connect(warehouse) as conn:
        conn.execute("set timezone = 'UTC'")
        empty_warehouse(conn, warehouse, folder, notes, runs)

        raw.create_tables(conn)
        conn.execute(CALLS_SQL)
        days = Days(conn, warehouse)
        dbt = Dbt(warehouse, folder / "dbt")
        write_seeds(dbt.seeds, "Billboard 0")

        days.add_history(calls)
        full_build(dbt, notes, runs)
        facts = count(conn)
        typed(conn, dbt, notes, runs)
        tidy(conn)
        ordinary_days(days, dbt, notes, "day", runs)
        facts["moved_percent"] = channel_edit(conn, dbt, notes, "edit", runs)
        kpi_switch(dbt, notes, runs)
        log_a_year_of_loads(conn)
        tidy(conn)
        queries(conn, notes, max(runs, 7))
        spend(conn, days, dbt, notes, facts, runs)

        days.add_history(more_calls)
        full_build(dbt, notes, 1, name="full_more")
        tidy(conn)
        ordinary_days(days, dbt, notes, "day_more", runs)
        channel_edit(conn, dbt, notes, "edit_more", runs)
    return {
        "calls": calls,
        "more_calls": more_calls,
        "versions": {name: version(name) for name in ("dbt-core", "dbt-postgres")},
        "facts": facts,
        "slowest": notes.models,
        "runs": notes.runs,
    }


def empty_warehouse(
    conn: psycopg.Connection,
    warehouse: Mapping[str, str],
    folder: Path,
    notes: Notes,
    runs: int,
) -> None:
    """`dbt build` with all tests where nothing is loaded yet, compared with `dbt parse`: both as a
    user runs them, and both with an empty target folder."""
    for number in range(runs):
        name = f"empty_{number}"
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        empty = {**warehouse, "PGDATABASE": name}
        with database.connect(empty) as other:
            raw.create_tables(other)
        for command in ("parse", "build"):
            dbt = Dbt(empty, folder / f"{name}_{command}")
            write_csv(dbt.seeds / "projects.csv", PROJECT_COLUMNS, [])
            write_csv(dbt.seeds / "static_channels.csv", CHANNEL_COLUMNS, [])
            write_csv(dbt.seeds / "kpi_tags.csv", TAG_COLUMNS, [])
            write_csv(dbt.seeds / "channel_costs.csv", COST_COLUMNS, [])
            notes.add(f"empty_{command}", dbt.run(command))
        conn.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def full_build(dbt: Dbt, notes: Notes, runs: int, name: str = "full") -> None:
    for _ in range(runs):
        notes.add_build(name, dbt.build("--full-refresh"))


def typed(conn: psycopg.Connection, dbt: Dbt, notes: Notes, runs: int) -> None:
    """One `create table as` of the calls' columns: every build pays at least that.

    It types as the staging model does, without the keys that the model adds, and without indexes.
    """
    # Only with --full-refresh does an incremental model compile to its first, whole build.
    dbt.run("compile", "--full-refresh", "--select", STAGING.split(".")[1])
    columns = [
        column.name
        for column in conn.execute(f"select * from {STAGING} limit 0").description  # noqa: S608
        if column.name not in ("attribution_key", "tag_key")
    ]
    create = sql.SQL("create table typed as select {} from ({}) as calls").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(dbt.compiled(STAGING.split(".")[1])),
    )
    for _ in range(runs):
        conn.execute("checkpoint")
        notes.add("typed", seconds_of(conn, create))
        conn.execute("drop table typed")


class Days:
    """Writes raw calls as the loader would: first history, then day after day."""

    def __init__(
        self, conn: psycopg.Connection, warehouse: Mapping[str, str], projects: range = PROJECTS
    ) -> None:
        self._conn = conn
        self._projects = projects
        self._warehouse = warehouse
        self._calls = 0

    def add_history(self, until: int) -> None:
        """Calls up to the number `until`, as first loads bring them: project by project."""
        first, self._calls = self._calls, until

        def insert(part: int) -> None:
            with database.connect(self._warehouse) as conn:
                conn.execute(
                    """
                    insert into ringostat_raw.calls
                    select calls.*, 1, loaded.at, loaded.at, null
                    from benchmark.calls(%s, %s, %s, 2, %s) as calls
                    cross join lateral (
                        select
                            %s + calls.project_id * interval '1 millisecond'
                            -- a window holds two weeks
                            + extract(day from calls.call_at - '2021-01-01')::integer / 14
                            * interval '1 microsecond' as at
                    ) as loaded
                    """,
                    [first, until - 1, part, len(self._projects), datetime.now(timezone.utc)],
                )

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(insert, range(2)))
        self._note_loaded()
        self._conn.execute("vacuum analyze ringostat_raw.calls")

    def add_day(self) -> None:
        """The next day's calls, and a category for some of the last two weeks'."""
        first, self._calls = self._calls, self._calls + CALLS_A_DAY
        now = datetime.now(timezone.utc)
        self._conn.execute(
            """
            insert into ringostat_raw.calls
            select calls.*, 2, %s, %s, null
            from benchmark.calls(%s, %s, 0, 1, %s) as calls
            """,
            [now, now, first, self._calls - 1, len(self._projects)],
        )
        self._conn.execute(
            """
            update ringostat_raw.calls
            set payload = payload || '{"category_number": 4}', loaded_at = %s, load_id = 2
            where (project_id, call_id) in (
                select project_id, call_id
                from benchmark.calls(%s, %s, 0, 1, %s)
                order by hashtextextended(call_id, %s)
                limit %s
            )
            """,
            [
                now,
                max(first - 14 * CALLS_A_DAY, 0),
                first - 1,
                len(self._projects),
                first,
                CHANGED_CALLS_A_DAY,
            ],
        )
        self._note_loaded()

    def _note_loaded(self) -> None:
        """All projects are loaded up to the last call."""
        self._conn.execute(
            """
            insert into ringostat_raw.load_state
                (project_id, loaded, last_loaded_at, status, finished_at)
            select
                project_id,
                tstzmultirange(tstzrange('2020-12-31', '2021-01-01'::timestamptz + %s)),
                now(),
                'loaded',
                now()
            from generate_series(%s::bigint, %s) as project_id
            on conflict (project_id) do update set loaded = excluded.loaded
            """,
            [
                self._calls * timedelta(seconds=32),
                self._projects.start,
                self._projects.stop - 1,
            ],
        )


def ordinary_days(days: Days, dbt: Dbt, notes: Notes, name: str, runs: int) -> None:
    for _ in range(runs):
        days.add_day()
        notes.add_build(name, dbt.build())


def channel_edit(conn: psycopg.Connection, dbt: Dbt, notes: Notes, name: str, runs: int) -> float:
    """Another campaign for one pool of every project: all their keys get new labels. Returns how
    many percent of the conversions the last edit has moved."""
    for number in range(runs):
        campaign = f"Billboard {name} {number}"
        write_seeds(dbt.seeds, campaign)
        notes.add_build(name, dbt.build())
    (share,) = conn.execute(
        """
        select 100.0 * count(*) filter (where campaign = %s) / count(*)
        from ringostat_marts.fct_conversions
        """,
        [campaign],
    ).fetchone()
    return round(float(share), 1)


def kpi_switch(dbt: Dbt, notes: Notes, runs: int) -> None:
    modes = ("tagged", "primary", "tagged_primary", "all")
    for number in range(runs):
        mode = modes[number % len(modes)]
        notes.add_build("kpi_switch", dbt.build("--vars", f"ringostat_kpi_mode: {mode}"))


def log_a_year_of_loads(conn: psycopg.Connection) -> None:
    """As hourly runs of 100 projects leave it: 876,000 rows."""
    conn.execute(
        """
        insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at)
        select project_id, hour - interval '1 hour', hour, 'loaded', hour, hour
        from generate_series(%s::bigint, %s) as project_id
        cross join generate_series(
            timestamptz '2021-01-01', '2021-12-31 23:00', '1 hour'
        ) as hour
        """,
        [PROJECTS.start, PROJECTS.start + 99],
    )


def queries(conn: psycopg.Connection, notes: Notes, runs: int) -> None:
    for _ in range(runs):
        notes.add("daily", seconds_of(conn, DAILY))
        notes.add("last_30_days", seconds_of(conn, LAST_30_DAYS))
        for mart in WHOLE:
            query = sql.SQL("select * from {}").format(sql.Identifier("ringostat_marts", mart))
            notes.add(mart, seconds_of(conn, query))


def spend(
    conn: psycopg.Connection,
    days: Days,
    dbt: Dbt,
    notes: Notes,
    facts: dict[str, float],
    runs: int,
) -> None:
    """What a build costs with spend, and what the marts cost to read that are about money and loss.

    Three search campaigns of each project have spend on each day, and four static pools a cost.
    All other measurements are without spend.
    """
    conn.execute(SPEND)
    (facts["rows_of_spend"],) = conn.execute("select count(*) from benchmark.spend").fetchone()
    write_costs(dbt.seeds)
    var = ("--vars", "ringostat_ad_spend: benchmark.spend")
    dbt.build(*var)
    for _ in range(runs):
        days.add_day()
        notes.add_build("day_spend", dbt.build(*var))
    tidy(conn)
    for mart, its_year in YEARS.items():
        query = sql.SQL("select * from {} where project_id = 1005 and ").format(
            sql.Identifier("ringostat_marts", mart)
        )
        for _ in range(max(runs, 7)):
            notes.add(mart, seconds_of(conn, query + sql.SQL(its_year)))
    write_csv(dbt.seeds / "channel_costs.csv", COST_COLUMNS, [])
    dbt.build()


def count(conn: psycopg.Connection) -> dict[str, float]:
    """Describes the generated calls, for the page."""
    row = conn.execute(
        """
        select
            (select count(*) from ringostat_raw.calls),
            (select avg(length(payload::text)) from ringostat_raw.calls tablesample system (1)),
            (select count(*) from ringostat_intermediate.int_attribution_keys),
            (select count(*) from ringostat_intermediate.int_tag_keys),
            (select count(*) from ringostat_marts.fct_conversions)
        """
    ).fetchone()
    names = ("calls", "bytes_a_call", "attribution_keys", "tag_keys", "conversions")
    return {name: round(float(value)) for name, value in zip(names, row, strict=True)}


def tidy(conn: psycopg.Connection) -> None:
    """Does what Postgres does overnight: statistics, and the last bulk load written to disk."""
    conn.execute("vacuum analyze")
    conn.execute("checkpoint")


def seconds_of(conn: psycopg.Connection, query: str | sql.Composable) -> float:
    started = time.perf_counter()
    with conn.cursor() as cursor:
        cursor.execute(query)
        if cursor.description:
            cursor.fetchall()
    return time.perf_counter() - started


def write_seeds(folder: Path, campaign: str, projects: range = PROJECTS) -> None:
    """The projects, six mapped channels and three tags each; `campaign` is that of the first pool,
    which has 5 of 100 calls."""
    write_csv(
        folder / "projects.csv",
        PROJECT_COLUMNS,
        [
            (project, f"Shop {project}", "", "Europe/Kyiv", "", "2021-01-01", "true")
            for project in projects
        ],
    )
    write_csv(
        folder / "static_channels.csv",
        CHANNEL_COLUMNS,
        [
            (project, "pool_name", f"Статический пул {number}", "outdoor", "offline", name, "", "")
            for project in projects
            for number, name in enumerate([campaign, *POOLS], start=1)
        ]
        + [
            (project, "utm_source", "facebook", "facebook", "social", "All of Facebook", "", "")
            for project in projects
        ],
    )
    tags = [("category_number", "4", "booking"), ("category_number", "1", "question")]
    write_csv(
        folder / "kpi_tags.csv",
        TAG_COLUMNS,
        [
            (project, *tag)
            for project in projects
            for tag in [*tags, ("proper_flag", "1", "target")]
        ],
    )
    write_csv(folder / "channel_costs.csv", COST_COLUMNS, [])


def write_costs(folder: Path) -> None:
    write_csv(
        folder / "channel_costs.csv",
        COST_COLUMNS,
        [
            (project, "outdoor", "offline", name, "2021-01-01", "2022-12-31", "100000")
            for project in PROJECTS
            for name in POOLS
        ],
    )


def write_csv(file: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
