"""`ringostat channels export` and `import`: a workbook there and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from random import Random
from time import monotonic
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from click.testing import Result
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Border, Side
from openpyxl.worksheet.worksheet import Worksheet

from loader import forms
from loader.commands import xlsx
from loader.commands.seeds import CHANNEL_COLUMNS, CHANNEL_PARAMETERS
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
    assert (result.exit_code, result.stdout) == (0, "0 added, 0 changed, 0 removed\n")
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


def pool(name: str, meant: str | None = None) -> Suggestion:
    cells = dict.fromkeys(CHANNEL_COLUMNS, "")
    cells |= {"project_id": "11111", "parameter": "pool_name", "parameter_value": name}
    reason = "case" if meant else None
    return Suggestion(cells, 7, date(2024, 1, 1), date(2024, 2, 1), meant, reason, 0)


def test_a_pool_becomes_a_channel_when_its_labels_are_filled_in() -> None:
    pools = [pool("OLX "), pool("=Bazaar"), pool("2гис", "2ГИС")]
    xlsx.export(Path("channels.xlsx"), ["11111", "22222"], pools)
    assert import_it().stdout == "0 added, 0 changed, 0 removed\n"

    workbook = load_workbook("channels.xlsx")
    sheet = workbook["unmapped_pools"]
    assert sheet["L4"].value == (
        "differs from the configured «2ГИС» in case only; correct that row or add this one"
    )
    for column, label in zip("DEF", ("olx", "classified", "Ads"), strict=True):
        sheet[f"{column}2"] = label
    workbook.save("channels.xlsx")
    added = '11111,pool_name,"OLX ",olx,classified,Ads,,\n'
    assert import_it("--yes").stdout.startswith(f"+ {added}")
    head, tail = ROWS.split("22222")
    assert read() == f"{HEADER}{head}{added}22222{tail}"


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
        "1 added, 1 changed, 1 removed",
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
    assert import_it().stdout == "0 added, 0 changed, 0 removed\n"


def test_a_tracking_number_may_be_a_number_and_a_day_a_date() -> None:
    def change(sheet: Worksheet, _: Workbook) -> None:
        sheet["C2"] = 380441112233
        sheet["H3"] = datetime(2024, 6, 30)
        sheet["G4"] = date(2024, 7, 1)

    edit(change)
    assert import_it().stdout == "0 added, 0 changed, 0 removed\n"


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
    assert import_it("--yes").stdout == "0 added, 0 changed, 0 removed\n"


def test_a_workbook_made_by_hand_needs_force() -> None:
    workbook = Workbook()
    workbook.active.title = xlsx.CHANNELS_SHEET
    workbook.active.append(CHANNEL_COLUMNS)
    workbook.active.append(["11111", "dst", "100", "x", "y", "z"])
    workbook.save("channels.xlsx")
    assert "--force" in refused()[0]
    assert import_it("--force", "--yes").exit_code == 0
    assert read() == HEADER + "11111,dst,100,x,y,z,,\n"


# --------------------------------------------------------------------- big and damaged workbooks


def test_a_formatted_cell_in_the_last_row_costs_nothing() -> None:
    def draw(sheet: Worksheet, _: Workbook) -> None:
        sheet["A1048576"].border = Border(left=Side("thin"))

    edit(draw)
    began = monotonic()
    assert import_it().stdout == "0 added, 0 changed, 0 removed\n"
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
            lambda: xlsx.read_change(Path("channels.xlsx"), {"11111", "22222"}, force=True),
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
