"""The dashboard is in one language: each label has its word in all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bi.superset.words import TABLE, WEEKDAYS, translated
from loader import ROOT
from loader.settings import LANGUAGES

OTHER_LANGUAGES = LANGUAGES[1:]

# Where the files of `assets/` hold what people read.
LABELS = {
    "customColumnName",
    "dashboard_title",
    "description",
    "slice_name",
    "subtitle",
    "text",
    "verbose_name",
}
# They are the same in every language.
NAMES = r"\b(KPI|Ringostat|UTM|static_channels\.csv|valid_to)\b"

ASSETS = {
    f"{file.parent.name}/{file.stem}": yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in (ROOT / "bi/superset/assets").rglob("*.yaml")
}


def _labels(node: Any, key: str = "") -> Iterator[str]:
    """Every text of an asset that people read."""
    if isinstance(node, dict):
        if node.get("type") == "NATIVE_FILTER":
            yield node["name"]
        for name, value in node.items():
            yield from _labels(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from _labels(item)
    elif isinstance(node, str):
        if key in LABELS:
            yield node
        elif key == "sql":
            yield from re.findall(r"then\s+'([^']+)'", node)


def test_every_word_is_there_in_every_language() -> None:
    for english, words in TABLE.items():
        assert set(words) == set(OTHER_LANGUAGES), english
        assert all(words.values()), english
    assert set(WEEKDAYS) == set(OTHER_LANGUAGES)


def test_every_label_is_in_the_table_and_the_reverse() -> None:
    labels = {label for asset in ASSETS.values() for label in _labels(asset)}
    assert labels == set(TABLE) - {"Others"}


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_no_english_label_remains(language: str) -> None:
    for name, asset in ASSETS.items():
        for label in _labels(translated(asset, language)):
            assert not re.search("[A-Za-z]", re.sub(NAMES, "", label)), f"{label} in {name}"


@pytest.mark.parametrize(
    ("mart", "column", "dataset"),
    [
        ("fct_conversions", "conversion_type", "conversions"),
        ("fct_conversions", "attribution_method", "conversions"),
        ("dim_projects", "kpi_mode", "kpi_modes"),
        ("rpt_load_status", "status", "load_status"),
        ("rpt_unmapped_pools", "suggestion_reason", "unmapped_pools"),
    ],
)
def test_every_value_that_a_mart_may_hold_has_a_label(mart: str, column: str, dataset: str) -> None:
    text = (ROOT / "models/marts/_marts__models.yml").read_text(encoding="utf-8")
    (columns,) = (m["columns"] for m in yaml.safe_load(text)["models"] if m["name"] == mart)
    (tests,) = (c["data_tests"] for c in columns if c["name"] == column)
    (values,) = (
        test["accepted_values"]["arguments"]["values"]
        for test in tests
        if "accepted_values" in test
    )
    for value in values:
        assert f"when '{value}' then '" in ASSETS[f"warehouse/{dataset}"]["sql"]


@pytest.mark.parametrize("dataset", ["load_status", "lost_requests", "tracking_health"])
def test_every_value_that_the_sql_of_a_mart_makes_has_a_label(dataset: str) -> None:
    made = (ROOT / f"models/marts/rpt_{dataset}.sql").read_text(encoding="utf-8")
    values = set(re.findall(r"(?:then|else) '([a-z_]+)'", made))
    assert len(values) >= 4
    for value in values:
        assert re.search(rf"when '{value}'\s+then '", ASSETS[f"warehouse/{dataset}"]["sql"]), value


def test_codes_in_sql_stay_as_they_are_and_their_labels_change() -> None:
    russian = translated(ASSETS["warehouse/unmapped_pools"], "ru")
    assert "when 'look_alike' then 'похожие буквы'" in russian["sql"]
    assert (
        translated(ASSETS["warehouse/unmapped_pools"], "en") == ASSETS["warehouse/unmapped_pools"]
    )
    assert translated({"sql": "select 'it''s', 'Forms'"}, "uk") == {
        "sql": "select 'it''s', 'Заявки з форм'"
    }


def test_a_bundle_for_another_superset_has_the_language_and_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "assets.zip"
    command = [sys.executable, "-m", "bi.superset.bundle", file]
    environment = {**os.environ, "RINGOSTAT_LANG": "uk", "RINGOSTAT_SCHEMA": "own"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    with zipfile.ZipFile(file) as bundle:
        assert len(bundle.namelist()) == len(ASSETS)
        pools = yaml.safe_load(bundle.read("assets/datasets/warehouse/unmapped_pools.yaml"))
    assert pools["schema"] == "own_marts"
    assert "then 'схожі літери'" in pools["sql"]
