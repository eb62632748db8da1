"""Lets quarantined tests run and keeps their failures from failing the session.

A failure becomes an expected one on its way from the process that runs the test to everybody who
reads reports, the session itself and `-x` included. Plugins that retry see it before. The real
outcome travels with the report, for the recorder.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Generator, Iterable, List, Mapping, Optional, Protocol, Sequence, Set

import pytest

from pytest_testlytics.defused import REAL_OUTCOME, WIDER, defuse, is_skip, is_wider
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.quarantine_file import Entry, one_line, read_quarantine, today

PLUGIN_NAME = "testlytics-quarantine"
VARIABLE = "TESTLYTICS_QUARANTINE"
WORKERINPUT = "testlytics_quarantine"
"""The key under which the controller hands the quarantine to its workers."""

_MOST_LINES = 50
_PHASES = ("setup", "call", "teardown")
_NARROWING = (
    "file_or_dir", "keyword", "markexpr", "lf", "stepwise", "deselect", "ignore", "ignore_glob",
)  # fmt: skip
"""Options with which a session is about some of the tests only."""


class _Node(Protocol):
    """A worker that is about to start, as xdist hands it out."""

    @property
    def workerinput(self) -> Dict[str, Any]: ...


def family_of(test_id: str) -> str:
    """Return a test id without its parameters."""
    if not test_id.endswith("]"):
        return test_id
    cut = test_id.find("[", test_id.find("::") + 1)
    return test_id[:cut] if cut > 0 else test_id


class Quarantine:
    """Makes failures of quarantined tests harmless, in every process that sees reports.

    Attributes:
        ended: How each quarantined test that ran ended: `failed`, `passed` or `skipped`.
        deaths: How many deaths of workers were made harmless.
        doubtful: Tests with whose teardown the failure of a wider scope may have been hidden.
        trouble: Why a report could not be looked at; empty as long as all is well.
    """

    def __init__(self, reasons: Mapping[str, str], *, with_groups: bool) -> None:
        """Begin with nothing seen.

        Args:
            reasons: By test id or family, what to say instead of the failure.
            with_groups: Whether node ids end with the `@group` of `--dist loadgroup`.
        """
        self._reasons = reasons
        self._with_groups = with_groups
        self._failed_inside: set[str] = set()
        self._ends_wider = False
        self.ended: Dict[str, str] = {}
        self.deaths = 0
        self.doubtful: Dict[str, None] = {}
        self.trouble = ""

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, None]:
        """Defuse a failure before anybody counts it."""
        try:
            self._take(report)
        except Exception as error:
            self.trouble = self.trouble or f"{type(error).__name__}: {one_line(str(error))}"
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: Optional[pytest.Item]
    ) -> Generator[None, object, None]:
        """Note whether wider scopes end with this test."""
        self._ends_wider = nextitem is None or nextitem.parent is not item.parent
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[object]
    ) -> Generator[None, Any, None]:
        """Say in the report of a teardown whether a wider scope failed, which is no test's."""
        result = yield
        try:
            if call.when == "teardown" and call.excinfo is not None and self.covers(item.nodeid):
                wider = is_wider(call.excinfo.value)
                if wider or self._ends_wider:
                    result.get_result().__dict__[WIDER] = wider
        except Exception as error:
            self.trouble = self.trouble or f"{type(error).__name__}: {one_line(str(error))}"

    def covers(self, nodeid: str) -> bool:
        """Tell whether a test is quarantined."""
        return self.reason_of(self._test_id(nodeid)) is not None

    def reason_of(self, test_id: str) -> Optional[str]:
        """Return what to say instead of a test's failure, None where it counts."""
        return self._reasons.get(test_id) or self._reasons.get(family_of(test_id))

    def unmatched(self, nodeids: Iterable[str]) -> List[str]:
        """Return what is quarantined and none of these tests."""
        ids = {self._test_id(nodeid) for nodeid in nodeids}
        return sorted(set(self._reasons) - ids - {family_of(test_id) for test_id in ids})

    def _test_id(self, nodeid: str) -> str:
        return Lanes.test_id(nodeid) if self._with_groups else nodeid

    def _take(self, report: pytest.TestReport) -> None:
        test_id = self._test_id(report.nodeid)
        reason = self.reason_of(test_id)
        if reason is None:
            return
        more = report.__dict__
        if REAL_OUTCOME not in more and self._counts_as_failure(report, test_id):
            defuse(report, reason)
            self.deaths += report.when not in _PHASES
        if REAL_OUTCOME in more and WIDER in more and more[WIDER] is None:
            self.doubtful[test_id] = None
        word: str = report.outcome
        if word == "rerun":
            self.ended.pop(test_id, None)  # subtests of a try that does not count were heard of
        elif REAL_OUTCOME in more:
            self.ended[test_id] = "failed"
        elif is_skip(report):
            self.ended.setdefault(test_id, "skipped")
        elif report.when == "teardown":
            self.ended.setdefault(test_id, "passed")

    def _counts_as_failure(self, report: pytest.TestReport, test_id: str) -> bool:
        if hasattr(report, "context"):
            if report.failed:
                self._failed_inside.add(test_id)
            return report.failed
        if report.__dict__.get(WIDER):
            return False
        inside = False
        if report.when == "call" and test_id in self._failed_inside:
            # The terminal turns the pass of a test whose subtests failed into a failure.
            self._failed_inside.remove(test_id)
            inside = report.passed
        return report.failed or inside


