"""No text breaks out of its cell, in any format; what reads the answer is not ours."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scripts.test_report_generator import as_html
from testlytics.report import render
from testlytics.report.sections import Column, Report, Section
from tests.html_pages import read

MARKS = st.sampled_from(
    [
        *"|<>&`*_~\\$[](){}!#@:=+-'\"\n\r\t\x1b\u202e\u2028",
        *("](", "<!--", "-->", "http://x.y", "www.x.y", "&amp;", "&#124;", "\\|", "``", "| --- |"),
        *("</td>", "<script>", "]]>", "=1+1", "@team", "#1"),
    ]
)
TEXTS = (
    st.lists(MARKS | st.text(max_size=4), max_size=12)
    .map("".join)
    .filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4)


def report(rows: list[tuple[str, str]]) -> Report:
    columns = (
        Column("one", lambda row: str(row["one"])),
        Column("other", lambda row: str(row["other"])),
    )
    made = [{"one": one, "other": other} for one, other in rows]
    section = Section("flaky", "Flaky tests", made, columns, "None.")
    return Report({"runs": 1}, ["A line."], [section])


def cells(tokens: list[Token]) -> list[str]:
    """The text of each cell; anything but text in one is a fault."""
    found = []
    for before, token in pairwise(tokens):
        if before.type == "td_open":
            assert [child.type for child in token.children or []] in ([], ["text"]), token
            found.append(token.content and "".join(one.content for one in token.children or []))
    return found


def shown(text: str) -> str:
    """What a person may see of it: spaces at the ends belong to the cell."""
    return render.visible(text).strip()


@given(ROWS)
@example([("a|b", "`|`"), ("\\", "|\\|")])
def test_a_cell_of_markdown_holds_its_text_and_nothing_else(rows: list[tuple[str, str]]) -> None:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(render.as_markdown(report(rows)))
    assert sum(token.type == "table_open" for token in tokens) == 1
    assert not [token for token in tokens if token.type in {"html_block", "fence", "code_block"}]
    assert cells(tokens) == [shown(text) for row in rows for text in row]


@given(ROWS)
@example([("@team", "=1+1"), ("+1", "-1"), ("\t=1", "\r=1")])
def test_a_cell_of_csv_holds_its_text_and_is_no_formula(rows: list[tuple[str, str]]) -> None:
    told = list(csv.reader(io.StringIO(render.as_csv(report(rows)), newline="")))
    assert told[0] == ["one", "other"]
    assert len(told) == len(rows) + 1
    for row, told_row in zip(rows, told[1:], strict=True):
        for text, cell in zip(row, told_row, strict=True):
            assert cell in {text, f"'{text}"}
            assert cell[:1] not in {"=", "+", "-", "@", "\t", "\r"}


@given(ROWS)
def test_json_gives_every_text_back(rows: list[tuple[str, str]]) -> None:
    told = json.loads(render.as_json(report(rows)))["flaky"]
    assert [(row["one"], row["other"]) for row in told] == rows


@given(ROWS, st.integers(40, 200), st.booleans())
def test_a_table_moves_no_cursor(rows: list[tuple[str, str]], width: int, colour: bool) -> None:
    text = render.as_table(report(rows), width=width, colour=False)
    assert all(line.isprintable() for line in text.split("\n"))
    painted = render.as_table(report(rows), width=width, colour=colour)
    # Whatever escape there is, is ours: none comes out of a text.
    assert painted.count("\x1b") % 2 == 0
    assert painted.count("\x1b") <= 2 * (len(rows) + 2)


@given(ROWS)
def test_a_cell_of_a_page_holds_its_text_and_nothing_else(rows: list[tuple[str, str]]) -> None:
    page = read(as_html(report(rows)))
    told = list(page.all("td"))
    assert [cell.text for cell in told] == [render.visible(text) for row in rows for text in row]
    assert not [element for cell in told for element in cell.all()]
    assert not list(page.all("script", "img", "a"))
