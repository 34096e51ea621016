"""Turns what arrives on a script's stdout and stderr into frames in its log files. Standard library only."""

from __future__ import annotations

import os
import time

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, PARTIAL, STDERR
from platform_api.domain.log_limits import Count, LogLimits
from work_pools.executors.local.log_segments import UNFINISHED, segment_path

#: Most that is read at once from one stream: with one unfinished line, what a stream can take of memory.
READ_SIZE = 64 * 1024

# Frames are packed in place and not through LogFrame: a script may print a million lines while this has one core.
_pack = HEADER.pack


class LogFile:
    """Appends whole frames: first to the head, then to a ring of segments. A full disk costs the log its rest, never
    the script its run.
    """

    def __init__(self, path: str, ring: str, limits: LogLimits = LogLimits()) -> None:
        self._ring, self._limits = ring, limits
        self._file = _open(path)
        self._room = limits.head_bytes
        #: Where the present file begins in the whole log, how much of it is written, and what that holds.
        self._begin = self._size = self._lines = self._bytes = 0
        self._kept: list[tuple[int, str]] = []
        #: The streams whose last frame left its line unfinished, as a segment's name has them.
        self.unfinished = 0
        #: Why the log stops early, if it does.
        self.error: str | None = None

    def append(self, frames: bytes, lines: int, size: int) -> None:
        """Write the frames of so many lines and bytes of the script's, or say in ``error`` why not."""
        if self.error or not frames:
            return
        try:
            if self._room <= 0:
                self._turn_over()
            self._write(frames)
        except OSError as error:
            self.error = f"The log could not be written beyond {self._begin + self._size} bytes: {error.strerror}"
            os.ftruncate(self._file, self._size)
            return
        self._lines, self._bytes, self._room = self._lines + lines, self._bytes + size, self._room - size

    def _write(self, frames: bytes) -> None:
        view = memoryview(frames)
        while view:
            view = view[os.write(self._file, view) :]
        self._size += len(frames)

    def _turn_over(self) -> None:
        """Go on in a new segment; drop the oldest that are not needed for the end any more."""
        if not self._kept:
            os.mkdir(self._ring, 0o700)
        path = segment_path(self._ring, self._begin + self._size, Count(self._lines, self._bytes), self.unfinished)
        file = _open(path)
        os.close(self._file)
        self._file, self._begin, self._size = file, self._begin + self._size, 0
        self._room = self._limits.segment_bytes
        self._kept.append((self._bytes, path))
        while len(self._kept) > 1 and self._bytes - self._kept[1][0] >= self._limits.tail_bytes:
            os.unlink(self._kept.pop(0)[1])


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


class Stream:
    """The reading end of one of the script's pipes."""

    def __init__(self, name: str, descriptor: int, log: LogFile) -> None:
        self.descriptor = descriptor
        #: Whether all writers are gone.
        self.closed = False
        self._flag = STDERR if name == "stderr" else 0
        self._bit = UNFINISHED[name]
        self._log = log
        self._unfinished = b""
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Log what arrived; False when nothing did."""
        try:
            data = os.read(self.descriptor, READ_SIZE)
        except BlockingIOError:
            return False
        if data:
            frames, lines, size, is_unfinished = self._frames(data)
            self._log.append(frames, lines, size)
            if frames:
                self._log.unfinished = self._log.unfinished & ~self._bit | (self._bit if is_unfinished else 0)
        self.closed = not data
        return bool(data)

    def finish(self) -> None:
        """Log the last line when nothing ended it, as PARTIAL: that is how a reader knows there was no line feed."""
        if self._unfinished:
            size = len(self._unfinished)
            self._log.append(_pack(_now(), self._flag | PARTIAL, size) + self._unfinished, 1, size)
            self._unfinished = b""

    def _frames(self, data: bytes) -> tuple[bytes, int, int, bool]:
        """Here bytes become lines: their frames, how many these are, how many of the bytes they hold, and whether the
        last one is only a piece.
        """
        before = len(self._unfinished)
        now, flag, frames = _now(), self._flag, bytearray()
        *lines, unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            if len(line) > LONGEST_PIECE:
                line = self._cut(now, line, frames)
            frames += _pack(now, flag, len(line))
            frames += line
        self._unfinished = self._cut(now, unfinished, frames)
        is_unfinished = len(self._unfinished) < len(unfinished)
        size = before + len(data) - len(self._unfinished)
        # All that is neither header nor line feed was written by the script.
        return bytes(frames), (len(frames) - size + len(lines)) // HEADER.size, size, is_unfinished

    def _cut(self, now: int, line: bytes, frames: bytearray) -> bytes:
        """Move all but the last piece of a long line to ``frames``; return that last piece."""
        while len(line) > LONGEST_PIECE:
            frames += _pack(now, self._flag | PARTIAL, LONGEST_PIECE)
            frames += line[:LONGEST_PIECE]
            line = line[LONGEST_PIECE:]
        return line


def _now() -> int:
    return time.time_ns() // 1000
