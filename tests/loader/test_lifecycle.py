"""`ringostat project deactivate`, `activate` and `delete`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from click.testing import Result

from loader import csv_file, database
from loader import raw as raw_tables
from loader.commands import seeds as csvs
from loader.errors import LoadError
from loader.projects import read_projects

from .calls import call
from .hostile import always, response
from .support import HEADER, Setting, ringostat

CLINIC = '11111,"Clinic, Kyiv",,Europe/Kyiv,,2024-01-01,"true"'
SALON = "22222,Salon,SALON_KEY,Asia/Almaty,,2024-01-01,true"


@pytest.fixture(autouse=True)
def folder(seeds: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two projects, each with a channel, a tag and a cost; the working folder."""
    folder = seeds(CLINIC, SALON).parent
    monkeypatch.chdir(folder)
    for name, columns, row in (
        ("static_channels", csvs.CHANNEL_COLUMNS, "dst,1,s,t,c,,"),
        ("kpi_tags", csvs.TAG_COLUMNS, "tag,1,x"),
        ("channel_costs", csvs.COST_COLUMNS, "s,t,c,2024-01-01,2024-01-31,100"),
    ):
        text = f"{','.join(columns)}\n11111,{row}\n22222,{row}\n"
        Path(f"{name}.csv").write_text(text)
    return folder


def texts() -> dict[str, str]:
    return {file.stem: file.read_text() for file in Path().glob("*.csv")}


@pytest.fixture
def raw(conn: psycopg.Connection) -> psycopg.Connection:
    """Two calls, a rejected one, a form and a load of each project."""
    raw_tables.create_tables(conn)
    for project_id in (11111, 22222):
        conn.execute(
            f"""
            insert into ringostat_raw.calls
            select {project_id}, n, now(), '{{}}', 1, now(), now()
            from generate_series(1, 2) as n;
            insert into ringostat_raw.rejected_calls
            values ({project_id}, 1, 'r', '{{}}', 'unreadable calldate', 1, now());
            insert into ringostat_raw.forms
            values ({project_id}, 'f', now(), '{{}}', 1, now(), now());
            insert into ringostat_raw.loads
            (project_id, window_from, window_to, status, started_at, finished_at)
            values ({project_id}, now(), now(), 'loaded', now(), now());
            """
        )
    return conn


def counts(conn: psycopg.Connection, project_id: int) -> list[int]:
    return [
        conn.execute(
            f"select count(*) from ringostat_raw.{table} where project_id = %s", [project_id]
        ).fetchone()[0]
        for table in ("calls", "rejected_calls", "forms", "loads")
    ]


# --------------------------------------------------------------------------- deactivate, activate


def test_a_project_is_paused_and_resumed_by_one_cell() -> None:
    assert ringostat("project", "deactivate", "11111").exit_code == 0
    assert texts()["projects"] == f"{HEADER}{CLINIC.replace('true', 'false')}\n{SALON}\n".replace(
        '"false"', "false"
    )
    assert "already inactive" in ringostat("project", "deactivate", "11111").stdout
    assert ringostat("project", "activate", "11111").exit_code == 0
    assert texts()["projects"] == f"{HEADER}{CLINIC}\n{SALON}\n".replace('"true"', "true")


@pytest.mark.parametrize("command", [["deactivate"], ["activate"], ["delete", "--yes"]])
def test_an_unknown_project(command: list[str], warehouse: dict[str, str]) -> None:
    before = texts()
    result = ringostat("project", *command, "5")
    assert result.exit_code == 2
    assert "projects.csv has no project 5 (it has: 11111, 22222)" in result.stderr
    assert texts() == before


def test_a_resumed_project_is_loaded_from_where_it_stopped(setting: Setting) -> None:
    march, june = (call(datetime(2024, month, 1, 12), f"of month {month}") for month in (3, 6))
    setting.project.calls = [march, june]
    setting.load("--since", "2024-01-01", "--until", "2024-05-01")
    ringostat("project", "deactivate", "11111")
    assert "no active project" in setting.load("--until", "2024-07-01").stderr
    ringostat("project", "activate", "11111")
    setting.api.sandbox.requests.clear()
    assert setting.load("--until", "2024-07-01").exit_code == 0
    assert setting.raw("call_id") == [("of month 3",), ("of month 6",)]
    assert setting.api.sandbox.requests[0][1]["from"] == "2024-04-14 19:59:59"


