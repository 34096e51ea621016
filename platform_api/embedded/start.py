"""Brings the whole platform up on this machine and keeps it there until it is asked to stop.

Whatever can load meanwhile loads meanwhile: every Python process is started first of all and waits, with its modules
loaded, at its gate.

    initdb, PostgreSQL --+-- Prefect migrates its database (the longest step) -- worker --+
                         +-- our migrations, sample users -- API -------------------------+-- ready
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from pydantic import SecretStr

from platform_api.embedded import environments, plans, postgres
from platform_api.embedded.child import Child
from platform_api.embedded.environments import Access
from platform_api.embedded.home import Home, port_is_free, write_private_json
from platform_api.embedded.plans import Address
from platform_api.embedded.postgres import Cluster
from platform_api.embedded.progress import Progress
from platform_api.embedded.readiness import StartFailed, answers, until_ready
from platform_api.embedded.supervisor import Supervisor
from platform_api.settings import Settings

PLATFORM_DATABASE = "job_platform"
PREFECT_DATABASE = "prefect"

POSTGRES_SECONDS = 60.0
#: An upgrade of a large Prefect database may take minutes; its process is watched meanwhile.
PREFECT_SECONDS = 600.0
API_SECONDS = 60.0
HEALTHY_SECONDS = 60.0

#: Every address of this machine: the platform itself then asks on loopback.
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line decides."""

    host: str
    port: int
    pool: str


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that is ready."""

    home: Home
    base_url: str
    #: The same on loopback, whatever people see.
    local_url: str
    progress: Progress


#: What goes on beside a running platform (the demo): an exit status ends the platform, None leaves it serving.
Beside = Callable[[Running], Awaitable[int | None]]


class PlatformStart:
    """One start of the platform, step by step."""

    def __init__(self, settings: Settings, options: Options, supervisor: Supervisor) -> None:
        self._settings = settings
        self._address = Address(options.host, options.port)
        self._home = home = supervisor.home
        self._progress = supervisor.progress
        self._cluster = _cluster(settings, home)
        self._access = _access(settings, options, home, self._cluster)
        self.supervisor = supervisor

    async def run(self) -> Running:
        """Everything from an empty or a used home to the first healthy answer."""
        if not port_is_free(self._address.host, self._address.port):
            raise StartFailed(f"port {self._address.port} of {self._address.host} is in use; take another: --port")
        write_private_json(self._home.path / "prefect.json", _prefect_door(self._access))
        try:
            async with asyncio.TaskGroup() as steps:
                await self._all_steps(steps)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        await self._until_healthy()
        return Running(self._home, self._access.base_url, self._local_url, self._progress)

    async def _all_steps(self, steps: asyncio.TaskGroup) -> None:
        """The order of the picture above."""
        preparation = Child(plans.of_preparation(self._access))
        await preparation.start()
        prefect = await self.supervisor.add(plans.of_prefect(self._access))
        await self._start_postgres()
        steps.create_task(self._prepare(preparation))
        steps.create_task(self._start_prefect(prefect))

    async def _start_postgres(self) -> None:
        if self._cluster is None:
            self._progress.say("PostgreSQL ... external")
            return
        with self._progress.step("PostgreSQL"):
            await asyncio.to_thread(postgres.initialise, self._cluster)
            postgres.free_the_pid_file(self._cluster)
            child = await self.supervisor.add(plans.of_postgres(self._cluster))
            await self._until(child, self._postgres_answers, POSTGRES_SECONDS)
            await asyncio.to_thread(self._make_databases)

    def _postgres_answers(self) -> bool:
        return self._cluster is not None and postgres.answers(self._cluster)

    def _make_databases(self) -> None:
        if self._cluster is None:
            return
        for name in (PLATFORM_DATABASE, PREFECT_DATABASE):
            postgres.ensure_database(self._cluster, name)
        postgres.ensure_application_role(self._cluster)

    async def _prepare(self, preparation: Child) -> None:
        """Migrations and sample users; the API loads beside them and starts after them."""
        api = await self.supervisor.add(plans.of_api(self._access, self._address))
        with self._progress.step("migrations, sample users", "running"):
            preparation.open_gate()
            end = await preparation.wait()
            if end != "exit code 0":
                raise StartFailed(f"the migrations failed ({end}):\n{preparation.last_words()}")
        with self._progress.step("API"):
            api.open_gate()
            await self._until(api, answers(f"{self._local_url}/health/live"), API_SECONDS)

    async def _start_prefect(self, prefect: Child) -> None:
        """Prefect makes or migrates its database before it answers; the worker loads meanwhile."""
        with self._progress.step("Prefect", "migrating its database and starting"):
            prefect.open_gate()
            worker = await self.supervisor.add(plans.of_worker(self._access))
            await self._until(prefect, answers(f"{self._access.prefect_api_url}/health"), PREFECT_SECONDS)
        worker.open_gate()

    async def _until_healthy(self) -> None:
        with self._progress.step("worker and health checks", "waiting"):
            self.supervisor.serving()
            api = self.supervisor.child("api")
            await self._until(api, answers(f"{self._local_url}/health"), HEALTHY_SECONDS)

    async def _until(self, child: Child, check: Callable[[], bool], seconds: float) -> None:
        await until_ready(child, check, seconds, self._progress, self.supervisor.hopeless)

    @property
    def _local_url(self) -> str:
        return local_url(self._address.host, self._address.port)


def _cluster(settings: Settings, home: Home) -> Cluster | None:
    """The embedded PostgreSQL, unless both databases are elsewhere."""
    if settings.database_url and settings.prefect_database_url:
        return None
    return Cluster(home.postgres, home.port("postgres"), home.logs / "postgres.log")


def _access(settings: Settings, options: Options, home: Home, cluster: Cluster | None) -> Access:
    if cluster is not None:
        home.postgres.mkdir(mode=0o700, exist_ok=True)
        postgres.ensure_password(cluster)
    return Access(
        home=home,
        base_url=_base_url(settings, options),
        database_url=_application_url(settings, cluster),
        owner_database_url=_database_url(
            settings.owner_database_url or settings.database_url, cluster, PLATFORM_DATABASE
        ),
        prefect_database_url=_database_url(settings.prefect_database_url, cluster, PREFECT_DATABASE),
        prefect_port=home.port("prefect"),
        prefect_auth_string=environments.prefect_auth_string(settings, home),
        api_key_pepper=environments.api_key_pepper(settings, home),
        work_pool=options.pool,
    )


def _application_url(settings: Settings, cluster: Cluster | None) -> str:
    """Of a role that owns no table, so that a fault of the API cannot rewrite the audit trail."""
    if settings.database_url is None and cluster is not None:
        return cluster.application_url(PLATFORM_DATABASE)
    return _database_url(settings.database_url, cluster, PLATFORM_DATABASE)


def _database_url(given: SecretStr | None, cluster: Cluster | None, name: str) -> str:
    if given is not None:
        return given.get_secret_value()
    if cluster is None:
        raise StartFailed(f"no PostgreSQL for the database {name}")
    return cluster.url(name)


def _base_url(settings: Settings, options: Options) -> str:
    """What the operator says, else where this start listens."""
    given = "base_url" in settings.model_fields_set
    return settings.base_url if given else local_url(options.host, options.port)


def local_url(host: str, port: int) -> str:
    """The API's address as this machine reaches it."""
    name = "127.0.0.1" if host in EVERY_ADDRESS else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _prefect_door(access: Access) -> dict[str, str]:
    """How an administrator of this machine reaches Prefect's own API."""
    return {"api_url": access.prefect_api_url, "auth_string": access.prefect_auth_string}


