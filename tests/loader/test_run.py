"""`ringostat run`: check the CSVs, load, then dbt build, whatever the load said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from loader import ROOT, database
from loader.commands import demo
from loader.commands import seeds as csvs
from loader.errors import LoadError
from loader.sandbox import SandboxProject

from .calls import call
from .hostile import always, response
from .support import HEADER, KEY, Setting, ringostat

FIRST = datetime(2024, 1, 15, 12)


@pytest.fixture(autouse=True)
def folder(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The four CSVs, in the working folder; dbt writes its files beside them."""
    folder = tmp_path / "seeds"
    for name, columns in (
        ("static_channels", csvs.CHANNEL_COLUMNS),
        ("kpi_tags", csvs.TAG_COLUMNS),
        ("channel_costs", csvs.COST_COLUMNS),
    ):
        (folder / f"{name}.csv").write_text(",".join(columns) + "\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    return folder


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The builds, none of which is made."""
    builds: list[tuple[str, ...]] = []
    monkeypatch.setattr("loader.commands.cli.build", lambda *words: builds.append(words))
    return builds


def test_run_loads_and_builds(setting: Setting, built: list) -> None:
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "project 11111 (Clinic): done, 0 calls read" in result.stderr
    assert built == [()]


def test_run_rebuilds_all_tables_on_request(setting: Setting, built: list) -> None:
    result = ringostat("run", "--until", "2024-02-01", "--full-refresh")
    assert result.exit_code == 0, result.output
    assert built == [("--full-refresh",)]


def test_run_builds_what_has_landed_if_a_project_failed(setting: Setting, built: list) -> None:
    setting.api.fault = always(response("", status=403))
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 1
    assert result.stdout.startswith("project 11111 (Clinic): 0 calls read: ")
    assert "; FAILED: Ringostat answered 403" in result.stdout
    assert built == [()]


def test_a_failed_build_is_a_failed_run(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> None:
        raise LoadError("dbt build failed: ...")

    monkeypatch.setattr("loader.commands.cli.build", build)
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 1
    assert result.stderr.endswith(" ERROR dbt build failed: ...\n")


def test_bad_input_builds_nothing(setting: Setting, built: list) -> None:
    assert ringostat("run", "--project", "7").exit_code == 2
    assert built == []


FAULTY = {
    "a cell": (",".join(csvs.CHANNEL_COLUMNS) + "\n11111,dst,1,s,t,,,\n").encode(),
    "semicolons": (";".join(csvs.CHANNEL_COLUMNS) + "\n11111;dst;1;s;t;c;;\n").encode(),
    "CP1251": (",".join(csvs.CHANNEL_COLUMNS) + "\n11111,dst,1,s,t,Лето,,\n").encode("cp1251"),
    "no file": None,
}


@pytest.mark.parametrize("content", FAULTY.values(), ids=FAULTY)
def test_faults_in_the_csvs_stop_it_before_anything_is_loaded(
    setting: Setting, built: list, content: bytes | None
) -> None:
    file = Path("static_channels.csv")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 2
    *faults, last = result.stderr.splitlines()
    assert faults
    assert all(" ERROR static_channels.csv" in line for line in faults)
    assert last.endswith(" ERROR nothing was loaded or built: correct the CSVs first")
    assert result.stdout == ""
    assert built == []
    assert setting.conn.execute("select to_regclass('ringostat_raw.calls')").fetchone() == (None,)


VARS = {
    "not a mapping": ("primary", "must hold lines such as `ringostat_kpi_mode: primary`"),
    "numbers for names": ("1: 2", "must hold lines such as `ringostat_kpi_mode: primary`"),
    "not YAML": ("ringostat_kpi_mode: [all", "not valid YAML: "),
    "no file": (None, "cannot be read: No such file or directory"),
}


@pytest.mark.parametrize(("content", "message"), VARS.values(), ids=VARS)
def test_a_file_of_vars_that_cannot_be_read_stops_it_before_anything_is_loaded(
    setting: Setting,
    built: list,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
    message: str,
) -> None:
    file = folder / "vars.yml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("RINGOSTAT_VARS", str(file))
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f" ERROR RINGOSTAT_VARS: {file}: {message}" in line
    assert result.stdout == ""
    assert built == []
    assert setting.api.requests == []


def test_warnings_are_shown_and_stop_nothing(setting: Setting, built: list) -> None:
    with Path("static_channels.csv").open("a") as file:
        file.write('11111,dst,"1 ",s,t,c,,\n')
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 0
    assert "static_channels.csv:2:11: warning: " in result.stderr
    assert built == [()]


def test_a_demo_of_another_account_is_made_again(conn: psycopg.Connection) -> None:
    demo.forget_other_editions(conn)
    conn.execute(
        "insert into ringostat_raw.loads"
        " (project_id, window_from, window_to, status, started_at, finished_at)"
        " values (1, now(), now(), 'loaded', now(), now())"
    )
    conn.execute("create schema ringostat_marts")
    demo.forget_other_editions(conn)
    rows = (
        "select count(*), to_regnamespace('ringostat_marts') is not null from ringostat_raw.loads"
    )
    assert conn.execute(rows).fetchone() == (1, True)
    conn.execute("comment on schema ringostat_raw is null")  # as an older version left it
    demo.forget_other_editions(conn)
    assert conn.execute(rows).fetchone() == (0, False)


def test_the_demo_refuses_a_database_that_is_not_its_own(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "environment", lambda: {"PGDATABASE": "theirs"})
    result = ringostat("demo")
    assert result.exit_code == 2
    assert "the demo writes only to its own database, ringostat_demo" in result.stderr


# With dbt.


def marts(conn: psycopg.Connection) -> list[tuple]:
    return conn.execute(
        """
        select project_id, conversion_id, campaign, attribution_method, is_primary, is_counted
        from ringostat_marts.fct_conversions order by project_id, conversion_id
        """
    ).fetchall()


def start(*arguments: str) -> subprocess.Popen[str]:
    """`ringostat run` of January 2024, in a process of its own."""
    # What a shell starts in the background ignores Ctrl-C, and hands that on.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from loader.commands.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, "run", "--until", "2024-02-01", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_profile_of_the_users_is_neither_read_nor_touched(
    setting: Setting, server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A complete one with literal values, in the project's folder and named by DBT_*."""
    theirs = {**server, "PGDATABASE": f"test_theirs_{os.getpid()}"}
    with database.connect(server) as admin:
        admin.execute(f"drop database if exists {theirs['PGDATABASE']} with (force)")
        admin.execute(f"create database {theirs['PGDATABASE']}")
    profile = f"""
ringostat:
  target: theirs
  outputs:
    theirs:
      type: postgres
      host: "{theirs["PGHOST"]}"
      port: {theirs["PGPORT"]}
      user: "{theirs["PGUSER"]}"
      password: "{theirs.get("PGPASSWORD", "")}"
      dbname: {theirs["PGDATABASE"]}
      schema: ringostat
      threads: 1
"""
    copy = tmp_path / "project"
    ours = ("loader", "models", "macros", "tests/dbt")
    for name in ours:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).symlink_to(ROOT / name)
    for name in ("dbt_project.yml", "profiles.example.yml"):
        (copy / name).symlink_to(ROOT / name)
    (copy / "profiles.yml").write_text(profile)
    monkeypatch.setattr("loader.commands.dbt.ROOT", copy)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(copy))
    monkeypatch.setenv("DBT_PROFILE", "theirs")
    monkeypatch.setenv("DBT_TARGET", "theirs")
    monkeypatch.setenv("DBT_PROJECT_DIR", str(tmp_path))
    setting.project.calls = [call(FIRST, "a"), call(FIRST, "b")]
    try:
        with database.connect(theirs) as conn:
            conn.execute(
                "create schema ringostat_marts; create table ringostat_marts.fct_conversions ();"
                "insert into ringostat_marts.fct_conversions default values"
            )
        result = ringostat("run", "--until", "2024-02-01")
        assert result.exit_code == 0, result.output
        assert len(marts(setting.conn)) == 2
        for words in ("init -q", "add .", "-c user.name=t -c user.email=t commit -qm t"):
            subprocess.run(["git", *words.split()], check=True)
        result = ringostat("channels", "impact", "--base", "HEAD")
        assert result.exit_code == 0, result.output
        with database.connect(theirs) as conn:
            found = conn.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_schema like 'ringostat%'"
            ).fetchall()
            assert found == [("ringostat_marts", "fct_conversions")]
            rows = conn.execute("select count(*) from ringostat_marts.fct_conversions").fetchone()
            assert rows == (1,)
    finally:
        with database.connect(server) as admin:
            admin.execute(f"drop database {theirs['PGDATABASE']} with (force)")


