"""Saving and enabling a job puts it on the agenda in the same transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.cast import Cast


async def entry(cast: Cast, job_id: str) -> Any:
    """When the worker looks at the job next."""
    async with cast.engine.begin() as connection:
        query = text("SELECT CAST(next_tick_at AS text) FROM agenda WHERE job_id = :id")
        return await connection.scalar(query, {"id": job_id})


async def settle(cast: Cast, job_id: str) -> None:
    """What the worker writes."""
    async with cast.engine.begin() as connection:
        await connection.execute(text("UPDATE agenda SET next_tick_at = 'infinity' WHERE job_id = :id"), {"id": job_id})


async def test_what_moves_the_schedule_moves_the_agenda_and_nothing_else_does(cast: Cast) -> None:
    maya = cast.maya
    body = {"name": "nightly", "type": "shell", "script": "true", "schedule": "0 2 * * *"}
    job = (await maya.post("/jobs", json=body)).raise_for_status().json()["job_id"]
    assert await entry(cast, job) == "-infinity"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"description": "at night"}, "infinity"),
        ({"schedule": "0 3 * * *"}, "-infinity"),
        ({"timezone": "Europe/Berlin"}, "-infinity"),
    ]
    for change, expected in changes:
        await settle(cast, job)
        (await maya.patch(f"/jobs/{job}", json=change)).raise_for_status()
        assert await entry(cast, job) == expected
    for verb, expected in (("disable", "infinity"), ("enable", "-infinity")):
        await settle(cast, job)
        (await maya.post(f"/jobs/{job}/{verb}")).raise_for_status()
        assert await entry(cast, job) == expected
