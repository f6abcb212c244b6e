"""What MetricFlow answers on Postgres equals the daily tables."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loader import ROOT, database
from loader.commands.dbt import dbt

METRICS = (
    "conversions",
    "conversions_all",
    "conversions_tagged",
    "conversions_primary",
    "conversions_tagged_primary",
    "answered",
)
LABELS = ("project_name", "conversion_type", "traffic_source", "traffic_type", "campaign")

Query = Callable[..., set[tuple[str | float | None, ...]]]


@pytest.fixture(scope="module")
def query(demo_warehouse: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Query:
    """`query(metrics, dimensions)` → rows of the dimensions and the metrics."""
    folder = tmp_path_factory.mktemp("semantic_layer")
    shutil.copy(ROOT / "profiles.example.yml", folder / "profiles.yml")
    assert dbt("parse", "--quiet") == 0  # into the project's `target`, where MetricFlow looks

    def run(metrics: str, dimensions: str) -> set[tuple[str | float, ...]]:
        answer = folder / "answer.csv"
        arguments = ["query", "--metrics", metrics, "--group-by", dimensions, "--csv", answer]
        subprocess.run(
            [Path(sys.executable).with_name("mf"), *arguments],
            cwd=ROOT,
            env={**os.environ, "DBT_PROFILES_DIR": str(folder)},
            check=True,
        )
        with answer.open(newline="", encoding="utf-8") as file:
            return {
                (
                    *(row[name] for name in dimensions.split(",")),
                    *(float(row[name]) if row[name] else None for name in metrics.split(",")),
                )
                for row in csv.DictReader(file)
            }

    return run


def test_every_mode_by_day_and_all_labels(query: Query, demo_warehouse: dict[str, str]) -> None:
    metrics = ",".join(METRICS)
    labels = ",".join(LABELS)
    found = query(metrics, ",".join(["metric_time__day", *(f"conversion__{it}" for it in LABELS)]))
    with database.connect(demo_warehouse) as conn:
        daily = conn.execute(
            f"select conversion_date::timestamp::text, {labels}, {metrics}"
            " from ringostat_marts.rpt_conversions_daily"
        ).fetchall()
    assert found == set(daily)


def test_shares(query: Query, demo_warehouse: dict[str, str]) -> None:
    found = query("unknown_share,answered_share", "conversion__project_name")
    with database.connect(demo_warehouse) as conn:
        rows = conn.execute(
            """
            select
                project_name,
                sum(conversions_all) filter (where campaign = 'Неизвестная кампания')::float8
                / sum(conversions_all)::float8,
                sum(answered)::float8 / sum(answered + missed)::float8
            from ringostat_marts.rpt_conversions_daily
            group by project_name
            """
        ).fetchall()
    assert found == set(rows)


def test_spend_by_campaign(query: Query, demo_warehouse: dict[str, str]) -> None:
    found = query(
        "spend,cost_per_conversion,category_value,return_on_spend",
        "campaign_day__traffic_source,campaign_day__campaign",
    )
    with database.connect(demo_warehouse) as conn:
        rows = conn.execute(
            """
            select
                traffic_source,
                campaign,
                sum(spend)::float8,
                sum(spend)::float8 / nullif(sum(conversions), 0)::float8,
                sum(category_value)::float8,
                sum(category_value)::float8 / nullif(sum(spend), 0)::float8
            from ringostat_marts.rpt_spend_daily
            group by traffic_source, campaign
            """
        ).fetchall()
    assert found == set(rows)
    assert any(row[2] and row[3] for row in rows)
    assert any(row[2] is None for row in rows)
