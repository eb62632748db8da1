"""Lets quarantined tests run and keeps their failures from failing the session.

A failure becomes an expected one on its way from the process that runs the test to everybody who
reads reports, the session itself and `-x` included. Plugins that retry see it before. The real
outcome travels with the report, for the recorder.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Generator, Mapping, Optional, Protocol

import pytest

from pytest_testlytics.defused import REAL_OUTCOME, defuse, is_skip
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.quarantine_file import Entry, one_line, read_quarantine, today

PLUGIN_NAME = "testlytics-quarantine"
VARIABLE = "TESTLYTICS_QUARANTINE"
WORKERINPUT = "testlytics_quarantine"
"""The key under which the controller hands the quarantine to its workers."""

_MOST_LINES = 50


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
        self.ended: Dict[str, str] = {}
        self.trouble = ""

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, None]:
        """Defuse a failure before anybody counts it."""
        try:
            self._take(report)
        except Exception as error:
            self.trouble = self.trouble or f"{type(error).__name__}: {one_line(str(error))}"
        yield

    def covers(self, nodeid: str) -> bool:
        """Tell whether a test is quarantined."""
        return self.reason_of(self._test_id(nodeid)) is not None

    def reason_of(self, test_id: str) -> Optional[str]:
        """Return what to say instead of a test's failure, None where it counts."""
        return self._reasons.get(test_id) or self._reasons.get(family_of(test_id))

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
        inside = False
        if report.when == "call" and test_id in self._failed_inside:
            # The terminal turns the pass of a test whose subtests failed into a failure.
            self._failed_inside.remove(test_id)
            inside = report.passed
        return report.failed or inside


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

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many quarantined tests failed and which, and what is wrong."""
        try:
            for line in self._lines():
                terminalreporter.write_line(line, yellow=True)
        except Exception:
            pass  # there is nowhere left to say it

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
