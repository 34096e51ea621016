"""Masks secret values in a stream of bytes, wherever the stream is cut.

Rules: every occurrence of a pattern is masked, overlapping ones as one. What is shown is the mask of the longest
pattern where one covers all of it, else the bare mask. A byte is held back only while what follows could make it
part of a secret; no pattern holds a line feed, so a complete line is decided at once. What comes out depends on
the bytes alone, not on how they arrived.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from platform_api.domain.secret_values import MASK, SHORTEST
from work_pools.secret_forms import patterns

_BARE = MASK.encode()


class Cover(NamedTuple):
    """Bytes from ``start`` to ``end`` that are masked as one."""

    start: int
    end: int
    shown: bytes


@dataclass(frozen=True, slots=True)
class Carry:
    """What a stream has said without its being decided yet.

    ``open`` is a secret that may turn out to be longer; its places count from the first byte of ``pending``.
    Where it is ``torn``, what was said just before is lost: ``pending`` may be the rest of a secret, or its middle.
    """

    pending: bytes = b""
    open: Cover | None = None
    torn: bool = False

    def __bool__(self) -> bool:
        return bool(self.pending) or self.open is not None or self.torn


NOTHING = Carry()
#: In the middle of a line whose beginning is not known.
TORN = Carry(torn=True)


class Masker:
    """Knows some secret values. Without any it lets everything pass as it is."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        found = patterns(values)
        self._patterns = sorted(found)
        self._shown = [found[pattern] for pattern in self._patterns]
        self._heads = {pattern[:SHORTEST] for pattern in self._patterns}
        self._longest = max(map(len, self._patterns), default=0)
        # The contiguous form takes a tenth of a table's memory; hundreds of jobs have a masker each.
        self._automaton = (
            BytesAhoCorasick(self._patterns, matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA)
            if self._patterns
            else None
        )

    def __bool__(self) -> bool:
        return self._automaton is not None

    def __repr__(self) -> str:
        """Without the values."""
        return f"Masker({len(self._patterns)} patterns)"

    def mask(self, data: bytes) -> bytes:
        """All of it, when nothing follows."""
        return self.feed(NOTHING, data, final=True)[0]

    def mask_text(self, text: str) -> str:
        """``mask`` for text."""
        if not self:
            return text
        return self.mask(text.encode(errors="surrogatepass")).decode(errors="replace")

    def mask_json(self, value: Any) -> Any:
        """The document with every text in it masked, and every number that looks like a secret."""
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return {self.mask_text(key): self.mask_json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mask_json(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and self.covers(repr(value).encode()):
            return self.mask_text(repr(value))
        return value

    def feed(self, carry: Carry, data: bytes, *, final: bool = False) -> tuple[bytes, Carry]:
        """What can be shown now that ``data`` has followed, and what is held back; behind ``final`` bytes, nothing."""
        if self._automaton is None:
            return data, NOTHING
        data = carry.pending + data
        if carry.torn and not final and self._is_within(data):
            return b"", Carry(data, torn=True)
        begun = self._rest(data) if carry.torn else carry.open
        decided = len(data) if final else self._decided(data)
        out: list[bytes] = []
        position = 0
        for cover in self._covers(data, decided, begun):
            # An open one began in bytes that are gone.
            out.append(data[position : max(cover.start, 0)])
            if cover.end > decided:
                return b"".join(out), Carry(data[decided:], _moved(cover, -decided))
            out.append(cover.shown)
            position = cover.end
        out.append(data[position:decided])
        return b"".join(out), Carry(data[decided:])

    def cut(self, carry: Carry) -> bytes:
        """What can be shown of what is held back when what follows is lost: it may be the beginning of a secret."""
        return _BARE if carry.pending or carry.open else b""

    def holds(self, carry: Carry, data: bytes) -> bool:
        """Whether the end of ``data`` could become a secret."""
        if self._automaton is None:
            return False
        whole = carry.pending + data
        return self._decided(whole) < len(whole) or (carry.torn and self._is_within(whole))

    def covers(self, data: bytes) -> list[Cover]:
        """What would be masked if ``data`` were all."""
        return self._covers(data, len(data), None)

    def _covers(self, data: bytes, decided: int, open_: Cover | None) -> list[Cover]:
        """Merge the matches that begin in what is decided; where they begin together, the longest comes first."""
        covers = [open_] if open_ else []
        for start, end, number in self._matches(data):
            if start >= decided:
                break
            if not covers or start >= covers[-1].end:
                covers.append(Cover(start, end, self._shown[number]))
            elif end > covers[-1].end:
                covers[-1] = Cover(covers[-1].start, end, _BARE)
        return covers

    def _matches(self, data: bytes) -> list[tuple[int, int, int]]:
        if self._automaton is None:
            return []
        found = self._automaton.find_matches_as_indexes(data, overlapping=True)
        return sorted(((start, end, number) for number, start, end in found), key=_longest_first)

    def _decided(self, data: bytes) -> int:
        """Where the longest end of ``data`` begins that is the beginning of a pattern."""
        first = max(len(data) - self._longest + 1, data.rfind(b"\n") + 1, 0)
        for begin in range(first, len(data)):
            if self._is_beginning(data[begin:]):
                return begin
        return len(data)

    def _is_within(self, data: bytes) -> bool:
        """Whether it may be the middle of a secret, whose rest then follows."""
        return len(data) < self._longest and any(data in pattern for pattern in self._patterns)

    def _rest(self, data: bytes) -> Cover | None:
        """The longest beginning of ``data`` with which a secret ends. Needed at gaps only, so no table is kept."""
        backwards = sorted(pattern[::-1] for pattern in self._patterns)
        longest = min(self._longest, len(data))
        reverse = data[:longest][::-1]
        for size in range(longest, 0, -1):
            end = reverse[longest - size :]
            place = bisect_left(backwards, end)
            if place < len(backwards) and backwards[place].startswith(end):
                return Cover(0, size, _BARE)
        return None

    def _is_beginning(self, end: bytes) -> bool:
        if len(end) >= SHORTEST and end[:SHORTEST] not in self._heads:
            return False
        place = bisect_left(self._patterns, end)
        if place < len(self._patterns) and self._patterns[place] == end:
            place += 1
        return place < len(self._patterns) and self._patterns[place].startswith(end)


def _longest_first(match: tuple[int, int, int]) -> tuple[int, int]:
    return match[0], -match[1]


def _moved(cover: Cover, by: int) -> Cover:
    return Cover(cover.start + by, cover.end + by, cover.shown)


#: For runs without secrets.
TRANSPARENT = Masker()
