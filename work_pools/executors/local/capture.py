"""Turns what arrives on a script's stdout and stderr into frames in its log file. Standard library only."""

from __future__ import annotations

import os
import time

from platform_api.domain.log_frames import HEADER, LONGEST_PIECE, PARTIAL, STDERR

#: Most that is read at once from one stream: with one unfinished line, what a stream can take of memory.
READ_SIZE = 64 * 1024

# Frames are packed in place and not through LogFrame: a script may print a million lines while this has one core.
_pack = HEADER.pack


class LogFile:
    """Appends whole frames. A full disk costs the log its rest, never the script its run."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        #: Why the log stops early, if it does.
        self.error: str | None = None

    def append(self, frames: bytes) -> None:
        """Write frames, or say in ``error`` why not."""
        if self.error or not frames:
            return
        try:
            self._write(frames)
        except OSError as error:
            self.error = f"The log could not be written beyond {self._size} bytes: {error.strerror}"
            os.ftruncate(self._descriptor, self._size)

    def _write(self, frames: bytes) -> None:
        view = memoryview(frames)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._size += len(frames)


class Stream:
    """The reading end of one of the script's pipes."""

    def __init__(self, name: str, descriptor: int, log: LogFile) -> None:
        self.descriptor = descriptor
        #: Whether all writers are gone.
        self.closed = False
        self._flag = STDERR if name == "stderr" else 0
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
            self._log.append(self._frames(data))
        self.closed = not data
        return bool(data)

    def finish(self) -> None:
        """Log the last line when nothing ended it, as PARTIAL: that is how a reader knows there was no line feed."""
        if self._unfinished:
            self._log.append(_pack(_now(), self._flag | PARTIAL, len(self._unfinished)) + self._unfinished)
            self._unfinished = b""

    def _frames(self, data: bytes) -> bytes:
        now, flag, frames = _now(), self._flag, bytearray()
        *lines, unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            if len(line) > LONGEST_PIECE:
                line = self._cut(now, line, frames)
            frames += _pack(now, flag, len(line))
            frames += line
        self._unfinished = self._cut(now, unfinished, frames)
        return bytes(frames)

    def _cut(self, now: int, line: bytes, frames: bytearray) -> bytes:
        """Move all but the last piece of a long line to ``frames``; return that last piece."""
        while len(line) > LONGEST_PIECE:
            frames += _pack(now, self._flag | PARTIAL, LONGEST_PIECE)
            frames += line[:LONGEST_PIECE]
            line = line[LONGEST_PIECE:]
        return line


def _now() -> int:
    return time.time_ns() // 1000
