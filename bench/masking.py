"""How fast logs are masked on one core, and which search is fast enough: `python -m bench.masking`.

Twenty secrets, and four logs of the same size: one without a secret in it, one with a secret in every hundredth line,
one that is a single line of base64, and one of nothing but secrets. CPU time is counted, best of three.
"""

from __future__ import annotations

import asyncio
import random
import re
import string
import time
from collections.abc import Callable
from uuid import uuid4

from platform_api.domain.log_frames import LONGEST_PIECE, LogFrame, encode
from work_pools.executors.protocol import AttemptRef, Output
from work_pools.log_shipper import TURN_BYTES
from work_pools.log_tail import LogTail, Position
from work_pools.masking import NOTHING, TRANSPARENT, Masker
from work_pools.secret_forms import patterns

MEGABYTES = 8
CHUNK = 64 * 1024
TARGET = 50

RANDOM = random.Random(20)  # noqa: S311 - the same log every time
ALPHABET = string.ascii_letters + string.digits + "$/+=&%"
SECRETS = ["".join(RANDOM.choices(ALPHABET, k=k)) for k in (16, 24, 32, 40, 64) for _ in range(4)]
WORDS = ["".join(RANDOM.choices(string.ascii_lowercase, k=RANDOM.randint(2, 9))) for _ in range(3000)]


def log(secret_every: int | None) -> list[bytes]:
    """Lines like those of a service, about 110 bytes each."""
    lines, size = [], 0
    while size < MEGABYTES * 1_000_000:
        words = " ".join(RANDOM.choices(WORDS, k=9))
        line = f"2026-11-22 17:21:{RANDOM.randint(10, 59)} INFO [{RANDOM.choice(WORDS)}] {words} took={len(lines)} ms"
        if secret_every and len(lines) % secret_every == 0:
            line += f" token={RANDOM.choice(SECRETS)}"
        lines.append(line.encode())
        size += len(line) + 1
    return lines


def megabytes_a_second(size: int, work: Callable[[], object]) -> float:
    """Best of three."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return size / 1e6 / min(times)


def stream(masker: Masker, data: bytes) -> None:
    """The bare masker, in pieces as they come from a pipe."""
    carry = NOTHING
    for i in range(0, len(data), CHUNK):
        _, carry = masker.feed(carry, data[i : i + CHUNK])
    masker.feed(carry, b"", final=True)


class Frames:
    """An executor as far as a tail knows it."""

    def __init__(self, frames: bytes) -> None:
        self._frames = frames

    async def read_output(self, ref: AttemptRef, offset: int, size: int) -> Output:
        return Output(offset, self._frames[offset : offset + size])


async def tail(masker: Masker, frames: bytes) -> None:
    """Everything between the executor's file and the store: frames, masking, numbering, chunks."""
    shipped = LogTail(AttemptRef(uuid4(), 1), Position(), masker)
    while True:
        await shipped.read(Frames(frames), TURN_BYTES, last=True)  # type: ignore[arg-type]
        shipped.commit()
        if shipped.exhausted:
            return


def framed(lines: list[bytes], *, partial: bool = False) -> bytes:
    return b"".join(encode(LogFrame(1, "stdout", line, partial)) for line in lines)


def pieces(data: bytes) -> list[bytes]:
    return [data[i : i + LONGEST_PIECE] for i in range(0, len(data), LONGEST_PIECE)]


def compare_searches(data: bytes) -> None:
    """Why there is a dependency: what the standard library can do for the same patterns."""
    found = sorted(patterns(SECRETS), key=len, reverse=True)
    part = data[: 2 * 1_000_000]
    alternation = re.compile(b"|".join(map(re.escape, found)))
    searches: dict[str, Callable[[], object]] = {
        "one regular expression": lambda: alternation.search(part),
        "bytes.find, one by one": lambda: [pattern in part for pattern in found],
        "ahocorasick-rs": lambda: Masker(SECRETS).covers(part),
    }
    print(f"Search only, {len(SECRETS)} secrets in {len(found)} forms, nothing found:")
    for name, search in searches.items():
        print(f"  {name:28} {megabytes_a_second(len(part), search):8.1f} MB/s")


def main() -> None:
    """Print MB/s."""
    masker = Masker(SECRETS)
    one_line = "".join(RANDOM.choices(ALPHABET, k=MEGABYTES * 1_000_000)).encode()
    clean, some, every = log(None), log(100), log(1)
    cases = {
        "no secret in it": (b"\n".join(clean), framed(clean)),
        "in every 100th line": (b"\n".join(some), framed(some)),
        "in every line": (b"\n".join(every), framed(every)),
        "one line, no secret": (one_line, framed(pieces(one_line), partial=True)),
    }
    compare_searches(cases["no secret in it"][0])
    print(f"\n{'log':24} {'masker':>10} {'whole tail':>12} {'tail, no secrets declared':>28}   (MB/s; target {TARGET})")
    for name, (data, frames) in cases.items():
        bare = megabytes_a_second(len(data), lambda data=data: stream(masker, data))
        whole = megabytes_a_second(len(frames), lambda frames=frames: asyncio.run(tail(masker, frames)))
        without = megabytes_a_second(len(frames), lambda frames=frames: asyncio.run(tail(TRANSPARENT, frames)))
        print(f"{name:24} {bare:10.1f} {whole:12.1f} {without:28.1f}")
    print(f"\nA masker for {len(SECRETS)} secrets is made in {1000 * _seconds(lambda: Masker(SECRETS)):.1f} ms")


def _seconds(work: Callable[[], object]) -> float:
    return 1 / megabytes_a_second(1_000_000, work)


if __name__ == "__main__":
    main()
