"""Prefect's server, unmodified, in one process: loaded while PostgreSQL starts, served once it is there.

``prefect server start`` does the same through two more processes and 3 s more.
"""

from __future__ import annotations

import importlib
import os
import sys

import uvicorn

from platform_api.embedded.gate import wait_at_gate

MODULE = "prefect.server.api.server"


def main(port: int) -> None:
    """Serve on loopback; Prefect migrates its database before it answers."""
    os.umask(0o077)
    importlib.import_module(MODULE)
    wait_at_gate()
    uvicorn.run(
        f"{MODULE}:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
