"""Signing in: to the provider, back again, and bearer tokens at the API's door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Entry, Subject
from platform_api.domain.errors import NotAuthenticated
from platform_api.domain.executions import TriggeredBy
from platform_api.identity.sessions import hash_token, new_token
from platform_api.ports.identity import Claims, SignInRefused
from platform_api.ports.sign_in import SignInUnderWay
from platform_api.use_cases import sessions
from platform_api.use_cases.accounts import NoAccount, account_of
from platform_api.use_cases.authentication import Origin
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.services import Services
from rbac.principal import Principal

#: Between the way to the provider and the way back: time for a password, a telephone and a question to a colleague.
HOLDS_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Leaving:
    """The provider's address, and what the browser must bring back."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A session's cookie and where its person wanted to go."""

    session_token: str
    next: str


async def leave(services: Services, redirect_uri: str, next_path: str) -> Leaving:
    """Begin a sign-in; raises ``ProviderAway``. The provider is asked before anything is written."""
    departure = await services.identity.begin(redirect_uri)
    token, now = new_token(), services.clock.now()
    async with services.uow() as uow:
        await uow.sign_ins.remove_expired(now)
        await uow.sign_ins.add(hash_token(token), SignInUnderWay(departure.flow, next_path), now + HOLDS_FOR)
    return Leaving(departure.address, token)


async def arrive(
    services: Services, token: str | None, answer: Mapping[str, str], origin: Origin, replaced: str | None
) -> Arrived:
    """End a sign-in with a new session; raises ``SignInRefused``, ``NoAccount`` and ``ProviderAway``.

    A refusal is written in a transaction of its own, as every failed sign-in.
    """
    claims: Claims | None = None
    try:
        under_way = await _taken(services, token)
        claims = await services.identity.complete(under_way.flow, answer)
        return Arrived(await _begin_session(services, claims, origin, replaced), under_way.next)
    except (SignInRefused, NoAccount) as refusal:
        await _record_refusal(services, Action.SIGN_IN_FAILED, "session", origin, str(refusal), claims)
        raise


async def identify_bearer(services: Services, token: str, origin: Origin) -> Principal:
    """The principal that a bearer token stands for; raises ``NotAuthenticated``, ``NoAccount``, ``ProviderAway``."""
    claims: Claims | None = None
    try:
        claims = await services.identity.claims_of(token)
        async with services.uow() as uow:
            return await account_of(uow, services.settings, claims, origin)
    except (NotAuthenticated, NoAccount) as refusal:
        await _record_refusal(services, Action.AUTHENTICATION_FAILED, "token", origin, str(refusal), claims)
        if isinstance(refusal, NoAccount):
            raise NotAuthenticated(str(refusal)) from refusal
        raise


async def _taken(services: Services, token: str | None) -> SignInUnderWay:
    """The departure that this browser returns from, once."""
    under_way = None
    if token is not None:
        async with services.uow() as uow:
            under_way = await uow.sign_ins.take(hash_token(token), services.clock.now())
    if under_way is None:
        raise SignInRefused("This sign-in was not begun in this browser, has ended already, or took too long.")
    return under_way


async def _begin_session(services: Services, claims: Claims, origin: Origin, replaced: str | None) -> str:
    async with services.uow() as uow:
        principal = await account_of(uow, services.settings, claims, origin)
        caller = Caller(principal, origin.request_id, origin.ip_address, origin.user_agent, TriggeredBy.MANUAL)
        return await sessions.begin(uow, services.settings, caller, services.clock.now(), replaced)


async def _record_refusal(
    services: Services, action: Action, kind: str, origin: Origin, reason: str, claims: Claims | None
) -> None:
    """Keep that somebody was turned away; whom the provider vouched for, where it did."""
    entry = Entry(
        action=action,
        subject=Subject(kind, None, claims.email if claims else None),
        outcome=Outcome.DENIED,
        reason=reason,
        actor_email=claims.email if claims else None,
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
        request_id=origin.request_id,
    )
    async with services.uow() as uow:
        await uow.audit.record(entry)
