"""The people of every test: Maya owns, Nadia is in her team, Rajesh in another, Chris may look, the admin may all.

A stranger has no key at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from httpx import ASGITransport, AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_api.db.translation import translated
from platform_api.db.unit_of_work import units_of_work
from platform_api.identity.provider import identity_provider, loopback_provider
from platform_api.identity.sample_users import ensure_sample_people
from platform_api.main import create_app
from platform_api.settings import Settings
from platform_api.ticks.cron_ticks import CronTicks
from platform_api.use_cases.services import Services
from tests.fakes import FakeOrchestrator


class FixedClock:
    """A clock that a test can set; until then it tells the real time."""

    def __init__(self) -> None:
        from platform_api.ports.clock import SystemClock

        self._real = SystemClock()
        self.at: Any = None

    def now(self) -> Any:
        """The set moment, or the real one."""
        return self.at or self._real.now()


@dataclass(frozen=True, slots=True)
class Actor:
    """One person at the API: ``await maya.get("/jobs")``."""

    email: str
    key: str | None
    client: AsyncClient

    async def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **rest: Any) -> Response:
        """One request under ``/api/v1``."""
        credentials = {"X-API-Key": self.key} if self.key else {}
        return await self.client.request(method, f"/api/v1{path}", headers=credentials | (headers or {}), **rest)

    async def get(self, path: str, **rest: Any) -> Response:
        return await self.request("GET", path, **rest)

    async def post(self, path: str, json: Any = None, **rest: Any) -> Response:
        return await self.request("POST", path, **({"json": json} if json is not None else {}), **rest)

    async def put(self, path: str, json: Any, **rest: Any) -> Response:
        return await self.request("PUT", path, json=json, **rest)

    async def patch(self, path: str, json: Any, **rest: Any) -> Response:
        return await self.request("PATCH", path, json=json, **rest)

    async def delete(self, path: str, **rest: Any) -> Response:
        return await self.request("DELETE", path, **rest)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, with what they act on."""

    admin: Actor
    maya: Actor
    nadia: Actor
    rajesh: Actor
    chris: Actor
    stranger: Actor
    services: Services
    orchestrator: FakeOrchestrator
    clock: FixedClock
    engine: AsyncEngine

    def named(self, name: str) -> Actor:
        """The person of that name."""
        actor: Actor = getattr(self, name)
        return actor


def settings_for_tests(**changed: Any) -> Settings:
    """Settings that read no file and no environment."""
    given: dict[str, Any] = {"api_key_pepper": SecretStr("a pepper for tests"), "_env_file": None}
    return Settings(**(given | changed))


def services_on(engine: AsyncEngine, settings: Settings, **changed: Any) -> Services:
    """Services on a real database and a fake Prefect."""
    from platform_api.db.engine import libpq_url
    from platform_api.db.signals import PostgresSignals
    from platform_api.log_store.archive import FolderArchive
    from platform_api.log_store.store import PostgresLogStore

    url = libpq_url(engine.url.render_as_string(hide_password=False))
    clock = FixedClock()
    loopback = loopback_provider(settings, lambda connection: False)
    given: dict[str, Any] = {
        "uow": translated(units_of_work(engine)),
        "ticks": CronTicks(),
        "orchestrator": FakeOrchestrator(),
        "logs": PostgresLogStore(engine, FolderArchive(settings.archive_folder), settings.log_limits),
        "signals": PostgresSignals(url),
        "clock": clock,
        "settings": settings,
        "identity": changed.get("identity") or identity_provider(settings, clock, loopback),
        "loopback": loopback,
    }
    return Services(**(given | changed))


async def assemble_cast(engine: AsyncEngine, services: Services) -> Cast:
    """Sample people with keys, at an application on ``services``."""
    app = create_app(services.settings, services)
    client = AsyncClient(transport=ASGITransport(app), base_url="http://test")
    people = await ensure_sample_people(engine, services.settings)
    actors = {person.email.partition("@")[0]: Actor(person.email, person.api_key, client) for person in people}
    return Cast(
        **actors,
        stranger=Actor("stranger@example.com", None, client),
        services=services,
        orchestrator=services.orchestrator,  # type: ignore[arg-type]
        clock=services.clock,  # type: ignore[arg-type]
        engine=engine,
    )


#: The least a job needs.
HELLO: dict[str, Any] = {"name": "Hello", "type": "python", "script": "print('hello')"}


def hello(**changed: Any) -> dict[str, Any]:
    """A small sound job, changed."""
    return HELLO | changed
