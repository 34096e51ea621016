"""How the processes of this machine are, where a supervisor looks after them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChildReport:
    """One supervised process."""

    name: str
    #: starting, running, waiting (it died and will be started again) or stopped.
    status: str
    restarts: int
    #: How it ended last time, in words; None when it never did.
    last_end: str | None
    last_end_at: datetime | None
    pid: int | None
    #: The kernel's start time of the process, which tells it from a later one with the same number.
    started: int | None


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """All of them, and whether the platform is ``starting``, ``serving`` or ``stopping``."""

    phase: str
    children: list[ChildReport]
    #: The supervisor's own process number.
    pid: int = 0

    def to_json(self) -> dict[str, object]:
        """As it is written to the home."""
        return {"pid": self.pid, "phase": self.phase, "children": [_child_to_json(child) for child in self.children]}

    @classmethod
    def from_json(cls, document: dict[str, object]) -> SupervisorReport:
        """As it is read back; raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
        children = document["children"]
        if not isinstance(children, list):
            raise TypeError("children is no list")
        return cls(str(document["phase"]), [_child_from_json(child) for child in children], int(str(document["pid"])))


def _child_to_json(child: ChildReport) -> dict[str, object]:
    return asdict(child) | {"last_end_at": child.last_end_at.isoformat() if child.last_end_at else None}


def _child_from_json(document: dict[str, object]) -> ChildReport:
    moment = document["last_end_at"]
    return ChildReport(**(document | {"last_end_at": datetime.fromisoformat(str(moment)) if moment else None}))  # type: ignore[arg-type]


class Supervision(Protocol):
    """Tells about the supervisor of this machine."""

    def report(self) -> SupervisorReport | None:
        """Its latest word; None where nobody supervises, as in a cluster."""
        ...


#: The supervisor's word in the home of its machine.
FILE_NAME = "children.json"


class FileSupervision:
    """The supervisor's word as it lies in the home."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def report(self) -> SupervisorReport | None:
        """What the file says; None without one or with one that cannot be read."""
        try:
            return SupervisorReport.from_json(json.loads(self._path.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None


class ParentSupervision:
    """The same where the supervisor is this process's parent; what another one left behind means nothing here."""

    def __init__(self, home: Path) -> None:
        self._file = FileSupervision(home / FILE_NAME)

    def report(self) -> SupervisorReport | None:
        """The parent's word; None where the parent is no supervisor."""
        report = self._file.report()
        return report if report is not None and report.pid == os.getppid() else None
