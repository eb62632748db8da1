"""Names and durations of testcases, by the dialect of the document."""

from __future__ import annotations

from testlytics_collector.formats.junit.dialect import GENERIC, Dialect, Signs, recognise
from testlytics_collector.formats.junit.findings import Findings
from testlytics_collector.formats.junit.identity import UNNAMED, Attrs, shortened, suite_id
from testlytics_collector.formats.junit.numbers import Durations
from testlytics_collector.formats.junit.rows import Rows
from testlytics_collector.formats.junit.suites import Suites
from testlytics_collector.formats.junit.unstable import Stabiliser

_LONGEST_PREFIX = 400
_MOST_PREFIXES = 10_000


class Namer:
    """Names the testcases of one document.

    Attributes:
        dialect: What wrote the document, as far as seen.
        go: Whether a property of Go was seen.
        prefixes: What stands before names, by class (and file) within the suite that is open. An
            empty text means that every name needs a look.
        stabiliser: Replaces what differs from run to run.
    """

    __slots__ = (
        "_durations",
        "_findings",
        "_recognised_from",
        "_rows",
        "_suites",
        "_unnamed",
        "dialect",
        "go",
        "prefixes",
        "stabiliser",
    )

    def __init__(self, suites: Suites, findings: Findings, rows: Rows) -> None:
        self._durations = Durations(findings.note)
        self._findings = findings
        self._recognised_from: tuple[str, ...] | None = None
        self._rows = rows
        self._suites = suites
        self._unnamed: dict[str, int] = {}
        self.dialect: Dialect = GENERIC
        self.go = False
        self.prefixes: dict[str | tuple[str, str | None] | None, str] = {}
        self.stabiliser = Stabiliser()

    def begin_suite(self, attrs: Attrs) -> None:
        """Take the start of a suite: names depend on it, and another tool may have written it."""
        self.prefixes.clear()
        if self._suites.depth <= 1 and tuple(attrs) != self._recognised_from:
            self._recognised_from = None
        self._rows.begin_suite(may_hide=self.dialect.hides_reruns)

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

    def test_id(self, case: Attrs) -> str:
        """Name a testcase."""
        file, owner = case.get("file"), case.get("classname")
        key = owner if file is None else (file, owner)
        prefix = self.prefixes.get(key) or self._prefix(key, case)
        name = case.get("name") or self._number_unnamed(prefix)
        tail = self.dialect.style.tail
        if tail is not None:
            called = tail(name, case, self._suites.current)
            if called.startswith("(unnamed") and not name.startswith("("):
                self._findings.note("unnamed method", name)
            name = called
        if "[" in name:
            name = self.stabiliser.stable(prefix, name, self._suites.current.started_us)
        return shortened(prefix + name)

    def in_suite(self, test_id: str) -> str:
        """Put the suite before the id of a test that stands in another suite as well."""
        qualified = shortened(f"{suite_id(self._suites.current)}::{test_id}")
        self._findings.note("another suite", qualified)
        return qualified

    def _prefix(self, key: str | tuple[str, str | None] | None, case: Attrs) -> str:
        if self._recognised_from is None:
            self._recognise(case)
        prefix = self.dialect.style.prefix(case, self._suites.current)
        if len(self.prefixes) > _MOST_PREFIXES:
            self.prefixes.clear()
        plain = self.dialect.plain and len(prefix) < _LONGEST_PREFIX
        self.prefixes[key] = prefix if plain else ""
        return prefix

    def _recognise(self, case: Attrs) -> None:
        suites = self._suites
        self._recognised_from = tuple(suites.outermost)
        dialect = recognise(Signs(suites.root, suites.outermost, case, self.go))
        if dialect is GENERIC and self.dialect is not GENERIC:
            return
        self.dialect = dialect
        self._rows.begin_suite(may_hide=dialect.hides_reruns)

    def _number_unnamed(self, prefix: str) -> str:
        self._findings.note("unnamed")
        nth = self._unnamed.get(prefix, 0) + 1
        if len(self._unnamed) < _MOST_PREFIXES:
            self._unnamed[prefix] = nth
        return UNNAMED if nth == 1 else f"(unnamed {nth})"
