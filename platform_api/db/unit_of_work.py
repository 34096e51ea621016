"""One transaction, and the stores that share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_api.db.accounts import SqlAccounts
from platform_api.db.agenda import SqlAgenda
from platform_api.db.api_keys import SqlApiKeys
from platform_api.db.audit import SqlAuditTrail
from platform_api.db.audit_chain import SqlAuditChain
from platform_api.db.claims import SqlClaims
from platform_api.db.dashboard import SqlDashboard
from platform_api.db.dead_letters import SqlDeadLetters
from platform_api.db.ends import SqlEnds
from platform_api.db.executions import SqlExecutions
from platform_api.db.health import SqlHealthFigures
from platform_api.db.idempotency import SqlIdempotencyKeys
from platform_api.db.jobs import SqlJobs
from platform_api.db.leases import SqlLeases
from platform_api.db.metrics import SqlMetrics
from platform_api.db.people import SqlPeople
from platform_api.db.personal_data import SqlPersonalData
from platform_api.db.reports import SqlReports
from platform_api.db.runs import SqlRuns
from platform_api.db.secret_records import SqlSecretRecords
from platform_api.db.sessions import SqlSessions
from platform_api.db.sign_in import SqlSignIns
from platform_api.db.starts import SqlStarts
from platform_api.db.sync import SqlSyncStore
from platform_api.db.system import SqlSystemFigures
from platform_api.db.teams import SqlTeams
from platform_api.db.versions import SqlVersions
from platform_api.ports.accounts import Accounts
from platform_api.ports.agenda import Agenda
from platform_api.ports.api_keys import ApiKeys
from platform_api.ports.audit import AuditTrail
from platform_api.ports.audit_chain import AuditChain
from platform_api.ports.claims import Claims
from platform_api.ports.dashboard import Dashboard
from platform_api.ports.dead_letters import DeadLetters
from platform_api.ports.ends import Ends
from platform_api.ports.executions import Executions
from platform_api.ports.health import HealthFigures
from platform_api.ports.idempotency import IdempotencyKeys
from platform_api.ports.jobs import Jobs
from platform_api.ports.leases import Leases
from platform_api.ports.metrics import Metrics
from platform_api.ports.people import People
from platform_api.ports.personal_data import PersonalData
from platform_api.ports.reports import Reports
from platform_api.ports.runs import Runs
from platform_api.ports.secret_records import SecretRecords
from platform_api.ports.sessions import Sessions
from platform_api.ports.sign_in import SignIns
from platform_api.ports.signals import Channel
from platform_api.ports.starts import Starts
from platform_api.ports.sync import SyncStore
from platform_api.ports.system import SystemFigures
from platform_api.ports.teams import Teams
from platform_api.ports.versions import Versions


class SqlUnitOfWork:
    """The stores of one open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.agenda: Agenda = SqlAgenda(connection)
        self.api_keys: ApiKeys = SqlApiKeys(connection)
        self.audit: AuditTrail = SqlAuditTrail(connection)
        self.audit_chain: AuditChain = SqlAuditChain(connection)
        self.idempotency: IdempotencyKeys = SqlIdempotencyKeys(connection)
        self.jobs: Jobs = SqlJobs(connection)
        self.versions: Versions = SqlVersions(connection)
        self.people: People = SqlPeople(connection)
        self.personal_data: PersonalData = SqlPersonalData(connection)
        self.teams: Teams = SqlTeams(connection)
        self.claims: Claims = SqlClaims(connection)
        self.ends: Ends = SqlEnds(connection)
        self.leases: Leases = SqlLeases(connection)
        self.reports: Reports = SqlReports(connection)
        self.starts: Starts = SqlStarts(connection)
        self.sync: SyncStore = SqlSyncStore(connection)
        self.health: HealthFigures = SqlHealthFigures(connection)
        self.dashboard: Dashboard = SqlDashboard(connection)
        self.dead_letters: DeadLetters = SqlDeadLetters(connection)
        self.executions: Executions = SqlExecutions(connection)
        self.metrics: Metrics = SqlMetrics(connection)
        self.runs: Runs = SqlRuns(connection)
        self.sessions: Sessions = SqlSessions(connection)
        self.sign_ins: SignIns = SqlSignIns(connection)
        self.accounts: Accounts = SqlAccounts(connection)
        self.secrets: SecretRecords = SqlSecretRecords(connection)
        self.system: SystemFigures = SqlSystemFigures(connection)

    async def notify(self, channel: Channel, payload: str) -> None:
        """Wake the channel's listeners at commit."""
        await self._connection.execute(
            text("SELECT pg_notify(:channel, :payload)"), {"channel": channel.value, "payload": payload}
        )

    async def notify_all(self, channel: Channel, payloads: Iterable[str]) -> None:
        """Wake many listeners at commit."""
        await self._connection.execute(
            text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS p(payload)"),
            {"channel": channel.value, "payloads": list(payloads)},
        )


def units_of_work(engine: AsyncEngine) -> Callable[[], AbstractAsyncContextManager[SqlUnitOfWork]]:
    """A factory of transactions on ``engine``."""

    @asynccontextmanager
    async def unit_of_work() -> AsyncIterator[SqlUnitOfWork]:
        async with engine.begin() as connection:
            yield SqlUnitOfWork(connection)

    return unit_of_work
