"""A small Ringostat on loopback: the call log, who is on the line, and the staff list.

    GET /calls/list    GET /sipstatus/online    GET /sipstatus/speaking    POST /api/json-rpc

This file also documents the API. A letter says how well each point is known: D, documented by the
vendor; V, seen in the vendor's sample answer; C, seen in working code of others; U, unknown. An
unknown point is a setting if it could hurt a client; otherwise the sandbox makes one guess.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

ROW_CAP = 6500  # D: "no more than 6500 calls in one request; split the period"
OVER_CAP = ("cut_start", "cut_end", "error", "none")
# C: `from` and `to`, without a zone. A bare date is its 00:00.
WALL_CLOCKS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")

PARAMETERS = ("export_type", "from", "to", "fields", "filters", "merge", "order")
SIP_STATUS = ("/sipstatus/online", "/sipstatus/speaking")
JSON_RPC = "/api/json-rpc"
LONGEST_REQUEST = 1 << 16
FIELDS = (
    # when, and which call
    "calldate", "uniqueid", "call_card", "recording", "recording_wav", "has_recording",
    # who called whom; who took the call
    "caller", "caller_number", "dst", "n_alias", "connected_with", "additional_number",
    "scheme_name", "department", "employee_number", "employee_mark", "employee_fio",
    # how it went
    "call_type", "disposition", "duration", "billsec", "waittime", "duration_ms",
    "call_counter", "unique_call", "proper_flag", "repeated_flag",
    "category_number", "category_mark",
    # where the caller came from
    "pool_name", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term",
    "client_id", "landing", "refferrer", "remote_ip",
)  # fmt: skip

Call = dict[str, object]
UNREADABLE = float("inf")


@dataclass
class SandboxProject:
    """One project: one Auth-key, one time zone (D).

    `calls` are rows as `/calls/list` answers them, in any order; keys may be missing, values may be
    odd. They may change in any way between two requests. This project answers a request for one of
    `refused_fields` with "incorrect field name".
    """

    project_id: int
    auth_key: str
    time_zone: str
    calls: list[Call]
    refused_fields: frozenset[str] = frozenset()
    staff: Sequence[Mapping[str, object]] = ()  # D: id, name, e-mail, phones, SIP, departments
    api_time_zone: str | None = None  # C: sources disagree whether `from` is in this zone or in UTC

    _timeline: _Timeline | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def clock(self) -> ZoneInfo:
        """The zone by which `from` and `to` are read."""
        return ZoneInfo(self.api_time_zone or self.time_zone)

    def calls_between(self, start: float, end: float, inclusive_to: bool) -> list[Call]:
        """The calls of a period in order of time, then those whose time is unreadable.

        `start` and `end` are seconds since 1970.
        """
        # Comparing 10,000 texts with themselves takes a fraction of a millisecond, parsing them 20.
        made_from = (self.time_zone, [call.get("calldate") for call in self.calls])
        if self._timeline is None or self._timeline.made_from != made_from:
            moments = [moment_of(calldate, self.zone) for calldate in made_from[1]]
            order = sorted(range(len(moments)), key=moments.__getitem__)
            self._timeline = _Timeline(made_from, [moments[row] for row in order], order)
        moments, order = self._timeline.moments, self._timeline.order

        first = bisect_left(moments, start)
        last = (bisect_right if inclusive_to else bisect_left)(moments, end)
        rows = order[first:last] + order[bisect_left(moments, UNREADABLE) :]
        return [self.calls[row] for row in rows]


@dataclass(frozen=True)
class _Timeline:
    made_from: tuple[str, list[object]]
    moments: list[float]
    order: list[int]


def moment_of(calldate: object, zone: ZoneInfo) -> float:
    """Seconds since 1970 of a `calldate`, or UNREADABLE.

    V: `2019-06-02T09:30:47+0300`. C: other offsets; `+03:00`, `Z` and no offset are read as well.
    """
    layout = r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:(Z)|([+-]\d\d):?(\d\d))?"
    found = re.fullmatch(layout, calldate) if isinstance(calldate, str) else None
    if not found:
        return UNREADABLE
    day, clock, utc, hours, minutes = found.groups()
    offset = "+00:00" if utc else f"{hours}:{minutes}" if hours else ""
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset}")
        return (moment if offset else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return UNREADABLE


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    text: str

    @classmethod
    def as_json(cls, value: object) -> Answer:
        return cls(200, "application/json", json.dumps(value, ensure_ascii=False))

    @classmethod
    def as_csv(cls, fields: list[str], calls: Iterable[Call]) -> Answer:
        lines = io.StringIO()
        writer = csv.DictWriter(lines, fields, extrasaction="ignore", delimiter=";")  # C
        writer.writeheader()
        writer.writerows(calls)
        return cls(200, "text/csv", lines.getvalue())

    @classmethod
    def plain(cls, status: int, text: str) -> Answer:
        return cls(status, "text/plain", text)

    @classmethod
    def html(cls, status: int, text: str) -> Answer:
        return cls(status, "text/html", f"<html><body><h1>{status} {text}</h1></body></html>")


class Refusal(Exception):
    """A request that is answered with `answer` instead of data."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Sandbox:
    """The API on a port of 127.0.0.1 for as long as the `with` block lasts.

    `over_cap`: what happens with more calls than `row_cap` (U): `cut_end` loses the answer's last
    rows, `cut_start` its first, `error` answers 400, `none` answers them all (C: 48 000 rows once).
    `inclusive_to`: whether a call in the second `to` itself is answered (U).
    `fold`: which of two equal wall clocks a bound means when clocks go back, 0 the first (U).
    `refusal_status`: the status of "incorrect field name" (C: 200 and 400).
    `port`: 0 takes a free one.

    `strict` refuses unknown parameters, so that a misspelt one does not go unnoticed; the API
    ignores them (C: clients in use send `project_id`, `limit`, even `token`).

    `url` is the address for clients; `requests` lists (path, parameters) of each request so far.
    """

    strict = False

    def __init__(
        self,
        projects: Iterable[SandboxProject],
        *,
        row_cap: int = ROW_CAP,
        over_cap: str = "cut_end",
        inclusive_to: bool = True,
        fold: int = 0,
        refusal_status: int = 200,
        port: int = 0,
    ) -> None:
        if over_cap not in OVER_CAP:
            raise ValueError(f"over_cap is {over_cap!r}, not one of {', '.join(OVER_CAP)}")
        self.projects = {project.project_id: project for project in projects}
        self.row_cap = row_cap
        self.over_cap = over_cap
        self.inclusive_to = inclusive_to
        self.fold = fold
        self.refusal_status = refusal_status
        self.port = port
        self.requests: list[tuple[str, dict[str, str]]] = []

    def __enter__(self) -> Sandbox:
        self._server = _Server(self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def project(self, project_id: int) -> SandboxProject:
        return self.projects[project_id]

    def answer(self, path: str, parameters: dict[str, str], auth_key: str | None) -> Answer:
        """The answer to a GET of `path`; `auth_key` is from the header."""
        self.requests.append((path, parameters))
        try:
            if path not in ("/calls/list", *SIP_STATUS):
                raise Refusal(Answer.html(404, "Not Found"))
            project = self._project_of(parameters, auth_key)
            if path in SIP_STATUS:  # D: an array; U: of what. Nobody is on the line here
                return Answer.as_json([])
            return self._list_calls(project, parameters)
        except Refusal as refusal:
            return refusal.answer

    def answer_rpc(self, path: str, body: bytes, auth_key: str | None) -> Answer:
        """The answer to a POST of `body` to `path`: the staff list by JSON-RPC 2.0 (D)."""
        try:
            if path != JSON_RPC:
                raise Refusal(Answer.html(404, "Not Found"))
            project = self._project_of({}, auth_key)
        except Refusal as refusal:
            return refusal.answer
        try:
            call = json.loads(body)
            if not isinstance(call, dict):
                return _rpc_error(None, -32600, "Invalid Request")
        except ValueError:
            return _rpc_error(None, -32700, "Parse error")
        number, asked = call.get("id"), call.get("params")
        self.requests.append((path, {"method": str(call.get("method"))}))
        if call.get("method") != "getProjectStaffListAndDirections":
            return _rpc_error(number, -32601, "Method not found")
        if not isinstance(asked, dict) or str(asked.get("projectId")) != str(project.project_id):
            return _rpc_error(number, -32602, "Invalid params")  # U
        return Answer.as_json({"jsonrpc": "2.0", "id": number, "result": list(project.staff)})

    def _project_of(self, parameters: dict[str, str], auth_key: str | None) -> SandboxProject:
        # D: the key belongs in the header. C: in the query it is answered with 400 and HTML.
        if any(re.sub(r"[^a-z]", "", name.lower()) in ("authkey", "key") for name in parameters):
            raise Refusal(Answer.html(400, "Bad Request"))
        # C: the status; U: the text. One key is one project (D), so the key tells which one.
        for project in self.projects.values():
            if project.auth_key == auth_key:
                return project
        raise Refusal(Answer.plain(401, "Unauthorized"))

    def _list_calls(self, project: SandboxProject, parameters: dict[str, str]) -> Answer:
        for name in parameters:
            if self.strict and name not in PARAMETERS:
                raise Refusal(Answer.plain(400, f"the sandbox knows no parameter {name}"))
        fields = self._fields(project, parameters)
        start, end = self._period(project, parameters)

        calls = project.calls_between(start, end, self.inclusive_to)
        filters = _conditions(parameters.get("filters", ""))
        calls = [call for call in calls if all(_fits(call, *one) for one in filters)]
        calls = _merged(calls, _choice(parameters, "merge", "0", "1", "2"), project.zone)
        # V: the two orders; U: which of them is the default.
        if _choice(parameters, "order", "calldate asc", "calldate desc") == "calldate desc":
            calls.reverse()
        calls = self._capped(calls)

        # D: one flat object per call. V: with the fields asked for. C: one of them may be absent.
        # Keys that are not documented are always answered (U), like a field that the vendor adds.
        calls = [
            {name: call[name] for name in fields if name in call}  # V: in the order asked for
            | {name: value for name, value in call.items() if name not in FIELDS}
            for call in calls
        ]
        if _choice(parameters, "export_type", "json", "csv") == "csv":  # D
            return Answer.as_csv(fields, calls)
        return Answer.as_json(calls)

    def _fields(self, project: SandboxProject, parameters: dict[str, str]) -> list[str]:
        """D: a comma-separated list without spaces. U: the default; here all fields."""
        accepted = [name for name in FIELDS if name not in project.refused_fields]
        fields = parameters["fields"].split(",") if "fields" in parameters else accepted
        if not set(fields) <= set(accepted):
            # C: the words, and that a field may be refused on one project and not on another.
            # U: whether they name the refused field; here they do not, which is the harder case.
            raise Refusal(Answer.plain(self.refusal_status, "incorrect field name"))
        return fields

    def _period(self, project: SandboxProject, parameters: dict[str, str]) -> tuple[float, float]:
        """Seconds since 1970 of `from` and `to`. D: by default the 24 hours before `to`, or now."""
        bounds = {}
        for name in ("from", "to"):
            if name in parameters:
                wall_clock = _wall_clock(parameters[name])
                if wall_clock is None:
                    raise Refusal(Answer.plain(400, f"incorrect {name}"))  # U
                bounds[name] = wall_clock.replace(tzinfo=project.clock, fold=self.fold).timestamp()
        end = bounds.get("to", datetime.now(timezone.utc).timestamp())
        return bounds.get("from", end - timedelta(hours=24).total_seconds()), end

    def _capped(self, calls: list[Call]) -> list[Call]:
        if len(calls) <= self.row_cap or self.over_cap == "none":
            return calls
        if self.over_cap == "cut_end":
            return calls[: self.row_cap]
        if self.over_cap == "cut_start":
            return calls[-self.row_cap :]
        raise Refusal(
            Answer.plain(400, f"no more than {self.row_cap} calls in one request; split the period")
        )


def _wall_clock(text: str) -> datetime | None:
    for layout in WALL_CLOCKS:
        with suppress(ValueError):
            return datetime.strptime(text, layout)
    return None


_NEXT_CONDITION = re.compile(rf",(?=(?:{'|'.join(FIELDS)})[=~])")


def _conditions(filters: str) -> list[tuple[str, str, re.Pattern[str] | None]]:
    """Of each condition in `filters` the field, the text, and the regular expression if it is one.

    C: `field=value`. V: `field~` and a regular expression in base64. U: how several are joined;
    here by commas, or by repeating the parameter, and all of them must hold.
    """
    found: list[tuple[str, str, re.Pattern[str] | None]] = []
    for condition in _NEXT_CONDITION.split(filters) if filters else ():
        name, operator, text = re.split(r"([=~]|$)", condition, maxsplit=1)
        if name not in FIELDS or not operator:
            raise Refusal(Answer.plain(400, "incorrect filters"))  # U
        pattern = None
        if operator == "~":
            # In a query a plus sign is a space, and some clients leave the padding out.
            encoded = text.replace(" ", "+")
            try:
                decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
                pattern = re.compile(decoded.decode())
            except (binascii.Error, UnicodeDecodeError, re.error):
                raise Refusal(Answer.plain(400, "incorrect filters")) from None  # U
        found.append((name, text, pattern))
    return found


def _fits(call: Call, name: str, text: str, pattern: re.Pattern[str] | None) -> bool:
    value = call.get(name)
    shown = "" if value is None else str(value)
    return shown == text if pattern is None else pattern.search(shown) is not None


def _rpc_error(number: object, code: int, message: str) -> Answer:
    error = {"code": code, "message": message}
    return Answer.as_json({"jsonrpc": "2.0", "id": number, "error": error})


def _choice(parameters: dict[str, str], name: str, default: str, *others: str) -> str:
    chosen = parameters.get(name, default)
    if chosen not in (default, *others):
        raise Refusal(Answer.plain(400, f"incorrect {name}"))  # U
    return chosen


def _merged(calls: list[Call], merge: str, zone: ZoneInfo) -> list[Call]:
    """D: 0 merges nothing, 1 keeps one row per caller and day, 2 one per caller: both lose calls.

    U: which row stays; here the first.
    """
    if merge == "0":
        return calls
    kept: dict[object, Call] = {}
    for call in calls:
        moment = moment_of(call.get("calldate"), zone)
        daily = merge == "1" and moment != UNREADABLE
        day = datetime.fromtimestamp(moment, zone).date() if daily else None
        kept.setdefault((str(call.get("caller")), day), call)
    return list(kept.values())


class _Server(ThreadingHTTPServer):
    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", sandbox.port), _Handler)
        self.sandbox = sandbox


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # keeps connections open between requests
    disable_nagle_algorithm = True  # headers and body are two writes: the second must not wait
    timeout = 60  # seconds until a silent connection is closed

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = parse_qsl(url.query, keep_blank_values=True)
        parameters = dict(given)
        filters = [value for name, value in given if name == "filters"]
        if len(filters) > 1:
            parameters["filters"] = ",".join(filters)
        self._send(self.server.sandbox.answer(url.path, parameters, self.headers.get("Auth-key")))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_REQUEST:
            self.close_connection = True
            self._send(Answer.html(413, "Content Too Large"))
            return
        path, body = urlsplit(self.path).path, self.rfile.read(int(length))
        self._send(self.server.sandbox.answer_rpc(path, body, self.headers.get("Auth-key")))

    def _send(self, answer: Answer) -> None:
        # UTF-8 has no lone surrogates; with a backslash they become JSON escapes.
        body = answer.text.encode("utf-8", "backslashreplace")
        self.send_response(answer.status)
        self.send_header("Content-Type", f"{answer.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # the client may have gone
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Logs nothing: requests are in `Sandbox.requests`, and a URL may contain secrets."""


def serve(projects: Iterable[SandboxProject], port: int = 0) -> None:
    """Serves until Ctrl-C; prints the address, the keys and an example request to stdout.

    OSError if the port is taken.
    """
    with suppress(KeyboardInterrupt), Sandbox(projects, port=port) as sandbox:
        print(f"The sandbox API listens on {sandbox.url}; Ctrl-C ends it.")
        for project in sandbox.projects.values():
            print(
                f"Project {project.project_id}: {len(project.calls):,} calls,"
                f" zone {project.time_zone}, Auth-key {project.auth_key}"
            )
        moments = [moment_of(call.get("calldate"), project.zone) for call in project.calls]
        last = max((moment for moment in moments if moment != UNREADABLE), default=time.time())
        day = datetime.fromtimestamp(last, project.zone).date()
        print(
            f"Try: curl -H 'Auth-key: {project.auth_key}' '{sandbox.url}/calls/list"
            f"?from={day}%2000:00:00&to={day}%2023:59:59"
            "&fields=calldate,caller,pool_name,disposition'",
            flush=True,
        )
        while True:
            time.sleep(3600)
