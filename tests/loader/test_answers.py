"""Answers that are not answers, refused fields, retries: the API's part of a load."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from loader.api import CORE_FIELDS, OPTIONAL_FIELDS, RECORDING_FIELDS, Api, Stopped
from loader.sandbox.server import FIELDS
from loader.windows import Window

from .calls import KYIV, calls_every
from .hostile import always, once, response
from .support import KEY, Setting, ringostat

PERIOD = ("--since", "2024-05-01", "--until", "2024-05-02")

HTML = response("<html><body>502 Bad Gateway</body></html>")
CUT_JSON = response('[{"calldate": "2024-05-01T10:00:00+0300", "uniq')
SHORT_BODY = response("[]", length=500)
RESET = b""
RETRIED = {
    "HTML": HTML,
    "cut-off JSON": CUT_JSON,
    "short body": SHORT_BODY,
    "reset": RESET,
    **{
        str(status): response("busy", status=status)
        for status in (408, 425, 429, 500, 502, 503, 504, 599)
    },
}


@pytest.fixture
def account(setting: Setting) -> Setting:
    setting.project.calls = calls_every(
        timedelta(hours=1), datetime(2024, 5, 1), datetime(2024, 5, 2)
    )
    return setting


def assert_landed(account: Setting) -> None:
    assert dict(account.raw()) == {row["uniqueid"]: row for row in account.project.calls}


def test_every_documented_field_is_asked_for() -> None:
    assert set(CORE_FIELDS + OPTIONAL_FIELDS + RECORDING_FIELDS) == set(FIELDS)


# --- retries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", RETRIED.values(), ids=RETRIED)
def test_a_retriable_error_is_tried_again(
    account: Setting, pauses: list[float], fault: bytes
) -> None:
    account.api.fault = once(fault, fault, fault, fault)
    result = account.load(*PERIOD)
    assert result.exit_code == 0, result.stderr
    assert_landed(account)
    assert len(pauses) == 4


@pytest.mark.parametrize("fault", RETRIED.values(), ids=RETRIED)
def test_five_attempts_then_the_load_fails(account: Setting, fault: bytes) -> None:
    account.api.fault = always(fault)
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert len(account.api.requests) == 5
    assert "(5 attempts)" in result.stderr
    assert account.raw() == []
    assert account.loads("status") == [("failed",)]


def test_pauses_grow_and_vary(account: Setting, pauses: list[float]) -> None:
    account.api.fault = always(HTML)
    account.load(*PERIOD)
    for attempt, pause in enumerate(pauses):
        assert 2 * 2**attempt <= pause <= 2 * 2**attempt + 2
    assert any(pause % 1 for pause in pauses)


@pytest.mark.parametrize(
    ("header", "expected"), [("7", 7), (" 7 ", 7), ("100000", 120), ("soon", None), ("-3", None)]
)
def test_retry_after_in_seconds(
    account: Setting, pauses: list[float], header: str, expected: float | None
) -> None:
    account.api.fault = once(response("slow down", status=429, Retry_After=header))
    assert account.load(*PERIOD).exit_code == 0
    if expected is None:
        assert 2 <= pauses[0] <= 4
    else:
        assert pauses == [expected]


def test_retry_after_as_a_date(account: Setting, pauses: list[float]) -> None:
    later = datetime.now(timezone.utc) + timedelta(seconds=60)
    header = format_datetime(later, usegmt=True)
    account.api.fault = once(response("busy", status=503, Retry_After=header))
    assert account.load(*PERIOD).exit_code == 0
    assert 1 < pauses[0] <= 60


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_not_tried_again(account: Setting, status: int) -> None:
    account.api.fault = always(response("Unauthorized", status=status))
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert len(account.api.requests) == 1
    assert "RINGOSTAT_AUTH_KEY" in result.stderr
    assert "settings" in result.stderr


def test_a_redirect_is_not_followed(account: Setting) -> None:
    account.api.fault = always(response("", status=302, Location=f"{account.api.url}/elsewhere"))
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert len(account.api.requests) == 1
    assert "RINGOSTAT_API_URL" in result.stderr


def test_an_api_that_does_not_answer(account: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGOSTAT_API_URL", "http://127.0.0.1:1")
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert "http://127.0.0.1:1/calls/list" in result.stderr
    assert "refused" in result.stderr
    assert "(5 attempts)" in result.stderr


# --- not answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        '{"error": "the database is asleep"}',
        "the database is asleep",
        '["the database is asleep"]',
        '"the database is asleep"',
        '[[{"calldate": "the database is asleep"}]]',
    ],
)
def test_an_answer_that_is_not_a_list_of_calls_fails_with_a_quote(
    account: Setting, body: str
) -> None:
    account.api.fault = always(response(body))
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert "the database is asleep" in result.stderr
    assert account.raw() == []


def test_a_quote_has_at_most_120_characters(account: Setting) -> None:
    account.api.fault = always(response("<p>" + "many words " * 1000))
    result = account.load(*PERIOD)
    (quoted,) = re.findall(r"'(<p>.*?)' \(5 attempts\)", account.loads("error")[0][0])
    assert len(quoted) == 120
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "token=abc123",
        '"api_key": "abc123"',
        "https://app.example/recordings/x.ogg?token=abc123",
        "deadbeefdeadbeefdeadbeefdeadbeef",
        "+380 44 111-22-33",
        "380441112233",
    ],
)
def test_a_quote_holds_no_secret(account: Setting, secret: str) -> None:
    account.api.fault = always(response(f"<p>no access for {secret}, sorry"))
    result = account.load(*PERIOD)
    for text in (result.stderr, account.loads("error")[0][0]):
        assert "no access for" in text
        for part in (secret, "abc123", "1112233", "111-22-33"):
            assert part not in text


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_body_is_no_calls_if_a_second_request_says_so(
    account: Setting, empty: str
) -> None:
    account.api.fault = always(response(empty))
    result = account.load(*PERIOD)
    assert result.exit_code == 0
    assert len(account.api.requests) == 2
    assert account.loads("status, fetched") == [("loaded", 0)]


def test_one_empty_body_is_not_believed(account: Setting) -> None:
    account.api.fault = once(response(""))
    assert account.load(*PERIOD).exit_code == 0
    assert_landed(account)


def test_an_empty_body_and_then_an_error(account: Setting) -> None:
    account.api.fault = once(response(""), HTML)
    assert account.load(*PERIOD).exit_code == 0
    assert_landed(account)


# --- refused fields --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "refused",
    [
        {"employee_fio"},
        {"caller_number", "department", "employee_fio", "n_alias", "unique_call"},
        set(OPTIONAL_FIELDS),
    ],
)
def test_refused_fields_are_left_out(account: Setting, status: int, refused: set[str]) -> None:
    account.sandbox.refusal_status = status
    account.project.refused_fields = frozenset(refused)
    account.project.calls = [row | {"employee_fio": "A"} for row in account.project.calls]
    result = account.load("--since", "2024-05-01", "--until", "2024-06-01")
    assert result.exit_code == 0, result.stderr
    expected = {
        row["uniqueid"]: {name: value for name, value in row.items() if name not in refused}
        for row in account.project.calls
    }
    assert dict(account.raw()) == expected
    (warning,) = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert {name for name in FIELDS if re.search(rf"\b{name}\b", warning)} == refused
    # Found once, then used for the run.
    full = [request for request in account.api.requests if len(request["fields"].split(",")) > 36]
    assert len(full) <= 2


def test_one_refused_field_is_found_by_halving(account: Setting) -> None:
    account.project.refused_fields = frozenset({"employee_fio"})
    account.load(*PERIOD)
    assert len(account.api.requests) <= 2 + 2 * 6 + 1


def with_names(account: Setting) -> None:
    account.project.calls = [row | {"employee_fio": "A"} for row in account.project.calls]


def test_the_next_run_does_not_ask_for_refused_fields(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_PROVE_ROW_CAP", "0")
    account.project.refused_fields = frozenset({"employee_fio", "n_alias"})
    account.load(*PERIOD)
    del account.api.requests[:]
    result = account.load(*PERIOD)
    (request,) = account.api.requests
    assert {"employee_fio", "n_alias"}.isdisjoint(request["fields"].split(","))
    assert "WARNING" not in result.stderr


def test_refused_fields_are_asked_for_again_after_a_week(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_PROVE_ROW_CAP", "0")
    account.project.refused_fields = frozenset({"employee_fio", "n_alias"})
    account.load(*PERIOD)
    account.project.refused_fields = frozenset({"n_alias"})
    with_names(account)
    week_ago = "update ringostat_raw.known_fields set checked_at = now() - interval '8 days'"
    account.conn.execute(week_ago)
    account.load(*PERIOD)
    assert_landed(account)
    del account.api.requests[:]
    account.load(*PERIOD)
    assert len(account.api.requests) == 1


@pytest.mark.parametrize("status", [200, 400])
def test_a_field_that_was_accepted_must_not_be_lost(account: Setting, status: int) -> None:
    with_names(account)
    account.load(*PERIOD)
    account.sandbox.refusal_status = status
    account.project.refused_fields = frozenset({"employee_fio", "n_alias"})
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert "returned before: n_alias, employee_fio." in result.stderr
    assert "--accept-lost-fields" in result.stderr
    assert_landed(account)
    assert account.loads("status") == [("loaded",), ("failed",)]
    account.project.refused_fields = frozenset()
    assert account.load(*PERIOD).stdout.endswith("0 new, 0 changed, 0 removed\n")


def test_a_field_is_not_lost_in_the_middle_of_a_run_either(account: Setting) -> None:
    with_names(account)

    def refuse_later(number: int, parameters: dict[str, str]) -> bytes | None:
        account.project.refused_fields = frozenset({"employee_fio"} if number else ())
        return None

    account.api.fault = refuse_later
    result = account.load("--since", "2024-05-01", "--until", "2024-06-01")
    assert result.exit_code == 1
    assert "returned before: employee_fio." in result.stderr


def test_a_refusal_that_passes_is_no_loss(account: Setting) -> None:
    with_names(account)
    account.load(*PERIOD)
    account.api.fault = once(*[None] * len(account.api.requests), response("incorrect field name"))
    result = account.load(*PERIOD)
    assert result.exit_code == 0
    assert "WARNING" not in result.stderr
    assert_landed(account)


def test_an_answer_without_calls_does_not_tell_what_is_accepted(account: Setting) -> None:
    calls, account.project.calls = account.project.calls, []
    account.load(*PERIOD)
    account.project.calls = calls
    account.project.refused_fields = frozenset({"employee_fio"})
    assert account.load(*PERIOD).exit_code == 0
    assert_landed(account)


def test_a_loss_is_accepted_on_request(account: Setting) -> None:
    with_names(account)
    account.load(*PERIOD)
    account.project.refused_fields = frozenset({"employee_fio"})
    assert account.load(*PERIOD, "--accept-lost-fields").exit_code == 0
    assert not any("employee_fio" in payload for _, payload in account.raw())
    assert account.load(*PERIOD).exit_code == 0  # from now on without


def test_recordings_come_and_go_and_nothing_is_lost(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.project.refused_fields = frozenset({"recording_wav"})
    for wish in ("1", "0", "1"):
        monkeypatch.setenv("RINGOSTAT_RECORDINGS", wish)
        result = account.load(*PERIOD)
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("status", [200, 400])
def test_a_refused_core_field_stops_the_load(account: Setting, status: int) -> None:
    account.sandbox.refusal_status = status
    account.project.refused_fields = frozenset({"calldate", "employee_fio"})
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert "calldate" in result.stderr
    assert account.raw() == []


def test_a_text_in_a_call_is_no_refusal(account: Setting) -> None:
    account.project.calls[0]["department"] = "incorrect field name"
    assert account.load(*PERIOD).exit_code == 0
    assert_landed(account)


# --- the address -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.ringostat.net",
        "ftp://localhost",
        "localhost:80",
        "",
        "https://[bad",
        "https://host:70000",
        "https://host:0",
        "https://host:port",
        "https://",
        "https://user:s3cret@host",
        "https://s3cret@[bad",
        "https://host?token=s3cret",
    ],
)
def test_an_address_that_cannot_work(
    account: Setting, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RINGOSTAT_API_URL", url)
    for result in (
        account.load(*PERIOD),
        ringostat("connect", "--name", "x", "--time-zone", "Europe/Kyiv"),
    ):
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: RINGOSTAT_API_URL must be an ")
        assert "s3cret" not in line
    nothing = "select to_regnamespace('ringostat_raw') is null"
    assert account.conn.execute(nothing).fetchone() == (True,)


def test_a_handshake_that_is_cut_off_is_tried_again(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socketserver
    import threading

    handshakes = []

    class CutOff(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handshakes.append(self.request.recv(1 << 16))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), CutOff) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("RINGOSTAT_API_URL", f"https://localhost:{server.server_address[1]}")
        result = account.load(*PERIOD)
        server.shutdown()
    assert result.exit_code == 1
    assert "no complete answer from " in result.stderr
    assert "certificate" not in result.stderr
    assert len(handshakes) == 5


def test_an_untrusted_certificate_is_refused(
    account: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    import ssl
    import subprocess
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    pair = tmp_path / "pair.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", pair, "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", pair)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        monkeypatch.setenv("RINGOSTAT_API_URL", f"https://localhost:{server.server_port}")
        result = account.load(*PERIOD)
    finally:
        server.shutdown()
        server.server_close()
    assert result.exit_code == 1
    assert "certificate" in result.stderr


def test_the_load_log_holds_the_error(account: Setting) -> None:
    account.api.fault = always(response(json.dumps({"error": "asleep"})))
    account.load(*PERIOD)
    ((status, error, fetched),) = account.loads("status, error, fetched")
    assert (status, fetched) == ("failed", 0)
    assert "asleep" in error
    assert "\n" not in error


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(
    account: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: str
) -> None:
    file = tmp_path / "bundle.pem"
    if content:
        file.write_text(content)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(file))
    monkeypatch.setenv("RINGOSTAT_API_URL", "https://127.0.0.1:1")
    for result in (
        account.load(*PERIOD),
        ringostat("connect", "--name", "x", "--time-zone", "Europe/Kyiv"),
    ):
        assert result.exit_code == 2
        assert f"{variable} must be a readable file of certificates" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_proxy_that_is_no_address_is_not_asked_five_times(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGOSTAT_API_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://")
    monkeypatch.delenv("no_proxy", raising=False)
    result = account.load(*PERIOD)
    assert result.exit_code == 1
    assert "proxy" in result.stderr
    assert "attempts" not in result.stderr


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy", "HTTP_PROXY"])
def test_no_proxy_stands_between_the_loader_and_this_machine(
    account: Setting, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert account.load(*PERIOD).exit_code == 0
    assert_landed(account)


def test_a_pause_ends_when_the_load_is_stopped(
    account: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the pauses are real
    monkeypatch.setenv("RINGOSTAT_API_URL", account.api.url)
    stop = threading.Event()

    def fault(number: int, parameters: dict[str, str]) -> bytes:
        threading.Timer(0.1, stop.set).start()
        return response("busy", status=503, Retry_After="100")

    account.api.fault = fault
    day = datetime(2024, 5, 1)
    began = time.monotonic()
    with pytest.raises(Stopped):
        Api(KEY, "RINGOSTAT_AUTH_KEY", stop).calls(Window(day, day + timedelta(days=1), KYIV))
    assert time.monotonic() - began < 30
    assert len(account.api.requests) == 1
