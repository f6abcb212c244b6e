"""The workflows for GitHub: this project's own, and the one that `ringostat init` makes."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml
from click.testing import CliRunner

from loader import ROOT
from loader.commands.cli import main
from loader.sandbox import Sandbox, demo_account

OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEMPLATE = ROOT / "hosting/github-actions/ringostat.yml"
WORKFLOWS = [*OWN, TEMPLATE]


def read(path: Path) -> dict[Any, Any]:
    """YAML 1.1 reads the key `on` as true."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def scripts(path: Path) -> str:
    return "\n".join(step["run"] for step in steps(path) if "run" in step)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_it_may_read_the_repository_and_little_else(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"]["contents"] == "read"
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


def test_each_action_is_pinned_to_the_same_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: (\S+)@(\S+)", path.read_text(encoding="utf-8")):
            commits.setdefault(name, set()).add(commit)
    assert set(commits) == {"actions/checkout", "actions/setup-python"}
    for found in commits.values():
        (commit,) = found
        assert re.fullmatch(r"[0-9a-f]{40}", commit)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_its_commands_exist(path: Path) -> None:
    script = scripts(path)
    targets = re.findall(r"(?m)^(\S+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    for target in re.findall(r"\bmake (?:-C \S+ )?(\S+)", script):
        assert target in targets
    for words in re.findall(r"(?:bin/ringostat|-m loader|\bringostat) ((?:[a-z]+ ?)+)", script):
        command: click.Command = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            if word == "ringostat":
                continue  # `docker compose run SERVICE COMMAND`: both have this name
            assert word in command.commands, f"ringostat {words}"
            command = command.commands[word]
    for line in re.findall(r"(?:bin/ringostat|-m loader) ([^\n|;]*)", script):
        words = re.findall(r"^[a-z ]+\b", line)[0].split()
        command = main
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", line)) <= known, line


def test_the_template_runs_each_hour_and_checks_pull_requests() -> None:
    workflow = read(TEMPLATE)
    assert set(workflow[True]) == {"schedule", "workflow_dispatch", "pull_request"}
    ((minute, *others),) = [one["cron"].split() for one in workflow[True]["schedule"]]
    assert 0 < int(minute) < 60  # not the full hour, at which GitHub is busy and skips runs
    assert others == ["*"] * 4


def test_the_template_gives_keys_to_the_run_alone() -> None:
    *others, run = steps(TEMPLATE)
    assert "secrets." not in yaml.safe_dump(others)
    assert "secrets." not in yaml.safe_dump(read(TEMPLATE)["env"])
    assert run["if"] == "github.event_name != 'pull_request'"
    for name, value in run["env"].items():
        if re.search("KEY|PASSWORD|ALERT", name):
            assert value == f"${{{{ secrets.{name} }}}}"
    assert run["run"].index('test -n "$PGHOST"') < run["run"].index("ringostat run")


def test_the_template_uses_the_folder_as_init_makes_it() -> None:
    settings = read(TEMPLATE)["env"]
    assert settings["RINGOSTAT_SEEDS"] == "${{ github.workspace }}/seeds"
    assert settings["RINGOSTAT_VARS"] == "${{ github.workspace }}/vars.yml"


@pytest.mark.slow
def test_the_template_loads_and_builds_from_a_folder_of_init(
    conn: psycopg.Connection, warehouse: dict[str, str], tmp_path: Path
) -> None:
    """Its scripts as GitHub runs them, with this checkout as the one that it would check out."""
    assert CliRunner().invoke(main, ["init", str(tmp_path)]).exit_code == 0
    (tmp_path / "ringostat-marts").symlink_to(ROOT)
    last_days = date.today() - timedelta(days=3)
    with (tmp_path / "seeds/projects.csv").open("a") as file:
        file.write(f"11111,Clinic,,Europe/Kyiv,,{last_days},true,\n")
    (tmp_path / "vars.yml").write_text("ringostat_unknown_campaign: Невідома кампанія\n")
    account = demo_account(datetime.now(timezone.utc))
    check, run = (step["run"] for step in steps(TEMPLATE)[-2:])
    with Sandbox(account) as sandbox:
        environment = {
            **os.environ,
            **{
                name: value.replace("${{ github.workspace }}", str(tmp_path))
                for name, value in read(TEMPLATE)["env"].items()
            },
            "PYTHONPATH": str(ROOT),  # so that this checkout's loader runs
            "RINGOSTAT_API_URL": sandbox.url,
            "RINGOSTAT_AUTH_KEY": account[0].auth_key,
            "RINGOSTAT_ALERT_URL": "",
            "DBT_TARGET_PATH": str(tmp_path / "target"),
            "DBT_LOG_PATH": str(tmp_path / "logs"),
        }
        for script, variables in ((check, {}), (run, warehouse)):
            done = _bash(tmp_path, script, {**environment, **variables})
            assert done.returncode == 0, done.stdout
        refused = _bash(tmp_path, run, {**environment, "PGHOST": ""})
        assert refused.returncode == 2
        assert refused.stdout == "::error::set the variable PGHOST of the repository\n"
    names = conn.execute(
        "select distinct campaign from ringostat_marts.fct_conversions"
        " where attribution_method = 'unknown'"
    ).fetchall()
    assert names == [("Невідома кампанія",)]


def _bash(
    folder: Path, script: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
