"""Which warehouse to show: the user's if PG* name one, else the demo's.

`python -m bi.warehouse COMMAND...` runs a command with the warehouse's PG* in its environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loader import database, settings
from loader.commands.demo import DATABASE, demo
from loader.errors import ConfigurationError, Failure


def choose() -> dict[str, str]:
    """PG* of the warehouse to show, set in this process's environment as well.

    Runs the demo first if the demo's database is chosen and has no marts yet. Raises
    ConfigurationError if a warehouse that the user named has none.
    """
    if database.is_embedded():
        os.environ.setdefault("PGDATABASE", DATABASE)
    warehouse = database.environment()
    if not _has_marts(warehouse):
        if not database.is_embedded() or warehouse["PGDATABASE"] != DATABASE:
            raise ConfigurationError(
                f"the database {warehouse['PGDATABASE']} holds no marts: `ringostat run` makes them"
            )
        demo()
    os.environ.update(warehouse)
    return warehouse


def _has_marts(warehouse: dict[str, str]) -> bool:
    with database.connect(warehouse) as conn:
        mart = f"{settings.schema('marts')}.rpt_conversions_daily"
        (found,) = conn.execute("select to_regclass(%s) is not null", [mart]).fetchone()
    return found


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Turns an error inside the `with` block into one line and its exit code."""
    try:
        yield
    except Failure as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def main() -> None:
    with errors_as_exit_codes():
        settings.language()  # a wrong one is told before the demo is built
        choose()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command takes this process's place


if __name__ == "__main__":
    main()
