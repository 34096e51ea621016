"""How long a worker takes to read the secrets of jobs that are due together: ``python -m bench.secrets``."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import text

from platform_api.db.engine import create_engine
from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.key_vault import KeyVaultStore
from platform_api.secret_store.master_keys import FixedKeys, Keyring, MasterKey
from platform_api.secret_store.reading import StoredSecrets
from tests.cast import Cast, assemble_cast, hello, services_on, settings_for_tests
from tests.key_vault import TokenFor, running_vault
from tests.postgres import cloned_database, migrated_template, running_cluster

RUNS = 450
SECRETS = 50
#: What Azure's documents give for one answer.
VAULT_SECONDS = 0.075


async def main() -> None:
    """Both stores, each with 450 runs that use one of 50 secrets."""
    with tempfile.TemporaryDirectory() as folder, running_cluster(Path(folder)) as cluster:
        migrated_template(cluster)
        vault_folder = Path(folder) / "vault"
        vault_folder.mkdir()
        with cloned_database(cluster) as url:
            await measured("database", url, DatabaseStore(FixedKeys(Keyring((MasterKey.new(),)))), vault_folder)
        async with running_vault(vault_folder) as vault:
            store = KeyVaultStore(vault.url, TokenFor("all"), connection_verify=vault.ca_file)
            vault.slow_seconds = VAULT_SECONDS
            with cloned_database(cluster) as url:
                await measured(f"a vault that takes {1000 * VAULT_SECONDS:.0f} ms", url, store, vault_folder)
            await store.close()


async def measured(name: str, url: str, store: Any, home: Path) -> None:
    """Print how long all took."""
    engine = create_engine(url, pool_size=10, application_name="bench")
    settings = settings_for_tests(home=home, max_jobs_per_team=10_000, rate_limit_per_minute=1_000_000)
    cast_ = await assemble_cast(engine, services_on(engine, settings, secret_store=store))
    runs = await prepared(cast_)
    reading = StoredSecrets(cast(Any, translated(units_of_work(engine))), store)
    began = time.monotonic()
    await asyncio.gather(*(reading.values(run, job, {"A": secret}) for run, job, secret in runs))
    seconds = time.monotonic() - began
    print(f"{name}: {RUNS} runs with one of {SECRETS} secrets each in {seconds:.2f} s")
    await cast_.maya.client.aclose()
    await engine.dispose()


async def prepared(cast_: Cast) -> list[tuple[UUID, UUID, str]]:
    """Secrets and a job through the API, and runs of it in SQL."""
    names = [f"secret-{number}" for number in range(SECRETS)]
    for name in names:
        await cast_.maya.post("/secrets", {"name": name, "value": f"the value of {name}"})
    job = UUID((await cast_.maya.post("/jobs", hello())).json()["job_id"])
    runs = [(uuid4(), job, names[number % SECRETS]) for number in range(RUNS)]
    async with cast_.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO executions (id, job_id, job_version, pool, status, triggered_by, due_at, exclusive)"
                " SELECT id, :job, 1, 'local', 'queued', 'api', now(), false FROM unnest(CAST(:ids AS uuid[])) AS w(id)"
            ),
            {"job": job, "ids": [run for run, _, _ in runs]},
        )
    return runs


if __name__ == "__main__":
    asyncio.run(main())
