"""Signing in leads back into the platform and nowhere else."""

from __future__ import annotations

import pytest

from platform_api.web.loopback_hosts import is_loopback_address, is_loopback_host
from platform_api.web.sign_in import LONGEST_NEXT, local_path

OURS = ["/", "/jobs", "/jobs/1?tab=logs#end", "/executions?q=a%20b", "/jobs?next=https://evil.example", "/j/ü"]

ELSEWHERE = [
    "https://evil.example",
    "HTTPS:evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    "/\r\nSet-Cookie: a=b",
    "/jobs\x00",
    "javascript:alert(1)",
    "data:text/html,x",
    "jobs",
    "",
    " /jobs",
    "@evil.example",
    "/login",
    "/login?next=/login",
    "/logout",
    "/auth/callback?code=1",
    "/" + "a" * LONGEST_NEXT,
]


@pytest.mark.parametrize("given", OURS)
def test_a_path_of_ours_is_kept(given: str) -> None:
    assert local_path(given) == given


@pytest.mark.parametrize("given", ELSEWHERE)
def test_anything_else_leads_to_the_start(given: str) -> None:
    assert local_path(given) == "/"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.9.9.9", "localhost", "localhost:1", "[::1]:8080", "LOCALHOST"])
def test_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:80", "[", "a@b:c"],
)
def test_not_this_machine(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("fe80::1%lo", False),
        ("testclient", False),
        ("", False),
        (None, False),
    ],
)
def test_who_connects_from_this_machine(address: str | None, here: bool) -> None:
    assert is_loopback_address(address) is here
