"""What one run may know and must not say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from platform_api.domain.jobs import JobSpec
from platform_api.ports.claims import HeldRun
from work_pools.equipment import Equipment
from work_pools.executors.protocol import AttemptEnd
from work_pools.loops import until_done
from work_pools.masking import TRANSPARENT, Masker


def masker_for(values: Collection[str]) -> Masker:
    """What masks these values."""
    return Masker(values) if values else TRANSPARENT


async def masker_of(equipment: Equipment, run: HeldRun, spec: JobSpec) -> Masker:
    """The masker of a script that runs already: none of its words leave here until its secrets are known.

    What it was given when it started is masked, whatever was replaced, deleted or taken from its job since.
    """
    if not spec.secrets:
        return TRANSPARENT
    fetch = partial(equipment.secrets.given, run.id)
    return masker_for(await until_done("Fetching the secrets of a run", fetch))


def masked_end(end: AttemptEnd, masker: Masker) -> AttemptEnd:
    """The end without what the script, or whoever failed to start it, may have said of its secrets."""
    return replace(
        end,
        error=end.error and masker.mask_text(end.error),
        result=masker.mask_json(end.result) if masker else end.result,
        result_error=end.result_error and masker.mask_text(end.result_error),
    )
