"""What a job is: the values of the contract and the rules that need no other part of the platform.

Rules that need a calendar (is this a cron expression, does it ever fire) are asked of the ``Ticks`` port
by the use case; rules about people are asked of ``rbac``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from platform_api.domain.retries import RetryPolicy


class JobType(StrEnum):
    """What a job runs. ``bash`` is accepted at the doors and stored as ``shell``."""

    PYTHON = "python"
    SHELL = "shell"


class JobStatus(StrEnum):
    """Whether a job's schedule is followed."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class Concurrency(StrEnum):
    """What happens to a run that is due while another of the same job is not over."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What happens to ticks that passed while nothing could run them."""

    LATEST = "latest"
    NONE = "none"
    ALL = "all"


class Priority(StrEnum):
    """Which of several due runs starts first, highest first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class SyncState(StrEnum):
    """Whether Prefect's deployment shows what we store (D7)."""

    SYNCED = "synced"
    PENDING = "pending"
    FAILED = "failed"


DEFAULT_TIMEOUT_SECONDS = 60 * 60


#: Of an amount of memory, as Kubernetes writes them.
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{prefix}i": 1 << 10 * power for power, prefix in enumerate("KMGT", start=1)
}


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use at most, in Kubernetes' notation."""

    cpu: str = "1"
    memory: str = "2Gi"

    @property
    def cpu_cores(self) -> float:
        """The number of cores."""
        return float(self.cpu[:-1]) / 1000 if self.cpu.endswith("m") else float(self.cpu)

    @property
    def memory_bytes(self) -> int:
        """The amount in bytes."""
        number = self.memory.rstrip("KMGTik")
        return int(float(number) * _UNITS[self.memory[len(number) :]])


@dataclass(frozen=True, slots=True)
class Notifications:
    """Whom to tell about the end of an execution."""

    on_failure: tuple[str, ...] = ()
    on_success: tuple[str, ...] = ()
    slack_webhook: str | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything a person decides about a job; each saved change of it is a version, never edited again."""

    name: str
    type: JobType
    description: str = ""
    script: str | None = None
    script_url: str | None = None
    git: dict[str, str] | None = None
    arguments: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    schedule: str | None = None
    run_at: datetime | None = None
    interval_seconds: int | None = None
    timezone: str = "UTC"
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: Concurrency = Concurrency.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    priority: Priority = Priority.NORMAL
    resources: Resources = field(default_factory=Resources)
    image: str | None = None
    notifications: Notifications = field(default_factory=Notifications)
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def has_schedule(self) -> bool:
        """Whether the job runs by itself at all."""
        return bool(self.schedule or self.run_at or self.interval_seconds)

    def to_json(self) -> dict[str, Any]:
        """The form in which a version is stored; ``from_json`` reads it back unchanged."""
        document = asdict(self)
        document["run_at"] = self.run_at.isoformat() if self.run_at else None
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> JobSpec:
        """Read what ``to_json`` wrote, by this release or an earlier one (missing fields have their default)."""
        known = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        known["type"] = JobType(known["type"])
        known["arguments"] = tuple(known.get("arguments", ()))
        known["tags"] = tuple(known.get("tags", ()))
        known["run_at"] = datetime.fromisoformat(known["run_at"]) if known.get("run_at") else None
        known["retry_policy"] = RetryPolicy(**known.get("retry_policy", {}))
        known["concurrency"] = Concurrency(known.get("concurrency", Concurrency.SKIP))
        known["catch_up"] = CatchUp(known.get("catch_up", CatchUp.LATEST))
        known["priority"] = Priority(known.get("priority", Priority.NORMAL))
        known["resources"] = Resources(**known.get("resources", {}))
        known["notifications"] = _notifications(known.get("notifications", {}))
        return cls(**known)


def _notifications(document: dict[str, Any]) -> Notifications:
    return Notifications(
        on_failure=tuple(document.get("on_failure", ())),
        on_success=tuple(document.get("on_success", ())),
        slack_webhook=document.get("slack_webhook"),
    )
