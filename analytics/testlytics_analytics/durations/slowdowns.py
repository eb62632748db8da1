"""Which tests got slower: the scan, what is big enough to matter, and how many may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import exp
from typing import NamedTuple

import numpy as np

from testlytics_analytics.durations.robust import Matrix, row_medians
from testlytics_analytics.durations.run_factor import FactorOptions, steady
from testlytics_analytics.durations.separation import (
    OrderOptions,
    ordered,
    separated,
)
from testlytics_analytics.durations.shift_scan import (
    Scan,
    ScanOptions,
    Shifts,
    enlarged,
    scan,
)
from testlytics_analytics.durations.suite_null import (
    NullOptions,
    chance,
    least_clear,
    relevant_share,
    suite_scale,
)


@dataclass(frozen=True, slots=True)
class SlowdownOptions:
    """Constants of the judgement.

    Attributes:
        runs: The judgement looks at the newest so many runs.
        threshold: Least score of a slowdown, see `shift_scan` and `suite_null`.
        false_share: At most this share of the found ones is expected to be chance: in large suites
            scores have to be higher.
        ratio: Least increase that matters, as a factor of the duration before …
        floor_s: … and in seconds.
        apart: Least increase as a share of what the machine made the series differ between the runs
            before and since: how strongly a test reacts to it is known only so well.
        trusted_s: The run factor is estimated from tests with at least this median duration in
            seconds, where there are enough of them: shorter ones are mostly ticks.
        factor: Constants of the run factor.
        scan: Constants of the scan.
        order: Constants of what the order of values proves.
        null: Constants of what is left to chance.
    """

    runs: int = 150
    threshold: float = 5.5
    false_share: float = 0.1
    ratio: float = 1.05
    floor_s: float = 0.005
    apart: float = 0.3
    trusted_s: float = 0.1
    factor: FactorOptions = field(default_factory=FactorOptions)
    scan: ScanOptions = field(default_factory=ScanOptions)
    order: OrderOptions = field(default_factory=OrderOptions)
    null: NullOptions = field(default_factory=NullOptions)


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
        score: How clear it is, in standard deviations of a normal distribution, divided by the
            suite's scale.
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
        decoys: How many series got faster as clearly as the found ones got slower, by the same
            rules.
        factor: Run factor of each run, 1 is the usual speed, 2 is twice as slow.
        steadied: Log durations of the found ones without what the machine did, around zero; a row
            per slowdown, a column per run, NaN where there is no value.
        by_chance: How many of `judged` are expected among the found ones if nothing changed.
        scale: How much larger chance makes scores in this suite than in a usual one, from 1: of
            series of many values …
        young_scale: … and of few.
    """

    found: list[Slowdown]
    judged: int
    decoys: int
    factor: Matrix
    steadied: Matrix
    by_chance: float = 0.0
    scale: float = 1.0
    young_scale: float = 1.0

    @property
    def false_share(self) -> float | None:
        """Estimated share of the found ones that are none; None where nothing was found."""
        return min(1.0, self.by_chance / len(self.found)) if self.found else None


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
        runs = durations.shape[1]
        none = np.zeros((0, runs), np.float32)
        return Slowdowns([], 0, 0, np.ones(runs, np.float32), none)
    usual_s = np.exp(row_medians(durations)[:, 0])
    long = usual_s >= options.trusted_s
    trusted = long if long.sum() >= options.factor.tests else None
    steadied = steady(durations, trusted, options.factor)
    scaled = scaled_shifts(steadied.residuals, usual_s, options)
    machine = durations - steadied.residuals
    judged = int(np.isfinite(scaled.up.score).sum())
    faint = replace(options, threshold=options.null.faint)
    rises, falls = (
        _relevant(shifts, durations, machine, faint) for shifts in (scaled.up, scaled.down)
    )
    found, by_chance = _told(rises, len(falls), judged, options)
    faster, _ = _told(falls, len(rises), judged, options)
    return Slowdowns(
        found,
        judged,
        len(faster),
        np.exp(steadied.factor),
        steadied.residuals[[one.row for one in found]],
        by_chance,
        scaled.scale,
        scaled.young_scale,
    )


