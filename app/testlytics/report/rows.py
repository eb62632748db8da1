"""Rows of any columns as table, JSON, CSV and Markdown, written while they come.

Every value is escaped for its place; no more than one portion of rows is held.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from testlytics.report.render import inert, markdown_cell, visible

MEASURED = 1_000
"""Rows from which the widths of a table's columns are taken; later ones may stand out."""

WIDEST = 60
"""Characters of a table's cell, but for the last column."""


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - whatever a database column holds
    """Turn a value into what JSON has; not-a-number becomes null, times ISO 8601."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    return str(value)


def text(value: Any) -> str:  # noqa: ANN401 - whatever a database column holds
    """Write a value for people; nothing where it is null."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of columns, each different: later ones get a number."""
    found: dict[str, None] = {}
    for name in names:
        number, fresh = 1, name
        while fresh in found:
            number += 1
            fresh = f"{name}_{number}"
        found[fresh] = None
    return list(found)


def as_json(key: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield one JSON document: `schema`, and under `key` an object a row, a line each."""
    yield f'{{"schema": 1, {_json(key)}: ['
    start = "\n"
    for row in rows:
        named = {name: plain(value) for name, value in zip(columns, row, strict=True)}
        yield f"{start}  {_json(named)}"
        start = ",\n"
    yield "]}\n" if start == "\n" else "\n]}\n"


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Write JSON in which nothing moves a terminal's cursor or turns text around."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if written.isprintable():
        return written
    return "".join(
        sign if sign.isprintable() else json.dumps(sign)[1:-1] if ord(sign) > 126 else sign
        for sign in written
    )


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV as RFC 4180 has it; no cell is a formula, line ends inside of cells stay."""
    if not columns:
        return
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_cell(name) for name in columns])
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        if out.tell() > 65_536:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _cell(value: Any) -> object:  # noqa: ANN401 - any value
    value = plain(value)
    if isinstance(value, str):
        return inert("\n".join(map(visible, value.splitlines())))
    return text(value) if isinstance(value, list | dict) else value


def as_markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a table in GitHub's Markdown."""
    yield "| " + " | ".join(markdown_cell(name) for name in columns) + " |\n"
    yield "| " + " | ".join("---" for _ in columns) + " |\n"
    for row in rows:
        yield "| " + " | ".join(markdown_cell(text(value)) for value in row) + " |\n"


def as_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield a table for a terminal: numbers to the right, long cells cut, but for the last."""
    rest = iter(rows)
    first = list(islice(rest, MEASURED))
    right = [
        any(isinstance(row[n], int | float | Decimal) for row in first) for n in range(len(columns))
    ]
    shown = [visible(name) for name in columns]
    last = len(columns) - 1
    cells = [_short(row, last) for row in first]
    widths = [max([len(name), *(len(row[n]) for row in cells)]) for n, name in enumerate(shown)]

    def line(row: Sequence[str]) -> str:
        set_ = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        return "  ".join(set_).rstrip() + "\n"

    yield line(shown)
    for row in cells:
        yield line(row)
    for one in rest:
        yield line(_short(one, last))


def _short(row: Sequence[Any], last: int) -> list[str]:
    cells = [visible(text(value)) for value in row]
    return [
        cell if n == last or len(cell) <= WIDEST else f"{cell[: WIDEST - 1]}…"
        for n, cell in enumerate(cells)
    ]
