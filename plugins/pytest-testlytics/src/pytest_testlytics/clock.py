"""Time that tests cannot bend.

A test may freeze or mock every clock it can reach, and then the times in its reports are nonsense.
This keeps the real clocks, and says which of the reported times can be believed.
"""

from __future__ import annotations

import pytest

from pytest_testlytics import REAL_CLOCKS


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

    def believable_start(self, report: pytest.TestReport) -> float | None:
        """Return when a phase began, in seconds since the epoch.

        Returns:
            None where the report does not say (pytest before 8) or names an instant outside of
            this session, give or take a second for the clock of another machine.
        """
        start: object = getattr(report, "start", None)
        if isinstance(start, float):
            since_opened = start - self.epoch_s - self.opened
            if -1.0 <= since_opened <= self.now() - self.opened + 1.0:
                return start
        return None
