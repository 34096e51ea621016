"""One attempt's output on its way into the log store."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, BrokenFrame, places
from platform_api.domain.log_limits import Count, LogLimits
from platform_api.ports.logs import LogChunk, ResumePoint
from work_pools.executors.protocol import AttemptRef, Executor, Output
from work_pools.frame_masking import (
    NOTHING_HELD,
    Held,
    Place,
    Portion,
    cut_portion,
    last_portion,
    portion,
    replayed,
)
from work_pools.masking import TRANSPARENT, Masker
from work_pools.messages import LONGEST_LINE

logger = logging.getLogger(__name__)

#: No frame is begun in a chunk beyond this.
CHUNK_BYTES = 64 * 1024
#: Two of the longest frames: what an unfinished line waits for is in one reading with it.
READ_BYTES = 2 * (LONGEST_PIECE + HEADER.size)
#: Past its head, a log that is still being written is shipped no faster than this: what will be dropped again is not
#: worth the database's time. What the executor drops meanwhile is counted and skipped.
FLOOD_BYTES_PER_SECOND = 4 * 1024 * 1024

NOTHING = Count()


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next chunk begins: in the executor's output and in the execution's log."""

    offset: int = 0
    #: In the log as it is stored, masked; over what was skipped they go on by what the script wrote.
    line: int = 0
    byte: int = 0
    #: How much of what the script wrote in this attempt lies before, skipped or not, as it wrote it.
    read: Count = NOTHING
    last_error_line: str | None = None
    #: Read before ``offset``, but not in a chunk yet. It is never stored; ``replay_from`` is, to read it again.
    held: Held = NOTHING_HELD
    replay_from: int | None = None
    #: The streams that were in the middle of a line at ``replay_from``, of which the beginning is lost.
    torn: tuple[str, ...] = ()

    def resume(self) -> dict[str, object]:
        """What is stored with a chunk, so that nothing is lost or repeated after a crash."""
        resume = {"offset": self.offset, "read": list(self.read), "last_error_line": self.last_error_line}
        if self.held.since is None:
            return resume
        torn = {"torn": list(self.held.torn)} if self.held.torn else {}
        return resume | {"replay_from": self.held.since} | torn

    @classmethod
    def resumed(cls, point: ResumePoint) -> Position:
        """The position behind the last chunk that was stored."""
        resume: dict[str, Any] = point.resume or {}
        read, last = Count(*resume.get("read", ())), resume.get("last_error_line")
        replay_from, torn = resume.get("replay_from"), tuple(resume.get("torn", ()))
        return cls(resume.get("offset", 0), point.line, point.byte, read, last, replay_from=replay_from, torn=torn)

    def behind_gap(self, offset: int, before: Count) -> Position:
        """The position at ``offset``, where ``before`` is what the script had written until then."""
        lines, size = before.lines - self.read.lines, before.bytes - self.read.bytes
        return replace(self, offset=offset, line=self.line + lines, byte=self.byte + size, read=before)

    def behind(self, portion: Portion) -> Position:
        """The position once ``portion`` is stored."""
        stored, read = portion.stored, portion.read
        return Position(
            portion.behind,
            self.line + stored.lines,
            self.byte + stored.bytes,
            Count(self.read.lines + read.lines, self.read.bytes + read.bytes),
            _readable(portion.error) if portion.error else self.last_error_line,
            portion.held,
        )


