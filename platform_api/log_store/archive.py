"""Where finished logs go: named files of bytes that are written once and read in slices."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Protocol

from platform_api.domain.errors import Unavailable


def unreadable(detail: str) -> Unavailable:
    """The archive has no such file, or less of it than its index says."""
    return Unavailable(f"The archived log cannot be read: {detail}.", retry_after_seconds=60)


class Archive(Protocol):
    """A folder here, a blob container elsewhere."""

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Store the pieces as one file: all of it or nothing is seen under ``name``; an older one is replaced."""
        ...

    async def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly that slice. Raises ``Unavailable``."""
        ...

    async def remove(self, name: str) -> None:
        """Forget the file; nothing happens when it is gone already."""
        ...


class FolderArchive:
    """Files under one folder, readable by the platform's own user only."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Write beside, wait for the disk, rename: a crash leaves the old file or the new one."""
        target = self._root / name
        handle = await _opened(self._root, target)
        try:
            async for piece in pieces:
                await asyncio.to_thread(handle.write, piece)
            await asyncio.to_thread(_put_in_place, handle, target)
        finally:
            await asyncio.to_thread(_clear_away, handle)

    async def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly that slice of the file."""
        return await asyncio.to_thread(_read_slice, self._root / name, offset, length)

    async def remove(self, name: str) -> None:
        """Delete the file if it is there."""
        await asyncio.to_thread((self._root / name).unlink, missing_ok=True)


async def _opened(root: Path, target: Path) -> IO[bytes]:
    """Open in a thread; who is cancelled meanwhile leaves no open file behind."""
    opening = asyncio.ensure_future(asyncio.to_thread(_open_beside, root, target))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(lambda opened: _clear_away(opened.result()))
        raise


def _open_beside(root: Path, target: Path) -> IO[bytes]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes it readable by its owner only, and rename keeps that.
    descriptor, path = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    return open(path, "wb")


def _put_in_place(handle: IO[bytes], target: Path) -> None:
    handle.flush()
    os.fsync(handle.fileno())
    Path(handle.name).replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _clear_away(handle: IO[bytes]) -> None:
    handle.close()
    Path(handle.name).unlink(missing_ok=True)


def _read_slice(path: Path, offset: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        raise unreadable(f"{path.name}: {error.strerror}") from error
    if len(data) != length:
        raise unreadable(f"{path.name} ends before byte {offset + length}")
    return data
