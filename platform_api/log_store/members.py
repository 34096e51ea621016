"""The archive's format: gzip members of raw frames, each found by the index and unpacked on its own."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from platform_api.log_store.archive import unreadable

#: A member is closed once it holds this many bytes of frames: small enough to unpack for one page.
MEMBER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the index."""

    offset: int
    length: int
    first_line: int
    line_count: int
    attempt: int

    def to_json(self) -> list[int]:
        """The entry as it is stored."""
        return [self.offset, self.length, self.first_line, self.line_count, self.attempt]


def pack(frames: bytes) -> bytes:
    """The same bytes for the same frames, whenever it is done."""
    return gzip.compress(frames, compresslevel=6, mtime=0)


def unpack(data: bytes) -> bytes:
    """The frames of one member."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(f"damaged member: {error}") from error


def wanted(members: list[list[int]], start: int, attempt: int | None) -> Iterator[Member]:
    """The members that hold line ``start`` or later ones, in order."""
    for entry in members:
        member = Member(*entry)
        if member.first_line + member.line_count > start and attempt in (None, member.attempt):
            yield member


def wanted_backwards(members: list[list[int]], end: int | None, attempt: int | None) -> Iterator[Member]:
    """The members that begin before line ``end``, the last one first."""
    for entry in reversed(members):
        member = Member(*entry)
        if (end is None or member.first_line < end) and attempt in (None, member.attempt):
            yield member
