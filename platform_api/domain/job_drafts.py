"""A job as somebody would like to save it, with what was already found wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from platform_api.domain.errors import FieldError
from platform_api.domain.jobs import JobSpec, JobStatus


@dataclass(frozen=True, slots=True)
class JobDraft:
    """``spec`` is as much as could be read; a field named in ``faults`` has a stand-in there."""

    spec: JobSpec
    faults: tuple[FieldError, ...] = ()
    #: Wanted status; None leaves it as it is (a new job is active).
    status: JobStatus | None = None
    #: The version that the change is meant for, where the body says so.
    version: int | None = None
    #: What only the platform decides, as the body repeats it: a change that contradicts what is stored is refused.
    claims: dict[str, Any] = field(default_factory=dict)
