"""Which tests got slower: the scan, what is big enough to matter, and how many may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import Matrix, row_medians
from testlytics_analytics.durations.run_factor import FactorOptions, steady
from testlytics_analytics.durations.shift_scan import ScanOptions, Shifts, lasting


@dataclass(frozen=True, slots=True)
class SlowdownOptions:
    """Constants of the judgement.

    Attributes:
        runs: The judgement looks at the newest so many runs.
        threshold: Least score of a slowdown, see `shift_scan`.
        ratio: Least increase that matters, as a factor of the duration before …
        floor_s: … and in seconds.
        apart: Least increase as a share of what the machine made the series differ between the runs
            before and since: how strongly a test reacts to it is known only so well.
        trusted_s: The run factor is estimated from tests with at least this median duration in
            seconds, where there are enough of them: shorter ones are mostly ticks.
        factor: Constants of the run factor.
        scan: Constants of the scan.
    """

    runs: int = 150
    threshold: float = 5.6
    ratio: float = 1.05
    floor_s: float = 0.005
    apart: float = 0.3
    trusted_s: float = 0.1
    factor: FactorOptions = field(default_factory=FactorOptions)
    scan: ScanOptions = field(default_factory=ScanOptions)


class Slowdown(NamedTuple):
    """A series that got slower and stayed so up to its newest value.

    Attributes:
        row: Its row in the matrix.
        start: Column of the first slow run.
        runs: Values since then.
        before_runs: Values before.
        before_s: Their median, seconds.
        after_s: That times the increase; what the machine did is taken out of it.
        ratio: after_s / before_s.
        score: How clear it is, in standard deviations of a normal distribution.
    """

    row: int
    start: int
    runs: int
    before_runs: int
    before_s: float
    after_s: float
    ratio: float
    score: float


class Slowdowns(NamedTuple):
    """What was found in one suite.

    Attributes:
        found: The slowdowns, the clearest first; equal ones by row.
        judged: Series with values enough to be judged.
        decoys: How many series got faster as clearly as the found ones got slower. Where nothing
            changes, both are equally likely: so many of the found ones may be chance.
        factor: Run factor of each run, 1 is the usual speed, 2 is twice as slow.
    """

    found: list[Slowdown]
    judged: int
    decoys: int
    factor: Matrix

    @property
    def false_share(self) -> float | None:
        """Estimated share of the found ones that are none; None where nothing was found.

        An upper estimate: tests that really got faster count as decoys.
        """
        return min(1.0, self.decoys / len(self.found)) if self.found else None


def slowdowns(durations: Matrix, options: SlowdownOptions | None = None) -> Slowdowns:
    """Find the series that got slower.

    Args:
        durations: Log seconds, series by runs, NaN where there is no value. All of one project and
            variant: one run factor holds for each run.
        options: Constants; the defaults where None.
    """
    options = options or SlowdownOptions()
    durations = durations[:, -options.runs :]
    if not durations.size:
        return Slowdowns([], 0, 0, np.ones(durations.shape[1], np.float32))
    long = np.exp(row_medians(durations)[:, 0]) >= options.trusted_s
    trusted = long if long.sum() >= options.factor.tests else None
    steadied = steady(durations, trusted, options.factor)
    up, down = lasting(steadied.residuals, options.scan)
    machine = durations - steadied.residuals
    found = _relevant(up, durations, machine, options)
    found.sort(key=lambda one: (-one.score, one.row))
    decoys = len(_relevant(down, durations, machine, options))
    judged = int(np.isfinite(up.score).sum())
    return Slowdowns(found, judged, decoys, np.exp(steadied.factor))


def _relevant(
    shifts: Shifts, durations: Matrix, machine: Matrix, options: SlowdownOptions
) -> list[Slowdown]:
    """Return the shifts that matter, in the order of rows."""
    with np.errstate(invalid="ignore"):
        clear = (shifts.score >= options.threshold) & (shifts.effect >= np.log(options.ratio))
    rows = np.flatnonzero(clear)
    earlier = np.arange(durations.shape[1]) < shifts.start[rows, None]
    hole = np.float32(np.nan)
    before = row_medians(np.where(earlier, durations[rows], hole))[:, 0]
    moved = row_medians(np.where(earlier, hole, machine[rows]))
    moved -= row_medians(np.where(earlier, machine[rows], hole))
    held = (earlier & np.isfinite(durations[rows])).sum(axis=1)
    found = []
    for row, before_s, before_runs, by_machine in zip(
        rows.tolist(), np.exp(before).tolist(), held.tolist(), moved[:, 0].tolist(), strict=True
    ):
        start, effect = int(shifts.start[row]), float(shifts.effect[row])
        ratio = exp(effect)
        if before_s * (ratio - 1) < options.floor_s or effect < options.apart * abs(by_machine):
            continue
        found.append(
            Slowdown(
                row,
                start,
                int(shifts.length[row]),
                before_runs,
                before_s,
                before_s * ratio,
                ratio,
                float(shifts.score[row]),
            )
        )
    return found
