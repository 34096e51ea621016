"""Follows one log as a browser does, in a process of its own, so that whoever measures does not hold up the reader.

`python -m bench.log_reader ADDRESS` with the API key on stdin prints two figures for each line: seconds from its being
printed until its shim had it, and from there until it was here. The script prints what time it is.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime

import httpx


def main() -> None:
    """Until the stream ends."""
    headers = {"X-API-Key": sys.stdin.readline().strip()}
    with (
        httpx.Client(headers=headers, timeout=60, trust_env=False) as client,
        client.stream("GET", sys.argv[1]) as rows,
    ):
        for row in rows.iter_lines():
            if row.startswith("data: ") and '"line"' in row:
                line = json.loads(row[6:])
                caught = datetime.fromisoformat(line["timestamp"]).timestamp()
                print(caught - float(line["line"]), time.time() - caught, flush=True)


if __name__ == "__main__":
    main()
