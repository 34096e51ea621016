"""The forms in which a secret value turns up in what a script prints: each one that programs make by themselves.

A script that wants to give its secrets away can always think of another (reversed, letter by letter); masking is
against the accident, and the sandbox is against the script.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from platform_api.domain.secret_values import MASK, SHORTEST, shown

#: Characters that one program or another leaves alone when it writes a URL: Python's two, JavaScript's two, forms.
_URL_SAFE = ("", "/", "!'()*", "!'()*;,/?:@&=+$#", "*")
#: What ``printf %q`` of bash escapes, and what it does at the beginning of a word only.
_BASH_SPECIAL = re.compile(r"([^\w@%+=:./\-\n~#\u0080-\U0010ffff]|^#|(?:^|(?<=[:=]))~)")
_WORD = re.compile(r"([^\w\n])")
_ESCAPED_PERCENT = re.compile("%[0-9A-F]{2}")
_UNICODE_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")

#: Where ``base64`` and ``openssl`` break their lines.
_BASE64_LINES = (76, 64)

#: JSON in JSON in JSON: more is nobody's configuration.
_DEEPEST = 3


def patterns(values: Iterable[str]) -> dict[bytes, bytes]:
    """Every sequence of bytes that gives one of the values away, and what is shown in its place.

    None of them holds a line feed, so that a line of a log can be judged as soon as it is complete.
    """
    found: dict[bytes, bytes] = {}
    for value in {part for whole in values for part in (whole, *_leaves(whole))}:
        for form in _forms(value.strip()):
            for pattern, text in _lines(form, shown(value.strip()).encode(errors="surrogatepass")):
                known = found.setdefault(pattern, text)
                if known != text:
                    found[pattern] = MASK.encode()
    return found


def _lines(form: bytes, text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The form line by line: only the last line shows what the value shows."""
    lines = [line.strip() for line in form.split(b"\n")]
    for number, line in enumerate(lines, start=1):
        if len(line) >= SHORTEST:
            yield line, text if number == len(lines) else MASK.encode()


def _leaves(value: str, depth: int = 1) -> Iterator[str]:
    """The texts in a value that is a JSON document, those of documents in its texts included."""
    if depth > _DEEPEST or not value.lstrip().startswith(("{", "[", '"')):
        return
    try:
        document = json.loads(value)
    except (ValueError, RecursionError):
        return
    for leaf in _texts(document):
        if len(leaf.strip()) >= SHORTEST:
            yield leaf
            yield from _leaves(leaf, depth + 1)


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for item in document.values():
            yield from _texts(item)
    elif isinstance(document, list):
        for item in document:
            yield from _texts(item)


def _forms(text: str) -> set[bytes]:
    # An unquoted variable in a shell loses its line feeds and double blanks.
    spellings = {text, " ".join(text.split()), *_json(text), *_shell(text), *_url(text), *_python(text)}
    data = text.encode(errors="surrogatepass")
    encoded = {form.encode(errors="surrogatepass") for form in spellings} | set(_base64(data))
    return encoded | {repr(data)[2:-1].encode(), _octal(data)}


def _json(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for form in (escaped, escaped.replace("/", "\\/"), _hidden_from_html(escaped, "<>&")):
            yield form
            yield _UNICODE_ESCAPE.sub(_upper_hex, form)
    everything = _hidden_from_html(json.dumps(text)[1:-1].replace('\\"', '"'), "<>&'+\"`")
    yield _UNICODE_ESCAPE.sub(_upper_hex, everything)
    # A document with the value, as a text in another document.
    yield json.dumps(json.dumps(text)[1:-1])[1:-1]


def _hidden_from_html(text: str, characters: str) -> str:
    return "".join(f"\\u{ord(c):04x}" if c in characters else c for c in text)


def _upper_hex(escape: re.Match[str]) -> str:
    return "\\u" + escape[0][2:].upper()


def _shell(text: str) -> Iterator[str]:
    yield shlex.quote(text).strip("'")
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield re.sub(r'(["\\$`])', r"\\\1", text)
    yield re.sub(r'(["\\$`!])', r"\\\1", text)
    yield _BASH_SPECIAL.sub(r"\\\1", text)
    yield _WORD.sub(r"\\\1", text)
    ansi = text.replace("\\", "\\\\").replace("'", "\\'")
    yield ansi.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r").replace("\x1b", "\\E")


def _python(text: str) -> Iterator[str]:
    """As ``repr`` has it, in every traceback and printed dictionary."""
    yield repr(text)[1:-1]
    # Beside a character that makes ``repr`` choose the other quotes.
    yield repr(text + '"')[1:-2]
    yield repr(text + "'\"")[1:-4]
    yield ascii(text)[1:-1]


def _octal(data: bytes) -> bytes:
    """As shells in the C locale write what is not ASCII."""
    return b"".join(b"\\%03o" % byte if byte >= 0x80 else bytes((byte,)) for byte in data)


def _url(text: str) -> Iterator[str]:
    for safe in _URL_SAFE:
        encoded = quote(text, safe=safe, errors="replace")
        for form in (encoded, encoded.replace("%20", "+"), encoded.replace("~", "%7E")):
            yield form
            yield _ESCAPED_PERCENT.sub(lambda escape: escape[0].lower(), form)


def _base64(data: bytes) -> Iterator[bytes]:
    """At the three offsets it can have in what is encoded, as far as nothing beside it matters, and at its end."""
    for offset in range(3):
        # The first character that belongs to the value alone; one before it may share bits with what precedes.
        begin, bits = (0, 2, 3)[offset], (offset + len(data)) * 8
        whole = base64.b64encode(b"\0" * offset + data)
        for form in (whole[begin : bits // 6], whole[begin:], whole[begin:].rstrip(b"=")):
            yield form
            yield form.translate(_URL_ALPHABET)
    for length in _BASE64_LINES:
        whole = base64.b64encode(data)
        yield b"\n".join(whole[i : i + length] for i in range(0, len(data) * 8 // 6, length))


_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
