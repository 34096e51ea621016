"""Whose account a provider's claims lead to: found, made at the first sign-in, refreshed at later ones."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import Entry, Subject
from platform_api.domain.errors import NotAllowed
from platform_api.ports.accounts import Account, Profile
from platform_api.ports.identity import Claims
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.settings import Settings
from platform_api.use_cases.authentication import Origin
from rbac.principal import Principal
from rbac.role_map import Assignment, assign

_FIRST = "First sign-in"


class NoAccount(NotAllowed):
    """The provider knows this person, the platform does not let them in."""


async def account_of(uow: UnitOfWork, settings: Settings, claims: Claims, origin: Origin) -> Principal:
    """Who the claims are about, in this transaction; raises ``NoAccount`` with the reason.

    1. A subject that is known is that person, whatever their address is now.
    2. Else the one who has the address, unless another subject of the same provider is that person already.
    3. Else a new account, if the role map gives a role and a team.

    Role, team, name and address are refreshed from claims that are newer than the last.
    """
    account = await uow.accounts.by_subject(claims.issuer, claims.subject)
    if account is None:
        await uow.accounts.one_at_a_time()
        account = await uow.accounts.by_subject(claims.issuer, claims.subject)
    if account is None:
        return await _first_time(uow, settings, claims, origin)
    _require_active(account)
    if account.claims_at is None or claims.issued_at > account.claims_at:
        return await _refreshed(uow, settings, claims, account, origin)
    return account.principal


async def _first_time(uow: UnitOfWork, settings: Settings, claims: Claims, origin: Origin) -> Principal:
    if claims.email is None:
        raise NoAccount("The identity provider names no e-mail address for you, and accounts have one.")
    account = await uow.accounts.by_email(claims.issuer, claims.email)
    if account is None:
        return await _created(uow, settings, claims, claims.email, origin)
    _require_active(account)
    if account.claims_at is not None:
        raise NoAccount("Your e-mail address belongs to somebody else's account here; ask an administrator.")
    await uow.accounts.link(account.principal.user_id, claims.issuer, claims.subject, claims.issued_at)
    return await _refreshed(uow, settings, claims, account, origin)


async def _created(uow: UnitOfWork, settings: Settings, claims: Claims, email: str, origin: Origin) -> Principal:
    assignment = _assignment(settings, claims)
    if assignment is None:
        raise NoAccount("You have no account here, and no role map gives you one; ask an administrator.")
    user_id: UUID = uuid7()
    team_id = await _team(uow, assignment.team, origin)
    await uow.accounts.create(user_id, Profile(email, claims.name or email, assignment.role, team_id))
    await uow.accounts.link(user_id, claims.issuer, claims.subject, claims.issued_at)
    principal = Principal(user_id, email, assignment.role, team_id, assignment.team)
    await _record(uow, Action.USER_CREATED, Subject("user", str(user_id), email), origin, principal, _FIRST)
    return principal


async def _refreshed(
    uow: UnitOfWork, settings: Settings, claims: Claims, account: Account, origin: Origin
) -> Principal:
    """The account as the provider describes it now; without a role map role and team are the administrators' own."""
    known = account.principal
    assignment = _assignment(settings, claims) or Assignment(known.role, known.team)
    same_team = assignment.team.lower() == known.team.lower()
    team_id = known.team_id if same_team else await _team(uow, assignment.team, origin)
    email = await _email(uow, claims, known)
    profile = Profile(email, claims.name or account.display_name, assignment.role, team_id)
    await uow.accounts.refresh(known.user_id, claims.issuer, profile, claims.issued_at)
    team = known.team if same_team else assignment.team
    principal = replace(known, email=email, role=assignment.role, team_id=team_id, team=team)
    changed = {
        name: {"old": old, "new": new}
        for name, old, new in (
            ("role", known.role.value, principal.role.value),
            ("team", known.team, principal.team),
            ("email", known.email, email),
        )
        if old != new
    }
    if changed:
        subject = Subject("user", str(known.user_id), email)
        await _record(uow, Action.USER_UPDATED, subject, origin, principal, "As the identity provider says", changed)
    return principal


def _assignment(settings: Settings, claims: Claims) -> Assignment | None:
    """What the role map says; None where there is no map. Raises ``NoAccount`` where there is one without them."""
    if not settings.oidc_role_map:
        return None
    assignment = assign(settings.oidc_role_map, claims.names)
    if assignment is None:
        hint = " Your account has too many groups for a token: ask for an app role." if claims.groups_left_out else ""
        raise NoAccount(f"None of your roles and groups opens this platform; ask an administrator.{hint}")
    return assignment


async def _email(uow: UnitOfWork, claims: Claims, known: Principal) -> str:
    """The address as it is now, unless another account has it."""
    if claims.email is None or claims.email.lower() == known.email.lower():
        return known.email
    taken = await uow.accounts.by_email(claims.issuer, claims.email)
    return claims.email if taken is None else known.email


async def _team(uow: UnitOfWork, name: str, origin: Origin) -> UUID:
    """The team of that name, made at the first sign-in of one of its people."""
    found = await uow.accounts.team_id(name)
    if found is None:
        await uow.accounts.one_at_a_time()
        found = await uow.accounts.team_id(name)
    if found is None:
        found = uuid7()
        await uow.accounts.create_team(found, name)
        await _record(uow, Action.TEAM_CREATED, Subject("team", str(found), name), origin, None, _FIRST)
    return found


def _require_active(account: Account) -> None:
    if not account.is_active:
        raise NoAccount("This account is not active.")


async def _record(
    uow: UnitOfWork,
    action: Action,
    subject: Subject,
    origin: Origin,
    actor: Principal | None,
    reason: str,
    changes: dict[str, dict[str, str]] | None = None,
) -> None:
    """Their own sign-in did it, so they are the actor."""
    entry = Entry(
        action=action,
        subject=subject,
        outcome=Outcome.ALLOWED,
        reason=reason,
        actor_id=actor.user_id if actor else None,
        actor_email=actor.email if actor else None,
        changes=changes or {},
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
        request_id=origin.request_id,
    )
    await uow.audit.record(entry)
