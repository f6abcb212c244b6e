"""Runs dbt as a child process, in the project's folder and on the loader's warehouse."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import psycopg
import yaml  # type: ignore[import-untyped]

from loader import ROOT, database
from loader.commands import dbt_events, logs
from loader.errors import ConfigurationError, DbtInterrupted, LoadError
from loader.settings import ALERT_URL, CALLER_SALT, FORMS_SECRET, VARS, seeds_folder, vars_file

log = logging.getLogger(__name__)

# Not the script `dbt`: its first line names the folder of its installation, which may have moved.
_PROGRAM = (sys.executable, "-c", "from dbt.cli.main import cli; cli()")

# These say where dbt writes its files. Any other DBT_* variable could make it use another profile,
# target or project, a sample of the rows, or other models.
_HARMLESS = ("DBT_TARGET_PATH", "DBT_LOG_PATH")

# Without a terminal, nobody watches: the output gets warnings and errors only.
_OFF_TERMINAL = ("--log-level", "warn", "--log-level-file", "debug", "--no-use-colors")

_SECONDS_TO_STOP = 20


def build(*arguments: str, **settings: str) -> None:
    """`dbt build`; waits while another build of the warehouse and RINGOSTAT_SCHEMA is running.

    Unit tests are left out: they test code, not data. In a log file, dbt's output is log lines: the
    warnings, or all of it if the build fails. Raises LoadError if it fails.
    """
    environment = _environment(settings)
    with _lock(environment):
        code = _run(
            ("build", *_parsing(), "--exclude-resource-type", "unit_test", *arguments),
            {**environment, "RINGOSTAT_BUILD_LOCK": "held"},
            is_logged=logs.is_quiet(),
        )
        if code != 0:
            raise LoadError(
                "dbt build failed: its messages name the seed, model or test; "
                "all of them are in logs/dbt.log"
            )


def _parsing() -> tuple[str, ...]:
    """The option to parse everything again after channel_costs.csv has come or changed.

    What dbt saves of its last parse goes on naming the empty seed of `packages/no_costs` when a
    folder of seeds gets its first channel_costs.csv, and the build would fail.
    """
    saved = Path(ROOT, os.environ.get("DBT_TARGET_PATH", "target"), "partial_parse.msgpack")
    costs = seeds_folder() / "channel_costs.csv"
    with suppress(OSError):
        # Not st_mtime of the file, which `mv` and `rsync -a` keep.
        if saved.stat().st_mtime < costs.stat().st_ctime:
            return ("--no-partial-parse",)
    return ()


def dbt(*arguments: str, **settings: str) -> int:
    """Runs `dbt` with `arguments`; returns its exit code. Its output goes to stderr.

    `settings` are environment variables in addition to those of this process. The profile is always
    `profiles.example.yml`: a `profiles.yml`, which is for dbt run by hand, may name another
    warehouse than the loader's. Raises ConfigurationError if dbt is not installed.
    """
    return _run(arguments, _environment(settings))


def read_vars() -> dict[str, object]:
    """The vars of the file that RINGOSTAT_VARS names; dbt checks their names and values.

    Raises ConfigurationError if the file cannot be read.
    """
    file = vars_file()
    if file is None:
        return {}
    try:
        found = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{VARS}: {file}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{VARS}: {file}: not valid YAML: {reason}") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigurationError(
            f"{VARS}: {file}: must hold lines such as `ringostat_kpi_mode: primary`"
        )
    return found


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = database.child_environment(database.environment())
    kept = {
        name: value
        for name, value in inherited.items()
        # dbt reads the salt from the warehouse, is given the vars, sends no alerts and receives no
        # forms.
        if (not name.startswith("DBT_") or name in _HARMLESS)
        and name not in (CALLER_SALT, ALERT_URL, FORMS_SECRET, VARS)
    }
    return {**kept, **settings}


def _run(
    arguments: tuple[str, ...], environment: Mapping[str, str], is_logged: bool = False
) -> int:
    # Without the package `dbt`, `find_spec("dbt.cli")` raises an error.
    if not all(map(importlib.util.find_spec, ("dbt", "dbt.cli"))):
        raise ConfigurationError(f"dbt is not installed beside {sys.executable}")
    is_watched = sys.stderr.isatty() and not is_logged
    given = read_vars()
    if given and "--vars" not in arguments:
        arguments += ("--vars", json.dumps(given, default=str, ensure_ascii=False))
    options = [
        *(() if is_watched else _OFF_TERMINAL),
        *(dbt_events.OPTIONS if is_logged else ()),
    ]
    # If a service manager ends this process, dbt must not run on without the lock.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "profiles.example.yml", Path(folder, "profiles.yml"))
        child = subprocess.Popen(
            [*_PROGRAM, *options, *arguments, "--profiles-dir", folder],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        try:
            events = []
            for line in child.stdout or ():
                if is_logged:
                    events.append(dbt_events.read(line))
                else:
                    click.echo(line, nl=False, err=True)
            code = child.wait()
            dbt_events.show(events, has_failed=code != 0)
            return code
        except KeyboardInterrupt:
            _end(child)
            raise DbtInterrupted(
                "interrupted: dbt was stopped before it finished; run the command again"
            ) from None
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
            signal.signal(signal.SIGTERM, before)


def _end(child: subprocess.Popen[str]) -> None:
    """Lets dbt cancel its queries after a Ctrl-C. Its final traceback is not shown."""
    with suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=1)  # a terminal has sent the Ctrl-C to dbt too
        return
    child.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=_SECONDS_TO_STOP)


@contextmanager
def _lock(environment: Mapping[str, str]) -> Iterator[None]:
    """Locks the warehouse's schemas against other builds, on any machine.

    A separate connection has the lock. The models' hooks take the same lock, shared, unless
    RINGOSTAT_BUILD_LOCK says that it is held.
    """
    key = "ringostat build " + environment.get("RINGOSTAT_SCHEMA", "ringostat")
    with database.connect(environment) as conn:
        # The connection waits as long as another build runs, and is idle as long as this one runs.
        conn.execute(
            "set statement_timeout = 0; set lock_timeout = 0; set idle_session_timeout = 0"
        )
        taken = conn.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        if not database.only_row(taken)[0]:
            log.info("another build is running: waiting for it")
            conn.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [key])
        yield
        is_held = False
        with suppress(psycopg.OperationalError):
            freed = conn.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])
            is_held = database.only_row(freed)[0]
        if not is_held:
            raise LoadError(
                "the connection that held the build's lock was lost, so another build may have "
                "run at the same time: run again"
            )
