"""Whether the audit trail holds, asked of the database itself: no API has to be trusted for the answer."""

from __future__ import annotations

import asyncio
import json
import sys

from sqlalchemy.exc import SQLAlchemyError

from platform_api.db.engine import create_engine
from platform_api.db.unit_of_work import units_of_work
from platform_api.embedded.home import Home
from platform_api.embedded.postgres import Cluster
from platform_api.embedded.start import PLATFORM_DATABASE
from platform_api.ports.audit_chain import Head
from platform_api.settings import Settings
from platform_api.use_cases.audit_chain import Verdict, examine


def verify_trail(expect_head: str | None, *, as_json: bool) -> int:
    """``audit verify``: 0 when everything holds, 1 at the first entry that does not, 2 when it cannot be told."""
    url = _database_url(Settings())
    if url is None:
        return _cannot_tell("set JOB_PLATFORM_DATABASE_URL, or JOB_PLATFORM_HOME of a platform that runs here")
    try:
        expected = Head.parse(expect_head) if expect_head is not None else None
    except ValueError:
        return _cannot_tell("--expect-head takes what an earlier check printed as the head, such as 5:9f86d081...")
    try:
        verdict = asyncio.run(_examine(url, expected))
    except (SQLAlchemyError, OSError) as error:
        # No server, no tables: whatever stands in the way, it is no verdict on the trail.
        return _cannot_tell(str(error).splitlines()[0])
    print(json.dumps(verdict.document()) if as_json else _words(verdict))
    return 0 if verdict.valid else 1


async def _examine(url: str, expected: Head | None) -> Verdict:
    engine = create_engine(url, pool_size=1, application_name="job-platform audit")
    try:
        async with units_of_work(engine)() as uow:
            return await examine(uow.audit_chain, expected)
    finally:
        await engine.dispose()


def _database_url(settings: Settings) -> str | None:
    """The one that is set, else that of the platform which is served from the home."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    home = Home(settings.home.absolute())
    ports = home.path / "ports.json"
    if not ports.exists():
        return None
    return Cluster(home.postgres, json.loads(ports.read_text())["postgres"]).application_url(PLATFORM_DATABASE)


def _words(verdict: Verdict) -> str:
    broken = verdict.first_invalid
    if broken is None:
        found = f"The audit trail holds: {verdict.checked} entries."
    else:
        where = f"entry {broken.entry_id}: " if broken.entry_id is not None else ""
        found = f"The audit trail does NOT hold ({verdict.checked} entries before that do): {where}{broken.reason}."
    return f"{found}\nhead: {verdict.head}"


def _cannot_tell(why: str) -> int:
    print(f"job-platform: the audit trail could not be checked: {why}", file=sys.stderr)
    return 2
