"""The archive's format: gzip members of raw frames, each found by the index and unpacked on its own."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import NamedTuple

from platform_api.log_store.archive import unreadable
from platform_api.log_store.segments import BEGINNING, End

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
    first_byte: int
    byte_count: int

    @property
    def end(self) -> End:
        """Where it ends."""
        return End(self.first_line + self.line_count, self.first_byte + self.byte_count, self.attempt)

    def to_json(self) -> list[int]:
        """The entry as it is stored."""
        return list(astuple(self))


class Wanted(NamedTuple):
    """A member and where the one before it ends."""

    member: Member
    before: End


def pack(frames: bytes) -> bytes:
    """The same bytes for the same frames, whenever it is done."""
    return gzip.compress(frames, compresslevel=6, mtime=0)


def unpack(data: bytes) -> bytes:
    """The frames of one member."""
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(f"damaged member: {error}") from error


def wanted(members: list[list[int]], start: int, attempt: int | None) -> Iterator[Wanted]:
    """The members that hold line ``start`` or later ones, in order; of one attempt, and the first one behind it."""
    for entry in _of_attempt(members, attempt):
        if entry.member.end.line > start:
            yield entry


def wanted_backwards(members: list[list[int]], end: int | None, attempt: int | None) -> Iterator[Wanted]:
    """The members that begin before line ``end``, the last one first."""
    for entry in reversed(list(_of_attempt(members, attempt))):
        if end is None or entry.member.first_line < end:
            yield entry


def _of_attempt(members: list[list[int]], attempt: int | None) -> Iterator[Wanted]:
    before = BEGINNING
    for entry in members:
        member = Member(*entry)
        if attempt in (None, member.attempt):
            yield Wanted(member, before)
        elif attempt is not None and member.attempt > attempt:
            yield Wanted(member, before)
            return
        before = member.end
