"""What every store of secret values promises; a new one joins by a line in ``STORES``."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from platform_api.domain.secret_records import SecretPlace, SecretScope
from platform_api.ports.secret_store import Sealed, SecretStore, StoreAway, ValueLost
from platform_api.ports.secrets import SecretsUnavailable
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.key_vault import KeyVaultStore
from platform_api.secret_store.master_keys import FixedKeys, Keyring, MasterKey
from platform_api.secret_store.moving import MovingStore
from tests.key_vault import TokenFor, running_vault

VALUES = ["c0rrect horse", "ünï¢öde ✓ 𝄞", "two\nlines\r\n", "x" * 25 * 1024, ' {"json": "\\" }\t', "****last"]


class BrokenKeys:
    """No key at all."""

    def keyring(self) -> Keyring:
        return Keyring.parse([])


@asynccontextmanager
async def database(_: Path) -> AsyncIterator[tuple[SecretStore, SecretStore]]:
    store = DatabaseStore(FixedKeys(Keyring((MasterKey.new(),))))
    yield store, DatabaseStore(BrokenKeys())


@asynccontextmanager
async def key_vault(folder: Path) -> AsyncIterator[tuple[SecretStore, SecretStore]]:
    async with running_vault(folder) as vault:
        store = KeyVaultStore(vault.url, TokenFor("all"), connection_verify=vault.ca_file)
        away = KeyVaultStore("https://localhost:1", TokenFor("all"), connection_verify=vault.ca_file)
        away._holder = store._holder
        yield store, away
        await store.close()
        await away.close()


@asynccontextmanager
async def moving(folder: Path) -> AsyncIterator[tuple[SecretStore, SecretStore]]:
    before = DatabaseStore(FixedKeys(Keyring((MasterKey.new(),))))
    async with key_vault(folder) as (vault, away):
        yield MovingStore(vault, before), MovingStore(away, before)


Stores = tuple[SecretStore, SecretStore]
STORES: list[Callable[[Path], AbstractAsyncContextManager[Stores]]] = [database, key_vault, moving]


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """A store, and one like it that is away."""
    async with request.param(tmp_path) as both:
        yield both


@pytest.fixture
def store(stores: Stores) -> SecretStore:
    return stores[0]


def place(**changed: object) -> SecretPlace:
    return replace(SecretPlace(uuid4(), "warehouse-password", SecretScope.OWN, 1), **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
async def test_a_value_comes_back_as_it_was_put(store: SecretStore, value: str) -> None:
    here = place()
    assert await store.get(here, await store.put(here, value)) == value


@pytest.mark.parametrize("name", ["a", "a.b_c-d", "A" * 64])
@pytest.mark.parametrize("scope", SecretScope)
async def test_every_name_that_we_allow_has_room(store: SecretStore, name: str, scope: SecretScope) -> None:
    here = place(name=name, scope=scope)
    assert await store.get(here, await store.put(here, "a value")) == "a value"


async def test_each_version_keeps_its_own_value(store: SecretStore) -> None:
    first = place()
    second = replace(first, version=2)
    old, new = await store.put(first, "the old one"), await store.put(second, "the new one")
    assert await store.get(first, old) == "the old one"
    assert await store.get(second, new) == "the new one"


async def test_secrets_of_the_same_name_do_not_meet(store: SecretStore) -> None:
    mine, theirs = place(), place()
    sealed = await store.put(mine, "mine alone")
    await store.put(theirs, "theirs alone")
    assert await store.get(mine, sealed) == "mine alone"


async def test_what_our_table_keeps_and_prints_tells_nothing_of_the_value(store: SecretStore) -> None:
    sealed = await store.put(place(), "a-telling-value")
    assert "telling" not in f"{sealed!r} {sealed.document} {sealed.holder} {sealed.key_id}"
    assert repr(sealed.document)[5:-5] not in repr(sealed)


async def test_putting_a_version_again_changes_nothing_for_who_asks(store: SecretStore) -> None:
    here = place()
    first, second = await store.put(here, "the same value"), await store.put(here, "the same value")
    assert await store.get(here, first) == await store.get(here, second) == "the same value"


async def test_a_version_that_was_never_put_is_not_found(store: SecretStore) -> None:
    here = place()
    assert await store.find(here) is None
    await store.put(here, "a value")
    assert await store.find(replace(here, version=2)) is None


async def test_what_is_retired_and_removed_may_be_so_again(store: SecretStore) -> None:
    here = place()
    sealed = await store.put(here, "a value")
    for _ in range(2):
        await store.retire(here, sealed)
    for _ in range(2):
        await store.remove(here)
    await store.remove(place())


async def test_another_holders_seal_opens_nothing(store: SecretStore) -> None:
    here = place()
    sealed = await store.put(here, "a value")
    for strange in (replace(sealed, holder="https://elsewhere"), Sealed("?", sealed.key_id, {"name": "x"})):
        with pytest.raises(ValueLost, match="another store"):
            await store.get(here, strange)


async def test_a_store_that_is_away_says_so_and_no_more(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    store, away = stores
    here, value = place(), "a-telling-value"
    sealed = await store.put(here, value)
    with caplog.at_level(logging.DEBUG):
        for question in (away.put(here, value), away.get(here, sealed)):
            with pytest.raises(SecretsUnavailable) as trouble:
                await question
            assert isinstance(trouble.value, StoreAway)
            assert str(trouble.value).startswith("The secret store did not answer: ")
            assert trouble.value.__suppress_context__
    assert value not in caplog.text
