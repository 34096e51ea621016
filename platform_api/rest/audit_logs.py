"""The audit trail, for administrators."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AwareDatetime, Field

from platform_api.audit.actions import Action, Outcome
from platform_api.audit.entries import StoredEntry
from platform_api.domain.errors import InvalidContent
from platform_api.ports.audit import AuditFilter
from platform_api.rest.csv_rows import csv_lines
from platform_api.rest.dependencies import CallerDependency, ServicesDependency, door
from platform_api.rest.job_body import refuse_unstorable
from platform_api.rest.moments import moment
from platform_api.rest.paging import PageQuery, decode_cursor, encode_cursor, page_of
from platform_api.use_cases import audit_chain, audit_logs
from rbac.permissions import Permission

router = APIRouter(tags=["audit"])

_COLUMNS = (
    "id",
    "timestamp",
    "user_id",
    "email",
    "action",
    "outcome",
    "reason",
    "resource_type",
    "resource_id",
    "resource_name",
    "changes",
    "ip_address",
    "user_agent",
    "request_id",
)


class AuditQuery(PageQuery):
    """Filters of the trail."""

    user: Annotated[str | None, Field(description="An e-mail address.")] = None
    action: Action | None = None
    outcome: Outcome | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    since: Annotated[AwareDatetime | None, Field(alias="from", description="Not before this moment.")] = None
    until: Annotated[AwareDatetime | None, Field(alias="to", description="Before this moment.")] = None
    format: Literal["json", "csv"] = "json"

    def wanted(self) -> AuditFilter:
        """The filters as the use case takes them."""
        refuse_unstorable(self.model_dump(mode="json"))
        return AuditFilter(
            user=self.user,
            action=self.action.value if self.action else None,
            outcome=self.outcome.value if self.outcome else None,
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            since=self.since,
            until=self.until,
        )


@router.get("/audit-logs", **door(Permission.AUDIT_VIEW))
async def list_audit_logs(
    services: ServicesDependency, caller: CallerDependency, query: Annotated[AuditQuery, Query()]
) -> Response:
    """Who did what, newest first; ``?format=csv`` streams every entry that matches."""
    if query.format == "csv":
        return table(await audit_logs.export(services, caller, query.wanted()))
    found = await audit_logs.page(services, caller, query.wanted(), _entry_id(query.cursor), query.limit + 1)
    return JSONResponse(page_of(found, query.limit, entry_json, lambda entry: encode_cursor(entry.id)))


@router.get("/audit-logs/verify", **door(Permission.AUDIT_VERIFY))
async def verify_audit_logs(services: ServicesDependency, caller: CallerDependency) -> dict[str, Any]:
    """Whether the trail holds: no entry was changed, deleted, moved or slipped in; else the first that does not.

    `head` names the newest link; kept elsewhere, it lets `job-platform audit verify --expect-head` prove later that
    the whole trail was not made anew.
    """
    return (await audit_chain.verify(services, caller)).document()


def _entry_id(cursor: str | None) -> int | None:
    place = decode_cursor(cursor, 1)
    if place is None:
        return None
    if type(place[0]) is not int or not 0 < place[0] < 2**63:
        raise InvalidContent.of("cursor", "is none of this list; take next_cursor of its last page")
    return place[0]


def entry_json(stored: StoredEntry) -> dict[str, Any]:
    """One entry."""
    entry = stored.entry
    return {
        "id": stored.id,
        "timestamp": moment(stored.at),
        "user_id": str(entry.actor_id) if entry.actor_id else None,
        "email": entry.actor_email,
        "action": entry.action.value,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "resource_type": entry.subject.type,
        "resource_id": entry.subject.id,
        "resource_name": entry.subject.name,
        "changes": entry.changes,
        "ip_address": entry.ip_address,
        "user_agent": entry.user_agent,
        "request_id": entry.request_id,
    }


async def _rows(entries: AsyncIterator[StoredEntry]) -> AsyncIterator[list[Any]]:
    async for stored in entries:
        row = entry_json(stored)
        row["changes"] = json.dumps(row["changes"], ensure_ascii=False)
        yield [row[name] for name in _COLUMNS]


def table(entries: AsyncIterator[StoredEntry]) -> StreamingResponse:
    """The entries as CSV, one at a time."""
    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return StreamingResponse(csv_lines(_COLUMNS, _rows(entries)), media_type="text/csv", headers=headers)
