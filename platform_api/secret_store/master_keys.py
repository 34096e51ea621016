"""Master keys: under the first of them data keys are wrapped, under all of them they can be unwrapped.

They come from JOB_PLATFORM_MASTER_KEY (separated by commas) or from a file for its owner only, one a line. The file is
read again whenever it has changed, so that a rotation reaches processes that run.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class MasterKeyUnusable(Exception):
    """There is no master key, or what is given is none; the text never repeats it."""


class SealBroken(Exception):
    """What is sealed was changed, moved to another place, or sealed under another key."""


def seal(key: bytes, content: bytes, place: bytes) -> bytes:
    """Encrypt ``content`` for ``place``."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, place)


def unseal(key: bytes, sealed: bytes, place: bytes) -> bytes:
    """What ``seal`` got; raises ``SealBroken``."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    except (InvalidTag, ValueError):
        raise SealBroken from None


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One key, and the name by which what is wrapped under it is found."""

    key: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Tells nothing about the key."""
        return hmac.new(self.key, b"job-platform master key id", hashlib.sha256).hexdigest()[:16]

    @property
    def text(self) -> str:
        """As it is given in a setting or a file."""
        return base64.urlsafe_b64encode(self.key).decode().rstrip("=")

    @classmethod
    def new(cls) -> MasterKey:
        """A random one."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> MasterKey:
        """Read base64 in either alphabet; raises ``MasterKeyUnusable``."""
        plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
        try:
            key = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise MasterKeyUnusable(f"a master key is {KEY_BYTES} random bytes in base64")
        return cls(key)


@dataclass(frozen=True, slots=True)
class Keyring:
    """At least one key; the first one seals."""

    keys: tuple[MasterKey, ...]

    @property
    def current(self) -> MasterKey:
        """What new seals are made with."""
        return self.keys[0]

    def named(self, key_id: str | None) -> MasterKey | None:
        """The key of that name, if it is here."""
        return next((key for key in self.keys if key.id == key_id), None)

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Keyring:
        """Read keys; raises ``MasterKeyUnusable``."""
        keys = tuple(MasterKey.parse(text) for text in texts if text.strip())
        if not keys:
            raise MasterKeyUnusable("there is no master key")
        return cls(keys)


class KeySource(Protocol):
    """Where the keys are."""

    def keyring(self) -> Keyring:
        """The keys as they are now; raises ``MasterKeyUnusable``."""
        ...


class FixedKeys:
    """Keys from a setting: they change with a restart only."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    @classmethod
    def parse(cls, setting: str) -> FixedKeys:
        """Read ``key[,older key...]``; raises ``MasterKeyUnusable``."""
        return cls(Keyring.parse(setting.split(",")))

    def keyring(self) -> Keyring:
        """The keys."""
        return self._keyring


class KeyFile:
    """Keys in a file, mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, int, int], Keyring] | None = None

    def keyring(self) -> Keyring:
        """The keys, read again when the file was replaced; raises ``MasterKeyUnusable``."""
        try:
            state = os.stat(self.path)
        except FileNotFoundError:
            raise MasterKeyUnusable("there is no master key: set JOB_PLATFORM_MASTER_KEY") from None
        if stat.S_IMODE(state.st_mode) & 0o077:
            raise MasterKeyUnusable("the file of the master key may be read by its owner only (mode 0600)")
        mark = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != mark:
            self._read = mark, Keyring.parse(self.path.read_text().splitlines())
        return self._read[1]

    def ensure(self) -> None:
        """Make the file with a new key unless it is there."""
        if not self.path.exists():
            self.replace(Keyring((MasterKey.new(),)))

    def replace(self, keyring: Keyring) -> None:
        """Write all keys; after a crash or a power cut the file holds either the old ones or the new ones."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("".join(f"{key.text}\n" for key in keyring.keys))
            file.flush()
            os.fsync(descriptor)
        draft.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
