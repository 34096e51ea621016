"""What may be a secret's value, and what people may see of it."""

from __future__ import annotations

from collections.abc import Iterator

from platform_api.domain.errors import FieldError

#: A shorter value occurs in every log by chance: masking it would spoil logs, not masking it would give it away.
SHORTEST = 4
#: As in Azure Key Vault; an environment variable could hold more.
LONGEST_BYTES = 25 * 1024

MASK = "****"
#: From this length on the last four characters are shown, so that people can tell one value from another.
TELLING_LENGTH = 12


def shown(value: str) -> str:
    """The value as people may see it."""
    return MASK + value[-4:] if len(value) >= TELLING_LENGTH else MASK


def faults(value: str, field: str = "value") -> Iterator[FieldError]:
    """Why this cannot be the value of a secret, if it cannot; asked whenever one is set."""
    if max(len(line.strip()) for line in value.split("\n")) < SHORTEST:
        # Lines are masked one by one: a value of short lines only would be as bare as a short value.
        yield FieldError(field, f"must have a line of at least {SHORTEST} characters; shorter ones cannot be masked")
    if "\0" in value:
        yield FieldError(field, "must not hold a NUL character; no environment variable can")
    try:
        if len(value.encode()) > LONGEST_BYTES:
            yield FieldError(field, f"must not be longer than {LONGEST_BYTES // 1024} KiB")
    except UnicodeEncodeError:
        yield FieldError(field, "must be text; half of a surrogate pair is none")
