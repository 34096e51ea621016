"""The files of one attempt's log, so that a script which prints for ever fills no disk. Standard library only.

    log-0                           frames from the beginning, up to the head's limit
    log-ring/<offset>-<lines>-<bytes>-<unfinished>
                                    frames from byte <offset> of the whole log on; <lines> and <bytes> of what the
                                    script wrote lie before them, dropped ones included; the streams in <unfinished>
                                    (1 stdout, 2 stderr, 3 both) are in the middle of a line there

Of the ring the last few files are kept. Each name says all there is to say about what was dropped before it, so that
nothing has to be kept in step with the files, whenever a shim or a reader dies.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from platform_api.domain.log_limits import Count


class Segment(NamedTuple):
    """One file, and what lies before it."""

    offset: int
    before: Count
    path: str
    unfinished: int = 0


class Found(NamedTuple):
    """What was read: where it begins, and how much lies before it if it begins behind the place that was asked for."""

    offset: int
    frames: bytes
    before: Count | None = None
    #: The streams whose lines go on there, if it begins behind that place.
    unfinished: tuple[str, ...] = ()


#: Bits of the number in a name.
UNFINISHED = {"stdout": 1, "stderr": 2}


def segment_path(ring: str, offset: int, before: Count, unfinished: int = 0) -> str:
    """The name that says it all."""
    return f"{ring}/{offset}-{before.lines}-{before.bytes}-{unfinished}"


def read(log: str, ring: str, offset: int, size: int) -> Found:
    """What is there at ``offset``, or, if that was dropped, at the first place behind it that is still there."""
    frames = _read_at(log, offset, size) or b""
    if frames or not (segments := _ring(ring)):
        return Found(offset, frames)
    while (found := _read_segments([Segment(0, Count(), log), *segments], offset, size)) is None:
        segments = _ring(ring)
    return found


def _read_segments(segments: list[Segment], offset: int, size: int) -> Found | None:
    """None when a file was dropped after it was listed.

    A file that was listed with a successor is complete: where it has nothing at ``offset``, that place was dropped.
    """
    here = max(number for number, segment in enumerate(segments) if segment.offset <= offset)
    frames = _read_at(segments[here].path, offset - segments[here].offset, size)
    if frames is None or frames or here + 1 == len(segments):
        return None if frames is None else Found(offset, frames)
    following = segments[here + 1]
    frames = _read_at(following.path, 0, size)
    if frames is None:
        return None
    unfinished = tuple(stream for stream, bit in UNFINISHED.items() if following.unfinished & bit)
    return Found(following.offset, frames, following.before, unfinished)


def _ring(ring: str) -> list[Segment]:
    try:
        names = os.listdir(ring)
    except FileNotFoundError:
        return []
    return sorted(_segment(ring, name) for name in names)


def _segment(ring: str, name: str) -> Segment:
    offset, lines, size, unfinished = map(int, name.split("-"))
    return Segment(offset, Count(lines, size), f"{ring}/{name}", unfinished)


def _read_at(path: str, offset: int, size: int) -> bytes | None:
    """None when the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)
