"""What a process lives by is in the trail, once per change, and no secret with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from platform_api.use_cases.settings_trail import record_settings
from tests.cast import Cast, settings_for_tests


async def started(cast: Cast, **changed: Any) -> bool:
    """Whether a process with these settings added an entry."""
    settings = settings_for_tests(home=cast.services.settings.home, **changed)
    return await record_settings(replace(cast.services, settings=settings))


async def test_a_start_with_other_settings_is_an_entry_and_one_with_the_same_is_none(cast: Cast) -> None:
    assert await started(cast, max_jobs_per_team=7)
    assert not await started(cast, max_jobs_per_team=7)
    assert await started(cast, max_jobs_per_team=8, database_url="postgresql://app:s3cret@db/x")
    assert not await started(cast, max_jobs_per_team=8, database_url="postgresql://app:s3cret@db/x")
    assert await started(cast)
    back, more, _ = (await cast.admin.get("/audit-logs?action=settings.changed")).json()["items"]
    assert more["changes"]["max_jobs_per_team"] == {"old": 7, "new": 8}
    assert more["changes"]["database_url"] == {"old": None, "new": "set"}
    assert back["changes"]["max_jobs_per_team"] == {"old": 8, "new": None}
    assert "s3cret" not in str((back, more))
    assert "pepper for tests" not in str((back, more))
