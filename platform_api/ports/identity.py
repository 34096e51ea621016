"""The identity provider, as sign-in and the API's door see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from platform_api.domain.errors import NotAuthenticated, Unavailable


class ProviderAway(Unavailable):
    """The identity provider cannot be reached; sessions and API keys are not concerned."""

    def __init__(self) -> None:
        super().__init__(
            "The identity provider cannot be reached for now. Sessions and API keys go on working; try again soon.", 30
        )


class SignInRefused(NotAuthenticated):
    """The provider, or what came back from it, does not let this person in."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What the provider vouches for about a person."""

    issuer: str
    #: Never given to another person by this issuer.
    subject: str
    email: str | None
    name: str | None
    #: App roles and groups.
    names: frozenset[str]
    issued_at: datetime
    #: The provider left the groups out because there are too many of them.
    groups_left_out: bool = False


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes to sign in, and what must be known when it comes back."""

    address: str
    flow: Mapping[str, Any]


class IdentityProvider(Protocol):
    """Knows who people are."""

    async def begin(self, redirect_uri: str) -> Departure:
        """Start a sign-in that ends at ``redirect_uri``; raises ``ProviderAway``."""
        ...

    async def complete(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> Claims:
        """Who came back with ``answer``; raises ``SignInRefused`` and ``ProviderAway``."""
        ...

    async def claims_of(self, token: str) -> Claims:
        """Who a bearer token stands for; raises ``NotAuthenticated``, and ``ProviderAway`` without any known key."""
        ...

    async def sign_out_address(self, return_to: str) -> str | None:
        """Where the browser goes to end the provider's own session; None where that cannot be said."""
        ...

    def origins(self) -> tuple[str, ...]:
        """The origins that a browser is sent to for signing in and out."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
