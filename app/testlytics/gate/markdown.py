"""A gate's answer as GitHub's Markdown: a job's summary, a comment."""

from __future__ import annotations

import re

from testlytics.gate.findings import BLOCK, KINDS, Finding, GateResult
from testlytics.gate.render import context_lines, headline
from testlytics.report.render import markdown_cell
from testlytics.report.sections import commit, count

SUMMARY_BYTES = 1_000_000
"""GitHub drops a summary of more than 1 MiB as a whole."""

COMMENT_CHARS = 64_000
"""GitHub refuses a comment of more than 65,536 characters."""

_HEAD_CHARS = 300
_TAIL_CHARS = 200
_SIGNS = {"blocked": "❌", "passed": "✅", "not judged": "⏳"}
_CAUSES = 20
_OPENS = re.compile(r"^(?:[#=+-]|\d(?=\d*[.)]))")
"""What would make a heading or a list of a line that it begins."""


def as_markdown(result: GateResult, *, most: int = SUMMARY_BYTES) -> str:
    """Write headings and tables, what blocks first.

    Args:
        result: What to write.
        most: At most so many bytes of UTF-8; what does not fit is counted in a last line.
    """
    word = result.verdict.capitalize()
    head = [
        f"## {_SIGNS[result.verdict]} testlytics: {word}, {headline(result)}",
        "  \n".join(_line(line) for line in context_lines(result)),
    ]
    head += [_line(note) for note in result.notes]
    writer = _Writer("\n\n".join(head), most)
    blocking = [one for one in result.findings if one.level == BLOCK]
    others = [one for one in result.findings if one.level != BLOCK]
    several = len({leg.variant for leg in result.legs}) > 1
    writer.table("Blocking", [_row(one, several=several) for one in blocking])
    writer.causes(result)
    writer.table("Warnings", [_row(one, several=several) for one in others], folded=True)
    return writer.done()


def shortened(text: str) -> str:
    """Keep head and tail of a long text: what matters is at times the last thing it says."""
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    return f"{text[:_HEAD_CHARS]} ... {text[-_TAIL_CHARS:]}"


def _line(text: str) -> str:
    """Escape a text that stands in a line of its own, not in a cell."""
    return _OPENS.sub(lambda match: f"&#{ord(match[0])};", markdown_cell(text.strip()))


def _row(one: Finding, *, several: bool) -> str:
    name = markdown_cell(one.test_id or "the run")
    if several and one.test_id:
        name += f" ({markdown_cell(one.variant or 'no variant')})"
    said = f"<br>{markdown_cell(shortened(one.message))}" if one.message else ""
    return f"| {name} | {KINDS[one.kind][1]} | {markdown_cell(one.reason)}{said} |"


class _Writer:
    """Adds rows as long as they fit."""

    def __init__(self, head: str, most: int) -> None:
        self._parts = [head]
        self._left = most - len(head.encode()) - 500
        self._left_out = 0

    def _add(self, text: str) -> bool:
        size = len(text.encode()) + 2
        if size > self._left:
            return False
        self._parts.append(text)
        self._left -= size
        return True

    def table(self, title: str, rows: list[str], *, folded: bool = False) -> None:
        """Add a table of findings; a folded one opens on a click."""
        if not rows:
            return
        start = "| test | finding | why |\n| --- | --- | --- |"
        heading = f"### {title} ({len(rows)})"
        if folded:
            heading = f"<details><summary>{title} ({len(rows)})</summary>"
        fitting: list[str] = []
        room = self._left - len(heading) - len(start) - 30
        for row in rows:
            room -= len(row.encode()) + 1
            if room < 0:
                break
            fitting.append(row)
        self._left_out += len(rows) - len(fitting)
        if fitting:
            end = ["</details>"] if folded else []
            self._add("\n\n".join([heading, "\n".join([start, *fitting]), *end]))

    def causes(self, result: GateResult) -> None:
        """Add the causes of failures, where they say more than the findings."""
        if all(len(one.tests) == 1 for one in result.causes):
            return
        self._add(f"### Causes ({len(result.causes)})")
        for cause in result.causes[:_CAUSES]:
            since = f"first seen in run {cause.first_run}, {commit(cause.first_commit)}"
            line = f"{count(cause.failures, 'failure')}, {'new' if cause.is_new else since}"
            self._add(f"- {markdown_cell(line)}: {markdown_cell(cause.text)}")

    def done(self) -> str:
        """Return the whole text."""
        if self._left_out:
            self._parts.append(
                f"... and {self._left_out} more, left out for the size: "
                "testlytics gate --format json has all."
            )
        return "\n\n".join(self._parts) + "\n"
