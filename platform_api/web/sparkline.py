"""Small pictures of recent runs, drawn on the server: no script, no request, readable by a screen reader."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from markupsafe import Markup, escape

_WIDTH, _GAP, _HEIGHT = 5, 2, 22
_LOWEST = 0.28


def sparkline(runs: Sequence[tuple[str, float | None]], slots: int = 16) -> Markup:
    """One bar per run, oldest first: its height is the duration, its colour and pattern the status.

    ``runs`` holds status and seconds; a run without a duration is as low as the lowest bar.
    """
    shown = list(runs)[-slots:]
    longest = max((seconds or 0 for _, seconds in shown), default=0) or 1
    offset = slots - len(shown)
    strokes: defaultdict[str, list[str]] = defaultdict(list)
    for place, (status, seconds) in enumerate(shown, start=offset):
        strokes[status].append(_stroke(place, (seconds or 0) / longest))
    # One path for each status: a list of fifty pictures stays small.
    bars = Markup("").join(
        Markup('<path class="stroke-{}" d="{}"/>').format(escape(status), "".join(drawn))
        for status, drawn in strokes.items()
    )
    width = slots * (_WIDTH + _GAP) - _GAP
    return Markup(
        '<svg class="sparkline" role="img" aria-label="{label}" viewBox="0 0 {width} {height}">'
        '<path class="base" d="M0 {base}H{width}"/>{bars}</svg>'
    ).format(label=_in_words(shown), width=width, height=_HEIGHT, base=_HEIGHT - 0.5, bars=bars)


def share_bar(status: str, share: float) -> Markup:
    """A part of a whole as a bar; the figure stands beside it."""
    return Markup(
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="share-whole" width="100" height="8"/><rect class="bar bar-{}" width="{}" height="8"/></svg>'
    ).format(escape(status), round(max(100 * share, 0.8), 1))


def _stroke(place: int, share: float) -> str:
    """One bar from the ground up."""
    top = round(_HEIGHT * (1 - _LOWEST - (1 - _LOWEST) * share), 1)
    return f"M{place * (_WIDTH + _GAP) + _WIDTH / 2:g} {_HEIGHT}V{top:g}"


def _in_words(runs: Sequence[tuple[str, float | None]]) -> str:
    if not runs:
        return "no runs yet"
    counted = Counter(status.replace("_", " ") for status, _ in runs)
    return f"last {len(runs)} runs: " + ", ".join(f"{count} {status}" for status, count in counted.most_common())
