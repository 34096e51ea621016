"""Stand-ins for what is outside the platform; each passes the contract suite of the real one."""

from __future__ import annotations

from uuid import UUID, uuid4

from platform_api.ports.orchestrator import DeploymentIntent, OrchestratorUnavailable


class FakeOrchestrator:
    """Prefect as a dictionary; ``is_away`` makes every call fail as if it could not be reached."""

    def __init__(self) -> None:
        self.is_away = False
        #: What was applied last, by the deployment's id.
        self.shown: dict[UUID, DeploymentIntent] = {}
        #: Every intent that reached it, in order.
        self.applied: list[DeploymentIntent] = []

    async def apply(self, intent: DeploymentIntent) -> UUID:
        self._must_be_there()
        deployment_id = self._found(intent) or uuid4()
        self.shown[deployment_id] = intent
        self.applied.append(intent)
        return deployment_id

    async def remove(self, intent: DeploymentIntent) -> None:
        self._must_be_there()
        deployment_id = self._found(intent)
        if deployment_id is not None:
            del self.shown[deployment_id]

    async def deployments(self) -> dict[UUID, UUID]:
        self._must_be_there()
        return {deployment_id: intent.job_id for deployment_id, intent in self.shown.items()}

    async def is_healthy(self) -> bool:
        return not self.is_away

    def _found(self, intent: DeploymentIntent) -> UUID | None:
        if intent.deployment_id in self.shown:
            return intent.deployment_id
        return next((known for known, shown in self.shown.items() if shown.job_id == intent.job_id), None)

    def _must_be_there(self) -> None:
        if self.is_away:
            raise OrchestratorUnavailable("Prefect could not be reached: the fake is away")
