"""A documented setting never breaks the build, and a wrong one changes nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import sql

from loader import ROOT
from loader.commands import dbt

from .support import NO_TESTS, land, run_dbt

Build = Callable[..., None]

ROLE = "the test's own role"

# Values of every var besides its default: those in the first place each alone, and all of one place
# at once.
OTHER_VALUES: dict[str, list[Any]] = {
    "ringostat_kpi_mode": ["tagged_primary", "tagged", "primary"],
    "ringostat_excluded_call_types": [["callback", "transitin"], ["out"], []],
    "ringostat_transfer_seconds": [0, 3600],
    "ringostat_primary_rule": ["first_contact"],
    "ringostat_primary_window_days": [30, 1, 36500],
    "ringostat_unknown_source": ["it's unknown"],
    "ringostat_unknown_type": ["—"],
    "ringostat_unknown_campaign": ["Невідома кампанія"],
    "ringostat_other_conversions": ["public.crm"],
    "ringostat_duplicate_minutes": [30, 0],
    "ringostat_duplicate_share": [0.5, 0, 1],
    "ringostat_ad_spend": ["public.spend"],
    "ringostat_call_back_hours": [1, 720],
    "ringostat_call_back_seconds": [0, 3600],
    "ringostat_health_conversions": [1, 100000],
    "ringostat_health_probability": [0.5, 0, 1],
    "ringostat_reported_days": [0, 36500],
    "ringostat_show_employees": [False],
    "ringostat_show_visits": [False],
    "ringostat_bi_role": [ROLE],
}

# Wrong values, with what the message shows of each. A run tells of one value of every var.
WRONG_VALUES: list[dict[str, tuple[Any, str]]] = [
    {
        "ringostat_kpi_mode": ("taged", '"taged", but must be one of all, tagged'),
        "ringostat_excluded_call_types": (["Out"], '["Out"], but must be a list of call types'),
        "ringostat_transfer_seconds": (-1, "-1, but must be a whole number of seconds"),
        "ringostat_primary_rule": ("first", '"first", but must be one of vendor, first_contact'),
        "ringostat_primary_window_days": (-1, "-1, but must be a whole number of days"),
        "ringostat_unknown_source": (None, "null, but must be text"),
        "ringostat_unknown_type": (5, "5, but must be text"),
        "ringostat_unknown_campaign": (" ", '" ", but must be text'),
        "ringostat_other_conversions": (["a"], '["a"], but must be the name of a relation'),
        "ringostat_duplicate_minutes": ("5", '"5", but must be a whole number of minutes'),
        "ringostat_duplicate_share": (5, "5, but must be a number from 0 to 1"),
        "ringostat_ad_spend": (["a"], '["a"], but must be the name of a relation'),
        "ringostat_call_back_hours": (0, "0, but must be a whole number of hours from 1"),
        "ringostat_call_back_seconds": (-1, "-1, but must be a whole number of seconds"),
        "ringostat_health_conversions": (0, "0, but must be a whole number from 1"),
        "ringostat_health_probability": (5, "5, but must be a number from 0 to 1"),
        "ringostat_reported_days": (-1, "-1, but must be a whole number of days from 0"),
        "ringostat_show_employees": ("no", '"no", but must be true or false'),
        "ringostat_show_visits": (None, "null, but must be true or false"),
        "ringostat_bi_role": ("nobody", '"nobody", but must be the name of a role'),
    },
    {
        "ringostat_kpi_mode": (None, "null, but must be one of"),
        "ringostat_excluded_call_types": (
            ["out,transitout"],
            '["out,transitout"], but must be a list of call types',
        ),
        "ringostat_transfer_seconds": (None, "null, but must be a whole number of seconds"),
        "ringostat_primary_rule": (["vendor"], '["vendor"], but must be one of'),
        "ringostat_primary_window_days": ("30", '"30", but must be a whole number'),
        "ringostat_other_conversions": ("", '"", but must be the name of a relation'),
        "ringostat_duplicate_minutes": (True, "true, but must be a whole number"),
        "ringostat_duplicate_share": (None, "null, but must be a number"),
        "ringostat_ad_spend": ("", '"", but must be the name of a relation'),
        "ringostat_call_back_hours": ("24", '"24", but must be a whole number of hours'),
        "ringostat_call_back_seconds": (None, "null, but must be a whole number of seconds"),
        "ringostat_health_conversions": (20.5, "20.5, but must be a whole number"),
        "ringostat_health_probability": (None, "null, but must be a number"),
        "ringostat_reported_days": (None, "null, but must be a whole number of days from 0"),
        "ringostat_show_employees": (1, "1, but must be true or false"),
        "ringostat_show_visits": ("false", '"false", but must be true or false'),
        "ringostat_bi_role": (False, "false, but must be the name of a role"),
    },
    {
        "ringostat_excluded_call_types": ("out", '"out", but must be a list of call types'),
        "ringostat_primary_window_days": (1.5, "1.5, but must be a whole number"),
        "ringostat_duplicate_share": (-0.1, "-0.1, but must be a number"),
        "ringostat_call_back_hours": (721, "721, but must be a whole number of hours"),
        "ringostat_health_probability": (1.5, "1.5, but must be a number"),
    },
]


@pytest.fixture
def role(raw: psycopg.Connection, warehouse: dict[str, str]) -> Iterator[str]:
    """A role of the server, and the relations that `ringostat_other_conversions` and
    `ringostat_ad_spend` name."""
    raw.execute(
        "create table public.crm"
        " (system text, conversion_id int, occurred_at timestamptz, phone text)"
    )
    raw.execute(
        """
        create table public.spend as
        select
            date '2024-01-01' as date_day, 'google_ads' as platform, '1' as campaign_id,
            'Brand' as campaign_name, 10.5 as spend
        """
    )
    land(raw, "b", caller="380001", call_type="callback")
    land(raw, "c", caller="380002", call_type="out")
    name = f"bi {warehouse['PGDATABASE'][-12:]}"
    raw.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield name
    raw.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
    raw.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_every_var_is_tested_here() -> None:
    assert OTHER_VALUES.keys() == default_values().keys() == WRONG_VALUES[0].keys()


@pytest.mark.parametrize("place", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_a_build_with_all_vars_changed_passes_its_tests(
    place: int, role: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_STALE_HOURS", "999999.5")
    values = {name: values[place % len(values)] for name, values in OTHER_VALUES.items()}
    build(tests=["test", "unit_test"], **{**values, "ringostat_bi_role": role})


@pytest.mark.slow
@pytest.mark.parametrize("names", [sorted(OTHER_VALUES)[n::4] for n in range(4)])
def test_a_build_with_one_var_changed_passes_its_tests(
    names: list[str], role: str, build: Build
) -> None:
    for name in names:
        value = OTHER_VALUES[name][0]
        build(tests=["test", "unit_test"], **{name: role if value == ROLE else value})


def test_unit_tests_set_every_var_that_their_model_reads(
    dbt_folder: Path, warehouse: dict[str, str]
) -> None:
    parsed = run_dbt(dbt_folder, "parse")
    assert parsed.returncode == 0, parsed.stdout
    manifest = json.loads((dbt_folder / "target/manifest.json").read_text())
    assert manifest["unit_tests"]
    for test in manifest["unit_tests"].values():
        read = vars_read(manifest, manifest["nodes"][f"model.ringostat.{test['model']}"])
        unset = read - (test["overrides"] or {}).get("vars", {}).keys()
        assert not unset, f"{test['name']} does not set {unset}"


@pytest.mark.parametrize(
    "wrong",
    [WRONG_VALUES[0], *(pytest.param(wrong, marks=pytest.mark.slow) for wrong in WRONG_VALUES[1:])],
)
def test_wrong_values_are_refused_at_once_and_nothing_is_built(
    wrong: dict[str, tuple[Any, str]],
    conn: psycopg.Connection,
    seeds: Path,
    dbt_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RINGOSTAT_STALE_HOURS", "a day")
    values = {name: value for name, (value, _) in wrong.items()}
    given = ("--vars", json.dumps({**values, "ringostat_kpi_mod": 1}))
    given += ("--target-path", str(dbt_folder / "target_of_wrong_values"))
    built = run_dbt(dbt_folder, "build", *given)
    assert built.returncode != 0
    lines = [line.strip() for line in built.stdout.splitlines()]
    for name, (_, shown) in wrong.items():
        assert sum(line.startswith(f"{name} is {shown}") for line in lines) == 1, built.stdout
    names = ", ".join(OTHER_VALUES)
    assert f"ringostat_kpi_mod is not a setting: the settings are {names}" in lines
    assert 'RINGOSTAT_STALE_HOURS is "a day", but must be a number of hours' in lines
    assert len([line for line in lines if "but must" in line]) == len(wrong) + 1
    relations = "select count(*) from pg_tables where schemaname in ('ringostat_seeds')"
    assert conn.execute(relations).fetchone() == (0,)


def test_names_and_values_of_dbt_project_yml_are_checked_too(
    tmp_path_factory: pytest.TempPathFactory, raw: psycopg.Connection, dbt_folder: Path
) -> None:
    """With the vars at the top and below the project's name, as dbt allows."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("models", "macros", "tests"):
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("*.py"))
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    settings["vars"]["ringostat_kpi_mod"] = "tagged"
    settings["vars"]["ringostat"] = {"ringostat_unknown": "?", "ringostat_kpi_mode": "some"}
    settings["vars"]["of_another_package"] = 1
    (project / "dbt_project.yml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    own = ("--project-dir", str(project), "--target-path", str(project / "target"))
    built = run_dbt(dbt_folder, "build", *own)
    assert built.returncode != 0
    assert "ringostat_kpi_mod is not a setting: " in built.stdout
    assert "ringostat_unknown is not a setting: " in built.stdout
    assert 'ringostat_kpi_mode is "some", but must be one of all, ' in built.stdout
    assert "of_another_package" not in built.stdout


# One content and one target for both tests: dbt parses the whole project for each set of vars.
OWN_VARS = (
    "# ours\nringostat_kpi_mode: tagged\nringostat_unknown_campaign: Невідома «кампанія» 📞\n"
)


@pytest.fixture
def own_vars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the user's, named by RINGOSTAT_VARS."""
    file = tmp_path / "vars.yml"
    file.write_text(OWN_VARS, encoding="utf-8")
    monkeypatch.setenv("RINGOSTAT_VARS", str(file))
    return file


def test_the_vars_of_a_file_of_the_users_reach_dbt(
    own_vars: Path, raw: psycopg.Connection, dbt_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / "target_of_a_file"))
    assert dbt.dbt("build", "--quiet", *NO_TESTS) == 0
    found = raw.execute("select campaign, is_counted from ringostat_marts.fct_conversions")
    assert found.fetchall() == [("Невідома «кампанія» 📞", False)]
    own_vars.write_text("# nothing yet\n")
    monkeypatch.setenv("DBT_TARGET_PATH", str(dbt_folder / "target"))
    assert dbt.dbt("seed", "--quiet") == 0


