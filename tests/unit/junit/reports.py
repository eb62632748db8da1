"""What the tests of the JUnit reader share: reading a text, and what came of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from testlytics_collector.formats import junit
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.records import Attempt


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.batches: list[int] = []

    def begin(self, project: str) -> None:
        raise AssertionError(f"JUnit XML names no project: {project}")

    def write(self, attempts: Sequence[Attempt]) -> None:
        self.batches.append(len(attempts))
        self.attempts += attempts


class Read(NamedTuple):
    """What came of a document."""

    reading: Reading
    attempts: list[Attempt]

    @property
    def ids(self) -> list[str]:
        return [row.test_id for row in self.attempts]

    @property
    def told(self) -> list[tuple[str, int, str]]:
        return [(row.test_id, row.attempt, row.outcome.value) for row in self.attempts]

    @property
    def problems(self) -> str:
        return "\n".join(problem.text for problem in self.reading.problems)


def read(document: str | bytes, name: str = "file.xml", limits: Limits | None = None) -> Read:
    data = document.encode() if isinstance(document, str) else document
    sink = Kept()
    origin = Origin("ab" * 32, name)
    return Read(junit.read(io.BytesIO(data), sink, origin, limits or Limits()), sink.attempts)
