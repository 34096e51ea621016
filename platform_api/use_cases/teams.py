"""Teams."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from platform_api.audit.actions import Action
from platform_api.audit.entries import Subject
from platform_api.domain.errors import Conflict, InvalidContent, StaleVersion
from platform_api.ports.teams import Team
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import guarded, not_found, remember, require
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission

LONGEST_NAME = 100


async def page(services: Services, caller: Caller, after: tuple[str, UUID] | None, limit: int) -> list[Team]:
    """The teams."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.TEAM_LIST, Subject("team"))
        return await uow.teams.page(after, limit)


async def get(services: Services, caller: Caller, team_id: UUID) -> Team:
    """One team."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.TEAM_LIST, Subject("team", str(team_id)))
        return await _load(uow, team_id)


async def create(services: Services, caller: Caller, name: str) -> Team:
    """A new team without anybody in it."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.TEAM_EDIT, Subject("team", None, name))
        team = await uow.teams.add(uuid7(), checked(name))
        await record(uow, caller, Action.TEAM_CREATED, subject_of(team), new={"name": team.name})
        await remember(uow, caller, team)
        return team


async def rename(
    services: Services, caller: Caller, team_id: UUID, name: str, version: int | None, if_match: frozenset[str] | None
) -> Team:
    """Give a team another name; its people and jobs stay."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.TEAM_EDIT, Subject("team", str(team_id)))
        team = await _load(uow, team_id, lock=True)
        _check_match(team, version, if_match)
        if checked(name) == team.name:
            return team
        renamed = await uow.teams.rename(team, name)
        old, new = {"name": team.name}, {"name": renamed.name}
        await record(uow, caller, Action.TEAM_UPDATED, subject_of(team), old=old, new=new)
        return renamed


async def delete(services: Services, caller: Caller, team_id: UUID, if_match: frozenset[str] | None) -> None:
    """Delete a team that nobody and nothing belongs to; ``Conflict`` names what does."""
    async with guarded(services, caller) as uow:
        require(caller, Permission.TEAM_EDIT, Subject("team", str(team_id)))
        team = await _load(uow, team_id, lock=True)
        _check_match(team, None, if_match)
        contents = await uow.teams.contents(team_id)
        if contents:
            words = ", ".join(f"{count} {kind}" for kind, count in contents.items())
            raise Conflict(f"The team {team.name} still has {words}; move or delete them first.")
        await uow.teams.delete(team, caller.principal.team_id)
        await record(uow, caller, Action.TEAM_DELETED, subject_of(team), old={"name": team.name})


def checked(name: str) -> str:
    """The name, or ``InvalidContent``."""
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        message = f"must be 1 to {LONGEST_NAME} printable characters without spaces around them"
        raise InvalidContent.of("name", message)
    return name


def etag_of(team: Team) -> str:
    """What an ``If-Match`` must name."""
    return f'"{team.version}"'


def subject_of(team: Team) -> Subject:
    """The team as the audit trail names it."""
    return Subject("team", str(team.id), team.name)


async def _load(uow: UnitOfWork, team_id: UUID, *, lock: bool = False) -> Team:
    team = await uow.teams.get(team_id, lock=lock)
    if team is None:
        raise not_found(Subject("team", str(team_id)))
    return team


def _check_match(team: Team, version: int | None, if_match: frozenset[str] | None) -> None:
    stale = version is not None and version != team.version
    if stale or (if_match is not None and etag_of(team) not in if_match and "*" not in if_match):
        raise StaleVersion(team.version, "team")
