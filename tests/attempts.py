"""Orders for executors, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import uuid4

from platform_api.domain.jobs import JobType
from platform_api.domain.log_frames import LogFrame, decode
from work_pools.executors.protocol import AttemptOrder, AttemptRef, Executor


def attempt_order(
    script: str,
    *,
    type: JobType = JobType.SHELL,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 30,
    grace_seconds: float = 5,
    ref: AttemptRef | None = None,
) -> AttemptOrder:
    """An order of a new claim, of a new attempt unless ``ref`` names one."""
    ref = ref or AttemptRef(uuid4(), 1)
    return AttemptOrder(ref, uuid4(), type, script, arguments, dict(env or {}), timeout_seconds, grace_seconds)


async def begin(executor: Executor, order: AttemptOrder) -> AttemptRef:
    """Prepare and start."""
    await executor.prepare(order)
    await executor.start(order)
    return order.ref


async def log_frames_of(executor: Executor, ref: AttemptRef, size: int = 1 << 20) -> list[LogFrame]:
    """The whole log, read as a shipper does: on from the last whole frame."""
    frames: list[LogFrame] = []
    offset = 0
    while (output := await executor.read_output(ref, offset, size)).frames:
        behind = 0
        for frame, end in decode(output.frames):
            frames.append(frame)
            behind = end
        if not behind:
            break
        offset = output.offset + behind
    return frames


def as_written(frames: Sequence[LogFrame], stream: str) -> bytes:
    """The bytes the script wrote to one stream."""
    return b"".join(f.data + (b"" if f.partial else b"\n") for f in frames if f.stream == stream)


async def lines_of(executor: Executor, ref: AttemptRef) -> list[str]:
    """The log of a well-behaved script."""
    return [frame.data.decode() for frame in await log_frames_of(executor, ref)]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds; nothing tells a test of a process's doings but looking."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def until_lines(executor: Executor, ref: AttemptRef, count: int) -> list[str]:
    """The log once it has so many lines."""

    async def has_lines() -> bool:
        return len(await lines_of(executor, ref)) >= count

    await until(has_lines)
    return await lines_of(executor, ref)
