"""Pages as HTML: the templates, and what stands around every page."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from testlytics.report.html.page import environment
from testlytics.service.pages.asking import Asked, Page, Shown
from testlytics.service.pages.menu import OVERVIEW, PAGES, SEARCH, WALL

HTML = "text/html; charset=utf-8"

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What a page may do: use the style and the scripts of the service, and reach nothing else."""

WALL_S = 30
"""Seconds after which the wall-board renews itself."""

_FILES = {
    "style.css": ("text/css; charset=utf-8", ("report.html/page.css", "service.pages/pages.css")),
    "live.js": ("text/javascript; charset=utf-8", ("service.pages/live.js",)),
    "tables.js": ("text/javascript; charset=utf-8", ("report.html/page.js",)),
}

_PLACEHOLDERS = {"since": "30d or 2026-01-31", "variant": "os=linux", "owner": "@team"}


class File(NamedTuple):
    """A file of the service itself.

    Attributes:
        media: Its type.
        body: What is in it.
        stamp: Of its content: a part of its address, so that browsers can keep it.
    """

    media: str
    body: bytes
    stamp: str


class Field(NamedTuple):
    """A field of the filters.

    Attributes:
        name: Of the parameter.
        label: What stands before it.
        values: What it holds, one input for each; the last may be empty.
        choices: What is offered.
        hint: What fits, as an example.
    """

    name: str
    label: str
    values: Sequence[str]
    choices: Sequence[str]
    hint: str


class Offered(NamedTuple):
    """What filters offer.

    Attributes:
        branches: Branches of the project.
        pairs: Pairs of its variants.
    """

    branches: Sequence[str] = ()
    pairs: Sequence[str] = ()


@cache
def file(name: str) -> File | None:
    """Return a file of the service; None where there is none of that name."""
    if name not in _FILES:
        return None
    media, parts = _FILES[name]
    texts = []
    for part in parts:
        package, _, inner = part.partition("/")
        place = resources.files(f"testlytics.{package}").joinpath(inner)
        texts.append(place.read_bytes())
    body = b"\n".join(texts)
    return File(media, body, hashlib.sha256(body).hexdigest()[:16])


def html(page: Page, asked: Asked, shown: Shown, offered: Offered) -> bytes:
    """Write a page.

    Args:
        page: Which one.
        asked: What it was asked.
        shown: What it tells.
        offered: What its filters offer.
    """
    links = asked.links
    several = asked.who.project is None
    return _written(
        shown.template,
        asked,
        title=shown.title,
        shown=shown,
        menu=[
            (one.title, links.to(one.path), one is page)
            for one in PAGES
            if one.in_menu and asked.project is not None
        ],
        project=asked.project if page is not OVERVIEW else None,
        search=SEARCH if asked.project is not None and page is not WALL else "",
        pattern=(asked.values.get("pattern") or "") if page.path == SEARCH else "",
        fields=_fields(page, asked, offered),
        here=page.path,
        hidden=links.hidden(*page.filters),
        reset=_reset(asked),
        forms=[(name.upper(), links.here(format=name, page=None)) for name in ("json", "csv")],
        lists=[
            (name.replace("_", " "), links.here(format="csv", list=name, page=None))
            for name in list(shown.lists)[1:]
        ],
        live=links.to("/version") if page is not WALL else "",
        version=asked.version,
        refresh_s=WALL_S,
        several=several,
    )


def message(
    who: Asked | None,
    *,
    title: str,
    text: str,
    hint: str | None,
    back: str = "/",
    back_text: str = "To the overview",
) -> bytes:
    """Write a page that says why there is no other."""
    return _written(
        "message.html.j2", who, title=title, text=text, hint=hint, back=back, back_text=back_text
    )


def login(*, back: str, error: str = "", hint: str | None = None) -> bytes:
    """Write the page where people sign in."""
    return _written("login.html.j2", None, title="Sign in", back=back, error=error, hint=hint or "")


def _written(template: str, asked: Asked | None, **told: object) -> bytes:
    around = {
        "files": {name: f"/static/{made.stamp}/{name}" for name in _FILES if (made := file(name))},
        "who": asked.who.name if asked else None,
        "signed_in": bool(asked and asked.who.signed_in),
        "asks": bool(asked and asked.who.public is not None),
    }
    return (
        environment("testlytics.service.pages")
        .get_template(template)
        .render(**around, **told)
        .encode()
    )


def _fields(page: Page, asked: Asked, offered: Offered) -> list[Field]:
    links = asked.links
    choices = {"branch": offered.branches, "variant": offered.pairs}
    found = []
    for name in page.filters:
        values = links.texts(name)
        # One more than there are: pairs are added one at a time.
        values = [*values, ""] if name == "variant" or not values else values
        default = next((str(one.default) for one in page.parameters if one.name == name), "")
        hint = default if name == "last" and default != "None" else _PLACEHOLDERS.get(name, "")
        label = {"last": "newest runs"}.get(name, name)
        found.append(Field(name, label, values, choices.get(name, ()), hint))
    return found


def _reset(asked: Asked) -> str:
    given = any(asked.links.texts(name) for name in ("branch", "variant", "since", "last", "owner"))
    nothing = dict.fromkeys(("branch", "variant", "since", "last", "owner", "page"))
    return asked.links.here(**nothing) if given else ""
