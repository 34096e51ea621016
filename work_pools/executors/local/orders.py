"""What a worker and its launcher say to each other. Standard library only.

Orders go over a socket, each as its length and a JSON document; they hold secret values and exist in memory only.
Answers come over a pipe, each a line shorter than what a pipe writes whole, because every shim writes its own.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

LENGTH = struct.Struct("<I")


class Order(NamedTuple):
    """What one shim is to run."""

    number: int
    directory: str
    claim: str
    command: list[str]
    env: dict[str, str]
    timeout_seconds: float
    grace_seconds: float
    #: Over all processes of the script together; None: no limit.
    memory_bytes: int | None
    #: How many cores they may have together; None: no limit.
    cpu_cores: float | None
    log_head_bytes: int
    log_tail_bytes: int

    def __repr__(self) -> str:
        """Without the secret values in ``env``."""
        return f"Order({self.number}, {self.directory!r}, {self.command[0]!r})"

    def encode(self) -> bytes:
        """The order as it goes over the socket."""
        document = json.dumps(self).encode()
        return LENGTH.pack(len(document)) + document

    @classmethod
    def decode(cls, document: bytes) -> Order:
        """Read what follows the length."""
        return cls(*json.loads(document))


class Answer(NamedTuple):
    """What became of an order: when its script began, or None when somebody else has started or sealed it."""

    number: int
    started_us: int | None

    def encode(self) -> bytes:
        """One line."""
        return f"{self.number} {self.started_us if self.started_us is not None else '-'}\n".encode()

    @classmethod
    def decode(cls, line: bytes) -> Answer:
        """Read one line."""
        number, started = line.split()
        return cls(int(number), None if started == b"-" else int(started))
