"""Whose a job is: handing one over, and what becomes of the jobs of somebody who leaves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from platform_api.audit.actions import Action
from platform_api.domain.errors import FieldError, InvalidContent
from platform_api.domain.job_records import Job
from platform_api.domain.jobs import JobStatus
from platform_api.ports.people import Person
from platform_api.ports.signals import Channel
from platform_api.ports.unit_of_work import UnitOfWork
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.guard import require
from platform_api.use_cases.job_access import resource_of, subject_of
from platform_api.use_cases.job_checks import check_quota
from platform_api.use_cases.services import Services
from platform_api.use_cases.trail import record
from rbac.permissions import Permission
from rbac.principal import Role
from rbac.roles import Reach, granted, reaches


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose a job is to be: an owner's e-mail address, a team's name; None leaves it."""

    owner: str | None = None
    team: str | None = None


class Fate(StrEnum):
    """What becomes of all jobs of a person."""

    #: They go on; the list of people shows who has left and still owns some.
    KEEP = "keep"
    DISABLE = "disable"
    DELETE = "delete"


async def hand_over(uow: UnitOfWork, services: Services, caller: Caller, job: Job, wish: Wish) -> Job:
    """Give a locked job to somebody else.

    Its owner may give it to a job creator of their own team, or take it along into their own; an administrator to
    any active job creator and into any team. A job that uses secrets comes to a stop when its owner gives it away:
    what the name of a secret means changes with the owner, so the new one has to look at it and enable it.
    """
    require(caller, Permission.JOB_HAND_OVER, subject_of(job), resource_of(job))
    owner_id, team_id = await _new_place(uow, caller, job, wish)
    if (owner_id, team_id) == (job.owner_id, job.team_id):
        return job
    moved = await _moved(uow, services, caller, job, owner_id, team_id)
    if moved.spec.secrets and owner_id != job.owner_id and not _is_for_all(caller) and job.status is JobStatus.ACTIVE:
        moved = await _switched(uow, caller, moved, JobStatus.DISABLED)
    return moved


async def heir_to(uow: UnitOfWork, caller: Caller, address: str) -> Person | None:
    """The person of that address, if the caller may give jobs to them."""
    person = await uow.people.by_email(address)
    if person is None or not person.is_active or not reaches(Role(person.role), Permission.JOB_CREATE):
        return None
    return person if _is_for_all(caller) or person.team_id == caller.principal.team_id else None


def no_heir(caller: Caller, field: str) -> FieldError:
    """The same words whether there is nobody of that address or nobody who may have it."""
    where = "" if _is_for_all(caller) else " of your team"
    return FieldError(field, f"must be the e-mail address of an active job creator{where}")


async def dispose(
    uow: UnitOfWork, services: Services, caller: Caller, leaver: Person, fate: Fate, hand_over_to: str | None
) -> None:
    """See to all jobs of somebody who leaves: with an heir they are handed over, otherwise ``fate`` says."""
    if hand_over_to is not None:
        await _bequeath(uow, services, caller, leaver, hand_over_to)
    elif fate is not Fate.KEEP:
        status = JobStatus.DISABLED if fate is Fate.DISABLE else JobStatus.DELETED
        for job in await uow.jobs.of_owner(leaver.id):
            if job.status is not status:
                await _switched(uow, caller, job, status)


async def _bequeath(uow: UnitOfWork, services: Services, caller: Caller, leaver: Person, address: str) -> None:
    heir = await heir_to(uow, caller, address)
    if heir is None or heir.id == leaver.id:
        raise InvalidContent([no_heir(caller, "hand_over_to")])
    for job in await uow.jobs.of_owner(leaver.id):
        moved = await _moved(uow, services, caller, job, heir.id, heir.team_id)
        if moved.spec.secrets and not _is_for_all(caller) and moved.status is JobStatus.ACTIVE:
            await _switched(uow, caller, moved, JobStatus.DISABLED)


async def _new_place(uow: UnitOfWork, caller: Caller, job: Job, wish: Wish) -> tuple[UUID, UUID]:
    """The new owner and team, or ``InvalidContent`` with all that is wrong with the wish."""
    faults: list[FieldError] = []
    owner_id, home, home_name = job.owner_id, job.team_id, job.team
    if wish.owner is not None and wish.owner.lower() != job.owner.lower():
        heir = await heir_to(uow, caller, wish.owner)
        if heir is None:
            faults.append(no_heir(caller, "owner"))
        else:
            owner_id, home, home_name = heir.id, heir.team_id, heir.team
    team_id: UUID | None = home
    if wish.team is not None and wish.team != home_name:
        team_id = await _team(uow, caller, wish.team)
    if team_id is None:
        faults.append(FieldError("team", "must be the name of a team that the job may belong to"))
    if faults or team_id is None:
        raise InvalidContent(faults)
    return owner_id, team_id


async def _team(uow: UnitOfWork, caller: Caller, name: str) -> UUID | None:
    """An administrator may name any team, everybody else the one that they are in."""
    if not _is_for_all(caller):
        return caller.principal.team_id if name == caller.principal.team else None
    return (await uow.teams.ids(frozenset({name}))).get(name)


def _is_for_all(caller: Caller) -> bool:
    return Reach.ALL in granted(caller.principal, Permission.JOB_HAND_OVER)


async def _moved(uow: UnitOfWork, services: Services, caller: Caller, job: Job, owner_id: UUID, team_id: UUID) -> Job:
    if team_id != job.team_id:
        await check_quota(uow, services, team_id)
    moved = await uow.jobs.hand_over(job, owner_id, team_id)
    # Numbers, not names: the trail is never changed, and a person may have to be forgotten.
    old = {"owner_id": str(job.owner_id), "team": job.team}
    new = {"owner_id": str(owner_id), "team": moved.team}
    await record(uow, caller, Action.JOB_HANDED_OVER, subject_of(job), old=old, new=new)
    await uow.notify(Channel.SYNC, str(job.id))
    return moved


async def _switched(uow: UnitOfWork, caller: Caller, job: Job, status: JobStatus) -> Job:
    action = Action.JOB_DISABLED if status is JobStatus.DISABLED else Action.JOB_DELETED
    switched = await uow.jobs.set_status(job, status)
    old, new = {"status": job.status.value}, {"status": status.value}
    await record(uow, caller, action, subject_of(job), old=old, new=new)
    await uow.notify(Channel.SYNC, str(job.id))
    return switched
