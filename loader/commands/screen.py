"""Output for people: the console for tables, and progress bars. Markup is off everywhere, so that
names and errors are shown unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loader.commands import logs
from loader.landing import Landed
from loader.load import Show
from loader.projects import Project
from loader.windows import Window

# A pipe has no width, and rich's default of 80 columns would cut words.
_PIPE_WIDTH = 200
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console(stderr: bool = False, pipe_width: int = _PIPE_WIDTH) -> Console:
    """stdout (or stderr) for tables."""
    found = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if found.is_terminal:
        return found
    return Console(stderr=stderr, width=pipe_width, markup=False, emoji=False, highlight=False)


def visible(text: str) -> str:
    """`text` with control characters escaped: in a pool's name they could control the terminal."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@contextmanager
def progress() -> Iterator[Callable[[Project], Show]]:
    """Yields `bar(project)` for `load_projects`: on a terminal, one bar per project."""
    on_stderr = console(stderr=True)
    shown = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[calls]:,} calls"),
        TimeElapsedColumn(),
        console=on_stderr,
        # Variables such as FORCE_COLOR make rich take a log file for a terminal.
        disable=logs.is_quiet() or not on_stderr.is_terminal,
    )

    def bar(project: Project) -> Show:
        task = shown.add_task(project.project_name, total=None, calls=0)

        def show(period: Window, window: Window, landed: Landed) -> None:
            shown.update(
                task,
                total=(period.end - period.start).total_seconds(),
                completed=(window.end - period.start).total_seconds(),
                calls=landed.fetched,
            )

        return show

    with shown:
        yield bar
