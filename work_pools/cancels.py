"""Stops what people want stopped."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from platform_api.ports.reports import PrefectState, Report, ReportKind
from platform_api.ports.signals import Channel
from work_pools import messages
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptRef, EndCause
from work_pools.live import LiveRuns

#: Who is named when a run is cancelled in Prefect's own UI, which knows no people.
PREFECT_USER = "an administrator in Prefect"


class Canceller:
    """Turns requests in the database into signals to scripts; the end reports itself."""

    def __init__(self, equipment: Equipment, live: LiveRuns) -> None:
        self._equipment = equipment
        self._live = live
        self._asked: set[AttemptRef] = set()

    async def stop(self, requested: Iterable[UUID]) -> None:
        """Stop each live run once."""
        refs = {run.ref for id_ in requested if (run := self._live.get(id_))}
        for ref in refs - self._asked:
            await self._equipment.executor.stop(ref, EndCause.CANCELLED)
        self._asked = refs

    async def cancel_flow_run(self, flow_run_id: UUID) -> None:
        """Prefect's word for it: a waiting run ends at once, a running one is asked to stop."""
        async with self._equipment.uow() as uow:
            ended = await uow.ends.request_cancel(flow_run_id, PREFECT_USER, self._equipment.now())
            if ended is not None:
                state = PrefectState("CANCELLED", "Cancelled", messages.cancelled_by(PREFECT_USER))
                await uow.reports.add([Report(ReportKind.STATE, ended, state=state)])
                await uow.notify(Channel.EXECUTION, str(ended))
            await uow.notify(Channel.WORK, self._equipment.pool)
