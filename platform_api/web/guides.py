"""The guides of ``docs/``: found, searched, and turned from Markdown into HTML."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

FOLDER = Path(__file__).parents[2] / "docs"

#: The groups in the order of the page, by folder.
GROUPS = {
    "tutorials": "First steps",
    "how-to": "How to",
    "explanation": "How it works, and why",
    "reference": "Reference",
    "decisions": "Decisions",
}

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_MARKS = re.compile(r"[`*_#>|\[\]]|\(\S+\)")
#: Characters around what was found.
_AROUND = 90


@dataclass(frozen=True, slots=True)
class Guide:
    """One Markdown file."""

    #: ``explanation/logs``: what the address names.
    name: str
    title: str
    source: str

    @property
    def group(self) -> str:
        """The folder that it is in."""
        return self.name.partition("/")[0]

    @property
    def html(self) -> Markup:
        """The text without its title; links between guides lead to their pages."""
        return _rendered(self.name, self.source)


@dataclass(frozen=True, slots=True)
class Hit:
    """A guide in which a word was found, and where."""

    guide: Guide
    before: str
    found: str
    after: str


@cache
def guides(folder: Path = FOLDER) -> dict[str, Guide]:
    """Every guide by its name; read once, for they change with the release only."""
    found = {}
    for group in GROUPS:
        for path in sorted((folder / group).glob("*.md")):
            source = path.read_text()
            title = _TITLE.search(source)
            name = f"{group}/{path.stem.lower()}"
            found[name] = Guide(name, title[1].replace("`", "") if title else path.stem, source)
    return found


def search(known: Sequence[Guide], words: str) -> list[Hit]:
    """The guides that hold all of ``words``, those first whose title does; with the first place of the longest."""
    wanted = words.lower().split()
    hits = []
    for guide in known:
        text = " ".join(_MARKS.sub("", guide.source).split())
        if all(word in text.lower() for word in wanted):
            hits.append((not all(word in guide.title.lower() for word in wanted), _hit(guide, text, wanted)))
    return [hit for _, hit in sorted(hits, key=lambda ranked: (ranked[0], ranked[1].guide.name))]


def _hit(guide: Guide, text: str, wanted: list[str]) -> Hit:
    word = max(wanted, key=len)
    at = text.lower().index(word)
    end = at + len(word)
    return Hit(guide, text[max(at - _AROUND, 0) : at], text[at:end], text[end : end + _AROUND])


@cache
def _rendered(name: str, source: str) -> Markup:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_TITLE.sub("", source, count=1))
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", _slug(tokens[place + 1].content))
        _lead_on(token.children or [], name)
    html = markdown.renderer.render(tokens, markdown.options, {})
    # A wide table or listing scrolls inside itself, by keyboard too.
    html = html.replace("<table>", '<div class="table-scroll" role="region" aria-label="Table" tabindex="0"><table>')
    html = html.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    return Markup(html)  # noqa: S704 - our own files, and HTML in them is escaped


def _lead_on(tokens: Sequence[Token], name: str) -> None:
    """Let links between files lead to their pages; one to what is no guide stays words."""
    is_plain = False
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href") or ""), name)
            is_plain = address is None
            token.attrs = {} if address is None else {"href": address}
        if token.type in ("link_open", "link_close") and is_plain:
            token.tag = "span"


def _address(href: str, name: str) -> str | None:
    if "://" in href or href.startswith(("#", "mailto:")):
        return href
    path, _, fragment = href.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path.removesuffix(".md"))).lower()
    return f"/docs/{target}" + (f"#{fragment}" if fragment else "") if target in guides() else None


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
