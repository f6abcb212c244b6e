"""`ringostat channels check`, `suggest` and `impact`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from loader import ROOT, csv_file, database
from loader.commands import check, impact, seeds
from loader.commands.dbt import dbt
from loader.sandbox import SEEDS

from .calls import call
from .support import HEADER, Setting, ringostat

CHANNELS = ",".join(seeds.CHANNEL_COLUMNS) + "\n"
TAGS = ",".join(seeds.TAG_COLUMNS) + "\n"
COSTS = ",".join(seeds.COST_COLUMNS) + "\n"


@pytest.fixture
def folder(seeds: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seeds of one project, without channels, tags and costs; the working folder."""
    folder = seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true").parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    Path("static_channels.csv").write_text(CHANNELS)
    Path("kpi_tags.csv").write_text(TAGS)
    Path("channel_costs.csv").write_text(COSTS)
    return folder


def found(text: str, name: str = "static_channels.csv") -> list[str]:
    """The faults of a seed with this text, without their advice: `line:column: what`."""
    Path(name).write_text(text, newline="")
    lines = ringostat("channels", "check").stdout.splitlines()
    assert all(line.startswith(f"{name}:") for line in lines)
    return [line.removeprefix(f"{name}:") for line in lines]


@pytest.fixture(autouse=True)
def no_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless a test asks for a warehouse there is none: the developer's own is left alone."""
    monkeypatch.setenv("PGHOST", str(tmp_path))


# ------------------------------------------------------------------------------------------ check


@pytest.mark.parametrize("shipped", [ROOT / "seeds", SEEDS])
def test_the_seeds_that_are_shipped_are_right(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_SEEDS", str(shipped))
    result = ringostat("channels", "check")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("rows", "place", "what"),
    [
        ("x,dst,1,s,t,c,,", "2:1", "must be a project number"),
        ("22222,dst,1,s,t,c,,", "2:1", "22222 is not in projects.csv"),
        ("11111,Dst,1,s,t,c,,", "2:7", "must be one of n_alias, dst"),
        ("11111,dst,,s,t,c,,", "2:11", "parameter_value is empty"),
        ("11111,dst,null,s,t,c,,", "2:11", "the word null"),
        ("11111,dst,1,,t,c,,", "2:13", "traffic_source is empty"),
        ("11111,dst,1,s,,c,,", "2:15", "traffic_type is empty"),
        ("11111,dst,1,s,t,,,", "2:17", "campaign is empty"),
        ("11111,dst,1,s,t,c,2024-02-30,", "2:19", "'2024-02-30' must be a day"),
        ("11111,dst,1,s,t,c,,01.02.2024", "2:20", "'01.02.2024' must be a day"),
        ("11111,dst,1,s,t,c,10/1/2026,", "2:19", "as YYYY-MM-DD, e.g. 2024-01-31, or empty"),
        ("11111,dst,1,s,t,c,1999-12-31,", "2:19", "from 2000 to 2100"),
        ("11111,dst,1,s,t,c,,9999-12-31", "2:20", "from 2000 to 2100"),
        ("11111,dst,3.80E+11,s,t,c,,", "2:11", "3.80E+11 is a number that Excel rounded"),
        ('11111,n_alias,"3,80E+11",s,t,c,,', "2:15", "write all its digits"),
        ("11111,additional_number,1E+10,s,t,c,,", "2:25", "a number that Excel rounded"),
        ("11111,dst,1,s,t,c,2024-02-02,2024-02-01", "2:30", "before valid_from"),
        ("11111,dst,1,s,t,c,,\n11111,dst,1,x,y,z,2024-01-01,", "3:19", "static_channels.csv:2:1"),
        ("11111,dst,1,s,t,c,,2024-01-01\n11111,dst,1,s,t,c,2024-01-01,", "3:19", "overlap"),
        ("11111,dst,1,s,t,c,", "2:1", "7 cells, but the header names 8"),
        ("11111,dst,1,s,t,c,,,", "2:1", "9 cells, but the header names 8"),
        ('11111,dst,"1"x,s,t,c,,', "2:11", "written twice"),
        ('11111,dst,1,"s,t,c,,\n11111,dst,2,s,t,c,,', "2:13", "ends with a quote"),
    ],
)
def test_a_fault_of_a_channel_is_named_by_its_place(
    folder: Path, rows: str, place: str, what: str
) -> None:
    (fault,) = found(f"{CHANNELS}{rows}\n")
    assert fault.startswith(f"{place}: ")
    assert what in fault


