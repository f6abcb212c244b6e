"""Four arrows that must never exist, so that the thin loader stays thin (see CONTRIBUTING)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader import ROOT

LOADER = ROOT / "loader"
CORE = sorted(path for path in LOADER.glob("*.py") if path.name != "__main__.py")
COMMANDS = sorted((LOADER / "commands").glob("*.py"))
SANDBOX = sorted((LOADER / "sandbox").glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path.name}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def environment_reads(path: Path) -> list[int]:
    """The lines at which a module uses the environment."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]


def test_the_folders_are_not_empty() -> None:
    assert len(CORE) > 10
    assert len(COMMANDS) > 8
    assert len(SANDBOX) > 1


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_loader_imports_no_command_and_no_sandbox(path: Path) -> None:
    wrong = [
        name for name in imports(path) if name.startswith(("loader.commands", "loader.sandbox"))
    ]
    assert not wrong


@pytest.mark.parametrize("path", SANDBOX, ids=lambda path: path.name)
def test_the_sandbox_does_not_import_the_loader(path: Path) -> None:
    wrong = [
        name
        for name in imports(path)
        if name.split(".")[0] == "loader" and not name.startswith("loader.sandbox")
    ]
    assert not wrong


@pytest.mark.parametrize("path", [*CORE, *SANDBOX], ids=lambda path: path.name)
def test_only_commands_know_click_and_rich(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] in ("click", "rich")]


def test_only_two_modules_read_the_environment() -> None:
    # The children that commands start get an environment: dbt, the demo's own, psql.
    may = {"settings.py", "database.py", "dbt.py", "demo.py"}
    wrong = {
        path.name: lines
        for path in [*CORE, *COMMANDS, *SANDBOX]
        if path.name not in may and (lines := environment_reads(path))
    }
    assert not wrong


def test_the_table_of_contents_names_every_file() -> None:
    contents = ast.get_docstring(ast.parse((LOADER / "__init__.py").read_text(encoding="utf-8")))
    assert contents
    listed = [path.name for path in CORE if path.name != "__init__.py"]
    assert not [name for name in listed if name not in contents]
