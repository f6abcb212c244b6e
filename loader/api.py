"""Ringostat's call log over HTTP: the endpoint, its fields, and which errors are retried.

    GET {RINGOSTAT_API_URL}/calls/list?from=…&to=…&fields=…&merge=0&order=calldate asc
    Auth-key: …

What the API may answer, and what that means here:

| answer                                            | means                                     |
|---------------------------------------------------|-------------------------------------------|
| 200, a JSON array of objects, fewer than the cap  | the window's calls                        |
| the same, the cap or more; or a very long body    | `WindowTooLong`: it may be cut            |
| another 4xx; a JSON object or plain text with 200 | `WindowTooLong`: it may mean the cap      |
| "incorrect field name", 200 or 400                | `FieldRefused`: find the accepted fields, |
|                                                   | ask again                                 |
| an empty body, 200                                | `EmptyBody`: no calls, if a second        |
|                                                   | request is answered so as well            |
| 408, 425, 429, 5xx, a timeout, a reset, HTML or   | `RetriableError`: five attempts in all    |
| cut-off JSON with 200, a body that ends early     |                                           |
| 401, 403, a redirect, an untrusted certificate    | `FatalError`                              |

The errors:

    LoadError
    └── ApiError
        ├── RetriableError      the next attempt may succeed
        │   └── EmptyBody       no calls, or a failure
        ├── WindowTooLong       a shorter window may be answered
        ├── FieldRefused        the project does not have one of the fields
        └── FatalError          no further attempt can help
            ├── FieldsLost      the project had the field before
            └── Stopped         the load is being stopped

Callers see `WindowTooLong` and `FatalError` only.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import requests
import tenacity

from loader import settings
from loader.errors import LoadError
from loader.masking import mask
from loader.rows import Row, is_json, split
from loader.windows import HOUR, SECOND, Window

log = logging.getLogger(__name__)

# Each of these is needed to identify a call, place it in time, or find its channel.
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
# Some projects do not have all of these.
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
# These links open without a login, so they are personal data and are asked for only on request.
RECORDING_FIELDS = ("recording", "recording_wav")

_TIMEOUT_SECONDS = (10, 120)  # to connect; between two chunks of the answer
# A longer body is not read to its end, so that the API cannot fill the memory.
_LONGEST_BODY = 32 * 1024 * 1024

# Pauses grow from 2 to 60 seconds, unless Ringostat names one of at most 120 seconds.
_ATTEMPTS = 5
_PAUSE = tenacity.wait_exponential(multiplier=2, max=60) + tenacity.wait_random(0, 2)
_LONGEST_RETRY_AFTER = 120


class ApiError(LoadError):
    """Ringostat's answer does not consist of a window's calls."""


class RetriableError(ApiError):
    """The next attempt may succeed. `response` may have a `Retry-After`."""

    def __init__(self, message: str, response: requests.Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class EmptyBody(RetriableError):
    """The body is empty: there are no calls, or the API failed. A second request decides."""


class WindowTooLong(ApiError):
    """A shorter window may be answered, down to the length `shortest`. `calls` is how many were
    answered, None if it was no list of calls."""

    def __init__(self, message: str, shortest: timedelta, calls: int | None = None) -> None:
        super().__init__(message)
        self.shortest = shortest
        self.calls = calls


class FieldRefused(ApiError):
    """The project does not have one of the fields."""


class FatalError(ApiError):
    """No further attempt can help: the load of the project ends."""


class FieldsLost(FatalError):
    """The project had these fields before: without them stored calls would lose values."""


class Stopped(FatalError):
    """The load is being stopped: no more requests are sent."""


@dataclass(frozen=True)
class Fields:
    """The fields that a project accepts and refuses, as far as they were tried."""

    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Api:
    """One project's call log: one key, one HTTP session, one request at a time.

    `key_variable` names the variable of the key in messages. `fields` is what earlier runs found,
    and after an answer, what this run found. A field that was accepted before must not be refused,
    unless `may_lose_fields`. Once `stop` is set, no more requests are sent and a pause ends.

    Raises ConfigurationError for settings that cannot work.
    """

    def __init__(
        self,
        key: str,
        key_variable: str,
        stop: threading.Event | None = None,
        fields: Fields = Fields(),
        may_lose_fields: bool = False,
    ) -> None:
        self._key = key
        self._key_variable = key_variable
        self._stop = stop or threading.Event()
        url = settings.api_url()
        self._url = url + "/calls/list"
        self.row_cap = settings.row_cap()
        self.fields = fields
        self._may_lose_fields = may_lose_fields
        recordings = RECORDING_FIELDS if settings.wants_recordings() else ()
        self._wanted = CORE_FIELDS + OPTIONAL_FIELDS + recordings
        self._asked = tuple(field for field in self._wanted if field not in fields.refused)
        self._session = requests.Session()
        self._session.headers["Auth-key"] = key
        # Requests to this machine have no TLS, so a proxy would see the key.
        self._session.trust_env = not settings.is_loopback(url)

    def calls(self, window: Window) -> list[Row]:
        """The calls of `window`, all of them. Raises WindowTooLong or FatalError."""
        try:
            rows = self._ask(window, self._asked)
        except FieldRefused:
            self._asked = self._accepted_fields(window)
            rows = self._ask(window, self._asked)
        # An answer without calls does not prove that its fields are accepted.
        accepted = self._asked if rows else self.fields.accepted
        self.fields = Fields(
            accepted=tuple(field for field in accepted if field in self._asked),
            refused=tuple(field for field in self._wanted if field not in self._asked),
        )
        return rows

    def _accepted_fields(self, window: Window) -> tuple[str, ...]:
        """The fields of `_asked` that the project accepts, by halving on one second's calls."""
        probe = Window(window.start, window.start + SECOND, window.zone)

        def accepted(base: tuple[str, ...], tried: tuple[str, ...]) -> tuple[str, ...]:
            if not tried:
                return ()
            try:
                self._ask(probe, base + tried)
            except FieldRefused:
                half = len(tried) // 2
                if not half:
                    return ()
                return accepted(base, tried[:half]) + accepted(base, tried[half:])
            return tried

        # First the fields that should be accepted: mostly they are, and one request is enough.
        known = tuple(field for field in self._asked if field in self.fields.accepted)
        base = accepted((), known or CORE_FIELDS)
        missing = [field for field in CORE_FIELDS if field not in base]
        if missing:
            raise FatalError(
                f"Ringostat refuses the field {', '.join(missing)}: "
                "calls cannot be loaded without it"
            )
        lost = [field for field in known if field not in base]
        if lost and not self._may_lose_fields:
            raise FieldsLost(
                f"Ringostat refuses fields that it returned before: {', '.join(lost)}. The load "
                "stops, since stored calls would lose these values. If the fields are gone for "
                "good, load once with --accept-lost-fields"
            )
        rest = tuple(field for field in self._asked if field not in (known or CORE_FIELDS))
        fields = base + accepted(base, rest)
        refused = ", ".join(field for field in self._asked if field not in fields)
        if refused:
            log.warning(
                "%s: Ringostat refuses these fields, the load goes on without them: %s",
                self._key_variable,
                refused,
            )
        return tuple(field for field in self._asked if field in fields)

    def _ask(self, window: Window, fields: Sequence[str]) -> list[Row]:
        """One request, repeated as long as that may help."""
        parameters = {
            "export_type": "json",
            "from": window.asked_from.isoformat(" "),
            "to": window.asked_to.isoformat(" "),
            "fields": ",".join(fields),
            "merge": "0",  # any other value omits further calls of a caller
            "order": "calldate asc",
        }
        log.debug("asking for %s to %s", parameters["from"], parameters["to"])
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetriableError),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_pause,
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=lambda state: log.info(
                "%s; trying again", _error(state), extra={"is_step": True}
            ),
        )
        was_empty = False
        try:
            for attempt in attempts:
                with attempt:
                    if self._stop.is_set():
                        raise Stopped("stopped")
                    try:
                        return self._judge(*self._get(parameters))
                    except RetriableError as error:
                        if was_empty and isinstance(error, EmptyBody):
                            return []
                        was_empty = isinstance(error, EmptyBody)
                        raise
        except tenacity.RetryError as failed:
            last = failed.last_attempt
            raise FatalError(f"{last.exception()} ({last.attempt_number} attempts)") from None
        raise AssertionError("attempts end with an answer or an error")

    def _get(self, parameters: dict[str, str]) -> tuple[requests.Response, bytearray]:
        """The response and its body. Raises RetriableError if the response is incomplete."""
        try:
            # Redirects are not followed: they would send the key to another host.
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
                        raise WindowTooLong(
                            f"the answer is longer than {_LONGEST_BODY >> 20} MB", shortest=SECOND
                        )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise FatalError(
                f"cannot send a request to {self._url}: {self._mask(_reason(error))} "
                "(RINGOSTAT_API_URL and the proxy variables must be addresses)"
            ) from None
        except requests.RequestException as error:
            reason = self._mask(_reason(error))
            # Any other fault of TLS, such as a handshake that is cut off, may pass.
            if isinstance(_innermost(error), ssl.SSLCertVerificationError):
                raise FatalError(f"the API's certificate is not trusted: {reason}") from None
            raise RetriableError(f"no complete answer from {self._url}: {reason}") from None
        return response, body

    def _judge(self, response: requests.Response, body: bytearray) -> list[Row]:
        """What the response means: see the table at the top of this file."""
        status = response.status_code
        rows = split(body) if status < 300 else None
        if rows is not None and len(rows) < self.row_cap:
            return rows
        if rows is not None:
            raise WindowTooLong(
                f"{len(rows)} calls in one answer, the cap is {self.row_cap}",
                shortest=SECOND,
                calls=len(rows),
            )
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
            raise FieldRefused(said)
        if status < 300 and not text.strip():
            raise EmptyBody("Ringostat's answer is empty")
        # A page of a gateway, or incomplete JSON.
        if status < 300 and body.lstrip().startswith((b"<", b"[", b"{")) and not is_json(body):
            raise RetriableError(said)
        raise WindowTooLong(said, shortest=HOUR)

    def _quote(self, text: str) -> str:
        return repr(self._mask(text)[:120])

    def _mask(self, text: str) -> str:
        return mask(text.replace(self._key, "***"))


def _pause(state: tenacity.RetryCallState) -> float:
    """How long to wait before the next attempt."""
    response = getattr(_error(state), "response", None)
    seconds = 0.0 if response is None else _retry_after(response.headers.get("Retry-After", ""))
    return min(seconds, _LONGEST_RETRY_AFTER) or _PAUSE(state)


def _retry_after(header: str) -> float:
    """The seconds of `Retry-After`, given as a number or a date; 0 if unreadable or past."""
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", header):
        return float(header)
    try:
        until = parsedate_to_datetime(header)
        return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError, OverflowError):  # a date without a zone is a TypeError
        return 0.0


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _innermost(error: BaseException) -> BaseException:
    """The innermost cause of a network error: it does not contain the request."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


def _reason(error: BaseException) -> str:
    cause = _innermost(error)
    return f"{type(cause).__name__}: {cause}"
