"""`ringostat init`: a folder for what is the user's own, a private repository: CSVs, vars, keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loader import ROOT, projects
from loader.commands.seeds import CHANNEL_COLUMNS, COST_COLUMNS, TAG_COLUMNS
from loader.errors import ConfigurationError, LoadError

_SEEDS = (
    ("projects", (*projects.COLUMNS, *projects.OPTIONAL_COLUMNS), "the projects to load"),
    ("static_channels", CHANNEL_COLUMNS, "what a number, a pool or a UTM value stands for"),
    ("kpi_tags", TAG_COLUMNS, "what a quality call is"),
    ("channel_costs", COST_COLUMNS, "what static channels cost"),
)

# In .env.example, where the folder's path goes in `.env`.
_PLACE = "/path/to/this/folder"


@dataclass(frozen=True)
class Made:
    """A file to make, and what it is for."""

    name: str
    purpose: str
    text: str


def files(folder: Path) -> Iterator[Made]:
    """What `init` makes in `folder`, an absolute path."""
    for seed, columns, purpose in _SEEDS:
        yield Made(f"seeds/{seed}.csv", purpose, ",".join(columns) + "\n")
    yield Made(
        "vars.yml", "how conversions are counted and named", _read("hosting/repository/vars.yml")
    )
    example = _read(".env.example")
    yield Made(".env", "keys and Postgres: git ignores it", example.replace(_PLACE, str(folder)))
    yield Made(".env.example", "the lines of .env, without keys", example)
    yield Made(".gitignore", "what must not be committed", _read("hosting/repository/gitignore"))
    workflow = ".github/workflows/ringostat.yml"
    yield Made(
        workflow,
        "a run each hour on GitHub, if you want it",
        _read("hosting/github-actions/ringostat.yml"),
    )
    yield Made("README.md", "for your colleagues", _read("hosting/repository/README.md"))


def init(folder: Path) -> list[Made]:
    """Makes the files in `folder`, which it creates.

    Raises ConfigurationError, and makes nothing, if one of them exists.
    """
    folder = folder.resolve()
    if not re.fullmatch(r"[^'\"\\$`\r\n]+", str(folder)):
        raise ConfigurationError(
            f"{folder}: the path must not contain quotes, $ or \\, which programs that read .env "
            "take for more than letters"
        )
    made = list(files(folder))
    there = [one.name for one in made if os.path.lexists(folder / one.name)]
    if there:
        raise ConfigurationError(f"{folder} already has {', '.join(there)}: nothing was written")
    try:
        for one in made:
            _write(folder / one.name, one.text)
    except OSError as error:
        raise LoadError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return made


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if file.name == ".env" else 0o644
    # `x`: never over a file that another program has made meanwhile.
    with open(
        file,
        "x",
        encoding="utf-8",
        newline="\n",
        opener=lambda path, flags: os.open(path, flags, mode),
    ) as opened:
        opened.write(text)


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
