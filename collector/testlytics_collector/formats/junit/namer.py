"""Names and durations of testcases, by the dialect of the document."""

from __future__ import annotations

from testlytics_collector.formats.junit.dialect import GENERIC, Dialect, Signs, recognise
from testlytics_collector.formats.junit.findings import Findings
from testlytics_collector.formats.junit.identity import (
    LONGEST_ID,
    UNNAMED,
    Attrs,
    shortened,
    suite_id,
)
from testlytics_collector.formats.junit.numbers import Durations
from testlytics_collector.formats.junit.rows import Rows
from testlytics_collector.formats.junit.suites import Suites
from testlytics_collector.formats.unstable import Stabiliser

_LONGEST_PREFIX = LONGEST_ID // 2
_MOST_PREFIXES = 4_000


class Namer:
    """Names the testcases of one document.

    Attributes:
        dialect: What wrote the document, as far as seen.
        go: Whether a property of Go was seen.
        stabiliser: Replaces what differs from run to run.
    """

    __slots__ = (
        "_by_suite",
        "_durations",
        "_findings",
        "_prefixes",
        "_recognised_from",
        "_rows",
        "_suites",
        "_unnamed",
        "dialect",
        "go",
        "stabiliser",
    )

    def __init__(self, suites: Suites, findings: Findings, rows: Rows) -> None:
        self._by_suite = False
        self._durations = Durations(findings.note)
        self._findings = findings
        self._recognised_from: tuple[str, ...] | None = None
        self._rows = rows
        self._suites = suites
        self._unnamed: dict[str, int] = {}
        self.dialect: Dialect = GENERIC
        self.go = False
        self._prefixes: dict[str, str] = {}
        self.stabiliser = Stabiliser()

    def enter_suite(self) -> None:
        """Note that a suite begins: another tool may have written it."""
        time = self._suites.innermost.get("time", "")
        if "," in time:
            # Seconds with a decimal comma here tell what a comma means in the testcases.
            self._durations.us(time)
        if self._suites.depth <= 1 and tuple(self._suites.outermost) != self._recognised_from:
            self._recognised_from = None
        self._rows.begin_suite(may_hide=self.dialect.hides_reruns)

    def change_suite(self) -> None:
        """Note that another suite is the innermost: names may depend on it."""
        if self._by_suite:
            self._prefixes.clear()
            self._by_suite = False
        started = self._suites.current.started_us
        self.stabiliser.epoch = "\0" if started is None else str(started)[:4]

    def recognised(self) -> Dialect:
        """Tell the dialect, also where there was no testcase to tell it by."""
        if self._recognised_from is None:
            self._recognise({})
        return self.dialect

    def duration(self, text: str | None) -> int | None:
        """Read a duration; None where there is none or it cannot be read."""
        if text is None:
            return None
        dialect = self.dialect
        if dialect.unit_s != 1.0 and text.isdecimal() and len(text) < 20:
            count = int(text)
            if 0 < count < dialect.unit_from:
                self._findings.note("unreadable time", text)
                return None
            return self._durations.us(text, dialect.unit_s)
        return self._durations.us(text)

    def name(self, case: Attrs) -> tuple[str, str]:
        """Name any testcase.

        Returns:
            What stands before its name, and the test id.
        """
        if self._recognised_from is None:
            self._recognise(case)
        prefix = self.dialect.style.prefix(case, self._suites.current)
        name = case.get("name") or self._number_unnamed(prefix)
        tail = self.dialect.style.tail
        if tail is not None:
            called = tail(name, case, self._suites.current)
            if called.startswith("(unnamed") and not name.startswith("("):
                self._findings.note("unnamed method", name)
            name = called
        if "[" in name:
            name = self.stabiliser.stable(prefix, name, self._suites.current.started_us)
        return prefix, shortened(prefix + name)

    def in_suite(self, test_id: str) -> tuple[str, str]:
        """Put the suite before the id of a test that stands in another suite as well.

        Returns:
            The new id, and what of it is the suite.
        """
        suite = f"{suite_id(self._suites.current)}::"
        qualified = shortened(suite + test_id)
        self._findings.note("another suite", qualified)
        return qualified, suite

    def prefix_of(self, key: str, case: Attrs) -> str:
        """Give what stands before a testcase's name.

        Args:
            key: Its file and class in one text.
            case: Its attributes.

        Returns:
            The prefix; empty where every name needs a look.
        """
        known = self._prefixes.get(key)
        if known is not None:
            return known
        if self._recognised_from is None:
            self._recognise(case)
        style = self.dialect.style
        prefix = style.prefix(case, self._suites.current)
        if not self.dialect.plain or len(prefix) > _LONGEST_PREFIX or "[" in prefix:
            return ""
        if style.by_suite or not case.get("classname"):
            self._by_suite = True
        if len(self._prefixes) > _MOST_PREFIXES:
            self._prefixes.clear()
        self._prefixes[key] = prefix
        return prefix

    def _recognise(self, case: Attrs) -> None:
        suites = self._suites
        self._recognised_from = tuple(suites.outermost)
        dialect = recognise(Signs(suites.root, suites.outermost, case, self.go))
        if dialect is GENERIC and self.dialect is not GENERIC:
            return
        self.dialect = dialect
        self._prefixes.clear()
        self._rows.begin_suite(may_hide=dialect.hides_reruns)

    def _number_unnamed(self, prefix: str) -> str:
        self._findings.note("unnamed")
        nth = self._unnamed.get(prefix, 0) + 1
        if len(self._unnamed) < _MOST_PREFIXES:
            self._unnamed[prefix] = nth
        return UNNAMED if nth == 1 else f"(unnamed {nth})"
