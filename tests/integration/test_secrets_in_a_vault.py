"""The API and a worker around one vault: two systems that never disagree for long, whatever is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from platform_api.ports.secrets import SecretsUnavailable
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.key_vault import KeyVaultStore
from platform_api.secret_store.master_keys import FixedKeys, Keyring, MasterKey
from platform_api.secret_store.moving import MovingStore
from platform_api.secret_store.reading import StoredSecrets
from platform_api.use_cases import secret_upkeep
from tests.cast import Cast, hello
from tests.key_vault import TokenFor, Vault, running_vault

NAME, USING = "warehouse-password", {"DB_PASSWORD": "warehouse-password"}


@dataclass
class Stage:
    """The cast on a platform with a vault, and a worker that may read from it."""

    cast: Cast
    vault: Vault
    worker: StoredSecrets

    async def set(self, value: str, **changed: Any) -> None:
        answer = await self.cast.maya.post("/secrets", {"name": NAME, "value": value} | changed)
        assert answer.status_code == 201, answer.text

    async def job(self) -> UUID:
        return UUID((await self.cast.maya.post("/jobs", hello(secrets=USING))).json()["job_id"])

    async def value(self, job: UUID) -> str:
        return (await self.worker.values(await self.run(job), job, USING)).env["DB_PASSWORD"]

    async def run(self, job: UUID) -> UUID:
        return UUID((await self.cast.maya.post(f"/jobs/{job}/run")).json()["execution_id"])

    async def sql(self, statement: str) -> None:
        async with self.cast.engine.begin() as connection:
            await connection.execute(text(statement))

    def enabled(self) -> list[str]:
        return [v.value for versions in self.vault.secrets.values() for v in versions if v.enabled]


@pytest.fixture
async def stage(cast: Cast, tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_vault(tmp_path) as vault:
        vault.permissions = {"api": frozenset({"set", "list", "delete"}), "worker": frozenset({"get"})}
        api, worker = (
            KeyVaultStore(vault.url, TokenFor(who), connection_verify=vault.ca_file) for who in ("api", "worker")
        )
        object.__setattr__(cast.services, "secret_store", api)
        yield Stage(cast, vault, StoredSecrets(cast.services.uow, worker))
        await api.close()
        await worker.close()


async def test_the_api_writes_the_worker_reads_and_neither_can_do_the_others_work(stage: Stage) -> None:
    await stage.set("the first value")
    job = await stage.job()
    assert await stage.value(job) == "the first value"
    await stage.cast.maya.put(f"/secrets/{NAME}", {"value": "the second value"})
    assert await stage.value(job) == "the second value"
    [name] = stage.vault.secrets
    assert name.startswith("job-")
    assert name.endswith(f"-secret-{NAME}")


async def test_no_table_holds_a_value_that_is_in_the_vault(stage: Stage) -> None:
    await stage.set("a-telling-value")
    async with stage.cast.engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM secret_versions"))).all()
    assert "telling" not in str(rows)


async def test_a_replaced_version_is_disabled_and_a_deleted_secret_removed_once_nobody_needs_them(stage: Stage) -> None:
    await stage.set("the first value")
    await stage.cast.maya.put(f"/secrets/{NAME}", {"value": "the second value"})
    assert stage.enabled() == ["the first value", "the second value"]
    await secret_upkeep.keep(stage.cast.services)
    assert stage.enabled() == ["the second value"]
    await stage.cast.maya.delete(f"/secrets/{NAME}")
    await secret_upkeep.keep(stage.cast.services)
    assert (stage.vault.secrets, len(stage.vault.deleted)) == ({}, 1)
    await stage.set("under the same name")
    assert await stage.value(await stage.job()) == "under the same name"


async def test_what_could_not_be_tidied_up_is_tidied_up_later(stage: Stage) -> None:
    await stage.set("a value")
    await stage.cast.maya.delete(f"/secrets/{NAME}")
    stage.vault.fault = 503
    with pytest.raises(SecretsUnavailable):
        await secret_upkeep.keep(stage.cast.services)
    stage.vault.fault = None
    assert stage.enabled() == ["a value"]
    await secret_upkeep.keep(stage.cast.services)
    assert stage.vault.secrets == {}


async def test_a_value_whose_outcome_was_cut_off_counts_once_it_is_found(stage: Stage) -> None:
    await stage.set("a value 123456")
    await stage.sql("UPDATE secrets SET version = 0, last_four = NULL")
    await stage.sql("UPDATE secret_versions SET stored_at = NULL, seal = NULL, holder = NULL")
    assert (await stage.cast.maya.get(f"/secrets/{NAME}")).status_code == 404
    await stage.sql("UPDATE secret_versions SET begun_at = now() - interval '61 s'")
    await secret_upkeep.keep(stage.cast.services)
    shown = (await stage.cast.maya.get(f"/secrets/{NAME}")).json()
    assert (shown["version"], shown["last_four"]) == (1, "3456")
    assert await stage.value(await stage.job()) == "a value 123456"


async def test_a_value_of_a_secret_that_was_deleted_meanwhile_does_not_stay_in_the_vault(stage: Stage) -> None:
    await stage.set("a value")
    stage.vault.slow_seconds = 0.3
    late = asyncio.create_task(stage.cast.maya.put(f"/secrets/{NAME}", {"value": "a late value"}))
    await asyncio.sleep(0.1)
    assert (await stage.cast.maya.delete(f"/secrets/{NAME}")).status_code == 204
    assert (await late).status_code == 409
    stage.vault.slow_seconds = 0
    await secret_upkeep.keep(stage.cast.services)
    assert stage.vault.secrets == {}


async def test_of_values_set_at_once_the_last_version_counts_and_none_is_lost_sight_of(stage: Stage) -> None:
    await stage.set("value 0")
    stage.vault.slow_seconds = 0.05
    answers = await asyncio.gather(
        *(stage.cast.maya.put(f"/secrets/{NAME}", {"value": f"value {n}"}) for n in range(1, 6))
    )
    stage.vault.slow_seconds = 0
    assert {answer.status_code for answer in answers} == {200}
    shown = (await stage.cast.maya.get(f"/secrets/{NAME}")).json()
    assert shown["version"] == 6
    value = await stage.value(await stage.job())
    await secret_upkeep.keep(stage.cast.services)
    assert stage.enabled() == [value]


async def test_a_value_from_before_the_vault_must_be_set_anew_and_says_so(stage: Stage) -> None:
    await stage.set("a value")
    await stage.sql("UPDATE secret_versions SET holder = 'database'")
    job = await stage.job()
    with pytest.raises(SecretsUnavailable, match=f"The secret {NAME} is kept in another store"):
        await stage.value(job)
    await stage.cast.maya.put(f"/secrets/{NAME}", {"value": "set anew"})
    assert await stage.value(job) == "set anew"


async def test_a_platform_that_keeps_its_master_key_reads_values_from_before_the_vault(stage: Stage) -> None:
    before = DatabaseStore(FixedKeys(Keyring((MasterKey.new(),))))
    vault = stage.cast.services.secret_store
    object.__setattr__(stage.cast.services, "secret_store", before)
    await stage.set("a value of before")
    object.__setattr__(stage.cast.services, "secret_store", MovingStore(vault, before))
    object.__setattr__(stage.worker, "_store", MovingStore(stage.worker._store, before))
    job = await stage.job()
    assert await stage.value(job) == "a value of before"
    await stage.cast.maya.put(f"/secrets/{NAME}", {"value": "a value since"})
    assert await stage.value(job) == "a value since"
    assert stage.enabled() == ["a value since"]
    await stage.cast.maya.delete(f"/secrets/{NAME}?force=true")
    await stage.sql("UPDATE executions SET status = 'success'")
    await secret_upkeep.keep(stage.cast.services)
    assert stage.vault.secrets == {}


async def test_a_version_that_somebody_disabled_in_the_vault_is_not_used(stage: Stage) -> None:
    await stage.set("a value")
    job = await stage.job()
    [[version]] = stage.vault.secrets.values()
    version.enabled = False
    with pytest.raises(SecretsUnavailable, match="not in the vault any more"):
        await stage.value(job)
