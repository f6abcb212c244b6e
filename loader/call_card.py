"""The number of the project, which an answer tells in the links of `call_card` alone."""

from __future__ import annotations

import re

# Read alike by Python and by Postgres.
PROJECT_ID = "[?&]project_id=([0-9]+)"


def project_ids(call_cards: str) -> set[int]:
    """The numbers in one or many `call_card`, joined in any way."""
    return {int(number) for number in re.findall(PROJECT_ID, call_cards)}