@pytest.mark.parametrize(
    ("rows", "place", "what"),
    [
        ("11111,dst,1,x", "2:7", "must be one of category_number"),
        ("11111,tag,,x", "2:11", "parameter_value is empty"),
        ("11111,tag,1,", "2:13", "tag is empty"),
        ("33333,tag,1,x", "2:1", "not in projects.csv"),
        ("11111,tag,1,x\n11111,tag,1,x", "3:1", "duplicate of the row at kpi_tags.csv:2:1"),
    ],
)
def test_a_fault_of_a_tag_is_named_by_its_place(
    folder: Path, rows: str, place: str, what: str
) -> None:
    (fault,) = found(f"{TAGS}{rows}\n", "kpi_tags.csv")
    assert fault.startswith(f"{place}: ")
    assert what in fault


def test_all_faults_of_the_projects_are_shown_at_once(folder: Path) -> None:
    faults = found(f"{HEADER}1,a,k,Kyiv,x,2024,1\n1,b,,UTC,,2024-01-01,TRUE\n", "projects.csv")
    assert [fault.split()[0] for fault in faults] == [
        "2:5:", "2:7:", "2:12:", "2:14:", "2:19:", "3:1:",
    ]  # fmt: skip


def test_a_key_in_the_wrong_column_is_not_repeated(folder: Path) -> None:
    assert (
        "secret-key"
        not in found(f"{HEADER}1,a,secret-key,UTC,,2024-01-01,true\n", "projects.csv")[0]
    )


def test_loading_refuses_what_the_check_finds(folder: Path) -> None:
    faults = found(f"{HEADER}1,a,,Kyiv,x,2024-01-01,true\n", "projects.csv")
    result = ringostat("load")
    assert result.exit_code == 2
    assert len(faults) == 2
    assert all(fault in result.stderr for fault in faults)


def test_lines_are_those_of_the_file_where_cells_run_over_several(folder: Path) -> None:
    rows = '11111,dst,"a\r\nb",s,"t ""u""\r\n",,,\r\n11111,dst,2,s,t,,,\r\n'
    faults = found(CHANNELS.replace("\n", "\r\n") + rows)
    assert [fault.split()[0] for fault in faults] == ["3:6:", "4:3:", "5:17:"]
    assert "warning: traffic_type begins or ends with a space" in faults[0]


