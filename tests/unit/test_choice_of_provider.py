"""Which identity provider the settings lead to, and which settings lead to none."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from platform_api.identity.provider import Misconfigured, identity_provider, loopback_provider
from platform_api.ports.clock import SystemClock
from tests.cast import settings_for_tests
from tests.identity_provider import AUTHORITY, TENANT

SOUND: dict[str, Any] = {
    "oidc_authority": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "oidc_client_id": "the-platform",
    "oidc_client_secret": SecretStr("secret"),
}

#: What is changed of the sound settings, and whether there is a provider then.
NO_PROVIDER: list[dict[str, Any]] = [
    {"oidc_authority": None, "environment": "production"},
    {"oidc_authority": AUTHORITY.replace("https:", "http:")},
    {"oidc_authority": "idp.example"},
    {"oidc_authority": ""},
    {"oidc_authority": "https://login.microsoftonline.com/common/v2.0"},
    {"oidc_authority": "https://login.microsoftonline.com/organizations"},
    {"oidc_authority": "https://login.microsoftonline.com/consumers/"},
    {"oidc_client_id": None},
]


@pytest.mark.parametrize("changed", NO_PROVIDER, ids=str)
def test_settings_that_lead_to_no_provider(changed: dict[str, Any]) -> None:
    settings = settings_for_tests(**(SOUND | changed))
    with pytest.raises(Misconfigured):
        identity_provider(settings, SystemClock(), loopback_provider(settings))


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_a_named_provider_is_the_only_one(environment: str) -> None:
    settings = settings_for_tests(**SOUND, environment=environment)
    assert loopback_provider(settings) is None
    provider = identity_provider(settings, SystemClock(), None)
    assert provider.origins() == ("https://login.microsoftonline.com",)
    await provider.close()


async def test_a_first_try_has_the_loopback_one() -> None:
    settings = settings_for_tests()
    loopback = loopback_provider(settings)
    assert loopback is not None
    provider = identity_provider(settings, SystemClock(), loopback)
    departure = await provider.begin(loopback.redirect_uri)
    assert departure.address.startswith("http://127.0.0.1:8080/loopback-idp/authorize?")
    await provider.close()
