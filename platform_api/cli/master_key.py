"""``job-platform rotate-master-key``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import cast

from platform_api.db.engine import create_engine
from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.domain.errors import Unavailable
from platform_api.embedded.home import Home
from platform_api.embedded.postgres import Cluster
from platform_api.embedded.start import PLATFORM_DATABASE
from platform_api.ports.secrets import SecretsUnavailable
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.secret_store.master_keys import KeyFile, KeySource, MasterKeyUnusable
from platform_api.secret_store.opening import key_source
from platform_api.secret_store.rotation import Rotated, rotate
from platform_api.settings import Settings


def rotate_on_this_machine() -> int:
    """Rotate and say what was done; the exit status."""
    settings = Settings()
    url = _database_url(settings)
    if url is None:
        return _failed("set JOB_PLATFORM_DATABASE_URL, or run it on the home of a platform that is up")
    try:
        keys = key_source(settings)
        rotated = asyncio.run(_rotate(keys, url))
    except (MasterKeyUnusable, SecretsUnavailable, Unavailable) as error:
        return _failed(f"{error}. Nothing is lost; run it again when that is mended.")
    _tell(keys, rotated)
    return 0


async def _rotate(keys: KeySource, url: str) -> Rotated:
    engine = create_engine(url, pool_size=1, application_name="job-platform rotate-master-key")
    try:
        uow = cast(Callable[[], AbstractAsyncContextManager[UnitOfWork]], translated(units_of_work(engine)))
        return await rotate(keys, uow)
    finally:
        await engine.dispose()


def _database_url(settings: Settings) -> str | None:
    """The operator's, else that of the embedded PostgreSQL as it runs now."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    home = Home(settings.home.absolute())
    try:
        port = json.loads((home.path / "ports.json").read_text())["postgres"]
        return Cluster(home.postgres, port).url(PLATFORM_DATABASE)
    except (OSError, ValueError, KeyError):
        return None


def _tell(keys: KeySource, rotated: Rotated) -> None:
    how = "A rotation that was cut off is finished" if rotated.resumed else "Done"
    print(f"{how}: {rotated.wrapped} data keys were wrapped anew; all are under the master key {rotated.key_id}.")
    if rotated.resumed and isinstance(keys, KeyFile):
        print("No further key was made; for another one, run it again.")
    if not isinstance(keys, KeyFile) and rotated.spare:
        print(f"Nothing needs these any more; take them out of JOB_PLATFORM_MASTER_KEY: {', '.join(rotated.spare)}")


def _failed(reason: str) -> int:
    print(f"job-platform: {reason}", file=sys.stderr)
    return 1
