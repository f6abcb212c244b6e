"""Who called stays secret: no number, no Auth-key and no salt in a log, an artifact or a mart."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from bi import docs
from loader import ROOT
from loader import raw as raw_tables
from loader.commands.dbt import dbt
from loader.sandbox import Sandbox, SandboxProject

from .support import PROJECTS

Build = Callable[..., None]

SALT = "Salt-Of-The-Tests-93ab"
KEY = "Key-Of-The-Tests-7d2e"

# The caller of a call with an id and of one without, the number that the office called, a form's.
NUMBERS = ("380671234567", "380672345678", "380673456789", "380674567891")
CALLS = [
    {"uniqueid": "ua9.1", "caller": NUMBERS[0], "dst": "380441110001", "call_type": "in"},
    {"uniqueid": "", "caller": f"+{NUMBERS[1]}", "dst": "380441110001", "call_type": "in"},
    {"uniqueid": "ua9.3", "caller": "101", "dst": NUMBERS[2], "call_type": "out"},
]
FORM = {"submitted_at": "2024-05-02T10:00:00+03:00", "phone": "+38 (067) 456-78-91"}


@pytest.fixture
def seeds(seeds: Path) -> Path:
    """A folder of seeds with the project of `api` in it."""
    (seeds / "projects.csv").write_text(PROJECTS + "11111,Clinic,,Europe/Kyiv,,2024-05-01,true\n")
    return seeds


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An API that answers `CALLS`, and its Auth-key."""
    calls = [
        {"calldate": f"2024-05-01T1{hour}:00:00+0300", **call} for hour, call in enumerate(CALLS)
    ]
    with Sandbox([SandboxProject(11111, KEY, "Europe/Kyiv", calls)]) as sandbox:
        monkeypatch.setenv("RINGOSTAT_API_URL", sandbox.url)
        monkeypatch.setenv("RINGOSTAT_AUTH_KEY", KEY)
        yield