def test_faults_of_all_four_files_are_found_at_once(folder: Path) -> None:
    Path("projects.csv").write_text(f"{HEADER}11111,a,,Kyiv,,2024-01-01,true\n")
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,dst,1,,t,c,,\n")
    Path("kpi_tags.csv").write_text(f"{TAGS}1,tag,1,x\n")
    Path("channel_costs.csv").write_text(f"{COSTS}11111,s,t,c,2024-01-01,2024-01-31,free\n")
    result = ringostat("channels", "check")
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "projects.csv", "static_channels.csv", "kpi_tags.csv", "channel_costs.csv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (CHANNELS.replace("campaign", "Campaign").encode(), ":1:1: missing column campaign"),
        (CHANNELS.replace("campaign", "Campaign").encode(), ":1:66: unknown column 'Campaign'"),
        (CHANNELS.replace("campaign", "dst,dst").encode(), ":1:66: unknown column 'dst'"),
        (CHANNELS.replace("type", "source").encode(), ":1:53: duplicate column traffic_source"),
        (CHANNELS.encode() + b"\n", "static_channels.csv:2:1: empty line"),
        (CHANNELS.encode() + "11111,dst,1,ї,Щ".encode("cp1251"), ":2:13: not UTF-8"),
    ],
)
def test_a_file_that_is_not_valid_csv(folder: Path, content: bytes, fault: str) -> None:
    Path("static_channels.csv").write_bytes(content)
    result = ringostat("channels", "check")
    assert result.exit_code == 1
    assert fault in result.stdout


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "1:1: the first line must name the columns: project_id,parameter"),
        (b"\n" + CHANNELS.encode(), "1:1: the first line must name the columns"),
        (b"11111,dst,1,s,t,c,,\n", "1:1: the first line must name the columns"),
        (CHANNELS.replace(",", ";").encode(), "1:11: cells are separated by ;: save the file with"),
        (
            "\ufeff".encode() + (CHANNELS + "11111,dst,1,s,t,c,,\n" * 9).replace(",", ";").encode(),
            "1:11: cells are separated by ;",
        ),
        (CHANNELS.replace(",", "\t").encode(), "1:11: cells are separated by tabs"),
        ((CHANNELS + "11111,dst,ї\n" * 9).replace(",", ";").encode("cp1251"), "2:11: not UTF-8"),
        ((CHANNELS + "11111,dst,ї\n" * 9).encode("utf-16"), "1:1: not UTF-8: save the file as"),
        ((CHANNELS + "11111,dst,ї\n" * 9).encode("utf-16-le"), "1:1: not UTF-8"),
        (None, "1:1: the file does not exist: create it with the line project_id,parameter"),
    ],
)
def test_a_file_with_one_cause_has_one_fault(
    folder: Path, content: bytes | None, fault: str
) -> None:
    Path("static_channels.csv").unlink()
    if content is not None:
        Path("static_channels.csv").write_bytes(content)
    (line,) = ringostat("channels", "check").stdout.splitlines()
    assert line.startswith(f"static_channels.csv:{fault}")
    for command in ("export", "import"):
        result = ringostat("channels", command, "channels.xlsx")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.splitlines()[-1].endswith(line)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("11111,,,Europe/Kyiv,,2024-01-01,true", "2:7: project_name: must not be empty"),
        ("11111,null,,Europe/Kyiv,,2024-01-01,true", "2:7: project_name: must not be empty"),
        ("11111,a,,localtime,,2024-01-01,true", "2:10: time_zone: must be an IANA zone, e.g. "),
        ("11111,a,,posix/Europe/Kyiv,,2024-01-01,true", "2:10: time_zone: must be an IANA zone"),
        ("11111,a,,UTC,,01.10.2024,true", "2:15: load_from: '01.10.2024' must be a day"),
        ("11111,a,,UTC,,1024-01-01,true", "2:15: load_from: '1024-01-01' must be a day from 2000"),
        ("11111,a,,UTC,,Key4f1c,true", "2:15: load_from: must be a day from 2000 to 2100"),
        ("11111,a,,UTC,,2099-01-01,true", "2:15: warning: load_from: 2099-01-01 is in the future"),
    ],
)
def test_a_fault_of_a_project_is_named_by_its_place(folder: Path, row: str, fault: str) -> None:
    (line,) = found(f"{HEADER}{row}\n", "projects.csv")
    assert line.startswith(fault)


@pytest.mark.parametrize("number", ["+380 09 000 00 14", "+380441112233", "(044) 111-22-33"])
def test_a_number_that_never_matches_is_a_warning(folder: Path, number: str) -> None:
    (line,) = found(f"{CHANNELS}11111,dst,{number},s,t,c,,\n")
    assert line.startswith(f"2:11: warning: parameter_value: {number} never matches: the API gives")
    assert found(f"{CHANNELS}11111,pool_name,{number},s,t,c,,\n") == []


@pytest.mark.parametrize("number", ["380441112233", "101", "sip:name@example.com", "Main line"])
def test_numbers_that_may_match(folder: Path, number: str) -> None:
    assert found(f"{CHANNELS}11111,dst,{number},s,t,c,,\n") == []


def test_days_that_cannot_be_read_do_not_overlap(folder: Path) -> None:
    rows = "11111,dst,1,s,t,c,,01.02.2024\n11111,dst,1,s,t,c,02.02.2024,\n"
    assert len(found(CHANNELS + rows)) == 2


