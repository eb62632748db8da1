"""Explanations as text for a terminal, Markdown and JSON. Untrusted text is escaped for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from testlytics.explain.lines import Block, blocks
from testlytics.report.render import markdown_cell, painter, visible, wrapped

SCHEMA = 1
"""Version of the JSON shape; rises when a key goes away or changes its meaning."""

_STRIP = 70


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """Write everything."""
    document = {"schema": SCHEMA, "tests": list(rows)}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_table(rows: Sequence[dict[str, Any]], *, width: int, colour: bool) -> str:
    """Write for a terminal.

    Args:
        rows: What `explained.explain` gives.
        width: Columns of the terminal, at least 40.
        colour: Whether escape sequences may be used.
    """
    paint = painter(colour=colour)
    lines: list[str] = []
    for block in blocks(rows):
        if block.level < 3 and lines:
            lines.append("")
        indent = "  " * (block.level - 1) if block.level > 1 else ""
        style = {1: "1", 2: "1;36", 3: "2"}[block.level]
        first, *others = _broken(block.title, width - len(indent), prose=block.level == 3)
        lines.append(indent + paint(first, style))
        lines += [f"{indent}  {paint(other, style)}" for other in others]
        lines += _body(block, indent + "  ", width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _body(block: Block, indent: str, width: int) -> list[str]:
    lines = []
    room = min(_STRIP, width - len(indent))
    lines += [indent + block.strip[at : at + room] for at in range(0, len(block.strip), room)]
    for line in block.lines:
        first, *others = _broken(line, width - len(indent), prose=True)
        lines += [indent + first, *(f"{indent}  {other}" for other in others)]
    return lines


def _broken(text: str, room: int, *, prose: bool) -> list[str]:
    return wrapped(visible(text), room - 2, prose=prose)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Write headings and lists in GitHub's Markdown."""
    parts = []
    for block in blocks(rows):
        if block.level < 3:
            parts.append(f"{'#' * (block.level + 1)} {markdown_cell(block.title)}")
        else:
            parts.append(f"**{markdown_cell(block.title)}**")
        if block.strip:
            cut = [block.strip[at : at + _STRIP] for at in range(0, len(block.strip), _STRIP)]
            parts.append("\n".join(["```text", *cut, "```"]))
        if block.lines:
            parts.append("\n".join(f"- {markdown_cell(line)}" for line in block.lines))
    return "\n\n".join(parts) + "\n"
