"""Hides what logs, errors and the load log must not contain."""

from __future__ import annotations

import re

# 2024-05-31, 31-05-2024
_DATE = r"(\d{4}-\d{1,2}-\d{1,2}|[0-3]?\d-[01]?\d-(19|20)\d\d)"

_MASKS = (
    (r"https?://[^\s\"'<>]+", "<link>"),
    (r"(?i)(token|key|secret)([\"'\s]*[:=][\"'\s]*)[^\s\"'&,<>}]+", r"\1\2***"),
    (r"[\w-]{24,}", "***"),
    # A phone number, but not a date.
    (rf"(?<!\d)(?!{_DATE}(?!\d))\+?\d(?:[\s()-]{{0,3}}\d){{6,}}", "***"),
)


def mask(text: str) -> str:
    """`text` in one line, without links, keys, tokens and phone numbers."""
    text = " ".join(text[:10_000].split())
    for pattern, replacement in _MASKS:
        text = re.sub(pattern, replacement, text)
    return text