@dataclass(slots=True)
class LogTail:
    """Reads ahead of what is stored; ``commit`` moves the stored position up to it."""

    ref: AttemptRef
    stored: Position | None = None
    #: Everything passes through it before it is stored.
    masker: Masker = TRANSPARENT
    head_bytes: int = LogLimits().head_bytes
    chunks: list[LogChunk] = field(default_factory=list)
    #: When it had its last turn, as the shipper counts them.
    looked_at: int = -1
    #: There was nothing more to read after ``chunks``.
    exhausted: bool = True
    #: The shipper's: it has more to say than can be shipped in passing.
    behind: bool = False
    #: What follows cannot be read; said once.
    broken: bool = False
    #: Its script was ended by force, or not all that it said was kept: the last line may have been meant longer.
    torn: bool = False
    _ahead: Position | None = None
    #: It has shipped as much of a flood as it may until then.
    rests_until: float = 0.0

    @property
    def rests(self) -> bool:
        """Whether it has to wait."""
        return time.monotonic() < self.rests_until

    async def read(self, executor: Executor, turn: int, *, last: bool = False) -> list[LogChunk]:
        """The next chunks, about ``turn`` bytes. Until they are committed, the next call reads the same place again.

        ``last`` says that the attempt is over: what waited for more of its line is let out at the end.
        """
        assert self.stored is not None  # noqa: S101 - the shipper opens a tail before it reads
        position, self.chunks, size = await self._replay(executor, self.stored), [], 0
        self.exhausted = False
        while size < turn:
            output = await self._output(executor, position.offset)
            begin = self._skip(output, position)
            position = self._cut(output.frames, begin)
            if position.offset == begin.offset and await self._goes_on(executor, output):
                position = self._cut(output.frames, begin, more=True)
            if position.offset == begin.offset:
                self.exhausted = True
                torn = self.torn or self.broken
                position = self._finish(output.frames, begin, torn=torn) if last else begin
                break
            size += position.offset - begin.offset
        self._ahead = position
        return self.chunks

    async def look(self, executor: Executor, *, last: bool = False) -> list[LogChunk]:
        """``read`` if there is little; a lot is left for a turn, so that this is quick for hundreds of tails."""
        assert self.stored is not None  # noqa: S101 - as above
        self.chunks, self._ahead = [], self.stored
        output = await self._output(executor, self.stored.offset)
        if len(output.frames) < CHUNK_BYTES:
            return await self.read(executor, CHUNK_BYTES, last=last) if output.frames or last else []
        self.exhausted = False
        return []

    async def _replay(self, executor: Executor, position: Position) -> Position:
        """Know again what was held when the last chunk was stored. Of what has been dropped since, the rest is torn."""
        if position.replay_from is None:
            return position
        at, held = position.replay_from, Held.behind_gap(position.torn, position.replay_from)
        while at < position.offset:
            output = await self._output(executor, at)
            if output.offset > at:
                at, held = output.offset, self._torn(output)
            buffer = output.frames[: max(0, position.offset - at)]
            places = self._places(buffer, at)
            if not places:
                break
            held = replayed(self.masker, buffer, places, held, at)
            at += places[-1][3]
        return replace(position, held=held, replay_from=None, torn=())

    async def _output(self, executor: Executor, offset: int) -> Output:
        try:
            return await executor.read_output(self.ref, offset, READ_BYTES)
        except OSError:
            self._break(offset)
            return Output(offset, b"")

    async def _goes_on(self, executor: Executor, output: Output) -> bool:
        """Whether anything is behind a last frame that waits for it; a file of the output may end in between."""
        places = self._places(output.frames, output.offset)
        return bool(places) and bool((await self._output(executor, output.offset + places[-1][3])).frames)

    def _break(self, offset: int) -> None:
        """One unreadable log must not hold up the others."""
        if not self.broken:
            logger.exception("The output of %s cannot be read at byte %d", self.ref, offset)
        self.broken = True

    def commit(self) -> None:
        """The chunks are stored."""
        if self.chunks and self._ahead and self._ahead.read.bytes > self.head_bytes:
            shipped = sum(len(chunk.frames) for chunk in self.chunks)
            self.rests_until = time.monotonic() + shipped / FLOOD_BYTES_PER_SECOND
        self.stored = self._ahead
        self.chunks = []

    def _skip(self, output: Output, position: Position) -> Position:
        """Over what was dropped, if anything. It may have held a part of a secret whose other parts are around it."""
        if output.before is None:
            return position
        position = self._finish(b"", position, torn=True)
        return replace(position.behind_gap(output.offset, output.before), held=self._torn(output))

    def _torn(self, output: Output) -> Held:
        return Held.behind_gap(output.unfinished, output.offset) if self.masker else NOTHING_HELD

    def _cut(self, buffer: bytes, position: Position, *, more: bool = False) -> Position:
        """Make a chunk of whole frames and return the position behind them; ``more`` is known to follow."""
        begun = self._places(buffer, position.offset)
        if begun and begun[-1][2] - HEADER.size >= CHUNK_BYTES:
            more = True
            begun.pop()
        return self._chunk(portion(self.masker, buffer, begun, position.held, position.offset, more), position)

    def _finish(self, buffer: bytes, position: Position, *, torn: bool) -> Position:
        """Nothing follows any more; ``torn`` says that something did which is lost."""
        places = self._places(buffer, position.offset)
        rest = cut_portion if torn else last_portion
        return self._chunk(rest(self.masker, buffer, places, position.held, position.offset), position)

    def _places(self, buffer: bytes, offset: int) -> list[Place]:
        """The frames of a chunk, and the one behind it."""
        found: list[Place] = []
        try:
            for place in places(buffer):
                found.append(place)
                if place[2] - HEADER.size >= CHUNK_BYTES:
                    break
        except BrokenFrame:
            self._break(offset + (found[-1][3] if found else 0))
        return found

    def _chunk(self, portion: Portion, position: Position) -> Position:
        behind = position.behind(portion)
        if portion.stored.lines:
            self.chunks.append(
                LogChunk(
                    execution_id=self.ref.execution_id,
                    attempt=self.ref.attempt,
                    first_line=position.line,
                    line_count=portion.stored.lines,
                    first_byte=position.byte,
                    byte_count=portion.stored.bytes,
                    frames=portion.frames,
                    resume=behind.resume(),
                )
            )
        return behind


def _readable(data: bytes) -> str:
    """The line as a message may show it; PostgreSQL's JSON knows no NUL."""
    text = data.decode("utf-8", errors="replace").strip()[:LONGEST_LINE]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
