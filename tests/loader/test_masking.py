"""What is quoted holds no secret; a card tells its project."""

from __future__ import annotations

import psycopg
import pytest

from loader.call_card import PROJECT_NUMBER, project_number
from loader.masking import mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://app.example/x.ogg?token=abc, please", "see <link> please"),
        ('{"api_key": "abc123"}', '{"api_key": "***"}'),
        ("deadbeefdeadbeefdeadbeefdeadbeef", "***"),
        ("call +380 (44) 111-22-33 now", "call *** now"),
        ("two\n lines", "two lines"),
        ("502 Bad Gateway", "502 Bad Gateway"),
        ("2024-05-31 10:00, 31-05-2024, 2024-5-31", "2024-05-31 10:00, 31-05-2024, 2024-5-31"),
        ("31-05-20241, 38-04-4111 22 33", "***, ***"),
    ],
)
def test_masks(text: str, expected: str) -> None:
    assert mask(text) == expected


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("https://app.example/card/ua9_-1/?project_id=11111", 11111),
        ("https://app.example/card/?a=b&project_id=11111&tab=1", 11111),
        ("?project_id=11111#tab", 11111),
        ("?project_id=11111;x", 11111),
        ("?project_id=11111x", 11111),
        ("?old_project_id=5&project_id=11111", 11111),
        ("?project_id=", None),
        ("?project_id=0", None),
        ("?project_id=1234567890123456789", None),
        ("?old_project_id=5", None),
        ("", None),
    ],
)
def test_the_project_of_a_card(conn: psycopg.Connection, card: str, expected: int | None) -> None:
    assert project_number(card) == expected
    in_postgres = conn.execute("select substring(%s from %s)::bigint", [card, PROJECT_NUMBER])
    assert in_postgres.fetchone() == (expected,)