def test_a_missing_file(folder: Path) -> None:
    Path("kpi_tags.csv").unlink()
    assert "kpi_tags.csv:1:1: the file does not exist" in ringostat("channels", "check").stdout
    assert "file=kpi_tags.csv,line=1,col=1" in ringostat("channels", "check", "--github").stdout


def test_columns_in_another_order_and_a_byte_order_mark_are_no_fault(folder: Path) -> None:
    header = ",".join(reversed(seeds.TAG_COLUMNS))
    Path("kpi_tags.csv").write_text(f"\ufeff{header}\nLabel,5,category_mark,11111\n")
    assert ringostat("channels", "check").exit_code == 0


def test_a_space_at_an_end_is_a_warning(folder: Path) -> None:
    Path("static_channels.csv").write_text(f'{CHANNELS}11111,pool_name,"OLX ",s,t,c,,\n')
    result = ringostat("channels", "check")
    assert result.exit_code == 0
    assert "2:17: warning: parameter_value begins or ends with a space" in result.stdout


def test_annotations_for_github(folder: Path) -> None:
    Path("static_channels.csv").write_text(f'{CHANNELS}11111,"5%\n,"," x",s,t,c,,\n')
    result = ringostat("channels", "check", "--github")
    assert result.exit_code == 1
    error, warning = result.stdout.splitlines()
    assert error.startswith(
        "::error file=static_channels.csv,line=2,col=7::parameter: must be one of "
    )
    assert warning.startswith("::warning file=static_channels.csv,line=3,col=4::parameter_value")


def test_github_needs_some_letters_escaped() -> None:
    place = csv_file.Place(Path("a,b:c%.csv"), 1)
    assert (
        check.annotation(csv_file.Fault(place, "100%\r\n::"))
        == "::error file=a%2Cb%3Ac%25.csv,line=1,col=1::100%25%0D%0A::"
    )


def test_the_parameters_are_those_of_the_macros() -> None:
    def names(macro: str, pattern: str) -> tuple[str, ...]:
        return tuple(re.findall(pattern, (ROOT / f"macros/rules/{macro}.sql").read_text()))

    assert names("static_channel_parameters", r"'(\w+)'") == seeds.CHANNEL_PARAMETERS
    assert names("kpi_tag_parameters", r"'(\w+)':") == seeds.TAG_PARAMETERS


# ------------------------------------------------------------------------------- check: overrides

TOKENS = "{utm_source},{utm_medium},{utm_campaign}"


@pytest.fixture
def pools(conn: psycopg.Connection) -> psycopg.Connection:
    """The dynamic pool «Site» of project 11111, with 1,240 visits on two days, and others."""
    conn.execute(
        """
        create schema ringostat_intermediate;
        create table ringostat_intermediate.int_pools_daily (
            project_id bigint, pool_name text, conversion_date date, conversions bigint,
            conversions_with_visit bigint, is_dynamic boolean
        );
        insert into ringostat_intermediate.int_pools_daily values
            (11111, 'Site', '2024-01-31', 1300, 1200, true),
            (11111, 'Site', '2024-02-01', 50, 40, true),
            (11111, 'Site', '2024-03-01', 2, 0, true),
            (11111, 'Radio', '2024-01-31', 300, 20, false),
            (22222, 'Metro', '2024-01-31', 9, 9, true);
        """
    )
    return conn


