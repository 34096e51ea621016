"""Secrets: what is known of them, and their values as a worker asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @property
    def confidential(self) -> frozenset[str]:
        """Every value that is to be masked."""
        return frozenset(self.env.values())


NO_SECRETS = SecretValues()


class Secrets(Protocol):
    """Where a worker gets values from."""

    async def values(self, execution_id: UUID, job_id: UUID, declared: Mapping[str, str]) -> SecretValues:
        """The values of ``declared`` (environment variable: name of the secret), as the job may use them now.

        It is remembered what the execution was given. Raises ``SecretsUnavailable``.
        """
        ...

    async def given(self, execution_id: UUID) -> frozenset[str]:
        """Every value that the execution was given, whatever has become of the secrets since.

        Raises ``SecretsUnavailable``.
        """
        ...


class MemorySecrets:
    """Values by name, the same for every job; empty, it is the store of a platform without one."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._given: dict[UUID, set[str]] = {}

    def set(self, name: str, value: str) -> None:
        """Give a secret a (new) value."""
        self._values[name] = value

    def delete(self, name: str) -> None:
        """Take a secret away."""
        del self._values[name]

    async def values(self, execution_id: UUID, job_id: UUID, declared: Mapping[str, str]) -> SecretValues:
        """See ``Secrets``."""
        missing = sorted(name for name in declared.values() if name not in self._values)
        if missing:
            raise SecretsUnavailable(f"There is no secret {', '.join(missing)}")
        env = {variable: self._values[name] for variable, name in declared.items()}
        self._given.setdefault(execution_id, set()).update(env.values())
        return SecretValues(env)

    async def given(self, execution_id: UUID) -> frozenset[str]:
        """See ``Secrets``."""
        return frozenset(self._given.get(execution_id, ()))
