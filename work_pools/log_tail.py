"""One attempt's output on its way into the log store."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, BrokenFrame, decode
from platform_api.ports.logs import LogChunk
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.messages import LONGEST_LINE

logger = logging.getLogger(__name__)

#: One chunk holds about this much, and always at least one frame.
CHUNK_BYTES = 64 * 1024
READ_BYTES = LONGEST_PIECE + HEADER.size + CHUNK_BYTES
#: A flood is shipped in turns, so that it does not hold up the lines of others.
TURN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next chunk begins: in the executor's output and in the execution's log."""

    offset: int
    line: int
    last_error_line: str | None = None

    def resume(self) -> dict[str, object]:
        """What is stored with a chunk, so that nothing is lost or repeated after a crash."""
        return {"offset": self.offset, "last_error_line": self.last_error_line}

    @classmethod
    def resumed(cls, line: int, resume: dict[str, object] | None) -> Position:
        """The position behind the last chunk that was stored."""
        offset, last = (resume or {}).get("offset", 0), (resume or {}).get("last_error_line")
        return cls(offset if isinstance(offset, int) else 0, line, last if isinstance(last, str) else None)


@dataclass(slots=True)
class LogTail:
    """Reads ahead of what is stored; ``commit`` moves the stored position up to it."""

    ref: AttemptRef
    stored: Position | None = None
    chunks: list[LogChunk] = field(default_factory=list)
    #: There was nothing more to read after ``chunks``.
    exhausted: bool = False
    #: What follows cannot be read; said once.
    broken: bool = False
    _ahead: Position | None = None

    async def read(self, executor: Executor) -> list[LogChunk]:
        """The next chunks. Until they are committed, the next call reads the same place again."""
        assert self.stored is not None  # noqa: S101 - the shipper opens a tail before it reads
        position, self.chunks, size = self.stored, [], 0
        self.exhausted = False
        while size < TURN_BYTES:
            buffer = await self._buffer(executor, position.offset)
            following = self._cut(buffer, position)
            if following.offset == position.offset:
                self.exhausted = True
                break
            size += following.offset - position.offset
            position = following
        self._ahead = position
        return self.chunks

    async def _buffer(self, executor: Executor, offset: int) -> bytes:
        try:
            return await executor.read_output(self.ref, offset, READ_BYTES)
        except OSError:
            self._break(offset)
            return b""

    def _break(self, offset: int) -> None:
        """One unreadable log must not hold up the others."""
        if not self.broken:
            logger.exception("The output of %s cannot be read at byte %d", self.ref, offset)
        self.broken = True

    def commit(self) -> None:
        """The chunks are stored."""
        self.stored = self._ahead
        self.chunks = []

    def _cut(self, buffer: bytes, position: Position) -> Position:
        """Cut whole frames into chunks and return the position behind them."""
        begin, lines, last = 0, 0, position.last_error_line
        end = 0
        try:
            for frame, end in decode(buffer):
                lines += 1
                if frame.stream == "stderr" and frame.data.strip():
                    last = _readable(frame.data)
                if end - begin >= CHUNK_BYTES:
                    position = self._chunk(buffer[begin:end], lines, replace(position, last_error_line=last))
                    begin, lines = end, 0
        except BrokenFrame:
            self._break(position.offset + end - begin)
        if lines:
            position = self._chunk(buffer[begin:end], lines, replace(position, last_error_line=last))
        return position

    def _chunk(self, frames: bytes, lines: int, position: Position) -> Position:
        behind = replace(position, offset=position.offset + len(frames), line=position.line + lines)
        self.chunks.append(
            LogChunk(self.ref.execution_id, self.ref.attempt, position.line, lines, frames, behind.resume())
        )
        return behind


def _readable(data: bytes) -> str:
    """The line as a message may show it; PostgreSQL's JSON knows no NUL."""
    text = data.decode("utf-8", errors="replace").strip()[:LONGEST_LINE]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
