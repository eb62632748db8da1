"""Problems of one document: alike ones are one problem with a count and the first example."""

from __future__ import annotations

from collections.abc import Callable

from testlytics_collector.formats.text import printable
from testlytics_collector.records import Problem

_TEXTS = {
    "unreadable time": "{n} times cannot be read as seconds in one way only and are stored as "
    "unknown; the first is {example}.",
    "negative time": "{n} times are negative and are stored as unknown; the first is {example}.",
    "unreadable timestamp": "{n} timestamps cannot be read and are left out; the first is "
    "{example}.",
    "status": "{n} testcases say {example} in an attribute and hold no <failure> or <error>; "
    "they are stored as unknown.",
    "unnamed": "{n} testcases have no name; they are numbered in the order of the report.",
    "unnamed method": "{n} parametrised tests are reported without the name of their method, the "
    "first is {example}; they are told apart by their order only.",
    "suite failure": "{n} failures stand outside of any testcase; they are stored as attempts "
    "named like their suite, the first is {example}.",
    "hidden rerun": "{n} testcases without a result come before another result of the same test; "
    "they are reruns, and stored as unknown.",
    "another suite": "{n} tests have the name of a test in another suite; the suite was put before "
    "their ids, the first is {example}.",
    "retries": "{n} testcases count more retries than can be believed, the first {example}; "
    "the count is ignored.",
    "flaky suite": "{n} suites count tests that passed after a retry and do not say which; the "
    "first is {example}.",
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
            self._alike[kind] = (1, printable(example), line, column)
        else:
            self._alike[kind] = (known[0] + 1, *known[1:])

    def say(self, text: str, line: int | None = None, column: int | None = None) -> None:
        """Add a problem of its own."""
        self._single.append(Problem(text, line, column))

    def all(self) -> tuple[Problem, ...]:
        """Give every problem in the order of the document, the ones about all of it first."""
        alike = [
            Problem(_TEXTS[kind].format(n=n, example=example), line, column)
            for kind, (n, example, line, column) in self._alike.items()
        ]
        found = [*self._single, *sorted(alike, key=lambda problem: problem.line or 0)]
        if len(found) > self._limit:
            rest = len(found) - self._limit
            found = [*found[: self._limit], Problem(f"{rest} more problems are not listed.")]
        return tuple(found)
