"""What one run may know and must not say."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import partial

from platform_api.domain.jobs import JobSpec
from platform_api.ports.claims import HeldRun
from platform_api.ports.secret_store import ValueLost
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptEnd
from work_pools.loops import until_done
from work_pools.masking import TRANSPARENT, Masker

logger = logging.getLogger(__name__)

#: In place of all that a script said whose secrets nobody can mask any more.
WITHHELD = "Log and result are withheld: a secret of this run is lost, so it could not be masked"


def masker_for(values: Collection[str]) -> Masker:
    """What masks these values."""
    return Masker(values) if values else TRANSPARENT


async def masker_of(equipment: Equipment, run: HeldRun, spec: JobSpec) -> Masker | None:
    """The masker of a script that runs already: none of its words leave here until its secrets are known.

    What it was given when it started is masked, whatever was replaced, deleted or taken from its job since. None: a
    value is lost for good, so nothing that the script says can be shown.
    """
    if not spec.secrets:
        return TRANSPARENT
    given = await until_done("Fetching the secrets of a run", partial(_given, equipment, run))
    return None if given is None else masker_for(given)


async def _given(equipment: Equipment, run: HeldRun) -> frozenset[str] | None:
    try:
        return await equipment.secrets.given(run.id)
    except ValueLost as error:
        logger.error("The words of run %s are withheld, for its secrets cannot be masked: %s", run.id, error)
        return None


def masked_end(end: AttemptEnd, masker: Masker | None) -> AttemptEnd:
    """The end without what the script, or whoever failed to start it, may have said of its secrets."""
    if masker is None:
        return replace(end, error=WITHHELD, result=None, result_error=WITHHELD)
    return replace(
        end,
        error=end.error and masker.mask_text(end.error),
        result=masker.mask_json(end.result) if masker else end.result,
        result_error=end.result_error and masker.mask_text(end.result_error),
    )
