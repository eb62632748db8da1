"""Reports as table, JSON, CSV and Markdown. Every untrusted text is escaped for its place."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable

from testlytics.report.curves import line
from testlytics.report.sections import Report, Section

SCHEMA = 1
"""Version of the JSON shape; rises when a key goes away or changes its meaning."""

CURVE = 40
"""Signs of a curve."""

_STYLES = {"flaky": "33", "broken": "31", "regressions": "35"}


def as_json(report: Report) -> str:
    """Write everything, rows whole; keys of lists are the sections' names."""
    lists: dict[str, object] = {section.name: section.rows for section in report.sections}
    groups = {one.name: one.groups for one in report.sections if one.groups is not None}
    if groups:
        lists["groups"] = groups
    document = {"schema": SCHEMA, "summary": report.summary, **lists}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """Write the one list of the report, or the summary where it has none; rows whole."""
    rows = report.sections[0].rows if report.sections else [report.summary]
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))  # ends lines as RFC 4180 says
        writer.writeheader()
        writer.writerows({k: inert(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def inert(value: object) -> object:
    """Keep a spreadsheet from taking a test's name for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def as_markdown(report: Report) -> str:
    """Write headings and tables in GitHub's Markdown."""
    blocks = ["## testlytics", "  \n".join(markdown_cell(line) for line in report.lines)]
    for section in report.sections:
        blocks += markdown_blocks(section)
    return "\n\n".join(blocks) + "\n"


def markdown_blocks(section: Section) -> list[str]:
    """Write one list: its heading, its table or why there is none, and what was left out."""
    rows = section.shown()
    blocks = [f"### {section.heading()}"]
    blocks += map(markdown_cell, section.events())
    notes = ["  \n".join(markdown_cell(line(one, CURVE, blocks=True)) for one in section.curves)]
    notes = [*filter(None, notes), *map(markdown_cell, section.notes)]
    if not rows:
        return [*blocks, *([] if section.events() else [section.empty]), *notes]
    head = " | ".join(column.title for column in section.columns)
    rule = " | ".join("---:" if column.right else "---" for column in section.columns)
    lines = [f"| {head} |", f"| {rule} |"]
    for row, before in zip(rows, [None, *rows], strict=False):
        if lead := section.lead(row, before):
            lines.append("| " * len(section.columns) + f"| **{markdown_cell(lead)}** |"[2:])
        lines.append("| " + " | ".join(markdown_cell(c.text(row)) for c in section.columns) + " |")
    blocks.append("\n".join(lines))
    return [*blocks, *([_more(section)] if section.left_out else []), *notes]


_MARKUP = re.compile(
    r"""[|<>&`*~\\$]        # cells, tags, entities, code, emphasis, mathematics
    |(?<![^\W_])_|_(?![^\W_])  # an underscore inside a word is only itself
    |\](?=[(\[:])|!(?=\[)    # links and images
    |@(?=\w)|\#(?=\d)        # people and issues
    |:(?=//)|(?<=www)\.      # addresses""",
    re.VERBOSE | re.IGNORECASE,
)


def markdown_cell(text: str) -> str:
    """Escape what would end a cell, start markup, or name somebody."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", visible(text))


def as_table(report: Report, *, width: int, colour: bool, blocks: bool = False) -> str:
    """Write for a terminal.

    Args:
        report: What to write.
        width: Columns of the terminal, at least 40.
        colour: Whether escape sequences may be used.
        blocks: Whether the terminal shows the signs of which curves are made.
    """
    paint = painter(colour=colour)
    parts = ["\n".join(report.lines)] if not report.sections else []
    for section in report.sections:
        style = _STYLES.get(section.name, "36")
        shown = len(section.shown())
        lines = [paint(section.heading(), f"1;{style}")]
        for event in section.events():
            lines += _indented(event, width)
        if shown or not section.events():
            lines += _grid(section, width, paint) or [f"  {section.empty}"]
        if section.left_out:
            lines.append(f"  {_more(section)}")
        for curve in section.curves:
            lines.append(f"  {visible(line(curve, CURVE, blocks=blocks))}")
        for note in section.notes:
            lines += _indented(note, width)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _indented(text: str, width: int) -> list[str]:
    first, *others = wrapped(visible(text), width - 6, prose=True)
    return [f"  {first}".rstrip(), *(f"      {other}".rstrip() for other in others)]


def _more(section: Section) -> str:
    return f"... and {section.left_out} more; --limit 0 shows all."


def painter(*, colour: bool) -> Callable[[str, str], str]:
    """Return what puts a style, an SGR sequence's numbers, on a text; nothing without colour."""

    def paint(text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if colour else text

    return paint


def _grid(section: Section, width: int, paint: Callable[[str, str], str]) -> list[str]:
    """Set numbers in columns; the name comes last and is wrapped, never cut. Empty without rows."""
    rows = section.shown()
    if not rows:
        return []
    *columns, name = section.columns
    cells = [[visible(column.text(row)) for column in columns] for row in rows]
    widths = [
        max(len(column.title), *(len(row[index]) for row in cells))
        for index, column in enumerate(columns)
    ]

    def set_row(texts: list[str]) -> str:
        pairs = zip(columns, texts, widths, strict=True)
        return "".join(
            "  " + (text.rjust(size) if column.right else text.ljust(size))
            for column, text, size in pairs
        )

    room = width - sum(widths) - 2 * len(widths) - 2
    titles = set_row([column.title for column in columns])
    titles = f"{titles}  {name.title}" if room >= 30 else titles.rstrip()
    lines = [paint(titles, "2")]
    for row, before, texts in zip(rows, [None, *rows], cells, strict=False):
        if lead := section.lead(row, before):
            lines += _indented(lead, width)
        parts = wrapped(visible(name.text(row)), room if room >= 30 else width - 6)
        start = set_row(texts)
        if room >= 30:
            lines.append(f"{start}  {parts[0]}")
            lines += [" " * (len(start) + 2) + part for part in parts[1:]]
        else:  # no room beside the numbers: below them
            lines += [start.rstrip(), *("      " + part for part in parts)]
    return lines


def wrapped(text: str, room: int, *, prose: bool = False) -> list[str]:
    """Break a test id into lines after its own separators where there are any in reach.

    Args:
        text: A test id or a sentence.
        room: Columns of a line.
        prose: Break between words where there are any in reach.
    """
    lines = []
    while len(text) > room:
        cut = text.rfind(" ", 0, room) + 1 if prose else 0
        if cut <= room // 2:
            signs = ("::", "/", "[", " ", "-", ",")
            cut = max(text.rfind(sign, 0, room) + len(sign) for sign in signs)
        cut = cut if cut > room // 2 else room
        lines.append(text[:cut])
        text = text[cut:]
    return [*lines, text]


def visible(text: str) -> str:
    """Write a text so that nothing in it moves the cursor, hides or turns around other text."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
