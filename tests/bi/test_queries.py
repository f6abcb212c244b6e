"""The SQL of docs/bi-queries.md answers on the demo's marts, with the columns that it promises."""

from __future__ import annotations

import re

import psycopg
import pytest

from loader import ROOT, database

PAGE = (ROOT / "docs/bi-queries.md").read_text(encoding="utf-8")
QUESTIONS = {
    title: (promise, query)
    for title, promise, query in re.findall(
        r"^### (\d+\. .+)\n\n((?:.+\n)+)\n```sql\n([^`]+)```", PAGE, re.MULTILINE
    )
}


@pytest.fixture(scope="module")
def marts(demo_warehouse: dict[str, str]) -> psycopg.Connection:
    with database.connect(demo_warehouse) as conn, conn.transaction(force_rollback=True):
        # The demo is built once, so nothing has changed since a report. Here something has.
        conn.execute(
            """
            insert into ringostat_intermediate.int_reported_daily
            select (jsonb_populate_record(reported, jsonb_build_object(
                'reported_on', reported.reported_on + 1,
                'conversions', reported.conversions + 1,
                'reason', 'calls'
            ))).*
            from ringostat_intermediate.int_reported_daily as reported
            where reported.conversion_date < current_date - 7
            """
        )
        yield conn


def test_every_query_of_the_page_has_a_question() -> None:
    asked = PAGE.split("\n## Questions")[1]
    assert len(QUESTIONS) == asked.count("```sql") == asked.count("\n### ") >= 10


@pytest.mark.parametrize("title", QUESTIONS)
def test_the_query_gives_rows_and_the_columns_that_it_promises(
    marts: psycopg.Connection, title: str
) -> None:
    promise, query = QUESTIONS[title]
    # The columns are named first, up to the first word that is none.
    listed = re.match(r"(?:`\w+`(?: \([^)]*\))?[,;:.]?\s+)+", promise)
    assert listed
    found = marts.execute(query)
    assert [column.name for column in found.description] == re.findall(r"`(\w+)`", listed[0])
    rows = found.fetchall()
    assert rows
    # In the demo nothing has failed; every other column says something.
    for column, values in zip(found.description, zip(*rows, strict=True), strict=True):
        assert column.name == "last_error" or any(value is not None for value in values)
