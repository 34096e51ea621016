"""One attempt's output on its way into the log store."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, BrokenFrame, LogFrame, decode
from platform_api.ports.logs import LogChunk
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.frame_masking import NOTHING_HELD, Held, Portion, last_portion, portion, replayed
from work_pools.masking import TRANSPARENT, Masker
from work_pools.messages import LONGEST_LINE

logger = logging.getLogger(__name__)

#: One chunk holds about this much, and always at least one frame.
CHUNK_BYTES = 64 * 1024
#: Two of the longest frames: what an unfinished line waits for is in one reading with it.
READ_BYTES = 2 * (LONGEST_PIECE + HEADER.size)
#: A flood is shipped in turns, so that it does not hold up the lines of others.
TURN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next chunk begins: in the executor's output and in the execution's log."""

    offset: int
    line: int
    last_error_line: str | None = None
    #: Read before ``offset``, but not in a chunk yet. It is never stored; ``replay_from`` is, to read it again.
    held: Held = NOTHING_HELD
    replay_from: int | None = None

    def resume(self) -> dict[str, object]:
        """What is stored with a chunk, so that nothing is lost or repeated after a crash."""
        resume: dict[str, object] = {"offset": self.offset, "last_error_line": self.last_error_line}
        return resume if self.held.since is None else resume | {"replay_from": self.held.since}

    @classmethod
    def resumed(cls, line: int, resume: dict[str, object] | None) -> Position:
        """The position behind the last chunk that was stored."""
        known = resume or {}
        offset, last, replay = known.get("offset", 0), known.get("last_error_line"), known.get("replay_from")
        return cls(
            offset if isinstance(offset, int) else 0,
            line,
            last if isinstance(last, str) else None,
            replay_from=replay if isinstance(replay, int) else None,
        )


@dataclass(slots=True)
class LogTail:
    """Reads ahead of what is stored; ``commit`` moves the stored position up to it."""

    ref: AttemptRef
    stored: Position | None = None
    #: Everything passes through it before it is stored.
    masker: Masker = TRANSPARENT
    chunks: list[LogChunk] = field(default_factory=list)
    #: There was nothing more to read after ``chunks``.
    exhausted: bool = False
    #: What follows cannot be read; said once.
    broken: bool = False
    _ahead: Position | None = None

    async def read(self, executor: Executor, *, last: bool = False) -> list[LogChunk]:
        """The next chunks. Until they are committed, the next call reads the same place again.

        ``last`` says that the attempt is over: what waited for more of its line is let out at the end.
        """
        assert self.stored is not None  # noqa: S101 - the shipper opens a tail before it reads
        position, self.chunks, size = await self._replay(executor, self.stored), [], 0
        self.exhausted = False
        while size < TURN_BYTES:
            buffer = await self._buffer(executor, position.offset)
            following = self._cut(buffer, position)
            if following.offset == position.offset:
                self.exhausted = True
                position = self._finish(buffer, position) if last else following
                break
            size += following.offset - position.offset
            position = following
        self._ahead = position
        return self.chunks

    async def _replay(self, executor: Executor, position: Position) -> Position:
        """Know again what was held when the last chunk was stored."""
        at, held = position.replay_from, NOTHING_HELD
        while at is not None and at < position.offset:
            begin = 0
            for frame, end in self._frames(await self._buffer(executor, at), at):
                if at + end <= position.offset:
                    held = replayed(self.masker, frame, held, at + begin)
                    begin = end
            if begin == 0:
                break
            at += begin
        return replace(position, held=held, replay_from=None) if position.replay_from is not None else position

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
        read = self._frames(buffer, position.offset)
        return self._store(portion(self.masker, buffer, read, position.held, position.offset), position)

    def _finish(self, buffer: bytes, position: Position) -> Position:
        """Nothing follows any more."""
        read = self._frames(buffer, position.offset)
        return self._store(last_portion(self.masker, read, position.held, position.offset), position)

    def _frames(self, buffer: bytes, offset: int) -> list[tuple[LogFrame, int]]:
        read: list[tuple[LogFrame, int]] = []
        try:
            for frame in decode(buffer):
                read.append(frame)
        except BrokenFrame:
            self._break(offset + (read[-1][1] if read else 0))
        return read

    def _store(self, portion: Portion, position: Position) -> Position:
        """Cut what may be stored into chunks."""
        begin = end = lines = 0
        last, behind, held = position.last_error_line, position.offset, position.held
        for frame, following, behind_frame, held_behind in portion.marks:
            if end - begin >= CHUNK_BYTES:
                position = self._chunk(portion.data[begin:end], lines, _moved(position, behind, held, last))
                begin, lines = end, 0
            end, behind, held = following, behind_frame, held_behind
            lines += 1
            if frame.stream == "stderr" and frame.data.strip():
                last = _readable(frame.data)
        position = _moved(position, portion.behind, portion.held, last)
        return self._chunk(portion.data[begin:end], lines, position) if lines else position

    def _chunk(self, frames: bytes, lines: int, position: Position) -> Position:
        behind = replace(position, line=position.line + lines)
        self.chunks.append(
            LogChunk(self.ref.execution_id, self.ref.attempt, position.line, lines, frames, behind.resume())
        )
        return behind


def _moved(position: Position, offset: int, held: Held, last_error_line: str | None) -> Position:
    return replace(position, offset=offset, held=held, last_error_line=last_error_line)


def _readable(data: bytes) -> str:
    """The line as a message may show it; PostgreSQL's JSON knows no NUL."""
    text = data.decode("utf-8", errors="replace").strip()[:LONGEST_LINE]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
