"""What order alone proves: all values since a step lie above nearly all before it.

A scan has to cut values off, so that no single one decides, and can therefore never be sure of a
step in few values, however large it is. Where the values since the step lie far above those before
it, their order says enough: if it were chance, every arrangement of the values would be as likely
(a permutation test, Fisher 1935), and only few of them look like that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, log, sqrt
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import MAD_TO_SIGMA, Matrix, row_medians
from testlytics_analytics.durations.shift_scan import ScanOptions, Shifts
from testlytics_analytics.durations.suite_null import NullOptions

GAP = 0.5
"""The highest value before a step and the lowest since are apart by at least this share of it: in a
series of few values."""


@dataclass(frozen=True, slots=True)
class OrderOptions:
    """Constants of what order proves in series of many values.

    Attributes:
        clear: The order of values counts where the step is so many standard deviations of the
            values around their levels …
        since: … and at least this share of the values since lie beyond its middle: else they come
            and go.
        caution: Power of the variance that the memory of a series adds by which these scores are
            lowered, see `ScanOptions`: a permutation takes values for independent.
    """

    clear: float = 2.0
    since: float = 0.75
    caution: float = 0.1


class _Table(NamedTuple):
    """Values of a series by whether they are recent, and beyond the middle of the step."""

    values: int
    recent: int
    beyond: int
    recent_beyond: int


def separated(
    residuals: Matrix, shifts: Shifts, sign: int, scan: ScanOptions, null: NullOptions
) -> Matrix:
    """Score the order of the values before and since each shift of series of few values.

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


def ordered(
    residuals: Matrix,
    shifts: Shifts,
    sign: int,
    scan: ScanOptions,
    null: NullOptions,
    options: OrderOptions,
) -> Matrix:
    """Score how the values before and since each large shift lie around its middle.

    Fisher's exact test of the table of values that are recent or not, and beyond the middle or not.
    Where the middle is and how long the shift has lasted was chosen by looking at the values: so
    the chance is taken times all the places where either could be (Bonferroni).

    Args:
        residuals: What `steady` gives, series by runs, NaN where there is no value.
        shifts: The rises or falls of these series.
        sign: 1 for rises, -1 for falls.
        scan: Which shifts were looked for, and which series are young.
        null: How scores and chance go together.
        options: Constants.

    Returns:
        A score per series, as in `Shifts`; -inf where the series is young, or the shift is not
        large, or has not stayed.
    """
    found = np.full(len(residuals), -np.inf, np.float32)
    rows = np.flatnonzero(np.isfinite(shifts.effect))
    rows = rows[np.isfinite(residuals[rows]).sum(axis=1) >= scan.young]
    values = sign * residuals[rows]
    there = np.isfinite(values)
    recent = np.arange(values.shape[1]) >= shifts.start[rows, None]
    hole = np.float32(np.nan)
    early = row_medians(np.where(recent, hole, values))
    levels = early + np.where(recent, shifts.effect[rows, None], np.float32(0))
    spread = row_medians(np.abs(values - levels))[:, 0] * np.float32(MAD_TO_SIGMA)
    spread = np.fmax(spread, np.float32(scan.tick))
    beyond = there & (values > early + shifts.effect[rows, None] / 2)
    late = (beyond & recent).sum(axis=1)
    length = (there & recent).sum(axis=1)
    stayed = late >= options.since * length
    for at in np.flatnonzero(stayed & (shifts.effect[rows] >= options.clear * spread)).tolist():
        table = _Table(int(there[at].sum()), int(length[at]), int(beyond[at].sum()), int(late[at]))
        found[rows[at]] = _score(min(1.0, _by_chance(table) * _places(table, scan)), null)
    return found


def _by_chance(table: _Table) -> float:
    """Return the chance that so many of the recent values, or more, are beyond the middle."""
    values, recent, beyond, _ = table
    ways = sum(
        comb(beyond, one) * comb(values - beyond, recent - one)
        for one in range(table.recent_beyond, min(recent, beyond) + 1)
    )
    return ways / comb(values, recent)


def _places(table: _Table, scan: ScanOptions) -> int:
    """Return at how many places the middle can be, times how many lengths are looked at."""
    lengths = min(scan.longest, table.values - scan.before) - scan.shortest + 1
    return table.values * lengths


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