# ----------------------------------------------------------------------------------------- delete


def test_a_deleted_project_leaves_nothing(raw: psycopg.Connection) -> None:
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 0
    assert result.stdout == (
        "project 11111 (Clinic, Kyiv) is deleted: 2 rows in ringostat_raw.calls, "
        "1 rows in ringostat_raw.forms, 1 rows in ringostat_raw.loads, "
        "1 rows in ringostat_raw.rejected_calls, "
        "1 in projects.csv, 1 in static_channels.csv, 1 in kpi_tags.csv, 1 in channel_costs.csv\n"
    )
    assert counts(raw, 11111) == [0, 0, 0, 0]
    assert counts(raw, 22222) == [2, 1, 1, 1]
    assert all("11111" not in text for text in texts().values())
    assert all("22222" in text for text in texts().values())
    assert ringostat("channels", "check").exit_code == 0


def test_without_a_terminal_it_does_not_ask(raw: psycopg.Connection) -> None:
    before = texts()
    result = ringostat("project", "delete", "11111")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_the_number_is_to_be_typed(
    raw: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.commands.cli._need_terminal", lambda flag: None)
    assert ringostat("project", "delete", "11111", typed="22222\n").exit_code == 1
    assert ringostat("project", "delete", "11111", typed="y\n").exit_code == 1
    assert counts(raw, 11111) == [2, 1, 1, 1]
    assert ringostat("project", "delete", "11111", typed="11111\n").exit_code == 0
    assert counts(raw, 11111) == [0, 0, 0, 0]


def test_a_project_that_is_being_loaded_stays(
    raw: psycopg.Connection, warehouse: dict[str, str]
) -> None:
    before = texts()
    with database.connect(warehouse) as other, raw_tables.lock(read_projects()[0], other):
        result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 1
    assert "another load of project 11111 is running" in result.stderr
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_all_rows_go_or_none(raw: psycopg.Connection) -> None:
    before = texts()
    raw.execute(
        """
        create function refuse() returns trigger language plpgsql
        as $$ begin raise exception 'no'; end $$;
        create trigger refuse before delete on ringostat_raw.loads
        for each row execute function refuse();
        """
    )
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: Postgres: no\n")
    assert (texts(), counts(raw, 11111)) == (before, [2, 1, 1, 1])


def test_a_seed_that_cannot_be_edited_stops_it_before_anything(raw: psycopg.Connection) -> None:
    Path("kpi_tags.csv").write_text("project_id\n")
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 2
    assert "kpi_tags.csv:1:1" in result.stderr
    assert counts(raw, 11111) == [2, 1, 1, 1]


@pytest.fixture
def marts(raw: psycopg.Connection) -> psycopg.Connection:
    """A table like those of dbt in each of its schemas, with a row of each project."""
    for schema, kind in (("staging", "bigint"), ("intermediate", "bigint"), ("seeds", "text")):
        raw.execute(
            f"""
            create schema ringostat_{schema};
            create table ringostat_{schema}."a Table" (project_id {kind}, digits text);
            insert into ringostat_{schema}."a Table" values ('11111', '38044'), ('22222', '38044');
            create view ringostat_{schema}.a_view as select * from ringostat_{schema}."a Table";
            """
        )
    raw.execute("create table ringostat_raw.added_later (project_id bigint)")
    raw.execute("insert into ringostat_raw.added_later values (11111), (22222)")
    return raw


def everywhere(conn: psycopg.Connection, project_id: int) -> int:
    """How many rows the tables of `marts` hold of a project, and all of the raw schema."""
    found = sum(counts(conn, project_id))
    for schema in ("staging", "intermediate", "seeds"):
        query = f'select count(*) from ringostat_{schema}."a Table" where project_id = %s'
        found += conn.execute(query, [str(project_id)]).fetchone()[0]
    query = "select count(*) from ringostat_raw.added_later where project_id = %s"
    return found + conn.execute(query, [project_id]).fetchone()[0]


def test_it_goes_from_every_table_of_the_warehouse(marts: psycopg.Connection) -> None:
    assert everywhere(marts, 11111) == 9
    result = ringostat("project", "delete", "11111", "--yes")
    assert "1 rows in ringostat_staging.a Table" in result.stdout
    assert everywhere(marts, 11111) == 0
    assert everywhere(marts, 22222) == 9


@pytest.mark.parametrize("layer", ["raw", "dbt", "channels"])
def test_what_an_interrupted_deletion_left_goes_by_the_same_command(
    marts: psycopg.Connection, seeds: Callable[..., Path], layer: str
) -> None:
    seeds(SALON)
    if layer != "raw":
        for table in ("calls", "rejected_calls", "forms", "loads", "added_later"):
            marts.execute(f"delete from ringostat_raw.{table} where project_id = 11111")
    if layer == "channels":
        for schema in ("staging", "intermediate", "seeds"):
            marts.execute(
                f"""delete from ringostat_{schema}."a Table" where project_id = '11111'"""
            )
    result = ringostat("project", "delete", "11111", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith("project 11111 (not in projects.csv) is deleted: ")
    assert everywhere(marts, 11111) == 0
    assert all("11111" not in text for text in texts().values())
    assert ringostat("project", "delete", "11111", "--yes").exit_code == 2


def test_projects_csv_is_edited_while_no_load_can_run(
    marts: psycopg.Connection, warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row goes before the deletion can be seen; channels and tags go after."""
    seen = []

    def save(seed: csv_file.Seed, kept: object) -> None:
        with database.connect(warehouse) as other:
            try:
                with raw_tables.lock(project, other):
                    is_locked = False
            except LoadError:
                is_locked = True
            seen.append((seed.file.name, is_locked, everywhere(other, 11111)))

    project = read_projects()[0]
    monkeypatch.setattr("loader.csv_file.Seed.save", save)
    ringostat("project", "delete", "11111", "--yes")
    assert seen == [
        ("projects.csv", True, 9),
        ("static_channels.csv", False, 0),
        ("kpi_tags.csv", False, 0),
        ("channel_costs.csv", False, 0),
    ]


def test_loads_of_other_projects_do_not_wait_for_it(
    marts: psycopg.Connection, warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every load first creates the raw tables that are missing."""
    seen = []

    def save(seed: csv_file.Seed, kept: object) -> None:
        with database.connect(warehouse) as other:
            other.execute("set lock_timeout = '1s'")
            raw_tables.create_tables(other)
            seen.append(seed.file.name)

    monkeypatch.setattr("loader.csv_file.Seed.save", save)
    assert ringostat("project", "delete", "11111", "--yes").exit_code == 0
    assert seen[0] == "projects.csv"  # before the commit


@contextmanager
def held(conn: psycopg.Connection, key: str, mode: str) -> Iterator[None]:
    """A transaction that holds a lock, as an import of forms or a model of dbt does."""
    with conn.transaction():
        conn.execute(f"select pg_advisory_xact_lock{mode}(hashtextextended(%s, 0))", [key])
        yield


@pytest.mark.parametrize(
    ("key", "mode"),
    [
        ("ringostat build ringostat", "_shared"),
        ("ringostat build ringostat", ""),
        ("ringostat forms 11111", ""),
    ],
)
def test_it_waits_for_who_is_writing(
    marts: psycopg.Connection, warehouse: dict[str, str], key: str, mode: str
) -> None:
    """What a build or an import writes until it ends goes too."""
    results: list[Result] = []
    command = ("project", "delete", "11111", "--yes")
    deletion = threading.Thread(target=lambda: results.append(ringostat(*command)))
    with database.connect(warehouse) as other, database.connect(warehouse) as watching:
        with held(other, key, mode):
            deletion.start()
            waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            while deletion.is_alive() and watching.execute(waiting).fetchone() == (0,):
                pass
            assert not results
            other.execute("""insert into ringostat_staging."a Table" values (11111, '38044')""")
            other.execute(
                "insert into ringostat_raw.forms select 11111, 'late', now(), '{}', 1, now(), now()"
            )
        deletion.join()
    assert results[0].exit_code == 0
    assert everywhere(marts, 11111) == 0
    assert ("a dbt build is running: waiting for it" in results[0].stderr) == ("build" in key)


# -------------------------------------------------------------------------------- contact delete


NUMBER = "380501234567"


@pytest.fixture
def client(setting: Setting) -> Setting:
    """One project, with calls of two clients and a form of one of them."""
    day = datetime(2024, 3, 1, 12)
    setting.project.calls = [
        call(day, "first", caller=f"+{NUMBER}"),
        call(day.replace(hour=13), "", caller=f'"Ann 7" <{NUMBER}>', dst="1"),
        call(day.replace(hour=14), "dialled", caller="101", dst=NUMBER, call_type="out"),
        call(day.replace(hour=15), "other", caller="380671234567"),
        call(day.replace(hour=16), "to us", caller="380671234568", dst=NUMBER, call_type="in"),
    ]
    setting.load()
    Path("forms.jsonl").write_text(
        '{"form_id": "f1", "submitted_at": "2024-03-01T10:00:00Z",'
        ' "phone": "24/7 <+380 50 1234567>"}\n'
        '{"submitted_at": "2024-03-02T10:00:00Z", "phone": "380671234567"}\n'
    )
    ringostat("forms", "import", "forms.jsonl", "--project", "11111")
    return setting


def delete_contacts(*arguments: str, typed: str = "") -> Result:
    return ringostat("contact", "delete", "--project", "11111", "--yes", *arguments, typed=typed)


def forms(conn: psycopg.Connection) -> int:
    return conn.execute("select count(*) from ringostat_raw.forms").fetchone()[0]


def test_the_contacts_of_a_number_go_and_do_not_come_back(client: Setting) -> None:
    result = delete_contacts("--caller", typed="+38 (050) 123-45-67\n")
    assert result.exit_code == 0
    assert result.stdout == (
        "project 11111 (Clinic): deleted 3 calls and 1 forms of 2024-03-01 to 2024-03-01\n"
    )
    assert NUMBER not in result.stdout + result.stderr
    assert client.raw("call_id") == [("other",), ("to us",)]
    later = call(datetime(2024, 3, 1, 17), "later", caller=NUMBER)
    client.project.calls = [*client.project.calls, later]
    assert "6 calls read: 1 new, 0 changed" in client.load().stdout
    assert client.raw("call_id") == [("later",), ("other",), ("to us",)]
    again = ringostat("forms", "import", "forms.jsonl", "--project", "11111")
    assert "0 new, 0 changed" in again.stdout
    assert forms(client.conn) == 1
    assert "0 new, 0 changed, 0 removed" in client.load().stdout


@pytest.mark.parametrize("call_type", ["callback", None, "out", "transitout"])
def test_the_number_dialled_counts_unless_the_call_came_in(
    client: Setting, call_type: str | None
) -> None:
    """In a callback, and in a call of unknown type, `dst` may be the client's number."""
    at = datetime(2024, 3, 1, 17)
    dialled = call(at, "dialled too", caller="102", dst=f"+{NUMBER}", call_type=call_type)
    client.project.calls = [*client.project.calls, dialled]
    client.load()
    assert "deleted 4 calls" in delete_contacts("--caller", typed=NUMBER).stdout
    assert client.raw("call_id") == [("other",), ("to us",)]


def test_a_contact_goes_by_its_id(client: Setting) -> None:
    assert delete_contacts("first", "f1").exit_code == 0
    assert ("first",) not in client.raw("call_id")
    assert len(client.raw("call_id")) == 4
    assert forms(client.conn) == 1
    client.load()
    assert ("first",) not in client.raw("call_id")


def test_the_deletion_list_does_not_reveal_the_number(client: Setting) -> None:
    hashed = [call_id for (call_id,) in client.raw("call_id") if call_id.startswith("sha256:")]
    delete_contacts("--caller", typed=NUMBER)
    kept = client.conn.execute("select deleted_contacts::text from ringostat_raw.deleted_contacts")
    text = " ".join(row for (row,) in kept)
    assert len(hashed) == 1
    assert hashed[0].removeprefix("sha256:") not in text
    assert NUMBER not in text
    assert "first" not in text


@pytest.mark.parametrize("by", ["id", "number"])
def test_rows_that_were_rejected_go_too_and_do_not_come_back(client: Setting, by: str) -> None:
    """Neither as they were, nor once they are mended, nor if they are spoilt afterwards."""
    day = datetime(2024, 3, 5, 12)
    spoilt = call("", "spoilt", caller="+38 (050) 123-45-67")
    deep = call(day, "deep", caller=NUMBER) | {"x": "DEEP"}
    other = call("", "not theirs", caller="380671234567")
    good = call(day, "good", caller=NUMBER)
    nested = "[" * 100_000 + "]" * 100_000
    text = json.dumps([spoilt, deep, other, good]).replace('"DEEP"', nested)
    client.api.fault = always(response(text))
    period = ("--since", "2024-03-05", "--until", "2024-03-06")
    assert client.load(*period).exit_code == 0
    rejected = "select call_id from ringostat_raw.rejected_calls order by 1"
    found = [("deep",), ("not theirs",), ("spoilt",)]
    assert client.conn.execute(rejected).fetchall() == found

    if by == "id":
        assert delete_contacts("spoilt", "deep", "good").exit_code == 0
    else:
        assert "deleted 6 calls" in delete_contacts("--caller", typed=NUMBER).stdout
    assert client.conn.execute(rejected).fetchall() == [("not theirs",)]

    mended = [{**row, "calldate": good["calldate"]} for row in (spoilt, deep)]
    client.api.fault = always(response([*mended, good]))
    assert client.load(*period).exit_code == 0
    assert {"spoilt", "deep", "good"}.isdisjoint(call_id for (call_id,) in client.raw("call_id"))
    client.api.fault = always(response([spoilt, {**good, "calldate": ""}]))
    assert client.load(*period).exit_code == 0
    assert client.conn.execute(rejected).fetchall() == [("not theirs",)]


def test_marts_of_an_earlier_version_must_be_built_first(client: Setting) -> None:
    client.conn.execute(
        "create schema ringostat_intermediate;"
        "create table ringostat_intermediate.int_conversions (project_id bigint, made_with text);"
        # in earlier versions a view had the name of today's table
        "create view ringostat_intermediate.int_contacts as select 11111 as project_id"
    )
    result = delete_contacts("first")
    assert result.exit_code == 1
    assert "ringostat_intermediate.int_conversions is of an earlier version" in result.stderr
    assert len(client.raw()) == 5


def test_a_contact_of_another_project_stays(client: Setting) -> None:
    client.conn.execute(
        "insert into ringostat_raw.calls select 22222, call_id, call_at, payload, load_id,"
        " first_loaded_at, loaded_at from ringostat_raw.calls"
    )
    delete_contacts("--caller", typed=NUMBER)
    assert counts(client.conn, 22222)[0] == 5


@pytest.mark.parametrize(
    ("arguments", "typed", "message"),
    [
        (["nobody"], "", "no call and no form with the id nobody"),
        (["--caller"], "380990000000", "no call and no form of this number"),
        (["--caller"], "unknown", "a phone number must have digits"),
        (["first", "--caller"], NUMBER, "give either ids or --caller"),
        ([], "", "give either ids or --caller"),
    ],
)
def test_a_deletion_of_nothing(
    client: Setting, arguments: list[str], typed: str, message: str
) -> None:
    result = delete_contacts(*arguments, typed=typed)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "380990000000" not in result.stderr
    assert counts(client.conn, 11111)[:3] == [5, 0, 2]


def test_without_a_terminal_it_does_not_delete_contacts(client: Setting) -> None:
    result = ringostat("contact", "delete", "--project", "11111", "first")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert counts(client.conn, 11111)[:3] == [5, 0, 2]
