"""The folder of one attempt: the only word between a script's shim and whichever worker asks about it.

    code/<claim>/     what runs                       log-0         frames of both streams as they arrived
    work/  tmp/       what it may write to            log-ring/     the end of a long log; see ``log_segments``
    ready-<claim>     may be started by that claim    session       the script's own process and its start
    sealed-<claim>    may not be any more             exit          how it ended; there once it is over
    started           which shim watches it           stop          the cause why a worker wants it ended
                                                      spare         room for ``exit`` on a full disk

An attempt starts when a shim takes its claim's token: renames it, writes into it who it is, and links it to
``started``, which only one can do. A takeover removes what tokens it finds before it looks for ``started``, so
an order that is still on its way loses or is seen. Of a discarded attempt ``started`` remains for a while, beside
``discarded``, so that a worker that slept through all of it cannot start it again. Standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

READY, TAKEN, SEALED = "ready-", "taken-", "sealed-"

# Tokens and the spare record are as large from the beginning as they ever become: on a full disk they can still
# be written over. Blanks around a JSON document mean nothing.
_TOKEN_SIZE, _SPARE_SIZE = 512, 2048


class RunDirectory:
    """Paths and steps of the protocol above; every step is atomic."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.work = self.at("work")
        self.temporary = self.at("tmp")
        self.log = self.at("log-0")
        self.log_ring = self.at("log-ring")
        self.started = self.at("started")
        self.stop = self.at("stop")
        self.discarded = self.at("discarded")

    def at(self, name: str) -> str:
        """The path of ``name`` inside."""
        return f"{self.path}/{name}"

    def code(self, claim: str) -> str:
        """The folder of the script as a claim has it."""
        return self.at(f"code/{claim}")

    def exists(self) -> bool:
        """Whether anything is kept of the attempt."""
        return os.path.exists(self.path)

    def has_ended(self) -> bool:
        """Whether the attempt's end is recorded."""
        return os.path.exists(self.at("exit"))

    def prepare(self, claim: str, script_name: str, script: bytes) -> bool:
        """Make everything that a start by ``claim`` needs, its token last; False when the claim was sealed.

        Nothing that is there is replaced: an attempt of another claim may start at any moment, and then it is that
        attempt's. What can be made here is not made between the due second and the start.
        """
        if os.path.exists(self.started) or os.path.exists(self.at(READY + claim)):
            return True
        self._make_folders(claim)
        if os.path.exists(self.at(SEALED + claim)):
            return False
        self.write(f"code/{claim}/{script_name}", script)
        for name, size in (("spare", _SPARE_SIZE), ("session", 0), ("log-0", 0), (READY + claim, _TOKEN_SIZE)):
            with suppress(FileExistsError):
                _fill(_create(self.at(name)), b" " * size)
        return True

    def _make_folders(self, claim: str) -> None:
        own = (self.at("code"), self.code(claim), self.work, self.temporary)
        for folder in (os.path.dirname(self.path), self.path, *own):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)

    def take(self, claim: str, identity: dict[str, Any]) -> bool:
        """Become the one that runs this attempt; False when it was sealed or somebody else is."""
        mine = self.at(f"{TAKEN}{claim}-{identity.get('pid', os.getpid())}")
        try:
            os.rename(self.at(READY + claim), mine)
            # Makes no file: a token that is sealed at this moment must not come to be again.
            self.overwrite(os.path.basename(mine), json.dumps(identity).encode())
            os.link(mine, self.started)
        except (FileNotFoundError, FileExistsError):
            return False
        return True

    def seal(self) -> bool:
        """Make every claim so far void; False when one of them has started.

        Tokens are unlinked and not renamed: a link(2) that has found its source goes on to work while that is being
        renamed, but not once it has no name left.
        """
        while tokens := list(self._tokens()):
            for token in tokens:
                claim = token.removeprefix(READY).removeprefix(TAKEN)[:36]
                with suppress(FileExistsError):
                    os.close(_create(self.at(SEALED + claim)))
                with suppress(FileNotFoundError):
                    os.unlink(self.at(token))
        return not os.path.exists(self.started)

    def _tokens(self) -> Iterator[str]:
        with suppress(FileNotFoundError):
            yield from (name for name in os.listdir(self.path) if name.startswith((READY, TAKEN)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole or not at all; it replaces an older one."""
        unfinished = self.at(f"{name}.{os.urandom(4).hex()}.tmp")
        _fill(_create(unfinished), content)
        os.rename(unfinished, self.at(name))

    def write_document(self, name: str, document: dict[str, Any]) -> None:
        """``write`` for what ``read_document`` reads."""
        self.write(name, json.dumps(document).encode())

    def record_end(self, record: dict[str, Any]) -> None:
        """Write ``exit``, into the room kept for it if it fits; on a full disk without what does not fit."""
        content = json.dumps(record).encode()
        try:
            if len(content) > _SPARE_SIZE or self.has_ended():
                self.write("exit", content)
                return
        except OSError as error:
            content = json.dumps(_shortened(record, error)).encode()
        self.overwrite("spare", content)
        os.rename(self.at("spare"), self.at("exit"))

    def overwrite(self, name: str, content: bytes) -> None:
        """Write at the beginning of a file that is there and has no reader yet."""
        _fill(os.open(self.at(name), os.O_WRONLY | os.O_CLOEXEC), content)

    def is_discarded(self) -> bool:
        """Whether nothing but the marks of an attempt that is over are left."""
        return os.path.exists(self.discarded)

    def read_document(self, name: str) -> dict[str, Any] | None:
        """What was written under that name, None where nothing was, empty where a dying machine left it half done."""
        try:
            with open(self.at(name), "rb") as file:
                document: dict[str, Any] = json.load(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return {}
        return document


def _shortened(record: dict[str, Any], error: OSError) -> dict[str, Any]:
    return record | {
        "result": None,
        "result_error": f"The result could not be kept: {error.strerror}",
        "error": str(record.get("error") or "")[:1000] or None,
    }


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _fill(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) or 0 :]
