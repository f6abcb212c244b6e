"""Without Superset there is one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loader import ROOT


def test_a_missing_superset_is_named(tmp_path: Path) -> None:
    serve = [sys.executable, "bi/superset/serve.py", "--home", tmp_path / "home"]
    run = subprocess.run(serve, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        "Superset is missing (No module named 'superset'): `make bi` installs it\n"
    )
