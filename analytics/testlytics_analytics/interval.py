"""Intervals of rates."""

from __future__ import annotations

import polars as pl

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def wilson(successes: pl.Expr, trials: pl.Expr, *, z: float = Z_95) -> tuple[pl.Expr, pl.Expr]:
    """Return the bounds of a rate (Wilson 1927, score interval).

    Args:
        successes: Whole numbers from 0 to `trials`.
        trials: Whole numbers from 0.
        z: Quantile of the standard normal distribution; 1.96 gives 95 %.

    Returns:
        Lower and upper bound, within [0, 1] and around successes / trials; null where there are no
        trials.
    """
    n = trials.cast(pl.Float64)
    rate = successes / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (rate * (1 - rate) / n + z**2 / (4 * n**2)).sqrt()
    some = pl.when(trials > 0)
    # Exact at the ends, where rounding would leave the estimate just outside.
    low = some.then(pl.when(successes == 0).then(0.0).otherwise((middle - half).clip(0, 1)))
    high = some.then(pl.when(successes == trials).then(1.0).otherwise((middle + half).clip(0, 1)))
    return low, high
