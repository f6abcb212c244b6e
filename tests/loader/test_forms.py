"""`ringostat forms import`: files of form requests into `ringostat_raw.forms`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from openpyxl import Workbook

from loader import database, raw
from loader.projects import read_projects

from .support import Setting, ringostat

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


def test_what_a_form_without_an_id_is_told_by(conn: psycopg.Connection) -> None:
    one = {"submitted_at": "2024-03-01 12:00:00", "name": "Ann"}
    import_it(lines(one, dict(reversed(one.items())), {**one, "name": "Bob"}))
    assert len(landed(conn)) == 2


def test_a_changed_form_is_landed_anew_and_later(conn: psycopg.Connection) -> None:
    import_it(lines(FORM, {**FORM, "form_id": "f2"}))
    before = landed(conn, "loaded_at, first_loaded_at, load_id")
    result = import_it(lines({**FORM, "name": "Ann"}, {**FORM, "form_id": "f2"}))
    assert "0 new, 1 changed" in result.stdout
    (changed, first, load_id), untouched = landed(conn, "loaded_at, first_loaded_at, load_id")
    assert untouched == before[1]
    assert changed > before[0][0]
    assert first == before[0][1]
    assert load_id > before[0][2]


def test_loaded_at_grows_over_calls_and_forms(setting: Setting) -> None:
    """dbt reads on from the latest of both, even where the machine's clock was set back."""
    setting.load()
    future = "update ringostat_raw.loads set finished_at = '2100-01-01'"
    setting.conn.execute(future)
    import_it(lines(FORM))
    ((form_at,),) = landed(setting.conn, "loaded_at")
    assert form_at.year == 2100
    setting.load()
    assert setting.loads("finished_at")[-1][0] > form_at


def test_the_last_form_of_an_id_in_a_file_counts(conn: psycopg.Connection) -> None:
    import_it(lines(FORM, {**FORM, "name": "Ann"}))
    assert landed(conn, "payload ->> 'name'") == [("Ann",)]


def test_bad_lines_are_listed_and_good_ones_land(conn: psycopg.Connection) -> None:
    bad = [
        "{",
        "[1]",
        '{"form_id": "x"}, {"form_id": "y"}',
        '{"form_id": "x"}',
        '{"submitted_at": 1709287200}',
        '{"submitted_at": "yesterday"}',
        '{"submitted_at": "2024-02-30 12:00:00"}',
        '{"submitted_at": "2024-03-01 12:00:00", "form_id": {}}',
    ]
    Path("forms.jsonl").write_text("\n".join([json.dumps(FORM), "", *bad]))
    result = import_it("forms.jsonl")
    assert result.exit_code == 1
    assert result.stdout.endswith("1 forms read: 1 new, 0 changed, 8 bad\n")
    assert [line.split(": ", 1) for line in result.stderr.splitlines()] == [
        ["forms.jsonl:3", "no JSON"],
        ["forms.jsonl:4", "no JSON object"],
        ["forms.jsonl:5", "no JSON"],
        ["forms.jsonl:6", "submitted_at is missing"],
        ["forms.jsonl:7", "submitted_at is missing"],
        ["forms.jsonl:8", "submitted_at is no time such as 2024-01-31T09:30:00+02:00: 'yesterday'"],
        [
            "forms.jsonl:9",
            "submitted_at is no time such as 2024-01-31T09:30:00+02:00: '2024-02-30 12:00:00'",
        ],
        ["forms.jsonl:10", "form_id is neither text nor a number"],
    ]
    assert len(landed(conn)) == 1


def test_text_that_postgres_cannot_hold(conn: psycopg.Connection) -> None:
    line = (
        '{"submitted_at": "2024-03-01 12:00:00", "name": "a\\u0000\\ud800", "n": NaN, "x": 1e999}'
    )
    Path("forms.jsonl").write_bytes(line.encode() + b"\n" + json.dumps(FORM).encode() + b"\xff\n")
    result = import_it("forms.jsonl")
    assert "forms.jsonl:2: no JSON" in result.stderr
    assert landed(conn, "payload - 'submitted_at'") == [
        ({"name": "a\ufffd\ufffd", "n": "NaN", "x": "1e999"},)
    ]


@pytest.mark.parametrize(
    ("file", "content", "what"),
    [
        ("forms.txt", b"", "a file that ends with .jsonl"),
        ("forms.csv", b"form_id;submitted_at\n", "submitted_at is missing (found: form_id;"),
        ("forms.csv", b"submitted_at,x,x\n", "the column x stands twice"),
        ("forms.csv", b"submitted_at\n\xff\n", "not UTF-8"),
        ("forms.xlsx", b"text", "no XLSX"),
        ("none.jsonl", None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(file: str, content: bytes | None, what: str) -> None:
    if content is not None:
        Path(file).write_bytes(content)
    result = import_it(file)
    assert result.exit_code == 2
    assert what in result.stderr


def test_projects_that_have_no_forms() -> None:
    assert "projects.csv has no project 5" in import_it(lines(FORM), 5).stderr
    assert "project 22222 is inactive" in import_it(lines(FORM), 22222).stderr


def test_it_waits_for_no_load(conn: psycopg.Connection, warehouse: dict[str, str]) -> None:
    with database.connect(warehouse) as other, raw.lock(other, read_projects()[0]):
        result = import_it(lines(FORM))
    assert result.exit_code == 1
    assert "another load of project 11111 is running" in result.stderr
    assert landed(conn) == []
