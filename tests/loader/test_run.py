"""`ringostat run`: load, then dbt build, whatever the load said."""

from __future__ import annotations

import pytest

from .hostile import always, response
from .support import Setting, ringostat


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of dbt, which does not run."""
    calls: list[tuple[str, ...]] = []

    def dbt(*arguments: str) -> int:
        calls.append(arguments)
        return 0

    monkeypatch.setattr("loader.commands.cli.dbt", dbt)
    return calls


def test_run_loads_and_builds(setting: Setting, built: list) -> None:
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 0
    assert result.stdout.startswith("project 11111 (Clinic): 0 calls read")
    assert built == [("build",)]


def test_run_builds_what_has_landed_if_a_project_failed(setting: Setting, built: list) -> None:
    setting.api.fault = always(response("", status=403))
    result = ringostat("run", "--until", "2024-02-01")
    assert result.exit_code == 1
    assert built == [("build",)]


def test_a_failed_build_is_a_failed_run(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader.commands.cli.dbt", lambda *arguments: 1)
    assert ringostat("run", "--until", "2024-02-01").exit_code == 1


def test_bad_input_builds_nothing(setting: Setting, built: list) -> None:
    assert ringostat("run", "--project", "7").exit_code == 2
    assert built == []
