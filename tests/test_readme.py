"""Every command of the README's blocks marked as tested, run in order in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from loader import ROOT
from loader.sandbox import Sandbox, demo_account

_TESTED = re.compile(r"<!-- tested -->\n```console\n(.*?)```", re.DOTALL)


@pytest.fixture
def copy() -> Iterator[Path]:
    """The tracked files in a repository of their own, with the virtual environment of this one."""
    folder = Path(tempfile.mkdtemp(prefix="readme"))
    tracked = _git(ROOT, "ls-files", "-z").stdout.split("\0")
    for file in filter(None, tracked):
        if (ROOT / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)
            # Older than the virtual environment, so that make does not install it again.
            os.utime(folder / file, (0, 0))
    (folder / ".venv").symlink_to(sys.prefix)
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(
        folder,
        *("-c", "user.name=test", "-c", "user.email=test@example.org"),
        *("commit", "--quiet", "--message", "A copy"),
    )
    try:
        yield folder
    finally:
        _bash(folder, "ringostat db stop")
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.embedded
def test_the_commands_of_the_readme_work(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _TESTED.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 4
    for variable in list(os.environ):
        if variable.startswith(("PG", "DBT_")):
            monkeypatch.delenv(variable)
    account = demo_account(datetime.now(timezone.utc))
    with Sandbox(account) as sandbox:
        monkeypatch.setenv("RINGOSTAT_API_URL", sandbox.url)
        monkeypatch.setenv("RINGOSTAT_AUTH_KEY", account[0].auth_key)
        for block in blocks:
            commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
            assert commands
            run = _bash(copy, "set -e\n" + "\n".join(commands))
            assert run.returncode == 0, f"{block}\n{run.stdout}"


def _bash(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.prefix, 'bin')}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder),  # so that the copy's loader runs, not this one's
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
