"""Log lines on stderr: as a person on a terminal wants them, or as a log file does.

Off a terminal a log is quiet: it has no line that only says that something has begun, and no
progress bar. With JSON it is quiet everywhere, and each line is an object.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import click

from loader.landing import Landed
from loader.projects import Project


class _ToStderr(logging.Handler):
    """Log lines through click: it finds the current stderr and keeps a progress bar below."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a full disk must not turn a log line into a failure
            click.echo(self.format(record), err=True)


class _JsonLines(logging.Formatter):
    """One object per line: time, level, message, and what the message is about."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, Project):
                line |= {"project_id": value.project_id, "project_name": value.project_name}
            elif isinstance(value, Landed):
                line |= dataclasses.asdict(value)
        if node := getattr(record, "dbt_node", None):
            line["dbt_node"] = node
        return json.dumps(line, ensure_ascii=False)


def set_up(verbose: bool, log_format: str) -> None:
    """Sends the log lines of this process to stderr, as `text` or `json`."""
    handler = _ToStderr()
    handler.setFormatter(
        _JsonLines()
        if log_format == "json"
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # the loader logs requests itself
    if is_quiet() and not verbose:
        handler.addFilter(lambda record: not getattr(record, "is_step", False))


def is_json() -> bool:
    return any(isinstance(handler.formatter, _JsonLines) for handler in logging.root.handlers)


def is_quiet() -> bool:
    """Whether a log file is written, not a terminal."""
    return is_json() or not sys.stderr.isatty()
