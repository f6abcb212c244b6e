"""`ringostat connect`: the project of a key, and the line in projects.csv."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import Result

from loader.commands.connect import look
from loader.projects import read_projects
from loader.sandbox import Sandbox, SandboxProject

from .calls import KYIV, call, calls_every
from .support import HEADER, KEY, ringostat

LISTED = "22222,Salon,SALON_KEY,Asia/Almaty,,2024-01-01,true"
NOW = datetime.now(KYIV).replace(microsecond=0)
OFFSET = (NOW - timedelta(days=1)).utcoffset() // timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads the clock again: pytest reads this file up to half an hour before a test in it."""
    monkeypatch.setattr(f"{__name__}.NOW", datetime.now(KYIV).replace(microsecond=0))


@pytest.fixture(autouse=True)
def file(seeds: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """projects.csv with another project."""
    monkeypatch.setenv("RINGOSTAT_AUTH_KEY", KEY)
    monkeypatch.setenv("SALON_KEY", "Key-Of-The-Salon")
    return seeds(LISTED)


@pytest.fixture
def account(serve: Callable[..., object]) -> Callable[..., Sandbox]:
    """`account(calls)` serves the project of the key: project 11111 in Europe/Kyiv."""

    def open_account(calls: list[dict], **settings: object) -> Sandbox:
        salon = SandboxProject(22222, "Key-Of-The-Salon", "Asia/Almaty", [])
        sandbox = Sandbox([SandboxProject(11111, KEY, "Europe/Kyiv", calls), salon], **settings)
        serve(sandbox)
        return sandbox

    return open_account


def connect(*arguments: str, name: str = "Clinic", zone: str = "Europe/Kyiv") -> Result:
    return ringostat("connect", "--name", name, "--time-zone", zone, *arguments)


def ago(**period: float) -> datetime:
    return NOW - timedelta(**period)


def line(
    number: int = 11111, name: str = "Clinic", variable: str = "", zone: str = "Europe/Kyiv"
) -> str:
    year_ago = (datetime.now(ZoneInfo(zone)) - timedelta(days=365)).date()
    return f"{number},{name},{variable},{zone},,{year_ago},true\n"


# ----------------------------------------------------------------------------------- what it does


def test_it_says_what_it_saw_and_adds_a_line(account: Callable[..., Sandbox], file: Path) -> None:
    account(
        [
            call(ago(days=200), "1", pool_name="Site", client_id="1.2"),
            call(ago(days=3), "2", pool_name="Site", landing="/", call_type="callback"),
            call(ago(days=2), "5", pool_name="Site"),
            call(ago(hours=5), "3", pool_name="Billboard"),
            call(ago(hours=4), "6", pool_name="Billboard", remote_ip="10.1.1.1"),
            call(ago(hours=2), "4", pool_name=None, client_id=" "),
        ]
    )
    result = connect()
    assert result.exit_code == 0
    said = result.stdout
    assert "Ringostat project 11111\n" in said
    assert f"first call seen  {ago(days=200):%Y-%m-%d %H:%M}" in said
    assert f"last {ago(hours=2):%Y-%m-%d %H:%M}" in said
    assert "6 in 365 days" in said
    assert "in 5, callback 1" in said
    assert re.search(r"«Site» +│ dynamic +│ +3 │", said)
    assert re.search(r"«Billboard» +│ static: map it in static_channels.csv +│ +2 │", said)
    assert re.search(r"\(no pool\) +│ +│ +1 │", said)
    assert "KPIs may double" in said
    assert said.endswith("next: ringostat run\n")
    assert file.read_text() == f"{HEADER}{LISTED}\n{line()}"
    assert KEY not in result.output + file.read_text()


def test_the_next_project_has_a_key_variable_of_its_own(
    account: Callable[..., Sandbox], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account([call(ago(hours=1))])
    monkeypatch.setenv("CLINIC_KEY", KEY)
    arguments = ("--auth-key-env", "CLINIC_KEY", "--load-from", "2020-02-29")
    assert connect(*arguments, name="Clinic, «Kyiv»").exit_code == 0
    assert file.read_text().endswith(
        '\n11111,"Clinic, «Kyiv»",CLINIC_KEY,Europe/Kyiv,,2020-02-29,true\n'
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_end_as_they_do_in_the_file(
    account: Callable[..., Sandbox], file: Path, end: str
) -> None:
    account([call(ago(hours=1))])
    before = f"\ufeff{HEADER}{LISTED}".replace("\n", end or "\n").encode()
    file.write_bytes(before + end.encode())
    assert connect().exit_code == 0
    end = end or "\n"
    assert file.read_bytes() == before + end.encode() + line().replace("\n", end).encode()


def test_it_looks_back_in_growing_steps_and_no_further_than_it_must(
    account: Callable[..., Sandbox],
) -> None:
    sandbox = account(calls_every(timedelta(minutes=30), ago(days=60), NOW))
    assert connect().exit_code == 0
    bounds = [datetime.fromisoformat(asked["from"]) for _, asked in sandbox.requests[:3]]
    days = [round((NOW.replace(tzinfo=None) - bound) / timedelta(days=1)) for bound in bounds]
    assert days == [1, 5, 21]


def test_a_busy_account_is_read_in_shorter_steps(
    account: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "1000")
    account(calls_every(timedelta(minutes=1), ago(days=2), NOW), row_cap=1000)
    result = connect()
    assert result.exit_code == 0
    assert re.search(r"calls per day +1,4\d\d\.\d \(7\d\d in 0.5 days\)", result.stdout)


def test_an_old_account_is_found_within_a_year(account: Callable[..., Sandbox]) -> None:
    sandbox = account([call(ago(days=360))])
    assert connect().exit_code == 0
    assert len(sandbox.requests) < 8 + 8


def test_a_zone_that_is_not_the_accounts_is_trusted_on_request(
    account: Callable[..., Sandbox], file: Path
) -> None:
    account([call(ago(days=1))])
    assert connect("--trust-time-zone", zone="Asia/Tokyo").exit_code == 0
    # The API goes on reading the clock that it had.
    added = line(zone="Asia/Tokyo").replace("\n", f",Etc/GMT-{OFFSET}\n")
    header = HEADER.replace("\n", ",api_time_zone\n")
    assert file.read_text() == f"{header}{LISTED},\n{added}"


@pytest.mark.parametrize(
    "calldate",
    [
        f"{ago(days=1).astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S+0000}",
        f"{ago(days=1).astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        f"{ago(days=1):%Y-%m-%d %H:%M:%S}",
    ],
    ids=["+0000", "Z", "no offset"],
)
def test_times_in_utc_and_times_without_an_offset_agree_with_every_zone(
    account: Callable[..., Sandbox], calldate: str
) -> None:
    account([call(calldate)])
    assert connect(zone="Asia/Almaty").exit_code == 0


def test_an_account_without_calls(account: Callable[..., Sandbox], file: Path) -> None:
    account([])
    assert connect("--project-id", "11111").exit_code == 0
    assert file.read_text() == f"{HEADER}{LISTED}\n{line()}"


# ------------------------------------------------------------------------- what the API does


def some_calls(days: float = 3) -> list[dict]:
    return calls_every(timedelta(minutes=30), ago(days=days), ago(hours=2))


def measured(result: Result) -> dict[str, str]:
    """The table "what this account's API does"."""
    rows = re.findall(r"^│ +(.+?) +│ +(.+?) +│$", result.stdout, re.MULTILINE)
    return dict(rows)


CLOCK = "reads from and to on the clock of"
INCLUSIVE = "includes a call in the very second of `to`"
FIELDS = "refuses the fields"
CAP = "more calls than the row cap"


@pytest.mark.parametrize("clock", ["Europe/Kyiv", "UTC"])
@pytest.mark.parametrize("inclusive", [True, False])
def test_the_clock_and_the_bounds_are_measured(
    account: Callable[..., Sandbox], file: Path, clock: str, inclusive: bool
) -> None:
    sandbox = account(some_calls(), inclusive_to=inclusive)
    sandbox.project(11111).api_time_zone = clock
    result = connect()
    assert result.exit_code == 0
    assert measured(result)[CLOCK] == clock
    assert measured(result)[INCLUSIVE] == ("yes" if inclusive else "no")
    assert measured(result)[FIELDS] == "(none)"
    asked_around = [asked for _, asked in sandbox.requests if _length(asked) < timedelta(hours=1)]
    assert len(asked_around) <= 4
    with_clock = clock != "Europe/Kyiv"
    assert (",true,UTC\n" in file.read_text()) is with_clock
    (project,) = [one for one in read_projects() if one.project_id == 11111]
    assert project.api_time_zone.key == clock


def _length(asked: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(asked["to"]) - datetime.fromisoformat(asked["from"])


def test_the_offset_of_the_rows_may_be_the_clock(account: Callable[..., Sandbox]) -> None:
    calls = [
        call(
            f"{ago(hours=hours).astimezone(timezone(timedelta(hours=5))):%Y-%m-%dT%H:%M:%S%z}",
            str(hours),
        )
        for hours in range(2, 40)
    ]
    sandbox = account(calls)
    sandbox.project(11111).api_time_zone = "Etc/GMT-5"
    result = connect("--trust-time-zone")
    assert measured(result)[CLOCK] == "Etc/GMT-5"


@pytest.mark.parametrize(
    ("over_cap", "cap", "shown"),
    [
        ("none", 100, "are answered whole: 1[23]\\d in one answer"),
        ("cut_end", 100, "are cut at 100"),
        ("error", 100, "are refused .*no more than 100 calls.*"),
        ("cut_end", 60, "are cut at 60: set RINGOSTAT_ROW_CAP to 60"),
        ("cut_start", 60, "are cut at 60: set RINGOSTAT_ROW_CAP to 60"),
    ],
)
def test_the_cap_is_measured(
    account: Callable[..., Sandbox],
    monkeypatch: pytest.MonkeyPatch,
    over_cap: str,
    cap: int,
    shown: str,
) -> None:
    monkeypatch.setenv("RINGOSTAT_ROW_CAP", "100")
    sandbox = account(some_calls(days=20), row_cap=cap, over_cap=over_cap)
    look("RINGOSTAT_AUTH_KEY", KYIV, None)
    to_look = len(sandbox.requests)
    result = connect()
    assert result.exit_code == 0
    found = " ".join(re.findall(r"^│[^│]*│ +(.+?) +│$", result.stdout, re.MULTILINE))
    assert re.search(shown, found), result.stdout
    assert len(sandbox.requests) <= 2 * to_look + 8


def test_what_few_calls_do_not_show_is_said(account: Callable[..., Sandbox]) -> None:
    account([])
    result = connect("--project-id", "11111")
    unknown = "not measured: too few calls"
    assert measured(result) == dict.fromkeys((CLOCK, INCLUSIVE, FIELDS, CAP), unknown)


def test_a_clock_that_is_none_of_those_is_said_to_be_unknown(
    account: Callable[..., Sandbox],
) -> None:
    account(some_calls()).project(11111).api_time_zone = "Asia/Tokyo"
    result = connect()
    assert measured(result)[CLOCK].startswith("unknown: the sample call was not found")
    assert measured(result)[FIELDS] == "(none)"


def test_a_listed_project_is_checked_and_nothing_is_written(
    account: Callable[..., Sandbox], file: Path
) -> None:
    sandbox = account(some_calls())
    assert connect().exit_code == 0
    before = file.read_bytes()
    checked = ringostat("connect", "--check", "11111")
    assert (checked.exit_code, measured(checked)[CLOCK]) == (0, "Europe/Kyiv")
    sandbox.project(11111).api_time_zone = "UTC"
    checked = ringostat("connect", "--check", "11111")
    assert checked.exit_code == 1
    assert "set api_time_zone to UTC" in checked.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check", "33333"], "projects.csv has no project 33333"),
        (["--check", "22222", "--name", "x"], "give no other option"),
        (["--name", "x"], "give --name and --time-zone, or --check ID"),
    ],
)
def test_options_that_do_not_fit(arguments: list[str], message: str) -> None:
    result = ringostat("connect", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


# ------------------------------------------------------------------------------- what it refuses


@pytest.fixture
def refused(file: Path) -> Callable[[Result], str]:
    """What the command said, having exited with 2 and left the file as it was."""
    before = file.read_bytes()

    def check(result: Result) -> str:
        assert result.exit_code == 2
        assert file.read_bytes() == before
        assert KEY not in result.output
        return result.stderr

    return check


Refused = Callable[[Result], str]


def test_an_account_without_calls_needs_a_number(
    account: Callable[..., Sandbox], refused: Refused
) -> None:
    account([])
    assert "--project-id" in refused(connect())


def test_calls_that_do_not_tell_the_number(
    account: Callable[..., Sandbox], refused: Refused
) -> None:
    account([call(ago(hours=1), call_card="")])
    assert "--project-id" in refused(connect())


def test_the_key_of_a_listed_project(account: Callable[..., Sandbox], refused: Refused) -> None:
    account([call(ago(hours=1), call_card="https://app.example/?project_id=22222")])
    assert "project 22222 (Salon) is already in projects.csv" in refused(connect())


def test_the_variable_of_a_listed_project(
    account: Callable[..., Sandbox], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    account([call(ago(hours=1))])
    monkeypatch.setenv("SALON_KEY", KEY)
    said = refused(connect("--auth-key-env", "SALON_KEY"))
    assert "projects.csv already uses SALON_KEY for project 22222" in said


def test_a_number_that_is_not_the_accounts(
    account: Callable[..., Sandbox], refused: Refused
) -> None:
    account([call(ago(hours=1))])
    assert "belongs to project 11111" in refused(connect("--project-id", "5"))


def test_a_key_that_is_not_accepted(
    account: Callable[..., Sandbox], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    account([])
    monkeypatch.setenv("RINGOSTAT_AUTH_KEY", "wrong")
    assert "the key in RINGOSTAT_AUTH_KEY is not accepted" in refused(connect())


def test_a_key_that_is_not_set(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGOSTAT_AUTH_KEY")
    assert "RINGOSTAT_AUTH_KEY is not set" in refused(connect())


@pytest.mark.parametrize("zone", ["Kyiv", "Europe", "", "../etc/passwd"])
def test_a_zone_that_does_not_exist(refused: Refused, zone: str) -> None:
    assert "--time-zone" in refused(connect(zone=zone))


def test_a_zone_that_is_not_the_accounts(account: Callable[..., Sandbox], refused: Refused) -> None:
    account([call(ago(days=1))])
    result = connect(zone="Asia/Tokyo")
    said = refused(result)
    assert "no call has the time offset of Asia/Tokyo: nothing was added" in said
    assert "--trust-time-zone" in said
    assert "Ringostat project 11111" in result.stdout


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2101-01-01"])
def test_an_implausible_first_day(refused: Refused, day: str) -> None:
    assert "2000 to 2100" in refused(connect("--load-from", day))


@pytest.mark.parametrize(
    "card",
    [
        "?project_id=11111#tab",
        "?project_id=11111;x",
        "?old_project_id=5&project_id=11111",
        "?id=5&project_id=11111&x",
    ],
)
def test_the_number_is_read_from_cards_of_all_kinds(
    account: Callable[..., Sandbox], card: str
) -> None:
    account([call(ago(days=1), call_card=f"https://app.example/card/1/{card}")])
    assert "Ringostat project 11111\n" in connect().stdout


def test_a_key_in_place_of_its_variable(refused: Refused) -> None:
    assert "never the key itself" in refused(connect("--auth-key-env", KEY))


def test_a_faulty_file(account: Callable[..., Sandbox], file: Path) -> None:
    sandbox = account([call(ago(hours=1))])
    file.write_text(f"{HEADER}x\n")
    assert "projects.csv:2:1" in connect().stderr
    assert sandbox.requests == []
