"""Runs the programs that are measured, each in its own process, as a user would start it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from loader import ROOT


@dataclass(frozen=True)
class Measured:
    """`seconds` from start to end; `megabytes`: the peak memory of the last process."""

    seconds: float
    megabytes: float


def run(*commands: Sequence[str | Path], env: Mapping[str, str], log: Path) -> Measured:
    """Runs the commands, joined by pipes. What they print goes to `log`.

    Raises RuntimeError with the end of it if one fails.
    """
    children: list[subprocess.Popen] = []
    with ExitStack() as stack, log.open("wb") as output:
        started = time.perf_counter()
        for command in commands:
            is_last = len(children) + 1 == len(commands)
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **env},
                stdin=children[-1].stdout if children else subprocess.DEVNULL,
                stdout=output if is_last else subprocess.PIPE,
                stderr=output,
            )
            stack.callback(_end, child)
            if children:
                children[-1].stdout.close()  # the child has it: a reader that dies ends the writer
            children.append(child)
        # Not `wait()`: only this call reports the memory of one child.
        _, status, usage = os.wait4(children[-1].pid, 0)
        children[-1].returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        failed = [child.args for child in children if child.wait() != 0]
    if failed:
        said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise RuntimeError(f"failed: {failed}\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return Measured(seconds, usage.ru_maxrss * unit / 1024**2)


def _end(child: subprocess.Popen) -> None:
    if child.poll() is None:
        child.kill()
        child.wait()
