"""The hooks of every test: reports in, one line per attempt out.

Runs in the process that sees all reports: the controller of xdist, or the only one. A hook of ours
never raises: a report that cannot be taken in is left out, and counted.
"""

from __future__ import annotations

from typing import Iterable, Protocol

import pytest

from pytest_testlytics.attempt import FAILING, Lane, outcome_of
from pytest_testlytics.clock import Clock
from pytest_testlytics.extras import EXTRAS
from pytest_testlytics.failure import Failure, Limits, read_failure
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.passes import (
    Customs,
    LogReport,
    pass_writer,
    serial_hook,
    start_hook,
    workers_hook,
)
from pytest_testlytics.retries import HIDDEN, Hidden
from pytest_testlytics.runfile import RunFile
from pytest_testlytics.text import shorten, to_text

__all__ = ["Attempts", "Customs"]

_Plain = pytest.TestReport


class _Gateway(Protocol):
    @property
    def id(self) -> str: ...


class _Node(Protocol):
    """A worker, as the controller of xdist hands it out."""

    @property
    def gateway(self) -> _Gateway: ...


class Attempts:
    """Follows what every worker runs and writes each attempt when it ends.

    Attributes:
        left_out: How many times a hook failed.
        problem: Why the first of them did, one line; empty where none did.
    """

    def __init__(
        self, run_file: RunFile, lanes: Lanes, clock: Clock, limits: Limits, customs: Customs
    ) -> None:
        """Begin with an open file that holds its first line.

        Args:
            run_file: Where lines go.
            lanes: What each worker is doing.
            clock: The session's.
            limits: Bounds of what is kept of failures.
            customs: What to expect of reports.
        """
        self._file = run_file
        self._lanes = lanes
        self._serial = lanes.serial
        self._clock = clock
        self._now = clock.now
        self._limits = limits
        self._customs = customs
        self._counts: dict[str, int] | None = {} if customs.repeats else None
        self.left_out = 0
        self.problem = ""
        self.pytest_runtest_logstart = start_hook(run_file, lanes, clock, self)
        end = pass_writer(run_file, customs)
        self.pytest_runtest_logreport: LogReport = (
            workers_hook(lanes, clock, self, end)
            if lanes.serial is None
            else serial_hook(lanes.serial, clock, self, end)
        )

    def begin(self, nodeid: str, location: object) -> None:
        """Take in that a test begins."""
        lane = self._serial or self._lanes.guess()
        if lane is not None:
            if lane.nodeid is not None:
                self._leave(lane, nodeid)
            self._lanes.begin(lane, nodeid, location)

    def take(self, report: pytest.TestReport) -> None:
        """Take in a report of any kind."""
        lane = self._serial
        if lane is None or report.location is not lane.location:
            lane = self._lane_of(report)
        self._take_special(lane, report)

    def misread(self, error: Exception) -> None:
        """Count what could not be taken in."""
        self.left_out += 1
        self.problem = self.problem or f"{type(error).__name__}: {to_text(error)}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: _Node) -> None:
        """Give a new worker its slot."""
        try:
            self._lanes.named(node.gateway.id)
        except Exception as error:
            self.misread(error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: _Node) -> None:
        """Expect no further test from a worker."""
        try:
            self._lanes.lost(node.gateway.id)
        except Exception as error:
            self.misread(error)

    def finish(self, interrupted: Failure | None) -> int:
        """Write what has begun and not ended, and say that nothing runs any more.

        Args:
            interrupted: Why the session was cut short, None where it was not.

        Returns:
            How many attempts were written in all.
        """
        try:
            for lane in self._lanes.busy():
                self._end_early(lane, interrupted)
            self._lanes.clear()
        except Exception as error:
            self.misread(error)
        return self._lanes.done

    def _lane_of(self, report: pytest.TestReport) -> Lane:
        nodeid = report.nodeid
        if self._serial is not None:
            lane = self._lanes.side_by_side(nodeid)
        else:
            lane = self._lanes.named(_worker_of(report))
            if lane.nodeid == nodeid:
                return lane
            if lane.seen:
                self._leave(lane, nodeid)
            self._lanes.claim(lane, nodeid)
        if lane.nodeid is None:
            self._lanes.begin_late(lane, report)
        return lane

    def _leave(self, lane: Lane, nodeid: str) -> None:
        """Make room in a lane whose test did not end before `nodeid` began."""
        if not lane.seen:
            lane.nodeid = None
        elif self._serial is None or lane.nodeid == nodeid:
            self._close(lane, None)
        else:
            self._lanes.park(lane)

    def _take_special(self, lane: Lane, report: pytest.TestReport) -> None:
        phase: str = report.when
        if phase not in ("setup", "call", "teardown"):
            self._take_crash(lane, report)
        elif report.__class__ is not _Plain and hasattr(report, "context"):
            failed = report.outcome == "failed"
            lane.tell().take_subtest(read_failure(report, self._limits) if failed else None)
        else:
            self._take_phase(lane, report, phase)

    def _take_phase(self, lane: Lane, report: pytest.TestReport, phase: str) -> None:
        if phase == "setup" and lane.under_way:
            self._close(lane, None)  # this report has the number of the next
            self._lanes.begin_late(lane, report)
        took = self._duration(lane, report)
        if phase == "setup":
            lane.setup_us = took
            if self._serial is None:
                self._clock.correct_start(lane, report)
        elif phase == "call":
            lane.call_us = took
        else:
            self._take_carried(lane, report)
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            self._take_outcome(lane, report, phase)
        if phase == "teardown":
            if lane.call_us is None and (lane.story is None or lane.story.phase is None):
                story = lane.tell()
                story.outcome, story.phase, story.raw_outcome = "unknown", "call", "not reported"
            self._close(lane, took, report)

    def _take_carried(self, lane: Lane, report: pytest.TestReport) -> None:
        more = report.__dict__
        if HIDDEN in more:
            self._take_hidden(lane, more[HIDDEN], report)
        if more.get(EXTRAS):
            lane.tell().extras.update(more[EXTRAS])
        if report.user_properties:
            properties = _properties(report.user_properties, self._limits)
            lane.tell().extras["properties"] = properties

    def _take_outcome(self, lane: Lane, report: pytest.TestReport, phase: str) -> None:
        word: str = report.outcome
        again = word == self._customs.retry_word
        if again or word == "rerun":
            word = "failed"
        outcome = outcome_of(word, phase, expected_failure=hasattr(report, "wasxfail"))
        story = lane.tell()
        if outcome == "unknown":
            story.raw_outcome = to_text(word)
        story.take(outcome, phase, read_failure(report, self._limits))
        if again:
            # The next report is that of the last try, and its duration may sum up all of them.
            began = lane.began
            self._close(lane, None, report)
            self._lanes.begin(lane, report.nodeid, report.location)
            lane.began = began

    def _take_hidden(self, lane: Lane, hidden: list[Hidden], report: pytest.TestReport) -> None:
        """Take in what a retrying plugin kept to itself."""
        for entry in hidden:
            if entry["further"]:
                self._write_further(lane, entry, report)
                continue
            if entry["phase"] == "setup" and lane.setup_us is None:
                lane.setup_us = entry["duration_us"]
            elif entry["phase"] == "call" and lane.call_us is None:
                lane.call_us = entry["duration_us"]
            else:
                continue  # it was reported after all
            if entry["outcome"] != "passed":
                lane.tell().take(entry["outcome"], entry["phase"], entry["failure"])

    def _write_further(self, lane: Lane, entry: Hidden, report: pytest.TestReport) -> None:
        """Write a try that came before the one that the lane holds."""
        held = lane.take_out()
        lane.call_us = entry["duration_us"]
        lane.tell().take(entry["outcome"], "call", entry["failure"])
        self._close(lane, None, report)
        lane.put_back(held)
        lane.started_us += entry["duration_us"]

    def _take_crash(self, lane: Lane, report: pytest.TestReport) -> None:
        phase = self._fill_phase(lane)
        lane.tell().take("crashed", phase, read_failure(report, self._limits))
        self._close(lane, None, report)

    def _duration(self, lane: Lane, report: pytest.TestReport) -> int | None:
        """Return a phase's duration in microseconds.

        A duration that is impossible comes from a clock that the test froze; then it is our own
        time since the report before, None where there was none.
        """
        now = self._now()
        trusted = self._serial is not None or self._clock.trusts(report)
        earliest = lane.began if trusted else lane.last
        took = lane.elapsed_us(now)
        if 0.0 < report.duration <= now - earliest:
            took = int(report.duration * 1e6)
        else:
            lane.tell().clock_mocked = True
        lane.last = now
        return took

    def _fill_phase(self, lane: Lane) -> str | None:
        """Give the phase that was cut off the time it had; return its name, None if unknown."""
        elapsed = lane.elapsed_us(self._now())
        if self._customs.late and not lane.seen:
            lane.call_us = elapsed
            return None
        if lane.setup_us is None:
            lane.setup_us = elapsed
            return "setup"
        if lane.call_us is None:
            lane.call_us = elapsed
            return "call"
        return "teardown"

    def _end_early(self, lane: Lane, interrupted: Failure | None) -> None:
        if not lane.seen and interrupted is None:
            return
        story = lane.story
        failed = story is not None and story.outcome in FAILING
        if not failed and (interrupted is not None or lane.call_us is None):
            phase = self._fill_phase(lane)
            story = lane.tell()
            if story.phase is None:
                story.outcome, story.phase, story.failure = "interrupted", phase, interrupted or {}
        self._close(lane, None)

    def _close(
        self, lane: Lane, teardown_us: int | None, report: pytest.TestReport | None = None
    ) -> None:
        """Write an attempt and free its lane."""
        nodeid = lane.nodeid
        lane.attempt = lane.attempt + 1 if lane.previous == nodeid else 1
        if report is not None and "rerun" in report.__dict__:
            lane.attempt = max(lane.attempt, report.__dict__["rerun"] + 1)
        if self._counts is not None:
            lane.attempt = self._counts[str(nodeid)] = self._counts.get(str(nodeid), 0) + 1
        lane.previous = nodeid
        self._file.append(lane.line(teardown_us))
        self._lanes.end(lane)


def _worker_of(report: pytest.TestReport) -> str | None:
    """Return who ran a test; None for a report that a plugin made up in the controller."""
    worker: str | None = report.__dict__.get("worker_id")
    if worker is None:
        # Of a worker that died, xdist itself reports.
        node: _Node | None = report.__dict__.get("node")
        worker = node.gateway.id if node is not None else None
    return worker


def _properties(recorded: Iterable[tuple[object, object]], limits: Limits) -> dict[str, str]:
    properties: dict[str, str] = {}
    for entry in recorded:
        try:
            name, value = entry
        except (TypeError, ValueError):
            continue
        properties[to_text(name)] = shorten(to_text(value), limits.message_chars)
    return properties
