"""What people read about a run: one place for the wording."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from uuid import UUID

JOB_DISABLED = "The job was disabled"
JOB_DELETED = "The job was deleted"
WATCHER_VANISHED = "The process that watched the script vanished"
MISSED = "Missed while nothing was there to start it"
TICK_TAKEN = "Another run has this tick already"

#: A line of output in a message is cut here; the log has it whole.
LONGEST_LINE = 300


def still_running(occupant: UUID) -> str:
    """Why a run was skipped."""
    return f"Execution {occupant} was still running"


def waits_for(occupant: UUID) -> str:
    """Why a run is queued."""
    return f"Waits for execution {occupant}"


def replaced_by(tick: datetime) -> str:
    """Why a missed tick is not made up for."""
    return f"Missed: replaced by the run of {_moment(tick)}"


def beyond_catch_up(most: int) -> str:
    """Why one of very many missed ticks is not made up for."""
    return f"Missed: only the newest {most} missed ticks are made up for"


def due_at(tick: datetime) -> str:
    """What Prefect shows of a tick that it has not proposed itself."""
    return f"Due at {_moment(tick)}"


def cancelled_by(person: str | None) -> str:
    """Who stopped it."""
    return f"Cancelled by {person}" if person else "Cancelled"


def timed_out_after(seconds: float) -> str:
    """The limit in the unit in which it was given."""
    number, unit = (seconds / 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"Timed out after {number:g} {unit}{'' if number == 1 else 's'}"


def exit_code(code: int, last_error_line: str | None) -> str:
    """The code with what the script said last on stderr."""
    line = (last_error_line or "").strip()[:LONGEST_LINE]
    return f"Exit code {code}: {line}" if line else f"Exit code {code}"


def killed_by(number: int) -> str:
    """The signal by its name."""
    try:
        return f"Killed by {signal.Signals(number).name}"
    except ValueError:
        return f"Killed by signal {number}"


def _moment(tick: datetime) -> str:
    return f"{tick.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