class RollCall:
    """Tells which tests were not heard of.

    Attributes:
        times: How many workers are to run each test.
        expected: Node ids of the tests that workers are to run.
        here: Node ids of the tests that were found in this process.
        broken: Whether something could not be collected.
    """

    def __init__(self) -> None:
        self.times = 1
        self.expected: Set[str] = set()
        self.here: Set[str] = set()
        self.broken = False
        self._heard: Dict[str, int] = {}

    def hear(self, report: pytest.TestReport) -> None:
        """Note that a test has come to its end, or its worker has."""
        if report.when not in ("setup", "call"):
            self._heard[report.nodeid] = self._heard.get(report.nodeid, 0) + 1

    def missing(self) -> List[str]:
        """Return the tests that did not come to an end."""
        return sorted(one for one in self.expected if self._heard.get(one, 0) < self.times)


class Summary:
    """Hands the quarantine to workers, and says at the end what it did."""

    def __init__(
        self,
        quarantine: Quarantine,
        reasons: Mapping[str, str],
        expired: list[Entry],
        problems: tuple[str, ...],
    ) -> None:
        self._quarantine = quarantine
        self._reasons = reasons
        self._expired = expired
        self._problems = problems
        self._variable: Optional[str] = None
        self._roll = RollCall()
        self._lost: List[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Take the setting away from sessions that tests start: it is about other tests."""
        self._variable = os.environ.pop(VARIABLE, None)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Put the setting back."""
        if self._variable is not None:
            os.environ[VARIABLE] = self._variable

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: _Node) -> None:
        """Let a worker know."""
        node.workerinput[WORKERINPUT] = dict(self._reasons)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: Sequence[object]) -> None:
        """Note how often each test is to run."""
        self._roll.times = len(specs) if config.getoption("dist", "no") == "each" else 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note which tests are to run in workers."""
        self._roll.expected.update(ids)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests are to run in the only process."""
        self._roll.here.update(item.nodeid for item in session.items)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count deselected tests as known."""
        self._roll.here.update(item.nodeid for item in items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that tests are missing that exist."""
        self._roll.broken = self._roll.broken or not report.passed

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test was heard of."""
        if self._roll.expected:
            self._roll.hear(report)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, None]:
        """Fail the session where tests never ran because a quarantined one killed workers.

        When xdist gives up, it relies on the deaths to have counted as failures. Pytest takes the
        exit status from this number next, and tells it to everybody.
        """
        result = yield
        if self._quarantine.deaths and getattr(result, "excinfo", None) is None:
            self._lost = self._roll.missing()
            session.testsfailed += len(self._lost)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many quarantined tests failed and which, and what is wrong."""
        try:
            for line in [*self._lines(), *self._unmatched(terminalreporter.config)]:
                terminalreporter.write_line(line, yellow=True)
        except Exception:
            pass  # there is nowhere left to say it

    def _unmatched(self, config: pytest.Config) -> List[str]:
        found = self._roll.expected or self._roll.here
        whole = config.invocation_params.dir == config.rootpath and not self._roll.broken
        if not found or not whole or any(config.getoption(name, None) for name in _NARROWING):
            return []
        tests = self._quarantine.unmatched(found)
        if not tests:
            return []
        what = "1 entry matches" if len(tests) == 1 else f"{len(tests)} entries match"
        return [f"testlytics: quarantine: {what} no collected test: {one_line(tests[0])}"]

    def _lines(self) -> list[str]:
        ended, trouble = self._quarantine.ended, self._quarantine.trouble
        lines: list[str] = []
        if ended:
            counts = dict.fromkeys(("failed", "passed", "skipped"), 0)
            for word in ended.values():
                counts[word] += 1
            if not counts["skipped"]:
                del counts["skipped"]
            text = ", ".join(f"{count} {word}" for word, count in counts.items())
            lines.append(f"testlytics: quarantined: {text}")
            lines += _bounded(
                [
                    f"  {one_line(test_id)}: {self._quarantine.reason_of(test_id)}"
                    for test_id, word in sorted(ended.items())
                    if word == "failed"
                ]
            )
        lines += _bounded(
            [
                f"testlytics: quarantine expired on {entry.expires}, failures count again: "
                f"{one_line(entry.test)} ({entry.owner})"
                for entry in self._expired
            ]
        )
        lines += _bounded([f"testlytics: {problem}" for problem in self._problems])
        if self._lost:
            lines.append(
                "testlytics: quarantine: the session fails, a quarantined test ended workers and "
                f"{len(self._lost)} never ran: {one_line(self._lost[0])}"
            )
        lines += _bounded(
            [
                "testlytics: quarantine: the teardown of a wider scope may have been defused with "
                + one_line(test_id)
                for test_id in self._quarantine.doubtful
            ]
        )
        if trouble:
            lines.append(f"testlytics: quarantine: a report could not be read ({trouble})")
        return lines


