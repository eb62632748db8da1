"""When something is told: it opens at one threshold and closes at a lower one, after calm runs.

What swings around a threshold is told once: it stays open until it was below the lower threshold
for so many runs in a row. No clock and no store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

OPENED = "opened"
CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Rule:
    """Constants of one kind of alert.

    Attributes:
        opens: Opens from this value on …
        closes: … and is calm below this one, which is not above.
        calm_runs: Closes once it was calm for so many runs in a row.
    """

    opens: float
    closes: float
    calm_runs: int


class Step(NamedTuple):
    """What one look made of an alert.

    Attributes:
        calm: Runs in a row that an open alert has been calm for; None where it is not open.
        change: `OPENED`, `CLOSED` or None.
    """

    calm: int | None
    change: str | None


def advance(calm: int | None, value: float, runs: int, rule: Rule) -> Step:
    """Look at an alert again.

    Args:
        calm: What the last look left, see `Step`; None where there was none.
        value: What was measured.
        runs: Runs that came since the last look; without any nothing calms down.
        rule: The constants.
    """
    if calm is None:
        return Step(0, OPENED) if value >= rule.opens else Step(None, None)
    if value >= rule.closes:
        return Step(0, None)
    calm += runs
    return Step(None, CLOSED) if calm >= rule.calm_runs else Step(calm, None)
