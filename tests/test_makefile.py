"""What the Makefile installs and removes, in a project with a sham virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from loader import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that is installed and has data; its `python` refuses whatever it is asked."""
    folder = tmp_path / "project"
    for name in (".venv/bin", ".postgres", "target", "logs", "site"):
        (folder / name).mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".postgres/postmaster.pid").touch()
    (folder / ".postgres/PG_VERSION").touch()
    python = folder / ".venv/bin/python"
    python.write_text("#!/bin/sh\necho asked: $@\nexit 2\n")
    python.chmod(0o755)
    (folder / ".venv/bin/pip").write_text(f"#!{python}\n")
    (folder / ".venv/installed").touch()
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        # As from a shell, also under `make test`.
        env={name: value for name, value in os.environ.items() if "MAKE" not in name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_moved_folder_is_installed_again(folder: Path) -> None:
    assert "Installing" not in make(folder, "-n", "demo").stdout
    moved = folder.rename(folder.with_name("moved"))
    planned = make(moved, "-n", "demo").stdout
    assert planned.index("rm -rf .venv") < planned.index("Installing into .venv")
    assert planned.rstrip().endswith(".venv/bin/python -m loader demo")


def test_clean_needs_no_working_environment_and_leaves_the_data(folder: Path) -> None:
    cleaned = make(folder, "clean")
    assert cleaned.returncode == 0, cleaned.stdout
    assert "asked: -m loader db stop" in cleaned.stdout
    assert "may still run" in cleaned.stdout
    assert {path.name for path in folder.iterdir()} == {
        ".postgres", "Makefile", "pyproject.toml", "requirements.lock"
    }  # fmt: skip
    assert (folder / ".postgres/PG_VERSION").exists()


def test_distclean_removes_nothing_where_the_deletion_is_refused(folder: Path) -> None:
    refused = make(folder, "distclean")
    assert refused.returncode != 0
    assert "asked: -m loader db delete\n" in refused.stdout
    assert (folder / ".postgres/PG_VERSION").exists()
    assert (folder / ".venv").exists()
    assert "asked: -m loader db delete --yes\n" in make(folder, "distclean", "YES=1").stdout


def test_the_tests_on_citus_name_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
        monkeypatch.delenv(f"CITUS_PG{name}", raising=False)
    monkeypatch.setenv("CITUS_PGHOST", "coordinator")
    refused = make(folder, "test-citus")
    assert refused.returncode == 2
    lines = [line for line in refused.stdout.splitlines() if not line.startswith("make")]
    assert lines == [
        "Name a coordinator of Citus in CITUS_PGHOST, CITUS_PGPORT, CITUS_PGUSER, CITUS_PGPASSWORD "
        "and CITUS_PGDATABASE"
    ]
