"""Health, readiness and metrics, on a real database with its parts in every state."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.engine import create_engine
from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.domain.errors import PlatformError
from platform_api.embedded.home import write_private_json
from platform_api.embedded.postgres import free_port
from platform_api.main import create_app
from platform_api.ports.health import Vitals
from platform_api.ports.supervision import ChildReport, ParentSupervision, SupervisorReport
from platform_api.use_cases import health as health_module
from platform_api.use_cases.health import (
    Check,
    Health,
    reports_check,
    scheduler_check,
    supervisor_check,
    worker_check,
)
from tests.cast import Cast, services_on, settings_for_tests
from tests.history import a_job, an_execution_of

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
QUIET = Vitals(1, 0.5, [], 0, 0.0, 0, 0, 0, 0, 0.0)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question of a test sees what the test has just changed."""
    monkeypatch.setattr(health_module, "CACHE_SECONDS", -1.0)


async def ask(cast: Cast, path: str = "/health") -> Response:
    return await cast.stranger.client.get(path)


async def a_worker(engine: AsyncEngine, lease: str = "5 seconds", pool: str = "local", **columns: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("""INSERT INTO workers (id, name, pool, host, pid, version, lease_expires_at, stopped_at, warnings)
                    VALUES (:id, 'w', :pool, 'h', 1, '0', now() + CAST(:lease AS interval), :stopped_at, :warnings)"""),
            {"id": uuid4(), "lease": lease, "pool": pool, "stopped_at": None, "warnings": []} | columns,
        )


async def test_everything_is_ok_with_a_database_a_worker_and_prefect(cast: Cast) -> None:
    await a_worker(cast.engine)
    answer = await ask(cast)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert set(answer.json()["checks"]) == {"database", "prefect", "worker", "scheduler", "reports"}
    assert all(set(check) == {"status", "detail"} for check in answer.json()["checks"].values())
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "worker",
    [
        {"lease": "-1 seconds"},
        {"pool": "another"},
        {"stopped_at": NOW},
        None,
    ],
    ids=["its lease is over", "of another pool", "it said goodbye", "none"],
)
async def test_without_a_living_worker_jobs_cannot_run(cast: Cast, worker: dict[str, Any] | None) -> None:
    if worker is not None:
        await a_worker(cast.engine, **worker)
    answer = await ask(cast)
    assert answer.status_code == 500
    assert answer.json()["status"] == "down"
    assert answer.json()["checks"]["worker"] == {"status": "down", "detail": "no worker is alive"}
    assert (await ask(cast, "/health/ready")).status_code == 200


async def test_without_prefect_the_platform_is_degraded_and_serves(cast: Cast) -> None:
    await a_worker(cast.engine)
    cast.orchestrator.is_away = True
    answer = await ask(cast)
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["prefect"]["status"] == "degraded"


async def test_a_prefect_that_hangs_does_not_hang_the_answer(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "DEADLINE_SECONDS", 0.2)
    monkeypatch.setattr(cast.orchestrator, "is_healthy", lambda: asyncio.sleep(60))
    await a_worker(cast.engine)
    async with asyncio.timeout(5):
        answer = await ask(cast)
    assert answer.json()["checks"]["prefect"]["detail"].startswith("no answer within 0.2 s")


async def test_without_a_database_the_platform_is_down_and_says_no_secret(tmp_path: Path) -> None:
    settings = settings_for_tests(home=tmp_path, database_url=SecretStr("unused"))
    nowhere = create_engine(
        f"postgresql://someone:geheim@127.0.0.1:{free_port()}/none", pool_size=1, application_name="test"
    )
    services = services_on(nowhere, settings)
    async with AsyncClient(transport=ASGITransport(create_app(settings, services)), base_url="http://test") as client:
        answers = [await client.get(path) for path in ("/health", "/health/ready", "/health/live", "/metrics")]
    await nowhere.dispose()
    assert [answer.status_code for answer in answers] == [500, 503, 200, 200]
    assert answers[0].json()["checks"]["database"]["status"] == "down"
    assert answers[1].headers["retry-after"] == "1"
    assert "job_platform_database_up 0.0" in answers[3].text
    assert not any("geheim" in answer.text for answer in answers)


