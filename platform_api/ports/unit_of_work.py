"""One transaction over the platform's database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

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


class UnitOfWork(Protocol):
    """The stores of one transaction, one per feature; each is a protocol in the feature's own file here."""

    agenda: Agenda
    api_keys: ApiKeys
    audit: AuditTrail
    audit_chain: AuditChain
    idempotency: IdempotencyKeys
    jobs: Jobs
    versions: Versions
    people: People
    personal_data: PersonalData
    teams: Teams
    claims: Claims
    ends: Ends
    leases: Leases
    reports: Reports
    starts: Starts
    sync: SyncStore
    health: HealthFigures
    dashboard: Dashboard
    dead_letters: DeadLetters
    executions: Executions
    metrics: Metrics
    runs: Runs
    sessions: Sessions
    sign_ins: SignIns
    accounts: Accounts
    secrets: SecretRecords
    system: SystemFigures

    async def notify(self, channel: Channel, payload: str) -> None:
        """Wake the channel's listeners when (and only if) the transaction commits."""
        ...

    async def notify_all(self, channel: Channel, payloads: Iterable[str]) -> None:
        """The same for many payloads in one statement."""
        ...
