"""`ringostat channels export` and `import`: a workbook there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from random import Random
from time import monotonic
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
import pytest
from click.testing import Result
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Border, Side
from openpyxl.worksheet.worksheet import Worksheet

from loader import forms
from loader.commands import xlsx
from loader.commands.seeds import (
    CHANNEL_COLUMNS,
    CHANNEL_LABELS,
    CHANNEL_PARAMETERS,
    CHANNEL_TOKENS,
    COST_COLUMNS,
)
from loader.commands.suggest import Suggestion
from loader.errors import ConfigurationError

from .support import ringostat

HEADER = ",".join(CHANNEL_COLUMNS) + "\n"
ROWS = '''\
11111,dst,380441112233,radio,offline,Radio,,
11111,pool_name,"Flyers, ""red""",flyers,offline,Flyers,,2024-06-30
11111,pool_name,"Flyers, ""red""",flyers,offline,Flyers,2024-07-01,
22222,pool_name,2ГИС,2gis,maps,Card,,
'''
COST_HEADER = ",".join(COST_COLUMNS) + "\n"
COST_ROWS = """\
11111,radio,offline,Radio,2024-01-01,2024-01-31,15000.50
11111,radio,offline,Radio,2024-02-01,2024-02-29,15000
22222,2gis,maps,Card,2024-01-01,2024-12-31,900
"""
NOTHING = (
    "static_channels.csv: 0 added, 0 changed, 0 removed\n"
    "channel_costs.csv: 0 added, 0 changed, 0 removed\n"
)


@pytest.fixture(autouse=True)
def folder(seeds: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two projects, four channels, and no warehouse; the working folder."""
    folder = seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true", "22222,Salon,K,Asia/Almaty,,2024-01-01,true"
    ).parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PGHOST", str(folder))
    write(HEADER + ROWS)
    return folder


def write(text: str) -> None:
    Path("static_channels.csv").write_bytes(text.encode())


def read() -> str:
    return Path("static_channels.csv").read_bytes().decode()


def edit(change: Callable[[Worksheet, Workbook], object]) -> None:
    """Exports, and changes the sheet of channels as a user would."""
    assert ringostat("channels", "export", "channels.xlsx").exit_code == 0
    workbook = load_workbook("channels.xlsx")
    change(workbook[xlsx.CHANNELS_SHEET], workbook)
    workbook.save("channels.xlsx")


def import_it(*arguments: str) -> Result:
    return ringostat("channels", "import", "channels.xlsx", *arguments)


def refused() -> list[str]:
    """What the import refuses, having written nothing."""
    before = read()
    result = import_it("--yes")
    assert result.exit_code == 2
    assert read() == before
    return result.stderr.removeprefix("Error: ").splitlines()


# ------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS,
        HEADER,
        (HEADER + ROWS).replace("\n", "\r\n"),
        "\ufeff" + HEADER + ROWS.removesuffix("\n"),
        HEADER + '"11111","dst","1","s","t","c","",""\n11111,dst,"0",s,t,c,,\n',
        "campaign,traffic_type,traffic_source,parameter_value,parameter,project_id,valid_to,"
        "valid_from\nc,t,s,1,dst,11111,,2024-01-01\n",
        HEADER + '11111,pool_name,"OLX ",s,t," c",,\n11111,pool_name,"two\nlines",s,t,c,,\n',
        HEADER + '11111,pool_name,"cr\rcrlf\r\n_x000D_ \x01",s,t,c,,\n',
        HEADER + "11111,dst,=1+1,+s,-t,@c,,\n11111,dst,007,1.50,TRUE,#N/A,,\n",
        HEADER + "11111,dst,380441112233445566778899,1e5,2024-01-01,12:30,,\n",
    ],
)
def test_a_round_trip_changes_no_byte(text: str) -> None:
    write(text)
    edit(lambda sheet, workbook: None)
    result = import_it()
    assert (result.exit_code, result.stdout) == (0, NOTHING)
    assert read() == text


def test_a_sheet_in_another_order_changes_nothing() -> None:
    def turn(sheet: Worksheet, _: Workbook) -> None:
        rows = list(sheet.iter_rows(min_row=2, values_only=True))
        for number, row in enumerate(reversed(rows), 2):
            for column, value in enumerate(row, 1):
                sheet.cell(number, column).value = value

    edit(turn)
    assert import_it().exit_code == 0
    assert read() == HEADER + ROWS


# ----------------------------------------------------------------------------------------- export


def test_the_workbook_is_ready_to_be_edited() -> None:
    edit(lambda sheet, workbook: None)
    workbook = load_workbook("channels.xlsx")
    sheet = workbook["static_channels"]
    assert [cell.value for cell in sheet[1]] == list(CHANNEL_COLUMNS)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:H5"
    assert sheet.column_dimensions["C"].width > 30
    assert sheet.column_dimensions["C"].number_format == "@"
    assert {(cell.number_format, cell.data_type) for cell in sheet["C"][1:]} == {("@", "s")}
    lists = workbook["lists"]
    assert lists.sheet_state == "hidden"
    ranges = {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}
    assert ranges == {"A2:A10000": "lists!$A$1:$A$2", "B2:B10000": "lists!$B$1:$B$11"}
    assert [cell.value for cell in lists["A"] if cell.value] == ["11111", "22222"]
    assert [cell.value for cell in lists["B"]] == list(CHANNEL_PARAMETERS)


def test_text_that_looks_like_a_formula_stays_text() -> None:
    write(HEADER + "11111,dst,=1+1,+s,-t,@c,,\n")
    edit(lambda sheet, workbook: None)
    row = load_workbook("channels.xlsx")["static_channels"][2]
    assert [(cell.data_type, cell.quotePrefix) for cell in row[2:6]] == [("s", True)] * 4


def test_without_a_warehouse_the_channels_are_exported_all_the_same() -> None:
    result = ringostat("channels", "export", "channels.xlsx")
    assert result.exit_code == 0
    assert "the workbook lists no unmapped pools" in result.stderr


def pool(name: str, meant: str | None = None, is_dynamic: bool = False) -> Suggestion:
    cells = dict.fromkeys(CHANNEL_COLUMNS, "")
    cells |= {"project_id": "11111", "parameter": "pool_name", "parameter_value": name}
    reason = "case" if meant else None
    return Suggestion(cells, 7, date(2024, 1, 1), date(2024, 2, 1), meant, reason, 0, is_dynamic)


def test_a_pool_becomes_a_channel_when_its_labels_are_filled_in() -> None:
    pools = [pool("OLX "), pool("=Bazaar"), pool("2гис", "2ГИС")]
    xlsx.export(Path("channels.xlsx"), ["11111", "22222"], pools)
    assert import_it().stdout == NOTHING

    workbook = load_workbook("channels.xlsx")
    sheet = workbook["unmapped_pools"]
    assert sheet["M4"].value == (
        "differs from the configured «2ГИС» in case only; correct that row or add this one"
    )
    for column, label in zip("DEF", ("olx", "classified", "Ads"), strict=True):
        sheet[f"{column}2"] = label
    workbook.save("channels.xlsx")
    added = '11111,pool_name,"OLX ",olx,classified,Ads,,\n'
    assert import_it("--yes").stdout.startswith(f"+ {added}")
    head, tail = ROWS.split("22222")
    assert read() == f"{HEADER}{head}{added}22222{tail}"


def test_dynamic_pools_are_marked_and_their_hint_names_the_labels() -> None:
    site = pool("Site", is_dynamic=True)
    tokens = dict(zip(CHANNEL_LABELS, CHANNEL_TOKENS, strict=False))
    site = replace(site, cells={**site.cells, **tokens}, by_utm=4154)
    xlsx.export(Path("channels.xlsx"), ["11111"], [pool("OLX"), site])
    sheet = load_workbook("channels.xlsx")["unmapped_pools"]
    assert [cell.value for cell in sheet["I"]] == ["kind", "static", "dynamic"]
    assert [sheet.cell(3, column).value for column in (4, 5, 6)] == [None] * 3
    assert sheet["M3"].value == (
        "most of its calls have a visit; 4,154 of its calls have UTM: a channel would override "
        "them, this row keeps them: {utm_source}, {utm_medium}, {utm_campaign}"
    )


def test_new_and_changed_channels_that_would_override_the_utm_of_a_dynamic_pool_are_warned_of(
    conn: psycopg.Connection,
) -> None:
    conn.execute(
        """
        create schema ringostat_intermediate;
        create table ringostat_intermediate.int_pools_daily as
        select 11111::bigint as project_id, pool_name, date '2024-01-01' as conversion_date,
            5000::bigint as conversions_with_visit, true as is_dynamic
        from unnest(array['Kept', 'New', 'Edited', 'Token']) as pool_name
        """
    )
    before = f"{HEADER}11111,pool_name,Edited,s,t,c,,\n11111,pool_name,Kept,s,t,c,,\n"
    write(before)

    def change(sheet: Worksheet, _: Workbook) -> None:
        sheet["F2"] = "Other"
        for row, (name, label) in enumerate([("New", "x"), ("Token", "{utm_source}")], 4):
            for column, text in enumerate(["11111", "pool_name", name, label, "y", "z"], 1):
                sheet.cell(row, column, text)

    edit(change)
    result = import_it("--yes")
    assert result.exit_code == 0
    places = [line.split(": warning: ")[0] for line in result.stderr.splitlines()]
    assert places == [
        f"channels.xlsx: sheet static_channels, row {row}, column C" for row in (2, 4)
    ]
    assert "this pool is dynamic: the channel would override the UTM of 5,000" in result.stderr
    assert len(read().splitlines()) == 5

    edit(lambda sheet, workbook: None)
    assert import_it("--yes").stderr == ""


def test_a_pool_with_some_of_its_labels_is_refused() -> None:
    xlsx.export(Path("channels.xlsx"), ["11111"], [pool("OLX")])
    workbook = load_workbook("channels.xlsx")
    workbook["unmapped_pools"]["D2"] = "olx"
    workbook.save("channels.xlsx")
    assert refused() == [
        "channels.xlsx: sheet unmapped_pools, row 2, column E: traffic_type is empty: fill it in",
        "channels.xlsx: sheet unmapped_pools, row 2, column F: campaign is empty: fill it in",
    ]


# ----------------------------------------------------------------------------------------- import


def test_what_changes_is_shown_and_nothing_else_is_touched() -> None:
    def change(sheet: Worksheet, _: Workbook) -> None:
        sheet["F3"] = "New flyers"
        for column, text in enumerate(["11111", "dst", "100", "x", "y", "z"], 1):
            sheet.cell(6, column, text)
        sheet.delete_rows(5)

    edit(change)
    result = import_it("--yes")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        '- 11111,pool_name,"Flyers, ""red""",flyers,offline,Flyers,,2024-06-30',
        '+ 11111,pool_name,"Flyers, ""red""",flyers,offline,New flyers,,2024-06-30',
        "- 22222,pool_name,2ГИС,2gis,maps,Card,,",
        "+ 11111,dst,100,x,y,z,,",
        "static_channels.csv: 1 added, 1 changed, 1 removed",
        "channel_costs.csv: 0 added, 0 changed, 0 removed",
    ]
    first, second, third, _ = ROWS.splitlines(keepends=True)
    changed = second.replace("offline,Flyers", "offline,New flyers")
    assert read() == f"{HEADER}11111,dst,100,x,y,z,,\n{first}{changed}{third}"


def test_without_a_terminal_it_does_not_ask() -> None:
    edit(lambda sheet, workbook: sheet.delete_rows(5))
    result = import_it()
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert read() == HEADER + ROWS


def test_an_answer_is_asked_for_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    edit(lambda sheet, workbook: sheet.delete_rows(5))
    monkeypatch.setattr("loader.commands.cli._need_terminal", lambda flag: None)
    assert ringostat("channels", "import", "channels.xlsx", typed="n\n").exit_code == 1
    assert read() == HEADER + ROWS
    assert ringostat("channels", "import", "channels.xlsx", typed="y\n").exit_code == 0
    assert "22222" not in read()


@pytest.mark.parametrize(
    ("cell", "value", "what"),
    [
        ("C2", datetime(2024, 3, 1), "Excel turned this into the date 2024-03-01"),
        ("G2", datetime(2024, 3, 1, 12), "Excel turned this into the date 2024-03-01 12:00:00"),
        ("G2", time(12, 30), "Excel turned this into the date 12:30:00"),
        ("G2", 45352, "Excel turned this into the number 45352"),
        ("C2", 4.93e11, "Excel turned this into the number 493000000000"),
        ("C2", 10**15 + 1, "Excel turned this into the number 1000000000000001"),
        ("C3", 380441112233, "Excel turned this into the number 380441112233"),
        ("F2", "a_x0000_", "a character that CSV cannot hold"),
        ("F2", "a_xD800_", "a character that CSV cannot hold"),
        ("C2", 1.5, "Excel turned this into the number 1.5"),
        ("C2", "4.93E+11", "Excel turned a number into 4.93E+11"),
        ("C2", "4,93E+11", "Excel turned a number into 4,93E+11"),
        ("F2", True, "Excel turned this into the number True"),
        ("C2", "Radio ", "a space at the beginning or the end"),
        ("F2", "\u00a0Radio", "a space at the beginning or the end"),
        ("C2", "=A2", "a formula"),
        ("C2", "#REF!", "the error #REF!"),
        ("B2", "Dst", "one of n_alias"),
        ("A2", "33333", "33333 is not in projects.csv"),
        ("F2", None, "campaign is empty"),
        ("G2", "01.02.2024", "must be a day"),
        ("G5", "2024-13-01", "must be a day"),
        ("H3", None, "overlap"),
    ],
)
def test_what_excel_mangled_is_refused_by_its_cell(cell: str, value: object, what: str) -> None:
    def mangle(sheet: Worksheet, _: Workbook) -> None:
        sheet[cell] = value

    edit(mangle)
    (fault,) = refused()
    row, column = cell[1], "G" if cell == "H3" else cell[0]
    row = "4" if cell == "H3" else row
    assert fault.startswith(f"channels.xlsx: sheet static_channels, row {row}, column {column}: ")
    assert what in fault


def test_a_projects_number_may_be_a_number() -> None:
    def change(sheet: Worksheet, _: Workbook) -> None:
        sheet["A2"] = 11111

    edit(change)
    assert import_it().stdout == NOTHING


def test_a_tracking_number_may_be_a_number_and_a_day_a_date() -> None:
    def change(sheet: Worksheet, _: Workbook) -> None:
        sheet["C2"] = 380441112233
        sheet["H3"] = datetime(2024, 6, 30)
        sheet["G4"] = date(2024, 7, 1)

    edit(change)
    assert import_it().stdout == NOTHING


def test_the_name_of_a_workbook_must_end_with_xlsx() -> None:
    result = ringostat("channels", "export", "static_channels.csv")
    assert result.exit_code == 2
    assert "static_channels.csv: the name must end with .xlsx" in result.stderr
    assert read() == HEADER + ROWS


# ------------------------------------------------------------------------------- stale workbooks


def relabel(sheet: Worksheet, _: Workbook) -> None:
    sheet["F2"] = "New radio"


def test_a_workbook_of_an_older_csv_is_refused() -> None:
    edit(relabel)
    colleagues = HEADER + ROWS + "22222,pool_name,A,a,b,c,,\n"
    write(colleagues)
    (line,) = refused()
    assert line == (
        "channels.xlsx was not exported from static_channels.csv as it is now, and would undo what "
        "was changed there since: export again and repeat the edit, or use --force"
    )
    result = import_it("--force", "--yes")
    assert result.exit_code == 0
    assert "- 22222,pool_name,A,a,b,c,," in result.stdout
    assert read() == HEADER + ROWS.replace(",Radio,", ",New radio,")


def test_only_the_rows_of_the_csv_make_a_workbook_old() -> None:
    edit(relabel)
    first, *others = ROWS.splitlines()
    write("\r\n".join(["\ufeff" + HEADER.rstrip(), *others, first.replace("radio", '"radio"'), ""]))
    assert import_it("--yes").exit_code == 0
    assert import_it("--yes").stdout == NOTHING


def test_a_workbook_made_by_hand_needs_force() -> None:
    workbook = Workbook()
    workbook.active.title = xlsx.CHANNELS_SHEET
    workbook.active.append(CHANNEL_COLUMNS)
    workbook.active.append(["11111", "dst", "100", "x", "y", "z"])
    workbook.save("channels.xlsx")
    assert "--force" in refused()[0]
    assert import_it("--force", "--yes").exit_code == 0
    assert read() == HEADER + "11111,dst,100,x,y,z,,\n"


# ------------------------------------------------------------------------------------------ costs


@pytest.fixture
def costs() -> Path:
    """Three costs, which the workbook has too."""
    file = Path("channel_costs.csv")
    file.write_text(COST_HEADER + COST_ROWS)
    return file


def edit_costs(change: Callable[[Worksheet], object]) -> None:
    edit(lambda _, workbook: change(workbook[xlsx.COSTS_SHEET]))


def test_costs_are_exported_as_text(costs: Path) -> None:
    edit(lambda sheet, workbook: None)
    sheet = load_workbook("channels.xlsx")["channel_costs"]
    assert [cell.value for cell in sheet[1]] == list(COST_COLUMNS)
    assert [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)] == [
        row.split(",") for row in COST_ROWS.splitlines()
    ]
    assert {(cell.number_format, cell.data_type) for cell in sheet["G"][1:]} == {("@", "s")}
    (rule,) = sheet.data_validations.dataValidation
    assert (str(rule.sqref), rule.formula1) == ("A2:A10000", "lists!$A$1:$A$2")
    assert import_it().stdout == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        COST_HEADER.replace("\n", "\r\n") + COST_ROWS.replace("\n", "\r\n"),
        "\ufeff" + COST_HEADER + COST_ROWS.removesuffix("\n"),
        "cost,ends_on,starts_on,campaign,traffic_type,traffic_source,project_id\n"
        '"0.5",2024-01-02,2024-01-01," c",t,=1+1,11111\n',
    ],
)
def test_a_round_trip_of_costs_changes_no_byte(costs: Path, text: str) -> None:
    costs.write_bytes(text.encode())
    edit(lambda sheet, workbook: None)
    assert import_it("--yes").stdout == NOTHING
    assert costs.read_bytes().decode() == text


def test_both_files_are_shown_and_written(costs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(sheet: Worksheet, workbook: Workbook) -> None:
        sheet["F2"] = "New radio"
        paid = workbook[xlsx.COSTS_SHEET]
        paid["G3"] = "16000"
        paid.delete_rows(4)
        new = ["11111", "olx", "ads", "A", "2024-03-01", "2024-03-31", "10.5"]
        for column, text in enumerate(new, 1):
            paid.cell(4, column, text)

    edit(change)
    monkeypatch.setattr("loader.commands.cli._need_terminal", lambda flag: None)
    asked = ringostat("channels", "import", "channels.xlsx", typed="n\n")
    assert asked.exit_code == 1
    for file in ("static_channels.csv", "channel_costs.csv"):
        assert file in asked.stderr
    assert (read(), costs.read_text()) == (HEADER + ROWS, COST_HEADER + COST_ROWS)
    assert import_it("--yes").stdout.splitlines() == [
        "- 11111,dst,380441112233,radio,offline,Radio,,",
        "+ 11111,dst,380441112233,radio,offline,New radio,,",
        "static_channels.csv: 0 added, 1 changed, 0 removed",
        "- 11111,radio,offline,Radio,2024-02-01,2024-02-29,15000",
        "+ 11111,radio,offline,Radio,2024-02-01,2024-02-29,16000",
        "- 22222,2gis,maps,Card,2024-01-01,2024-12-31,900",
        "+ 11111,olx,ads,A,2024-03-01,2024-03-31,10.5",
        "channel_costs.csv: 1 added, 1 changed, 1 removed",
    ]
    assert "New radio" in read()
    first, *_ = COST_ROWS.splitlines(keepends=True)
    assert costs.read_text() == (
        f"{COST_HEADER}11111,olx,ads,A,2024-03-01,2024-03-31,10.5\n{first}"
        "11111,radio,offline,Radio,2024-02-01,2024-02-29,16000\n"
    )


def test_excels_days_and_amounts_are_taken_where_they_are_certain(costs: Path) -> None:
    def change(sheet: Worksheet) -> None:
        sheet["A2"] = 11111
        sheet["E2"] = date(2024, 1, 1)
        sheet["F2"] = datetime(2024, 1, 31)
        sheet["G2"] = 15000.5
        sheet["G3"] = 15000

    edit_costs(change)
    assert import_it().stdout == NOTHING
    edit_costs(lambda sheet: sheet.cell(2, 7, 1999.9))
    assert "\n+ 11111,radio,offline,Radio,2024-01-01,2024-01-31,1999.90\n" in (
        import_it("--yes").stdout
    )


@pytest.mark.parametrize(
    ("cell", "value", "what"),
    [
        ("G2", 0.125, "Excel turned this into the number 0.125"),
        ("G2", True, "Excel turned this into the number True"),
        ("G2", datetime(2024, 5, 1), "Excel turned this into the date 2024-05-01"),
        ("G2", "1.5E+06", "Excel turned a number into 1.5E+06"),
        ("G2", "=A2", "a formula: paste its value"),
        ("G2", "15 000,50", "cost: must be an amount of money"),
        ("G2", -5, "cost: must be an amount of money"),
        ("G2", 1e15, "cost: must be an amount of money"),
        ("G2", None, "cost: must be an amount of money"),
        ("E2", 45352, "Excel turned this into the number 45352"),
        ("E2", datetime(2024, 1, 1, 12), "Excel turned this into the date 2024-01-01 12:00:00"),
        ("F2", "31.01.2024", "must be a day"),
        ("D2", "Radio ", "a space at the beginning or the end"),
        ("D2", 7, "Excel turned this into the number 7"),
        ("A2", 33333, "33333 is not in projects.csv"),
        ("E3", "2024-01-31", "overlap"),
    ],
)
def test_what_is_wrong_with_a_cost_is_named_by_its_cell(
    costs: Path, cell: str, value: object, what: str
) -> None:
    def mangle(sheet: Worksheet) -> None:
        sheet[cell] = value

    edit_costs(mangle)
    (fault,) = refused()
    place = f"row {cell[1]}, column {cell[0]}"
    assert fault.startswith(f"channels.xlsx: sheet channel_costs, {place}: ")
    assert what in fault
    assert costs.read_text() == COST_HEADER + COST_ROWS


def test_faults_of_both_sheets_are_shown_at_once(costs: Path) -> None:
    def mangle(sheet: Worksheet, workbook: Workbook) -> None:
        sheet["F2"] = None
        workbook[xlsx.COSTS_SHEET]["G2"] = 0.125

    edit(mangle)
    assert [line.split(",")[0] for line in refused()] == [
        "channels.xlsx: sheet static_channels",
        "channels.xlsx: sheet channel_costs",
    ]


def test_a_workbook_of_an_earlier_release_leaves_the_costs_alone(costs: Path) -> None:
    def as_before(sheet: Worksheet, workbook: Workbook) -> None:
        relabel(sheet, workbook)
        del workbook[xlsx.COSTS_SHEET]
        workbook["lists"]["C2"] = None

    edit(as_before)
    costs.write_text(COST_HEADER)
    result = import_it("--yes")
    assert result.exit_code == 0
    assert result.stdout.endswith("\nstatic_channels.csv: 0 added, 1 changed, 0 removed\n")
    assert "New radio" in read()
    assert costs.read_text() == COST_HEADER


def test_a_workbook_of_older_costs_is_refused(costs: Path) -> None:
    edit_costs(lambda sheet: sheet.delete_rows(4))
    costs.write_text(COST_HEADER + COST_ROWS.replace(",900", ",950"))
    (line,) = refused()
    assert line.startswith("channels.xlsx was not exported from channel_costs.csv as it is now")
    write(HEADER)
    assert "from static_channels.csv and channel_costs.csv as it is now" in refused()[0]
    assert import_it("--force", "--yes").exit_code == 0
    assert costs.read_text() == COST_HEADER + COST_ROWS.rpartition("22222")[0]
    assert read() == HEADER + ROWS


def test_a_change_of_the_one_file_does_not_hold_up_the_other(costs: Path) -> None:
    edit(relabel)
    # A colleague has written the costs that the workbook has, in another form.
    costs.write_text(COST_HEADER + "".join(reversed(COST_ROWS.splitlines(keepends=True))))
    assert import_it("--yes").exit_code == 0
    assert "New radio" in read()


def test_costs_of_a_folder_without_their_csv_are_written() -> None:
    file = Path("channel_costs.csv")
    file.unlink()
    edit_costs(lambda sheet: None)
    assert import_it("--yes").stdout == NOTHING
    assert not file.exists()

    def add(sheet: Worksheet) -> None:
        for column, text in enumerate(COST_ROWS.splitlines()[0].split(","), 1):
            sheet.cell(2, column, text)

    edit_costs(add)
    assert import_it("--yes").exit_code == 0
    assert file.read_text() == COST_HEADER + COST_ROWS.splitlines(keepends=True)[0]


# --------------------------------------------------------------------- big and damaged workbooks


def test_a_formatted_cell_in_the_last_row_costs_nothing() -> None:
    def draw(sheet: Worksheet, _: Workbook) -> None:
        sheet["A1048576"].border = Border(left=Side("thin"))

    edit(draw)
    began = monotonic()
    assert import_it().stdout == NOTHING
    assert monotonic() - began < 10  # 0.5 s; it was 71 s, and 1.8 GB, for a cell in each place


def test_content_below_the_last_row_is_not_ignored() -> None:
    edit(lambda sheet, _: sheet.cell(1_000_000, 3, "x"))
    assert refused() == [
        "channels.xlsx: sheet static_channels, row 1000000: only 10,000 rows are read: "
        "split the file"
    ]


def replace_members(change: Callable[[str, bytes], bytes]) -> None:
    with ZipFile("channels.xlsx") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile("channels.xlsx", "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def test_a_workbook_that_unpacks_to_more_than_memory_is_refused() -> None:
    edit(lambda sheet, workbook: None)
    bomb = b" " * 60_000_000
    replace_members(lambda name, content: content + bomb if "sheet2" in name else content)
    (line,) = refused()
    assert line == "channels.xlsx: more than 50 MB when unpacked: split the file"

    # The archive's directory says that the members are empty.
    packed = bytearray(Path("channels.xlsx").read_bytes())
    place = 0
    while (place := packed.find(b"PK\x01\x02", place + 1)) > 0:
        packed[place + 24 : place + 28] = bytes(4)
    Path("channels.xlsx").write_bytes(packed)
    assert len(refused()) == 1


def test_rows_that_excel_does_not_have() -> None:
    edit(lambda sheet, workbook: None)
    replace_members(lambda _, content: content.replace(b'<row r="5"', b'<row r="999999999999"'))
    assert "damaged" in refused()[0]


def test_a_damaged_workbook_ends_in_a_line() -> None:
    """Random bytes of the file, and of its members, are changed. Nothing escapes, nothing hangs."""
    rng = Random(1)
    edit(relabel)
    whole = Path("channels.xlsx").read_bytes()

    def damage(content: bytes) -> bytes:
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 3, 20)) if damaged else 0):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        return bytes(damaged[: rng.randrange(len(damaged))] if rng.random() < 0.1 else damaged)

    refusals = 0
    for turn in range(400):
        Path("channels.xlsx").write_bytes(damage(whole) if turn % 2 else whole)
        if not turn % 2:
            replace_members(lambda _, content: damage(content) if rng.random() < 0.3 else content)
        for read_it in (
            lambda: xlsx.read_changes(Path("channels.xlsx"), {"11111", "22222"}, force=True),
            lambda: list(forms._lines(Path("channels.xlsx"))),
        ):
            try:
                read_it()
            except ConfigurationError:
                refusals += 1
    assert 400 < refusals < 800


def test_files_that_are_not_workbooks() -> None:
    Path("channels.xlsx").write_text("no workbook")
    assert "not an XLSX workbook" in refused()[0]
    Path("channels.xlsx").unlink()
    assert "cannot be read" in refused()[0]
    Workbook().save("channels.xlsx")
    assert "the sheet static_channels is missing" in refused()[0]
    edit(lambda sheet, workbook: sheet.delete_cols(2))
    assert "missing column parameter" in refused()[0]


def test_faults_of_the_csv_come_first() -> None:
    edit(lambda sheet, workbook: None)
    write(HEADER + "11111,dst,1,s,t,,,\n")
    assert refused()[0].startswith("static_channels.csv:2:17: campaign is empty")
