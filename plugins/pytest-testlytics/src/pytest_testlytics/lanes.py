"""What each worker is doing, and the slots of the run file that say so.

There is one lane per worker, and one in all without workers. xdist tells which worker a report
comes from, but not which worker begins a test: that is guessed, and put right by the first report.
"""

from __future__ import annotations

import copy

import pytest

from pytest_testlytics.attempt import Lane
from pytest_testlytics.clock import Clock
from pytest_testlytics.runfile import RunFile
from pytest_testlytics.text import clean, quote


class Lanes:
    """All lanes of a session.

    Attributes:
        serial: The only lane, None where there are workers.
        strip_groups: Whether node ids end with the `@group` of `--dist loadgroup`.
        earliest: From when on tests can have begun that we hear of now; 0 where we hear of each at
            once.
        by_worker: The lane of each worker.
        freed: The lane whose attempt ended last, None before the first and where its worker is
            gone.
    """

    def __init__(
        self, run_file: RunFile, clock: Clock, *, with_workers: bool, strip_groups: bool
    ) -> None:
        """Begin with nothing running.

        Args:
            run_file: Where the slots are.
            clock: The session's.
            with_workers: Whether tests run in workers.
            strip_groups: Whether node ids end with the `@group` of `--dist loadgroup`.
        """
        self._file = run_file
        self._clock = clock
        self._now, self._epoch_s = clock.now, clock.epoch_s
        self.strip_groups = strip_groups
        # A busy controller may hear of a test only after it has ended.
        self.earliest = clock.opened if with_workers else 0.0
        self.by_worker: dict[str | None, Lane] = {}
        self._parked: dict[str, Lane] = {}
        self.freed: Lane | None = None
        self.serial = None if with_workers else self._add(None)

    def named(self, worker: str | None) -> Lane:
        """Return a worker's lane; a new worker gets one."""
        return self.by_worker.get(worker) or self._add(worker)

    def lost(self, worker: str) -> None:
        """Expect no further test in a worker's lane."""
        lane = self.named(worker)
        lane.alive = False
        if self.freed is lane:
            self.freed = None

    def guess(self) -> Lane | None:
        """Return the lane in which a test probably begins, None where all are busy."""
        freed = self.freed
        if freed is not None and freed.nodeid is None:
            return freed  # whoever finished last asks first for more
        for lane in self.by_worker.values():
            if lane.nodeid is None and lane.alive:
                return lane
        return None

    def claim(self, lane: Lane, nodeid: str) -> None:
        """Put a wrong guess right: exchange what two lanes are thought to have begun.

        Args:
            lane: That of the worker which turned out to run the test.
            nodeid: The test.
        """
        for other in self.by_worker.values():
            if other.nodeid == nodeid and not other.seen:
                mine = lane.take_out()
                lane.put_back(other.take_out())
                other.put_back(mine)
                self._show(lane)
                self._show(other)
                return
        lane.nodeid = None

    def side_by_side(self, nodeid: str) -> Lane:
        """Return the lane of a test in the only process.

        Plugins that run tests side by side in one process mix their reports: a test that is not
        the one that began last is parked beside the lane.
        """
        lane = self.by_worker[None]
        parked = self._parked.get(nodeid)
        if parked is not None:
            return parked
        if lane.nodeid is None or lane.nodeid == nodeid:
            return lane
        parked = self._parked[nodeid] = Lane(None, None)
        parked.tell()  # so that it is never taken for a plain pass, which ends in a slot
        return parked

    def park(self, lane: Lane) -> None:
        """Put what a lane is doing aside, so that it can begin another test."""
        parked = self._parked[str(lane.nodeid)] = copy.copy(lane)
        parked.slot = None
        parked.tell()
        lane.take_out()
        lane.nodeid = None

    def begin(self, lane: Lane, nodeid: str, location: object) -> None:
        """Begin an attempt and show it in the lane's slot."""
        now = self._now()
        lane.nodeid = nodeid
        lane.location = location
        lane.began, lane.last = self.earliest or now, now
        lane.started_us = started_us = int((self._epoch_s + now) * 1e6)
        test_id = self.test_id(nodeid) if self.strip_groups else nodeid
        lane.quoted_id = quoted_id = quote(test_id if test_id.isascii() else clean(test_id))
        slot = lane.slot
        if slot is not None:
            self._file.show(slot, quoted_id, started_us, lane.done)

    def begin_late(self, lane: Lane, report: pytest.TestReport) -> None:
        """Begin an attempt that is known only from its first report."""
        before = self.earliest or lane.last or self._clock.opened
        self.begin(lane, report.nodeid, report.location)
        lane.began, lane.last = before, 0.0
        self._clock.correct_start(lane, report)

    def end(self, lane: Lane) -> None:
        """End the attempt; the lane is free."""
        if lane.slot is None:
            del self._parked[str(lane.nodeid)]
            lane = self.by_worker[None]
        else:
            lane.nodeid = lane.location = lane.story = lane.setup_us = lane.call_us = None
        lane.done += 1
        if lane.alive:
            self.freed = lane

    @property
    def done(self) -> int:
        """How many attempts are complete."""
        return sum(lane.done for lane in self.by_worker.values())

    def busy(self) -> list[Lane]:
        """Return the lanes with an attempt that has begun and not ended."""
        lanes = [*self._parked.values(), *self.by_worker.values()]
        return [lane for lane in lanes if lane.nodeid is not None]

    def clear(self) -> None:
        """Show that nothing runs any more."""
        for lane in self.by_worker.values():
            lane.nodeid = None
            self._show(lane)

    @staticmethod
    def test_id(nodeid: str) -> str:
        """Return a node id without the group that `--dist loadgroup` appends."""
        group = nodeid.rfind("@")
        # An `@` inside of parameters or of a path belongs to the id.
        return nodeid[:group] if group > max(nodeid.rfind("]"), nodeid.rfind("::")) else nodeid

    def _add(self, worker: str | None) -> Lane:
        lane = self.by_worker[worker] = Lane(worker, self._file.add_slot(worker))
        return lane

    def _show(self, lane: Lane) -> None:
        slot = lane.slot
        if slot is None:
            return
        if lane.nodeid is None:
            self._file.show_idle(slot, lane.done)
        else:
            self._file.show(slot, lane.quoted_id, lane.started_us, lane.done)
