"""What the loader's tests share: a project with its API and warehouse, and the command."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from click.testing import CliRunner, Result

from loader.commands.cli import main
from loader.sandbox import Sandbox, SandboxProject

from .hostile import Hostile

HEADER = "project_id,project_name,auth_key_env,time_zone,kpi_mode,load_from,is_active\n"
KEY = "Key-Of-The-Tests-4f1c"


@dataclass
class Setting:
    """One project, 11111 in Europe/Kyiv, with its API and its warehouse, ready to load."""

    project: SandboxProject
    sandbox: Sandbox
    api: Hostile
    conn: psycopg.Connection

    def load(self, *arguments: str) -> Result:
        """`ringostat load`, of 2024 if no bound is given."""
        if "--since" not in arguments and "--until" not in arguments:
            arguments += ("--since", "2024-01-01", "--until", "2025-01-01")
        return ringostat("load", *arguments)

    def raw(self, columns: str = "call_id, payload") -> list[tuple]:
        """The calls that are landed and not removed, in an order that is always the same."""
        rows = self.conn.execute(
            f"select {columns} from ringostat_raw.calls where removed_at is null"
        ).fetchall()
        return sorted(rows, key=str)

    def loads(self, columns: str) -> list[tuple]:
        return self.conn.execute(
            f"select {columns} from ringostat_raw.loads order by load_id"
        ).fetchall()


def ringostat(*arguments: str, typed: str = "") -> Result:
    """The command, in this process, `typed` being its stdin. A traceback fails the test."""
    result = CliRunner().invoke(main, arguments, input=typed)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
