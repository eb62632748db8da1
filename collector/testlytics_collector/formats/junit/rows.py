"""Attempts on their way out: numbered per test, counted, handed to the sink in batches."""

from __future__ import annotations

from testlytics_collector.formats.interface import Sink
from testlytics_collector.records import Attempt, Outcome

LOOK_BACK = 256
"""How far a hidden rerun may stand before its verdict: one attempt per parallel worker lies
between them at most."""

_FAST_IDS = 150_000
_BUCKETS = 1 << 14


class Seen:
    """Which test ids a document held so far, each with the suite that it stood in.

    A dictionary of a million tests costs 100 MB. Up to a size it is the faster one; then all of it
    moves into buckets of 8 bytes a test: 5 of the id's hash (with the bucket's number 54 bits), 3
    of the suite's.
    """

    __slots__ = ("_buckets", "_few", "count")

    def __init__(self) -> None:
        self.count = 0
        self._few: dict[int, bytes] | None = {}
        self._buckets: list[bytearray] = []

    def suite_of(self, test_id: str, suite: bytes) -> bytes | None:
        """Look a test up, and remember it where it is new.

        Args:
            test_id: The test's id.
            suite: Three bytes that stand for the suite it is in.

        Returns:
            The suite in which the test was first seen, or None where it is new.
        """
        key = hash(test_id)
        few = self._few
        if few is not None:
            known = few.get(key)
            if known is None:
                few[key] = suite
                self.count += 1
                if self.count >= _FAST_IDS:
                    self._spill(few)
            return known
        return self._in_bucket(key, suite)

    def _in_bucket(self, key: int, suite: bytes) -> bytes | None:
        bucket = self._buckets[key & (_BUCKETS - 1)]
        entry = (key >> 14 & 0xFFFFFFFFFF).to_bytes(5, "little")
        at = bucket.find(entry)
        while at & 7 and at > 0:
            at = bucket.find(entry, at + 1)
        if at >= 0:
            return bytes(bucket[at + 5 : at + 8])
        bucket += entry + suite
        self.count += 1
        return None

    def _spill(self, few: dict[int, bytes]) -> None:
        self._few = None
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self.count = 0
        for key, suite in few.items():
            self._in_bucket(key, suite)


class Rows:
    """The attempts of one document.

    Attributes:
        first: Number of the first attempt of a test.
        seen: The test ids so far.
        written: How many attempts went out.
    """

    __slots__ = (
        "_barrier",
        "_full",
        "_keep",
        "_repeats",
        "_rows",
        "_sink",
        "first",
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
        self.seen = Seen()
        self.written = 0
        self._sink = sink
        self._full = batch
        self._keep = 0
        self._barrier = 0
        self._rows: list[Attempt] = []
        self._repeats: dict[int, int] = {}

    def put(self, attempt: Attempt) -> None:
        """Take one attempt."""
        rows = self._rows
        rows.append(attempt)
        if len(rows) >= self._full:
            self.flush(self._keep)

    def flush(self, keep: int = 0) -> None:
        """Hand out what is there.

        Args:
            keep: How many of the latest attempts may still change and stay.
        """
        rows = self._rows
        out, self._rows = (rows[:-keep], rows[-keep:]) if keep else (rows, [])
        self._barrier = max(self._barrier - len(out), 0)
        if out:
            self.written += len(out)
            self._sink.write(out)

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
        if may_hide and not self._keep:
            self._keep = LOOK_BACK
            self._full += LOOK_BACK
        self._barrier = len(self._rows)

    def hide(self, test_id: str) -> bool:
        """Turn the latest attempt of a test, if it passed, into one of unknown outcome.

        Returns:
            Whether there was one within reach.
        """
        rows = self._rows
        for at in range(len(rows) - 1, max(len(rows) - LOOK_BACK, self._barrier) - 1, -1):
            row = rows[at]
            if row[0] == test_id:
                if row[2] is not Outcome.PASSED:
                    return False
                rows[at] = row._replace(outcome=Outcome.UNKNOWN)
                return True
        return False
