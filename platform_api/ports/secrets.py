"""Values of the secrets that jobs declare, as a worker asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


class SecretsUnavailable(Exception):
    """A value cannot be had: the secret does not exist, is not the job's to use, or its store is away.

    The text is shown to people as the reason why a script could not be started.
    """


@dataclass(frozen=True, slots=True)
class SecretValues:
    """What a script gets, and what nobody else may see."""

    #: By the environment variable that is to hold the value.
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Values that the same secrets had before; a script that was started with one of them may still print it.
    former: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def confidential(self) -> frozenset[str]:
        """Every value that is to be masked."""
        return self.former.union(self.env.values())


NO_SECRETS = SecretValues()


class Secrets(Protocol):
    """Where values come from."""

    async def values(self, job_id: UUID, declared: Mapping[str, str], since: datetime) -> SecretValues:
        """The values of ``declared`` (environment variable: name of the secret), as the job may use them.

        ``former`` are all others that these secrets have had from ``since`` on. Raises ``SecretsUnavailable``.
        """
        ...


class MemorySecrets:
    """Values by name, the same for every job; empty, it is the store of a platform without one."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._former: dict[str, set[str]] = {}

    def set(self, name: str, value: str) -> None:
        """Give a secret a (new) value."""
        if name in self._values:
            self._former.setdefault(name, set()).add(self._values[name])
        self._values[name] = value

    async def values(self, job_id: UUID, declared: Mapping[str, str], since: datetime) -> SecretValues:
        """See ``Secrets``. Nothing is known of the time of a change, so every former value counts."""
        missing = sorted(name for name in declared.values() if name not in self._values)
        if missing:
            raise SecretsUnavailable(f"There is no secret {', '.join(missing)}")
        env = {variable: self._values[name] for variable, name in declared.items()}
        return SecretValues(env, frozenset().union(*(self._former.get(name, ()) for name in declared.values())))
