"""Runs dbt for the tests in a third of the time: importing it takes 2 s of each start, and what it
makes on first use one more.

    python -m tests.dbt_server SOCKET      imports dbt once, tries it and waits
    python tests/dbt_server.py SOCKET ...  runs `dbt ...`, as the program itself does

Each run is a new process, forked from the waiting one: with the caller's environment, folder,
streams and signals, and with the exit code of dbt. If the caller is killed, dbt is killed too.
"""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def run(path: str, arguments: list[str]) -> int:
    """Asks the server at `path` to run dbt; returns its exit code."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        asked = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        message = json.dumps(asked).encode()
        socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(message)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        code = server.recv(1)
    return code[0] if code else 1


def serve(path: str) -> None:
    """Waits for callers at `path`, for good."""
    _make_ready()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that serve a caller
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            caller, _ = server.accept()
            if os.fork() == 0:
                server.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _serve(caller)
            caller.close()


def _make_ready() -> None:
    """Has dbt make what it makes on first use: readers of its files, and a template per macro."""
    import dbt.adapters.postgres  # noqa: F401
    from dbt.cli.main import dbtRunner
    from dbt_common.clients.jinja import MacroFuzzEnvironment, template_cache
    from dbt_common.events.event_manager import EventManager

    MacroFuzzEnvironment.compile = _once_for_each_text(MacroFuzzEnvironment.compile)
    EventManager.fire_event = _unless_nobody_reads_it(EventManager.fire_event)
    os.environ.update(PGHOST="", PGUSER="", PGDATABASE="")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy("profiles.example.yml", os.path.join(folder, "profiles.yml"))
        own = ("--profiles-dir", folder, "--target-path", folder, "--log-path", folder)
        for _ in ("parses all", "reads what the first has kept"):
            # The static parser starts threads, without which it would hang in a forked process.
            parsed = dbtRunner().invoke(
                ["--log-level", "none", "--no-static-parser", "parse", *own]
            )
    for macro in parsed.result.macros.values():
        template_cache.get_node_template(macro)
    # The collector of a forked process would otherwise look through all this, which copies it.
    gc.freeze()


def _once_for_each_text(compile_: Callable[..., object]) -> Callable[..., object]:
    """dbt compiles the text of a model whenever it parses or runs the model. The code depends on
    the text and on the class of the environment: one gives strings, another Python's values."""
    compiled: dict[tuple[type, str], object] = {}

    def compile_once(self: object, source: object, *others: object, **named: object) -> object:
        if not isinstance(source, str) or others or named:
            return compile_(self, source, *others, **named)
        key = type(self), source
        if key not in compiled:
            compiled[key] = compile_(self, source)
        return compiled[key]

    return compile_once


def _unless_nobody_reads_it(fire: Callable[..., None]) -> Callable[..., None]:
    """dbt formats 1,500 debug events in each build, even if no log takes them."""

    def fire_if_read(self: Any, event: Any, level: Any = None, *others: Any, **named: Any) -> None:
        is_read = any(log.level == "debug" for log in self.loggers)
        if is_read or (level or event.level_tag()) != "debug":
            fire(self, event, level, *others, **named)

    return fire_if_read


def _serve(caller: socket.socket) -> None:
    """Runs dbt for one caller and ends this process."""
    length, streams, *_ = socket.recv_fds(caller, 4, 3)
    message = b""
    while len(message) < int.from_bytes(length, "big"):
        message += caller.recv(1 << 16)
    ended, alive = os.pipe()
    dbt = os.fork()
    if dbt == 0:
        os.close(ended)
        caller.close()
        _dbt(json.loads(message), streams)
    os.close(alive)
    for stream in streams:
        os.close(stream)
    while ended not in (ready := select.select([caller, ended], [], [])[0]):
        number = caller.recv(1) if caller in ready else b""
        os.kill(dbt, number[0] if number else signal.SIGKILL)
        if not number:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(dbt, 0)[1])
    with suppress(OSError):  # the caller was killed
        caller.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _dbt(asked: dict, streams: list[int]) -> None:
    """Runs dbt in this process and ends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    gc.disable()  # the process ends before it fills the memory
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    os.chdir(asked["folder"])
    sys.argv[:] = ["dbt", *asked["arguments"]]
    code = 1
    try:
        from dbt.cli.main import cli

        cli()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if __spec__ is None:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[1])
