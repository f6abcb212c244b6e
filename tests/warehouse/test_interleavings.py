"""No row is skipped for good, whatever is built while whatever lands.

One thread changes the world: calls and forms land, change and go, seeds are edited, also wrongly,
projects are unlisted and listed again, and projects and single contacts are deleted by the
command's functions. The other thread builds: everything, parts, two builds at once, builds that are
killed. One plain build at the end must leave every table as a full refresh in another schema makes
it.

RINGOSTAT_TESTS_MINUTES is how long it goes on, RINGOSTAT_TESTS_SEED what it begins with.
"""

from __future__ import annotations

import csv
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from loader import ROOT, database, raw
from loader.commands import lifecycle
from loader.commands.seeds import CHANNEL_COLUMNS, COST_COLUMNS, TAG_COLUMNS
from loader.errors import ConfigurationError
from loader.projects import COLUMNS as PROJECT_COLUMNS
from loader.projects import Project, read_projects

from .support import NO_TESTS

# Read before the fixtures take the developer's settings away.
MINUTES = float(os.environ.get("RINGOSTAT_TESTS_MINUTES", "1.5"))
SEED = int(os.environ.get("RINGOSTAT_TESTS_SEED") or random.SystemRandom().randrange(10**6))

POOLS = ("Billboard", "Radio", "Metro", None)
SELECTIONS = (
    ("stg_ringostat__calls+",),
    ("stg_ringostat__forms+",),
    ("stg_ringostat__calls", "stg_ringostat__forms"),
    ("stg_ringostat__calls", "int_contacts"),
    ("stg_ringostat__forms",),
    ("int_attribution_keys",),
    ("int_attribution",),
    ("int_tag_keys", "int_tags"),
    ("int_contacts",),
    ("resource_type:seed", "path:models/staging/config"),
)
# Cells that stop the build of the staging models of configuration: file, right and wrong text.
FAULTS = (
    ("projects", "UTC", "Europe/Kyjiw"),
    ("projects", "2024-01-01", "01.01.2024"),
    ("static_channels", "pool_name", "pool"),
    ("static_channels", "2024-05-03", "03.05.2024"),
    ("kpi_tags", "category_number", "category"),
    ("channel_costs", "2024-05-01", "01.05.2024"),
)
# When something was worked out, and with what, differs from a full refresh; so do keys that no
# contact has any longer, which label nothing, and what was reported on earlier days.
NOT_COMPARED = (
    "staged_at",
    "made_with",
    "written_at",
    "labelled_at",
    "earlier_dates",
    "earlier_labels",
)
HISTORIES = ("int_reported_daily", "rpt_reported_daily", "rpt_report_changes")
OF_KEYS = {
    "int_attribution_keys": "attribution_key",
    "int_attribution": "attribution_key",
    "int_tag_keys": "tag_key",
    "int_tags": "tag_key",
}


