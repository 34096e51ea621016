"""A stand-in for Azure Key Vault: its REST interface for secrets, over TLS, as far as a client can tell.

Written from Azure's description of the interface (api-version 7.x): a challenge for whoever comes without a token,
permissions per token, versions, disabling, soft deletion that takes a moment and can be undone, and its error bodies.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import trustme
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

EVERYTHING = frozenset({"get", "set", "list", "delete"})
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_CHALLENGE = 'Bearer authorization="https://login.example.com/tenant", resource="https://vault.azure.net"'
_LONGEST_VALUE = 25 * 1024


class Refused(Exception):
    """An error as the vault words it."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            error["innererror"] = {"code": inner}
        self.answer = web.json_response({"error": error}, status=status)


class TokenFor(AsyncTokenCredential):
    """Signs in at once, with a token that the vault may or may not know."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.asked_for: list[tuple[str, ...]] = []

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.asked_for.append(scopes)
        return AccessToken(self.token, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> TokenFor:
        return self

    async def __aexit__(self, *_: object) -> None: ...


@dataclass
class Version:
    """One version of a secret."""

    id: str
    value: str
    tags: dict[str, str]
    enabled: bool
    created: int


@dataclass
class Vault:
    """What is in it, and how it feels today."""

    url: str = ""
    ca_file: str = ""
    secrets: dict[str, list[Version]] = field(default_factory=dict)
    deleted: dict[str, list[Version]] = field(default_factory=dict)
    permissions: dict[str, frozenset[str]] = field(default_factory=lambda: {"all": EVERYTHING})
    #: Method and path of every request that came with a token.
    requests: list[tuple[str, str]] = field(default_factory=list)
    challenges: int = 0
    #: Answer with this status and nothing else.
    fault: int | None = None
    #: Answer with this text, as if all were well.
    babble: str | None = None
    hangs: bool = False
    slow_seconds: float = 0.0
    at_once: int = 0
    most_at_once: int = 0

    def values(self) -> set[str]:
        return {version.value for versions in self.secrets.values() for version in versions}

    def named(self, name: str) -> list[Version]:
        if name not in self.secrets:
            raise Refused(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        return self.secrets[name]

    def version(self, name: str, id_: str) -> Version:
        versions = self.named(name)
        found = [version for version in versions if not id_ or version.id == id_]
        if not found:
            raise Refused(404, "SecretNotFound", f"A secret with (name/id) {name}/{id_} was not found.")
        return found[-1]

    def bundle(self, name: str, version: Version, *, value: bool = False) -> dict[str, Any]:
        attributes = {"enabled": version.enabled, "created": version.created, "updated": version.created}
        attributes |= {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}
        shown = {"id": f"{self.url}/secrets/{name}/{version.id}", "attributes": attributes, "tags": version.tags}
        return shown | ({"value": version.value} if value else {})


VAULT = web.AppKey("vault", Vault)


@web.middleware
async def _door(request: web.Request, handler: Any) -> web.StreamResponse:
    vault = request.app[VAULT]
    if vault.hangs:
        await asyncio.sleep(60)
    if vault.fault:
        return web.json_response({"error": {"code": "Trouble", "message": "not now"}}, status=vault.fault)
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token not in vault.permissions:
        vault.challenges += 1
        return web.json_response(
            {"error": {"code": "Unauthorized", "message": "AKV10000"}},
            status=401,
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    vault.requests.append((request.method, request.path))
    if vault.babble is not None:
        return web.Response(text=vault.babble, content_type="application/json")
    vault.at_once += 1
    vault.most_at_once = max(vault.most_at_once, vault.at_once)
    try:
        await asyncio.sleep(vault.slow_seconds)
        _check(vault, request, token)
        answer: web.StreamResponse = await handler(request)
        return answer
    except Refused as refusal:
        return refusal.answer
    finally:
        vault.at_once -= 1


def _check(vault: Vault, request: web.Request, token: str) -> None:
    if "api-version" not in request.query:
        raise Refused(400, "BadParameter", "api-version must be specified")
    if not _NAME.fullmatch(request.match_info["name"]):
        raise Refused(400, "BadParameter", "The request URI contains an invalid name")
    needed = {"PUT": "set", "PATCH": "set", "DELETE": "delete"}.get(request.method, "get")
    if request.path.endswith("/versions"):
        needed = "list"
    if needed not in vault.permissions[token]:
        raise Refused(403, "Forbidden", f"The user has no secrets {needed} permission", "ForbiddenByPolicy")


async def _set(request: web.Request) -> web.Response:
    vault, name, body = request.app[VAULT], request.match_info["name"], await request.json()
    if name in vault.deleted:
        inner = "ObjectIsDeletedButRecoverable"
        raise Refused(409, "Conflict", f"Secret {name} is currently in a deleted but recoverable state", inner)
    if len(body["value"]) > _LONGEST_VALUE:
        raise Refused(400, "BadParameter", "Length of the value exceeds the limit")
    enabled = (body.get("attributes") or {}).get("enabled", True)
    version = Version(uuid4().hex, body["value"], body.get("tags") or {}, enabled, int(time.time()))
    vault.secrets.setdefault(name, []).append(version)
    return web.json_response(vault.bundle(name, version, value=True))


async def _get(request: web.Request) -> web.Response:
    vault, name = request.app[VAULT], request.match_info["name"]
    version = vault.version(name, request.match_info.get("version", ""))
    if not version.enabled:
        message = "Operation get is not allowed on a disabled secret."
        raise Refused(403, "Forbidden", message, "SecretDisabled")
    return web.json_response(vault.bundle(name, version, value=True))


async def _versions(request: web.Request) -> web.Response:
    """Pages of two, so that a client must follow the link."""
    vault, name = request.app[VAULT], request.match_info["name"]
    start = int(request.query.get("$skiptoken", "0"))
    all_of_them = vault.named(name)
    page: dict[str, Any] = {"value": [vault.bundle(name, v) for v in all_of_them[start : start + 2]], "nextLink": None}
    if start + 2 < len(all_of_them):
        page["nextLink"] = f"{vault.url}/secrets/{name}/versions?api-version=7.6&$skiptoken={start + 2}"
    return web.json_response(page)


async def _update(request: web.Request) -> web.Response:
    vault, name, body = request.app[VAULT], request.match_info["name"], await request.json()
    version = vault.version(name, request.match_info["version"])
    version.enabled = (body.get("attributes") or {}).get("enabled", version.enabled)
    version.tags = body.get("tags") or version.tags
    return web.json_response(vault.bundle(name, version))


def _deleted(vault: Vault, name: str) -> web.Response:
    now = int(time.time())
    shown = vault.bundle(name, vault.deleted[name][-1])
    recovery = {"recoveryId": f"{vault.url}/deletedsecrets/{name}", "deletedDate": now, "scheduledPurgeDate": now + 1}
    return web.json_response(shown | recovery)


async def _delete(request: web.Request) -> web.Response:
    vault, name = request.app[VAULT], request.match_info["name"]
    vault.named(name)
    vault.deleted[name] = vault.secrets.pop(name)
    return _deleted(vault, name)


async def _get_deleted(request: web.Request) -> web.Response:
    vault, name = request.app[VAULT], request.match_info["name"]
    if name not in vault.deleted:
        raise Refused(404, "SecretNotFound", f"Deleted Secret not found: {name}")
    return _deleted(vault, name)


@asynccontextmanager
async def running_vault(folder: Path) -> AsyncIterator[Vault]:
    """A vault on loopback, with a certificate of its own authority."""
    authority, vault = trustme.CA(), Vault(ca_file=str(folder / "ca.pem"))
    authority.cert_pem.write_to_path(vault.ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    app = web.Application(middlewares=[_door])
    app[VAULT] = vault
    app.router.add_put("/secrets/{name}", _set)
    app.router.add_get("/secrets/{name}/versions", _versions)
    app.router.add_get("/secrets/{name}/{version}", _get)
    app.router.add_get("/secrets/{name}/", _get)
    app.router.add_patch("/secrets/{name}/{version}", _update)
    app.router.add_delete("/secrets/{name}", _delete)
    app.router.add_get("/deletedsecrets/{name}", _get_deleted)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    vault.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield vault
    finally:
        await runner.cleanup()
