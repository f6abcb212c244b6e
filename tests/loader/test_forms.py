"""`ringostat forms import`: files of form requests into `ringostat_raw.forms`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from openpyxl import Workbook

from loader import database, forms, raw
from loader.commands import lifecycle
from loader.projects import read_projects

from .support import ringostat

FORM = {"form_id": "f1", "submitted_at": "2024-03-01 12:00:00", "phone": "+380 44 111-22-33"}
AT = datetime(2024, 3, 1, 10, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def project(
    seeds: Callable[..., Path], warehouse: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true", "22222,Salon,,Asia/Almaty,,2024-01-01,false"
    ).parent
    monkeypatch.chdir(folder)


def lines(*forms: object) -> str:
    Path("forms.jsonl").write_text("".join(json.dumps(form) + "\n" for form in forms))
    return "forms.jsonl"


def import_it(file: str, project_id: int = 11111) -> Result:
    return ringostat("forms", "import", file, "--project", str(project_id))


def landed(conn: psycopg.Connection, columns: str = "form_id, submitted_at, payload") -> list:
    return conn.execute(
        f'select {columns} from ringostat_raw.forms order by project_id, form_id collate "C"'
    ).fetchall()


def test_json_lines(conn: psycopg.Connection) -> None:
    other = {**FORM, "form_id": 2, "submitted_at": "2024-03-01T12:00:00+0300", "utm_source": None}
    result = import_it(lines(FORM, other))
    assert result.exit_code == 0
    assert result.stdout == ("project 11111 (Clinic): 2 forms read: 2 new, 0 changed, 0 bad\n")
    assert landed(conn) == [("2", AT.replace(hour=9), other), ("f1", AT, FORM)]


def test_csv(conn: psycopg.Connection) -> None:
    Path("forms.csv").write_text(
        "\ufeffform_id,submitted_at,name,tag\r\n"
        'f1,2024-03-01 12:00:00,"Ann, ""A""\r\nB",\r\n'
        "\r\n"
        ",2024-03-01T10:00:00Z,Bob,repair\r\n"
    )
    assert import_it("forms.csv").exit_code == 0
    first, (hashed, *_) = landed(conn, "form_id, submitted_at, payload - 'submitted_at'")
    assert hashed.startswith("sha256:")
    assert first == ("f1", AT, {"form_id": "f1", "name": 'Ann, "A"\r\nB'})


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_another_separator(conn: psycopg.Connection, separator: str) -> None:
    row = separator.join(["2024-03-01 12:00:00", f'"a{separator}b"', "Ann, Bob"])
    header = separator.join(["submitted_at", "form_id", "name"])
    Path("forms.csv").write_text(f"\ufeff{header}\r\n{row}\r\n{separator}\r\n")
    result = import_it("forms.csv")
    assert result.stderr.startswith("forms.csv:3: 2 cells, but the header names 3")
    assert landed(conn, "form_id, payload ->> 'name'") == [(f"a{separator}b", "Ann, Bob")]


def test_a_stray_quote_says_that_the_rest_was_not_read(conn: psycopg.Connection) -> None:
    rows = ["form_id,submitted_at,name"]
    rows += [f"f{number},2024-03-01T10:00:00Z,Ann" for number in range(1, 6)]
    rows[3] = 'f3,2024-03-01T10:00:00Z,"Cafe "X" Ltd"'
    Path("forms.csv").write_text("\n".join(rows))
    result = import_it("forms.csv")
    assert result.exit_code == 1
    assert "2 forms read: 2 new, 0 changed, 1 bad" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("forms.csv:4: not valid CSV")
    assert line.endswith(". Nothing after it was read")


def test_a_duration_in_a_sheet(conn: psycopg.Connection) -> None:
    workbook = Workbook()
    workbook.active.append(["submitted_at", "spent"])
    workbook.active.append([datetime(2024, 3, 1, 12), timedelta(hours=30)])
    workbook.save("forms.xlsx")
    assert import_it("forms.xlsx").exit_code == 0
    assert landed(conn, "payload ->> 'spent'") == [("1 day, 6:00:00",)]


def test_xlsx(conn: psycopg.Connection) -> None:
    workbook = Workbook()
    for row in (
        ["submitted_at", "form_id", "phone", None],
        [datetime(2024, 3, 1, 12), 7, 380441112233, "no column"],
        [None, None, None],
        ["2024-03-01 12:00:00", "f2", 380441112233.0],
        ["2024-03-01 12:00:00", "f3", "=1+1"],
    ):
        workbook.active.append(row)
    workbook.save("forms.xlsx")
    result = import_it("forms.xlsx")
    assert result.exit_code == 1
    assert "forms.xlsx:5: a formula" in result.stderr
    assert landed(conn, "form_id, submitted_at, payload -> 'phone'") == [
        ("7", AT, 380441112233),
        ("f2", AT, 380441112233),
    ]


def test_the_same_file_again_changes_nothing(conn: psycopg.Connection) -> None:
    without_id = {**FORM, "form_id": " "}
    import_it(lines(FORM, without_id, without_id))
    before = landed(conn, "*")
    assert len(before) == 2
    result = import_it(lines(without_id, FORM))
    assert "0 new, 0 changed" in result.stdout
    assert landed(conn, "*") == before


def test_a_form_without_an_id_gets_a_hash_as_its_id(conn: psycopg.Connection) -> None:
    one = {"submitted_at": "2024-03-01 12:00:00", "name": "Ann"}
    import_it(lines(one, dict(reversed(one.items())), {**one, "name": "Bob"}))
    assert len(landed(conn)) == 2


def test_a_changed_form_is_landed_again_with_a_later_time(conn: psycopg.Connection) -> None:
    import_it(lines(FORM, {**FORM, "form_id": "f2"}))
    before = landed(conn, "loaded_at, first_loaded_at, load_id")
    result = import_it(lines({**FORM, "name": "Ann"}, {**FORM, "form_id": "f2"}))
    assert "0 new, 1 changed" in result.stdout
    (changed, first, load_id), untouched = landed(conn, "loaded_at, first_loaded_at, load_id")
    assert untouched == before[1]
    assert changed > before[0][0]
    assert first == before[0][1]
    assert load_id > before[0][2]


def test_loaded_at_grows_even_if_the_clock_was_set_back(conn: psycopg.Connection) -> None:
    """dbt reads on from the latest one."""
    import_it(lines(FORM))
    conn.execute("update ringostat_raw.forms set loaded_at = '2100-01-01'")
    conn.execute(
        "insert into ringostat_raw.forms"
        " select 22222, form_id, submitted_at, payload, load_id, first_loaded_at, '2200-01-01'"
        " from ringostat_raw.forms"
    )
    import_it(lines({**FORM, "form_id": "f2"}))
    newest = "(select loaded_at - '2100-01-01' from ringostat_raw.forms where form_id = 'f2')"
    assert conn.execute(f"select {newest}").fetchone() == (timedelta(microseconds=1),)


def test_the_last_form_of_an_id_in_a_file_counts(conn: psycopg.Connection) -> None:
    import_it(lines(FORM, {**FORM, "name": "Ann"}))
    assert landed(conn, "payload ->> 'name'") == [("Ann",)]


WANTED = "it must be a time, e.g. 2024-01-31T09:30:00+02:00"


def test_several_files_and_folders(conn: psycopg.Connection) -> None:
    """In one go: the last of an id wins, and the same again changes nothing."""
    Path("received").mkdir()
    for name, form in (
        ("2024-03-02.jsonl", {**FORM, "name": "Ann"}),
        ("2024-03-01.jsonl", FORM),
        ("unreadable.jsonl", {**FORM, "form_id": "none"}),
        ("notes.txt", FORM),
    ):
        Path("received", name).write_text(json.dumps(form) + "\n")
    other = lines({**FORM, "form_id": "f2"}, {"form_id": "f3"})
    arguments = ("forms", "import", "received", other, "--project", "11111")
    result = ringostat(*arguments)
    assert result.exit_code == 1
    assert result.stderr == "forms.jsonl:2: submitted_at is missing\n"
    assert "3 forms read: 2 new, 0 changed, 1 bad" in result.stdout
    assert landed(conn, "form_id, payload ->> 'name'") == [("f1", "Ann"), ("f2", None)]
    assert "3 forms read: 0 new, 0 changed, 1 bad" in ringostat(*arguments).stdout


def test_an_empty_folder_holds_no_form(conn: psycopg.Connection) -> None:
    Path("received").mkdir()
    result = import_it("received")
    assert result.exit_code == 0
    assert "0 forms read" in result.stdout


def test_bad_lines_are_listed_and_good_ones_land(conn: psycopg.Connection) -> None:
    bad = {
        "{": "not JSON",
        "[1]": "not a JSON object",
        '{"form_id": "x"}, {"form_id": "y"}': "not JSON",
        '{"form_id": "x"}': "submitted_at is missing",
        '{"submitted_at": " "}': "submitted_at is missing",
        '{"submitted_at": 1709287200}': f"submitted_at is ***: {WANTED}",
        '{"submitted_at": "yesterday"}': f'submitted_at is "yesterday": {WANTED}',
        '{"submitted_at": "2024-02-30 12:00"}': f'submitted_at is "2024-02-30 12:00": {WANTED}',
        '{"submitted_at": "380441112233"}': f'submitted_at is "***": {WANTED}',
        '{"submitted_at": "2024-03-01", "form_id": {}}': "form_id must be text or a number",
        f'{{"submitted_at": "{FORM["submitted_at"]}", "form_id": "{"ї" * 1001}"}}': (
            "form_id has more than 2,000 bytes"
        ),
    }
    Path("forms.jsonl").write_text("\n".join([json.dumps(FORM), "", *bad]))
    result = import_it("forms.jsonl")
    assert result.exit_code == 1
    assert result.stdout.endswith("1 forms read: 1 new, 0 changed, 11 bad\n")
    assert result.stderr.splitlines() == [
        f"forms.jsonl:{number}: {reason}" for number, reason in enumerate(bad.values(), 3)
    ]
    assert len(landed(conn)) == 1


@pytest.mark.parametrize(
    "phone",
    ["3.80E+11", "3,80E+11", " 3.8e+11", "380441112233.0", 3.80e11, 380441112233.0, 380000000000],
)
def test_a_phone_that_a_spreadsheet_ruined_is_a_bad_line(
    conn: psycopg.Connection, phone: object
) -> None:
    at = FORM["submitted_at"]
    ruined = {"form_id": "f2", "submitted_at": at, "phone": phone}
    results = [import_it(lines(FORM, ruined))]
    if isinstance(phone, str):
        Path("forms.csv").write_text(f'submitted_at,phone\n{at},1234567\n{at},"{phone}"\n')
        results.append(import_it("forms.csv"))
    if isinstance(phone, (str, int)):
        workbook = Workbook()
        for row in (["submitted_at", "phone"], [at, 380441112233], [at, phone]):
            workbook.active.append(row)
        workbook.save("forms.xlsx")
        results.append(import_it("forms.xlsx"))
    for result in results:
        assert result.exit_code == 1
        assert "1 new, 0 changed, 1 bad" in result.stdout
        assert "phone is a number that a spreadsheet rounded or gave decimals" in result.stderr
        # Times have milliseconds, which can be 380 too.
        messages = re.sub(r",\d{3} ", " ", result.stderr)
        assert "380" not in messages.replace("such as 3.80E+11", "")


@pytest.mark.parametrize("phone", ["+380 44 111-22-33", "044.111.2233", 380441112233, "", None])
def test_phones_that_are_taken(conn: psycopg.Connection, phone: object) -> None:
    assert import_it(lines({**FORM, "phone": phone})).exit_code == 0


def test_text_that_postgres_cannot_hold(conn: psycopg.Connection) -> None:
    line = (
        '{"submitted_at": "2024-03-01 12:00:00", "name": "a\\u0000\\ud800", "n": NaN, "x": 1e999}'
    )
    Path("forms.jsonl").write_bytes(line.encode() + b"\n" + json.dumps(FORM).encode() + b"\xff\n")
    result = import_it("forms.jsonl")
    assert "forms.jsonl:2: not JSON" in result.stderr
    assert landed(conn, "payload - 'submitted_at'") == [
        ({"name": "a\ufffd\ufffd", "n": "NaN", "x": "1e999"},)
    ]


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("forms.txt", b"", "the name must end with .jsonl"),
        ("forms.csv", b"form_id;at\n", "missing column submitted_at (found: form_id, at)"),
        ("forms.csv", b"submitted_at,x,x\n", "duplicate column x"),
        ("forms.csv", b"submitted_at\n\xff\n", "forms.csv:2:1: not UTF-8"),
        ("forms.csv", "submitted_at\tї\n\n\n".encode("utf-16"), "forms.csv:1:1: not UTF-8"),
        ("forms.csv", "submitted_at;ї\n\n\n".encode("cp1251"), "forms.csv:1:14: not UTF-8"),
        ("forms.csv", None, "forms.csv:1:1: the file does not exist"),
        ("forms.jsonl", '{"x": 1}\n\n\n'.encode("utf-16"), "forms.jsonl: not UTF-8"),
        ("forms.xlsx", None, "forms.xlsx: cannot be read: No such file"),
        ("forms.xlsx", b"text", "not an XLSX workbook"),
        ("none.jsonl", None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(file: str, content: bytes | None, what: str) -> None:
    if content is not None:
        Path(file).write_bytes(content)
    result = import_it(file)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert what in line


def test_projects_that_have_no_forms() -> None:
    assert "projects.csv has no project 5" in import_it(lines(FORM), 5).stderr
    assert "project 22222 is inactive" in import_it(lines(FORM), 22222).stderr


def test_it_does_not_wait_for_a_load(conn: psycopg.Connection, warehouse: dict[str, str]) -> None:
    with database.connect(warehouse) as other, raw.lock(read_projects()[0], other):
        result = import_it(lines(FORM))
    assert result.exit_code == 0
    assert len(landed(conn)) == 1


def test_it_waits_for_another_import(conn: psycopg.Connection, warehouse: dict[str, str]) -> None:
    import_it(lines(FORM))
    with database.connect(warehouse) as other, ThreadPoolExecutor() as threads:
        with other.transaction():
            file = Path(lines({**FORM, "name": "Ann"}))
            forms.import_files(other, [file], read_projects()[0])
            waiting = threads.submit(import_it, lines({**FORM, "name": "Bob"}))
            blocked = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
            while conn.execute(blocked).fetchone() == (0,):
                assert not waiting.done()
            assert landed(conn, "payload ->> 'name'") == [(None,)]
        assert "1 changed" in waiting.result().stdout
    assert landed(conn, "payload ->> 'name'") == [("Bob",)]


def test_an_import_that_waits_for_a_deletion_lands_nothing(
    conn: psycopg.Connection, warehouse: dict[str, str], seeds: Callable[..., Path]
) -> None:
    import_it(lines(FORM))
    project = read_projects()[0]
    blocked = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with database.connect(warehouse) as other, ThreadPoolExecutor() as threads:
        with lifecycle._nobody_else_writes(other, project):
            waiting = threads.submit(import_it, lines({**FORM, "name": "Bob"}))
            while conn.execute(blocked).fetchone() == (0,):
                assert not waiting.done()
            other.execute("delete from ringostat_raw.forms")
            seeds("22222,Salon,,Asia/Almaty,,2024-01-01,false")
        assert waiting.result().exit_code == 2
    assert "projects.csv has no project 11111" in waiting.result().stderr
    assert landed(conn) == []
