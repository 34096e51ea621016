"""What production refuses to start with: every fault at once, each with its mend.

A platform that falls back to something convenient (a generated key, a sample user, a limit that every replica counts
for itself) would run, and be open. So a start looks at everything first and says all of it, never a value.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from platform_api.db.engine import create_engine
from platform_api.db.production import may_rewrite_the_trail, sample_users
from platform_api.settings import Settings

#: Of libpq's modes these never go on without TLS.
ENCRYPTED = {"require", "verify-ca", "verify-full"}
#: Passwords that stand in documentation, Prefect's own and ours.
WELL_KNOWN = {"admin:pass", "admin:password", "admin:admin", "prefect:prefect", "user:password", "admin:changeme"}


class Process(Enum):
    """What is about to start; each is asked for what it uses, so that a worker need not hold the API's secrets."""

    API = "api"
    WORKER = "worker"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Fault:
    """A setting, what is wrong with it, and what to do."""

    setting: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.wrong}. {self.mend}."


class NotFitForProduction(Exception):
    """The list of everything that has to be mended before this process starts in production."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        count = f"{len(faults)} thing{'s' if len(faults) > 1 else ''}"
        listed = "\n".join(f"  {number}. {fault}" for number, fault in enumerate(faults, 1))
        super().__init__(f"production refuses to start; {count} to mend:\n{listed}")


async def refuse_unfit(settings: Settings, process: Process) -> None:
    """Raise ``NotFitForProduction`` unless this process may start; development may always."""
    if settings.environment != "production":
        return
    faults = settings_faults(settings, process)
    if settings.database_url is not None:
        faults += await _database_faults(settings.database_url.get_secret_value())
    if faults:
        raise NotFitForProduction(faults)


def settings_faults(settings: Settings, process: Process) -> list[Fault]:
    """What the settings alone tell, in the order of ``docs/how-to/production.md``."""
    faults = [*_database_url(settings, process), *_base_url(settings), *_prefect(settings), *_master_key(settings)]
    if process is not Process.WORKER:
        faults += [*_identity_provider(settings), *_pepper(settings), *_limits(settings)]
    return faults


def _identity_provider(settings: Settings) -> Iterator[Fault]:
    authority = settings.oidc_authority
    if not authority:
        wrong = "there is no identity provider, so the loopback one with its sample users would serve"
        mend = "Set it to your tenant, such as https://login.microsoftonline.com/<tenant>/v2.0"
        yield Fault("JOB_PLATFORM_OIDC_AUTHORITY", wrong, mend)
        return
    address = urlsplit(authority)
    if _is_loopback(address.hostname):
        wrong = "the identity provider is on this machine, where anybody could pose as it"
        yield Fault("JOB_PLATFORM_OIDC_AUTHORITY", wrong, "Set it to the address of your tenant")
    elif address.scheme != "https":
        yield Fault("JOB_PLATFORM_OIDC_AUTHORITY", "is not https", "Use the https address of your tenant")
    for name, value in (("CLIENT_ID", settings.oidc_client_id), ("CLIENT_SECRET", settings.oidc_client_secret)):
        if not value or (isinstance(value, SecretStr) and not value.get_secret_value()):
            mend = "Take it from the app registration of this platform"
            yield Fault(f"JOB_PLATFORM_OIDC_{name}", "is not set, so nobody could sign in", mend)


def _pepper(settings: Settings) -> Iterator[Fault]:
    if _is_empty(settings.api_key_pepper):
        wrong = "is not set: a generated one differs between replicas and is lost with its machine"
        yield Fault("JOB_PLATFORM_API_KEY_PEPPER", wrong, _random("the API"))


def _master_key(settings: Settings) -> Iterator[Fault]:
    if _is_empty(settings.master_key) and not settings.key_vault_url:
        wrong = "is not set: with a generated one every secret is lost with its machine"
        mend = _random("the API and the workers") + ", or keep secrets in Azure (JOB_PLATFORM_KEY_VAULT_URL)"
        yield Fault("JOB_PLATFORM_MASTER_KEY", wrong, mend)


def _limits(settings: Settings) -> Iterator[Fault]:
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    if not url or url.startswith("memory://"):
        wrong = "is not set: every replica would count its rate limits for itself, from nothing after each start"
        yield Fault("JOB_PLATFORM_REDIS_URL", wrong, "Set it to a Redis that all replicas share")


def _base_url(settings: Settings) -> Iterator[Fault]:
    address = urlsplit(settings.base_url)
    if address.scheme != "https" or not address.hostname:
        wrong = "is not https: sign-in, session cookies and API keys would travel in the clear"
        yield Fault("JOB_PLATFORM_BASE_URL", wrong, "Set it to the https address that people use")


def _prefect(settings: Settings) -> Iterator[Fault]:
    given = settings.prefect_auth_string.get_secret_value() if settings.prefect_auth_string else ""
    mend = "Set it, and PREFECT_SERVER_API_AUTH_STRING of the Prefect server, to admin:<a long random password>"
    if not given:
        yield Fault("JOB_PLATFORM_PREFECT_AUTH_STRING", "is not set, so whoever reaches Prefect rules it", mend)
    elif given.lower() in WELL_KNOWN:
        yield Fault("JOB_PLATFORM_PREFECT_AUTH_STRING", "is a password out of the documentation", mend)


def _database_url(settings: Settings, process: Process) -> Iterator[Fault]:
    urls = {"JOB_PLATFORM_DATABASE_URL": settings.database_url}
    if process is Process.UP:
        urls["JOB_PLATFORM_PREFECT_DATABASE_URL"] = settings.prefect_database_url
    for name, url in urls.items():
        if _is_empty(url):
            yield Fault(name, "is not set; the embedded PostgreSQL is for trying out", _TLS)
    if settings.owner_database_url is not None:
        urls["JOB_PLATFORM_OWNER_DATABASE_URL"] = settings.owner_database_url
    for name, url in urls.items():
        if url and url.get_secret_value() and not _is_encrypted(urlsplit(url.get_secret_value())):
            yield Fault(name, "does not insist on TLS to the database", _TLS)


_TLS = "Set it to postgresql://...?sslmode=verify-full (or verify-ca, require)"


def _is_encrypted(url: SplitResult) -> bool:
    """Whether libpq would rather fail than go on in the clear; a socket file needs no TLS."""
    query = parse_qs(url.query)
    host = query.get("host", [unquote(url.hostname or "")])[-1]
    modes = query.get("sslmode") or query.get("ssl") or [""]
    return host.startswith("/") or modes[-1] in ENCRYPTED


def _is_loopback(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host is not None and (host == "localhost" or host.endswith(".localhost"))


def _is_empty(secret: SecretStr | None) -> bool:
    return secret is None or not secret.get_secret_value()


def _random(who: str) -> str:
    return f"Give {who} the same 32 random bytes (`openssl rand -base64 32`)"


async def _database_faults(url: str) -> list[Fault]:
    """What the database tells; a database that does not answer is a fault too, for it might hold sample users."""
    try:
        engine = create_engine(url, pool_size=1, application_name="job-platform start")
    except SQLAlchemyError:
        return [Fault("JOB_PLATFORM_DATABASE_URL", "is no address of a database", _TLS)]
    try:
        async with engine.connect() as connection:
            people = await sample_users(connection)
            if await may_rewrite_the_trail(connection):
                print(f"job-platform: warning: {_REWRITES}", file=sys.stderr)
    except DBAPIError as error:
        # Its first line says what is wrong; the rest may repeat the address.
        words = f"the database does not answer ({str(error.orig).splitlines()[0] if str(error.orig) else 'no reason'})"
        return [Fault("JOB_PLATFORM_DATABASE_URL", words, "Start it, or mend the address, then start again")]
    finally:
        await engine.dispose()
    if not people:
        return []
    mend = "Use a database that no development start has filled"
    return [Fault("the database", f"holds sample users ({', '.join(people)}) whose keys lie in a file", mend)]


_REWRITES = (
    "the role of JOB_PLATFORM_DATABASE_URL could change the audit trail; let it be a member of job_platform_app and "
    "own no table (docs/how-to/production.md)"
)
