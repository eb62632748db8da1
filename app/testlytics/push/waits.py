"""How long is waited before a next try."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

TRIES = 5
"""How often one file is sent in a call, at most."""

FIRST_S = 1.0
LONGEST_S = 30.0
MOST_S = 3600.0
"""How long a service can ask to be left alone, at most, in seconds."""


class World(NamedTuple):
    """What differs from call to call though nothing else does.

    Attributes:
        wall: Seconds since the epoch.
        steady: Seconds that never go back.
        sleep: Waits so many seconds.
        draw: A number from 0 up to, but not including, 1.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    draw: Callable[[], float] = random.random


def backoff_s(tried: int, draw: Callable[[], float]) -> float:
    """Return the pause after some tries: exponential, with full jitter.

    Clients that failed together must not come back together, so the pause is drawn from all of
    0 to the longest (Brooker, "Exponential Backoff And Jitter", 2015).

    Args:
        tried: How many tries failed, at least 1.
        draw: Gives a number from 0 to 1.

    Returns:
        Seconds.
    """
    return draw() * min(LONGEST_S, FIRST_S * 2.0 ** (tried - 1))


def retry_after_s(text: str | None, now: float) -> float | None:
    """Read a header `Retry-After` (RFC 9110, section 10.2.3).

    Args:
        text: Seconds or an HTTP date; None where there is no such header.
        now: Seconds since the epoch.

    Returns:
        Seconds from now, 0 to `MOST_S`; None where there is none, or nobody can read it.
    """
    if text is None:
        return None
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,20}", text):
        return min(float(text), MOST_S)
    try:
        moment = parsedate_to_datetime(text[:100])
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - now, 0.0), MOST_S)
    except (ValueError, OverflowError):
        return None
