"""What keeps the dashboard from being served is told in one line, before anything is prepared."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loader import ROOT


def _serve(*arguments: object, **environment: str) -> str:
    """What serve.py says on stderr before it ends with exit code 2."""
    run = subprocess.run(
        [sys.executable, "bi/superset/serve.py", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    return run.stderr


def test_a_missing_superset_is_named(tmp_path: Path) -> None:
    assert _serve("--home", tmp_path / "home", "--port", 0) == (
        "Superset is missing (No module named 'superset'): `make bi` installs it\n"
    )


@pytest.mark.parametrize("program", ["bi/superset/serve.py", "bi.warehouse"])
def test_an_unknown_language_is_refused(program: str) -> None:
    command = [program] if program.endswith(".py") else ["-m", program, "true"]
    run = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "RINGOSTAT_LANG": "de"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == "Error: RINGOSTAT_LANG is 'de': it must be one of en, ru, uk\n"


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert _serve(f"--port={port}") == (
        f"Error: PORT is {port!r}: it must be a number from 0 to 65535\n"
    )


def test_a_port_that_is_taken_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert _serve("--port", port) == (
            f"Error: port {port} cannot be used (Address already in use): choose another, e.g. "
            "`make bi PORT=8090`\n"
        )
