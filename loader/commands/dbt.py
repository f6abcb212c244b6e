"""Runs dbt as a child process, in the project's folder on the loader's warehouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from loader import ROOT, database
from loader.errors import ConfigurationError
from loader.settings import CALLER_SALT


def dbt(*arguments: str, **settings: str) -> int:
    """Runs `dbt` with `arguments`; its exit code. What it prints goes to stderr.

    Uses the user's `profiles.yml` if there is one, else `profiles.example.yml` as it is. `settings`
    are environment variables that dbt gets beside those of this process; with them, always the
    latter: a profile of the user's may name a schema and not heed RINGOSTAT_SCHEMA. Raises
    ConfigurationError if dbt is not installed.
    """
    program = Path(sys.executable).with_name("dbt")
    if not program.exists():
        raise ConfigurationError(f"dbt is not installed beside {sys.executable}")
    with tempfile.TemporaryDirectory() as folder:
        if settings or not (ROOT / "profiles.yml").exists():
            shutil.copy(ROOT / "profiles.example.yml", Path(folder, "profiles.yml"))
            arguments += ("--profiles-dir", folder)
        env = {**os.environ, **database.environment(), **settings}
        env.pop(CALLER_SALT, None)  # dbt reads it from the warehouse
        child = subprocess.run(
            [program, *arguments],
            cwd=ROOT,
            env=env,
            stdout=2,  # the file number of stderr: stdout is for results
            check=False,
        )
    return child.returncode
