"""Who can wait gives way to starts, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from work_pools import precedence
from work_pools.precedence import Precedence


async def test_nobody_waits_while_nothing_is_started() -> None:
    await asyncio.wait_for(Precedence().give_way(), 5)


async def test_who_gives_way_goes_on_when_the_last_start_is_over() -> None:
    starts, seen = Precedence(), []

    async def report() -> None:
        await starts.give_way()
        seen.append("report")

    with starts.taken():
        waiting = asyncio.create_task(report())
        with starts.taken():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == []
    await waiting
    assert seen == ["report"]


async def test_a_start_that_fails_holds_up_nobody() -> None:
    starts = Precedence()
    with pytest.raises(RuntimeError), starts.taken():
        raise RuntimeError
    await asyncio.wait_for(starts.give_way(), 5)


async def test_endless_starts_do_not_silence_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "LONGEST_WAIT_SECONDS", 0.01)
    starts = Precedence()
    with starts.taken():
        await asyncio.wait_for(starts.give_way(), 5)