@pytest.mark.slow
def test_a_failed_build_names_its_cause_in_few_lines(setting: Setting) -> None:
    """What the check of the CSVs does not know: here, a view that is in dbt's way."""
    setting.conn.execute("create schema ringostat_seeds; create view ringostat_seeds.kpi_tags as "
                         "select 1 as x")  # fmt: skip
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert " ERROR dbt build failed: its messages name" in lines[-1]
    assert any("kpi_tags" in line for line in lines)
    assert len(lines) < 40
    assert "\x1b" not in result.stderr


@pytest.mark.slow
def test_two_runs_at_once_build_one_after_the_other(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a first build, and on the next. Each run loads a project of its own."""
    salon = SandboxProject(22222, f"{KEY}-2", "Europe/Kyiv", [])
    setting.sandbox.projects[salon.auth_key] = salon
    monkeypatch.setenv("SALON_KEY", salon.auth_key)
    Path("projects.csv").write_text(
        f"{HEADER}11111,Clinic,,Europe/Kyiv,,2024-01-01,true\n"
        "22222,Salon,SALON_KEY,Europe/Kyiv,,2024-01-01,true\n"
    )
    setting.project.calls = [call(FIRST, f"a{n}") for n in range(3)]
    salon.calls = [call(FIRST, f"b{n}", call_card="") for n in range(2)]
    waited = []
    for _ in range(2):
        runs = []
        for project_id in ("11111", "22222"):
            monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / f"target{project_id}"))
            runs.append(start("--project", project_id))
        for run in runs:
            _, errors = run.communicate()
            assert run.returncode == 0, errors
            waited.append("another build is running: waiting for it" in errors)
    assert any(waited)
    together = marts(setting.conn)
    assert len(together) == 5
    for layer in ("seeds", "staging", "intermediate", "marts"):
        setting.conn.execute(f"drop schema ringostat_{layer} cascade")
    assert ringostat("run", "--until", "2024-02-01").exit_code == 0
    assert marts(setting.conn) == together


HOLDERS = """
    select pid
    from pg_locks, hashtextextended('ringostat build ringostat', 0) as key
    where
        locktype = 'advisory'
        and granted
        and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and ((classid::bigint << 32) | objid::bigint) = key
"""


def wait_for(found: Callable[[], object]) -> None:
    until = time.monotonic() + 120
    while not found():
        assert time.monotonic() < until
        threading.Event().wait(0.05)


@pytest.fixture
def building(setting: Setting) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun to build."""
    run = start()
    try:
        wait_for(lambda: setting.conn.execute(HOLDERS).fetchone())
        yield run
    finally:
        run.kill()
        run.communicate()


@pytest.mark.slow
def test_a_lost_lock_fails_the_run(setting: Setting, building: subprocess.Popen[str]) -> None:
    (pid,) = setting.conn.execute(HOLDERS).fetchone()
    setting.conn.execute("select pg_terminate_backend(%s)", [pid])
    _, errors = building.communicate()
    assert building.returncode == 1
    assert " ERROR the connection that held the build's lock" in errors.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_dbt_runs(
    setting: Setting, building: subprocess.Popen[str], number: signal.Signals
) -> None:
    dbt = """
        select from pg_stat_activity
        where application_name = 'dbt' and datname = current_database()
    """
    wait_for(lambda: setting.conn.execute(dbt).rowcount)
    building.send_signal(number)
    _, errors = building.communicate()
    assert building.returncode == 1
    assert "Traceback" not in errors
    assert " ERROR interrupted: dbt was stopped" in errors.splitlines()[-1]
    wait_for(lambda: not setting.conn.execute(HOLDERS).fetchone())
    wait_for(lambda: not setting.conn.execute(dbt).rowcount)


@pytest.mark.slow
def test_the_readmes_crontab_line(
    setting: Setting, warehouse: dict[str, str], tmp_path: Path
) -> None:
    """With cron's bare environment, and the settings in a file of their own."""
    variables = tmp_path / "ringostat.env"
    settings = {**warehouse, "RINGOSTAT_AUTH_KEY": KEY}
    for name in ("RINGOSTAT_API_URL", "RINGOSTAT_SEEDS"):
        settings[name] = os.environ[name]
    variables.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    log = tmp_path / "ringostat.log"
    program = Path(sys.executable).with_name("ringostat")
    line = f"cd {ROOT} && set -a && . {variables} && {program} run --until 2024-02-01 2>>{log}"
    for _ in range(2):
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env={
                "HOME": os.environ["HOME"],
                "PATH": "/usr/bin:/bin",
                "LOGNAME": "ringostat",
                "PYTHONPATH": str(ROOT),  # the virtual environment may be another copy's
            },
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        text = log.read_text()
        assert done.returncode == 0, text
        assert done.stdout == done.stderr == ""  # cron mails what is printed
    assert len(text.splitlines()) == 2 * 2, text  # the project's and the build's
    for line in text.splitlines():
        assert datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")
    assert "\x1b" not in text
    assert KEY not in text
