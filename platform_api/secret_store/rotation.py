"""A new master key: every data key is wrapped anew, a batch at a time, while everything runs on.

1. If some seals are not under the current key, a rotation was cut off: go on with 3.
2. Put a new key before the others in the file. Running processes read it before their next seal.
3. Wrap what is under other keys anew, in short transactions, until nothing is left.
4. Drop the keys under which nothing is sealed from the file, but keep the newest of them: a seal that was being made
   with it during 3 may be committed only now. The next rotation wraps it anew.

Killed at any line, it is run again: until 4 every key that some seal needs is in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.secret_store.database import HOLDER, DatabaseStore
from platform_api.secret_store.master_keys import KeyFile, Keyring, KeySource, MasterKey

#: Rows wrapped in one transaction.
BATCH = 100

Units = Callable[[], AbstractAsyncContextManager[UnitOfWork]]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    key_id: str
    wrapped: int
    #: It went on with one that had been cut off, and made no key of its own.
    resumed: bool
    #: Keys under which nothing is sealed any more.
    spare: tuple[str, ...]


async def rotate(keys: KeySource, uow: Units) -> Rotated:
    """The steps above; with keys from a setting, steps 2 and 4 are the operator's."""
    resumed = bool(await _used(uow) - {keys.keyring().current.id})
    if isinstance(keys, KeyFile) and not resumed:
        keys.replace(Keyring((MasterKey.new(), *keys.keyring().keys)))
    wrapped = await rewrap_all(keys, uow)
    spare = await _spare(keys, uow)
    if isinstance(keys, KeyFile):
        _drop(keys, spare)
    return Rotated(keys.keyring().current.id, wrapped, resumed, spare)


async def rewrap_all(keys: KeySource, uow: Units) -> int:
    """Wrap all that is not under the current key; how much that was. Raises ``ValueLost`` for a key that is gone."""
    store, wrapped = DatabaseStore(keys), 0
    while batch := await _rewrap_some(store, keys.keyring().current.id, uow):
        wrapped += batch
    return wrapped


async def _rewrap_some(store: DatabaseStore, key_id: str, uow: Units) -> int:
    async with uow() as work:
        found = await work.secrets.sealed_otherwise(HOLDER, key_id, BATCH)
        for value in found:
            await work.secrets.reseal(value.place, store.rewrap(value.place, value.sealed))
    return len(found)


async def _spare(keys: KeySource, uow: Units) -> tuple[str, ...]:
    keyring, used = keys.keyring(), await _used(uow)
    return tuple(key.id for key in keyring.keys if key.id not in used and key is not keyring.current)


def _drop(file: KeyFile, spare: tuple[str, ...]) -> None:
    keys = file.keyring().keys
    # The first spare one is the key before this one.
    dropped = set(spare[1:])
    if dropped:
        file.replace(Keyring(tuple(key for key in keys if key.id not in dropped)))


async def _used(uow: Units) -> set[str]:
    async with uow() as work:
        return await work.secrets.key_ids(HOLDER)
