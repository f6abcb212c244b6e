"""`ringostat forms serve`: what it answers 200 to is on disk, and lands."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from loader import ROOT, forms, journal
from loader.projects import read_projects

from .support import ringostat

SECRET = "secret-of-the-tests-7d2a"
PHONE = "+380441112233"
FORM = {"form_id": "f1", "submitted_at": "2024-03-01 12:00:00", "phone": PHONE, "name": "Їжак"}
JSON = {"Content-Type": "application/json"}

# How long the load test lasts, and how many requests a second it sends.
SECONDS = int(os.environ.get("FORMS_LOAD_SECONDS", "10"))
PER_SECOND = 500


class Served:
    """A receiver in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log_file = folder.with_name("log.txt")
        command = ["-m", "loader", "forms", "serve", "--folder", str(folder), "--port", "0"]
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, *arguments], cwd=ROOT, stdout=log, stderr=log
            )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        until = time.monotonic() + 60
        while not (found := re.search(r"listening on (\S+),", self.log())):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until
            threading.Event().wait(0.05)
        return found[1]

    def log(self) -> str:
        return self.log_file.read_text()

    def post(self, body: object, path: str = f"/{SECRET}/forms/11111", **more) -> int:
        """Posts JSON, or bytes as they are with the `headers` given. The status."""
        if not isinstance(body, bytes):
            body, more = json.dumps(body).encode(), {"headers": JSON, **more}
        return requests.post(self.url + path, data=body, timeout=30, **more).status_code

    def health(self) -> int:
        return requests.get(self.url + "/health", timeout=30).status_code

    def forms(self, project_id: int = 11111) -> list[dict]:
        files = sorted((self.folder / str(project_id)).glob("2*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def unreadable(self) -> list[dict]:
        lines = (self.folder / "11111" / forms.UNREADABLE).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve(
    seeds: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Served]]:
    """`serve(argument, …)` starts a receiver of two projects; it is killed at the end."""
    seeds(
        "11111,Clinic,,Europe/Kyiv,,2024-01-01,true",
        "22222,Salon,,Asia/Almaty,,2024-01-01,true",
        "33333,Old,,Asia/Almaty,,2024-01-01,false",
    )
    monkeypatch.setenv("RINGOSTAT_FORMS_SECRET", SECRET)
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        started.append(Served(tmp_path / "received", *arguments))
        return started[-1]

    yield start
    for served in started:
        served.kill()


def test_forms_are_saved_and_land(serve: Callable[..., Served], conn: psycopg.Connection) -> None:
    served = serve()
    assert served.health() == 200
    assert served.post(FORM) == 200
    assert served.post(FORM) == 200  # a duplicate
    assert served.post({**FORM, "form_id": 2}, "/forms/22222", auth=("any", SECRET)) == 200
    encoded = requests.post(
        f"{served.url}/{SECRET}/forms/11111",
        data={**FORM, "form_id": "f3", "tag": ["a", "b"]},
        timeout=30,
    )
    assert encoded.status_code == 200
    assert served.forms() == [FORM, FORM, {**FORM, "form_id": "f3", "tag": ["a", "b"]}]
    assert served.forms(22222) == [{**FORM, "form_id": 2}]
    result = ringostat("forms", "import", str(served.folder / "11111"), "--project", "11111")
    assert result.exit_code == 0
    assert "3 forms read: 2 new" in result.stdout
    name = "select payload ->> 'name' from ringostat_raw.forms where form_id = 'f1'"
    assert conn.execute(name).fetchone() == ("Їжак",)


def test_a_form_without_a_time_has_that_of_its_arrival(serve: Callable[..., Served]) -> None:
    served = serve()
    before = datetime.now(timezone.utc)
    assert served.post({"phone": PHONE, "submitted_at": " "}) == 200
    assert served.post(b"form_id=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    for form in served.forms():
        assert before < datetime.fromisoformat(form["submitted_at"]) < datetime.now(timezone.utc)
    assert len(served.forms()) == 2


def test_what_cannot_be_read_is_kept(serve: Callable[..., Served]) -> None:
    served = serve()
    encoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert served.post(b'{"phone": "+38', headers=JSON) == 400
    assert served.post(b"[" * 60_000, headers=JSON) == 400
    assert served.post([FORM]) == 400
    assert served.post({}) == 400
    assert served.post(b"phone=%ff", headers=encoded) == 400
    assert served.post(b"\xff", headers=encoded) == 400
    assert served.post(b"hello", headers={"Content-Type": "text/plain"}) == 415
    assert served.post(b"hello") == 415
    kept = served.unreadable()
    assert [line.get("body") for line in kept] == [
        '{"phone": "+38', "[" * 60_000, json.dumps([FORM]), "{}", "phone=%ff", None, "hello",
        "hello",
    ]  # fmt: skip
    assert base64.b64decode(kept[5]["body_base64"]) == b"\xff"
    assert served.forms() == []


def test_a_body_may_have_64_kib(serve: Callable[..., Served]) -> None:
    served = serve()
    fits = json.dumps({**FORM, "name": ""}).encode()
    fits = fits.replace(b'"name": "', b'"name": "' + b"a" * (64 * 1024 - len(fits)))
    assert served.post(fits, headers=JSON) == 200
    assert served.post(fits + b" ", headers=JSON) == 413
    # Of unknown length.
    assert requests.post(
        f"{served.url}/{SECRET}/forms/11111", data=iter([fits, b" "]), headers=JSON, timeout=30
    ).status_code == 413  # fmt: skip
    assert len(served.forms()) == 1


def test_without_the_secret_nothing_is_taken_or_told(serve: Callable[..., Served]) -> None:
    served = serve()
    for project_id in (11111, 99999):
        assert served.post(FORM, f"/forms/{project_id}") == 401
        assert served.post(FORM, f"/forms/{project_id}", auth=("any", "wrong")) == 401
        assert served.post(FORM, f"/forms/{project_id}", auth=(SECRET, "")) == 401
        for header in ("Basic", "Basic =", "Basic Їжак", f"Bearer {SECRET}"):
            headers = {"Authorization": header.encode()}
            assert served.post(FORM, f"/forms/{project_id}", headers={**JSON, **headers}) == 401
        assert served.post(FORM, f"/wrong/forms/{project_id}") == 404
        assert served.post(FORM, f"/%D0%87/forms/{project_id}") == 404
    assert served.forms() == []


def test_projects_that_it_does_not_serve(serve: Callable[..., Served]) -> None:
    served = serve("--project", "22222")
    assert served.post(FORM, f"/{SECRET}/forms/22222") == 200
    for other in ("11111", "33333", "99999", "..", "%2e%2e", "9" * 5000):
        assert served.post(FORM, f"/{SECRET}/forms/{other}") == 404
    assert [path.name for path in served.folder.iterdir()] == ["22222"]


def test_the_log_has_no_secret_and_no_person(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    served.post(FORM)
    served.post(FORM, f"/x{SECRET}/forms/11111")
    served.post(f'{{"phone": "{PHONE}"'.encode(), headers=JSON)
    served.post(b"a" * 70_000, headers=JSON)
    with _connected(served) as raw:
        raw.sendall(f"POST /{SECRET}/forms/11111 HTTP/9\r\nbad header\r\n\r\n".encode())
        raw.recv(1000)
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(30)
    assert "not JSON; kept in" in served.log()
    assert SECRET not in served.log()
    # The whole number: a part of it can stand in a port or a time.
    assert PHONE.removeprefix("+") not in served.log()
    assert "Traceback" not in served.log()


def test_files_can_be_read_by_their_user_only(serve: Callable[..., Served]) -> None:
    served = serve()
    served.post(FORM)
    served.post([])
    paths = list(served.folder.rglob("*"))
    assert len(paths) == 4
    for path in paths:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_full_disk(serve: Callable[..., Served]) -> None:
    """A file that may not grow: the line that did not fit is gone as a whole."""
    served = serve()
    form = {**FORM, "landing": "x" * 4000}
    _limit_files(served, 10_000)
    assert served.post(form) == 200
    assert served.post({**form, "form_id": "f2"}) == 200
    for _ in range(2):
        assert served.post({**form, "form_id": "f3"}) == 503
    assert [form["form_id"] for form in served.forms()] == ["f1", "f2"]
    assert "a form could not be saved: File too large" in served.log()
    assert served.health() == 200
    _limit_files(served, 0)  # the log cannot be written either
    assert served.health() == 503
    assert served.post(form) == 503
    _limit_files(served, 20_000)
    assert served.post({**form, "form_id": "f3"}) == 200
    assert [form["form_id"] for form in served.forms()] == ["f1", "f2", "f3"]


def _limit_files(served: Served, length: int) -> None:
    """A longer file cannot be written, as on a full disk."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (length, most))


@pytest.mark.parametrize(
    ("torn", "kept"),
    [(b'{"form_id": "f2", "phone": "+38', 1), (json.dumps(FORM).encode(), 2), (b"\0" * 99, 1)],
)
def test_a_torn_last_line_is_mended_at_the_start(
    serve: Callable[..., Served], torn: bytes, kept: int
) -> None:
    file = Path(os.environ["RINGOSTAT_SEEDS"]).with_name("received") / "11111" / "2024-03-01.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(json.dumps(FORM).encode() + b"\n" + torn)
    assert serve().forms() == [FORM] * kept


def test_a_torn_line_longer_than_a_chunk(tmp_path: Path) -> None:
    file = tmp_path / "forms.jsonl"
    file.write_bytes(b"{}\n" + b"a" * 200_000)
    journal.append(file, b"[]\n")
    assert file.read_bytes() == b"{}\n[]\n"
    file.write_bytes(b"a" * 200_000)
    journal.mend(file)
    assert file.read_bytes() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_under_way(
    serve: Callable[..., Served], number: signal.Signals
) -> None:
    served = serve()
    body = json.dumps(FORM)
    with _connected(served) as raw:
        raw.sendall(
            f"POST /{SECRET}/forms/11111 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert b"100 Continue" in raw.recv(1000)  # it waits for the body
        served.process.send_signal(number)
        raw.sendall(body.encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")
    assert served.process.wait(30) == 0
    assert served.forms() == [FORM]


def test_only_one_receiver_writes_a_folder(serve: Callable[..., Served]) -> None:
    served = serve()
    result = ringostat("forms", "serve", "--folder", str(served.folder), "--port", "0")
    assert result.exit_code == 2
    assert "another receiver writes there" in result.stderr


@pytest.mark.parametrize(
    ("secret", "arguments", "what"),
    [
        ("", (), "RINGOSTAT_FORMS_SECRET must be 16 to 200 letters"),
        ("short", (), "RINGOSTAT_FORMS_SECRET must be 16 to 200 letters"),
        ("with a space and long", (), "RINGOSTAT_FORMS_SECRET must be 16 to 200 letters"),
        (SECRET, ("--project", "99999"), "99999"),
        (SECRET, ("--project", "33333"), "inactive"),
        (SECRET, ("--host", "256.0.0.1"), "256.0.0.1, port 8766: cannot be listened on"),
        (SECRET, ("--folder", "/dev/null/x"), "/dev/null/x"),
    ],
)
def test_it_does_not_start(
    serve: Callable[..., Served],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    arguments: tuple[str, ...],
    what: str,
) -> None:
    monkeypatch.setenv("RINGOSTAT_FORMS_SECRET", secret)
    result = ringostat("forms", "serve", "--folder", str(tmp_path / "received"), *arguments)
    assert result.exit_code == 2
    assert what in result.stderr
    if secret:
        assert secret not in result.stderr


def test_without_the_extra_it_says_how_to_install_it(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "loader.commands.forms_server", raising=False)
    monkeypatch.delattr("loader.commands.forms_server", raising=False)
    result = ringostat("forms", "serve", "--folder", str(tmp_path))
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "uvicorn is missing" in line
    assert "pip install -e '.[forms]'" in line


@pytest.mark.slow
def test_what_was_answered_200_lands_although_it_is_killed(
    serve: Callable[..., Served], conn: psycopg.Connection
) -> None:
    served = serve()
    first = Load(served, range(PER_SECOND * SECONDS))
    killing = threading.Timer(SECONDS / 2, served.process.kill)
    killing.start()
    first.run()
    killing.join()
    assert 0 < len(first.saved) < len(first.numbers)

    again = serve()
    rest = Load(again, range(len(first.saved), PER_SECOND * SECONDS))
    rest.run()
    assert len(rest.saved) == len(rest.numbers)
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(30) == 0

    (project,) = (found for found in read_projects() if found.project_id == 11111)
    imported = forms.import_files(conn, [served.folder / "11111"], project)
    assert imported.bad == []
    landed = {
        int(form_id) for (form_id,) in conn.execute("select form_id from ringostat_raw.forms")
    }
    assert first.saved | rest.saved <= landed
    assert len(landed) == PER_SECOND * SECONDS
    for name, load in (("until it was killed", first), ("after the start", rest)):
        print(f"{name}: {load.figures()}")


class Load:
    """Sends a form per number, PER_SECOND of them in a second, over a few kept connections."""

    connections = 32

    def __init__(self, served: Served, numbers: range) -> None:
        self.numbers = numbers
        self.saved: set[int] = set()
        self._address = urlsplit(served.url)
        self._waits: list[float] = []
        self._took = 0.0

    def figures(self) -> str:
        waits = sorted(self._waits)
        return (
            f"{len(self.saved)} of {len(self.numbers)} answered 200 in {self._took:.1f} s, "
            f"half within {waits[len(waits) // 2] * 1000:.1f} ms, "
            f"99 % within {waits[len(waits) * 99 // 100] * 1000:.1f} ms, "
            f"the last within {waits[-1] * 1000:.0f} ms"
        )

    def run(self) -> None:
        """Until all are answered, or the receiver is gone."""
        address = (self._address.hostname, self._address.port)
        free = [socket.create_connection(address, timeout=30) for _ in range(self.connections)]
        opened = list(free)
        busy: dict[socket.socket, tuple[int, float]] = {}
        left = iter(self.numbers)
        number = next(left, None)
        began = time.monotonic()
        try:
            while number is not None or busy:
                due = began + (len(self.saved) + len(busy)) / PER_SECOND
                if number is not None and free and time.monotonic() >= due:
                    busy[free[-1]] = (number, due)
                    free.pop().sendall(_request(number))
                    number = next(left, None)
                    continue
                wait = max(0.0, due - time.monotonic()) if number is not None and free else 30.0
                for connection in select.select(list(busy), [], [], wait)[0]:
                    if _is_saved(connection):
                        sent, was_due = busy.pop(connection)
                        self.saved.add(sent)
                        self._waits.append(time.monotonic() - was_due)
                        free.append(connection)
        except ConnectionError:
            # An answer that had arrived before the receiver was gone counts.
            for connection, (sent, _) in busy.items():
                with suppress(OSError):
                    if _is_saved(connection):
                        self.saved.add(sent)
        finally:
            self._took = time.monotonic() - began
            for connection in opened:
                connection.close()


def _is_saved(connection: socket.socket) -> bool:
    """Whether the answer is here. Raises ConnectionError if the receiver is gone."""
    answer = connection.recv(4096, socket.MSG_PEEK)
    if not answer:
        raise ConnectionResetError
    assert b"HTTP/1.1 200".startswith(answer[:12])
    whole = answer.endswith(b"\r\n\r\nsaved")
    if whole:
        connection.recv(len(answer))
    return whole


def _request(number: int) -> bytes:
    body = json.dumps({**FORM, "form_id": number, "landing": "x" * 300}).encode()
    return (
        f"POST /{SECRET}/forms/11111 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _connected(served: Served) -> socket.socket:
    address = urlsplit(served.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)
