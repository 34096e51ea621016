"""Which store a process works with, from the settings."""

from __future__ import annotations

from platform_api.ports.secret_store import SecretStore
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.master_keys import FixedKeys, KeyFile, KeySource
from platform_api.secret_store.moving import MovingStore
from platform_api.settings import Settings


def opened_store(settings: Settings) -> SecretStore:
    """Key Vault where it is named, else our database; both where there are master keys of before, too."""
    if not settings.key_vault_url:
        return DatabaseStore(key_source(settings))
    vault = _key_vault(settings.key_vault_url, production=settings.environment == "production")
    if settings.master_key is None and not settings.master_key_file.exists():
        return vault
    return MovingStore(vault, DatabaseStore(key_source(settings)))


def key_source(settings: Settings) -> KeySource:
    """The setting, else the file in the home; raises ``MasterKeyUnusable`` for a setting that holds no keys."""
    if settings.master_key is not None:
        return FixedKeys.parse(settings.master_key.get_secret_value())
    return KeyFile(settings.master_key_file)


def _key_vault(url: str, *, production: bool) -> SecretStore:
    """Azure's libraries take half a second to import, so only who uses them pays."""
    from azure.identity.aio import DefaultAzureCredential

    from platform_api.secret_store.key_vault import KeyVaultStore

    # A server signs in as itself (workload identity, managed identity, environment), never as whoever is logged in.
    credential = DefaultAzureCredential(
        exclude_cli_credential=production,
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
    )
    return KeyVaultStore(url, credential)
