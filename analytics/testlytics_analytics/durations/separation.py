"""What order alone proves of a series of few values: all of those since a step lie above the rest.

A scan has to cut values off, so that no single one decides, and can therefore never be sure of a
step in few values, however large it is. Where all values since the step lie far above all before
it, their order says enough: if it were chance, every arrangement of the values would be as likely
(a permutation test, Fisher 1935), and only few of them look like that.
"""

from __future__ import annotations

from math import comb, log, sqrt

import numpy as np

from testlytics_analytics.durations.robust import Matrix
from testlytics_analytics.durations.shift_scan import ScanOptions, Shifts
from testlytics_analytics.durations.suite_null import NullOptions

GAP = 0.5
"""The highest value before a step and the lowest since are apart by at least this share of it."""


def separated(
    residuals: Matrix, shifts: Shifts, sign: int, scan: ScanOptions, null: NullOptions
) -> Matrix:
    """Score the order of the values before and since each shift.

    Args:
        residuals: What `steady` gives, series by runs, NaN where there is no value.
        shifts: The rises or falls of these series.
        sign: 1 for rises, -1 for falls.
        scan: Which shifts were looked for, and which series are young.
        null: How scores and chance go together.

    Returns:
        A score per series, as in `Shifts`; -inf where the series is not young, or its values are
        not wholly apart.
    """
    found = np.full(len(residuals), -np.inf, np.float32)
    count = np.isfinite(residuals).sum(axis=1)
    rows = np.flatnonzero((count < scan.young) & np.isfinite(shifts.effect))
    values = sign * residuals[rows]
    recent = np.arange(values.shape[1]) >= shifts.start[rows, None]
    lowest = np.where(recent & np.isfinite(values), values, np.inf).min(axis=1)
    highest = np.where(~recent & np.isfinite(values), values, -np.inf).max(axis=1)
    apart = lowest - highest > GAP * shifts.effect[rows]
    for row in rows[apart].tolist():
        share = _as_rare(int(count[row]), int(shifts.length[row]), scan)
        found[row] = _score(share, null)
    return found


def _as_rare(values: int, recent: int, scan: ScanOptions) -> float:
    """Return the chance of an order as rare as this one, over all lengths that are looked at."""
    ways = comb(values, recent)
    lengths = range(scan.shortest, values - scan.before + 1)
    return sum(1 / comb(values, one) for one in lengths if comb(values, one) >= ways)


def _score(share: float, null: NullOptions) -> float:
    """Return the score that `suite_null.chance` gives this chance; 0 where none is so small."""
    level, slope, bend = null.tail
    inside = slope * slope - 4 * bend * (level - log(share))
    return max(0.0, (-slope - sqrt(inside)) / (2 * bend)) if inside > 0 else 0.0
