"""Reading a page's form as a browser would send it back."""

from __future__ import annotations

from html.parser import HTMLParser


class _Fields(HTMLParser):
    """The successful controls of the form ``job-form``."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._inside = False
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name")
        if tag == "form":
            self._inside = given.get("id") == "job-form"
        if not self._inside:
            return
        if tag == "option" and self._select and "selected" in given:
            self.fields[self._select] = given.get("value") or ""
        if name and tag == "textarea":
            self._area, self.fields[name] = name, ""
        elif name and tag == "select":
            self._select = name
        elif name and tag == "input":
            self._input(name, given)

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in given:
            return
        if kind != "file":
            self.fields[name] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # The first line feed belongs to the markup.
            self.fields[self._area] = self.fields[self._area].removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._inside = False


def fields_of(html: str) -> dict[str, str]:
    """What the form ``job-form`` of the page would send."""
    parser = _Fields()
    parser.feed(html)
    return parser.fields
