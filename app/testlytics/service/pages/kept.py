"""Pages that were made, kept for as long as nothing new came."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

DEAR_S = 0.1
"""A page that takes so much of a processor is shown for `OLD_S` although something new came."""

OLD_S = 10.0
"""How long, in seconds."""

_LONGEST_S = 300.0
_BYTES = 64 << 20


class Made(NamedTuple):
    """A page as it was made.

    Attributes:
        body: The answer.
        media: Its type.
        version: What the store held then.
        cost_s: Processor time that it took.
        at: When, in seconds of the clock.
    """

    body: bytes
    media: str
    version: str
    cost_s: float
    at: float


class Kept:
    """The newest pages, of bounded size.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, Made] = OrderedDict()
        self._bytes = 0
        self._renewed: set[Hashable] = set()
        self._warm: set[str] = set()

    def now(self) -> float:
        """Return what the clock says."""
        return self._clock()

    def find(self, key: Hashable, version: str) -> tuple[Made | None, bool]:
        """Return a page that may be shown, and whether the caller is to make it anew behind it.

        Args:
            key: Names the page and whom it is for.
            version: What the store holds now.
        """
        with self._lock:
            made = self._made.get(key)
            if made is None or self._clock() - made.at > _LONGEST_S:
                return None, False
            self._made.move_to_end(key)
            if made.version == version:
                return made, False
            if made.cost_s < DEAR_S or self._clock() - made.at > 6 * OLD_S:
                return None, False
            renew = self._clock() - made.at > OLD_S and key not in self._renewed
            if renew:
                self._renewed.add(key)
            return made, renew

    def keep(self, key: Hashable, made: Made, kind: str) -> None:
        """Keep a page.

        Args:
            key: Names the page and whom it is for.
            made: The page.
            kind: Which of all pages it is. What the first one took is no measure: with it libraries
                are loaded.
        """
        with self._lock:
            if kind not in self._warm:
                self._warm.add(kind)
                made = made._replace(cost_s=0.0)
            self._forget(key)
            self._made[key] = made
            self._bytes += len(made.body)
            while self._bytes > _BYTES and len(self._made) > 1:
                self._forget(next(iter(self._made)))
            self._renewed.discard(key)

    def gave_up(self, key: Hashable) -> None:
        """Note that a page could not be made anew."""
        with self._lock:
            self._renewed.discard(key)

    def _forget(self, key: Hashable) -> None:
        old = self._made.pop(key, None)
        self._bytes -= len(old.body) if old else 0
