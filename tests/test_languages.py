"""README and the pages in Russian and Ukrainian say what the English ones say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loader import ROOT

LANGUAGES = {"en": "English", "ru": "Русский", "uk": "Українська"}
TRANSLATED = ("README.md", "numbers.md", "settings.md", "troubleshooting.md")
# What a language words by itself: a place in a file, and the label that only Ukrainian renames.
WORDED = {
    "en": {"file:line:column"},
    "ru": {"файл:строка:столбец"},
    "uk": {
        "файл:рядок:стовпець",
        "Невідома кампанія",
        "ringostat_unknown_campaign",
        "ringostat_unknown_campaign: Невідома кампанія",
        "RINGOSTAT_VARS",
    },
}

both = pytest.mark.parametrize("language", ["ru", "uk"])
every_page = pytest.mark.parametrize("page", TRANSLATED)


def path(page: str, language: str) -> Path:
    if language != "en":
        return ROOT / "docs" / language / page
    return ROOT / page if page == "README.md" else ROOT / "docs" / page


def text(page: str, language: str) -> str:
    return path(page, language).read_text(encoding="utf-8")


def without_blocks(page: str, language: str) -> str:
    return re.sub(r"^```.*?^```$", "", text(page, language), flags=re.MULTILINE | re.DOTALL)


def code(page: str, language: str) -> set[str]:
    """What stands between backticks in sentences and tables: commands, settings, columns."""
    spans = re.findall(r"`([^`]+)`", without_blocks(page, language))
    return {" ".join(span.split()) for span in spans}


def tables(page: str, language: str) -> list[list[str]]:
    """Of each row the number of its cells and the code of its first cell."""
    rows = re.findall(r"^\|(.+)\|$", without_blocks(page, language), re.MULTILINE)
    return [[str(row.count(" | ")), *re.findall(r"`([^`]+)`", row.split(" | ")[0])] for row in rows]


def anchors(markdown: str) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@both
def test_no_page_is_left_out(language: str) -> None:
    assert sorted(file.name for file in (ROOT / "docs" / language).iterdir()) == sorted(TRANSLATED)


@both
@every_page
def test_the_blocks_are_the_same(page: str, language: str) -> None:
    block = re.compile(r"(?:^<!-- \w+ -->\n)?^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert block.findall(text(page, language)) == block.findall(text(page, "en"))


@both
@every_page
def test_the_headings_are_as_many_and_as_deep(page: str, language: str) -> None:
    level = re.compile(r"^(#+) ", re.MULTILINE)
    assert level.findall(without_blocks(page, language)) == level.findall(
        without_blocks(page, "en")
    )


@both
@every_page
def test_the_tables_have_the_same_rows(page: str, language: str) -> None:
    assert tables(page, language) == tables(page, "en")


@both
@every_page
def test_the_lists_and_paragraphs_are_as_many(page: str, language: str) -> None:
    item = re.compile(r"^(?:-|\d+\.) ", re.MULTILINE)
    found, wanted = without_blocks(page, language), without_blocks(page, "en")
    assert len(item.findall(found)) == len(item.findall(wanted))
    assert found.count("\n\n") == wanted.count("\n\n")


@both
@every_page
def test_the_same_commands_settings_and_columns_are_named(page: str, language: str) -> None:
    found, wanted = code(page, language), code(page, "en")
    assert wanted - found <= WORDED["en"]
    assert found - wanted <= WORDED[language]


@both
@every_page
def test_the_links_go_to_the_same_pages(page: str, language: str) -> None:
    def targets(of: str) -> list[str]:
        title, _, _, *lines = text(page, of).splitlines()
        return sorted(
            link
            if link.startswith("http")
            # A page that is translated counts as the English one.
            else str((path(page, of).parent / link).resolve()).replace(f"/docs/{of}/", "/docs/")
            for link in re.findall(r"\]\(([^)#]+)", "\n".join([title, *lines]))
        )

    assert targets(language) == targets("en")


@every_page
@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(page: str, language: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text(page, language)):
        if target.startswith("http"):
            continue
        file = (path(page, language).parent / target) if target else path(page, language)
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}#{anchor}"


@every_page
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_languages_are_linked_at_the_top(page: str, language: str) -> None:
    line = text(page, language).splitlines()[2]
    words = line.split(" · ")
    assert [re.sub(r"\[(.+)\].*", r"\1", word) for word in words] == list(LANGUAGES.values())
    for word, it in zip(words, LANGUAGES, strict=True):
        if it == language:
            assert "[" not in word
        else:
            (link,) = re.findall(r"\((.+)\)", word)
            assert (path(page, language).parent / link).resolve() == path(page, it).resolve()
