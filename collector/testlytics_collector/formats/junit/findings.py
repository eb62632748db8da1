"""Problems of one document: alike ones are one problem with a count and the first example."""

from __future__ import annotations

from collections.abc import Callable

from testlytics_collector.formats.text import printable
from testlytics_collector.records import Problem

_TEXTS = {
    "unreadable time": "Times that cannot be read as seconds in one way only are stored as unknown",
    "negative time": "Negative times are stored as unknown",
    "unreadable timestamp": "Timestamps that cannot be read are left out",
    "status": "Testcases that say in an attribute that they failed, and hold no <failure> and no "
    "<error>, are stored as unknown",
    "unnamed": "Testcases without a name are numbered in the order of the report",
    "unnamed method": "Parametrised tests without the name of their method are told apart by their "
    "order only",
    "suite failure": "Failures outside of any testcase are stored as attempts named like their "
    "suite",
    "hidden rerun": "Testcases without a result that come before another one of the same test are "
    "reruns, stored as unknown",
    "another suite": "Tests that are named like one in another suite got the suite before their id",
    "retries": "More retries of one test than can be believed are ignored",
    "flaky suite": "Suites count tests that passed after a retry, and do not say which",
}


class Findings:
    """Gathers what a person should know of.

    Attributes:
        where: Gives the line and column of the event being handled, both 1-based.
    """

    __slots__ = ("_alike", "_limit", "_single", "where")

    def __init__(self, limit: int, where: Callable[[], tuple[int, int]]) -> None:
        self.where = where
        self._limit = limit
        self._alike: dict[str, tuple[int, str, int, int]] = {}
        self._single: list[Problem] = []

    def note(self, kind: str, example: str = "") -> None:
        """Count one more of a kind; the first is the example."""
        known = self._alike.get(kind)
        if known is None:
            line, column = self.where()
            self._alike[kind] = (1, example[:200], line, column)
        else:
            self._alike[kind] = (known[0] + 1, *known[1:])

    def say(self, text: str, line: int | None = None, column: int | None = None) -> None:
        """Add a problem of its own."""
        self._single.append(Problem(text, line, column))

    def all(self) -> tuple[Problem, ...]:
        """Give every problem in the order of the document, the ones about all of it first."""
        alike = [
            Problem(counted(_TEXTS[kind], n, example), line, column)
            for kind, (n, example, line, column) in self._alike.items()
        ]
        found = [*self._single, *sorted(alike, key=lambda problem: problem.line or 0)]
        if len(found) > self._limit:
            rest = len(found) - self._limit
            found = [*found[: self._limit], Problem(f"{rest} more problems are not listed.")]
        return tuple(found)


def counted(text: str, n: int, example: str) -> str:
    """Add to a sentence how often it holds, and where there is one, the first example."""
    first = f"; the first: {printable(example)}" if example else ""
    return f"{text} ({n}{first})."
