"""How large scores get in a suite in which nothing happens, told from the suite itself.

A scan's scores are standard deviations of a normal distribution if series are as the scan takes
them to be. Those of a real suite wander, repeat themselves, or have bursts: there large scores are
chance more often. A suite says so itself. The scan for falls is a scan for rises of a mirrored
suite (decoys), and what it finds there that is as large as a rise is chance, or a test that really
got faster. How large the largest per cent of these scores are, beside the largest per cent in
suites where all is as it should be, is the suite's scale; scores are divided by it.

Tests that really changed are few, and mostly to one side: scores far beyond those of most series
are left out, and the side whose scores are smaller decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testlytics_analytics.durations.robust import Matrix


@dataclass(frozen=True, slots=True)
class NullOptions:
    """Constants of the scale of a suite and of what is left to chance.

    Attributes:
        body: Three quarters of the scores stay below this in simulated suites …
        young_body: … and those of series of few values below this. Tests that really changed hardly
            move it …
        peeled: … so that scores beyond this, times the suite's body over the simulated one, are
            taken for theirs and left out …
        young_peeled: … and beyond this where there are few values.
        levels: Shares of the others below the scores that are compared.
        usual: These scores in simulated suites without changes …
        young_usual: … and in suites of fewer runs than `ScanOptions.young`.
        young_ease: Scores of series of few values are divided by this too: large ones are rarer
            among them.
        shrink: The scale, on the log scale, is shrunk towards 1 by the weight of so many series.
        most: No suite's scale is taken for larger; none is taken for smaller than 1.
        enough: Earlier ends of the window are judged as well until there are so many scores …
        every: … so many runs apart …
        ends: … and no more of them than this.
        faint: Rises and falls of this scaled score are counted to see which share of what chance
            makes is large enough to matter …
        doubt: … shrunk towards all of it by the weight of so many of them.
        tail: Logarithm of the chance that a scaled score of a series without changes is above s:
            tail[0] + tail[1] s + tail[2] s², for s of 3 and more; fitted to 288,000 scores of
            simulated suites.
    """

    body: float = 1.93
    young_body: float = 1.07
    peeled: float = 5.6
    young_peeled: float = 4.2
    levels: tuple[float, ...] = (0.97, 0.99, 0.995)
    usual: tuple[float, ...] = (3.053, 3.488, 3.713)
    young_usual: tuple[float, ...] = (1.89, 2.25, 2.46)
    young_ease: float = 0.83
    shrink: int = 60
    most: float = 3.0
    enough: int = 2_048
    every: int = 12
    ends: int = 4
    faint: float = 3.3
    doubt: float = 1.0
    tail: tuple[float, float, float] = (3.184, -1.507, -0.2127)


def suite_scale(
    rises: Sequence[Matrix], falls: Sequence[Matrix], young: bool, options: NullOptions
) -> float:
    """Say by how much chance makes larger scores in this suite than in a usual one.

    Args:
        rises: Scores of the scan for rises, an array per end of the window; -inf where a series has
            too few values.
        falls: The same for falls.
        young: Whether these are series with few values.
        options: Constants.

    Returns:
        From 1 to `most`; 1 where there are no scores.
    """
    usual = np.log(options.young_usual if young else options.usual)
    body = options.young_body if young else options.body
    peeled = options.young_peeled if young else options.peeled
    sides = []
    for scores in (rises, falls):
        pooled = np.concatenate([np.zeros(0, np.float32), *scores])
        pooled = pooled[np.isfinite(pooled)]
        if not len(pooled):
            return 1.0
        wide = max(1.0, float(np.quantile(pooled, 0.75)) / body)
        found = np.quantile(pooled[pooled <= peeled * wide], options.levels)
        beyond = float((np.log(np.maximum(found, 1e-3)) - usual).mean())
        sides.append(beyond * len(pooled) / (len(pooled) + options.shrink))
    return float(np.exp(np.clip(min(sides), 0, np.log(options.most))))


def chance(scores: Matrix, options: NullOptions) -> Matrix:
    """Return the chance that a series without changes has at least this score, at most 1.

    Args:
        scores: Divided by the suite's scale.
        options: Constants.
    """
    level, slope, bend = options.tail
    high = np.maximum(scores, 3.0)
    return np.asarray(np.exp(level + slope * high + bend * high * high))


def relevant_share(decoys: int, tests: int, options: NullOptions) -> float:
    """Return the share of large scores made by chance that come with an increase that matters.

    Tests that really changed to the decoys' side raise it at most to 1.

    Args:
        decoys: Changes of the other side that matter and have a score of `faint` and more.
        tests: Series that were judged.
        options: Constants.
    """
    expected = tests * float(chance(np.array([options.faint], np.float32), options)[0])
    return min(1.0, (decoys + options.doubt) / (expected + options.doubt))


def least_clear(scores: Matrix, tests: float, share: float, options: NullOptions) -> float:
    """Return the least score at which at most a share of those told of is expected to be chance.

    The step-up rule of Benjamini and Hochberg (1995) with the chances that `chance` gives.

    Args:
        scores: Of what may be told of, divided by the suite's scale, the largest first.
        tests: Series that could have been among them, less those whose increase would not matter.
        share: From 0 to 1.
        options: Constants.

    Returns:
        One of the scores; inf where there is none.
    """
    if not len(scores):
        return float("inf")
    kept = np.flatnonzero(tests * chance(scores, options) <= share * np.arange(1, len(scores) + 1))
    return float(scores[kept[-1]]) if len(kept) else float("inf")
