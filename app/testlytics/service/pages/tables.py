"""Lists with links in them, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from markupsafe import Markup

from testlytics.report.html.tables import Cell, Grid, grid
from testlytics.report.render import visible
from testlytics.report.sections import Column, Row, Section
from testlytics.service.pages.asking import Asked, Part


class Paging(NamedTuple):
    """Where in a long list a page is.

    Attributes:
        page: Which one, first = 1.
        pages: How many there are.
        before: Address of the page before; empty where there is none.
        behind: Address of the next one; empty likewise.
    """

    page: int
    pages: int
    before: str
    behind: str


class Listed(NamedTuple):
    """A table with where it goes on.

    Attributes:
        grid: The table.
        paging: Where in the list it is; None where all of it is shown.
    """

    grid: Grid
    paging: Paging | None


Href = Callable[[Row], str | None]


def link(href: str | None, text: str) -> str:
    """Write a link; untrusted text is escaped. Without an address only the text."""
    shown = text if isinstance(text, Markup) else visible(text)
    return Markup('<a href="{}">{}</a>').format(href, shown) if href else text


def listed(  # noqa: PLR0913 - keywords with defaults
    asked: Asked,
    section: Section,
    caption: str,
    *,
    href: Href | None = None,
    total: int | None = None,
    drawings: Sequence[Column] = (),
    last: Sequence[Column] = (),
) -> Part:
    """Make a table of one page of a list.

    Args:
        asked: The question; says which page.
        section: The list, from its first row on; its last column names a row.
        caption: What it lists.
        href: Where the name of a row leads.
        total: How many rows the whole list has; as many as there are where None.
        drawings: Further columns behind the name …
        last: … and at the end.
    """
    shown = section.shown()
    total = len(shown) if total is None else total
    start = (asked.page - 1) * asked.size
    part = shown[start : start + asked.size]
    held = replace(section, rows=part, left_out=0)
    if asked.page > 1 and section.groups is not None:
        # What is told of folded groups stands on the first page.
        held = replace(held, groups=[one for one in section.groups if not one["folded"]])
    made = grid(held, caption, drawings=drawings, last=last, most=asked.size)
    made = _linked(made, part, href) if href else made
    return Part("table", Listed(made, _paging(asked, total)))


def table(
    section: Section, caption: str, *, href: Href | None = None, drawings: Sequence[Column] = ()
) -> Part:
    """Make a table of all rows."""
    made = grid(section, caption, drawings=drawings)
    return Part("table", Listed(_linked(made, section.shown(), href) if href else made, None))


def _linked(made: Grid, rows: Sequence[Row], href: Href) -> Grid:
    left = iter(rows)
    groups = []
    for group in made.groups:
        cells = []
        for first, *others in group.rows:
            text = link(href(next(left)), first.text)
            cells.append([Cell(text, first.kind), *others])
        groups.append(group._replace(rows=cells))
    return made._replace(groups=groups)


def _paging(asked: Asked, total: int) -> Paging | None:
    pages = ceil(total / asked.size)
    if pages <= 1 and asked.page == 1:
        return None
    before = asked.links.here(page=asked.page - 1) if asked.page > 1 else ""
    behind = asked.links.here(page=asked.page + 1) if asked.page < pages else ""
    return Paging(asked.page, max(pages, 1), before, behind)
