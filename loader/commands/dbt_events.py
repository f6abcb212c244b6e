"""What dbt says off a terminal, event by event, turned into our log lines.

A build that succeeds logs one line per warning. One that fails logs all that dbt said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

# dbt's options for this; the file log stays as it is by default.
OPTIONS = ("--log-format", "json", "--log-format-file", "debug")

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING}

# They only repeat what the result of the test has said.
_REPEATED = ("RunResultWarning", "RunResultWarningMessage")

# From dbt's check of contracts, on each build; `numeric` without a precision is exact in Postgres.
_UNFOUNDED = "Detected columns with numeric type and unspecified precision/scale"


@dataclass(frozen=True)
class Event:
    """A line of dbt's: `node` is the model, seed or test that it is about, if any."""

    name: str
    level: int
    text: str
    node: str | None = None
    node_name: str | None = None


def read(line: str) -> Event:
    """A line of dbt's output. What is no event, such as a traceback, counts as an error."""
    try:
        event: dict[str, Any] = json.loads(line)
        info, data = event["info"], event["data"]
        node = data.get("node_info") or {}
        return Event(
            info["name"],
            _LEVELS.get(info["level"], logging.ERROR),
            info["msg"],
            node.get("unique_id"),
            node.get("node_name"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Event("", logging.ERROR, line.rstrip())


def show(events: Iterable[Event], has_failed: bool) -> None:
    """Logs what a reader needs, one line each."""
    for event in events if has_failed else _warnings(list(events)):
        if text := " ".join(event.text.split()):
            log.log(event.level, "%s", text, extra={"dbt_node": event.node})


def _warnings(events: list[Event]) -> Iterator[Event]:
    """One event per warning. A test's has the first failing rows, which a macro of ours prints."""
    rows: dict[str, list[str]] = {}
    test = ""
    for event in events:
        if event.name == "PrintEvent":
            if event.text.startswith(" "):
                rows.setdefault(test, []).append(event.text.strip())
            else:
                test = event.text.removesuffix(":")
    for event in events:
        if event.level != logging.WARNING or event.name in _REPEATED:
            continue
        if event.text.startswith(_UNFOUNDED):
            continue
        if event.name == "LogTestResult" and event.node_name in rows:
            text = f"{event.node_name}: {'; '.join(rows[event.node_name])}"
            yield Event(event.name, event.level, text, event.node)
        else:
            yield event
