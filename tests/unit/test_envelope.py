"""Values sealed in the database: whoever has the rows has nothing, and a row opens in its own place only."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from platform_api.domain.secret_records import SecretPlace, SecretScope
from platform_api.ports.secret_store import Sealed, StoreAway, ValueLost
from platform_api.secret_store.database import DatabaseStore
from platform_api.secret_store.master_keys import FixedKeys, KeyFile, Keyring, MasterKey, MasterKeyUnusable

KEY, OTHER = MasterKey.new(), MasterKey.new()
PLACE = SecretPlace(uuid4(), "password", SecretScope.OWN, 1)


def store(*keys: MasterKey) -> DatabaseStore:
    return DatabaseStore(FixedKeys(Keyring(keys or (KEY,))))


def flipped(sealed: Sealed, name: str, at: int) -> Sealed:
    content = bytearray(base64.b64decode(sealed.document[name]))
    content[at] ^= 1
    return replace(sealed, document={**sealed.document, name: base64.b64encode(content).decode()})


@pytest.mark.parametrize(
    "moved", [replace(PLACE, id=uuid4()), replace(PLACE, version=2), replace(PLACE, id=uuid4(), version=2)]
)
async def test_a_row_that_is_put_in_anothers_place_opens_nothing(moved: SecretPlace) -> None:
    sealed = await store().put(PLACE, "a value")
    with pytest.raises(ValueLost, match="broken"):
        await store().get(moved, sealed)


@pytest.mark.parametrize("name", ["data_key", "value"])
@pytest.mark.parametrize("at", [0, 12, -1])
async def test_a_changed_bit_is_noticed(name: str, at: int) -> None:
    sealed = await store().put(PLACE, "a value")
    with pytest.raises(ValueLost):
        await store().get(PLACE, flipped(sealed, name, at))


@pytest.mark.parametrize("name", ["data_key", "value"])
@pytest.mark.parametrize("text", ["", "?", "AAAA"])
async def test_a_damaged_row_is_no_crash(name: str, text: str) -> None:
    sealed = await store().put(PLACE, "a value")
    with pytest.raises(ValueLost):
        await store().get(PLACE, replace(sealed, document={**sealed.document, name: text}))
    with pytest.raises(ValueLost):
        await store().get(PLACE, replace(sealed, document={}))


async def test_the_parts_of_two_seals_do_not_fit_together() -> None:
    one, two = await store().put(PLACE, "a value"), await store().put(PLACE, "a value")
    assert one.document["value"] != two.document["value"]
    mixed = replace(one, document={**one.document, "value": two.document["value"]})
    with pytest.raises(ValueLost):
        await store().get(PLACE, mixed)


async def test_a_key_that_is_not_here_is_named_as_the_reason() -> None:
    sealed = await store().put(PLACE, "a value")
    with pytest.raises(ValueLost, match="under a master key that is not here"):
        await store(OTHER).get(PLACE, sealed)
    with pytest.raises(ValueLost, match="broken"):
        await store(OTHER).get(PLACE, replace(sealed, key_id=OTHER.id))


async def test_the_first_key_seals_and_every_key_opens() -> None:
    old = await store(KEY).put(PLACE, "a value")
    both = store(OTHER, KEY)
    new = await both.put(PLACE, "a value")
    assert (old.key_id, new.key_id) == (KEY.id, OTHER.id)
    assert await both.get(PLACE, old) == await both.get(PLACE, new) == "a value"


async def test_wrapping_anew_changes_the_key_and_not_the_value() -> None:
    old = await store(KEY).put(PLACE, "a value")
    new = store(OTHER, KEY).rewrap(PLACE, old)
    assert new.document["value"] == old.document["value"]
    assert await store(OTHER).get(PLACE, new) == "a value"
    with pytest.raises(ValueLost):
        await store(KEY).get(PLACE, new)
    with pytest.raises(ValueLost):
        store(OTHER, KEY).rewrap(replace(PLACE, version=2), old)


def test_a_keys_name_and_its_picture_tell_nothing_of_it() -> None:
    assert KEY.id != OTHER.id
    for shown in (KEY.id, repr(KEY), repr(Keyring((KEY,)))):
        assert KEY.text not in shown
        assert KEY.key.hex() not in shown


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", ["", "="])
def test_a_key_is_read_in_either_alphabet_padded_or_not(alphabet: object, padding: str) -> None:
    key = MasterKey(b"\xfb\xff\xbe" * 10 + b"ab")
    text = alphabet(key.key).decode().rstrip("=") + padding  # type: ignore[operator]
    assert MasterKey.parse(f" {text}\n") == key
    assert MasterKey.parse(key.text) == key


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 43 + "!", "A" * 44, base64.b64encode(b"x" * 16).decode(), "ü" * 43]
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(MasterKeyUnusable) as refusal:
        FixedKeys.parse(f"{text},")
    assert not text or text not in str(refusal.value)


# The key file


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path / "master-key")
    file.ensure()
    return file


def test_the_key_file_is_made_once_and_for_its_owner_only(file: KeyFile) -> None:
    first = file.keyring()
    file.ensure()
    assert KeyFile(file.path).keyring() == first
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert os.listdir(file.path.parent) == ["master-key"]


def test_a_replaced_file_is_read_again(file: KeyFile) -> None:
    before, reader = file.keyring(), KeyFile(file.path)
    assert reader.keyring() == before
    file.replace(Keyring((OTHER, *before.keys)))
    assert reader.keyring().current == OTHER
    assert reader.keyring().named(before.current.id) == before.current


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
async def test_a_file_that_others_may_read_is_not_used(file: KeyFile, mode: int) -> None:
    file.path.chmod(mode)
    with pytest.raises(StoreAway, match="0600"):
        await DatabaseStore(file).put(PLACE, "a value")


async def test_without_a_file_the_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="JOB_PLATFORM_MASTER_KEY"):
        await DatabaseStore(KeyFile(tmp_path / "none")).put(PLACE, "a value")
