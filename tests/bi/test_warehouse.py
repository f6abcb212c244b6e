"""BI shows the warehouse that PG* name, and never the demo's numbers in its place."""

from __future__ import annotations

import subprocess
import sys

from loader import ROOT


def test_a_database_without_marts_is_named(warehouse: dict[str, str]) -> None:
    command = [sys.executable, "-m", "bi.warehouse", "true"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"the database {warehouse['PGDATABASE']} holds no marts" in run.stderr