class World:
    """The raw tables and the seeds, and all that happens to them."""

    def __init__(self, warehouse: dict[str, str], folder: Path, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._conn = database.connect(warehouse)
        self._folder = folder
        self._rng = rng
        self._ids = 0
        self._projects = {1: "Europe/Kyiv", 2: "America/New_York", 3: "UTC"}
        self._unlisted: dict[int, str] = {}
        self._newest_project = 3
        self._is_faulty = False
        raw.create_tables(self._conn)
        self.edit_seeds()
        for _ in range(10):
            self.land_calls()
            self.import_forms()

    def close(self) -> None:
        if self._is_faulty:
            self.edit_seeds()
        self._conn.close()

    def change(self) -> None:
        actions = {
            self.land_calls: 20,
            self.import_forms: 20,
            self.change_calls: 20,
            self.edit_seeds: 3,
            self.spoil_a_seed: 0.3,
            self.list_other_projects: 0.5,
            self.delete_project: 0.5,
            self.delete_contacts: 2,
        }
        if self._is_faulty:
            # For longer than a build takes to come by: the other actions would correct it.
            actions = dict.fromkeys(list(actions)[:3], 20.0) | {self.edit_seeds: 0.6}
        (action,) = self._rng.choices(list(actions), list(actions.values()))
        action()
        self.counts[action.__name__] += 1

    def land_calls(self) -> None:
        # Rows of one moment may come by two commits.
        with self._landing(may_repeat=True) as (project_id, moment):
            at, caller = self._day(), self._caller()
            for _ in range(self._rng.randint(1, 5)):
                if self._rng.random() < 0.5:
                    at, caller = self._day(), self._caller()
                else:  # perhaps a leg of the call before
                    at += timedelta(seconds=self._rng.choice([0, 60, 120, 121]))
                self._conn.execute(
                    "insert into ringostat_raw.calls"
                    " (project_id, call_id, call_at, payload, load_id, first_loaded_at, loaded_at)"
                    " values (%s, %s, %s, %s, 1, %s, %s)",
                    [project_id, self._id(), at, self._call(caller), moment, moment],
                )

    def change_calls(self) -> None:
        removed = self._rng.random() < 0.2
        with self._landing() as (project_id, moment):
            calls = self._conn.execute(
                """
                select call_id, call_at from ringostat_raw.calls
                where project_id = %s order by random() limit 2
                """,
                [project_id],
            ).fetchall()
            for call_id, call_at in calls:
                self._conn.execute(
                    """
                    update ringostat_raw.calls
                    set payload = %s, call_at = %s, loaded_at = %s, removed_at = %s
                    where project_id = %s and call_id = %s
                    """,
                    [
                        self._call(self._caller()),
                        call_at - timedelta(days=self._rng.random() < 0.2),
                        moment,
                        moment if removed else None,
                        project_id,
                        call_id,
                    ],
                )

    def import_forms(self) -> None:
        with self._landing() as (project_id, moment):
            form_id = self._rng.choice([self._id(), str(self._rng.randint(1, 20))])
            self._conn.execute(
                """
                insert into ringostat_raw.forms values (%s, %s, %s, %s, 1, %s, %s)
                on conflict (project_id, form_id) do update
                set payload = excluded.payload, loaded_at = excluded.loaded_at
                """,
                [project_id, form_id, self._day(), self._form(), moment, moment],
            )

    def edit_seeds(self) -> None:
        rng, projects = self._rng, self._projects
        self._is_faulty = False
        self._write(
            "projects",
            PROJECT_COLUMNS,
            [
                {
                    "project_id": project_id,
                    "project_name": f"Shop {project_id}",
                    "time_zone": zone if rng.random() < 0.9 else "Asia/Tokyo",
                    "kpi_mode": rng.choice(["", "tagged", "primary"]),
                    "load_from": "2024-01-01",
                    "is_active": "true",
                }
                for project_id, zone in projects.items()
            ],
        )
        self._write(
            "static_channels",
            CHANNEL_COLUMNS,
            [
                {
                    "project_id": project_id,
                    "parameter": "pool_name",
                    "parameter_value": pool,
                    "traffic_source": rng.choice(["outdoor", "{utm_source}"]),
                    "traffic_type": "offline",
                    "campaign": f"{pool} {rng.randint(1, 3)}",
                    "valid_from": rng.choice(["", "2024-05-03"]),
                }
                for project_id in projects
                for pool in rng.sample(POOLS[:3], 2)
            ],
        )
        self._write(
            "kpi_tags",
            TAG_COLUMNS,
            [
                {
                    "project_id": project_id,
                    "parameter": "category_number",
                    "parameter_value": rng.randint(1, 3),
                    "tag": "booking",
                }
                for project_id in projects
                if rng.random() < 0.6
            ],
        )
        self._write(
            "channel_costs",
            COST_COLUMNS,
            [
                {
                    "project_id": project_id,
                    "traffic_source": "outdoor",
                    "traffic_type": "offline",
                    "campaign": f"{rng.choice(POOLS[:3])} {rng.randint(1, 3)}",
                    "starts_on": "2024-05-01",
                    "ends_on": rng.choice(["2024-05-03", "2024-05-31"]),
                    "cost": rng.choice(["0", "100", "1000.01"]),
                }
                for project_id in projects
                if rng.random() < 0.6
            ],
        )

    def spoil_a_seed(self) -> None:
        """Until the next edit, every build of the configuration fails."""
        name, right, wrong = self._rng.choice(FAULTS)
        file = self._folder / f"{name}.csv"
        text = file.read_text(encoding="utf-8")
        self._is_faulty = self._is_faulty or right in text
        self._replace(name, text.replace(right, wrong))

    def list_other_projects(self) -> None:
        """projects.csv loses a project of which everything else stays, or gets it back."""
        here, there = self._projects, self._unlisted
        if there:
            here, there = there, here
        project_id = self._rng.choice(list(here))
        there[project_id] = here.pop(project_id)
        self.edit_seeds()

    def delete_project(self) -> None:
        """It is added again with its own number, at once or later, or another takes its place."""
        project = self._any_project()
        lifecycle.delete(self._conn, project)
        zone = self._projects.pop(project.project_id)
        outcome = self._rng.choice(["again", "later", "another"])
        if outcome == "later":
            self._unlisted[project.project_id] = zone
        elif outcome == "again":
            self._projects[project.project_id] = zone
        if outcome == "another" or not self._projects:
            self._newest_project += 1
            self._projects[self._newest_project] = zone
        self.edit_seeds()

    def delete_contacts(self) -> None:
        """A client's, by the phone number, or the newest ones, from which the builds read on."""
        project, newest = self._any_project(), []
        if self._rng.random() < 0.7:
            rows = self._conn.execute(
                """
                select id from (
                    select call_id as id, project_id, loaded_at from ringostat_raw.calls
                    union all
                    select form_id, project_id, loaded_at from ringostat_raw.forms
                ) as landed
                where project_id = %s order by loaded_at desc limit %s
                """,
                [project.project_id, self._rng.randint(1, 5)],
            )
            newest = [contact_id for (contact_id,) in rows]
        number = None if newest else f"38000{self._rng.randint(1, 30)}"
        with suppress(ConfigurationError):  # of most numbers there is nothing
            contacts = lifecycle.find_contacts(self._conn, project, newest, number)
            lifecycle.delete_contacts(self._conn, contacts)
            self.counts["contacts deleted"] += len(contacts.calls) + len(contacts.forms)

    def _any_project(self) -> Project:
        return self._rng.choice(read_projects())

    @contextmanager
    def _landing(self, may_repeat: bool = False) -> Iterator[tuple[int, datetime]]:
        """A transaction as the loader's: it commits in order of the moment it writes."""
        project_id = self._rng.choice([*self._projects, *self._unlisted])
        with self._conn.transaction():
            newest, now = self._conn.execute(
                """
                select max(loaded_at), clock_timestamp() from (
                    select loaded_at from ringostat_raw.calls where project_id = %(project_id)s
                    union all
                    select loaded_at from ringostat_raw.forms where project_id = %(project_id)s
                ) as landed
                """,
                {"project_id": project_id},
            ).fetchone()
            now = max(now, newest + timedelta(microseconds=1)) if newest else now
            yield project_id, newest if newest and may_repeat and self._rng.random() < 0.3 else now
            # Builds that begin meanwhile do not see the rows, though the moment is past.
            self._conn.execute("select pg_sleep(%s)", [self._rng.choice([0, 0, 0.3])])

    def _id(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    def _day(self) -> datetime:
        minutes = self._rng.randrange(10 * 24 * 60)
        return datetime(2024, 5, 1, tzinfo=timezone.utc) + timedelta(minutes=minutes)

    def _caller(self) -> str:
        return self._rng.choice(["", f"38000{self._rng.randint(1, 30)}"])

    def _call(self, caller: str) -> Jsonb:
        rng = self._rng
        return Jsonb(
            {
                "caller": caller,
                "pool_name": rng.choice(POOLS),
                "call_type": rng.choice(["in", "transitin", "transitin", "callback", "out"]),
                "disposition": rng.choice(["ANSWERED", "NO ANSWER", "PROPER"]),
                "category_number": rng.randint(-1, 3),
                "billsec": rng.randint(0, 90),
                "client_id": rng.choice(["", "1.2"]),
                "landing": "",
                "utm_source": rng.choice(["google", "", f"s{rng.randint(1, 50)}"]),
            }
        )

    def _form(self) -> Jsonb:
        rng = self._rng
        return Jsonb(
            {
                "phone": f"38000{rng.randint(1, 30)}",
                "pool_name": rng.choice(POOLS),
                "tag": rng.choice(["", "price"]),
                "utm_source": rng.choice(["google", f"s{rng.randint(1, 50)}"]),
                "client_id": rng.choice(["", "1.2"]),
            }
        )

    def _write(self, name: str, columns: tuple[str, ...], rows: list[dict]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self._replace(name, text.getvalue())

    def _replace(self, name: str, text: str) -> None:
        new = self._folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self._folder / f"{name}.csv")


class Builds:
    """Builds of all kinds. Each of two at once has a target folder of its own."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._rng = rng

    def build(self) -> None:
        kinds = {"plain": 2, "selected": 4, "two at once": 3, "killed": 3}
        (kind,) = self._rng.choices(list(kinds), list(kinds.values()))
        selected = ("--select", *self._rng.choice(SELECTIONS))
        some = self._rng.choice([(), selected])
        kill_at = self._rng.randint(2, 24)
        if kind == "two at once":
            with ThreadPoolExecutor() as pool:
                both = [pool.submit(self.run), pool.submit(self.run, *some, folder="other")]
            for one in both:
                one.result()
        elif kind == "killed":
            self.run(*some, kill_at=kill_at)
        else:
            self.run(*(selected if kind == "selected" else ()))
        self.counts[kind] += 1

    def run(
        self,
        *arguments: str,
        schema: str = "ringostat",
        folder: str = "one",
        kill_at: int | None = None,
    ) -> None:
        """Without tests. `kill_at`: at the start of which seed or model dbt is killed.

        Fails for no other reason than a faulty seed.
        """
        place = self._folder / folder
        place.mkdir(exist_ok=True)
        (place / "profiles.yml").write_bytes((ROOT / "profiles.example.yml").read_bytes())
        all_days = ("--vars", "ringostat_reported_days: 3650")
        said, started = [], 0
        with subprocess.Popen(
            [Path(sys.executable).with_name("dbt"), "build", *NO_TESTS, *all_days, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "DBT_PROFILES_DIR": str(place),
                "DBT_TARGET_PATH": str(place / "target"),
                "DBT_LOG_PATH": str(place / "logs"),
                "RINGOSTAT_SCHEMA": schema,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as child:
            for line in child.stdout:
                said.append(line)
                started += " START " in line
                if started == kill_at:
                    child.send_signal(signal.SIGKILL)
        if child.returncode not in (0, -signal.SIGKILL):
            faults = sum(", but must " in line for line in said)
            assert 0 < faults == sum(" Error in " in line for line in said), "".join(said)
            self.counts["stopped by a seed"] += 1


@pytest.mark.slow
def test_the_last_build_catches_up_with_all_that_came_before(
    warehouse: dict[str, str],
    conn: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds, targets = tmp_path / "seeds", tmp_path / "targets"
    seeds.mkdir()
    targets.mkdir()
    monkeypatch.setenv("RINGOSTAT_SEEDS", str(seeds))
    print(f"RINGOSTAT_TESTS_SEED={SEED} RINGOSTAT_TESTS_MINUTES={MINUTES}")
    builds = Builds(targets, random.Random(SEED))
    world = World(warehouse, seeds, random.Random(SEED + 1))
    is_over = threading.Event()

    def change_the_world() -> None:
        while not is_over.wait(0.05):
            world.change()

    builds.run()
    ends_at = time.monotonic() + MINUTES * 60
    with ThreadPoolExecutor() as pool:
        changing = pool.submit(change_the_world)
        try:
            while time.monotonic() < ends_at and not changing.done():
                builds.build()
        finally:
            is_over.set()
    changing.result()
    world.close()
    print(f"{dict(builds.counts)}, {dict(world.counts)}")

    builds.run()
    builds.run("--full-refresh", schema="full")
    assert differences(conn, "ringostat", "full") == {}
    assert unreported(conn) == []


def differences(conn: psycopg.Connection, one: str, other: str) -> dict[str, tuple[int, int]]:
    """Of each table and view that differs: how many rows only `one` has, and only the `other`."""
    tables = conn.execute(
        """
        select
            table_schema,
            table_name,
            array_agg(column_name::text) filter (where not column_name = any(%s))
        from information_schema.columns
        where table_schema = any(%s) and not table_name = any(%s)
        group by table_schema, table_name
        """,
        [
            list(NOT_COMPARED),
            [f"{one}_{part}" for part in ("staging", "intermediate", "marts")],
            list(HISTORIES),
        ],
    ).fetchall()
    assert len(tables) > 15
    found = {}
    for schema, table, columns in tables:
        left, right = (
            _rows(schema.replace(one, prefix, 1), table, columns) for prefix in (one, other)
        )
        count = sql.SQL("select count(*) from ({} except all {}) as rows")
        extra, missing = (
            conn.execute(count.format(*pair)).fetchone()[0]
            for pair in ((left, right), (right, left))
        )
        if extra or missing:
            found[f"{schema}.{table}"] = (extra, missing)
    return found


def unreported(conn: psycopg.Connection) -> list[tuple]:
    """Rows that either the report or the newest rows of its history lack."""
    return conn.execute(
        """
        with
        history as (
            select distinct on (
                project_id, conversion_date, conversion_type, traffic_source, traffic_type, campaign
            ) *
            from ringostat_marts.rpt_reported_daily
            order by
                project_id, conversion_date, conversion_type, traffic_source, traffic_type,
                campaign, reported_on desc
        ),

        histories as (
            select
                project_id, conversion_date, conversion_type, traffic_source, traffic_type,
                campaign, conversions, conversions_all
            from history
            where conversions_all > 0
        ),

        reports as (
            select
                project_id, conversion_date, conversion_type, traffic_source, traffic_type,
                campaign, conversions, conversions_all
            from ringostat_marts.rpt_conversions_daily
            where conversions_all > 0
        )

        (select 'not in the history', * from (table reports except all table histories) as extra)
        union all
        (select 'not reported', * from (table histories except all table reports) as missing)
        """
    ).fetchall()


def _rows(schema: str, table: str, columns: list[str]) -> sql.Composed:
    rows = sql.SQL("(select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table)
    )
    if table in OF_KEYS:
        rows += sql.SQL(" where (project_id, {key}) in (select project_id, {key} from {})").format(
            sql.Identifier(schema, "int_calls_and_forms"), key=sql.Identifier(OF_KEYS[table])
        )
    return rows + sql.SQL(")")
