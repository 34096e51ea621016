"""Waiting until a server answers."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from platform_api.embedded.child import Child
from platform_api.embedded.progress import Progress

#: Between two questions: a server offers no event for "ready" but its port.
ASK_SECONDS = 0.1
#: After this long without news a waiting line is printed.
SILENCE_SECONDS = 4.0


class StartFailed(RuntimeError):
    """A part of the platform did not come up; the message ends with its own last words."""


def answers(url: str) -> Callable[[], bool]:
    """A check: whether a GET of ``url`` is answered with 200. Proxies of the environment are not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def check() -> bool:
        try:
            with opener.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    return check


async def until_ready(
    child: Child, check: Callable[[], bool], seconds: float, progress: Progress, hopeless: Callable[[], Child | None]
) -> None:
    """Return when ``check`` holds; raise ``StartFailed`` at the deadline or when any child is ``hopeless``."""
    deadline = time.monotonic() + seconds
    spoke = time.monotonic()
    while not await asyncio.to_thread(check):
        culprit = child if time.monotonic() > deadline else hopeless()
        if culprit is not None:
            raise StartFailed(
                f"{culprit.plan.name} did not start. {culprit.plan.log} ends with:\n{culprit.last_words()}"
            )
        if time.monotonic() - spoke > SILENCE_SECONDS:
            spoke = time.monotonic()
            progress.say(f"{child.plan.name} ... still starting")
        await asyncio.sleep(ASK_SECONDS)