@pytest.mark.parametrize(
    ("row", "calls"),
    [
        ("pool_name,Site,s,t,c,,", "1,240"),
        ("pool_name,Site,s,t,c,2024-02-01,", "40"),
        ("pool_name,Site,s,t,c,,2024-01-31", "1,200"),
        ("pool_name,Site,s,t,c,2024-03-01,", None),
        (f"pool_name,Site,{TOKENS},,", None),
        ("pool_name,Site,google,cpc,{utm_campaign},,", None),
        ("pool_name,site,s,t,c,,", None),
        ("pool_name,Radio,s,t,c,,", None),
        ("pool_name,Metro,s,t,c,,", None),
        ("department,Site,s,t,c,,", None),
    ],
)
def test_a_channel_that_would_override_the_utm_of_a_dynamic_pool_is_a_warning(
    folder: Path, pools: psycopg.Connection, row: str, calls: str | None
) -> None:
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,dst,1,s,t,c,,\n11111,{row}\n")
    result = ringostat("channels", "check")
    assert result.exit_code == 0
    assert result.stdout == (
        "static_channels.csv:3:17: warning: parameter_value: this pool is dynamic: the channel "
        f"would override the UTM of {calls} of its calls; the labels {{utm_source}}, "
        "{utm_medium}, {utm_campaign} keep it\n"
        if calls
        else ""
    )


def test_the_warning_changes_no_exit_code_and_stands_beside_faults(
    folder: Path, pools: psycopg.Connection
) -> None:
    rows = "11111,pool_name,Site,s,t,c,,\nx,pool_name,Site,s,t,c,01.02.2024,\n"
    Path("static_channels.csv").write_text(CHANNELS + rows)
    result = ringostat("channels", "check", "--github")
    assert result.exit_code == 1
    assert result.stderr == "2 faults, 1 warnings\n"
    assert result.stdout.splitlines()[-1].startswith(
        "::warning file=static_channels.csv,line=2,col=17::parameter_value: this pool is dynamic"
    )


@pytest.mark.parametrize(
    "change",
    [
        "drop table ringostat_intermediate.int_pools_daily",
        "alter table ringostat_intermediate.int_pools_daily rename is_dynamic to other",
        "drop schema ringostat_intermediate cascade",
    ],
)
def test_without_marts_nobody_is_warned(
    folder: Path, pools: psycopg.Connection, change: str
) -> None:
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,pool_name,Site,s,t,c,,\n")
    pools.execute(change)
    result = ringostat("channels", "check")
    assert (result.exit_code, result.output) == (0, "0 faults, 0 warnings\n")


def test_the_check_starts_no_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,pool_name,Site,s,t,c,,\n")
    monkeypatch.delenv("PGHOST")
    monkeypatch.setattr(database, "DATA", folder / ".postgres")
    result = ringostat("channels", "check")
    assert (result.exit_code, result.output) == (0, "0 faults, 0 warnings\n")
    assert not database.DATA.exists()


def test_a_database_that_does_not_answer_changes_nothing(folder: Path) -> None:
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,pool_name,Site,s,t,c,,\n")
    result = ringostat("channels", "check")
    assert (result.exit_code, result.output) == (0, "0 faults, 0 warnings\n")


# ---------------------------------------------------------------------------------------- suggest


@pytest.fixture
def marts(conn: psycopg.Connection) -> psycopg.Connection:
    """The mart that holds the suggestions."""
    conn.execute(
        """
        create schema ringostat_marts;
        create table ringostat_marts.rpt_unmapped_pools (
            project_id bigint, pool_name text, conversions bigint, first_conversion_at timestamptz,
            last_conversion_at timestamptz, suggested_value text, suggestion_reason text,
            seed_row text, conversions_by_utm bigint, is_dynamic boolean
        );
        """
    )
    return conn


def unmapped(
    marts: psycopg.Connection,
    seed_row: str,
    conversions: int = 1,
    near: tuple = (None, None),
    by_utm: int = 0,
    is_dynamic: bool = False,
) -> None:
    """A pool of project 11111."""
    marts.execute(
        "insert into ringostat_marts.rpt_unmapped_pools"
        " values (11111, %s, %s, '2024-01-01', '2024-02-01', %s, %s, %s, %s, %s)",
        [seed_row, conversions, *near, f"11111,pool_name,{seed_row}", by_utm, is_dynamic],
    )


