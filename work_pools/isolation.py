"""How far an operator wants scripts to be kept from this machine (D9), from the settings."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from platform_api.settings import Settings
from work_pools.executors.local import isolation as levels
from work_pools.executors.local.executor import default_isolation
from work_pools.executors.local.isolation import Isolation

_DEFAULT_PORTS = {"postgresql": 5432, "http": 80, "https": 443}
_LEVELS = {"strict": (levels.NAMESPACES,), "best": (levels.NAMESPACES, levels.LANDLOCK, levels.NONE)}


def isolation_of(settings: Settings) -> Isolation:
    """For the scripts of one worker."""
    if settings.script_isolation == "off":
        return Isolation.off()._replace(network=settings.script_network, niceness=settings.script_niceness)
    default = default_isolation(settings.runs_folder.resolve())
    return default._replace(
        levels=_LEVELS[settings.script_isolation],
        first_uid=settings.script_first_uid if os.getuid() == 0 else 0,
        hidden=(str(settings.home.resolve()), os.path.realpath(".env")),
        readable=(*default.readable, *_folders(settings.script_readable_folders)),
        writable=_folders(settings.script_writable_folders),
        network=settings.script_network,
        guarded_ports=tuple(sorted(set(_loopback_ports(settings)))),
        processes=settings.script_processes,
        disk_bytes=settings.script_disk_mib << 20,
        niceness=settings.script_niceness,
    )


def _folders(setting: str) -> tuple[str, ...]:
    return tuple(os.path.realpath(folder) for folder in setting.split(":") if folder)


def _loopback_ports(settings: Settings) -> Iterator[int]:
    """A service on another machine is not guarded by its port: a script may have business with others like it."""
    secrets = (settings.database_url, settings.prefect_database_url)
    for address in (settings.prefect_api_url, *(secret.get_secret_value() for secret in secrets if secret)):
        parts = urlsplit(address)
        if _is_loopback(parts.hostname or ""):
            yield parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
