"""How often somebody may ask, run jobs by hand, or be wrong about who they are."""

from __future__ import annotations

import math
from ipaddress import IPv6Address, ip_address
from uuid import UUID

from platform_api.domain.errors import LimitReached
from platform_api.ports.rate_limits import Allowance, Limit
from platform_api.settings import Settings
from platform_api.use_cases.services import Services

#: Wrong credentials from one address (the contract's figure).
GUESSES = Limit("guesses", 10, 60, exact=True)

#: The pages of the web UI ask more often than a program does: for a table, its filter, its live figures.
PAGES_PER_REQUEST = 10

#: Behind one address there may be an office full of people.
ADDRESS_PER_USER = 10


class OverLimit(LimitReached):
    """A limit of requests; ``allowance`` is what the answer's headers tell."""

    def __init__(self, message: str, allowance: Allowance) -> None:
        self.allowance = allowance
        super().__init__(message, max(1, math.ceil(allowance.reset_seconds)))


def requests_of_user(settings: Settings) -> Limit:
    """What one person may ask of the API."""
    return Limit("requests", settings.requests_per_minute, 60)


def pages_of_user(settings: Settings) -> Limit:
    """What one person may ask of the web UI's own pages."""
    return Limit("pages", settings.requests_per_minute * PAGES_PER_REQUEST, 60)


def requests_of_address(settings: Settings) -> Limit:
    """What may come from one address, whoever it is."""
    given = settings.rate_limit_per_address_per_minute
    most = given if given is not None else settings.requests_per_minute * PAGES_PER_REQUEST * ADDRESS_PER_USER
    return Limit("address", most, 60)


def runs_of_user(settings: Settings) -> Limit:
    """How many jobs one person may start by hand."""
    return Limit("runs", settings.runs_per_hour, 3600, exact=True)


async def spend_request(services: Services, user_id: UUID) -> Allowance:
    """Count a request of the API; raises ``OverLimit``."""
    return await _spend(services, requests_of_user(services.settings), str(user_id), "You send too many requests")


async def spend_page(services: Services, user_id: UUID) -> Allowance:
    """Count a request of the web UI's own pages; raises ``OverLimit``."""
    return await _spend(services, pages_of_user(services.settings), str(user_id), "You ask for too many pages")


async def spend_address(services: Services, address: str | None) -> Allowance:
    """Count a request of this address, before anything is known about it; raises ``OverLimit``."""
    limit = requests_of_address(services.settings)
    return await _spend(services, limit, place_of(address), "Too many requests come from your address")


async def spend_run(services: Services, user_id: UUID) -> None:
    """Count a run by hand; raises ``OverLimit``."""
    await _spend(services, runs_of_user(services.settings), str(user_id), "You start too many jobs by hand")


async def refuse_guesser(services: Services, address: str | None, credential: str) -> None:
    """Raise ``OverLimit`` when too many wrong credentials came from this address; nothing is looked up for it.

    A credential that held lately goes on to be checked: one broken script does not lock out an office.
    """
    allowance = await services.limits.look(GUESSES, place_of(address))
    if not allowance.allowed and not services.limits.is_vouched(credential):
        raise OverLimit(_guessed(allowance), allowance)


async def note_guess(services: Services, address: str | None) -> None:
    """Count a wrong credential; raises ``OverLimit`` when others at the same time used up what was left."""
    allowance = await services.limits.take(GUESSES, place_of(address))
    if not allowance.allowed:
        raise OverLimit(_guessed(allowance), allowance)


def place_of(address: str | None) -> str:
    """What counts as one address: of IPv6 the network that a provider gives to one customer."""
    if address is None:
        return "local"
    number = ip_address(address)
    if isinstance(number, IPv6Address):
        return str(number.ipv4_mapped or IPv6Address(int(number) >> 64 << 64))
    return str(number)


async def _spend(services: Services, limit: Limit, who: str, words: str) -> Allowance:
    allowance = await services.limits.take(limit, who)
    if not allowance.allowed:
        unit = {60: "minute", 3600: "hour"}[limit.seconds]
        raise OverLimit(f"{words}: {limit.most} a {unit} is the limit.", allowance)
    return allowance


def _guessed(allowance: Allowance) -> str:
    return f"Too many wrong credentials come from your address: {allowance.limit.most} a minute is the limit."
