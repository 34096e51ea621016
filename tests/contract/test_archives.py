"""What every archive promises; a new one joins by a line in ``ARCHIVES``."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from platform_api.domain.errors import Unavailable
from platform_api.log_store.archive import Archive, FolderArchive

ARCHIVES: list[Callable[[Path], Archive]] = [FolderArchive]


@pytest.fixture(params=ARCHIVES, ids=lambda make: make.__name__)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    made: Archive = request.param(tmp_path / "archive")
    return made


async def pieces(*parts: bytes, fault: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if fault:
        raise fault


async def test_slices_come_back_as_they_were_written(archive: Archive) -> None:
    await archive.write("ab/one", pieces(b"hello ", b"", b"world"))
    assert await archive.read("ab/one", 0, 11) == b"hello world"
    assert await archive.read("ab/one", 4, 4) == b"o wo"


async def test_an_older_file_is_replaced_whole(archive: Archive) -> None:
    await archive.write("one", pieces(b"a long first version"))
    await archive.write("one", pieces(b"second"))
    assert await archive.read("one", 0, 6) == b"second"
    with pytest.raises(Unavailable):
        await archive.read("one", 0, 7)


async def test_a_write_that_breaks_off_leaves_what_was_there(archive: Archive) -> None:
    await archive.write("one", pieces(b"first"))
    with pytest.raises(ZeroDivisionError):
        await archive.write("one", pieces(b"sec", fault=ZeroDivisionError()))
    assert await archive.read("one", 0, 5) == b"first"


async def test_a_missing_file_or_slice_is_unreadable(archive: Archive) -> None:
    with pytest.raises(Unavailable):
        await archive.read("nothing", 0, 1)
    await archive.write("one", pieces(b"1"))
    with pytest.raises(Unavailable):
        await archive.read("one", 5, 1)


async def test_removing_may_be_repeated(archive: Archive) -> None:
    await archive.write("one", pieces(b"1"))
    await archive.remove("one")
    await archive.remove("one")
    with pytest.raises(Unavailable):
        await archive.read("one", 0, 1)


async def test_a_folder_is_the_owners_own_and_keeps_no_leftovers(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "logs")
    with pytest.raises(ZeroDivisionError):
        await archive.write("ab/one", pieces(b"1", fault=ZeroDivisionError()))
    await archive.write("ab/one", pieces(b"1"))
    assert [path.name for path in (tmp_path / "logs" / "ab").iterdir()] == ["one"]
    assert stat.S_IMODE((tmp_path / "logs" / "ab" / "one").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
