"""The project's conventions hold, and no column is without a description."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loader import ROOT
from loader.commands.dbt import dbt

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def artifacts(demo_warehouse: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's `target` folder, with its manifest and the catalogue of the warehouse."""
    folder = tmp_path_factory.mktemp("dbt") / "target"
    assert dbt("docs", "generate", "--quiet", "--target-path", str(folder)) == 0
    return folder


@pytest.mark.skipif(sys.version_info < (3, 11), reason="dbt-bouncer 4 needs Python 3.11")
def test_the_conventions_of_dbt_bouncer_yml_hold(artifacts: Path) -> None:
    # It looks for `target` beside its configuration.
    configuration = shutil.copy(ROOT / "dbt-bouncer.yml", artifacts.parent)
    subprocess.run([PROGRAMS / "dbt-bouncer", "run", "--config-file", configuration], check=True)


def test_every_column_of_models_seeds_and_sources_is_explained(artifacts: Path) -> None:
    coverage = [PROGRAMS / "dbt-coverage", "compute", "doc", "--cov-fail-under", "1.0"]
    # The columns of an optional file are explained where the project has it.
    coverage += ["--model-path-exclusion-filter", "no_costs/"]
    report = ["--cov-report", artifacts / "coverage.json"]
    subprocess.run([*coverage, "--run-artifacts-dir", artifacts, *report], cwd=ROOT, check=True)
