"""Sessions of the web UI: begun at sign-in, renewed by use, ended by sign-out, by time or with the account."""

from __future__ import annotations

from datetime import datetime, timedelta

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.identity.sessions import hash_token, new_token, shown_id
from platform_api.ports.sessions import StoredSession
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.settings import Settings
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.principal import Principal

#: A session's end is moved at most this often: a write with every request would cost more than it tells.
RENEWED_EVERY = timedelta(minutes=1)


async def begin(uow: UnitOfWork, settings: Settings, caller: Caller, now: datetime, replaced: str | None) -> str:
    """A new session of the caller's, with its entry in the trail; the token for their cookie.

    ``replaced`` is what the browser sent before: it ends here, so that nobody goes on with a session from before.
    """
    if replaced is not None:
        await uow.sessions.remove(hash_token(replaced))
    await uow.sessions.remove_expired(now)
    token = new_token()
    await uow.sessions.add(hash_token(token), caller.principal.user_id, now, end(settings, now, now))
    await record(uow, caller, Action.SIGNED_IN, _subject(caller, token))
    return token


async def resume(services: Services, token: str) -> Principal | None:
    """Whose session it is, renewed; None when it has ended or its person may not sign in any more."""
    token_hash, now = hash_token(token), services.clock.now()
    async with services.uow() as uow:
        session = await uow.sessions.find(token_hash)
        if session is None or not session.is_active or _last_moment(services.settings, session) <= now:
            return None
        renewed = end(services.settings, session.created_at, now)
        if renewed - session.expires_at >= RENEWED_EVERY:
            await uow.sessions.renew(token_hash, renewed)
    return session.principal


async def sign_out(services: Services, caller: Caller, token: str) -> None:
    """End the session; one that has ended already leaves nothing to say."""
    async with services.uow() as uow:
        if await uow.sessions.remove(hash_token(token)):
            await record(uow, caller, Action.SIGNED_OUT, _subject(caller, token))


def end(settings: Settings, created_at: datetime, now: datetime) -> datetime:
    """When a session that is used now ends: sliding, but never past its longest time."""
    sliding = now + timedelta(minutes=settings.session_minutes)
    return min(sliding, created_at + timedelta(hours=settings.session_longest_hours))


def _last_moment(settings: Settings, session: StoredSession) -> datetime:
    """A limit that an operator lowered holds for sessions from before, too."""
    return min(session.expires_at, session.created_at + timedelta(hours=settings.session_longest_hours))


def _subject(caller: Caller, token: str) -> Subject:
    return Subject("session", shown_id(token), caller.principal.email)
