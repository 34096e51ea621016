"""The master key is replaced while everything runs, and whatever is killed meanwhile, every value can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from platform_api.ports.secret_store import ValueLost
from platform_api.secret_store import rotation
from platform_api.secret_store.database import HOLDER, DatabaseStore
from platform_api.secret_store.master_keys import FixedKeys, KeyFile, Keyring, MasterKey
from platform_api.secret_store.reading import StoredSecrets
from platform_api.secret_store.rotation import rotate
from tests.cast import Cast, hello

NAMES = [f"secret-{number}" for number in range(5)]


class Killed(BaseException):
    """kill -9."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    monkeypatch.setattr(rotation, "BATCH", 2)
    file = KeyFile(tmp_path / "master-key")
    file.ensure()
    return file


@pytest.fixture
async def job(cast: Cast, file: KeyFile) -> UUID:
    """A job that uses five secrets, on a platform whose master key is in a file."""
    object.__setattr__(cast.services, "secret_store", DatabaseStore(KeyFile(file.path)))
    for name in NAMES:
        answer = await cast.maya.post("/secrets", {"name": name, "value": f"the value of {name}"})
        assert answer.status_code == 201
    body = hello(secrets={name.upper().replace("-", "_"): name for name in NAMES})
    return UUID((await cast.maya.post("/jobs", body)).json()["job_id"])


async def values(cast: Cast, job: UUID, store: DatabaseStore | None = None) -> set[str]:
    reading = StoredSecrets(cast.services.uow, store or cast.services.secret_store)
    run = UUID((await cast.maya.post(f"/jobs/{job}/run")).json()["execution_id"])
    return set((await reading.values(run, job, {name: name for name in NAMES})).env.values())


EVERY = {f"the value of {name}" for name in NAMES}


async def key_ids(cast: Cast) -> list[str]:
    async with cast.services.uow() as uow:
        return sorted(await uow.secrets.key_ids(HOLDER))


async def test_afterwards_everything_is_under_the_new_key_and_only_the_one_before_is_kept(
    cast: Cast, file: KeyFile, job: UUID
) -> None:
    [old] = file.keyring().keys
    first = await rotate(file, cast.services.uow)
    assert (first.wrapped, first.resumed, first.spare) == (5, False, (old.id,))
    assert await key_ids(cast) == [file.keyring().current.id] == [first.key_id]
    assert await values(cast, job) == EVERY
    second = await rotate(file, cast.services.uow)
    assert [key.id for key in file.keyring().keys] == [second.key_id, first.key_id]
    assert await values(cast, job) == EVERY
    with pytest.raises(ValueLost):
        await values(cast, job, DatabaseStore(FixedKeys(Keyring((old,)))))


def killed_at(units: Callable[[], AbstractAsyncContextManager[Any]], step: int) -> Callable[[], Any]:
    """Transactions whose process is killed at its ``step``-th moment: before or after the commit of one of them."""
    moments = iter(range(1_000_000))

    @asynccontextmanager
    async def unit_of_work() -> AsyncIterator[Any]:
        async with units() as work:
            yield work
            if next(moments) == step:
                raise Killed
        if next(moments) == step:
            raise Killed

    return unit_of_work


@pytest.mark.parametrize("step", range(12))
async def test_killed_anywhere_all_can_be_read_and_the_next_call_goes_on(
    cast: Cast, file: KeyFile, job: UUID, step: int
) -> None:
    running = cast.services.secret_store
    with pytest.raises(Killed):
        await rotate(file, killed_at(cast.services.uow, step))
    for store in (running, DatabaseStore(KeyFile(file.path))):
        assert await values(cast, job, store) == EVERY  # type: ignore[arg-type]
    assert (await cast.maya.put(f"/secrets/{NAMES[0]}", {"value": "a value set meanwhile"})).status_code == 200
    await rotate(file, cast.services.uow)
    assert await key_ids(cast) == [file.keyring().current.id]
    assert await values(cast, job) == EVERY - {f"the value of {NAMES[0]}"} | {"a value set meanwhile"}
    assert len(file.keyring().keys) <= 3


async def test_twelve_moments_are_all_there_are(cast: Cast, file: KeyFile, job: UUID) -> None:
    await rotate(file, killed_at(cast.services.uow, 12))


async def test_a_rotation_that_was_cut_off_is_finished_before_there_is_another_key(
    cast: Cast, file: KeyFile, job: UUID
) -> None:
    with pytest.raises(Killed):
        await rotate(file, killed_at(cast.services.uow, 3))
    current = file.keyring().current.id
    assert len(await key_ids(cast)) == 2
    again = await rotate(file, cast.services.uow)
    assert (again.resumed, again.key_id) == (True, current)


async def test_with_keys_from_a_setting_only_the_wrapping_is_ours(cast: Cast, file: KeyFile, job: UUID) -> None:
    [old], new = file.keyring().keys, MasterKey.new()
    keys = FixedKeys.parse(f"{new.text},{old.text}")
    rotated = await rotate(keys, cast.services.uow)
    assert (rotated.wrapped, rotated.key_id, rotated.spare) == (5, new.id, (old.id,))
    assert await values(cast, job, DatabaseStore(FixedKeys.parse(new.text))) == EVERY


async def test_a_seal_under_a_key_that_is_gone_stops_it_and_loses_nothing(cast: Cast, file: KeyFile, job: UUID) -> None:
    async with cast.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE secret_versions SET key_id = 'gone' WHERE secret_id = "
                "(SELECT id FROM secrets WHERE name = 'secret-3')"
            )
        )
    with pytest.raises(ValueLost, match="secret-3 is sealed under a master key that is not here"):
        await rotate(file, cast.services.uow)
    async with cast.engine.begin() as connection:
        await connection.execute(text("DELETE FROM secret_versions WHERE key_id = 'gone'"))
    await rotate(file, cast.services.uow)
    assert await key_ids(cast) == [file.keyring().current.id]