class Scaled(NamedTuple):
    """Rises and falls whose scores are divided by the suite's scale.

    Attributes:
        up: The rises.
        down: The falls; their effects are positive too.
        scale: Of series of many values …
        young_scale: … and of few, see `Slowdowns`.
    """

    up: Shifts
    down: Shifts
    scale: float
    young_scale: float


def scaled_shifts(residuals: Matrix, usual_s: Matrix, options: SlowdownOptions) -> Scaled:
    """Find the most likely lasting rise and fall of each series, as unlikely as its score says.

    Args:
        residuals: What `steady` gives, series by runs, NaN where there is no value.
        usual_s: Median duration of each series in seconds; NaN where it has no value. Very short
            tests have no say in the scale: they cannot be told of, and their scores are those of
            ticks.
        options: Constants.
    """
    scanned = scan(residuals, options.scan, _earlier_ends(residuals, options))
    rises = [scanned.up.score, *scanned.earlier_up]
    falls = [scanned.down.score, *scanned.earlier_down]
    scales = np.ones(len(residuals), np.float32)
    of_kind = []
    for young in (False, True):
        kind = scanned.young == young
        rows = kind & (usual_s >= options.floor_s)
        own = [one[rows] for one in rises], [one[rows] for one in falls]
        of_kind.append(suite_scale(*own, young, options.null))
        scales[kind] = of_kind[-1] * (options.null.young_ease if young else 1)
    up, down = (
        one._replace(score=np.fmax(one.score / scales, order))
        for one, order in zip(
            (scanned.up, scanned.down),
            _proven(scanned, residuals, of_kind, options),
            strict=True,
        )
    )
    return Scaled(up, down, *of_kind)


def _proven(
    found: Scan, residuals: Matrix, of_kind: list[float], options: SlowdownOptions
) -> tuple[Matrix, Matrix]:
    """Return what the order of values proves of rises and of falls, scaled."""
    scores = []
    for sign, shifts in ((1, found.up), (-1, found.down)):
        few = separated(residuals, shifts, sign, options.scan, options.null)
        many = ordered(residuals, shifts, sign, options.scan, options.null, options.order)
        larger = enlarged(found.memory, shifts.length.clip(1))
        many *= larger**-options.order.caution
        scores.append(np.fmax(few / max(of_kind), many / of_kind[0]))
    return scores[0], scores[1]


def _earlier_ends(residuals: Matrix, options: SlowdownOptions) -> list[int]:
    """Return how many runs earlier the window is ended too: more often in small suites."""
    tests, runs = residuals.shape
    null = options.null
    needed = options.scan.before + options.scan.shortest
    most = min(null.ends, -(-null.enough // tests) - 1, (runs - needed) // null.every)
    return [null.every * (one + 1) for one in range(most)]


def _told(
    faint: list[Slowdown], decoys: int, judged: int, options: SlowdownOptions
) -> tuple[list[Slowdown], float]:
    """Keep those that are clear, and of which few enough are chance.

    Args:
        faint: All that matter with a score of `NullOptions.faint` and more.
        decoys: How many of these the other side has.
        judged: Series that could have been among them.
        options: Constants.

    Returns:
        The clear ones, the clearest first; and how many of them are expected to be chance.
    """
    tests = judged * relevant_share(decoys, judged, options.null)
    clear = sorted(
        (one for one in faint if one.score >= options.threshold),
        key=lambda one: (-one.score, one.row),
    )
    scores = np.array([one.score for one in clear], np.float32)
    least = least_clear(scores, tests, options.false_share, options.null)
    kept = [one for one, score in zip(clear, scores.tolist(), strict=True) if score >= least]
    if not kept:
        return [], 0.0
    limit = options.threshold if len(kept) == len(clear) else least
    return kept, tests * float(chance(np.array([limit], np.float32), options.null)[0])


def strict(told: Slowdowns, chance_of_any: float = 0.002) -> list[Slowdown]:
    """Return the slowdowns that are clear enough to stop somebody.

    Where nothing got slower, a run has one with at most the probability given, over all its tests
    together (Bonferroni).

    Args:
        told: What was found up to a run.
        chance_of_any: From 0 to 1; the default is one wrong run in 500.
    """
    null = NullOptions()
    scores = np.array([one.score for one in told.found])
    clear = told.judged * chance(scores, null) <= chance_of_any
    return [one for one, enough in zip(told.found, clear.tolist(), strict=True) if enough]


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
