"""A call's card: the only field that names the project of a call."""

from __future__ import annotations

import re

# The pattern means the same in Python and in Postgres. Longer numbers are not project numbers.
PROJECT_NUMBER = r"[?&]project_id=([1-9][0-9]{0,17})(?![0-9])"


def project_number(call_card: str) -> int | None:
    """The project's number in the address of a card; None if there is none."""
    found = re.search(PROJECT_NUMBER, call_card)
    return int(found[1]) if found else None
