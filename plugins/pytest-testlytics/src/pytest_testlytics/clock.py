"""Time that tests cannot bend.

A test may freeze or mock every clock it can reach, and then the times in its reports are nonsense.
This keeps the real clocks, and says which of the reported times can be believed.
"""

from __future__ import annotations

import pytest

from pytest_testlytics import REAL_CLOCKS
from pytest_testlytics.attempt import Lane


class Clock:
    """A clock that began when the session did.

    Attributes:
        now: Returns seconds of the real performance counter.
        opened: When the session began, in these seconds.
        epoch_s: What turns these seconds into seconds since the epoch.
    """

    def __init__(self) -> None:
        wall, self.now = REAL_CLOCKS
        self.opened = self.now()
        self.epoch_s = wall() - self.opened

    def wall_us(self, instant: float) -> int:
        """Turn an instant of the performance counter into microseconds since the epoch."""
        return int((self.epoch_s + instant) * 1e6)

    def trusts(self, report: pytest.TestReport) -> bool:
        """Tell whether the clock of whoever ran a phase can be believed.

        Returns:
            False where the phase began outside of this session, give or take a second for the
            clock of another machine. Before pytest 8 a report does not say when it began.
        """
        start: float | None = report.__dict__.get("start")
        if start is None:
            return True
        since_opened = start - self.epoch_s - self.opened
        return -1.0 <= since_opened <= self.now() - self.opened + 1.0

    def correct_start(self, lane: Lane, report: pytest.TestReport) -> None:
        """Take over when an attempt began from whoever ran it, where that can be believed."""
        start: float | None = report.__dict__.get("start")
        if start is not None and self.trusts(report):
            lane.started_us = int(start * 1e6)