@pytest.mark.slow
def test_verbose_runs_artifacts_docs_and_marts_tell_no_secret(
    api: None,
    seeds: Path,
    conn: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", SALT)
    written = tmp_path / "written"
    monkeypatch.setenv("DBT_TARGET_PATH", str(written / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(written / "logs"))
    monkeypatch.setattr(docs, "PAGE", written / "site" / "index.html")
    forms = tmp_path / "forms.jsonl"
    forms.write_text(json.dumps(FORM))
    period = ("--since", "2024-05-01", "--until", "2024-06-01")

    _ringostat("forms", "import", str(forms), "--project", "11111")
    _ringostat("run", *period)
    marts = _texts(conn, "ringostat_marts")
    assert "11111:call:ua9.1" in marts
    assert "11111:call:sha256:" in marts
    assert "11111:form:sha256:" in marts
    # The failing rows that dbt shows next, some of which have a hash for an id.
    conn.execute("update ringostat_intermediate.int_contacts set conversion_date = null")
    _ringostat("run", *period, code=1)
    assert docs.build() == 0

    output = "".join(capfd.readouterr())
    verbose = (written / "logs" / "dbt.log").read_text(encoding="utf-8")
    assert "On model.ringostat.int_contacts:" in verbose  # with its SQL
    assert "conversion_date | 11111 | 11111:call:ua9.1 | None" in output
    files = [file for file in written.rglob("*") if file.is_file()]
    assert {
        "manifest.json",
        "run_results.json",
        "partial_parse.msgpack",
        "dbt.log",
        "index.html",
    } <= {file.name for file in files}
    ids = conn.execute(
        """
        select call_id from ringostat_raw.calls where call_id like 'sha256:%'
        union all
        select form_id from ringostat_raw.forms where form_id like 'sha256:%'
        """
    ).fetchall()
    assert len(ids) == 2
    secrets = [SALT, KEY, *NUMBERS, FORM["phone"], *map(_sha256, NUMBERS)]
    secrets += [landed_id.removeprefix("sha256:") for (landed_id,) in ids]
    for secret in secrets:
        assert secret not in marts
        assert secret not in output
        for file in files:
            assert secret.encode() not in file.read_bytes(), f"{secret} in {file}"


def test_dbt_does_not_get_what_it_does_not_need(
    warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", SALT)
    monkeypatch.setenv("RINGOSTAT_FORMS_SECRET", "of-the-webhook")
    environments = []

    def run(arguments: object, environment: dict[str, str]) -> int:
        environments.append(environment)
        return 0

    monkeypatch.setattr("loader.commands.dbt._run", run)
    assert dbt("build") == 0
    assert not {SALT, "of-the-webhook"} & set(environments[0].values())
    assert os.environ["RINGOSTAT_CALLER_SALT"] == SALT


def test_without_the_variable_a_random_salt_is_made_once(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raw_tables.create_tables(conn)
    made = _salt(conn)
    assert len(made) == 64
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", "")
    raw_tables.create_tables(conn)
    assert _salt(conn) == made
    # Tables of an older version have no salt yet.
    conn.execute("drop table ringostat_raw.settings")
    raw_tables.create_tables(conn)
    assert _salt(conn) not in (made, "")
    assert not caplog.records


def test_the_variable_is_stored_and_another_one_replaces_it_with_a_warning(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = f"{SALT} '%s' $1", f"{SALT} 2"
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", first)
    raw_tables.create_tables(conn)
    raw_tables.create_tables(conn)
    monkeypatch.delenv("RINGOSTAT_CALLER_SALT")
    raw_tables.create_tables(conn)
    assert _salt(conn) == first
    assert not caplog.records
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", second)
    raw_tables.create_tables(conn)
    assert _salt(conn) == second
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "every caller_key changes on the next build" in record.getMessage()
    assert SALT not in record.getMessage()


def test_keys_change_with_the_salt_and_with_nothing_else(
    raw: psycopg.Connection, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = "sha256:" + _sha256(f"2024-05-01T10:00:00+0300|{NUMBERS[1]}|380441110001")
    _land(raw, "ua9.1", NUMBERS[0])
    _land(raw, hashed, NUMBERS[1])

    def keys() -> set[tuple[str, str, str]]:
        rows = raw.execute(
            "select conversion_id, source_id, caller_key from ringostat_marts.fct_conversions"
        ).fetchall()
        assert len(rows) == len(set(rows)) == 2
        return set(rows)

    def expected(salt: str) -> set[tuple[str, str, str]]:
        public_id = "sha256:" + _sha256(salt + hashed)
        return {
            ("11111:call:ua9.1", "ua9.1", _sha256(salt + NUMBERS[0])),
            (f"11111:call:{public_id}", public_id, _sha256(salt + NUMBERS[1])),
        }

    build()
    made = _salt(raw)
    assert made
    assert keys() == expected(made)
    raw_tables.create_tables(raw)
    monkeypatch.setenv("RINGOSTAT_CALLER_SALT", SALT)
    build()
    assert keys() == expected(made), "the loader alone stores a salt"
    raw_tables.create_tables(raw)
    build()
    assert keys() == expected(SALT)

    monkeypatch.delenv("RINGOSTAT_CALLER_SALT")
    raw_tables.create_tables(raw)
    build("--full-refresh")
    assert keys() == expected(SALT)


@pytest.mark.parametrize(
    "loss",
    [
        "delete from ringostat_raw.settings",
        pytest.param("drop table ringostat_raw.settings", marks=pytest.mark.slow),
    ],
)
def test_no_build_goes_without_a_salt(
    loss: str,
    seeds: Path,
    conn: psycopg.Connection,
    build: Build,
    capfd: pytest.CaptureFixture[str],
) -> None:
    raw_tables.create_tables(conn)
    _land(conn, "ua9.1", NUMBERS[0])
    conn.execute(loss)
    with pytest.raises(AssertionError):
        build()
    output = "".join(capfd.readouterr())
    assert "The salt of caller_key is missing in" in output
    assert "run `ringostat load` once" in output
    assert conn.execute("select to_regclass('ringostat_marts.fct_conversions')").fetchone() == (
        None,
    )


def test_failing_rows_show_no_personal_column(
    raw: psycopg.Connection, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    _land(raw, "sha256:c0ffee", NUMBERS[0])
    build()
    code = "select *, '10.0.0.7' as visitor_ip from ringostat_intermediate.int_contacts"
    failed = {
        "node": {
            "resource_type": "test",
            "package_name": "ringostat",
            "name": "a_users_test",
            "compiled_code": code,
        },
        "failures": 1,
    }
    arguments = json.dumps({"results": [failed]})
    assert dbt("run-operation", "show_failing_rows", "--args", arguments) == 0
    output = "".join(capfd.readouterr())
    assert "11111 | 11111:call:sha256:" in output
    for secret in (NUMBERS[0], "c0ffee", "10.0.0.7"):
        assert secret not in output


@pytest.mark.parametrize(
    ("number", "last"),
    [
        pytest.param(10, "row 10", marks=pytest.mark.slow),
        (11, "… and 1 more"),
        pytest.param(99, "… and 89 more", marks=pytest.mark.slow),
    ],
)
def test_of_many_failing_rows_the_first_are_shown_and_all_are_counted(
    seeds: Path,
    warehouse: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    number: int,
    last: str,
) -> None:
    code = f"select 'row ' || n as row from generate_series(1, {number}) as n order by n"
    failed = {
        "node": {
            "resource_type": "test",
            "package_name": "ringostat",
            "name": "a_users_test",
            "compiled_code": code,
        },
        "failures": 1,  # a test's fail_calc need not count rows
    }
    arguments = json.dumps({"results": [failed]})
    assert dbt("run-operation", "show_failing_rows", "--args", arguments) == 0
    lines = [line.strip() for line in "".join(capfd.readouterr()).splitlines()]
    shown = [line for line in lines if line.startswith(("row ", "…"))]
    assert shown[:10] == [f"row {n}" for n in range(1, 11)]
    assert shown[-1] == last
    assert len(shown) == min(number, 11)


def test_a_personal_column_in_a_mart_fails_the_build(
    raw: psycopg.Connection, build: Build, capfd: pytest.CaptureFixture[str]
) -> None:
    build()
    columns = ("caller_digits", "contact_id", "remote_ip", "recording_wav")
    raw.execute(
        "create view ringostat_marts.theirs as select 1 as caller_key, "
        + ", ".join(f"'' as {column}" for column in columns)
    )
    assert dbt("test", "--select", "assert_no_personal_data_in_marts") == 1
    output = "".join(capfd.readouterr())
    for column in columns:
        assert f"theirs | {column}" in output
    assert "theirs | caller_key" not in output


def _ringostat(*arguments: str, code: int = 0) -> None:
    """`ringostat -v …` in a process of its own, which prints to this one's stdout and stderr."""
    done = subprocess.run([sys.executable, "-m", "loader", "-v", *arguments], cwd=ROOT, check=False)
    assert done.returncode == code


def _land(conn: psycopg.Connection, call_id: str, caller: str) -> None:
    at = datetime(2024, 5, 1, 7, tzinfo=timezone.utc)
    conn.execute(
        """
        insert into ringostat_raw.calls
            (project_id, call_id, call_at, payload, load_id, first_loaded_at, loaded_at)
        values (11111, %s, %s, %s, 1, now(), now())
        """,
        [call_id, at, Jsonb({"caller": caller, "dst": "380441110001", "call_type": "in"})],
    )


def _salt(conn: psycopg.Connection) -> str:
    return conn.execute("select value from ringostat_raw.settings").fetchone()[0]


def _texts(conn: psycopg.Connection, schema: str) -> str:
    """All rows of all tables and views of a schema, as text."""
    tables = conn.execute(
        "select table_name from information_schema.tables where table_schema = %s", [schema]
    ).fetchall()
    return "\n".join(
        str(conn.execute(f"select * from {schema}.{table}").fetchall()) for (table,) in tables
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
