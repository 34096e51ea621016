"""Every door under /api/v1 says who may use it, and every door that changes something what it leaves in the trail."""

from __future__ import annotations

from typing import Any

import pytest

from platform_api.audit.actions import Action
from platform_api.main import create_app
from platform_api.rest.docs import _document
from rbac.permissions import Permission
from tests.cast import settings_for_tests

#: They take a body and change nothing.
QUESTIONS = {("post", "/api/v1/jobs/validate")}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    services: Any = object()
    paths = _document(create_app(settings_for_tests(), services))["paths"]
    return [
        (method, path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/api/v1")
    ]


OPERATIONS = operations()
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]


def test_there_are_routes_to_look_at() -> None:
    assert len(OPERATIONS) > 25


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_a_route_declares_its_permission(method: str, path: str, operation: dict[str, Any]) -> None:
    assert Permission(operation["x-permission"])


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_a_route_that_changes_something_declares_its_audit_action(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    if method == "get" or (method, path) in QUESTIONS:
        return
    assert Action(operation["x-audit-action"])


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_a_route_explains_itself(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["description"].strip()
    assert "422" not in operation["responses"]
