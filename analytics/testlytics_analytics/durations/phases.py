"""Which part of a slow test got slower: its set-up, the test itself, or its teardown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import Matrix


@dataclass(frozen=True, slots=True)
class PhaseOptions:
    """Constants of the judgement.

    Attributes:
        share: A phase is named that has at least this share of the increase …
        score: … if its values before and since differ by so many standard deviations of the rank
            sum (Wilcoxon 1945).
        least: Values needed before and since.
    """

    share: float = 0.6
    score: float = 2.0
    least: int = 3


class Guilty(NamedTuple):
    """The phase that got slower.

    Attributes:
        phase: Its name.
        share: Its share of the increase of all phases that got slower, above 0, at most 1.
        increase_s: By how much it got slower, seconds: medians, without what the machine did.
    """

    phase: str
    share: float
    increase_s: float


def guilty_phase(
    phases: Mapping[str, Matrix],
    start: int,
    factor: Matrix,
    options: PhaseOptions | None = None,
) -> Guilty | None:
    """Name the phase that made one test slower.

    Args:
        phases: Seconds of each phase, by run; NaN where there is no value.
        start: The first slow run.
        factor: Run factor of each run; see `slowdowns.Slowdowns`.
        options: Constants; the defaults where None.

    Returns:
        None where no phase stands out, or no phases are known.
    """
    options = options or PhaseOptions()
    found: list[tuple[float, str, float]] = []
    for name, seconds in phases.items():
        steadied = seconds / factor
        before, since = steadied[:start], steadied[start:]
        before, since = before[np.isfinite(before)], since[np.isfinite(since)]
        if min(len(before), len(since)) < options.least:
            return None
        increase = float(np.median(since) - np.median(before))
        found.append((increase, name, rank_sum(before, since)))
    whole = sum(max(0.0, increase) for increase, _, _ in found)
    if whole <= 0:
        return None
    increase, name, score = max(found)
    share = increase / whole
    if share < options.share or score < options.score:
        return None
    return Guilty(name, share, increase)


def rank_sum(before: Matrix, since: Matrix) -> float:
    """Return by how many standard deviations the later values rank above chance.

    Args:
        before: At least one value …
        since: … and the later ones, at least one.
    """
    values = np.concatenate([before, since])
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(times)
    ranks = (ends - (times - 1) / 2)[place]
    m, n, count = len(before), len(since), len(values)
    ties = float((times.astype(np.float64) ** 3 - times).sum())
    variance = m * n / 12 * (count + 1 - ties / (count * max(count - 1, 1)))
    if variance <= 0:
        return 0.0
    return float((ranks[m:].sum() - n * (count + 1) / 2) / np.sqrt(variance))
