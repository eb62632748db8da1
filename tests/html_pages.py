"""Reads HTML pages as browsers do, and says what keeps people from reading them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}
TAGS = {
    *("html", "head", "meta", "title", "link", "style", "script", "body", "a", "header", "main"),
    *("nav", "section", "footer", "h1", "h2", "h3", "p", "ul", "ol", "li", "span", "b", "strong"),
    *("code", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("figure", "figcaption", "svg", "path", "g", "line", "text", "rect", "wbr"),
}


@dataclass
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        """All elements below with one of these names, all where none is given."""
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    yield child
                yield from child.all(*tags)

    @property
    def text(self) -> str:
        """All text below."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def child(self, tag: str) -> Element | None:
        """The first element right below with that name."""
        for child in self.children:
            if isinstance(child, Element) and child.tag == tag:
                return child
        return None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(one)
        if tag not in VOID:
            self.open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(page: str) -> Element:
    """Read a page; every element must end where it should."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


def faults(root: Element) -> list[str]:
    """What is wrong with a page: for readers, by keyboard, and for its safety."""
    parts = (_of_document, _of_references, _of_names, _of_drawings, _of_tables, _of_safety)
    return [fault for part in parts for fault in part(root)]


def _of_document(root: Element) -> Iterator[str]:
    [page] = root.all("html")
    if not page.attributes.get("lang"):
        yield "no language"
    titles = [one for one in root.all("title") if not list(one.all())]
    if not titles or not titles[0].text.strip():
        yield "no title"
    metas = {one.attributes.get("name"): one.attributes.get("content") for one in root.all("meta")}
    if "width=device-width" not in (metas.get("viewport") or ""):
        yield "no viewport"
    for tag in ("main", "header", "nav", "footer", "h1"):
        if len(list(root.all(tag))) != 1:
            yield f"not one <{tag}>"
    levels = [int(one.tag[1]) for one in root.all("h1", "h2", "h3", "h4")]
    if levels[:1] != [1] or any(b - a > 1 for a, b in pairwise(levels)):
        yield f"headings out of order: {levels}"
    first = next(root.all("a"))
    if not first.attributes.get("href", "").startswith("#"):
        yield "no skip link"


def _of_references(root: Element) -> Iterator[str]:
    ids = Counter(one.attributes["id"] for one in root.all() if "id" in one.attributes)
    yield from (f"id {name} twice" for name, times in ids.items() if times > 1)
    for one in root.all():
        for name in ("aria-labelledby", "aria-describedby", "for"):
            if any(part not in ids for part in one.attributes.get(name, "").split()):
                yield f"{name} leads nowhere"
        href = one.attributes.get("href", "")
        if one.tag == "a" and (not href.startswith("#") or href[1:] not in ids):
            yield f"link to {href!r}"


def _of_names(root: Element) -> Iterator[str]:
    for one in root.all():
        if int(one.attributes.get("tabindex", "0")) > 0:
            yield "positive tabindex"
        named = one.attributes.get("aria-label") or one.attributes.get("aria-labelledby")
        if one.tag in {"nav", "section"} and not named:
            yield f"<{one.tag}> without a name"
        if one.attributes.get("role") == "region" and not named:
            yield "region without a name"
        if one.tag in {"a", "button", "summary", "th", "caption", "li"} and not one.text.strip():
            yield f"<{one.tag}> without text"
        if one.tag == "details" and one.child("summary") is None:
            yield "details without summary"


def _of_drawings(root: Element) -> Iterator[str]:
    inner = {id(below) for one in root.all("svg") for below in one.all("svg")}
    for one in root.all("svg"):
        title = one.child("title")
        shown = one.attributes.get("aria-hidden") != "true" and id(one) not in inner
        if shown and (one.attributes.get("role") != "img" or not title or not title.text):
            yield "drawing without a name"


def _of_tables(root: Element) -> Iterator[str]:
    for one in root.all("table"):
        if one.child("caption") is None:
            yield "table without caption"
        if one.attributes.get("class") == "sorts" and len(list(one.all("tbody"))) != 1:
            yield "sorted groups"
        if one.attributes.get("class") == "sorts" and any(
            "colspan" in c.attributes for c in one.all("th")
        ):
            yield "a lead among sorted rows"
        if any("scope" not in head.attributes for head in one.all("th")):
            yield "head without scope"
        for row in one.all("tr"):
            cells = list(row.all("th", "td"))
            spans = sum(int(cell.attributes.get("colspan", "1")) for cell in cells)
            if spans != len(list(next(one.all("tr")).all("th"))):
                yield "ragged table"


def _of_safety(root: Element) -> Iterator[str]:
    for one in root.all():
        if one.tag not in TAGS:
            yield f"<{one.tag}>"
        for name, value in one.attributes.items():
            if name.startswith("on") or name in {"src", "style", "srcset", "action", "xlink:href"}:
                yield f"{name} of <{one.tag}>"
            if name == "href" and not value.startswith("#") and value != "data:,":
                yield f"href {value!r}"
    for tag in ("script", "style", "link"):
        if len(list(root.all(tag))) != 1:
            yield f"not one <{tag}>"
    for one in root.all("style", "script"):
        if "url(" in one.text or "@import" in one.text or "fetch" in one.text:
            yield f"<{one.tag}> reaches out"
