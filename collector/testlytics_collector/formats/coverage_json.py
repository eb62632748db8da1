"""Reads coverage.py's JSON report: lines and branches in percent, of each file and of all.

What has no line or no branch has no coverage: it is neither 0 nor 100 %.
"""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.junit.instants import instant_of
from testlytics_collector.formats.measured import Measurements, upload_of
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import Good

TOTAL = "total"
"""Name of all files together."""


class _Summary(msgspec.Struct):
    covered_lines: int | None = None
    num_statements: int | None = None
    covered_branches: int | None = None
    num_branches: int | None = None


class _File(msgspec.Struct):
    summary: _Summary


class _Meta(msgspec.Struct):
    version: str | None = None
    timestamp: str | None = None


class _Coverage(msgspec.Struct):
    meta: _Meta
    files: dict[str, _File]
    totals: _Summary


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read what `coverage json` wrote; see `interface.Read`."""
    told = documents.read(stream, _Coverage, "coverage.py JSON")
    taken = Measurements(limits)
    _take(taken, TOTAL, told.totals, "$.totals")
    for name, file in told.files.items():
        _take(taken, name.replace("\\", "/"), file.summary, "$.files[...].summary")
    instant = instant_of(told.meta.timestamp or "")
    # The clock of an unknown zone could move the whole run to before its tests.
    began = instant.us if instant and instant.zoned else None
    producer = f"coverage.py {text_of(told.meta.version) or ''}".strip()
    return taken.reading(upload_of(origin, producer, began))


def _take(taken: Measurements, name: str, found: _Summary, place: str) -> None:
    add_share(
        taken, name, "line-coverage", (found.covered_lines, found.num_statements), f"{place}, lines"
    )
    add_share(
        taken,
        name,
        "branch-coverage",
        (found.covered_branches, found.num_branches),
        f"{place}, branches",
    )


def add_share(
    taken: Measurements, name: str, metric: str, share: tuple[int | None, int | None], place: str
) -> None:
    """Add how much of a file is covered, where there is anything to cover.

    Args:
        taken: Takes it.
        name: The file, or `TOTAL`.
        metric: `line-coverage` or `branch-coverage`.
        share: How many are covered, of how many; None where unknown.
        place: Where it stands, for people.
    """
    covered, all_ = share
    if covered is None or not all_:
        return
    if not 0 <= covered <= all_:
        taken.say(f"{place} of {name!a}: {covered} of {all_} cannot be covered; left out.")
        return
    taken.add(name, metric, "percent", 100 * covered / all_, Good.HIGHER, place)
