"""One attempt's output on its way into the log store."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, BrokenFrame, decode
from platform_api.domain.log_limits import Count, LogLimits
from platform_api.ports.logs import LogChunk, ResumePoint
from work_pools.executors.protocol import AttemptRef, Executor, Output
from work_pools.messages import LONGEST_LINE

logger = logging.getLogger(__name__)

#: One chunk holds about this much, and always at least one frame.
CHUNK_BYTES = 64 * 1024
READ_BYTES = LONGEST_PIECE + HEADER.size + CHUNK_BYTES
#: Past its head, a log that is still being written is shipped no faster than this: what will be dropped again is not
#: worth the database's time. What the executor drops meanwhile is counted and skipped.
FLOOD_BYTES_PER_SECOND = 4 * 1024 * 1024

NOTHING = Count()


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next chunk begins: in the executor's output and in the execution's log."""

    offset: int = 0
    line: int = 0
    byte: int = 0
    #: How much of what the script wrote in this attempt lies before, skipped or not.
    read: Count = NOTHING
    last_error_line: str | None = None

    def resume(self) -> dict[str, object]:
        """What is stored with a chunk, so that nothing is lost or repeated after a crash."""
        return {"offset": self.offset, "read": list(self.read), "last_error_line": self.last_error_line}

    @classmethod
    def resumed(cls, point: ResumePoint) -> Position:
        """The position behind the last chunk that was stored."""
        resume: dict[str, Any] = point.resume or {}
        read, last = Count(*resume.get("read", ())), resume.get("last_error_line")
        return cls(resume.get("offset", 0), point.line, point.byte, read, last)

    def behind_gap(self, offset: int, before: Count) -> Position:
        """The position at ``offset``, where ``before`` is what the script had written until then."""
        lines, size = before.lines - self.read.lines, before.bytes - self.read.bytes
        return replace(self, offset=offset, line=self.line + lines, byte=self.byte + size, read=before)


@dataclass(slots=True)
class LogTail:
    """Reads ahead of what is stored; ``commit`` moves the stored position up to it."""

    ref: AttemptRef
    stored: Position | None = None
    head_bytes: int = LogLimits().head_bytes
    chunks: list[LogChunk] = field(default_factory=list)
    #: When it had its last turn, as the shipper counts them.
    looked_at: int = -1
    #: There was nothing more to read after ``chunks``.
    exhausted: bool = True
    #: What follows cannot be read; said once.
    broken: bool = False
    _ahead: Position | None = None
    _rests_until: float = 0.0

    @property
    def rests(self) -> bool:
        """Whether it has shipped as much of a flood as it may for now."""
        return time.monotonic() < self._rests_until

    async def read(self, executor: Executor, turn: int) -> list[LogChunk]:
        """The next chunks, about ``turn`` bytes. Until they are committed, the next call reads the same place again."""
        assert self.stored is not None  # noqa: S101 - the shipper opens a tail before it reads
        position, self.chunks, size = self.stored, [], 0
        self.exhausted = False
        while size < turn:
            output = await self._output(executor, position.offset)
            begin = position if output.before is None else position.behind_gap(output.offset, output.before)
            following = self._cut(output.frames, begin)
            if following.offset == begin.offset:
                self.exhausted = True
                break
            size += following.offset - begin.offset
            position = following
        self._ahead = position
        return self.chunks

    async def look(self, executor: Executor) -> list[LogChunk]:
        """``read`` if there is little; a lot is left for a turn, so that this is quick for hundreds of tails."""
        assert self.stored is not None  # noqa: S101 - as above
        self.chunks = []
        output = await self._output(executor, self.stored.offset)
        if len(output.frames) < CHUNK_BYTES:
            return await self.read(executor, CHUNK_BYTES) if output.frames else []
        self.exhausted = False
        return []

    async def _output(self, executor: Executor, offset: int) -> Output:
        try:
            return await executor.read_output(self.ref, offset, READ_BYTES)
        except OSError:
            self._break(offset)
            return Output(offset, b"")

    def _break(self, offset: int) -> None:
        """One unreadable log must not hold up the others."""
        if not self.broken:
            logger.exception("The output of %s cannot be read at byte %d", self.ref, offset)
        self.broken = True

    def commit(self) -> None:
        """The chunks are stored."""
        if not self.chunks:
            return
        if self._ahead and self._ahead.read.bytes > self.head_bytes:
            shipped = sum(len(chunk.frames) for chunk in self.chunks)
            self._rests_until = time.monotonic() + shipped / FLOOD_BYTES_PER_SECOND
        self.stored = self._ahead
        self.chunks = []

    def _cut(self, buffer: bytes, position: Position) -> Position:
        """Here frames become chunks of numbered lines: whole ones only. Returns the position behind them."""
        begin = end = lines = size = 0
        last = position.last_error_line
        try:
            for frame, end in decode(buffer):
                lines += 1
                size += len(frame.data) + (not frame.partial)
                if frame.stream == "stderr" and frame.data.strip():
                    last = _readable(frame.data)
                if end - begin >= CHUNK_BYTES:
                    position = self._chunk(buffer[begin:end], Count(lines, size), position, last)
                    begin, lines, size = end, 0, 0
        except BrokenFrame:
            self._break(position.offset + end - begin)
        if lines:
            position = self._chunk(buffer[begin:end], Count(lines, size), position, last)
        return position

    def _chunk(self, frames: bytes, held: Count, position: Position, last_error_line: str | None) -> Position:
        behind = Position(
            position.offset + len(frames),
            position.line + held.lines,
            position.byte + held.bytes,
            Count(position.read.lines + held.lines, position.read.bytes + held.bytes),
            last_error_line,
        )
        self.chunks.append(
            LogChunk(
                execution_id=self.ref.execution_id,
                attempt=self.ref.attempt,
                first_line=position.line,
                line_count=held.lines,
                first_byte=position.byte,
                byte_count=held.bytes,
                frames=frames,
                resume=behind.resume(),
            )
        )
        return behind


def _readable(data: bytes) -> str:
    """The line as a message may show it; PostgreSQL's JSON knows no NUL."""
    text = data.decode("utf-8", errors="replace").strip()[:LONGEST_LINE]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
