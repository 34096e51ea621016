"""Secrets in a stream of bytes: none gets through, however it is cut and whatever became of it; all else does."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_api.domain.secret_values import faults, shown
from work_pools.masking import NOTHING, TRANSPARENT, Masker

#: As awkward as a password generator makes them.
AWKWARD = "p@ss 'w\"o$r`d\\/+&=%~!#,ü€<x>"
PRIVATE_KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQDd7\n-----END PRIVATE KEY-----\n"
)


def stream(masker: Masker, pieces: Sequence[bytes]) -> bytes:
    out, carry = b"", NOTHING
    for piece in pieces:
        data, carry = masker.feed(carry, piece)
        out += data
    data, carry = masker.feed(carry, b"", final=True)
    assert not carry
    return out + data


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(borders)]


def oracle(found: dict[bytes, bytes], data: bytes) -> bytes:
    """The rules, slowly: mark what is part of any occurrence, then show each marked stretch by its longest pattern."""
    spans = sorted(
        (i, i + len(p), text) for p, text in found.items() for i in range(len(data)) if data.startswith(p, i)
    )
    out, position = b"", 0
    while spans:
        start, end, text = max((s for s in spans if s[0] == spans[0][0]), key=lambda s: s[1])
        for a, b, _ in spans:
            if a < end < b:
                end, text = b, b"****"
        out += data[position:start] + text
        position = end
        spans = [s for s in spans if s[0] >= end]
    return out + data[position:]


def test_long_values_show_their_last_four_characters_and_short_ones_nothing() -> None:
    masker = Masker(["twelve-chars", "eleven-char"])
    assert masker.mask(b"a twelve-chars b eleven-char c") == b"a ****hars b **** c"
    assert (shown("x" * 12), shown("x" * 11)) == ("****xxxx", "****")


def test_the_longest_secret_is_masked_first_and_overlapping_ones_together() -> None:
    masker = Masker(["secret", "secret-of-the-house", "house-of-cards"])
    assert masker.mask(b"<secret> <secret-of-the-house> <secret-of-the-house-of-cards>") == b"<****> <****ouse> <****>"


def test_a_secret_that_repeats_itself_is_masked_however_often() -> None:
    assert Masker(["abab"]).mask(b"xabababy abab ababab") == b"x****y **** ****"


SMALL = ["abcdef", "defghi", "aaaa", "longer-than-twelve", "than-twelve-more"]
SMALL_LOG = b"x abcdefghi aaaaaaa abcde abcdef\nlonger-than-twelve-more longer-than-twelve aaa"


def test_nothing_depends_on_where_the_stream_is_cut() -> None:
    masker = Masker(SMALL)
    whole = masker.mask(SMALL_LOG)
    assert whole == b"x **** **** abcde ****\n**** ****elve aaa"
    for places in combinations(range(len(SMALL_LOG) + 1), 2):
        assert stream(masker, cut(SMALL_LOG, places)) == whole, places
    assert stream(masker, cut(SMALL_LOG, range(len(SMALL_LOG)))) == whole


LETTERS = st.text(alphabet="abc\n", min_size=4, max_size=8).filter(lambda value: not list(faults(value)))


@given(st.lists(LETTERS, min_size=1, max_size=3), st.text(alphabet="abc\n", max_size=60), st.data())
def test_any_secrets_in_any_log_cut_anywhere_are_masked_as_the_rules_say(
    secrets: list[str], text: str, data: st.DataObject
) -> None:
    masker, log = Masker(secrets), text.encode()
    places = data.draw(st.lists(st.integers(0, len(log)), max_size=8))
    expected = oracle(dict(zip(masker._patterns, masker._shown, strict=True)), log)
    assert masker.mask(log) == expected
    assert stream(masker, cut(log, places)) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_a_log_without_secrets_comes_out_as_it_went_in(log: bytes, places: list[int]) -> None:
    masker = Masker([AWKWARD, PRIVATE_KEY])
    assert stream(masker, cut(log, [min(place, len(log)) for place in places])) == log
    assert TRANSPARENT.feed(NOTHING, log) == (log, NOTHING)


def test_a_complete_line_is_never_held_back() -> None:
    out, carry = Masker([PRIVATE_KEY, "abcdefgh"]).feed(NOTHING, b"abcdefg\n")
    assert (out, carry) == (b"abcdefg\n", NOTHING)


def test_no_more_is_held_back_than_could_become_a_secret() -> None:
    out, carry = Masker(["abcdefgh"]).feed(NOTHING, b"x" * 1000 + b"abc")
    assert (len(out), carry.pending) == (1000, b"abc")
    repeated = Masker(["aaaa"])
    _, carry = repeated.feed(NOTHING, b"a" * 100_000)
    assert len(carry.pending) < 4


def forms_by_other_programs(value: str) -> dict[str, str]:
    quoted = urllib.parse.quote(value, safe="")
    return {
        "plain": value,
        "json": json.dumps({"k": value}),
        "json, not only ASCII": json.dumps({"k": value}, ensure_ascii=False),
        "json in json": json.dumps(json.dumps({"k": value})),
        "php json": json.dumps(value).replace("/", "\\/"),
        "go json": json.dumps(value, ensure_ascii=False)
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e"),
        "url": quoted,
        "url, lower case": quoted.replace("%C3", "%c3").lower() if value.lower() == value else quoted,
        "url path": urllib.parse.quote(value),
        "form": urllib.parse.urlencode({"k": value}),
        "encodeURIComponent": urllib.parse.quote(value, safe="!'()*"),
        "repr": repr(value),
        "repr of a dict": repr({"k": value, "other": 1}),
        "repr of bytes": repr(value.encode()),
        "ascii": ascii(value),
        "unquoted in a shell": " ".join(value.split()),
    }


@pytest.mark.parametrize("value", [AWKWARD, "O'Brien's", 'say "cheese"', "tab\there and back\\slash", PRIVATE_KEY])
def test_a_value_is_masked_in_every_form_that_programs_make_of_it(value: str) -> None:
    masker = Masker([value])
    parts = [part for part in value.strip().split("\n") if len(part) >= 8]
    for name, form in forms_by_other_programs(value).items():
        masked = masker.mask(b"<" + form.encode() + b">").decode()
        assert "****" in masked, name
        left = urllib.parse.unquote_plus(masked)
        assert not [p for p in parts if p[:-4] in masked or p[4:-4] in left or p[:-6] in left], (name, masked)
        assert len(masked) <= len(form) + 2 - 4, (name, masked)


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    "value", [AWKWARD, "O'Brien's pass word", 'say "cheese"', "a,b^c~d#e{f}g[h]", "two\nlines here"]
)
@pytest.mark.parametrize(
    "script",
    [
        "printf '<%q>' \"$S\"",
        'echo "<${S@Q}>"',
        'declare -p S | cut -d= -f2- | sed "s/^/</;s/$/>/"',
        'export -p | grep -A1 " S=" | cut -d= -f2-',
        'exec 2>&1; set -x; : "$S"',
        "echo $S",
    ],
)
def test_a_value_is_masked_as_bash_quotes_it(value: str, script: str) -> None:
    run = subprocess.run(["bash", "-c", script], env={"S": value, "LC_ALL": "C.UTF-8"}, capture_output=True, check=True)
    masked = Masker([value]).mask(run.stdout)
    bare = masked.replace(b"****", b"").decode()
    for line in value.split("\n"):
        assert len(line) < 4 or line[2:8] not in bare, masked
    assert b"****" in masked
    # Nothing is left of it but its last four characters, quotes and the script's own words.
    assert len(bare) - bare.count(" ") < 24, masked


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "usr", "user:"])
@pytest.mark.parametrize("after", ["", "x", "\n", "@host", ":x:"])
def test_base64_is_masked_at_every_offset(alphabet: object, before: str, after: str) -> None:
    value = "s3cr\xff\xfe?>~~et-value"
    data = (before + value + after).encode()
    encoded = alphabet(data)  # type: ignore[operator]
    masked = Masker([value]).mask(encoded)
    assert b"****alue" in masked
    begin, end = len(before.encode()) * 8, len((before + value).encode()) * 8
    # What is left of the value's own bits is less than one character at each end.
    left = masked.split(b"****alue")
    assert len(left[0]) * 6 - begin < 6
    assert (len(encoded.rstrip(b"=")) - len(left[1].rstrip(b"="))) * 6 > end - 6


@pytest.mark.parametrize("width", [76, 64])
def test_base64_that_is_broken_into_lines_is_masked_line_by_line(width: int) -> None:
    encoded = base64.b64encode(PRIVATE_KEY.strip().encode())
    lines = [encoded[i : i + width] for i in range(0, len(encoded), width)]
    masked = Masker([PRIVATE_KEY]).mask(b"\n".join(lines)).split(b"\n")
    assert all(line.startswith(b"****") and len(line) <= 10 for line in masked)


def test_every_line_of_a_value_is_masked_by_itself_and_only_the_last_shows_four_characters() -> None:
    masker = Masker([PRIVATE_KEY])
    assert masker.mask(PRIVATE_KEY.encode()).split(b"\n") == [b"****", b"****", b"****", b"****----", b""]
    indented = "\n".join("    " + line for line in PRIVATE_KEY.replace("\n", "\r\n").split("\n"))
    assert b"MII" not in masker.mask(indented.encode())
    assert b"BKcwggSj" not in masker.mask(b"only BKcwggSjAgEAAoIBAQDd7 of it")


def test_texts_in_a_json_document_are_secrets_too_however_deep() -> None:
    inner = json.dumps({"token": "inner-token-value"})
    value = json.dumps({"user": "admin-user", "nested": [{"key": PRIVATE_KEY}, "ab"], "inner": inner, "port": 5432})
    masker = Masker([value])
    assert masker.mask(b"admin-user inner-token-value ab 5432") == b"**** ****alue ab 5432"
    assert masker.mask(b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC") == b"****"
    assert b"inner-token" not in masker.mask(value.encode())
    assert masker.mask(base64.b64encode(b"inner-token-value")) == b"****alue"


def test_a_document_is_masked_in_its_texts_keys_and_numbers() -> None:
    masker = Masker(["hunter2-hunter2", "12345678"])
    document = {"a": ["hunter2-hunter2", 1, None, True], "hunter2-hunter2": {"n": 12345678, "f": 0.5}}
    assert masker.mask_json(document) == {"a": ["****ter2", 1, None, True], "****ter2": {"n": "****", "f": 0.5}}


def test_a_masker_does_not_show_its_values() -> None:
    assert "hunter2" not in repr(Masker(["hunter2"]))


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ("abcd", True),
        ("abc", False),
        ("", False),
        ("  ab  ", False),
        ("ab\ncd\nef", False),
        ("ab\ncdef", True),
        ("nul\0nul", False),
        ("half \ud800 pair", False),
        ("x" * 25 * 1024, True),
        ("x" * (25 * 1024 + 1), False),
    ],
)
def test_values_that_cannot_be_masked_or_passed_on_are_refused_when_set(value: str, is_fine: bool) -> None:
    assert (not list(faults(value))) is is_fine
