"""The API that every client reads: a call log whose rows are rendered beforehand.

`python -m benchmarks.api CALLS` serves the first CALLS calls on a port of 127.0.0.1 and prints the
address once they are rendered. It answers `from`, `to` (both inclusive) and the row cap as
`loader/sandbox` does, and nothing else: that sandbox composes and judges, this one hands out bytes,
so that what is measured is the client.
"""

from __future__ import annotations

import hashlib
import json
import sys
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PROJECT_ID = 11111
TIME_ZONE = "Europe/Kyiv"  # no clock change in the two months that the calls are spread over
OFFSET = "+0300"
START = datetime(2024, 5, 1)
CALLS_A_DAY = 5_000
ROW_CAP = 6_500


def moment(number: int) -> datetime:
    """When call `number` (from 0) was made, on the project's clock: evenly spread.

    In the middle of its share of the day, so that none stands on the border of a period.
    """
    return START + timedelta(seconds=(2 * number + 1) * 43_200 // CALLS_A_DAY)


def day(calls: int) -> datetime:
    """The midnight before which the first `calls` calls were made, if that is a whole number."""
    return START + timedelta(days=calls / CALLS_A_DAY)


def row(number: int) -> bytes:
    """Call `number` as the API writes it: every field that the loader asks for, about 1.2 KB."""
    digest = hashlib.md5(str(number).encode(), usedforsecurity=False).digest()
    caller, visit, click, pick = (
        int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8, 12)
    )
    campaign, line, talk = pick % 15, 100 + pick % 12, pick % 600
    answered = pick % 4 != 0
    uniqueid = f"ua9_-{moment(number).timestamp():.0f}.{number}"
    name = f"380707{caller % 10**6:06d}"
    return json.dumps(
        {
            "calldate": moment(number).isoformat() + OFFSET,
            "uniqueid": uniqueid,
            "caller": name,
            "caller_number": name,
            "dst": f"380700{line:06d}",
            "n_alias": f"380700{line:06d}",
            "connected_with": f"{101 + pick % 7}" if answered else "",
            "additional_number": f"{101 + pick % 7}" if answered else "",
            "pool_name": f"Динамический пул {pick % 3}",
            "scheme_name": "Рабочая схема",
            "department": "Отдел продаж" if pick % 3 else "Регистратура",
            "call_type": "callback" if pick % 11 == 0 else "in",
            "disposition": "PROPER" if answered else "NO ANSWER",
            "duration": talk + 20,
            "billsec": talk if answered else 0,
            "waittime": f"{pick % 60}",
            "duration_ms": f"{talk + 20}000",
            "call_counter": 1 + pick % 4,
            "unique_call": int(pick % 4 == 0),
            "proper_flag": int(answered),
            "repeated_flag": 0,
            "has_recording": "1" if answered else "0",
            "category_number": pick % 6 or -1,
            "category_mark": 0,
            "employee_number": pick % 7,
            "employee_mark": 0,
            "employee_fio": f"Сотрудник Примеров {pick % 7}",
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": f"search_campaign_{campaign}",
            "utm_content": f"ad_group_{campaign}_{pick % 4}",
            "utm_term": f"запись на приём {pick % 50}",
            "client_id": f"{visit}.{click}",
            "landing": f"https://clinic.example/services/?utm_source=google&utm_medium=cpc"
            f"&utm_campaign=search_campaign_{campaign}&gclid={digest.hex() * 2}",
            "refferrer": "https://www.google.com/",
            "remote_ip": f"203.0.113.{pick % 254 + 1}",
            "call_card": f"https://app.ringostat.com/project/callcards/card/{uniqueid}/"
            f"?project_id={PROJECT_ID}",
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open between requests
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        start = bisect_left(self.server.moments, asked["from"][0])
        end = bisect_right(self.server.moments, asked["to"][0])
        body = b"[" + b",".join(self.server.rows[start : min(end, start + ROW_CAP)]) + b"]"
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged: that would be measured too."""


def main() -> None:
    calls = int(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.rows = [row(number) for number in range(calls)]
        # As text, which sorts as the times do, since all have one length.
        server.moments = [moment(number).strftime("%Y-%m-%d %H:%M:%S") for number in range(calls)]
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
