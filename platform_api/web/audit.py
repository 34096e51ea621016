"""The audit trail: who did what, when, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import StoredEntry
from platform_api.ports.audit import AuditFilter
from platform_api.rest.audit_logs import table
from platform_api.rest.job_body import refuse_unstorable
from platform_api.use_cases import audit_logs
from platform_api.web.answers import is_htmx
from platform_api.web.rendering import render
from platform_api.web.session import CallerDependency, ServicesDependency, page, pages
from platform_api.web.spans import moment_of
from platform_api.web.values import in_words
from rbac.permissions import Permission

router = pages()

PAGE = 50
#: Fields of one change that are shown, and characters of each; the CSV and the API have all of them.
MOST_CHANGES = 20
LONGEST_VALUE = 90

ACTIONS = (("", "Any"), *((action.value, action.value.replace("_", " ").replace(".", ": ")) for action in Action))
OUTCOMES = (("", "Any"), *((outcome.value, outcome.value) for outcome in Outcome))
KINDS = (
    ("", "Anything"),
    *((kind, kind.replace("_", " ")) for kind in sorted({action.value.partition(".")[0] for action in Action})),
)

#: Pages of the things that an entry may be about.
ADDRESSES = {"job": "/jobs/{}", "execution": "/executions/{}"}


class Filters(BaseModel):
    """What the form above the list asks for; empty fields ask for nothing."""

    user: Annotated[str, Field(max_length=320)] = ""
    action: str = ""
    outcome: str = ""
    resource_type: Annotated[str, Field(max_length=100)] = ""
    resource_id: Annotated[str, Field(max_length=200)] = ""
    since: Annotated[str, Field(alias="from", max_length=40)] = ""
    until: Annotated[str, Field(alias="to", max_length=40)] = ""
    before: Annotated[str, Field(pattern=r"^\d{0,18}$")] = ""

    def wanted(self) -> AuditFilter:
        """As the use case takes it."""
        refuse_unstorable(self.model_dump())
        return AuditFilter(
            user=self.user.strip() or None,
            action=self.action if self.action in list(Action) else None,
            outcome=self.outcome if self.outcome in list(Outcome) else None,
            resource_type=self.resource_type or None,
            resource_id=self.resource_id.strip() or None,
            since=moment_of("from", self.since),
            until=moment_of("to", self.until),
        )

    @property
    def are_set(self) -> bool:
        """Whether anything is filtered."""
        return self.wanted() != AuditFilter()

    def address(self, path: str = "/audit", **changed: str) -> str:
        """The list with these filters, changed."""
        given = {**self.model_dump(by_alias=True), **changed}
        asked = {name: value for name, value in given.items() if value}
        return path + (f"?{urlencode(asked)}" if asked else "")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry and what it changed: field, before, after."""

    stored: StoredEntry
    changes: list[tuple[str, str | None, str | None]]

    @property
    def is_new(self) -> bool:
        """Whether there was nothing before, so that every field is news and none is worth reading at once."""
        return len(self.changes) > 3 and all(old is None for _, old, _ in self.changes)


@router.get("/audit", **page(Permission.AUDIT_VIEW))
async def show(
    request: Request, services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """The newest entries that match; for htmx the list alone."""
    before = int(filters.before) if filters.before else None
    found = await audit_logs.page(services, caller, filters.wanted(), before, PAGE + 1)
    context: dict[str, Any] = {
        "lines": [Line(stored, list(_changes(stored))[:MOST_CHANGES]) for stored in found[:PAGE]],
        "filters": filters,
        "addresses": ADDRESSES,
        "csv": filters.address("/audit/export", before=""),
        "first": filters.address(before="") if filters.before else None,
        "next": filters.address(before=str(found[PAGE - 1].id)) if len(found) > PAGE else None,
    }
    if is_htmx(request):
        return render(request, "audit/list.html", **context)
    return render(request, "audit/page.html", actions=ACTIONS, outcomes=OUTCOMES, kinds=KINDS, **context)


@router.get("/audit/export", **page(Permission.AUDIT_VIEW, Action.AUDIT_EXPORTED))
async def export(
    services: ServicesDependency, caller: CallerDependency, filters: Annotated[Filters, Query()]
) -> Response:
    """Every entry that matches as CSV."""
    return table(await audit_logs.export(services, caller, filters.wanted()))


def _changes(stored: StoredEntry) -> Iterator[tuple[str, str | None, str | None]]:
    for name, change in sorted(stored.entry.changes.items()):
        known = isinstance(change, Mapping)
        old = _shortly(change.get("old")) if known else None
        new = _shortly(change.get("new")) if known else _shortly(change)
        if old is not None or new is not None:
            yield name.replace("_", " "), old, new


def _shortly(value: Any) -> str | None:
    words = in_words(value)
    return shorten(words, LONGEST_VALUE, placeholder=" ...") or words[:LONGEST_VALUE] if words else None
