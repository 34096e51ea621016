"""What only a vault can do to us: challenges, permissions, throttling, babble, silence."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from platform_api.domain.secret_records import SecretPlace, SecretScope
from platform_api.ports.secret_records import StoredValue
from platform_api.ports.secret_store import StoreAway, ValueLost
from platform_api.secret_store import key_vault
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.key_vault import KeyVaultStore, vault_name
from platform_api.secret_store.master_keys import MasterKey
from platform_api.secret_store.moving import MovingStore
from platform_api.secret_store.opening import opened_store
from platform_api.secret_store.reading import StoredSecrets
from tests.cast import settings_for_tests
from tests.key_vault import TokenFor, Vault, running_vault

VALUE = "a-telling-value"
PLACE = SecretPlace(uuid4(), "Warehouse_Password.2", SecretScope.OWN, 1)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with running_vault(tmp_path) as vault:
        yield vault


Opener = Callable[..., KeyVaultStore]


@pytest.fixture
async def open_store(vault: Vault) -> AsyncIterator[Opener]:
    stores = []

    def opener(who: str = "all") -> KeyVaultStore:
        stores.append(KeyVaultStore(vault.url, TokenFor(who), connection_verify=vault.ca_file))
        return stores[-1]

    yield opener
    for store in stores:
        await store.close()


@pytest.fixture
def store(open_store: Opener) -> KeyVaultStore:
    return open_store()


def test_names_are_azures_and_tell_whose_they_are() -> None:
    own, teams = vault_name(PLACE), vault_name(replace(PLACE, scope=SecretScope.TEAM))
    assert own == f"job-{PLACE.id}-secret-Warehouse-Password-2"
    assert teams == f"team-{PLACE.id}-secret-Warehouse-Password-2"
    assert re.fullmatch("[0-9a-zA-Z-]{1,127}", vault_name(replace(PLACE, name="x" * 64)))


async def test_a_token_is_fetched_when_the_vault_asks_for_it_and_used_from_then_on(
    vault: Vault, store: KeyVaultStore
) -> None:
    sealed = await store.put(PLACE, VALUE)
    await store.get(PLACE, sealed)
    assert store._credential.asked_for == [("https://vault.azure.net/.default",)]  # type: ignore[attr-defined]
    assert [method for method, _ in vault.requests] == ["PUT", "GET"]
    assert vault.values() == {VALUE}


async def test_a_worker_needs_no_permission_but_get(vault: Vault, store: KeyVaultStore, open_store: Opener) -> None:
    vault.permissions["worker"] = frozenset({"get"})
    worker = open_store("worker")
    sealed = await store.put(PLACE, VALUE)
    assert await worker.get(PLACE, sealed) == VALUE
    for refused in (worker.put(PLACE, VALUE), worker.find(PLACE), worker.retire(PLACE, sealed), worker.remove(PLACE)):
        with pytest.raises(StoreAway, match="answered 403"):
            await refused


async def test_the_api_needs_no_permission_to_read(vault: Vault, open_store: Opener) -> None:
    vault.permissions["api"] = frozenset({"set", "list", "delete"})
    api = open_store("api")
    sealed = await api.put(PLACE, VALUE)
    assert await api.find(PLACE) == sealed
    await api.retire(PLACE, sealed)
    await api.remove(PLACE)
    with pytest.raises(StoreAway):
        await api.get(PLACE, sealed)


async def test_what_a_crash_left_is_found_by_its_version_behind_many_others(store: KeyVaultStore) -> None:
    for version in range(1, 6):
        sealed = await store.put(replace(PLACE, version=version), f"value {version}")
    assert await store.find(replace(PLACE, version=5)) == sealed
    assert await store.find(replace(PLACE, version=6)) is None


async def test_a_retired_version_cannot_be_read_and_the_others_can(vault: Vault, store: KeyVaultStore) -> None:
    second = replace(PLACE, version=2)
    old, new = await store.put(PLACE, VALUE), await store.put(second, "the new one")
    again = await store.put(PLACE, VALUE)
    await store.retire(PLACE, old)
    for gone in (old, again):
        with pytest.raises(ValueLost, match="not in the vault any more"):
            await store.get(PLACE, gone)
    assert await store.get(second, new) == "the new one"


async def test_a_removed_secret_is_gone_and_its_name_is_free_for_another_of_ours(
    vault: Vault, store: KeyVaultStore
) -> None:
    sealed = await store.put(PLACE, VALUE)
    await store.remove(PLACE)
    assert vault.values() == set()
    with pytest.raises(ValueLost):
        await store.get(PLACE, sealed)
    with pytest.raises(StoreAway, match="answered 409"):
        await store.put(PLACE, VALUE)
    await store.put(replace(PLACE, id=uuid4()), VALUE)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
async def test_a_vault_that_refuses_is_away_and_its_words_stay_there(
    vault: Vault, store: KeyVaultStore, status: int
) -> None:
    sealed = await store.put(PLACE, VALUE)
    vault.fault = status
    with pytest.raises(StoreAway) as trouble:
        await store.get(PLACE, sealed)
    assert "not now" not in str(trouble.value)


@pytest.mark.parametrize("babble", ['{"value": "a-telling-value", "id', '"a-telling-value"', "[]", "{}", ""])
async def test_a_vault_that_babbles_gives_nothing_away(
    vault: Vault, store: KeyVaultStore, babble: str, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = await store.put(PLACE, VALUE)
    vault.babble = babble
    with caplog.at_level(logging.DEBUG):
        try:
            await store.get(PLACE, sealed)
        except (StoreAway, ValueLost):
            logging.getLogger("a worker").exception("could not be started")
        else:
            pytest.fail("that was no value")
    assert "telling" not in caplog.text


async def test_silence_ends_after_a_bounded_time(
    vault: Vault, store: KeyVaultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_vault, "ANSWER_SECONDS", 0.3)
    vault.hangs = True
    async with asyncio.timeout(2):
        with pytest.raises(StoreAway, match=r"nothing was heard within 0\.3 s"):
            await store.put(PLACE, VALUE)


async def test_a_strangers_certificate_is_not_trusted(vault: Vault) -> None:
    store = KeyVaultStore(vault.url, TokenFor("all"))
    with pytest.raises(StoreAway, match="cannot be reached"):
        await store.put(PLACE, VALUE)
    await store.close()
    assert vault.requests == []


@pytest.mark.parametrize("url", ["http://localhost:1", "localhost", "ftp://vault"])
def test_without_tls_there_is_no_vault(url: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        KeyVaultStore(url, TokenFor("all"))
    with pytest.raises(ValueError, match="key_vault_url"):
        settings_for_tests(key_vault_url=url)


async def test_the_settings_decide_where_secrets_are(tmp_path: Path) -> None:
    url, key = "https://company.vault.azure.net", SecretStr(MasterKey.new().text)
    for given, kind in (
        ({}, DatabaseStore),
        ({"master_key": key}, DatabaseStore),
        ({"key_vault_url": url}, KeyVaultStore),
        ({"key_vault_url": url, "master_key": key}, MovingStore),
    ):
        store = opened_store(settings_for_tests(home=tmp_path, **given))
        assert type(store) is kind
        await store.close()


async def test_a_burst_is_no_attack_and_asks_for_a_common_secret_once(vault: Vault, store: KeyVaultStore) -> None:
    common = StoredValue("x", PLACE, await store.put(PLACE, VALUE))
    own = [
        StoredValue("x", place, await store.put(place, VALUE))
        for place in (replace(PLACE, id=uuid4()) for _ in range(60))
    ]
    vault.requests.clear()
    vault.slow_seconds = 0.02
    reading = StoredSecrets(lambda: pytest.fail("no table is asked"), store)
    values = await reading._fetch_all([common] * 60 + own)
    assert values == [VALUE] * 120
    assert len(vault.requests) == 61
    assert 2 <= vault.most_at_once <= 16
