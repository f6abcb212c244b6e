"""The docs and the code name the same commands, options, settings and messages."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from loader import ROOT
from loader.commands.cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
SETTINGS = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
TROUBLES = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")


def commands(
    group: click.Group = main, path: str = "ringostat"
) -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_docs(name: str) -> None:
    short = name.removeprefix("ringostat ")
    assert name in DOCS or f"`{short}" in DOCS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_or_is_in_the_docs(name: str) -> None:
    for option in COMMANDS[name].params:
        if isinstance(option, click.Option):
            assert option.help or option.opts[0] in DOCS, option.opts[0]


def test_every_command_of_the_docs_exists() -> None:
    named = re.findall(r"`(?:\.venv/bin/)?ringostat ((?:[a-z]+ ?)+)", DOCS)
    named += re.findall(r"^\$ ringostat ((?:[a-z]+ ?)+)", DOCS, re.MULTILINE)
    assert named
    for words in named:
        command: click.Command = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break  # an argument
            assert word in command.commands, f"ringostat {words}"
            command = command.commands[word]


def test_every_option_of_the_docs_exists() -> None:
    known = {option for command in COMMANDS.values() for p in command.params for option in p.opts}
    known |= {option for parameter in main.params for option in parameter.opts}
    known |= {"--version", "--help"}
    for line in DOCS.splitlines():
        for command in re.findall(r"ringostat [^`|]*", line):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", command):
                assert option in known, f"{option} in: {line}"


def _variables_of_the_code() -> set[str]:
    files = [
        *(ROOT / "loader").rglob("*.py"),
        *(ROOT / "macros").rglob("*.sql"),
        *(ROOT / "models").rglob("*.sql"),
        ROOT / "profiles.example.yml",
        ROOT / "dbt_project.yml",
    ]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return set(re.findall(r"""["'](RINGOSTAT_[A-Z_]+)["']""", text))


def test_every_setting_of_the_code_is_in_the_table_and_the_reverse() -> None:
    # The build's own word to its child, and the example of a further key.
    internal = {"RINGOSTAT_BUILD_LOCK"}
    documented = set(re.findall(r"RINGOSTAT_[A-Z_]+", SETTINGS)) - {"RINGOSTAT_KEY_DEALER"}
    assert documented == _variables_of_the_code() - internal


def test_every_var_is_in_the_table_and_the_reverse() -> None:
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))
    named = set(re.findall(r"`(ringostat_[a-z_]+)`", SETTINGS.split("## dbt vars")[1]))
    assert named == set(project["vars"])


def _messages_of_the_code() -> str:
    """Every text of the code, with a mark where a value is filled in, and the SQL as it is."""
    texts = []
    for file in [*(ROOT / "loader").rglob("*.py"), *(ROOT / "bi").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "\0"
                        for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    for folder in ("macros", "tests/dbt", "models"):
        texts += [file.read_text(encoding="utf-8") for file in (ROOT / folder).rglob("*.sql")]
    texts.append((ROOT / "Makefile").read_text(encoding="utf-8"))
    return "\n".join(texts)


# What dbt and Postgres say themselves.
_OF_OTHERS = (
    "could not extend file",
    "on_schema_change",
    "out of sync",
    "staged_at does not",
    "unable to infer",
)


def test_every_message_of_the_troubleshooting_table_exists() -> None:
    code = _messages_of_the_code()
    rows = re.findall(r"^\| (.+?) \| .+? \| .+? \|$", TROUBLES, re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) > 30
    for message in messages:
        # Values: an ellipsis, a number, a word in capitals, a file with its place.
        for part in re.split(r"…|\.\.\.|\b[A-Z]\b|\b[A-Z_]{3,}\b|\d+|[\w/]+\.csv(?::)?", message):
            words = part.strip(" ,;:()'<")
            if len(words) > 5 and not any(other in words for other in _OF_OTHERS):
                assert words in code, f"{words!r} of {message!r}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "DECISIONS.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert Path(page.parent, target).exists(), f"{page.name}: {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_a_column_text_that_two_models_share_is_a_doc_block() -> None:
    written: Counter[str] = Counter()
    for path in (ROOT / "models").rglob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        tables = [*content.get("models", []), *content.get("seeds", [])]
        for source in content.get("sources", []):
            tables += source["tables"]
        for table in tables:
            for column in table.get("columns", []):
                written[column["description"]] += "doc(" not in column["description"]
    assert written
    assert [text for text, times in written.items() if times > 1] == []
