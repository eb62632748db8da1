"""Attempts on their way out: numbered per test, counted, handed to the sink in batches."""

from __future__ import annotations

from testlytics_collector.formats.interface import Sink
from testlytics_collector.formats.junit.seen import Seen
from testlytics_collector.records import Attempt, Outcome

LOOK_BACK = 128
"""How far a hidden rerun may stand before its verdict: one attempt per parallel worker lies
between them at most."""


class Rows:
    """The attempts of one document.

    Attributes:
        first: Number of the first attempt of a test.
        pending: Attempts that did not go out yet. Whoever appends to it calls `settle` at times.
        seen: The test ids so far.
        written: How many attempts went out.
    """

    __slots__ = (
        "_barrier",
        "_batch",
        "_keep",
        "_repeats",
        "_sink",
        "first",
        "pending",
        "seen",
        "written",
    )

    def __init__(self, sink: Sink, batch: int, first: int) -> None:
        """Begin.

        Args:
            sink: Where attempts go.
            batch: How many at once.
            first: Number of the first attempt of a test.
        """
        self.first = first
        self.pending: list[Attempt] = []
        self.seen = Seen()
        self.written = 0
        self._sink = sink
        self._batch = batch
        self._keep = 0
        self._barrier = 0
        self._repeats: dict[int, int] = {}

    def settle(self, *, heavy: bool) -> None:
        """Hand out what has come to full batches.

        Args:
            heavy: Whether to hand out unfinished batches too, because the texts in them are long.
        """
        if heavy or len(self.pending) - self._keep >= self._batch:
            ready = len(self.pending) - self._keep
            self._hand_out(ready if heavy else ready // self._batch * self._batch)

    def finish(self) -> None:
        """Hand out the rest."""
        self._hand_out(len(self.pending))

    def _hand_out(self, ready: int) -> None:
        pending = self.pending
        for start in range(0, ready, self._batch):
            self._sink.write(pending[start : min(start + self._batch, ready)])
        if ready > 0:
            del pending[:ready]
            self.written += ready
            self._barrier = max(self._barrier - ready, 0)

    def next_number(self, test_id: str) -> int:
        """Number one more attempt of a test that was seen before."""
        key = hash(test_id)
        number = self._repeats.get(key, self.first) + 1
        self._repeats[key] = number
        return number

    def loose_number(self, name: str) -> int:
        """Number one more attempt of what is no test: a failure outside of any testcase."""
        key = hash(("loose", name))
        number = self._repeats.get(key, self.first - 1) + 1
        self._repeats[key] = number
        return number

    def begin_suite(self, *, may_hide: bool) -> None:
        """Note that a suite begins: no attempt before it is changed any more.

        Args:
            may_hide: Whether `hide` will be called.
        """
        self._keep = LOOK_BACK if may_hide else 0
        self._barrier = len(self.pending)

    def hide(self, test_id: str) -> bool:
        """Turn the latest attempt of a test, if it passed, into one of unknown outcome.

        Returns:
            Whether there was one within reach.
        """
        rows = self.pending
        for at in range(len(rows) - 1, max(len(rows) - LOOK_BACK, self._barrier) - 1, -1):
            row = rows[at]
            if row[0] == test_id:
                if row[2] is not Outcome.PASSED:
                    return False
                rows[at] = row._replace(outcome=Outcome.UNKNOWN)
                return True
        return False
