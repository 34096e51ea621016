"""Which identity provider this process asks."""

from __future__ import annotations

from platform_api.identity.http import client_for, client_through
from platform_api.identity.loopback.peers import MayBeScript, scripts_from
from platform_api.identity.loopback.provider import CLIENT_ID, LoopbackProvider
from platform_api.identity.loopback.transport import LoopbackTransport
from platform_api.identity.oidc import OidcProvider, Registration
from platform_api.ports.clock import Clock, SystemClock
from platform_api.settings import Settings


class Misconfigured(RuntimeError):
    """The settings name no provider that could be asked."""


def loopback_provider(settings: Settings, may_be_script: MayBeScript | None = None) -> LoopbackProvider | None:
    """The embedded default's own provider: in development, and only where no other one is named.

    Its clock is the machine's, as that of whoever checks its tokens.
    """
    if settings.oidc_authority is not None or settings.environment != "development":
        return None
    check = may_be_script or scripts_from(settings.script_first_uid)
    return LoopbackProvider(settings.base_url, SystemClock(), check)


def identity_provider(settings: Settings, clock: Clock, loopback: LoopbackProvider | None) -> OidcProvider:
    """The provider that the settings name, else ``loopback``; raises ``Misconfigured``."""
    if settings.oidc_authority is None:
        if loopback is None:
            raise Misconfigured(
                "JOB_PLATFORM_OIDC_AUTHORITY is not set, and production has no identity provider of its own."
            )
        registration = Registration(loopback.issuer, CLIENT_ID, loopback.client_secret, CLIENT_ID)
        return OidcProvider(registration, client_through(LoopbackTransport(loopback)), clock)
    return OidcProvider(_registration(settings, settings.oidc_authority), client_for(settings.oidc_ca_file), clock)


def _registration(settings: Settings, authority: str) -> Registration:
    if not authority.startswith("https://"):
        raise Misconfigured("JOB_PLATFORM_OIDC_AUTHORITY must be an https address.")
    if authority.rstrip("/").removesuffix("/v2.0").rpartition("/")[2] in ("common", "organizations", "consumers"):
        raise Misconfigured("JOB_PLATFORM_OIDC_AUTHORITY must name your tenant: the others are not your company.")
    if settings.oidc_client_id is None:
        raise Misconfigured("JOB_PLATFORM_OIDC_CLIENT_ID is not set; the provider cannot know who asks.")
    secret = settings.oidc_client_secret
    return Registration(
        authority,
        settings.oidc_client_id,
        secret.get_secret_value() if secret else None,
        settings.oidc_audience or settings.oidc_client_id,
    )