def test_dbt_by_hand_without_the_vars_of_that_file_is_refused(
    own_vars: Path, raw: psycopg.Connection, dbt_folder: Path
) -> None:
    refused = run_dbt(dbt_folder, "seed")
    assert refused.returncode != 0
    advice = 'but dbt was given no vars: add --vars "$(cat "$RINGOSTAT_VARS")"'
    assert f"RINGOSTAT_VARS is set, {advice}" in refused.stdout
    target = ("--target-path", str(dbt_folder / "target_of_a_file"))
    seeded = run_dbt(dbt_folder, "seed", "--vars", own_vars.read_text(encoding="utf-8"), *target)
    assert seeded.returncode == 0, seeded.stdout


def default_values() -> dict[str, Any]:
    settings = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    return settings["vars"]


def vars_read(manifest: dict[str, Any], node: dict[str, Any]) -> set[str]:
    """The vars in a model's SQL and in the project's macros that it calls, hooks included."""
    found: set[str] = set()
    names, seen = list(node["depends_on"]["macros"]), set()
    texts = [node["raw_code"]]
    while names:
        name = names.pop()
        if name.startswith("macro.ringostat.") and name not in seen:
            seen.add(name)
            macro = manifest["macros"][name]
            texts.append(macro["macro_sql"])
            names += macro["depends_on"]["macros"]
    for text in texts:
        found.update(re.findall(r"\bvar\(\s*['\"](\w+)", text))
    return found
