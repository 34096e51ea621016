"""Every execution that somebody may see: filtered, page by page, or all at once as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action
from platform_api.domain.errors import InvalidContent
from platform_api.domain.executions import UNSUCCESSFUL, ExecutionStatus, TriggeredBy
from platform_api.domain.job_records import Job
from platform_api.ports.executions import ExecutionFilter
from platform_api.ports.jobs import JobChoices, JobFilter, JobSort
from platform_api.rest.executions import cursor_at, place_of, table
from platform_api.rest.job_body import refuse_unstorable
from platform_api.use_cases import executions, jobs
from platform_api.use_cases.caller import Caller
from platform_api.use_cases.executions import Shown
from platform_api.use_cases.services import Services
from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from platform_api.web.spans import moment_of
from rbac.permissions import Permission

router = pages()

PAGE = 50
#: Jobs that a word in the filter may mean, offered to choose from.
MOST_JOBS = 8

_FAILURES = ",".join(sorted(UNSUCCESSFUL))

#: What the list of statuses offers: one of them, or those that mean trouble together.
STATUSES = (
    ("", "Any"),
    (_FAILURES, "Failures of any kind"),
    *((status.value, status.value.replace("_", " ")) for status in ExecutionStatus),
)
TRIGGERS = (("", "Anything"), *((trigger.value, trigger.value.replace("_", " ")) for trigger in TriggeredBy))


class Filters(BaseModel):
    """What the form above the list asks for; empty fields ask for nothing."""

    job: Annotated[str, Field(max_length=200)] = ""
    status: str = ""
    triggered_by: str = ""
    owner: Annotated[str, Field(max_length=320)] = ""
    team: Annotated[str, Field(max_length=320)] = ""
    since: Annotated[str, Field(alias="from", max_length=40)] = ""
    until: Annotated[str, Field(alias="to", max_length=40)] = ""
    cursor: Annotated[str, Field(max_length=2000)] = ""

    def wanted(self, job_id: UUID | None) -> ExecutionFilter:
        """As the use case takes it; a word that is none of a list's is as good as none."""
        refuse_unstorable(self.model_dump())
        return ExecutionFilter(
            statuses=[ExecutionStatus(word) for word in self.status.split(",") if word in list(ExecutionStatus)],
            triggered_by=[TriggeredBy(self.triggered_by)] if self.triggered_by in list(TriggeredBy) else [],
            since=moment_of("from", self.since),
            until=moment_of("to", self.until),
            job_id=job_id,
            owner=self.owner or None,
            team=self.team or None,
        )

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return any(value for name, value in self.model_dump().items() if name != "cursor")

    def address(self, **changed: str) -> str:
        """The list with these filters, changed."""
        given = {**self.model_dump(by_alias=True), **changed}
        asked = {name: value for name, value in given.items() if value}
        return "/executions" + (f"?{urlencode(asked)}" if asked else "")


@dataclass(frozen=True, slots=True)
class Meant:
    """Which job the filter's word means: one, several to choose from, or none that can be seen."""

    job: Job | None = None
    choices: tuple[Job, ...] = ()
    is_unknown: bool = False


@router.get("/executions", **page(Permission.EXECUTION_LIST))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """The executions that the caller may see, newest first; for htmx the list alone."""
    meant = await _meant(services, caller, filters.job.strip())
    found: list[Shown] = []
    if not (meant.is_unknown or meant.choices):
        wanted = filters.wanted(meant.job.id if meant.job else None)
        found = await executions.list_page(services, caller, wanted, place_of(filters.cursor or None), PAGE + 1)
    context: dict[str, Any] = {
        "rows": found[:PAGE],
        "filters": filters,
        "meant": meant,
        "first": filters.address(cursor="") if filters.cursor else None,
        "next": filters.address(cursor=_behind(found[PAGE - 1])) if len(found) > PAGE else None,
        "csv": filters.address(cursor="").replace("/executions", "/executions/export", 1),
    }
    if is_htmx(request):
        return render(request, "explorer/list.html", **context)
    choices = await _choices(services, caller)
    return render(request, "explorer/page.html", choices=choices, statuses=STATUSES, triggers=TRIGGERS, **context)


@router.get("/executions/export", **page(Permission.EXECUTION_EXPORT, Action.EXECUTION_EXPORTED))
async def export(
    services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """Everything that matches as CSV, however long."""
    meant = await _meant(services, caller, filters.job.strip())
    if meant.is_unknown or meant.choices:
        raise InvalidContent.of("job", "is not the name of exactly one job that you may see")
    return table(await executions.export(services, caller, filters.wanted(meant.job.id if meant.job else None)))


async def _choices(services: Services, caller: Caller) -> JobChoices:
    return (await jobs.overview(services, caller, JobFilter()))[1]


async def _meant(services: Services, caller: Caller, word: str) -> Meant:
    """The job of that id or name; every job whose name holds the word, where none has just that name."""
    if not word:
        return Meant()
    refuse_unstorable({"job": word})
    job_id = _uuid(word)
    if job_id is not None:
        return Meant((await jobs.get(services, caller, job_id)).job)
    views = await jobs.page(services, caller, JobFilter(q=word), JobSort.NAME, None, MOST_JOBS)
    named = [view.job for view in views if word.lower() in view.job.name.lower()]
    exact = [job for job in named if job.name.lower() == word.lower()]
    if len(exact) == 1 or len(named) == 1:
        return Meant((exact or named)[0])
    return Meant(choices=tuple(exact or named), is_unknown=not named)


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None


def _behind(shown: Shown) -> str:
    return cursor_at(shown.execution.queued_at, shown)
