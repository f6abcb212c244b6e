"""Bad input: exit 2, one clear line, nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import Result

from .support import HEADER, KEY, Setting, ringostat

ROW = "11111,Clinic,,Europe/Kyiv,,2024-01-01,true"


@pytest.fixture(params=["load", "run"])
def command(request: pytest.FixtureRequest) -> str:
    return request.param


def assert_refused(result: Result, conn: psycopg.Connection, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    # `run` logs to a file here: its faults and its error are lines with a time.
    assert len(re.findall(r"(?m)^Error: ", result.stderr)) == (" ERROR " not in result.stderr)
    for word in words:
        assert word in result.stderr
    (schema,) = conn.execute("select to_regnamespace('ringostat_raw')").fetchone()
    assert schema is None


def test_a_missing_key(setting: Setting, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.delenv("RINGOSTAT_AUTH_KEY")
    assert_refused(ringostat(command), setting.conn, "RINGOSTAT_AUTH_KEY")
    assert setting.api.requests == []


def test_a_missing_key_of_a_name_of_its_own(
    setting: Setting, seeds: Callable[..., Path], command: str
) -> None:
    seeds("11111,Clinic,CLINIC_KEY,Europe/Kyiv,,2024-01-01,true")
    assert_refused(ringostat(command), setting.conn, "CLINIC_KEY")


@pytest.mark.parametrize("key", ["two words", "ключ", "a\nb"])
def test_an_impossible_key_is_not_shown(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("RINGOSTAT_AUTH_KEY", key)
    result = ringostat("load")
    assert_refused(result, setting.conn, "RINGOSTAT_AUTH_KEY")
    assert key not in result.output


def test_an_unknown_project(setting: Setting, command: str) -> None:
    assert_refused(ringostat(command, "--project", "999"), setting.conn, "999", "11111")


def test_an_inactive_project(setting: Setting, seeds: Callable[..., Path], command: str) -> None:
    seeds(ROW, "22222,Dealer,,UTC,,2024-01-01,false")
    assert_refused(ringostat(command, "--project", "22222"), setting.conn, "inactive")


def test_since_after_until(setting: Setting, command: str) -> None:
    result = ringostat(command, "--since", "2024-02-01", "--until", "2024-01-31")
    assert_refused(result, setting.conn, "--since", "--until")


@pytest.mark.parametrize(
    "arguments",
    [("--since", "soon"), ("--until", "2024-13-01"), ("--jobs", "0"), ("--lookback-days", "-1")],
)
def test_options_that_cannot_be_read(setting: Setting, arguments: tuple[str, str]) -> None:
    assert_refused(ringostat("load", *arguments), setting.conn, arguments[0])


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("one,Clinic,,Europe/Kyiv,,2024-01-01,true", ":2:1:"),
        ("11111,,,Europe/Kyiv,,2024-01-01,true", ":2:7:"),
        ("11111,Clinic,,Europe/Atlantis,,2024-01-01,true", ":2:15:"),
        ("11111,Clinic,,Europe,,2024-01-01,true", ":2:15:"),
        ("11111,Clinic,,Europe/Kyiv,best,2024-01-01,true", ":2:27:"),
        ("11111,Clinic,,Europe/Kyiv,,yesterday,true", ":2:28:"),
        ("11111,Clinic,,Europe/Kyiv,,2024-02-30,true", ":2:28:"),
        ("11111,Clinic,,Europe/Kyiv,,0001-01-01,true", ":2:28:"),
        ("11111,Clinic,,Europe/Kyiv,,01.10.2024,true", ":2:28:"),
        ("11111,Clinic,,Europe/Kyiv,,2024-01-01,maybe", ":2:39:"),
        (f"{ROW}\n11111,Again,,UTC,,2024-01-01,true", ":3:1:"),
        (f"{ROW},more", ":2:"),
        ('11111,"Clinic', ":2:"),
    ],
)
def test_a_malformed_projects_csv(
    setting: Setting, seeds: Callable[..., Path], command: str, row: str, place: str
) -> None:
    file = seeds(row)
    assert_refused(ringostat(command), setting.conn, f"{file}{place}")


def test_a_key_in_projects_csv_is_not_shown(setting: Setting, seeds: Callable[..., Path]) -> None:
    seeds(f"11111,Clinic,{KEY},Europe/Kyiv,,2024-01-01,true")
    result = ringostat("load")
    assert_refused(result, setting.conn, ":2:14:", "NAME")
    assert KEY not in result.output


@pytest.mark.parametrize("rows", [(), ("11111,Clinic,,Europe/Kyiv,,2024-01-01,false",)])
def test_no_active_project(
    setting: Setting, seeds: Callable[..., Path], command: str, rows: tuple[str, ...]
) -> None:
    seeds(*rows)
    assert_refused(ringostat(command), setting.conn, "no active project", "ringostat connect")


def test_the_wrong_header(setting: Setting, seeds: Callable[..., Path]) -> None:
    seeds().write_text(HEADER.replace("time_zone", "zone"))
    assert_refused(ringostat("load"), setting.conn, "projects.csv:1:", "zone")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ((HEADER + ROW).replace(",", ";").encode(), ":1:11: cells are separated by ;"),
        ((HEADER + ROW).encode("utf-16"), ":1:1: not UTF-8"),
        ((HEADER + ROW.replace("Clinic", "Клініка")).encode("cp1251"), ":2:7: not UTF-8"),
        (b"", ":1:1: the first line must name the columns"),
    ],
)
def test_a_file_that_is_not_valid_csv(
    setting: Setting, seeds: Callable[..., Path], command: str, content: bytes, what: str
) -> None:
    file = seeds()
    file.write_bytes(content)
    result = ringostat(command)
    assert_refused(result, setting.conn, f"{file}{what}")
    # `run` adds that nothing was loaded or built.
    assert len(result.stderr.splitlines()) == (1 if command == "load" else 2)


def test_a_project_without_a_name(setting: Setting) -> None:
    result = ringostat("connect", "--name", " ", "--time-zone", "Europe/Kyiv")
    assert_refused(result, setting.conn, "--name must not be empty")


def test_an_unreachable_postgres(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGPASSWORD", "the-password")
    result = ringostat(command)
    assert_refused(result, setting.conn, "127.0.0.1", "port 1")
    assert "the-password" not in result.output
    assert setting.api.requests == []


def test_a_postgres_role_without_the_right_to_create_schemas(
    setting: Setting, warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"reader_{warehouse['PGDATABASE']}"
    setting.conn.execute(f"create role {role} login password 'the-password'")
    try:
        monkeypatch.setenv("PGUSER", role)
        monkeypatch.setenv("PGPASSWORD", "the-password")
        result = ringostat("load")
        assert_refused(result, setting.conn, "permission denied", role, "grant create on database")
        assert setting.api.requests == []
    finally:
        setting.conn.execute(f"drop role {role}")


def test_a_read_only_postgres(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
        assert_refused(ringostat("load"), setting.conn, "read-only")
