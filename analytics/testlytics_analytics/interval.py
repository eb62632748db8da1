"""Intervals of rates."""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def wilson(successes: int, trials: int, *, z: float = Z_95) -> tuple[float, float] | None:
    """Return the bounds of a rate (Wilson 1927, score interval).

    Args:
        successes: From 0 to `trials`.
        trials: From 0.
        z: Quantile of the standard normal distribution; 1.96 gives 95 %.

    Returns:
        Lower and upper bound, within [0, 1] and around successes / trials; None where there are no
        trials.
    """
    if not trials:
        return None
    rate = successes / trials
    middle = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    spread = sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2))
    half = z / (1 + z**2 / trials) * spread
    # Exact at the ends, where rounding would leave the estimate just outside.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high