async def serve(settings: Settings, options: Options, beside: Beside | None = None) -> int:
    """Start, serve until a signal or the end of ``beside``, stop; the exit status."""
    progress = Progress()
    home = Home(settings.home.absolute())
    home.prepare()
    with home.locked():
        stop = _stop_signals()
        supervisor = Supervisor(home, progress)
        try:
            return await _until_stopped(_serve(settings, options, supervisor, stop, beside), stop)
        finally:
            await supervisor.stop()
            progress.say("everything is stopped")


async def _serve(
    settings: Settings, options: Options, supervisor: Supervisor, stop: asyncio.Event, beside: Beside | None
) -> int:
    # Before ports are chosen: those of last time are free once nobody is left, and whoever knows them can go on.
    await supervisor.end_leftovers()
    running = await PlatformStart(settings, options, supervisor).run()
    running.progress.say(f"ready: {running.base_url} (keys: {running.home.credentials}, logs: {running.home.logs})")
    status = await beside(running) if beside is not None else None
    if status is not None:
        return status
    running.progress.say("serving until Ctrl-C")
    await stop.wait()
    return 0


async def _until_stopped(serving: Coroutine[None, None, int], stop: asyncio.Event) -> int:
    """The result of ``serving``, or 0 when a signal came first: also in the middle of a start."""
    task = asyncio.create_task(serving)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return 0
    return task.result()


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
