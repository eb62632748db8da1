"""Sessions of browsers: what a person's token opens, for some hours, without the token itself.

A session stands in for the header with the token, so that a page asks for access as the API does,
and a token that is revoked ends its sessions at once. They live in memory: after a restart people
sign in again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

COOKIE = "testlytics_session"
"""Name of the cookie."""

LIFE_S = 12 * 3600
"""How long a session lasts, in seconds."""

_MOST = 10_000


class Sessions:
    """The sessions of one service.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    def begin(self, token: str) -> str:
        """Begin a session and return what its cookie holds: opaque, not the token."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._held[_hash(name)] = self._clock() + LIFE_S, token
            while len(self._held) > _MOST:
                self._held.popitem(last=False)
        return name

    def token(self, name: str | None) -> str | None:
        """Return the token of a session; None where there is none, or it has ended."""
        if not name:
            return None
        with self._lock:
            ends, token = self._held.get(_hash(name), (0.0, ""))
            if self._clock() < ends:
                return token
            self._held.pop(_hash(name), None)
        return None

    def end(self, name: str | None) -> None:
        """End a session, where there is one."""
        with self._lock:
            self._held.pop(_hash(name or ""), None)


def _hash(name: str) -> bytes:
    # What is looked up is no secret any more: how long it takes tells nothing of the cookie.
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
