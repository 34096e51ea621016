"""Values for workers: what a job may use now, and what its scripts may have got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from uuid import UUID

from platform_api.domain.errors import Unavailable
from platform_api.ports.secret_records import StoredValue
from platform_api.ports.secret_store import SecretStore, StoreAway
from platform_api.ports.secrets import SecretsUnavailable, SecretValues
from platform_api.ports.unit_of_work import UnitOfWork

#: Connections that reading may take from a pool which starts need more.
_ASKING_AT_ONCE = 3
#: Questions to the store at the same moment: a burst of starts must not be an attack on a vault.
_FETCHING_AT_ONCE = 16


class StoredSecrets:
    """``ports.secrets.Secrets`` over our tables and a store. It keeps no value longer than a question takes."""

    def __init__(self, uow: Callable[[], AbstractAsyncContextManager[UnitOfWork]], store: SecretStore) -> None:
        self._uow = uow
        self._store = store
        self._asking = asyncio.Semaphore(_ASKING_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FETCHING_AT_ONCE)
        self._under_way: dict[tuple[UUID, int], asyncio.Task[str]] = {}

    async def values(self, execution_id: UUID, job_id: UUID, declared: Mapping[str, str]) -> SecretValues:
        """The values that the job may use now; raises ``SecretsUnavailable``."""
        names = sorted(set(declared.values()))
        found = await self._take(execution_id, job_id, names)
        missing = sorted(set(names) - {value.asked for value in found})
        if missing:
            raise SecretsUnavailable(f"There is no secret {', '.join(missing)} that the owner of this job may use")
        values = await self._fetch_all(found)
        by_name = {stored.asked: value for stored, value in zip(found, values, strict=True)}
        return SecretValues({variable: by_name[name] for variable, name in declared.items()})

    async def given(self, execution_id: UUID) -> frozenset[str]:
        """Every value that the execution was given; raises ``SecretsUnavailable``."""
        async with self._records() as uow:
            found = await uow.secrets.taken(execution_id)
        return frozenset(await self._fetch_all(found))

    async def _take(self, execution_id: UUID, job_id: UUID, names: Sequence[str]) -> list[StoredValue]:
        found: list[StoredValue] = []
        # Twice: a version that is replaced and erased between one row and the next looks like none.
        for _ in range(2):
            async with self._records() as uow:
                found = await uow.secrets.take(execution_id, job_id, names)
            if len(found) == len(names):
                break
        return found

    @asynccontextmanager
    async def _records(self) -> AsyncIterator[UnitOfWork]:
        try:
            async with self._asking, self._uow() as uow:
                yield uow
        except Unavailable as error:
            raise StoreAway(str(error)) from error

    async def _fetch_all(self, wanted: Iterable[StoredValue]) -> list[str]:
        return await asyncio.gather(*(self._fetch(value) for value in wanted))

    async def _fetch(self, wanted: StoredValue) -> str:
        """Jobs that start together and use the same secret share one question."""
        version = wanted.place.id, wanted.place.version
        task = self._under_way.get(version)
        if task is None:
            task = self._under_way[version] = asyncio.create_task(self._ask(wanted))
            task.add_done_callback(partial(self._answered, version))
        # Whoever gives up waiting must not take the answer from the others.
        return await asyncio.shield(task)

    def _answered(self, version: tuple[UUID, int], task: asyncio.Task[str]) -> None:
        del self._under_way[version]
        if not task.cancelled():
            # Or asyncio would print it where everybody who waited has given up.
            task.exception()

    async def _ask(self, wanted: StoredValue) -> str:
        async with self._fetching:
            return await self._store.get(wanted.place, wanted.sealed)
