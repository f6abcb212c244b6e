"""A Singer tap of the call log, for the Singer target. Environment: URL, FROM, TO."""

from __future__ import annotations

import json
import os
import sys

import requests
from windows import requests_of


def main() -> None:
    is_first = True
    for parameters in requests_of(os.environ["FROM"], os.environ["TO"]):
        calls = requests.get(
            f"{os.environ['URL']}/calls/list", params=parameters, timeout=60
        ).json()
        if is_first:
            say({"type": "SCHEMA", "stream": "calls", **schema(calls[0])})
            is_first = False
        for call in calls:
            say({"type": "RECORD", "stream": "calls", "record": call})


def schema(call: dict[str, object]) -> dict[str, object]:
    types = {
        name: {"type": ["integer" if isinstance(value, int) else "string", "null"]}
        for name, value in call.items()
    }
    return {"schema": {"properties": types}, "key_properties": ["uniqueid"]}


def say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
