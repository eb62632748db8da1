"""One table of results, as text for the terminal and as Markdown for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """Results of one comparison.

    Attributes:
        title: What was compared.
        columns: Headings; the first names the row.
        rows: Texts, as many per row as there are columns.
        note: What the data is and what the columns mean, in sentences.
        missed: Bounds that were not kept, a sentence each; empty where all were.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    missed: Sequence[str] = field(default=())

    def markdown(self) -> str:
        """Write the table as a section of a Markdown page, without a blank line at the end."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += [_line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"Missed: {one}" for one in self.missed)] if self.missed else []
        return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
