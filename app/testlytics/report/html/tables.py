"""Lists of a report as tables of a page: the name first, drawings beside numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from testlytics.report.render import visible
from testlytics.report.sections import Column, Row, Section

_PARTS = re.compile(r"[^/:]*(?:/|:+|$)")
"""A test id may be broken behind its separators."""

ROWS = 250
"""Rows of a table at most; the others are counted."""

TALL = 15
"""Rows of a table that are shown without scrolling it."""

_STATES = {
    "flaky": "warn",
    "broken": "bad",
    "stable": "good",
    "failed": "bad",
    "proven": "bad",
    "strong": "warn",
    "suspected": "calm",
}


class Head(NamedTuple):
    """The head of a column.

    Attributes:
        title: What stands in it.
        kind: `num` for numbers, else empty.
    """

    title: str
    kind: str


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: What stands in it: plain, untrusted text, or markup made here.
        kind: As of its head.
    """

    text: str
    kind: str


class Group(NamedTuple):
    """Rows with something in common.

    Attributes:
        lead: What that is; empty where it is nothing.
        rows: The cells of each row; the first one is its head.
    """

    lead: str
    rows: list[list[Cell]]


class Grid(NamedTuple):
    """A table.

    Attributes:
        caption: What it lists.
        heads: Of its columns.
        groups: Its rows; empty where there are none.
        empty: What is said then.
        events: Sentences above it.
        notes: Sentences below it.
        more: How many rows were left out.
    """

    caption: str
    heads: list[Head]
    groups: list[Group]
    empty: str
    events: list[str]
    notes: list[str]
    more: int

    @property
    def long(self) -> bool:
        """Whether it has so many rows that people scroll it, not the page."""
        return sum(len(group.rows) for group in self.groups) > TALL

    @property
    def sorts(self) -> bool:
        """Whether its rows can be put in another order: those of groups stay together."""
        return [bool(one.lead) for one in self.groups] == [False] and len(self.groups[0].rows) > 2


def grid(
    section: Section,
    caption: str,
    *,
    drawings: Sequence[Column] = (),
    last: Sequence[Column] = (),
    most: int = ROWS,
) -> Grid:
    """Make a table of a list.

    Args:
        section: The list; the last of its columns names the row.
        caption: What it lists.
        drawings: Further columns behind the name …
        last: … and at the end.
        most: Rows at most.
    """
    cut = section.cut(most)
    *columns, name = section.columns
    shown = [name, *drawings, *columns, *last]
    groups: list[Group] = []
    before: Row | None = None
    for row in cut.shown():
        lead = section.lead(row, before)
        grouped = section.groups is not None and (before is None or before["group"] != row["group"])
        if not groups or grouped:
            groups.append(Group(lead, []))
        groups[-1].rows.append([_cell(column, row, name is column) for column in shown])
        before = row
    return Grid(
        caption,
        [Head(column.title, "num" if column.right else "") for column in shown],
        groups,
        section.empty,
        section.events(),
        list(section.notes),
        cut.left_out,
    )


def _cell(column: Column, row: Row, named: bool) -> Cell:
    text = column.text(row)
    if named:
        text = split_name(text)
    else:
        state, colon, why = text.partition(": ")
        if state in _STATES:
            text = Markup("{} {}").format(badge(state), visible(why)) if colon else badge(state)
    return Cell(text, "num" if column.right else "")


def badge(word: str) -> Markup:
    """Write a judgement in one word with a colour; the word says it without."""
    return Markup('<span class="b {}">{}</span>').format(_STATES.get(word, "calm"), word)


def split_name(text: str) -> str:
    """Write a test id so that the last part of it is seen first; untrusted text is escaped."""
    place, colons, name = text.rpartition("::")
    if not colons or not name:
        return text
    parts = (Markup("{}<wbr>").format(part) for part in _PARTS.findall(visible(place)))
    return Markup('<span class="id"><span>{}</span><b>{}</b></span>').format(
        Markup().join(parts), visible(name)
    )
