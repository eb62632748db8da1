"""The events of one document, turned into attempts.

One object takes every event of expat. A testcase without children, which nearly all of them are,
costs two calls: its attributes are kept when it starts and become a row when it ends. Everything
else takes the longer way.
"""

from __future__ import annotations

from collections.abc import Callable

from testlytics_collector.errors import InputError
from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit import verdict
from testlytics_collector.formats.junit.dialect import Dialect
from testlytics_collector.formats.junit.findings import Findings
from testlytics_collector.formats.junit.identity import Attrs, suite_id
from testlytics_collector.formats.junit.namer import Namer
from testlytics_collector.formats.junit.rows import Rows
from testlytics_collector.formats.junit.suites import Suites
from testlytics_collector.formats.junit.text import Gathering, cut
from testlytics_collector.formats.junit.verdict import Detail, Try
from testlytics_collector.formats.text import printable
from testlytics_collector.records import Attempt, Counts, Failure, Outcome

_KNOWN = frozenset(
    {"testsuites", "testsuite", "testcase", "properties", "property", "system-out", "system-err"}
    | {"failure", "error", "stackTrace"}
    | verdict.SKIPPING_TAGS
    | set(verdict.RERUN_TAGS)
)
_RESULTS = frozenset({"failure", "error"} | verdict.SKIPPING_TAGS | set(verdict.RERUN_TAGS))
_OUTPUT = frozenset({"system-out", "system-err"})
_LOOSE = {"failure": Outcome.FAILED, "error": Outcome.ERRORED, "skipped": Outcome.SKIPPED}
# Attributes that make even a testcase without children take the longer way.
_TELLING = frozenset({"status", "result", "flaky", "retries", "timestamp"})
_PASSED = Outcome.PASSED
_new = tuple.__new__
MOST_RETRIES = 1_000


