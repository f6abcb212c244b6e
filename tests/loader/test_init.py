"""`ringostat init`: a folder of the user's own, which works as it is and is never written over."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from loader import ROOT
from loader.commands import init
from loader.commands.cli import main
from loader.errors import LoadError

from .support import ringostat

NAMES = {
    ".env",
    ".env.example",
    ".github/workflows/ringostat.yml",
    ".gitignore",
    "README.md",
    "seeds/channel_costs.csv",
    "seeds/kpi_tags.csv",
    "seeds/projects.csv",
    "seeds/static_channels.csv",
    "vars.yml",
}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A new folder, whose name needs quotes."""
    folder = tmp_path / "our «Ringostat» folder"
    made = ringostat("init", str(folder))
    assert made.exit_code == 0, made.output
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def in_a_shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A script of a user who has followed the first of the next commands."""
    return subprocess.run(
        ["bash", "-ec", f"set -a && . ./.env && set +a\n{script}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_the_csvs_are_checked_in_the_new_folder(ours: Path) -> None:
    checked = in_a_shell(ours, '"$PYTHON" -m loader channels check')
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout == "0 faults, 0 warnings\n"
    with (ours / "seeds/static_channels.csv").open("a") as file:
        file.write("11111,dst,1,s,t,,,\n")
    checked = in_a_shell(ours, '"$PYTHON" -m loader channels check')
    assert checked.returncode == 1
    assert checked.stdout.startswith("seeds/static_channels.csv:2:"), checked.stdout


def test_the_line_of_the_crontab_works_in_a_bare_environment(ours: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs/hosting.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"<!-- crontab -->\n```console\n(.*)\n```", page)
    *when, command = line.split(maxsplit=5)
    assert when == ["17", "*", "*", "*", "*"]
    sham = tmp_path / "ringostat"
    sham.write_text('#!/bin/sh\necho "$RINGOSTAT_SEEDS|$RINGOSTAT_VARS|$PGPORT|$*" >&2\n')
    sham.chmod(0o755)
    for theirs, here in (
        ("/srv/our-ringostat/.env", f"'{ours}/.env'"),
        ("/opt/ringostat-marts/.venv/bin/ringostat", str(sham)),
        ("/var/log/ringostat.log", str(tmp_path / "log")),
    ):
        assert theirs in command
        command = command.replace(theirs, here)
    # cron mails what is printed: nothing.
    assert subprocess.check_output(["sh", "-c", command], env={}, stderr=subprocess.STDOUT) == b""
    assert (tmp_path / "log").read_text() == f"{ours}/seeds|{ours}/vars.yml|5432|run\n"


def test_it_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    made = ringostat("init", str(tmp_path / "ours"))
    listed = re.findall(r"^  (\S+) {2,}\S", made.stdout, re.MULTILINE)
    assert set(listed) == set(files(tmp_path / "ours")) == NAMES
    assert made.stdout.splitlines()[-3:] == [
        f"  set -a && . {tmp_path}/ours/.env && set +a",
        '  ringostat connect --name "My project" --time-zone Europe/Kyiv',
        "  ringostat run",
    ]


def test_the_working_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    assert set(files(tmp_path)) == NAMES


def test_the_csvs_have_the_header_of_those_that_the_project_ships(ours: Path) -> None:
    for path in (ours / "seeds").iterdir():
        shipped = (ROOT / "seeds" / path.name).read_text(encoding="utf-8").splitlines()[0]
        assert path.read_text(encoding="utf-8") == shipped + "\n"


def test_a_second_time_it_refuses_and_writes_nothing(ours: Path) -> None:
    (ours / "vars.yml").write_text("ringostat_kpi_mode: primary\n")
    (ours / "README.md").unlink()
    before = files(ours)
    refused = ringostat("init", str(ours))
    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"Error: {ours} already has seeds/projects.csv, ")
    assert line.endswith(": nothing was written")
    assert files(ours) == before


def test_the_projects_own_folder_is_refused() -> None:
    refused = ringostat("init", str(ROOT))
    assert refused.exit_code == 2
    assert "already has seeds/projects.csv" in refused.stderr


@pytest.mark.parametrize("name", ["it's", 'a "b"', "$HOME", "a\\b"])
def test_a_path_that_env_files_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    refused = ringostat("init", str(tmp_path / name))
    assert refused.exit_code == 2
    assert "the path must not contain quotes, $ or \\" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="seeds: cannot be written: Not a directory"):
        init.init(tmp_path / "file" / "folder")


def test_keys_are_for_the_user_alone_and_never_committed(ours: Path) -> None:
    assert (ours / ".env").stat().st_mode & 0o777 == 0o600
    subprocess.run(["git", "init", "--quiet"], cwd=ours, check=True)
    (ours / "channels.xlsx").touch()
    shown = subprocess.run(
        ["git", "status", "--porcelain", "-z", "--untracked-files=all"],
        cwd=ours, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {line[3:] for line in shown.stdout.split("\0") if line} == NAMES - {".env"}
    # No key is preset, and what is committed names no folder of this machine.
    assert "RINGOSTAT_AUTH_KEY=''" in (ours / ".env").read_text()
    assert str(ours) not in "".join((ours / name).read_text() for name in NAMES - {".env"})


def test_its_vars_are_vars_of_the_project(ours: Path) -> None:
    text = (ours / "vars.yml").read_text(encoding="utf-8")
    known = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    # One of them is set: `dbt build` by hand would take an empty file for a forgotten one.
    assert yaml.safe_load(text) == {"ringostat_kpi_mode": known["ringostat_kpi_mode"]}
    assert set(re.findall(r"^#?(ringostat_\w+):", text, re.MULTILINE)) <= set(known)


def test_outside_a_checkout_the_command_says_how_it_is_installed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "loader", tmp_path / "loader")
    status = subprocess.run(
        [sys.executable, "-m", "loader", "status"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert status.returncode == 2
    assert status.stderr == (
        f"Error: {tmp_path} is not the project's folder: `ringostat` runs from a checkout, where "
        "`make install` sets it up\n"
    )
