"""Counts repetitions and says what they prove."""

from __future__ import annotations

import math
from typing import Dict, Tuple

import pytest

from pytest_testlytics.defused import REAL_OUTCOME, is_skip
from pytest_testlytics.text import to_text

REPETITION = "testlytics_repetition"
"""The attribute of a report that says which run of its test it is of, first = 1."""

_MOST_LINES = 30
_DOUBT = 0.05


def upper_bound(runs: int) -> float:
    """Return the largest flake rate under which so many passes in a row are not surprising.

    The exact binomial bound at 95 %: a test that fails more often than this had less than a chance
    of 5 % to pass every time.

    Args:
        runs: How many there were, at least 1; none failed.
    """
    return 1.0 - float(_DOUBT ** (1.0 / runs))


def percent(share: float) -> str:
    """Write a share with at most one decimal, never rounded down."""
    return f"{math.ceil(share * 1_000 - 1e-9) / 10:g} %"


class _Tally:
    """Runs of one test: each named by worker and number."""

    def __init__(self) -> None:
        self.newest: Tuple[object, int] = (None, 0)
        self.ended: set[Tuple[object, int]] = set()
        self.failed: set[Tuple[object, int]] = set()
        self.skipped: set[Tuple[object, int]] = set()
        self.expected: set[Tuple[object, int]] = set()
        """Failed as `xfail` said."""

    @property
    def runs(self) -> int:
        # A run that was interrupted has proved nothing, unless it had failed before.
        return len((self.ended | self.failed) - self.skipped)

    @property
    def xfailed(self) -> int:
        return len((self.ended & self.expected) - self.failed)

    @property
    def is_flaky(self) -> bool:
        return 0 < len(self.failed) < self.runs or 0 < self.xfailed < self.runs

    def dying(self) -> Tuple[object, int]:
        """Return the run that was going on when the worker died."""
        worker, number = self.newest
        return (worker, number + 1) if self.newest in self.ended else self.newest


class BurnInSummary:
    """Hears all reports; in the controller, or in the only process."""

    def __init__(self) -> None:
        self._tallies: Dict[str, _Tally] = {}
        self.trouble = ""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count."""
        try:
            self._count(report)
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {to_text(error)}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was repeated, what failed, and what passing proves."""
        try:
            for line in self.lines():
                terminalreporter.write_line(line, yellow="failed" in line)
        except Exception:
            pass  # there is nowhere left to say it

    def covers(self, nodeid: str) -> bool:
        """Tell whether a test is one of those that are repeated."""
        return nodeid in self._tallies

    def lines(self) -> list[str]:
        """Return the lines for the terminal: in all, then per test, failed ones first."""
        tallies = {test: tally for test, tally in self._tallies.items() if tally.runs}
        runs = sum(tally.runs for tally in tallies.values())
        failed = sum(len(tally.failed) for tally in tallies.values())
        xfailed = sum(tally.xfailed for tally in tallies.values())
        if not runs:
            return ["testlytics: burn-in: no new or changed test ran"]
        tests = f"{len(tallies)} test{'s' if len(tallies) > 1 else ''}"
        lines = [f"testlytics: burn-in: {tests}, {_verdict(runs, failed, xfailed)}"]
        ordered = sorted(tallies.items(), key=_most_urgent)
        for test, tally in ordered[:_MOST_LINES]:
            flaky = "flaky, " if tally.is_flaky else ""
            verdict = _verdict(tally.runs, len(tally.failed), tally.xfailed)
            lines.append(f"  {to_text(test)}: {flaky}{verdict}")
        if len(ordered) > _MOST_LINES:
            lines.append(f"  … {len(ordered) - _MOST_LINES} more")
        if self.trouble:
            lines.append(f"testlytics: burn-in: a report could not be read ({self.trouble})")
        return lines

    def _count(self, report: pytest.TestReport) -> None:
        more = report.__dict__
        number = more.get(REPETITION)
        if number is None:
            tally = self._tallies.get(report.nodeid)
            if tally is None or report.when in ("setup", "call", "teardown"):
                return
            # The worker died; xdist's report of it does not know which run it was.
            run = tally.dying()
        else:
            tally = self._tallies.setdefault(report.nodeid, _Tally())
            run = tally.newest = (more.get("worker_id"), number)
            if report.when == "teardown":
                tally.ended.add(run)
        if REAL_OUTCOME in more or report.outcome not in ("passed", "skipped"):
            tally.failed.add(run)
            tally.skipped.discard(run)
        elif run not in tally.failed and is_skip(report):
            tally.skipped.add(run)
        elif report.skipped and "wasxfail" in more and "context" not in more:
            tally.expected.add(run)


def _most_urgent(pair: Tuple[str, _Tally]) -> Tuple[bool, bool, str]:
    test, tally = pair
    return not tally.failed, not tally.is_flaky, test


def _verdict(runs: int, failed: int, xfailed: int) -> str:
    if failed:
        return f"failed {failed} of {runs}"
    if xfailed:
        # No bound: what fails as expected has not passed.
        passed = f"passed {runs - xfailed}, " if runs > xfailed else ""
        return f"{passed}xfailed {xfailed} of {runs}"
    return f"passed {runs} of {runs}: fails at most {percent(upper_bound(runs))} of the time (95 %)"
