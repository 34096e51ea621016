"""Hears from every script that starts, at the script's own word: nothing of the platform has a say in it.

Scripts may not write outside their folders, so they call a port of the test's and wait until they have been heard.
"""

from __future__ import annotations

import socketserver
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast


@dataclass(frozen=True)
class Start:
    """One process that began to run a script."""

    execution_id: str
    attempt: int
    scheduled_for: datetime | None
    pid: int
    started_at: float


@dataclass
class Witness:
    """All starts so far, by execution."""

    port: int
    starts: defaultdict[str, list[Start]] = field(default_factory=lambda: defaultdict(list))

    @property
    def call(self) -> str:
        """What a shell script says first."""
        return (
            f"exec 3<>/dev/tcp/127.0.0.1/{self.port}\n"
            'echo "$EXECUTION_ID $ATTEMPT ${SCHEDULED_FOR:--} $$ $EPOCHREALTIME" >&3\n'
            "read -r heard <&3\n"
            "exec 3>&-\n"
        )

    def hear(self, line: str) -> None:
        """Note one start."""
        execution_id, attempt, tick, pid, moment = line.split()
        scheduled_for = None if tick == "-" else datetime.fromisoformat(tick)
        start = Start(execution_id, int(attempt), scheduled_for, int(pid), float(moment))
        self.starts[execution_id].append(start)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 512
    witness: Witness


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline().decode()
        cast(_Server, self.server).witness.hear(line)
        self.wfile.write(b"heard\n")


@contextmanager
def listening() -> Iterator[Witness]:
    """A witness on a free port of loopback."""
    with _Server(("127.0.0.1", 0), _Call) as server:
        server.witness = Witness(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, name="witness")
        thread.start()
        try:
            yield server.witness
        finally:
            server.shutdown()
            thread.join()
