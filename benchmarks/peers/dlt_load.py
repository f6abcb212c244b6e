"""Lands the call log with dlt: a resource that is merged on the call's id, with default settings.

Environment: URL, FROM, TO, and what dlt itself reads (destination, folders).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import dlt
from dlt.sources.helpers import requests
from windows import requests_of


@dlt.resource(primary_key="uniqueid", write_disposition="merge")
def calls() -> Iterator[list[dict]]:
    for parameters in requests_of(os.environ["FROM"], os.environ["TO"]):
        yield requests.get(f"{os.environ['URL']}/calls/list", params=parameters).json()


if __name__ == "__main__":
    dlt.pipeline("calls", destination="postgres", dataset_name="dlt").run(calls())
