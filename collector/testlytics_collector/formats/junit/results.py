"""Testcases that ended, on their way to rows: status, attempts, counts."""

from __future__ import annotations

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit import verdict
from testlytics_collector.formats.junit.findings import Findings
from testlytics_collector.formats.junit.identity import Attrs, suite_id
from testlytics_collector.formats.junit.namer import Namer
from testlytics_collector.formats.junit.rows import Rows
from testlytics_collector.formats.junit.suites import Suites
from testlytics_collector.formats.junit.verdict import Detail, Try
from testlytics_collector.formats.notes import Notebook
from testlytics_collector.records import Attempt, Counts, Failure, Note, Outcome

LOOSE = {"failure": Outcome.FAILED, "error": Outcome.ERRORED, "skipped": Outcome.SKIPPED}
"""Elements that mean something outside of a testcase."""

OUTCOMES = {
    **dict.fromkeys(verdict.SKIPPING_TAGS, Outcome.SKIPPED),
    "failure": Outcome.FAILED,
    "error": Outcome.ERRORED,
}
"""Elements that give a testcase its status."""

TELLING = frozenset({"status", "result", "flaky", "retries", "timestamp"})
"""Attributes that say more of a testcase than its name and time."""

_EARLIER = Try(
    Outcome.FAILED,
    Failure(None, "an earlier attempt of which the report tells no more", None, None),
    None,
    None,
)
_PASSED_AT_LAST = Try(Outcome.PASSED, None, None, None)
_NO_DETAIL = Detail()
_NO_ATTRS: Attrs = {}
_new = tuple.__new__


