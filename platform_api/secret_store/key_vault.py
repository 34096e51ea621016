"""Values in Azure Key Vault.

A secret of ours is a secret there, and each version of ours one or more there, marked by a tag. The names hold our
secret's id, so a name that is used again never meets one that was deleted and can still be recovered there. Workers
need the permission Get and no other; the API needs Set, List and Delete, and never reads a value.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.keyvault.secrets import SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from platform_api.domain.secret_records import SecretPlace, SecretScope
from platform_api.ports.secret_store import Sealed, StoreAway, ValueLost

#: For one question, the client's own repetitions included.
ANSWER_SECONDS = 5.0
_TAG = "job-platform-version"

#: Hosts whose challenges name their own domain; a stand-in elsewhere cannot.
_AZURE = (".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net", ".managedhsm.azure.net")

_BOUNDED = {
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 1,
    "connection_timeout": 2,
    "read_timeout": 3,
    # What is redirected would carry a token, and perhaps a value, to somebody else.
    "permit_redirects": False,
}


def vault_name(place: SecretPlace) -> str:
    """``job-{id}-secret-{name}``, or ``team-{id}-secret-{name}``; what Azure's names cannot hold becomes a dash."""
    prefix = "team" if place.scope is SecretScope.TEAM else "job"
    return f"{prefix}-{place.id}-secret-{re.sub('[^0-9A-Za-z-]', '-', place.name)}"


class KeyVaultStore:
    """``ports.secret_store.SecretStore`` over one vault."""

    def __init__(self, url: str, credential: AsyncTokenCredential, **options: Any) -> None:
        if urlsplit(url).scheme != "https":
            raise ValueError("JOB_PLATFORM_KEY_VAULT_URL must begin with https://")
        self._holder = url.rstrip("/")
        self._credential = credential
        is_azure = (urlsplit(url).hostname or "").endswith(_AZURE)
        self._client = SecretClient(url, credential, verify_challenge_resource=is_azure, **(_BOUNDED | options))

    async def put(self, place: SecretPlace, value: str) -> Sealed:
        """Make a new version there; raises ``StoreAway``."""
        name = vault_name(place)
        async with _asking():
            kept = await self._client.set_secret(name, value, tags={_TAG: str(place.version)})
        return self._sealed(name, kept.properties)

    async def get(self, place: SecretPlace, sealed: Sealed) -> str:
        """Get exactly the version that was put; raises ``StoreAway`` and ``ValueLost``."""
        if sealed.holder != self._holder:
            raise ValueLost(f"The secret {place.name} is kept in another store than this platform's; set it anew")
        async with _asking(lost=f"The secret {place.name} is not in the vault any more; set it anew"):
            found = await self._client.get_secret(sealed.document["name"], sealed.document["version"])
        if found.value is None:
            raise ValueLost(f"The secret {place.name} has no value in the vault; set it anew")
        return found.value

    async def find(self, place: SecretPlace) -> Sealed | None:
        """The newest version there with our version's tag; raises ``StoreAway``."""
        async with _asking():
            versions = await self._versions(place)
        newest = max(versions, key=lambda version: str(version.created_on), default=None)
        return self._sealed(vault_name(place), newest) if newest else None

    async def retire(self, place: SecretPlace, sealed: Sealed) -> None:
        """Disable every version there with our version's tag: one alone cannot be deleted; raises ``StoreAway``."""
        async with _asking():
            for version in await self._versions(place):
                await self._client.update_secret_properties(vault_name(place), version.version, enabled=False)

    async def remove(self, place: SecretPlace) -> None:
        """Delete the secret; the vault's own policy says how long it can be recovered. Raises ``StoreAway``."""
        async with _asking(absent_is_well=True):
            await self._client.delete_secret(vault_name(place))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._credential.close()

    async def _versions(self, place: SecretPlace) -> list[SecretProperties]:
        found: list[SecretProperties] = []
        try:
            async for version in self._client.list_properties_of_secret_versions(vault_name(place)):
                if version.enabled and (version.tags or {}).get(_TAG) == str(place.version):
                    found.append(version)
        except ResourceNotFoundError:
            return []
        return found

    def _sealed(self, name: str, kept: SecretProperties) -> Sealed:
        return Sealed(self._holder, None, {"name": name, "version": kept.version or ""})


@asynccontextmanager
async def _asking(*, lost: str | None = None, absent_is_well: bool = False) -> AsyncIterator[None]:
    """One question with a deadline. Errors of the client are never chained: their text may hold an answer's body."""
    trouble: Exception
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
        return
    except TimeoutError:
        trouble = StoreAway(f"nothing was heard within {ANSWER_SECONDS:g} s")
    except ResourceNotFoundError:
        if absent_is_well:
            return
        trouble = ValueLost(lost) if lost else StoreAway("it does not know the secret")
    except HttpResponseError as error:
        trouble = ValueLost(lost) if lost and _is_disabled(error) else StoreAway(_words(error))
    except AzureError as error:
        trouble = StoreAway(_words(error))
    except Exception:  # noqa: BLE001 - of an answer it cannot read the client makes anything, and may quote it
        trouble = StoreAway("its answer could not be read")
    raise trouble from None


def _is_disabled(error: HttpResponseError) -> bool:
    inner = getattr(error.error, "innererror", None) or {}
    return error.status_code == 403 and inner.get("code") == "SecretDisabled"


def _words(error: AzureError) -> str:
    """What went wrong, without a word of what was sent or answered."""
    if isinstance(error, ClientAuthenticationError):
        return "this process could not sign in to it"
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"it answered {error.status_code}"
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return "it cannot be reached"
    return f"{type(error).__name__}"