class Handler:
    """Takes the events of one document.

    Attributes:
        counts: How many of what, complete after the last event.
        foreign: The first element that JUnit XML does not know and that stands where a testcase
            could, or None.
        root: Local name of the root element, or None before it.
    """

    __slots__ = (
        "_case",
        "_child",
        "_depth",
        "_detail",
        "_gathering",
        "_inside",
        "_known_times",
        "_limits",
        "_listen",
        "_local",
        "_namer",
        "_open",
        "_outer",
        "_rows",
        "_seen",
        "counts",
        "findings",
        "foreign",
        "root",
        "suites",
    )

    def __init__(
        self,
        rows: Rows,
        findings: Findings,
        limits: Limits,
        listen: Callable[[Callable[[str], None] | None], None],
    ) -> None:
        """Begin.

        Args:
            rows: Where attempts go.
            findings: Where problems go.
            limits: Bounds.
            listen: Switches character data: to a function that takes it, or off.
        """
        self.counts = Counts()
        self.findings = findings
        self.foreign: str | None = None
        self.root: str | None = None
        self.suites = Suites(findings)
        self._namer = Namer(self.suites, findings, rows)
        self._rows = rows
        self._seen = rows.seen.suite_of
        self._limits = limits
        self._listen = listen
        self._gathering = Gathering(limits.text_chars)
        self._local: dict[str, str] = {}
        self._depth = 0
        self._open: list[str] = []
        self._case: Attrs | None = None
        self._detail: Detail | None = None
        self._child: Attrs | None = None
        self._inside: list[str] = []
        self._outer: list[tuple[Attrs, Detail | None, list[str]]] = []

    @property
    def closed(self) -> bool:
        """Whether the document's root was closed."""
        return (
            not (self._open or self._inside)
            and self._case is None
            and (self.root is not None or self.counts.testcases > 0)
        )

    @property
    def dialect(self) -> Dialect:
        """What wrote the document."""
        return self._namer.dialect

    def unstable(self) -> str | None:
        """Say how many names held a part that differs from run to run, or None."""
        found = self._namer.stabiliser
        if not found.count:
            return None
        return (
            f"{found.count} test ids hold a part that differs from run to run (an address, a UUID, "
            f"a time, a temporary path); it was replaced. The first is {printable(found.example)}."
        )

    def innermost(self) -> str:
        """Name the innermost element that is open."""
        if self._case is not None:
            return self._inside[-1] if self._inside else "testcase"
        return self._open[-1] if self._open else ""

    # --- events ------------------------------------------------------------------------------

    def start(self, tag: str, attrs: Attrs) -> None:
        """Take the start of an element."""
        if tag == "testcase" and self._case is None:
            self._case = attrs
        elif tag != "property":
            self._descend(tag, attrs)
        elif attrs.get("name") == "go.version":
            self._namer.go = True

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if tag != "testcase" or self._inside:
            if tag != "property":
                self._ascend(tag)
            return
        case = self._case
        if case is None or self._detail is not None:
            self._depth -= len(self._outer) > 0
            self._finish()
            return
        get = case.get
        name, file, owner, time = get("name"), get("file"), get("classname"), get("time")
        prefix = self._prefixes.get(owner if file is None else (file, owner))
        few = self._few
        if not (prefix and name and time and few is not None) or "[" in name or "_" in time:
            self._finish()
            return
        if len(case) > 3 and not _TELLING.isdisjoint(case):
            self._finish()
            return
        try:
            duration = int(float(time) * 1e6 + 0.5)
        except (ValueError, OverflowError):
            duration = -1
        test_id = prefix + name
        key = hash(test_id)
        if duration < 0 or duration > _LONGEST_US or len(test_id) > LONGEST_ID or key in few:
            self._finish()
            return
        few[key] = self._tag
        self._append(
            _new(Attempt, (test_id, self._first, _PASSED, duration, None, None, None, None, None))
        )
        self._case = None

    # --- the longer way ----------------------------------------------------------------------

    def _descend(self, tag: str, attrs: Attrs) -> None:
        name = self._local.get(tag) or self._localise(tag)
        self._depth += 1
        if self._depth > self._limits.depth:
            line, column = self.findings.where()
            raise InputError(
                f"Elements nest deeper than {self._limits.depth} levels at line {line}: this is no "
                "test report.",
                slug="junit-depth",
                hint="Check which tool wrote the file.",
                line=line,
                column=column,
            )
        if self.root is None:
            self.root = name
        if name == "testcase":
            if self._case is not None:
                self._listen(None)
                self._outer.append((self._case, self._detail, self._inside))
                self._detail, self._inside = None, []
            self._case = attrs
        elif self._case is not None:
            if not self._inside:
                self._begin_child(name, attrs)
            self._inside.append(name)
        else:
            self._begin_outside(name, attrs)
            self._open.append(name)

    def _ascend(self, tag: str) -> None:
        name = self._local.get(tag) or self._localise(tag)
        self._depth -= 1
        if self._case is None:
            self._open.pop()
            if name in ("testsuite", "testsuites"):
                self.suites.leave(name)
            elif self._child is not None:
                self._end_loose(name)
        elif self._inside:
            self._inside.pop()
            if not self._inside and self._child is not None:
                self._end_child(name)
        else:
            self._finish()

    def _localise(self, tag: str) -> str:
        name = tag.rpartition(":")[2]
        if len(self._local) < 1_000 or name in _KNOWN:
            self._local[tag] = name
        return name

    def _begin_outside(self, name: str, attrs: Attrs) -> None:
        if name in ("testsuite", "testsuites"):
            self.suites.enter(name, attrs)
            self._namer.begin_suite(attrs)
        elif name in _LOOSE and self._open and self._open[-1] in ("testsuite", "testsuites"):
            self._child = attrs
            self._listen(self._gathering.add)
        elif name not in _KNOWN and self.foreign is None and not self._child:
            self.foreign = name

    def _end_loose(self, name: str) -> None:
        attrs, self._child = self._child or {}, None
        self._listen(None)
        text, dropped = self._gathering.take()
        if name not in _LOOSE:
            return
        text = cut(text, self._limits.text_chars, dropped)
        detail = Detail()
        failure = detail.failure_of(attrs, text, self._limits)
        detail.failures.append(failure)
        [loose] = verdict.tries_of({}, detail, _LOOSE[name], None, self._limits)
        suite = self.suites.current
        test_id = suite_id(suite)
        self.findings.note("suite failure", test_id)
        self._write(test_id, self._rows.loose_number(test_id), loose)

    def _begin_child(self, name: str, attrs: Attrs) -> None:
        if name in _RESULTS or name in _OUTPUT:
            self._child = attrs
            self._listen(self._gathering.add)

    def _end_child(self, name: str) -> None:
        attrs, self._child = self._child or {}, None
        self._listen(None)
        text, dropped = self._gathering.take()
        text = cut(text, self._limits.text_chars, dropped)
        detail = self._detail
        if detail is None:
            detail = self._detail = Detail()
        if name in _OUTPUT:
            detail.add_output(name, text)
            return
        failure = detail.failure_of(attrs, text, self._limits)
        if name == "error":
            detail.errors.append(failure)
        elif name == "failure":
            detail.failures.append(failure)
        elif name in verdict.RERUN_TAGS:
            outcome = verdict.RERUN_TAGS[name]
            duration = self._namer.duration(attrs.get("time"))
            started = self.suites.instant(attrs.get("timestamp"))
            detail.reruns.append(Try(outcome, failure, duration, started))
        else:
            detail.skips.append(failure)

    # --- the end of a testcase ---------------------------------------------------------------

    def _finish(self) -> None:
        case = self._case
        if case is None:
            return
        detail = self._detail or Detail()
        status = verdict.status_of(case, detail)
        self._count(status)
        if status is Outcome.UNKNOWN:
            self.findings.note("status", case.get("status") or case.get("result") or "")
        duration = self._namer.duration(case.get("time"))
        outcome = verdict.stored_outcome(status, detail)
        tries = verdict.tries_of(case, detail, outcome, duration, self._limits)
        started = self.suites.instant(case.get("timestamp"))
        if len(tries) == 1 and started is not None:
            tries = [tries[0]._replace(started_us=started)]
        tries = self._by_attribute(case, tries, detail)
        test_id = self._namer.test_id(case)
        number = self._rows.first
        if self._seen(test_id, self.suites.tag) is not None:
            test_id, number = self._again(test_id)
        for nth, one in enumerate(tries):
            self._write(test_id, number if not nth else self._rows.next_number(test_id), one)
        self._case = self._detail = None
        if self._outer:
            self._case, self._detail, self._inside = self._outer.pop()

    def _by_attribute(self, case: Attrs, tries: list[Try], detail: Detail) -> list[Try]:
        """Add the attempts that a testcase tells in attributes only."""
        told = case.get("retries", "")
        if told.isdecimal() and len(tries) == 1 and (retries := int(told[:9])):
            if retries > MOST_RETRIES:
                self.findings.note("retries", told)
            else:
                why = Failure(
                    None, "an earlier attempt, of which the report tells no more", None, None
                )
                return [Try(Outcome.FAILED, why, None, None)] * retries + tries
        flaky = case.get("flaky", "").lower() in ("true", "yes", "1")
        if flaky and len(tries) == 1:
            if tries[0].outcome in (Outcome.FAILED, Outcome.ERRORED):
                return [*tries, Try(_PASSED, None, None, None)]
            if tries[0].outcome is _PASSED:
                return [Try(Outcome.UNKNOWN, None, None, None), *tries]
        if len(detail.failures) > 1 and self.suites.counts_flaky:
            return self.suites.retried(tries, detail)
        return tries

    def _again(self, test_id: str) -> tuple[str, int]:
        """Name and number a test whose id was seen before."""
        rows, dialect = self._rows, self._namer.dialect
        known = self._seen(test_id, self.suites.tag)
        if known != self.suites.tag and not dialect.repeats_suites:
            test_id = self._namer.in_suite(test_id)
            if self._seen(test_id, self.suites.tag) is None:
                return test_id, rows.first
        if dialect.hides_reruns and rows.hide(test_id):
            self.counts.unknown += 1
            self.findings.note("hidden rerun", test_id)
        return test_id, rows.next_number(test_id)

    def _write(self, test_id: str, number: int, one: Try) -> None:
        self._rows.put(
            Attempt(
                test_id,
                number,
                one.outcome,
                one.duration_us,
                started_us=one.started_us,
                failure=one.failure,
            )
        )

    def _count(self, status: Outcome) -> None:
        counts = self.counts
        counts.testcases += 1
        if status is Outcome.FAILED:
            counts.failed += 1
        elif status is Outcome.ERRORED:
            counts.errored += 1
        elif status is Outcome.SKIPPED:
            counts.skipped += 1
        elif status is Outcome.UNKNOWN:
            counts.unknown += 1