class Results:
    """The testcases of one document.

    Attributes:
        counts: How many of what; `finished` completes them.
        findings: Where problems go.
        namer: Names tests.
        notebook: Writes what testcases say of themselves.
        rows: Where attempts go.
        suites: The suites that are open.
    """

    __slots__ = (
        "_append",
        "_first",
        "_further",
        "_limits",
        "counts",
        "findings",
        "namer",
        "notebook",
        "rows",
        "suites",
    )

    def __init__(self, rows: Rows, findings: Findings, limits: Limits) -> None:
        self.counts = Counts()
        self.findings = findings
        self.rows = rows
        self.suites = Suites(findings)
        self.namer = Namer(self.suites, findings, rows)
        self.notebook = Notebook(limits)
        self._append = rows.pending.append
        self._first = rows.first
        self._further = 0
        self._limits = limits

    def finished(self) -> Counts:
        """Hand out the last attempts, and complete the counts."""
        rows, counts = self.rows, self.counts
        rows.finish()
        counts.attempts = rows.written
        counts.testcases = rows.written - self._further
        counts.passed = (
            counts.testcases - counts.failed - counts.errored - counts.skipped - counts.unknown
        )
        counts.tests = rows.seen.count
        return counts

    def put_loose(self, name: str, attrs: Attrs, text: str) -> None:
        """Take a failure that stands outside of any testcase."""
        failure = _NO_DETAIL.failure_of(attrs, text, self._limits)
        test_id = suite_id(self.suites.current)
        self.findings.note("suite failure", test_id)
        failure = verdict.placed(failure, _NO_ATTRS, failure.text)
        number = self.rows.loose_number(test_id)
        self._write(test_id, number, Try(LOOSE[name], failure, None, None))
        self._further += 1

    def leave_suite(self) -> None:
        """Add what only a suite as a whole tells: that all that failed in it passed at last."""
        suite = self.suites.current
        if not suite.flaky:
            return
        if suite.flaky != len(suite.retried):
            self.findings.note("flaky suite", suite_id(suite))
            return
        for test_id in suite.retried:
            self._write(test_id, self.rows.next_number(test_id), _PASSED_AT_LAST)
        self._further += len(suite.retried)

    def finish_single(
        self, case: Attrs, child: tuple[str, Attrs, str], test_id: str, duration: int | None
    ) -> None:
        """End a testcase that is new and has one child: most of those that did not pass.

        Args:
            case: Its attributes.
            child: Name, attributes and text of the child.
            test_id: Its name.
            duration: Its duration.
        """
        name, attrs, text = child
        failure = _NO_DETAIL.failure_of(attrs, text, self._limits)
        counts = self.counts
        outcome = OUTCOMES[name]
        if outcome is Outcome.SKIPPED:
            counts.skipped += 1
            outcome = verdict.stored(outcome, "skipped", failure.type)
        else:
            if outcome is Outcome.FAILED:
                counts.failed += 1
            else:
                counts.errored += 1
            failure = verdict.placed(failure, case, failure.text)
            if self.suites.current.flaky:
                self.suites.current.retried.append(test_id)
        row = (test_id, self._first, outcome, duration, None, None, None, None, failure, ())
        self._append(_new(Attempt, row))

    def finish(
        self,
        case: Attrs,
        detail: Detail | None,
        test_id: str,
        duration: int | None,
        seen_in: bytes | None,
    ) -> None:
        """End a testcase that has children or telling attributes, or comes again.

        Args:
            case: Its attributes.
            detail: Its children, None where it has none.
            test_id: Its name.
            duration: Its duration.
            seen_in: The suite in which the test was seen before, or None.
        """
        status = verdict.status_of(case, detail)
        self._count(status)
        number = self._first
        if seen_in is not None:
            test_id, number = self._again(test_id, seen_in)
        main = verdict.main_try(case, detail, status, duration, self._limits)
        tries = [main]
        if detail is not None and (detail.reruns or len(detail.results) > 1):
            one_each = self.suites.current.flaky > 0
            tries = verdict.with_reruns(main, case, detail, one_each=one_each)
        if not TELLING.isdisjoint(case):
            tries = self._by_attribute(case, tries)
        for one in tries[:-1]:
            self._write(test_id, number, one)
            number = self.rows.next_number(test_id)
        self._write(test_id, number, tries[-1], tuple(detail.notes) if detail is not None else ())
        self._further += len(tries) - 1
        if self.suites.current.flaky and status is Outcome.FAILED:
            self.suites.current.retried.append(test_id)

    def _by_attribute(self, case: Attrs, tries: list[Try]) -> list[Try]:
        """Add what a testcase tells in attributes only."""
        if len(tries) > 1:
            return tries
        only = tries[0]
        if only.outcome is Outcome.UNKNOWN:
            self.findings.note("status", case.get("status") or case.get("result") or "")
        started = self.suites.instant(case.get("timestamp"))
        if started is not None:
            only = only._replace(started_us=started)
        told = case.get("retries", "")
        if told.isdecimal() and (retries := int(told[:9])):
            if retries <= verdict.MOST_RETRIES:
                return [_EARLIER] * retries + [only]
            self.findings.note("retries", told)
        if case.get("flaky", "").lower() in ("true", "yes", "1"):
            if only.outcome in (Outcome.FAILED, Outcome.ERRORED):
                return [only, _PASSED_AT_LAST]
            if only.outcome is Outcome.PASSED:
                return [_EARLIER, only]
        return [only]

    def _again(self, test_id: str, seen_in: bytes) -> tuple[str, int]:
        """Name and number a test whose id was seen before."""
        rows, dialect = self.rows, self.namer.dialect
        if seen_in != self.suites.tag and not dialect.repeats_suites:
            test_id, prefix = self.namer.in_suite(test_id)
            if rows.seen.suite_of(test_id, prefix, self.suites.tag) is None:
                return test_id, rows.first
        if dialect.hides_reruns and rows.hide(test_id):
            self.counts.unknown += 1
            self.findings.note("hidden rerun", test_id)
        return test_id, rows.next_number(test_id)

    def _write(self, test_id: str, number: int, one: Try, notes: tuple[Note, ...] = ()) -> None:
        outcome, failure, duration, started = one
        self._append(
            _new(
                Attempt,
                (test_id, number, outcome, duration, None, None, started, None, failure, notes),
            )
        )

    def _count(self, status: Outcome) -> None:
        counts = self.counts
        if status is Outcome.FAILED:
            counts.failed += 1
        elif status is Outcome.ERRORED:
            counts.errored += 1
        elif status is Outcome.SKIPPED:
            counts.skipped += 1
        elif status is Outcome.UNKNOWN:
            counts.unknown += 1
