"""Follows attempts where some of them are special: their tests are quarantined or burnt in.

Used only in sessions with a quarantine or a burn-in.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Tuple

import pytest

from pytest_testlytics.attempt import Lane
from pytest_testlytics.attempts import Attempts, Customs
from pytest_testlytics.clock import Clock
from pytest_testlytics.defused import REAL_OUTCOME, as_it_was
from pytest_testlytics.failure import Limits
from pytest_testlytics.lanes import Lanes
from pytest_testlytics.runfile import RunFile

Mark = Tuple[str, Callable[[str], bool]]
"""A key of an attempt's line, and what tells by a node id whether it is there, and true."""

_MARKING = (
    ("quarantined", "testlytics-quarantine"),
    ("burn_in", "testlytics-burn-in-summary"),
)


def attempts_of(config: pytest.Config) -> Callable[..., Attempts]:
    """Return what makes the follower of attempts that a session needs."""
    plugins = [(key, config.pluginmanager.get_plugin(name)) for key, name in _MARKING]
    marks = tuple((key, plugin.covers) for key, plugin in plugins if plugin is not None)
    return partial(MarkedAttempts, marks) if marks else Attempts


class MarkedAttempts(Attempts):
    """Writes what really happened, and why it did not count."""

    def __init__(
        self,
        marks: Tuple[Mark, ...],
        run_file: RunFile,
        lanes: Lanes,
        clock: Clock,
        limits: Limits,
        customs: Customs,
    ) -> None:
        # A plain pass would be written without asking for marks.
        super().__init__(run_file, lanes, clock, limits, customs._replace(carried=True))
        self._marks = marks

    def _take_special(self, lane: Lane, report: pytest.TestReport) -> None:
        if REAL_OUTCOME in report.__dict__:
            report = as_it_was(report)
        super()._take_special(lane, report)

    def _close(
        self, lane: Lane, teardown_us: int | None, report: pytest.TestReport | None = None
    ) -> None:
        for key, covers in self._marks:
            if covers(str(lane.nodeid)):
                lane.tell().extras[key] = True
        super()._close(lane, teardown_us, report)
