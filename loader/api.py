"""Ringostat's call log over HTTP: the endpoint, its fields, what is retried and what is not.

    GET {RINGOSTAT_API_URL}/calls/list?from=…&to=…&fields=…&merge=0&order=calldate asc
    Auth-key: …

What the API may answer, and what that means here:

| answer                                            | means                                     |
|---------------------------------------------------|-------------------------------------------|
| 200, a JSON array of objects, fewer than the cap  | the window's calls                        |
| the same, the cap or more; or a very long body    | `FullAnswer`: perhaps cut, ask for less   |
| "incorrect field name", 200 or 400                | find the accepted fields, ask again       |
| an empty body, 200                                | no calls, if a second request says so too |
| 408, 425, 429, 5xx, a timeout, a reset, HTML or   | `RetriableError`: five attempts in all    |
| cut-off JSON with 200, a body that ends early     |                                           |
| another 4xx; a JSON object or plain text with 200 | `RefusedWindow`: perhaps the cap speaks   |
| 401, 403, a redirect, TLS that is not trusted     | `FatalError`                              |
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from datetime import timedelta

import requests
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util.retry import Retry

from loader import settings
from loader.errors import LoadError
from loader.masking import mask
from loader.rows import Row, is_json, split
from loader.windows import HOUR, SECOND, Window

log = logging.getLogger(__name__)

# Without one of these no call can be told apart, placed in time, or given its channel.
CORE_FIELDS = (
    "calldate",
    "uniqueid",
    "caller",
    "dst",
    "call_type",
    "disposition",
    "pool_name",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "call_card",
)
# Some projects refuse some of these.
OPTIONAL_FIELDS = (
    "caller_number",
    "n_alias",
    "connected_with",
    "additional_number",
    "scheme_name",
    "department",
    "duration",
    "billsec",
    "waittime",
    "duration_ms",
    "call_counter",
    "unique_call",
    "proper_flag",
    "repeated_flag",
    "has_recording",
    "category_number",
    "category_mark",
    "employee_number",
    "employee_mark",
    "employee_fio",
    "utm_content",
    "utm_term",
    "client_id",
    "landing",
    "refferrer",
    "remote_ip",
)
# Their links open without a login, so they are personal data: only on request.
RECORDING_FIELDS = ("recording", "recording_wav")

_TIMEOUT_SECONDS = (10, 120)  # to connect; between two pieces of the answer
# A longer body is not read to its end, so that memory stays bounded whatever the API sends.
_LONGEST_BODY = 32 * 1024 * 1024


class RetriableError(Exception):
    """The next attempt may succeed. `response` is what `Retry-After` is read from."""

    def __init__(self, message: str, response: requests.Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class FatalError(LoadError):
    """No further attempt can help: the load of the project ends."""


class RefusedWindow(FatalError):
    """A shorter window may be answered, down to the length `shortest`."""

    shortest: timedelta = HOUR


class FullAnswer(RefusedWindow):
    """As many calls as an answer may hold: some may have been cut off."""

    shortest = SECOND


class _FieldRefused(FatalError):
    """The API does not know one of the fields in this project."""


class _EmptyBody(RetriableError):
    """Nothing at all: no calls, or a failure. A second request tells."""


class _Backoff(Retry):
    """urllib3's count of attempts; it pauses before the first repetition too."""

    def get_backoff_time(self) -> float:
        pause = min(self.backoff_max, self.backoff_factor * 2 ** (len(self.history) - 1))
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret

    def parse_retry_after(self, retry_after: str) -> float:
        try:
            return super().parse_retry_after(retry_after)
        except InvalidHeader:
            return 0  # unreadable: pause as if it were not there


_RETRY = _Backoff(total=4, backoff_factor=2, backoff_max=60, retry_after_max=120)


