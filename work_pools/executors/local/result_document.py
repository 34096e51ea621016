"""Takes the JSON document that a script leaves behind, without trusting the script. Standard library only."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, NoReturn

#: The document's name in the script's working folder.
FILE_NAME = ".job-result.json"
LARGEST = 64 * 1024


class Refused(Exception):
    """There is something, but it cannot be taken; the text says why."""


def take(folder: int) -> Any:
    """The document in the folder (an open descriptor, so nothing can be put in its place), None if there is none."""
    try:
        content = _read(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"The result could not be read: {error.strerror}") from error
    try:
        document = json.loads(content, parse_constant=_refuse_constant, parse_float=_finite)
        _check_text(document)
    except (ValueError, RecursionError) as error:
        raise Refused(f"The result is no JSON document that can be kept: {error}") from error
    return document


def _read(folder: int) -> bytes:
    # Neither a link out of the folder nor a pipe that never answers is followed.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(FILE_NAME, flags, dir_fd=folder), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Refused("The result is not a regular file.")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Refused(f"The result is larger than {LARGEST // 1024} KiB.")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _check_text(value: Any) -> None:
    """PostgreSQL keeps no NUL and no half of a surrogate pair inside a JSON document."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text in it holds a NUL character")
        value.encode()
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
