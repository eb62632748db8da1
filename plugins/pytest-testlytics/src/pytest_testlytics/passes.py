"""The quick way for what most reports say: a test begins, and each of its phases passes.

It runs between every two tests of somebody else's suite, so its two hooks are closures over what
they need and call as little as possible. Whatever is not quite usual goes the slow way, which
knows all cases; what the quick way does is exactly what the slow one would.
"""

from __future__ import annotations

import os
from typing import Callable, NamedTuple, Protocol

import pytest

from pytest_testlytics.attempt import Lane
from pytest_testlytics.clock import Clock
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.runfile import MOST_ID_BYTES, PWRITE, RunFile
from pytest_testlytics.text import quote

LogStart = Callable[[str, object], None]
LogReport = Callable[[pytest.TestReport], None]
End = Callable[[Lane, pytest.TestReport], bool]


class Customs(NamedTuple):
    """How other plugins and options shape the reports of this session.

    Attributes:
        repeats: Whether a test may run again without being retried, so that all node ids have to
            be remembered.
        retry_word: The outcome with which pytest-retry says "failed, and is tried again", None
            where it is not loaded.
        late: Whether the reports of an attempt may come all together at its end, as those of
            pytest-rerunfailures do.
        carried: Whether the report of a teardown may carry what only the process of the test
            knows.
    """

    repeats: bool
    retry_word: str | None
    late: bool
    carried: bool


class Slow(Protocol):
    """The slow way."""

    def begin(self, nodeid: str, location: object) -> None:
        """Take in that a test begins."""

    def take(self, report: pytest.TestReport) -> None:
        """Take in any report."""

    def misread(self, error: Exception) -> None:
        """Count what could not be taken in."""


def start_hook(run_file: RunFile, lanes: Lanes, clock: Clock, slow: Slow) -> LogStart:
    """Return the hook that hears of the beginning of each test."""
    serial, strip_groups, earliest = lanes.serial, lanes.strip_groups, lanes.earliest
    now, epoch_s = clock.now, clock.epoch_s
    begin, quoted, most, pwrite = slow.begin, quote, MOST_ID_BYTES, PWRITE

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(nodeid: str, location: object) -> None:
        """Say in the file that a test begins."""
        try:
            lane = serial or lanes.freed
            fd = run_file.fd
            if lane is None or lane.nodeid is not None or fd is None or not nodeid.isascii():
                begin(nodeid, location)
                return
            slot = lane.slot
            quoted_id = quoted(lanes.test_id(nodeid) if strip_groups else nodeid)
            if slot is None or pwrite is None or len(quoted_id) > most:
                begin(nodeid, location)
                return
            lane.nodeid, lane.location, lane.quoted_id = nodeid, location, quoted_id
            lane.last = began = now()
            lane.began = earliest or began
            lane.started_us = started_us = int((epoch_s + began) * 1e6)
            text = f'{slot.head}{quoted_id},"started_us":{started_us},"done":{lane.done}}}'
            size = len(text)
            if size < slot.shown:
                text = text.ljust(slot.shown)
            slot.shown = size
            pwrite(fd, text.encode(), slot.offset)
        except OSError as error:
            run_file.fail(error)
        except Exception as error:
            slow.misread(error)

    return pytest_runtest_logstart


def serial_hook(lane: Lane, clock: Clock, slow: Slow, end: End) -> LogReport:
    """Return the hook that hears of the end of each phase, where tests run in this process."""
    now, take, plain = clock.now, slow.take, pytest.TestReport

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        """Take in the report of one phase; write the attempt with the last."""
        try:
            at, duration = now(), report.duration
            if (
                report.location is lane.location
                and report.outcome == "passed"
                and report.__class__ is plain
                and "wasxfail" not in report.__dict__
                and 0.0 < duration <= at - lane.began
            ):
                phase: str = report.when
                if phase == "call":
                    lane.call_us, lane.last = int(duration * 1e6), at
                    return
                if phase == "setup":
                    if lane.setup_us is None:
                        lane.setup_us, lane.last = int(duration * 1e6), at
                        return
                elif phase == "teardown" and end(lane, report):
                    return
            take(report)
        except Exception as error:
            slow.misread(error)

    return pytest_runtest_logreport


def workers_hook(lanes: Lanes, clock: Clock, slow: Slow, end: End) -> LogReport:
    """Return the hook that hears of the end of each phase, where tests run in workers."""
    now, take, plain, workers = clock.now, slow.take, pytest.TestReport, lanes.by_worker
    epoch_s, opened = clock.epoch_s, clock.opened
    first_s, second_later_s = epoch_s + opened - 1.0, epoch_s + 1.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        """Take in the report of one phase; write the attempt with the last."""
        try:
            at, more = now(), report.__dict__
            lane = workers.get(more.get("worker_id"))
            duration, start = more["duration"], more.get("start")
            if (
                lane is not None
                and more["outcome"] == "passed"
                and report.__class__ is plain
                and "wasxfail" not in more
                and (start is None or first_s <= start <= at + second_later_s)
                and 0.0 < duration <= at - opened
            ):
                phase = more["when"]
                if phase == "setup":
                    if lane.setup_us is None and lane.nodeid == report.nodeid:
                        lane.setup_us, lane.last = int(duration * 1e6), at
                        lane.location = more["location"]
                        lane.started_us = int(start * 1e6) if start else lane.started_us
                        return
                # Compared much sooner than a node id, which the set-up was right about.
                elif more["location"] == lane.location:
                    if phase == "call":
                        lane.call_us, lane.last = int(duration * 1e6), at
                        return
                    if phase == "teardown" and end(lane, report):
                        lanes.freed = lane
                        return
            take(report)
        except Exception as error:
            slow.misread(error)

    return pytest_runtest_logreport


def pass_writer(run_file: RunFile, customs: Customs) -> End:
    """Return what writes an attempt that passed, and says False where it may not be one."""
    never, late, write = customs.repeats or customs.carried, customs.late, os.write

    def end(lane: Lane, report: pytest.TestReport) -> bool:
        setup_us, call_us, fd = lane.setup_us, lane.call_us, run_file.fd
        if (
            setup_us is None
            or call_us is None
            or lane.story is not None
            or report.user_properties
            or fd is None
            or never
            or (late and report.__dict__.get("rerun"))
        ):
            return False
        nodeid = lane.nodeid
        lane.attempt = attempt = lane.attempt + 1 if lane.previous == nodeid else 1
        lane.previous = nodeid
        line = (
            f'{{"type":"attempt","test_id":{lane.quoted_id},"attempt":{attempt},'
            f'"outcome":"passed","started_us":{lane.started_us},"setup_us":{setup_us},'
            f'"call_us":{call_us},"teardown_us":{int(report.duration * 1e6)}{lane.suffix}}}\n'
        ).encode()
        lane.done += 1
        lane.nodeid = lane.location = lane.setup_us = lane.call_us = None
        try:
            written = write(fd, line)
        except OSError as error:
            run_file.fail(error)
        else:
            if written != len(line):
                run_file.append(line, written)
        return True

    return end
