"""The dashboard's labels in another language: `words.yaml`, applied to the files in `assets/`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

TABLE: dict[str, dict[str, str]] = yaml.safe_load(
    Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")
)

# Numbers and weekdays as charts write them: d3 knows English only by itself.
NUMBERS = {"decimal": ",", "thousands": "\u00a0", "grouping": [3], "currency": ["", ""]}
WEEKDAYS = {
    "ru": ["Вс", "Пн", "Вт", "Ср", "Чт", "Пт", "Сб"],
    "uk": ["Нд", "Пн", "Вт", "Ср", "Чт", "Пт", "Сб"],
}


def word(english: str, language: str) -> str:
    """The label in `language`; the same text if the table does not have it."""
    return TABLE.get(english, {}).get(language, english)


def translated(node: Any, language: str) -> Any:
    """What a file of `assets/` holds, with its labels in `language`.

    A label is a whole text of the table, also as a literal in SQL and as a key, e.g. of
    `label_colors`.
    """
    if isinstance(node, dict):
        return {
            word(key, language): (
                _translated_sql(value, language) if key == "sql" else translated(value, language)
            )
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [translated(item, language) for item in node]
    return word(node, language) if isinstance(node, str) else node


def _translated_sql(sql: str, language: str) -> str:
    def literal(found: re.Match[str]) -> str:
        text = found[1].replace("''", "'")
        return "'" + word(text, language).replace("'", "''") + "'"

    return re.sub("'((?:[^']|'')*)'", literal, sql)
