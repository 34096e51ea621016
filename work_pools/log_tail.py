"""One attempt's output on its way into the log store."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, BrokenFrame, places
from platform_api.ports.logs import LogChunk
from work_pools.executors.protocol import AttemptRef, Executor
from work_pools.frame_masking import NOTHING_HELD, Held, Place, Portion, last_portion, portion, replayed
from work_pools.masking import TRANSPARENT, Masker
from work_pools.messages import LONGEST_LINE

logger = logging.getLogger(__name__)

#: No frame is begun in a chunk beyond this.
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
        if position.replay_from is None:
            return position
        at, held = position.replay_from, NOTHING_HELD
        while at < position.offset:
            buffer = (await self._buffer(executor, at))[: position.offset - at]
            places = self._places(buffer, at)
            if not places:
                break
            held = replayed(self.masker, buffer, places, held, at)
            at += places[-1][3]
        return replace(position, held=held, replay_from=None)

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
        """Make a chunk of whole frames and return the position behind them."""
        places = self._places(buffer, position.offset)
        more = bool(places) and places[-1][2] - HEADER.size >= CHUNK_BYTES
        begun = places[:-1] if more else places
        return self._chunk(portion(self.masker, buffer, begun, position.held, position.offset, more), position)

    def _finish(self, buffer: bytes, position: Position) -> Position:
        """Nothing follows any more."""
        places = self._places(buffer, position.offset)
        return self._chunk(last_portion(self.masker, buffer, places, position.held, position.offset), position)

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
        last = _readable(portion.error) if portion.error else position.last_error_line
        behind = Position(portion.behind, position.line + portion.lines, last, portion.held)
        if portion.lines:
            self.chunks.append(
                LogChunk(
                    self.ref.execution_id,
                    self.ref.attempt,
                    position.line,
                    portion.lines,
                    portion.frames,
                    behind.resume(),
                )
            )
        return behind


def _readable(data: bytes) -> str:
    """The line as a message may show it; PostgreSQL's JSON knows no NUL."""
    text = data.decode("utf-8", errors="replace").strip()[:LONGEST_LINE]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