async def test_many_questions_at_once_are_one_examination(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CACHE_SECONDS", 60.0)
    asked = 0

    async def counted() -> bool:
        nonlocal asked
        asked += 1
        return True

    monkeypatch.setattr(cast.orchestrator, "is_healthy", counted)
    await asyncio.gather(*(ask(cast) for _ in range(20)))
    assert asked == 1


async def test_the_supervisors_word_counts_only_when_it_is_this_processes_parent(cast: Cast, tmp_path: Path) -> None:
    await a_worker(cast.engine)
    report = SupervisorReport("starting", [], os.getppid())
    write_private_json(tmp_path / "children.json", report.to_json())
    assert ParentSupervision(tmp_path).report() == report
    answer = await ask(cast)
    assert answer.status_code == 500
    assert answer.json()["checks"]["supervisor"] == {"status": "down", "detail": "the platform is starting"}
    write_private_json(tmp_path / "children.json", SupervisorReport("stopping", [], 1).to_json())
    assert "supervisor" not in (await ask(cast)).json()["checks"]


async def test_the_figures_count_what_is_due_and_not_what_waits_for_its_turn(cast: Cast) -> None:
    job = await a_job(cast.maya, concurrency="allow")
    now = datetime.now(UTC)
    late = now - timedelta(seconds=30)
    await an_execution_of(cast.engine, job, "queued", due_at=late)
    await an_execution_of(cast.engine, job, "queued", due_at=late, reason="Waits for execution 7")
    await an_execution_of(cast.engine, job, "queued", due_at=now + timedelta(seconds=40))
    await an_execution_of(cast.engine, job, "retrying", due_at=now + timedelta(seconds=40))
    await an_execution_of(cast.engine, job, "running", due_at=late)
    await an_execution_of(cast.engine, job, "running", due_at=late, pool="another")
    await an_execution_of(cast.engine, job, "success", due_at=late)
    await a_worker(cast.engine, warnings=["no sandbox"])
    async with cast.services.uow() as uow:
        vitals = await uow.health.vitals("local")
    assert (vitals.queued, vitals.retrying, vitals.running, vitals.overdue) == (3, 1, 1, 1)
    assert vitals.overdue_seconds == pytest.approx(30, abs=5)
    assert vitals.live_workers == 1
    assert vitals.warnings == ["no sandbox"]
    assert (await ask(cast)).json()["checks"]["scheduler"]["status"] == "degraded"


@pytest.mark.parametrize(
    ("check", "changed", "status"),
    [
        (worker_check, {}, "ok"),
        (worker_check, {"live_workers": 0, "heartbeat_age_seconds": None}, "down"),
        (worker_check, {"warnings": ["no sandbox"]}, "ok"),
        (scheduler_check, {}, "ok"),
        (scheduler_check, {"overdue": 3, "overdue_seconds": 9.0}, "ok"),
        (scheduler_check, {"overdue": 3, "overdue_seconds": 11.0}, "degraded"),
        (reports_check, {"reports": 500, "reports_seconds": 59.0}, "ok"),
        (reports_check, {"reports": 1, "reports_seconds": 61.0}, "degraded"),
    ],
)
def test_each_figure_has_its_verdict(check: Any, changed: dict[str, Any], status: str) -> None:
    values = {name: getattr(QUIET, name) for name in Vitals.__dataclass_fields__}
    assert check(Vitals(**(values | changed))).status == status


def child(status: str = "running", restarts: int = 0, ago: float | None = None) -> ChildReport:
    ended = NOW - timedelta(seconds=ago) if ago is not None else None
    return ChildReport("worker", status, restarts, "killed by SIGKILL" if ended else None, ended, 1, 1)


@pytest.mark.parametrize(
    ("phase", "state", "status"),
    [
        ("serving", child(), "ok"),
        ("serving", child(restarts=1, ago=5), "degraded"),
        ("serving", child(restarts=1, ago=600), "ok"),
        ("serving", child("waiting", 1, ago=600), "degraded"),
        ("starting", child(), "down"),
    ],
)
def test_a_restart_is_news_for_a_minute(phase: str, state: ChildReport, status: str) -> None:
    check = supervisor_check(SupervisorReport(phase, [state]), NOW)
    assert check.status == status
    assert ("killed by SIGKILL" in check.detail) == (state.restarts > 0 and phase == "serving")


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [(["ok", "ok"], "ok"), (["ok", "degraded"], "degraded"), (["degraded", "down"], "down"), (["down", "ok"], "down")],
)
def test_the_worst_part_decides(statuses: list[Any], worst: str) -> None:
    assert Health({str(n): Check(status, "") for n, status in enumerate(statuses)}).status == worst


async def test_metrics_count_requests_by_the_template_of_their_address(cast: Cast) -> None:
    job = await a_job(cast.maya)
    await an_execution_of(cast.engine, job, "failed", queued_at=datetime.now(UTC))
    await cast.maya.get(f"/jobs/{job}")
    await ask(cast, "/no/such/address")
    page = (await ask(cast, "/metrics")).text
    assert re.search(
        r'job_platform_http_requests_total\{method="GET",route="[^"]*/jobs/\{job_id\}",status="200"\} 1', page
    )
    assert str(job) not in page
    assert "/no/such/address" not in page
    assert 'job_platform_executions{status="failed"} 1.0' in page
    assert "job_platform_queue_depth 0.0" in page
    names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    assert names
    assert all(name.startswith("job_platform_") for name in names)


async def test_a_statement_that_fails_is_a_platform_error(engine: AsyncEngine) -> None:
    """What the health check catches is all that a dead database can raise."""
    nowhere = create_engine(f"postgresql://a:b@127.0.0.1:{free_port()}/none", pool_size=1, application_name="test")
    with pytest.raises(PlatformError):
        async with translated(units_of_work(nowhere))() as uow:
            await uow.health.vitals("local")
    await nowhere.dispose()
