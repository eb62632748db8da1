"""Rules of others for "this test got slower", on matrices of log durations.

Each takes what is known up to a run (series by runs, NaN where there is no value, the newest run
last) and says which series it would raise an alarm for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from testlytics_analytics.durations.robust import row_medians

Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float32]
Rule = Callable[[Values], Flags]


def newest(values: Values, count: int) -> Values:
    """Return the last `count` values of each row, in order; NaN in front where there are fewer."""
    order = np.argsort(np.isfinite(values), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(values, order[:, -count:], 1))


def last_beyond(factor: float, window: int = 20) -> Rule:
    """The usual rule: the newest value is more than `factor` times the median before it."""

    def rule(values: Values) -> Flags:
        held = newest(values, window + 1)
        full = np.isfinite(held).all(1)
        return np.asarray(full & (held[:, -1] > np.median(held[:, :-1], axis=1) + np.log(factor)))

    return rule


def median_beyond(factor: float, recent: int = 3, window: int = 20) -> Rule:
    """The median of the newest few values is more than `factor` times the median before them."""

    def rule(values: Values) -> Flags:
        held = newest(values, window + recent)
        full = np.isfinite(held).all(1)
        late = np.median(held[:, -recent:], axis=1)
        return np.asarray(full & (late > np.median(held[:, :-recent], axis=1) + np.log(factor)))

    return rule


def bencher_z(boundary: float = 2.326, window: int = 64) -> Rule:
    """Bencher's z-score threshold: the newest value beyond the .99 quantile of a normal one."""

    def rule(values: Values) -> Flags:
        held = newest(values, window + 1)
        before = held[:, :-1]
        enough = (np.isfinite(before).sum(1) >= 10) & np.isfinite(held[:, -1])
        with np.errstate(all="ignore"):
            z = (held[:, -1] - np.nanmean(before, axis=1)) / np.nanstd(before, axis=1)
        return np.asarray(enough & (z > boundary))

    return rule


def perfherder(threshold: float = 7.0, least: float = 0.02, back: int = 12) -> Rule:
    """Perfherder's t test of 12 weighted values before and after (treeherder, perfalert)."""
    weight = np.arange(back, 0, -1) / back

    def rule(values: Values) -> Flags:
        held = np.exp(newest(values, 2 * back).astype(np.float64))
        full = np.isfinite(held).all(1)
        before, after = held[:, back - 1 :: -1], held[:, back:]
        mean_before = before @ weight / weight.sum()
        mean_after = after @ weight / weight.sum()
        spread = (
            ((before - mean_before[:, None]) ** 2).sum(1)
            + ((after - mean_after[:, None]) ** 2).sum(1)
        ) / (back - 1)
        with np.errstate(all="ignore"):
            t = (mean_after - mean_before) / np.sqrt(spread / back)
            return np.asarray(full & (t > threshold) & (mean_after / mean_before > 1 + least))

    return rule


def mann_whitney(limit: float = 4.6, recent: int = 20, window: int = 60) -> Rule:
    """Rank sum of the newest 20 values against the 60 before, normal approximation, no ties."""

    def rule(values: Values) -> Flags:
        held = newest(values, recent + window)
        full = np.isfinite(held).all(1)
        ranks = np.argsort(np.argsort(held, axis=1), axis=1) + 1.0
        expected = recent * (recent + window + 1) / 2
        spread = np.sqrt(recent * window * (recent + window + 1) / 12)
        return np.asarray(full & ((ranks[:, -recent:].sum(1) - expected) / spread > limit))

    return rule


def robust_cusum(
    limit: float = 16.0, slack: float = 1.0, clip: float = 3.0, window: int = 100, recent: int = 50
) -> Rule:
    """CUSUM of the newest 50 deviations from the median before, in robust standard deviations.

    Deviations count up to `clip`, each less `slack`; at least 5 % slower, by the medians. The limit
    was chosen on a usual simulated suite of other seeds than those that are scored: 2 false alarms
    per 1,000 tests and 100 runs, of which a higher limit takes none away.
    """

    def rule(values: Values) -> Flags:
        held = newest(values, window + recent)
        before, after = held[:, :-recent], held[:, -recent:]
        if held.shape[1] <= recent:
            return np.zeros(len(values), bool)
        enough = (np.isfinite(before).sum(1) >= 20) & np.isfinite(after).all(1)
        middle = row_medians(before)
        spread = row_medians(np.abs(before - middle)) * np.float32(1.4826)
        deviations = np.clip((after - middle) / np.fmax(spread, 0.004), -clip, clip) - slack
        total, start = np.zeros(len(values)), np.zeros(len(values), np.int64)
        for at in range(recent):
            total = np.maximum(0, total + deviations[:, at])
            start = np.where(total > 0, start, at + 1)
        high = np.flatnonzero(enough & (total > limit))
        since = np.arange(recent) >= start[high, None]
        late = row_medians(np.where(since, after[high], np.float32(np.nan)))
        flags = np.zeros(len(values), bool)
        flags[high] = (late - middle[high])[:, 0] > np.log(1.05)
        return flags

    return rule


RULES: dict[str, Rule] = {
    "20 % above the median of 20": last_beyond(1.2),
    "median of 3, 20 % above": median_beyond(1.2),
    "Bencher, z .99": bencher_z(),
    "Perfherder, t > 7": perfherder(),
    "Mann-Whitney 20/60, z > 4.6": mann_whitney(),
    "Robust CUSUM, k 1, clip 3": robust_cusum(),
}
