"""A job's metrics and the dashboard count what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cast import Cast
from tests.history import NOON, a_job, an_execution_of


class TestMetrics:
    """Counts, the share of successes, durations."""

    async def test_a_job_that_never_ran(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        assert (await cast.maya.get(f"/jobs/{job}/metrics")).json() == {
            "job_id": str(job),
            "from": None,
            "to": None,
            "total": 0,
            "success_count": 0,
            "failure_count": 0,
            "success_rate": None,
            "avg_duration_seconds": None,
            "median_duration_seconds": None,
            "p95_duration_seconds": None,
            "last_execution": None,
        }

    async def test_counts_and_durations(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        for seconds in range(1, 20):
            await an_execution_of(cast.engine, job, ended_at=NOON + timedelta(seconds=seconds))
        await an_execution_of(cast.engine, job, "timed_out", ended_at=NOON + timedelta(seconds=20))
        for status in ("cancelled", "skipped"):
            await an_execution_of(cast.engine, job, status)
        last = await an_execution_of(cast.engine, job, "running", queued_at=NOON + timedelta(hours=1))
        found = (await cast.maya.get(f"/jobs/{job}/metrics")).json()
        assert (found["total"], found["success_count"], found["failure_count"]) == (23, 19, 1)
        assert found["success_rate"] == 0.95
        assert found["avg_duration_seconds"] == found["median_duration_seconds"] == 10.5
        assert found["p95_duration_seconds"] == pytest.approx(19.05)
        assert (found["last_execution"]["execution_id"], found["last_execution"]["status"]) == (str(last), "running")

    async def test_a_span_of_time_counts_what_was_queued_in_it(self, cast: Cast) -> None:
        job = await a_job(cast.maya)
        for hours in range(4):
            await an_execution_of(cast.engine, job, queued_at=NOON + timedelta(hours=hours))
        span = {"from": (NOON + timedelta(hours=1)).isoformat(), "to": (NOON + timedelta(hours=3)).isoformat()}
        assert (await cast.maya.get(f"/jobs/{job}/metrics", params=span)).json()["total"] == 2
        assert (await cast.maya.get(f"/jobs/{job}/metrics?from=soon")).status_code == 400


class TestDashboard:
    """What one may see, counted."""

    async def test_it_counts_jobs_and_executions(self, cast: Cast) -> None:
        good, bad, off = [await a_job(cast.maya) for _ in range(3)]
        await cast.maya.post(f"/jobs/{off}/disable")
        gone = await a_job(cast.maya)
        await cast.maya.delete(f"/jobs/{gone}")
        now = datetime.now(UTC)
        for age in (1, 2, 30, 24 * 6, 24 * 8):
            await an_execution_of(cast.engine, good, queued_at=now - timedelta(hours=age))
        await an_execution_of(cast.engine, good, "running", queued_at=now)
        await an_execution_of(cast.engine, bad, queued_at=now - timedelta(hours=3))
        failed = await an_execution_of(
            cast.engine, bad, "failed", queued_at=now - timedelta(hours=2), error_message="Exit code 1: no"
        )
        await an_execution_of(cast.engine, bad, "skipped", queued_at=now - timedelta(hours=1))
        found = (await cast.maya.get("/dashboard")).json()
        assert (found["total_jobs"], found["active_jobs"], found["disabled_jobs"]) == (3, 2, 1)
        recent = found["executions_24h"]
        assert {status: count for status, count in recent.items() if count} == {
            "total": 6,
            "success": 3,
            "failed": 1,
            "running": 1,
            "skipped": 1,
        }
        assert found["success_rate_7d"] == round(5 / 6, 4)
        assert found["running_now"] == 1
        (shown,) = found["failed_jobs"]
        assert (shown["job_id"], shown["execution_id"]) == (str(bad), str(failed))
        assert (shown["status"], shown["error_message"]) == ("failed", "Exit code 1: no")

    async def test_a_failure_that_is_dealt_with_or_followed_by_a_success_needs_no_attention(self, cast: Cast) -> None:
        mended, dismissed = await a_job(cast.maya), await a_job(cast.maya)
        await an_execution_of(cast.engine, mended, "failed")
        await an_execution_of(cast.engine, mended, queued_at=NOON + timedelta(hours=1))
        failed = await an_execution_of(cast.engine, dismissed, "failed")
        await cast.maya.delete(f"/dead-letters/{failed}")
        assert (await cast.maya.get("/dashboard")).json()["failed_jobs"] == []

    async def test_nobody_sees_what_is_not_theirs_in_the_sums(self, cast: Cast) -> None:
        await an_execution_of(cast.engine, await a_job(cast.maya), "failed", queued_at=datetime.now(UTC))
        await a_job(cast.rajesh)
        for name, (jobs, executions, failures) in {
            "maya": (1, 1, 1),
            "chris": (1, 1, 1),
            "admin": (2, 1, 1),
            "rajesh": (1, 0, 0),
            "nadia": (0, 0, 0),
        }.items():
            found = (await cast.named(name).get("/dashboard")).json()
            sums = (found["total_jobs"], found["executions_24h"]["total"], len(found["failed_jobs"]))
            assert sums == (jobs, executions, failures), name

    async def test_one_team_of_several(self, cast: Cast) -> None:
        await a_job(cast.maya)
        await a_job(cast.rajesh)
        assert (await cast.admin.get("/dashboard?team=devops")).json()["total_jobs"] == 1
        assert (await cast.rajesh.get("/dashboard?team=devops")).json()["total_jobs"] == 0
        assert (await cast.stranger.get("/dashboard")).status_code == 401
