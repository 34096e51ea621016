"""What changed between two versions of a job: field by field, and the script line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Comparing takes the product of both lengths; beyond this the middle counts as rewritten.
MOST_LINES = 3000


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; a dotted path inside an object."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line that stayed (`` ``), went (``-``) or came (``+``), with its number in each version that has it."""

    op: str
    old_line: int | None
    new_line: int | None
    text: str


def field_changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[FieldChange]:
    """The fields that differ, in the order of ``old``; objects are gone into, lists are compared whole."""
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if before == after and (name in old) == (name in new):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from field_changes(before, after, f"{path}{name}.")
        else:
            yield FieldChange(f"{path}{name}", before, after)


def line_changes(old: str, new: str) -> list[DiffLine]:
    """Every line of both texts, told apart."""
    before, after = old.splitlines(), new.splitlines()
    head = _shared(before, after)
    tail = _shared(before[head:][::-1], after[head:][::-1])
    middle = _opcodes(before[head : len(before) - tail], after[head : len(after) - tail])
    blocks = [("equal", 0, head, 0, head)]
    blocks += [(op, a + head, b + head, c + head, d + head) for op, a, b, c, d in middle]
    blocks += [("equal", len(before) - tail, len(before), len(after) - tail, len(after))]
    return [line for block in blocks for line in _lines(block, before, after)]


def _shared(before: list[str], after: list[str]) -> int:
    """How many lines both begin with."""
    shared = 0
    for ours, theirs in zip(before, after, strict=False):
        if ours != theirs:
            break
        shared += 1
    return shared


def _opcodes(before: list[str], after: list[str]) -> list[tuple[str, int, int, int, int]]:
    if len(before) > MOST_LINES or len(after) > MOST_LINES:
        return [("replace", 0, len(before), 0, len(after))]
    return list(difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes())


def _lines(block: tuple[str, int, int, int, int], before: list[str], after: list[str]) -> Iterator[DiffLine]:
    op, old_start, old_end, new_start, new_end = block
    if op == "equal":
        for offset in range(old_end - old_start):
            number = old_start + offset
            yield DiffLine(" ", number + 1, new_start + offset + 1, before[number])
        return
    for number in range(old_start, old_end):
        yield DiffLine("-", number + 1, None, before[number])
    for number in range(new_start, new_end):
        yield DiffLine("+", None, number + 1, after[number])
