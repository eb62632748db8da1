"""How long one test in one variant took: its levels, what is usual now, and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

    from testlytics.explain.outcomes import Series
    from testlytics_analytics.durations.robust import Matrix
    from testlytics_analytics.durations.segments import Segment
    from testlytics_collector.store.one_test import Seen, Timed

Row = dict[str, Any]

RATIO = 1.05
FLOOR_S = 0.005
"""A change of level is told that is by so much larger and so many seconds, as in reports."""

_BAND = 1.959963984540054
_LEAST = 5


class Speeds(NamedTuple):
    """What the durations of one series say.

    Attributes:
        levels: Stretches of runs with one level, the oldest first; see `speeds`.
        baseline: What is usual now; None without enough runs.
        phases: Seconds and share of each part; None where nobody told of them.
        machine: Whether what the machine did was taken out of the levels.
    """

    levels: list[Row]
    baseline: Row | None
    phases: list[Row] | None
    machine: bool


def speeds(series: Series, beside: Timed) -> Speeds:
    """Judge the durations of one series.

    Args:
        series: The test.
        beside: Durations of other tests in the same runs.

    Returns:
        Levels have `from_run`, `from_commit` (null in the first), `after_run`, `after_commit`,
        `until_run`, `until_commit` (it began after the one and at or before the other with 95 %
        probability; null in the first), `runs`, `median_s`, `ratio` to the level before (null in
        the first), `matters` (by 5 % and 5 ms, false in the first). The baseline has `runs`,
        `median_s`, `low_s`, `high_s`: 95 % of its runs are expected between them.
    """
    import numpy as np

    from testlytics_analytics.durations.segments import segments

    timed = [one for one in series.seen if one.duration_us and one.step not in series.void]
    if not timed:
        return Speeds([], None, None, machine=False)
    own = np.log(np.array([one.duration_us for one in timed], np.float32) * 1e-6)
    steadied, machine = _steadied(own, timed, beside)
    found = segments(steadied)
    newest = timed[found[-1].start :]
    phases = _phases(newest)
    return Speeds(_levels(series, timed, found), _baseline(steadied, found[-1]), phases, machine)


def _steadied(own: Matrix, timed: Sequence[Seen], beside: Timed) -> tuple[Matrix, bool]:
    """Take out what the machine did to other tests in the same runs."""
    import numpy as np

    from testlytics_analytics.durations.run_factor import FactorOptions, steady

    columns = {one.step: column for column, one in enumerate(timed)}
    keys = {key: row for row, key in enumerate(dict.fromkeys(key for key, _ in beside), 1)}
    options = FactorOptions()
    if len(keys) < options.tests or len(timed) < 2:
        return own, False
    matrix = np.full((len(keys) + 1, len(timed)), np.nan, np.float32)
    matrix[0] = own
    for (key, step), micros in beside.items():
        if step in columns:
            matrix[keys[key], columns[step]] = np.log(micros * 1e-6)
    # The others say what the machine did; the test itself has no say.
    trusted = np.arange(len(matrix)) > 0
    left = steady(matrix, trusted, options).residuals[0]
    return left + np.float32(np.median(own)), True


def _levels(series: Series, timed: Sequence[Seen], found: Sequence[Segment]) -> list[Row]:
    from math import exp

    rows: list[Row] = []
    for at, one in enumerate(found):
        row: Row = dict.fromkeys(
            ("from_run", "from_commit", "after_run", "after_commit", "until_run", "until_commit")
        )
        median_s = exp(one.level)
        ratio = None
        if at:
            places = {"from": one.start, "after": one.first - 1, "until": one.last}
            for name, column in places.items():
                run = series.runs[timed[max(column, 0)].step]
                row |= {f"{name}_run": run.run_id, f"{name}_commit": run.commit}
            ratio = median_s / rows[-1]["median_s"]
        row |= {"runs": one.runs, "median_s": round(median_s, 6), "ratio": ratio}
        matters = ratio is not None and max(ratio, 1 / ratio) >= RATIO
        row["matters"] = matters and abs(median_s - rows[-1]["median_s"]) >= FLOOR_S
        rows.append(row)
    return rows


def _baseline(steadied: Matrix, newest: Segment) -> Row | None:
    import numpy as np

    from testlytics_analytics.durations.robust import MAD_TO_SIGMA
    from testlytics_analytics.durations.segments import SegmentOptions

    values: npt.NDArray[np.float32] = steadied[newest.start :]
    if len(values) < _LEAST:
        return None
    away = float(np.median(np.abs(values - newest.level))) * MAD_TO_SIGMA
    half = _BAND * max(away, SegmentOptions().tick)
    low_s, high_s = (float(np.exp(newest.level + side * half)) for side in (-1, 1))
    return {
        "runs": len(values),
        "median_s": round(float(np.exp(newest.level)), 6),
        "low_s": round(low_s, 6),
        "high_s": round(high_s, 6),
    }


def _phases(newest: Sequence[Seen]) -> list[Row] | None:
    """Return the medians of the parts over the newest level, and their shares."""
    from statistics import median

    parts = [
        (one.setup_us, one.duration_us - one.setup_us - one.teardown_us, one.teardown_us)
        for one in newest
        if one.duration_us and one.setup_us is not None and one.teardown_us is not None
    ]
    if not parts:
        return None
    medians = [max(0.0, median(column)) / 1e6 for column in zip(*parts, strict=True)]
    whole = sum(medians)
    return [
        {"phase": name, "median_s": round(value, 6), "share": value / whole if whole else None}
        for name, value in zip(("setup", "call", "teardown"), medians, strict=True)
    ]
