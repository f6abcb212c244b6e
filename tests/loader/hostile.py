"""An API that misbehaves as a test tells it to, before a sandbox that knows the right answers."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from loader.sandbox import Sandbox

Fault = Callable[[int, dict[str, str]], "bytes | None"]


class Hostile:
    """The API on a port of 127.0.0.1 for as long as the `with` block lasts.

    `fault` is asked before each request, with the request's number from 0 and its parameters. What
    it gives is sent as it is, then the connection ends; None lets the sandbox answer.
    """

    def __init__(self, sandbox: Sandbox, fault: Fault = lambda number, parameters: None) -> None:
        self.sandbox = sandbox
        self.fault = fault
        self.requests: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Hostile:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.api = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> bytes:
        with self._lock:
            number = len(self.requests)
            self.requests.append(parameters)
            self.headers.append(headers)
        said = self.fault(number, parameters)
        if said is not None:
            return said
        answer = self.sandbox.answer(path, parameters, headers.get("Auth-key"))
        return response(answer.text.encode("utf-8", "backslashreplace"), status=answer.status)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        with suppress(ConnectionError):
            self.wfile.write(
                self.server.api.respond(url.path, dict(parse_qsl(url.query)), dict(self.headers))
            )

    def log_message(self, *_: object) -> None:
        pass


def response(
    body: bytes | str | list, status: int = 200, length: int | None = None, **headers: str
) -> bytes:
    """A whole HTTP response. `length`: a Content-Length that is not true."""
    if isinstance(body, list):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def once(*answers: bytes) -> Fault:
    """The first requests are answered so, one each; the sandbox answers the rest."""
    return lambda number, parameters: answers[number] if number < len(answers) else None


def always(answer: bytes) -> Fault:
    return lambda number, parameters: answer


def shuffled(faults: list[bytes], share: float, seed: int) -> Fault:
    """One of `faults` for that share of the requests, at random.

    Never more than four running, and never one twice running: two empty bodies mean no calls.
    """
    dice = random.Random(seed)
    running: list[bytes] = []

    def fault(number: int, parameters: dict[str, str]) -> bytes | None:
        if len(running) < 4 and dice.random() < share:
            running.append(dice.choice([one for one in faults if one not in running[-1:]]))
            return running[-1]
        running.clear()
        return None

    return fault
