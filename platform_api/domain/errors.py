"""What can go wrong, in the platform's own words.

Every door translates these in one table (``platform_api.rest.errors``); nothing below a door
knows about HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field: which field (dotted path) and how to mend it."""

    field: str
    message: str


class PlatformError(Exception):
    """Base of every error that a user may see; its text is written for that user."""


class InvalidContent(PlatformError):
    """The request is well formed but what it says cannot be accepted."""

    def __init__(self, errors: list[FieldError]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors))

    @classmethod
    def of(cls, field: str, message: str) -> InvalidContent:
        """One fault of one field."""
        return cls([FieldError(field, message)])


class NotAuthenticated(PlatformError):
    """No credentials, or credentials that are unknown, expired or revoked."""


class NotAllowed(PlatformError):
    """You may know about this, but you may not do this with it."""


class NotFound(PlatformError):
    """It does not exist, or you may not know whether it exists."""


class Conflict(PlatformError):
    """It contradicts what is already stored, such as a name that is taken."""


class StaleVersion(PlatformError):
    """The caller changed an older version than the one that is stored."""

    def __init__(self, current: int, what: str = "job") -> None:
        self.current = current
        super().__init__(f"The {what} has changed meanwhile; its version is now {current}. Read it again and retry.")


class LimitReached(PlatformError):
    """A quota or rate limit; retry after so many seconds."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class Unavailable(PlatformError):
    """Something the platform needs is away for now; retry after so many seconds."""

    def __init__(self, message: str, retry_after_seconds: int = 5) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)
