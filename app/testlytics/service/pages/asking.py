"""What a page is asked, and what it tells: apart from how it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from testlytics.report.sections import Row
from testlytics.service.query import Parameter, instant, number, pairs, text
from testlytics_collector.errors import NotFoundError
from testlytics_collector.store.reader import Window

SIZE = 50
"""Rows of a list on one page."""

DATA_ROWS = 1_000
"""Rows of a list as JSON and CSV, where it has to be asked for so many."""

FORMATS = ("html", "json", "csv")


def name(name: str, about: str) -> Parameter:
    """Make a parameter that is whatever something is called, also where that cannot be printed."""

    def read(texts: list[str]) -> str:
        [one] = texts
        if not one:
            raise ValueError(one)
        return one

    return Parameter(name, about, {"type": "string", "minLength": 1}, read)


PROJECT = name("project", "namespace of the tests; what the token opens where it is not given")
BRANCH = name("branch", "only runs of this branch")
VARIANT = pairs("variant", "a way of running, such as os=linux; may come several times")
SINCE = instant("since", "only runs since then: a date, or an age such as 30d")
LAST = number("last", "only so many of the newest runs", least=1, most=200, default=50)
OWNER = text("owner", "only tests whose tag owner says this")
PAGE = number("page", "which part of a long list, first = 1", least=1, most=1_000, default=1)
FORMAT = text("format", "html, json or csv", choices=FORMATS)._replace(default="html")
LIST = text("list", "which list of the page is written as CSV; its first where it is not given")
WINDOW = (PROJECT, BRANCH, VARIANT, SINCE, LAST)
FORMS = (FORMAT, LIST)

_KEPT = ("project", "branch", "variant", "since", "last", "owner")


class Links:
    """Makes addresses that keep the filters of a page.

    Args:
        path: Of the page itself.
        query: What it was asked, name and text, in order.
    """

    def __init__(self, path: str, query: Sequence[tuple[str, str]]) -> None:
        self._path, self._query = path, list(query)

    def to(self, path: str, **more: str | int | None) -> str:
        """Return the address of a page of the same project, branch, variant, time and owner.

        Args:
            path: The page.
            more: What else is asked; None takes a filter away.
        """
        return _address(path, [one for one in self._query if one[0] in _KEPT], more)

    def here(self, **more: str | int | None) -> str:
        """Return the address of this page with something else asked; None takes it away."""
        return _address(self._path, self._query, more)

    def texts(self, name: str) -> list[str]:
        """Return what was asked under a name, as it was written."""
        return [value for key, value in self._query if key == name]

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """Return what a form has to send besides what it has fields for."""
        fields = {*but, "page", "format", "list"}
        return [one for one in self._query if one[0] not in fields]


def _address(
    path: str, query: Sequence[tuple[str, str]], more: Mapping[str, str | int | None]
) -> str:
    told = [one for one in query if one[0] not in more]
    told += [(name, str(value)) for name, value in more.items() if value is not None]
    # Surrogates cannot come from a query that was read; names from the store have none either.
    return f"{path}?{urlencode(told, quote_via=quote)}" if told else path


def without_blanks(raw: bytes) -> bytes:
    """Leave out what a form sends of fields that nobody filled in."""
    return b"&".join(part for part in raw.split(b"&") if part and not part.endswith(b"="))


def query_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Return names and texts of a query that could be read."""
    return parse_qsl(raw.decode("ascii", "replace"), encoding="utf-8", errors="replace")


class Visible(NamedTuple):
    """Whom a page is for.

    Attributes:
        name: Of the token; None for somebody unknown.
        project: The only project they may see; None for all of `public`, or all where that is None.
        public: The projects that everybody may see, where nobody said who they are; else None.
        signed_in: Whether they came with a session that can be ended.
    """

    name: str | None
    project: str | None
    public: Collection[str] | None
    signed_in: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    Attributes:
        store: The store's file.
        who: Whom the page is for.
        project: The project it is about, of those they may see; None for all of these.
        values: Of the page's parameters.
        links: Makes addresses.
        version: What the store holds of it: with every upload another text.
    """

    store: Path
    who: Visible
    project: str | None
    values: Mapping[str, Any]
    links: Links
    version: str

    @property
    def name(self) -> str:
        """The project of a page that is about one."""
        if self.project is None:
            raise NotFoundError(
                "This page is about one project.",
                slug="page-project",
                hint="Choose it on the overview.",
            )
        return self.project

    @property
    def is_data(self) -> bool:
        """Whether the answer is for programs."""
        return bool(self.values.get("format", "html") != "html")

    @property
    def page(self) -> int:
        """Which part of a list, first = 1; programs get all of it at once."""
        return 1 if self.is_data else int(self.values.get("page", 1))

    @property
    def size(self) -> int:
        """How many rows of a list."""
        return DATA_ROWS if self.is_data else SIZE

    def window(self, **more: Any) -> Window:  # noqa: ANN401 - fields of Window
        """Return the runs that the page is about."""
        told = {
            "project": self.name,
            "branch": self.values.get("branch"),
            "variant": self.values.get("variant") or {},
            "since_us": self.values.get("since"),
            "last": self.values.get("last", LAST.default),
        }
        return Window(**(told | more))


@dataclass(frozen=True, slots=True)
class Part:
    """Something on a page.

    Attributes:
        kind: Which macro of the templates writes it.
        body: What that is given.
    """

    kind: str
    body: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A section of a page.

    Attributes:
        name: Its id.
        title: Its heading; may hold untrusted text.
        parts: What is in it.
        note: What is to be known of it.
        quiet: Whether its heading is only read out.
    """

    name: str
    title: str
    parts: Sequence[Part]
    note: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page tells.

    Attributes:
        title: Its heading; may hold untrusted text.
        blocks: Its sections.
        lead: What stands below the heading; may hold untrusted text.
        values: Plain values, for programs.
        lists: Lists of plain rows, for programs; the first is the main one.
        template: What it is written with.
    """

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    values: Row = field(default_factory=dict)
    lists: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    template: str = "dashboard.html.j2"


View = Callable[[Asked], Shown]


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        path: Its address.
        title: What a link to it says.
        about: What it is for, one sentence.
        view: Makes it.
        parameters: What its query may hold, beside the form of the answer.
        in_menu: Whether the menu of a project has it.
        filters: Names of the filters that people can set on it.
    """

    path: str
    title: str
    about: str
    view: View
    parameters: tuple[Parameter, ...] = WINDOW
    in_menu: bool = False
    filters: tuple[str, ...] = ()
