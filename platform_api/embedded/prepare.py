"""Brings the platform's database up to date, and makes the master key and sample users of the embedded default."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from migrations.runner import upgrade
from platform_api.db.engine import create_engine
from platform_api.embedded.gate import wait_at_gate
from platform_api.embedded.home import Home, write_private_json
from platform_api.identity.sample_users import SampleCredential, ensure_sample_people
from platform_api.secret_store.master_keys import KeyFile
from platform_api.settings import Settings


def main() -> None:
    """Migrate, then write the credentials; production has no sample users."""
    settings = Settings()
    wait_at_gate()
    if settings.migration_url is None:
        raise SystemExit("JOB_PLATFORM_DATABASE_URL is not set")
    url = settings.migration_url.get_secret_value()
    upgrade(url)
    if settings.master_key is None and settings.key_vault_url is None:
        KeyFile(settings.master_key_file).ensure()
    if settings.environment != "production":
        asyncio.run(_write_credentials(settings, url))


async def _write_credentials(settings: Settings, database_url: str) -> None:
    path = Home(settings.home).credentials
    keys = known_keys(path)
    engine = create_engine(database_url, pool_size=1, application_name="job-platform samples")
    try:
        people = await ensure_sample_people(engine, settings)
        if any(person.api_key is None and person.email not in keys for person in people):
            # The file was lost, or a crash came between the commit and the file: these keys open nothing any more.
            people = await ensure_sample_people(engine, settings, fresh_keys=True)
    finally:
        await engine.dispose()
    write_private_json(path, credentials(settings.base_url, people, keys))


def known_keys(path: Path) -> dict[str, str]:
    """The keys by e-mail address as an earlier start wrote them; none when the file is gone or damaged."""
    try:
        return {user["email"]: user["api_key"] for user in json.loads(path.read_text())["users"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def credentials(base_url: str, people: list[SampleCredential], keys: dict[str, str]) -> dict[str, object]:
    """The document: a key made just now replaces one that was known."""
    users = [{"email": p.email, "role": p.role, "team": p.team, "api_key": p.api_key or keys[p.email]} for p in people]
    return {"base_url": base_url, "users": users}


if __name__ == "__main__":
    main()
