"""`ringostat forms serve`: takes Ringostat's webhooks, and answers 200 once a form is on disk.

Ringostat sends a form once and never again, so what cannot be read is kept too. Postgres may be
down meanwhile: `ringostat forms import` lands the files later. Needs the extra `forms`.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hmac
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from binascii import Error as NotBase64
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from loader import journal
from loader.errors import ConfigurationError
from loader.forms import UNREADABLE
from loader.journal import Journal
from loader.projects import Project
from loader.rows import storable

LONGEST_BODY = 64 * 1024
# Longer than web servers in front keep a silent connection (Caddy: 120). A form that they send
# while this end closes it would be lost.
_SECONDS_OPEN = 300
_SECONDS_TO_END = 10  # for requests under way, after SIGTERM

_log = logging.getLogger(__name__)


class Unreadable(ValueError):
    """Why a body is not a form, and the status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Receiver:
    """Saves each form as a line of `<folder>/<project>/<day in UTC>.jsonl`."""

    def __init__(self, folder: Path, projects: Sequence[Project], secret: str) -> None:
        self._folder = folder
        self._projects = {str(project.project_id): project for project in projects}
        self._secret = secret.encode()
        self._journal = Journal()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/forms/{project_id}", self._receive, methods=["POST"]),
                Route("/{secret}/forms/{project_id}", self._receive, methods=["POST"]),
            ]
        )

    async def _health(self, _: Request) -> Response:
        try:
            await asyncio.to_thread(self._try_folder)
        except OSError as error:
            _log.error("%s: cannot be written: %s", self._folder, error.strerror)
            return _answer(503)
        return PlainTextResponse("ok")

    def _try_folder(self) -> None:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(b"\0" * 4096)  # a full disk still takes an empty file
            file.flush()

    async def _receive(self, request: Request) -> Response:
        if not self._knows_secret(request):
            # A wrong path is a path that does not exist; nothing says that a secret was near.
            return _answer(404 if "secret" in request.path_params else 401)
        project = self._projects.get(request.path_params["project_id"])
        if project is None:
            return _answer(404)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return _answer(400)  # nobody reads it
        if body is None:
            _log.warning("%s: a body of more than %d bytes was refused", project, LONGEST_BODY)
            return _answer(413)
        now = datetime.now(timezone.utc)
        file = self._folder / str(project.project_id) / f"{now:%Y-%m-%d}.jsonl"
        content_type = request.headers.get("content-type", "")
        status = 200
        try:
            line = _form(body, content_type, now)
        except Unreadable as reason:
            status, file = reason.status, file.with_name(UNREADABLE)
            line = {"received_at": now.isoformat(), "why": str(reason), "type": content_type}
            line |= _kept(body)
            _log.warning("%s: %s; kept in %s", project, reason, file)
        try:
            await self._journal.append(file, json.dumps(line).encode())
        except OSError as error:
            _log.error("%s: a form could not be saved: %s", project, error.strerror)
            return _answer(503)
        return _answer(status)

    def _knows_secret(self, request: Request) -> bool:
        """By the path, or by the password of Basic auth; the user's name does not matter."""
        given = request.path_params.get("secret", "").encode()
        if not given:
            scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "basic":
                with suppress(NotBase64, ValueError):
                    given = base64.b64decode(credentials, validate=True).partition(b":")[2]
        return hmac.compare_digest(given, self._secret)


def serve(folder: Path, projects: Sequence[Project], secret: str, host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C, and answers the requests under way before it ends."""
    _prepare(folder, projects)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{host}, port {port}: cannot be listened on: {reason}") from None
    # Its connections inherit this. Head and body of an answer are two writes: the second must not
    # wait until the client has confirmed the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # uvicorn's own lines show paths, and a path may hold the secret.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        Receiver(folder, projects, secret).app(),
        http="h11",  # what the extra installs
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_SECONDS_OPEN,
        timeout_graceful_shutdown=_SECONDS_TO_END,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn ends gracefully, then raises the signal again: the exit code must still be 0.
        signal.signal(number, lambda *_: sys.exit(0))
    shown = f"[{host}]" if ":" in host else host
    _log.info("listening on http://%s:%d, saving to %s", shown, listening.getsockname()[1], folder)
    uvicorn.Server(config).run(sockets=[listening])


def _prepare(folder: Path, projects: Sequence[Project]) -> None:
    """Makes the folders, and mends what a killed receiver left. Raises ConfigurationError."""
    try:
        for project in projects:
            of_project = folder / str(project.project_id)
            of_project.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Held until this process ends: a second one would mend lines that this one writes.
            lock = os.open(of_project, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigurationError(f"{of_project}: another receiver writes there") from None
            for file in of_project.glob("*.jsonl"):
                journal.mend(file)
        journal.sync_folder(folder)
    except OSError as error:
        place = error.filename or folder
        raise ConfigurationError(f"{place}: cannot be written: {error.strerror}") from None


async def _body(request: Request) -> bytes | None:
    """None if it is too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            return None
    return body


def _form(body: bytes, content_type: str, now: datetime) -> dict[str, object]:
    """The form's parameters; `submitted_at` is now if it has none. Raises Unreadable."""
    kind = content_type.partition(";")[0].strip().lower()
    form: object
    if kind == "application/json":
        try:
            form = json.loads(storable(body))
        except (ValueError, RecursionError):
            raise Unreadable(400, "not JSON") from None
    elif kind == "application/x-www-form-urlencoded":
        try:
            read = parse_qs(body.decode(), keep_blank_values=True, errors="strict")
        except ValueError:
            raise Unreadable(400, "not form-encoded UTF-8") from None
        form = {name: values[0] if len(values) == 1 else values for name, values in read.items()}
    else:
        raise Unreadable(415, "neither JSON nor form-encoded")
    if not isinstance(form, dict) or not form:
        raise Unreadable(400, "no parameters")
    if not str(form.get("submitted_at") or "").strip():
        form["submitted_at"] = now.isoformat()
    return form


def _kept(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _answer(status: int) -> Response:
    words = {200: "saved", 503: "not saved"}
    headers = {"WWW-Authenticate": 'Basic realm="forms"'} if status == 401 else None
    return PlainTextResponse(words.get(status, "refused"), status, headers)
