"""What each child finds in its environment: where the others are, and the secrets it needs and no more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import platform_api
from platform_api.embedded.home import Home
from platform_api.settings import Settings

#: Runs in one Prefect answer; a worker that claims for the next minute must see them all.
PREFECT_LIST_LIMIT = "1000"
PREFECT_POOL_SIZE = "20"

OWNER = "JOB_PLATFORM_OWNER_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Access:
    """Where everything is, with the secrets that open it."""

    home: Home
    base_url: str
    database_url: str
    #: Of the role that owns the tables; the migrations get it and nobody else.
    owner_database_url: str
    prefect_database_url: str
    prefect_port: int
    prefect_auth_string: str
    api_key_pepper: str
    work_pool: str

    @property
    def prefect_api_url(self) -> str:
        """Prefect's API on loopback."""
        return f"http://127.0.0.1:{self.prefect_port}/api"


def inherited(settings_too: bool) -> dict[str, str]:
    """The caller's environment without its Prefect profile, which would lead our processes to another server."""
    dropped = ("PREFECT_",) if settings_too else ("PREFECT_", "JOB_PLATFORM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    # Children are started with `-P`, so that no file of the current folder can pose as a module.
    kept["PYTHONPATH"] = str(Path(platform_api.__file__).parent.parent)
    return kept | {"DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def of_prefect_server(access: Access) -> dict[str, str]:
    """Prefect's server: its own database, its administrator password, and no secret of ours."""
    return inherited(settings_too=False) | {
        "PREFECT_HOME": str(access.home.path / "prefect"),
        "PREFECT_UI_STATIC_DIRECTORY": str(access.home.path / "prefect" / "ui"),
        "PREFECT_API_DATABASE_CONNECTION_URL": asyncpg_url(access.prefect_database_url),
        # Its pages live behind our door (web/prefect_door.py); its API stays at /api.
        "PREFECT_UI_SERVE_BASE": "/prefect",
        "PREFECT_UI_API_URL": f"{access.base_url.rstrip('/')}/prefect/api",
        "PREFECT_SERVER_API_AUTH_STRING": access.prefect_auth_string,
        "PREFECT_SERVER_API_DEFAULT_LIMIT": PREFECT_LIST_LIMIT,
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": PREFECT_POOL_SIZE,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    }


def of_platform(access: Access) -> dict[str, str]:
    """The API and the worker."""
    kept = inherited(settings_too=True)
    kept.pop(OWNER, None)
    return kept | {
        "JOB_PLATFORM_HOME": str(access.home.path),
        "JOB_PLATFORM_BASE_URL": access.base_url,
        "JOB_PLATFORM_DATABASE_URL": access.database_url,
        "JOB_PLATFORM_PREFECT_API_URL": access.prefect_api_url,
        "JOB_PLATFORM_PREFECT_AUTH_STRING": access.prefect_auth_string,
        "JOB_PLATFORM_API_KEY_PEPPER": access.api_key_pepper,
        "JOB_PLATFORM_WORK_POOL": access.work_pool,
        "PREFECT_HOME": str(access.home.path / "prefect"),
        "PREFECT_API_URL": access.prefect_api_url,
        "PREFECT_API_AUTH_STRING": access.prefect_auth_string,
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }


def of_migrations(access: Access) -> dict[str, str]:
    """The migrations and what they fill: as the owner of the tables."""
    return of_platform(access) | {OWNER: access.owner_database_url}


def asyncpg_url(database_url: str) -> str:
    """The URL in the form that Prefect's server takes."""
    return urlunsplit(urlsplit(database_url)._replace(scheme="postgresql+asyncpg"))


def api_key_pepper(settings: Settings, home: Home) -> str:
    """The operator's, or one that is made once."""
    return settings.api_key_pepper.get_secret_value() if settings.api_key_pepper else home.secret("api-key-pepper")


def prefect_auth_string(settings: Settings, home: Home) -> str:
    """The operator's, or one that is made once."""
    given = settings.prefect_auth_string
    return given.get_secret_value() if given else f"admin:{home.secret('prefect-password')}"