def test_the_rows_of_the_mart_are_printed_near_misses_first_and_dynamic_pools_last(
    folder: Path, marts: psycopg.Connection
) -> None:
    unmapped(marts, f"site,{TOKENS},,", near=("Site", "case"), by_utm=1234, is_dynamic=True)
    unmapped(marts, f'"Two\nlines",{TOKENS},,', conversions=9, is_dynamic=True)
    unmapped(marts, "Billboard,,,,,", conversions=9, by_utm=3)
    unmapped(marts, '"Flyers, ""red""",flyers,offline,,,')
    two_rows = "2гис,2gis,maps,Card,,2024-06-30\n11111,pool_name,2гис,2gis,maps,New,2024-07-01,"
    unmapped(marts, two_rows, near=("2ГИС", "case"))
    unmapped(marts, "Radio,s,t,c,2024-03-01,2024-03-31", near=("Radio", "days"))
    result = ringostat("channels", "suggest")
    assert result.exit_code == 0
    assert result.stdout == (
        "11111,pool_name,2гис,2gis,maps,Card,,2024-06-30\n"
        "11111,pool_name,2гис,2gis,maps,New,2024-07-01,\n"
        "11111,pool_name,Radio,s,t,c,2024-03-01,2024-03-31\n"
        "11111,pool_name,Billboard,,,,,\n"
        '11111,pool_name,"Flyers, ""red""",flyers,offline,,,\n'
        "11111,pool_name,site,{utm_source},{utm_medium},{utm_campaign},,\n"
        '11111,pool_name,"Two\nlines",{utm_source},{utm_medium},{utm_campaign},,\n'
    )
    for hint in (
        "differs from the configured «2ГИС» in case only",
        "configured, but not from 2024-03-01 to 2024-03-31",
        "3 of its calls have UTM: a channel would override them\n",
        "all its calls carry these UTM values",
    ):
        assert hint in result.stderr
    static, dynamic = result.stderr.split(
        "Dynamic pools: any other row would override their calls'"
    )
    assert "«Flyers" in static
    assert (
        "1,234 of its calls have UTM: a channel would override them, this row keeps them" in dynamic
    )
    assert dynamic.endswith("most of its calls have a visit\nthen fill in the empty cells\n")


@pytest.mark.parametrize(
    "text",
    [
        f"{CHANNELS}11111,dst,1,s,t,c,,\n",
        f"{CHANNELS}11111,dst,1,s,t,c,,",
        CHANNELS.rstrip("\n"),
        f"{CHANNELS}11111,dst,1,s,t,c,,".replace("\n", "\r\n"),
    ],
)
def test_rows_are_appended_to_a_file_with_or_without_a_last_line_end(
    folder: Path, marts: psycopg.Connection, text: str
) -> None:
    unmapped(marts, "Billboard,s,t,c,,")
    Path("static_channels.csv").write_text(text, newline="")
    with (folder / "static_channels.csv").open("ab") as file:  # as the shell's >> does
        command = [sys.executable, "-m", "loader", "channels", "suggest"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=file)
    assert ringostat("channels", "check").stdout == ""
    seed = seeds.parse_channels()
    assert [row["parameter_value"] for row in seed.rows][-1] == "Billboard"
    assert Path("static_channels.csv").read_bytes().startswith(text.encode())


def test_the_cells_that_are_left_to_fill_in_are_told(
    folder: Path, marts: psycopg.Connection
) -> None:
    unmapped(marts, "Flyers,flyers,offline,,,")
    result = ringostat("channels", "suggest")
    assert result.stderr.endswith("\nthen fill in the empty cells\n")
    (fault,) = found(CHANNELS + result.stdout)
    assert fault == "2:39: campaign is empty: fill it in"
    marts.execute(
        "update ringostat_marts.rpt_unmapped_pools set seed_row = replace(seed_row, ',,,', ',c,,')"
    )
    assert "fill in" not in ringostat("channels", "suggest").stderr


