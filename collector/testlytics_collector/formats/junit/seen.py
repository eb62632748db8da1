"""Which tests a document held so far, in little memory.

A dictionary of a million tests costs 200 MB. But tests come class by class: only the latest tests
are kept in one. Of older ones the class is known as a whole, with hashes of its tests of 8 bytes
each. Only where a class comes again its tests are asked for one by one, in buckets of hashes.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

MOST_OPEN = 16_000
"""Tests that are kept with their ids."""

_BUCKETS = 1 << 14
_ALWAYS_BUCKETS = 0xFFFFFF


class HashMap:
    """A map from hashes to three bytes, at 8 bytes an entry.

    An entry holds 40 bits of the hash, its bucket another 14: two different hashes are taken for
    the same one in one of 36,000 documents of a million tests.
    """

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        self.count = 0
        self._buckets: list[bytearray | None] = [None] * _BUCKETS

    def get(self, key: int) -> bytes | None:
        """Look a hash up."""
        bucket = self._buckets[key & (_BUCKETS - 1)]
        return None if bucket is None else self._find(bucket, _entry(key))

    def get_or_put(self, key: int, value: bytes) -> bytes | None:
        """Look a hash up, and put a value where it is new.

        Returns:
            The value that was there, or None.
        """
        entry = _entry(key)
        bucket = self._buckets[key & (_BUCKETS - 1)]
        if bucket is None:
            self._buckets[key & (_BUCKETS - 1)] = bytearray(entry + value)
        else:
            known = self._find(bucket, entry)
            if known is not None:
                return known
            bucket += entry + value
        self.count += 1
        return None

    @staticmethod
    def _find(bucket: bytearray, entry: bytes) -> bytes | None:
        at = bucket.find(entry)
        while at > 0 and at & 7:
            at = bucket.find(entry, at + 1)
        return bytes(bucket[at + 5 : at + 8]) if at >= 0 else None


def _entry(key: int) -> bytes:
    return (key >> 14 & 0xFFFFFFFFFF).to_bytes(5, "little")


class Seen:
    """The tests of one document, each with the suite (three bytes) it was first seen in.

    Attributes:
        window: The latest tests and their suites. A caller may look and add there, for tests of the
            class that `enter` was called for, until the next `put_away`.
    """

    __slots__ = (
        "_class",
        "_classes",
        "_ends",
        "_hashes",
        "_in_buckets",
        "_moved",
        "_runs",
        "_suites",
        "_tests",
        "window",
    )

    def __init__(self) -> None:
        self.window: dict[str, bytes] = {}
        # Runs of tests of one class in the window: the class, and where the run starts.
        self._runs: list[tuple[str, int]] = []
        self._class: str | None = None
        # Classes that were put away, by number: where their hashes end (they start where those of
        # the one before end), their suite, and which of them are in the buckets instead.
        self._classes = HashMap()
        self._hashes = array("q")
        self._ends = array("q")
        self._suites = bytearray()
        self._in_buckets: set[int] = set()
        self._moved = 0
        self._tests = HashMap()

    @property
    def count(self) -> int:
        """How many different tests there were."""
        return len(self.window) + len(self._hashes) - self._moved + self._tests.count

    def enter(self, prefix: str | None) -> bool:
        """Note that tests of one class follow.

        Args:
            prefix: What stands before their names, None where it differs from test to test.

        Returns:
            Whether the class was put away before: what is not in the window must be looked for with
            `older` then.
        """
        self._class = prefix
        if prefix is None:
            return True
        if self._classes.count and self._classes.get(hash(prefix)) is not None:
            self._class = None
            self._move(prefix)
            return True
        run = (prefix, len(self.window))
        if self._runs and self._runs[-1][1] == run[1]:
            self._runs[-1] = run
        else:
            self._runs.append(run)
        return False

    def suite_of(self, test_id: str, prefix: str, suite: bytes) -> bytes | None:
        """Look a test up, and remember it where it is new.

        Args:
            test_id: Its id.
            prefix: What stands before its name in the id.
            suite: The suite it is in.

        Returns:
            The suite in which the test was first seen, or None where it is new.
        """
        known = self.window.get(test_id)
        if known is not None:
            return known
        if prefix == self._class:
            self.window[test_id] = suite
            return None
        self._move(prefix)
        return self._tests.get_or_put(hash(test_id), suite)

    def older(self, test_id: str, suite: bytes) -> bytes | None:
        """Look up, as `suite_of` does, a test that is not in the window and of a class put away."""
        return self._tests.get_or_put(hash(test_id), suite)

    def put_away(self) -> bool:
        """Empty the window where it is large; tell whether that was done."""
        window = self.window
        if len(window) < MOST_OPEN:
            return False
        ids = list(window)
        runs = [*self._runs, ("", len(ids))]
        for (prefix, start), (_, end) in pairwise(runs):
            if start < end:
                self._keep(prefix, ids[start:end])
        window.clear()
        self._runs.clear()
        self._class = None
        return True

    def _keep(self, prefix: str, ids: list[str]) -> None:
        window, number = self.window, min(self._classes.count, _ALWAYS_BUCKETS)
        suite = window[ids[0]]
        known = self._classes.get_or_put(hash(prefix), number.to_bytes(3, "little"))
        if known is None and number < _ALWAYS_BUCKETS:
            self._hashes.extend(map(hash, ids))
            self._ends.append(len(self._hashes))
            self._suites += suite
            return
        self._move(prefix)
        for test_id in ids:
            self._tests.get_or_put(hash(test_id), window[test_id])

    def _move(self, prefix: str) -> None:
        """Put the tests of a class that comes again into the buckets."""
        number = min(self._classes.count, _ALWAYS_BUCKETS)
        found = self._classes.get_or_put(hash(prefix), number.to_bytes(3, "little"))
        if found is not None:
            number = int.from_bytes(found, "little")
        elif number < _ALWAYS_BUCKETS:
            self._ends.append(len(self._hashes))
            self._suites += b"\0\0\0"
        if number == _ALWAYS_BUCKETS or number in self._in_buckets:
            return
        start = self._ends[number - 1] if number else 0
        suite = bytes(self._suites[3 * number : 3 * number + 3])
        for key in self._hashes[start : self._ends[number]]:
            self._tests.get_or_put(key, suite)
        self._moved += self._ends[number] - start
        self._in_buckets.add(number)
