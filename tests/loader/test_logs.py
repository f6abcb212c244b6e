"""What a log file gets: few lines, each with its time, as text or as JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from loader import ROOT
from loader.commands import dbt_events
from loader.errors import LoadError

from .calls import call
from .hostile import always, response
from .support import HEADER, KEY, Setting, ringostat

UNTIL = ("--until", "2024-02-01")
TEXT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) (.+)")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every build succeeds, and none is made."""
    monkeypatch.setattr("loader.commands.cli.build", lambda *words: None)


def texts(stderr: str) -> list[tuple[str, str]]:
    """The level and the message of each line; every line must have a time."""
    found = [TEXT.fullmatch(line) for line in stderr.splitlines()]
    assert all(found), stderr
    return [match.groups() for match in found]


def objects(stderr: str) -> list[dict]:
    lines = [json.loads(line) for line in stderr.splitlines()]
    for line in lines:
        assert datetime.fromisoformat(line["time"]).tzinfo == timezone.utc
    return lines


@pytest.fixture
def two(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """The second of two projects has a key that is not accepted."""
    monkeypatch.setenv("SALON_KEY", "wrong")
    file = Path(os.environ["RINGOSTAT_SEEDS"], "projects.csv")
    file.write_text(
        f"{HEADER}11111,Clinic,,Europe/Kyiv,,2024-01-01,true\n"
        "22222,Салон,SALON_KEY,Europe/Kyiv,,2024-01-01,true\n"
    )
    return setting


def test_a_good_run_logs_a_line_per_project_and_one_for_the_build(
    setting: Setting, built: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    setting.project.calls = [call(datetime(2024, 1, 15, 12), "a")]
    result = ringostat("run", *UNTIL)
    assert (result.exit_code, result.stdout) == (0, "")
    assert texts(result.stderr) == [
        ("INFO", "project 11111 (Clinic): done, 1 calls read: 1 new, 0 changed, 0 removed"),
        ("INFO", "dbt build: the marts are up to date"),
    ]
    assert "\x1b" not in result.stderr


def test_a_project_with_nothing_to_load_has_its_line(setting: Setting, built: None) -> None:
    result = ringostat("run", "--until", "2023-01-01")
    assert texts(result.stderr)[0] == ("INFO", "project 11111 (Clinic): nothing to load")


def test_what_failed_is_printed_too(two: Setting, built: None) -> None:
    result = ringostat("run", *UNTIL)
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("project 22222 (Салон): 0 calls read: ")
    assert [level for level, _ in texts(result.stderr)] in (
        ["INFO", "ERROR", "INFO"],
        ["ERROR", "INFO", "INFO"],
    )


def test_verbose_runs_log_the_steps(setting: Setting, built: None) -> None:
    assert "project 11111 (Clinic): loading 2024-01-01" in ringostat("-v", "run", *UNTIL).stderr


def test_each_fault_of_the_csvs_is_a_line(setting: Setting) -> None:
    with Path(os.environ["RINGOSTAT_SEEDS"], "static_channels.csv").open("a") as file:
        file.write('11111,dst,"1 ",s,t,c,,\n11111,dst,2,,,,,\n')
    found = texts(ringostat("run", *UNTIL).stderr)
    assert found[0][0] == "WARNING"
    assert {level for level, _ in found[1:]} == {"ERROR"}
    assert found[-1] == ("ERROR", "nothing was loaded or built: correct the CSVs first")


def test_a_file_with_several_faults_has_a_line_for_each(
    setting: Setting, seeds: Callable[..., Path]
) -> None:
    seeds("11111,,,Kyiv,,2024-01-01,true")
    for line in objects(ringostat("--log-format", "json", "load").stderr):
        assert "\n" not in line["message"]
        assert line["level"] == "error"


def test_load_prints_its_results_as_before(setting: Setting) -> None:
    result = ringostat("load", *UNTIL)
    assert result.stdout == (
        "project 11111 (Clinic): 0 calls read: 0 new, 0 changed, 0 removed\n"
    )  # fmt: skip
    assert len(texts(result.stderr)) == 1


@pytest.mark.parametrize("by", ["option", "variable"])
def test_json(two: Setting, built: None, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    option = ["--log-format", "json"]
    if by == "variable":
        monkeypatch.setenv("RINGOSTAT_LOG_FORMAT", "json")
        option = []
    result = ringostat(*option, "run", *UNTIL)
    assert (result.exit_code, result.stdout) == (1, "")
    clinic, salon, build = sorted(
        objects(result.stderr), key=lambda line: line.get("project_id", 99999)
    )
    assert {**clinic, "time": ""} == {
        "time": "",
        "level": "info",
        "message": "project 11111 (Clinic): done, 0 calls read: 0 new, 0 changed, 0 removed",
        "project_id": 11111,
        "project_name": "Clinic",
        "fetched": 0,
        "inserted": 0,
        "updated": 0,
        "removed": 0,
        "rejected": 0,
    }
    assert (salon["level"], salon["project_id"]) == ("error", 22222)
    assert (salon["project_name"], "not accepted" in salon["message"]) == ("Салон", True)
    assert build["message"] == "dbt build: the marts are up to date"


def test_json_of_load_is_json_alone(setting: Setting) -> None:
    result = ringostat("--log-format", "json", "load", *UNTIL)
    assert result.stdout == ""
    assert len(objects(result.stderr)) == 1


@pytest.mark.parametrize(
    "arguments", [["run", "--sinse", "x"], ["run", "--project", "7"], ["load", "--jobs", "0"], []]
)
def test_errors_of_usage_are_json_too(setting: Setting, arguments: list[str]) -> None:
    result = ringostat("--log-format", "json", *arguments)
    assert result.exit_code == 2
    assert [line["level"] for line in objects(result.stderr)] == ["error"]


def test_ctrl_c_is_json_too(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loader.commands.cli.build", build)
    result = ringostat("--log-format", "json", "run", *UNTIL)
    assert result.exit_code == 1
    assert objects(result.stderr)[-1]["message"] == "interrupted"


def test_an_unknown_format_is_refused(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGOSTAT_LOG_FORMAT", "xml")
    result = ringostat("load")
    assert result.exit_code == 2
    assert "RINGOSTAT_LOG_FORMAT is 'xml': it must be one of text, json" in result.stderr


def on_a_terminal(*arguments: str) -> str:
    """What `ringostat` shows on a terminal that is stdout and stderr."""
    main, child = pty.openpty()
    program = (
        "import loader.commands.cli as cli; cli.build = lambda *words: None; cli.main()"
    )  # fmt: skip
    run = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=child, stderr=child,
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while piece := os.read(main, 1 << 16):
            shown += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(main)
    assert run.wait() == 0
    return shown.decode()


def test_a_terminal_sees_steps_and_results(setting: Setting) -> None:
    shown = on_a_terminal("run", *UNTIL)
    assert "project 11111 (Clinic): loading 2024-01-01" in shown
    assert "project 11111 (Clinic): 0 calls read: 0 new" in shown
    assert "\ndbt build: the marts are up to date" in shown


def test_json_on_a_terminal_is_json_alone(setting: Setting) -> None:
    assert len(objects(on_a_terminal("--log-format", "json", "run", *UNTIL))) == 2


# --- dbt -------------------------------------------------------------------------------------


def event(name: str, level: str, text: str, node: str = "") -> str:
    info = {"name": name, "level": level, "msg": text}
    about = {"node_name": node, "unique_id": f"test.ringostat.{node}"} if node else None
    return json.dumps({"info": info, "data": {"node_info": about} if about else {}}) + "\n"


SAID = [
    event("LogTestResult", "warn", "7 of 77 WARN 2 assert_a ... [WARN 2 in 0.1s]", "assert_a"),
    event("LogTestResult", "warn", "8 of 77 WARN 1 assert_b ... [WARN 1 in 0.1s]", "assert_b"),
    event("JinjaLogWarning", "warn", dbt_events._UNFOUNDED + ": ['category_value']"),
    event("PrintEvent", "info", "assert_a:"),
    event("PrintEvent", "info", "    one | 1"),
    event("PrintEvent", "info", "    two | 2"),
    event("RunResultWarning", "warn", "Warning in test assert_a (a.sql)", "assert_a"),
    event("RunResultWarningMessage", "warn", "Got 2 results", "assert_a"),
    "no event\n",
    '"no event"\n',
]


def test_of_a_good_build_only_warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        dbt_events.show(map(dbt_events.read, SAID), has_failed=False)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "assert_a: one | 1; two | 2"),
        ("WARNING", "8 of 77 WARN 1 assert_b ... [WARN 1 in 0.1s]"),
    ]
    assert caplog.records[0].dbt_node == "test.ringostat.assert_a"


def test_of_a_failed_build_everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    said = [*SAID, event("RunResultError", "error", "  no\n  view\n")]
    with caplog.at_level("INFO"):
        dbt_events.show(map(dbt_events.read, said), has_failed=True)
    assert len(caplog.records) == len(said)
    assert (caplog.records[-1].levelname, caplog.records[-1].getMessage()) == ("ERROR", "no view")


@pytest.mark.slow
def test_a_real_build_logs_its_warnings_in_a_line_each(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    setting.project.calls = [call(datetime(2024, 1, 15, 12), "a")]
    setting.load(*UNTIL)
    setting.conn.execute("update ringostat_raw.calls set payload = payload || '{\"new\": 1}'")
    result = ringostat("--log-format", "json", "run", *UNTIL)
    assert (result.exit_code, result.stdout) == (0, "")
    warnings = [line for line in objects(result.stderr) if line["level"] == "warning"]
    assert [(line["message"], line["dbt_node"]) for line in warnings] == [
        (
            "assert_api_fields_are_known: project 11111 returns an unknown field: new",
            "test.ringostat.assert_api_fields_are_known",
        )
    ]
    # The file of dbt stays text for people.
    assert not (tmp_path / "logs" / "dbt.log").read_text().lstrip().startswith("{")

    setting.conn.execute("drop table ringostat_seeds.kpi_tags cascade")
    setting.conn.execute("create view ringostat_seeds.kpi_tags as select 1 as x")
    result = ringostat("--log-format", "json", "run", *UNTIL)
    assert result.exit_code == 1
    assert any("kpi_tags" in line.get("dbt_node", "") for line in objects(result.stderr))
    assert objects(result.stderr)[-1]["message"].startswith("dbt build failed: ")


def test_a_failed_build_has_its_time(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> None:
        raise LoadError("dbt build failed: ...")

    monkeypatch.setattr("loader.commands.cli.build", build)
    setting.api.fault = always(response(KEY, status=403))
    result = ringostat("run", *UNTIL)
    assert texts(result.stderr)[-1] == ("ERROR", "dbt build failed: ...")
    assert KEY not in result.output
