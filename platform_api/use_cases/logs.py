"""Reading logs, and following them while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import UUID

from platform_api.domain.executions import ExecutionStatus
from platform_api.ports.executions import Execution
from platform_api.ports.logs import LogLine, LogPage, LogQuery, as_written
from platform_api.ports.signals import Channel, Subscription
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.executions import allowed
from platform_api.use_cases.guard import guarded
from platform_api.use_cases.services import Services
from rbac.permissions import Permission

#: A follower looks at least this often, should a wake-up be lost.
LONGEST_SLEEP_SECONDS = 5.0

#: A follower of many short lines must not ask the database for every few of them.
LINES_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the execution ended: the last thing a follower hears."""

    status: ExecutionStatus
    exit_code: int | None


async def page(services: Services, caller: Caller, execution_id: UUID, query: LogQuery) -> LogPage:
    """One page of lines."""
    await _readable(services, caller, execution_id)
    return await services.logs.page(execution_id, query)


async def tail(
    services: Services, caller: Caller, execution_id: UUID, count: int, attempt: int | None
) -> list[LogLine]:
    """The last lines."""
    await _readable(services, caller, execution_id)
    return await services.logs.tail(execution_id, count, attempt)


async def raw(services: Services, caller: Caller, execution_id: UUID, attempt: int | None) -> AsyncIterator[bytes]:
    """The log as the script wrote it, piece by piece."""
    await _readable(services, caller, execution_id)
    return services.logs.raw(execution_id, attempt)


async def search(services: Services, caller: Caller, execution_id: UUID, query: LogQuery) -> AsyncIterator[bytes]:
    """Every line that matches, as the script wrote it."""
    await _readable(services, caller, execution_id)
    return _matches(services, execution_id, query)


async def follow(
    services: Services, caller: Caller, execution_id: UUID, start: int
) -> AsyncIterator[LogLine | Verdict]:
    """Every line from number ``start`` on as it comes, across attempts, and the verdict at the end."""
    await _readable(services, caller, execution_id)
    return _followed(services, execution_id, start)


async def _readable(services: Services, caller: Caller, execution_id: UUID) -> Execution:
    async with guarded(services, caller) as uow:
        return await allowed(uow, caller, Permission.LOG_VIEW, execution_id)


async def _followed(services: Services, execution_id: UUID, start: int) -> AsyncIterator[LogLine | Verdict]:
    async with (
        services.signals.subscribe(Channel.LOG, str(execution_id)) as written,
        services.signals.subscribe(Channel.EXECUTION, str(execution_id)) as changed,
    ):
        while True:
            # The verdict is read first: it is written after the last line, so none can come behind it.
            verdict = await _verdict(services, execution_id)
            async for lines in _pages(services, execution_id, LogQuery(start, LINES_AT_ONCE)):
                for line in lines:
                    yield line
                    start = line.number + 1
            if verdict is not None:
                yield verdict
                return
            await _either(written, changed)


async def _verdict(services: Services, execution_id: UUID) -> Verdict | None:
    async with services.uow() as uow:
        execution = await uow.executions.get(execution_id)
    if execution is None:
        # A run that was claimed ahead of a tick which is no more.
        return Verdict(ExecutionStatus.CANCELLED, None)
    return Verdict(execution.status, execution.exit_code) if execution.status.is_terminal else None


async def _matches(services: Services, execution_id: UUID, query: LogQuery) -> AsyncIterator[bytes]:
    async for lines in _pages(services, execution_id, query):
        yield as_written(lines)


async def _pages(services: Services, execution_id: UUID, query: LogQuery) -> AsyncIterator[list[LogLine]]:
    following: int | None = query.start
    while following is not None:
        found = await services.logs.page(execution_id, replace(query, start=following))
        yield found.lines
        following = found.next_start


async def _either(*subscriptions: Subscription) -> None:
    """Return at the next wake-up of any of them, or at the deadline."""
    waits = [asyncio.ensure_future(subscription.wait(LONGEST_SLEEP_SECONDS)) for subscription in subscriptions]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