def begin(config: pytest.Config, path: str, variant: Dict[str, str]) -> None:
    """Read the file and register what makes it effective.

    Args:
        config: Of the controller, or of the only process.
        path: Where the file is.
        variant: Of the run.
    """
    reviewed, day = read_quarantine(path), today()
    here = [entry for entry in reviewed.entries if entry.fits(variant)]
    reasons = {
        entry.test: f"quarantined until {entry.expires} ({entry.owner}): {entry.reason}"
        for entry in here
        if not entry.is_expired(day)
    }
    expired = [entry for entry in here if entry.is_expired(day) and entry.test not in reasons]
    quarantine = Quarantine(reasons, with_groups=config.getoption("dist", "no") == "loadgroup")
    config.pluginmanager.register(quarantine, PLUGIN_NAME)
    summary = Summary(quarantine, reasons, expired, reviewed.problems)
    config.pluginmanager.register(summary, f"{PLUGIN_NAME}-summary")


def join(config: pytest.Config, reasons: Mapping[str, str]) -> None:
    """Register the quarantine in a worker.

    Args:
        config: Of the worker.
        reasons: What the controller handed over.
    """
    with_groups = bool(config.getoption("loadgroup", False))
    config.pluginmanager.register(Quarantine(reasons, with_groups=with_groups), PLUGIN_NAME)


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f"  … {more} more"]