def test_control_characters_of_a_pool_reach_the_csv_and_not_the_terminal(
    folder: Path, marts: psycopg.Connection
) -> None:
    unmapped(marts, "\x1b[31mRed\x9b\x07,s,t,c,,")
    result = ringostat("channels", "suggest")
    assert "«\\x1b[31mRed\\x9b\\x07»" in result.stderr
    assert result.stdout == "11111,pool_name,\x1b[31mRed\x9b\x07,s,t,c,,\n"
    master, terminal = os.openpty()
    with os.fdopen(master, "rb") as screen:
        subprocess.run(
            [sys.executable, "-m", "loader", "channels", "suggest"],
            check=True, cwd=ROOT, stdout=terminal, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert screen.readline() == b"11111,pool_name,\\x1b[31mRed\\x9b\\x07,s,t,c,,\r\n"
    os.close(terminal)


def test_marts_that_are_not_built(folder: Path, warehouse: dict[str, str]) -> None:
    result = ringostat("channels", "suggest")
    assert result.exit_code == 2
    assert "`ringostat run` first" in result.stderr


# ----------------------------------------------------------------------------------------- impact


def commit(folder: Path) -> None:
    names = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    for command in (["init", "-q"], ["add", "."], [*names, "commit", "-qm", "seeds"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def test_a_revision_that_does_not_exist(folder: Path, conn: psycopg.Connection) -> None:
    conn.execute(
        "create schema ringostat_staging;"
        "create table ringostat_staging.stg_ringostat__calls ();"
        "create table ringostat_staging.stg_ringostat__forms ();"
        "create table ringostat_staging.stg_ads__spend ();"
    )
    commit(folder)
    for revision in ("nowhere", "--help"):
        result = ringostat("channels", "impact", "--base", revision)
        assert result.exit_code == 2
        assert f"--base {revision}" in result.stderr


def test_without_git(
    folder: Path, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute(
        "create schema ringostat_staging;"
        "create table ringostat_staging.stg_ringostat__calls ();"
        "create table ringostat_staging.stg_ringostat__forms ();"
        "create table ringostat_staging.stg_ads__spend ();"
    )
    monkeypatch.setenv("PATH", str(folder))
    result = ringostat("channels", "impact", "--base", "HEAD")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "git cannot be run in " in line
    assert line.endswith(": git")


def test_a_warehouse_that_was_never_built(folder: Path, warehouse: dict[str, str]) -> None:
    result = ringostat("channels", "impact", "--base", "HEAD")
    assert result.exit_code == 2
    assert "`ringostat run` first" in result.stderr


def impact_rows(output: str) -> list[list[str]]:
    """The rows of both tables, without the project."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[2:-1]]
        for line in output.splitlines()
        if line.startswith("| 11111")
    ]


@pytest.mark.slow
def test_what_an_edit_moves(setting: Setting, folder: Path) -> None:
    """On real marts. What is committed maps one pool; the edit maps another and adds a tag."""
    Path("static_channels.csv").write_text(f"{CHANNELS}11111,pool_name,A,s,t,Old,,\n")
    Path("projects.csv").write_text(f"{HEADER}11111,Clinic | Київ,,Europe/Kyiv,,2024-01-01,true\n")
    commit(folder)
    pools = {"A": 3, "B": 2, "C": 1}
    setting.project.calls = [
        call(datetime(2024, 3, 1, 12, n), f"{pool}{n}", pool_name=pool, category_mark=5)
        for pool, count in pools.items()
        for n in range(count)
    ]
    assert setting.load().exit_code == 0
    assert dbt("build", "--quiet", "--exclude-resource-type", "test", "unit_test") == 0

    Path("static_channels.csv").write_text(
        f"{CHANNELS}11111,pool_name,A,s,t,New,,\n11111,pool_name,B,s,t,New,2024-03-01,\n"
    )
    Path("kpi_tags.csv").write_text(f"{TAGS}11111,category_mark,5,Good\n")
    result = ringostat("channels", "impact", "--base", "HEAD")
    assert result.exit_code == 0
    assert "spend" not in result.stdout
    assert impact_rows(result.stdout) == [
        ["Old", "New", "3"],
        ["Неизвестная кампания", "New", "2"],
        ["New", "0 → 5", "0 → 5", "0 → 5"],
        ["Old", "3 → 0", "0", "3 → 0"],
        ["Неизвестная кампания", "3 → 1", "0 → 1", "3 → 1"],
    ]
    schemas = "select nspname from pg_namespace where nspname like '%impact%'"
    assert setting.conn.execute(schemas).fetchall() == []
    built = "select count(*) from ringostat_marts.fct_conversions where campaign = 'Old'"
    assert setting.conn.execute(built).fetchone() == (3,)


@pytest.mark.slow
def test_what_an_edit_moves_in_money(setting: Setting, folder: Path) -> None:
    """The edit gives a billboard another campaign and cost, the radio its first cost, and takes the
    conversions of a platform's campaign, which spend shows by its name there.
    """
    commit(folder)
    pools = {"Billboard": 3, "Radio": 4, "Web": 2}
    setting.project.calls = [
        call(datetime(2024, 3, 1, 12, n), f"{pool}{n}", pool_name=pool)
        for pool, count in pools.items()
        for n in range(count)
    ]
    assert setting.load().exit_code == 0
    channels = (
        f"{CHANNELS}11111,pool_name,Billboard,s,t,{{}},,\n"
        "11111,pool_name,Radio,radio,t,Radio,,\n11111,pool_name,Web,google,cpc,{},,\n"
    )
    Path("static_channels.csv").write_text(channels.format("Old", "987"))
    Path("channel_costs.csv").write_text(f"{COSTS}11111,s,t,Old,2024-03-01,2024-03-31,1000\n")
    commit(folder)
    assert dbt("build", "--quiet", "--exclude-resource-type", "test", "unit_test") == 0

    # As if the var ringostat_ad_spend named a table: impact reads the staged rows.
    setting.conn.execute(
        "insert into ringostat_staging.stg_ads__spend (campaign_key, date_day, platform,"
        " campaign_id, campaign_name, utm_source, utm_medium, utm_campaign, spend)"
        " values (gen_random_uuid(), '2024-03-01', 'google_ads', '987', 'Sale', '', '', '', 50.12)"
    )
    Path("static_channels.csv").write_text(channels.format("New", "Site"))
    Path("channel_costs.csv").write_text(
        f"{COSTS}11111,s,t,New,2024-03-01,2024-03-31,1300\n"
        "11111,radio,t,Radio,2024-03-01,2024-03-02,10\n"
        "11111,radio,t,Radio,2099-03-01,2099-03-02,70\n"  # nobody can have called yet
    )
    result = ringostat("channels", "impact", "--base", "HEAD")
    assert result.exit_code == 0, result.output
    assert "spend" in result.stdout
    assert "cost per conversion" in result.stdout
    assert impact_rows(result.stdout) == [
        ["Old", "New", "3"],
        ["987", "Site", "2"],
        ["New", "0 → 3", "0", "0 → 3", "– → 1,300.00", "– → 433.33"],
        ["Old", "3 → 0", "0", "3 → 0", "1,000.00 → –", "333.33 → –"],
        ["Radio", "4", "0", "4", "– → 10.00", "– → 2.50"],
        ["Sale", "2 → 0", "0", "2 → 0", "50.12", "25.06 → –"],
        ["Site", "0 → 2", "0", "0 → 2", "–", "–"],
    ]


def test_campaigns_with_spend() -> None:
    """Spend without a project, spend without conversions, and what stays is left out."""
    table = impact.campaigns(
        impact.Impact(
            [],
            [
                impact.Campaign(None, None, "Sale", spend=Decimal(5)),
                impact.Campaign(1, "Old name", "A", 2, 1, 1, Decimal("0.125")),
                impact.Campaign(1, "Old name", "B", 2, 1, 1, Decimal("7")),
            ],
            [
                impact.Campaign(1, "Name", "A", 2, 1, 2, Decimal("0.125")),
                impact.Campaign(1, "Name", "B", 2, 1, 1, Decimal("7.00")),
                impact.Campaign(1, "Name", "Sale", spend=Decimal(5)),
            ],
            is_spend_known=True,
        )
    )
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert rows == [
        ("(no project)", "Sale", "0", "0", "0", "5.00 → –", "–"),
        ("1 Name", "A", "2", "1", "1 → 2", "0.12", "0.13 → 0.06"),
        ("1 Name", "Sale", "0", "0", "0", "– → 5.00", "–"),
    ]
