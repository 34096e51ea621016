"""CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

#: A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_line(cells: Iterable[Any]) -> str:
    """One line; formulas are disarmed with an apostrophe, as OWASP recommends."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_safe(cell) for cell in cells])
    return buffer.getvalue()


def _safe(cell: Any) -> str:
    if cell is None:
        return ""
    text = str(cell)
    is_formula = isinstance(cell, str) and text.lstrip(" ").startswith(_FORMULA_STARTS)
    return f"'{text}" if is_formula else text


async def csv_lines(header: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> AsyncIterator[str]:
    """The header, and a line per row as it comes."""
    yield csv_line(header)
    async for row in rows:
        yield csv_line(row)