class Api:
    """One project's call log: one key, one HTTP session, one request at a time.

    `key_variable` is where the key came from, for messages. Raises ConfigurationError for
    settings that cannot work.
    """

    def __init__(self, key: str, key_variable: str, stop: threading.Event | None = None) -> None:
        self._key = key
        self._key_variable = key_variable
        self._url = settings.api_url() + "/calls/list"
        self.row_cap = settings.row_cap()
        recordings = RECORDING_FIELDS if settings.wants_recordings() else ()
        self._fields = CORE_FIELDS + OPTIONAL_FIELDS + recordings
        self._session = requests.Session()
        self._session.headers["Auth-key"] = key

    def calls(self, window: Window) -> list[Row]:
        """The calls of `window`, all of them. Raises RefusedWindow or FatalError."""
        try:
            return self._ask(window, self._fields)
        except _FieldRefused:
            self._fields = self._accepted_fields(window)
            return self._ask(window, self._fields)

    def _accepted_fields(self, window: Window) -> tuple[str, ...]:
        """Those of `_fields` that the project accepts, found on a second's calls by halving."""
        probe = Window(window.start, window.start + SECOND, window.zone)

        def accepted(base: tuple[str, ...], tried: tuple[str, ...]) -> tuple[str, ...]:
            if not tried:
                return ()
            try:
                self._ask(probe, base + tried)
            except _FieldRefused:
                half = len(tried) // 2
                if not half:
                    return ()
                return accepted(base, tried[:half]) + accepted(base, tried[half:])
            return tried

        core = accepted((), CORE_FIELDS)
        if core != CORE_FIELDS:
            missing = ", ".join(field for field in CORE_FIELDS if field not in core)
            raise FatalError(f"Ringostat refuses the field {missing}: no load without it")
        fields = core + accepted(core, self._fields[len(core) :])
        refused = ", ".join(field for field in self._fields if field not in fields)
        log.warning("%s: refused fields, the load goes on without: %s", self._key_variable, refused)
        return fields

    def _ask(self, window: Window, fields: Sequence[str]) -> list[Row]:
        """One request, repeated while it may help."""
        parameters = {
            "export_type": "json",
            "from": window.asked_from.isoformat(" "),
            "to": window.asked_to.isoformat(" "),
            "fields": ",".join(fields),
            "merge": "0",  # any other value leaves out calls of one caller
            "order": "calldate asc",
        }
        log.debug("asking for %s to %s", parameters["from"], parameters["to"])
        retry = _RETRY
        empty_bodies = 0
        while True:
            try:
                return self._judge(*self._get(parameters))
            except RetriableError as error:
                empty_bodies = empty_bodies + 1 if isinstance(error, _EmptyBody) else 0
                if empty_bodies == 2:
                    return []
                try:
                    retry = retry.increment("GET", "/calls/list", error=error)
                except MaxRetryError:
                    attempts = len(retry.history) + 1
                    raise FatalError(f"{error} ({attempts} attempts)") from None
                log.info("%s; trying again", error)
                retry.sleep(error.response.raw if error.response is not None else None)

    def _get(self, parameters: dict[str, str]) -> tuple[requests.Response, bytearray]:
        """The response and its body. Raises RetriableError where none came whole."""
        try:
            # A redirect would carry the key to another host: none is followed.
            with self._session.get(
                self._url,
                params=parameters,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                for piece in response.iter_content(1 << 16):
                    body += piece
                    if len(body) > _LONGEST_BODY:
                        raise FullAnswer(f"an answer longer than {_LONGEST_BODY >> 20} MB")
        except requests.exceptions.SSLError as error:
            raise FatalError(f"the API's certificate is not trusted: {_reason(error)}") from None
        except requests.RequestException as error:
            reason = self._mask(_reason(error))
            raise RetriableError(f"no whole answer from {self._url}: {reason}") from None
        return response, body

    def _judge(self, response: requests.Response, body: bytearray) -> list[Row]:
        """What the response means: see the table at the top of this page."""
        status = response.status_code
        rows = split(body) if status < 300 else None
        if rows is not None and len(rows) < self.row_cap:
            return rows
        if rows is not None:
            raise FullAnswer(f"{len(rows)} calls in one answer, the cap is {self.row_cap}")
        text = body.decode("utf-8-sig", errors="replace")
        said = f"Ringostat answered {status}: {self._quote(text)}"
        if status in (401, 403):
            raise FatalError(
                f"Ringostat answered {status}: the key in {self._key_variable} is not accepted. "
                "Ringostat shows the Auth-key in the project's settings, under Integrations, API"
            )
        if status in (408, 425, 429) or status >= 500:
            raise RetriableError(said, response)
        if 300 <= status < 400:
            raise FatalError(f"{said} (a redirect: is RINGOSTAT_API_URL right?)")
        if "incorrect field name" in text.lower():
            raise _FieldRefused(said)
        if status < 300 and not text.strip():
            raise _EmptyBody("Ringostat answered nothing")
        # A gateway's page, or JSON that was cut.
        if status < 300 and body.lstrip().startswith((b"<", b"[", b"{")) and not is_json(body):
            raise RetriableError(said)
        raise RefusedWindow(said)

    def _quote(self, text: str) -> str:
        return repr(self._mask(text)[:120])

    def _mask(self, text: str) -> str:
        return mask(text.replace(self._key, "***"))


def _reason(error: BaseException) -> str:
    """A network error by its innermost cause, which does not repeat the request."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _reason(inner)
    return f"{type(error).__name__}: {error}"
