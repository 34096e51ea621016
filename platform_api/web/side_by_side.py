"""Two texts beside each other: what was replaced stands in one row, and what changed inside a line is marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from platform_api.domain.diff import DiffLine

#: Lines that stayed the same and are shown around each change.
CONTEXT = 3
#: Rows of one page; a reader of more than this reads the scripts themselves.
MOST_ROWS = 400
#: Characters of one line: minified code must not fill the page.
LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class Side:
    """One line of one text: what it shares with its neighbour before and behind the part that differs."""

    number: int
    before: str
    changed: str
    behind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line on either side; ``kind`` is ``same``, ``changed``, or ``gap`` for ``skipped`` lines that stayed."""

    kind: str
    old: Side | None = None
    new: Side | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is shown, and how many rows are not."""

    rows: list[Row]
    left_out: int


def compare(lines: Sequence[DiffLine]) -> Comparison:
    """The rows of a diff, with what stayed the same far from any change folded away."""
    rows = list(_folded(list(_paired(lines))))
    return Comparison(rows[:MOST_ROWS], max(len(rows) - MOST_ROWS, 0))


def _paired(lines: Iterable[DiffLine]) -> Iterator[Row]:
    gone: list[DiffLine] = []
    come: list[DiffLine] = []
    for line in lines:
        if line.op == "-" and not come:
            gone.append(line)
        elif line.op == "+":
            come.append(line)
        else:
            yield from _changed(gone, come)
            gone, come = ([line], []) if line.op == "-" else ([], [])
            if line.op == " ":
                yield Row("same", _side(line.old_line, line.text), _side(line.new_line, line.text))
    yield from _changed(gone, come)


def _changed(gone: list[DiffLine], come: list[DiffLine]) -> Iterator[Row]:
    for place in range(max(len(gone), len(come))):
        old = gone[place] if place < len(gone) else None
        new = come[place] if place < len(come) else None
        if old and new:
            yield _marked(old, new)
        else:
            sides = (_whole(old.old_line, old.text) if old else None, _whole(new.new_line, new.text) if new else None)
            yield Row("changed", *sides)


def _marked(old: DiffLine, new: DiffLine) -> Row:
    """Two lines of which the one became the other."""
    ours, theirs = old.text[:LONGEST_LINE], new.text[:LONGEST_LINE]
    head = _shared(ours, theirs)
    tail = _shared(ours[head:][::-1], theirs[head:][::-1])
    return Row("changed", _cut(old.old_line, ours, head, tail), _cut(new.new_line, theirs, head, tail))


def _cut(number: int | None, text: str, head: int, tail: int) -> Side:
    end = len(text) - tail
    return Side(number or 0, text[:head], text[head:end], text[end:])


def _shared(ours: str, theirs: str) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )


def _side(number: int | None, text: str) -> Side:
    return Side(number or 0, text[:LONGEST_LINE], "")


def _whole(number: int | None, text: str) -> Side:
    return Side(number or 0, "", text[:LONGEST_LINE])


def _folded(rows: list[Row]) -> Iterator[Row]:
    """Only what is near a change, and a gap for what lies between."""
    near: set[int] = set()
    for place, row in enumerate(rows):
        if row.kind == "changed":
            near.update(range(place - CONTEXT, place + CONTEXT + 1))
    skipped = 0
    for place, row in enumerate(rows):
        if place not in near:
            skipped += 1
            continue
        if skipped:
            yield Row("gap", skipped=skipped)
            skipped = 0
        yield row
    if skipped:
        yield Row("gap", skipped=skipped)
