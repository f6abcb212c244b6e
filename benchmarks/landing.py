"""Landing: the same calls from the same API, by the loader, by its peers, and by a bare COPY."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psycopg

from benchmarks import api, children
from loader import ROOT, database, projects

CALLS = 300_000
PEERS = ROOT / "benchmarks" / "peers"
PEERS_BIN = ROOT / ".venv-bench" / "bin"


def measure(warehouse: Mapping[str, str], folder: Path, calls: int, runs: int) -> dict:
    """Seconds and megabytes: `runs` of each measure, one of each peer; names as in `report.py`."""
    write_seeds(folder / "seeds")
    copied = write_rows(folder / "calls.copy", calls)
    results: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        results.setdefault(name, []).append(round(value, 3))
        print(f"  {name}: {value:.2f}", file=sys.stderr, flush=True)

    with serve(calls) as url, database.connect(warehouse) as conn:
        # Round by round, so that a slow minute of the machine affects all of them.
        for _ in range(runs):
            note("copy", copy(conn, copied))
            tenth = load(conn, warehouse, folder, url, calls // 10)
            note("rss_tenth", tenth.megabytes)
            drop(conn, "ringostat_raw")
            first = load(conn, warehouse, folder, url, calls)
            note("load", first.seconds)
            note("rss", first.megabytes)
            again = load(conn, warehouse, folder, url, calls)
            note("load_again", again.seconds)
            note("rss_again", again.megabytes)
            drop(conn, "ringostat_raw")
        # Once: they take ten times as long, so a slow minute changes their figure little.
        note("singer", singer(conn, warehouse, folder, url, calls))
        note("dlt", dlt(conn, warehouse, folder, url, calls))
    return {"calls": calls, "versions": versions(), "runs": results}


def copy(conn: psycopg.Connection, rows: Path) -> float:
    """Seconds of a bare `COPY` of the calls into one jsonb column: the limit of one connection."""
    conn.execute("create table bare (call jsonb not null)")
    conn.execute("checkpoint")
    started = time.perf_counter()
    with (
        rows.open("rb") as file,
        conn.cursor() as cursor,
        cursor.copy("copy bare from stdin") as into,
    ):
        while block := file.read(1 << 20):
            into.write(block)
    seconds = time.perf_counter() - started
    conn.execute("drop table bare")
    return seconds


def load(
    conn: psycopg.Connection, warehouse: Mapping[str, str], folder: Path, url: str, calls: int
) -> children.Measured:
    """`ringostat load` of the first `calls` calls."""
    conn.execute("checkpoint")
    of = ("--since", f"{api.START}", "--until", f"{api.day(calls)}")
    measured = children.run(
        [sys.executable, "-m", "loader", "load", *of],
        env={
            **warehouse,
            "RINGOSTAT_API_URL": url,
            "RINGOSTAT_AUTH_KEY": "benchmark",
            "RINGOSTAT_SEEDS": str(folder / "seeds"),
        },
        log=folder / "load.log",
    )
    must_hold(conn, "ringostat_raw.calls", calls)
    return measured


def dlt(
    conn: psycopg.Connection, warehouse: Mapping[str, str], folder: Path, url: str, calls: int
) -> float:
    """Seconds of dlt: a resource merged on the call's id, with default settings."""
    conn.execute("checkpoint")
    measured = children.run(
        [PEERS_BIN / "python", PEERS / "dlt_load.py"],
        env={
            **period(url, calls),
            "DESTINATION__POSTGRES__CREDENTIALS": address("postgresql", warehouse),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
        log=folder / "dlt.log",
    )
    must_hold(conn, "dlt.calls", calls)
    drop(conn, "dlt", "dlt_staging")
    return measured.seconds


def singer(
    conn: psycopg.Connection, warehouse: Mapping[str, str], folder: Path, url: str, calls: int
) -> float:
    """Seconds of a tap and meltanolabs-target-postgres, joined by a pipe; it merges on the id."""
    conn.execute("checkpoint")
    config = folder / "singer.json"
    settings = {"sqlalchemy_url": address("postgresql+psycopg", warehouse), "use_copy": True}
    config.write_text(json.dumps(settings), encoding="utf-8")
    measured = children.run(
        [PEERS_BIN / "python", PEERS / "tap.py"],
        [PEERS_BIN / "target-postgres", "--config", config],
        env=period(url, calls),
        log=folder / "singer.log",
    )
    must_hold(conn, "melty.calls", calls)
    drop(conn, "melty")
    return measured.seconds


@contextmanager
def serve(calls: int) -> Iterator[str]:
    """Serves the API from its own process during the `with` block; yields its address."""
    command = [sys.executable, "-m", "benchmarks.api", str(calls)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.stdout.readline().strip()
        finally:
            child.terminate()


def write_seeds(folder: Path) -> None:
    """Seeds that list the API's one project."""
    folder.mkdir()
    row = f"{api.PROJECT_ID},Benchmark,,{api.TIME_ZONE},,{api.START.date()},true"
    header = ",".join(projects.COLUMNS)
    (folder / "projects.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")


def write_rows(file: Path, calls: int) -> Path:
    """The API's rows as `COPY` reads them: one line per row, backslashes doubled."""
    with file.open("wb") as rows:
        for number in range(calls):
            rows.write(api.row(number).replace(b"\\", b"\\\\") + b"\n")
    return file


def period(url: str, calls: int) -> dict[str, str]:
    """What the peers read."""
    return {"URL": url, "FROM": f"{api.START}", "TO": f"{api.day(calls)}"}


def address(scheme: str, warehouse: Mapping[str, str]) -> str:
    """The warehouse as a URL. A socket's folder is a parameter: the host part cannot hold it."""
    return (
        f"{scheme}://{warehouse['PGUSER']}:none@localhost:{warehouse['PGPORT']}"
        f"/{warehouse['PGDATABASE']}?host={warehouse['PGHOST']}"
    )


def must_hold(conn: psycopg.Connection, table: str, calls: int) -> None:
    """Raises RuntimeError unless every call has landed exactly once."""
    (found,) = conn.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 - ours
    if found != calls:
        raise RuntimeError(f"{table} holds {found} calls and not {calls}")


def drop(conn: psycopg.Connection, *schemas: str) -> None:
    for schema in schemas:
        conn.execute(f"drop schema if exists {schema} cascade")


def versions() -> dict[str, str]:
    """The versions of the peers in their venv, and of the loader's main libraries."""
    names = ("dlt", "meltanolabs-target-postgres")
    program = f"from importlib.metadata import version; print(*map(version, {names!r}))"
    told = subprocess.check_output([PEERS_BIN / "python", "-c", program], text=True)
    return {**dict(zip(names, told.split(), strict=True)), "psycopg": version("psycopg")}
