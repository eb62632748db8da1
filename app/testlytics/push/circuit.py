"""Whether a service is asked at all: not for a while, after it failed several times in a row.

Remembered in a file, because each job of a CI is a process of its own. Closed, everybody may ask;
open, nobody; half-open, one may, and what it finds decides (Nygard, "Release It!", 2007).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from testlytics.push.locked import alone
from testlytics.push.waits import MOST_S

FAILURES = 3
"""After so many deliveries that failed in a row it opens."""

PAUSE_S = 60.0
"""How long it stays open, in seconds; twice as long each time the next delivery fails too."""

LONGEST_S = 900.0
"""How long it stays open at most, unless the service itself asks for longer."""

PROBE_S = 120.0
"""How long others wait for what the one finds that may ask, in seconds."""


class Way(StrEnum):
    """Whether one may ask."""

    FREE = "free"
    PROBE = "probe"
    SHUT = "shut"


@dataclass(frozen=True, slots=True)
class _State:
    failures: int = 0
    pause_s: float = 0.0
    until: float = 0.0

    def is_sane(self, now: float) -> bool:
        """Tell whether it is one that this code writes, and the clock has not jumped back."""
        longest = max(self.pause_s, PROBE_S, LONGEST_S)
        is_whole = self.failures >= 0 and 0 <= self.pause_s <= MOST_S
        return is_whole and 0 <= self.until <= now + longest


class Circuit:
    """The state of the way to one service.

    Args:
        folder: Where it is remembered; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._lock = folder / "circuit.json", folder / "circuit.lock"
        folder.mkdir(parents=True, exist_ok=True)

    def admit(self, now: float) -> Way:
        """Say whether one may ask. Who is told PROBE must say what came of it.

        Args:
            now: Seconds since the epoch, as in all that follows.
        """
        state = self._read(now)
        if state.until == 0:
            return Way.FREE
        with alone(self._lock):
            state = self._read(now)
            if state.until == 0:
                return Way.FREE
            if now < state.until:
                return Way.SHUT
            # Others must not ask meanwhile. If we die, the next one asks after that time.
            self._write(_State(state.failures, state.pause_s, now + PROBE_S))
            return Way.PROBE

    def shut_until(self, now: float) -> float:
        """Return until when nobody may ask, 0.0 where one may."""
        until = self._read(now).until
        return until if until > now else 0.0

    def succeeded(self) -> None:
        """Note that the service did what it is for."""
        if self._file.exists():
            with alone(self._lock):
                self._file.unlink(missing_ok=True)

    def failed(self, now: float, asked_s: float = 0.0) -> None:
        """Note that a delivery failed, with all of its tries.

        Args:
            now: As above.
            asked_s: For how long the service asked to be left alone.
        """
        with alone(self._lock):
            state = self._read(now)
            failures, pause_s, until = state.failures + 1, 0.0, 0.0
            if failures >= FAILURES:
                pause_s = min(max(2 * state.pause_s, PAUSE_S), LONGEST_S)
                until = now + pause_s
            if asked_s > 0:
                pause_s, until = max(pause_s, asked_s), max(until, now + asked_s)
            self._write(_State(failures, pause_s, until))

    def _read(self, now: float) -> _State:
        try:
            state = _State(**json.loads(self._file.read_bytes()))
            return state if state.is_sane(now) else _State()
        except (OSError, ValueError, TypeError):
            return _State()

    def _write(self, state: _State) -> None:
        part = self._file.with_suffix(".part")
        with contextlib.suppress(OSError):  # a full disk costs the memory, not the delivery
            part.write_text(json.dumps(asdict(state)), encoding="ascii")
            part.replace(self._file)
