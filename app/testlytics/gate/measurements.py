"""Which measurements a change made worse: benchmarks, load tests, coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from testlytics.gate.failures import once_in
from testlytics.gate.findings import Finding
from testlytics.report.measurements import amount, change_text, metrics_of
from testlytics.report.sections import count

if TYPE_CHECKING:
    from testlytics_analytics.durations.fresh_metrics import FreshChange
    from testlytics_analytics.durations.metrics import Metric
    from testlytics_collector.store.measured import Measured

_TOTAL = "total"


class Worse(NamedTuple):
    """What became of measurements.

    Attributes:
        findings: Series that got worse; the level is left open.
        judged: Series that have values enough to be judged.
        notes: What is missing where none has.
    """

    findings: list[Finding]
    judged: int
    notes: list[str]


class _Series(NamedTuple):
    """All that tells one series from others."""

    name: str
    variant: str
    metric: str
    unit: str
    good: str


def worse(
    values: Sequence[Measured], newest: int, start: int, void: Collection[int], *, whole: bool
) -> Worse:
    """Find the measurements that got worse with the change.

    Of a run's coverage the total is judged where there is one: which files it lost in,
    `report --coverage` tells.

    Args:
        values: What was measured in the window, of one project.
        newest: Step of the run to judge.
        start: Step of the change's first run.
        void: Steps that say nothing.
        whole: Whether all of the suite ran; the coverage of a part says nothing.
    """
    judged_by = metrics_of("benchmarks") | (metrics_of("coverage") if whole else {})
    series: dict[_Series, dict[int, float]] = defaultdict(dict)
    for one in values:
        if one.metric in judged_by and one.step not in void:
            key = _Series(one.name, one.variant, one.metric, one.unit, one.good)
            series[key][one.step] = one.value
    told = _told([key for key, known in series.items() if newest in known])
    if not told:
        return Worse([], 0, [])
    import numpy as np

    from testlytics_analytics.durations.fresh_metrics import FreshMetricOptions, fresh_changes

    steps = sorted({step for key in told for step in series[key]})
    first = int(np.searchsorted(steps, start))
    found, judged = [], 0
    for key in told:
        row = np.array([[series[key].get(step, np.nan) for step in steps]])
        fresh = fresh_changes(row, first, _metric(key, judged_by), len(told))
        judged += fresh.judged
        found += [_finding(key, one) for one in fresh.worse]
    needed = FreshMetricOptions().before
    notes = [] if judged else [f"Measurements are judged from {needed} earlier values on."]
    return Worse(found, judged, notes)


def _told(keys: Sequence[_Series]) -> list[_Series]:
    """Return the series that are judged, in their order: of coverage the total, if there is one."""
    coverage = metrics_of("coverage")
    whole = {(one.variant, one.metric) for one in keys if one.name == _TOTAL}
    return sorted(
        one
        for one in keys
        if one.metric not in coverage
        or one.name == _TOTAL
        or (one.variant, one.metric) not in whole
    )


def _metric(key: _Series, judged_by: Mapping[str, Metric]) -> Metric:
    return replace(judged_by[key.metric], good="higher" if key.good == "higher" else "lower")


def _finding(key: _Series, one: FreshChange) -> Finding:
    before, after = amount(one.before, key.unit), amount(one.after, key.unit)
    moved = change_text(one.before, one.after, key.unit)
    reason = (
        f"{key.metric} {before} -> {after}, {moved}, in {count(one.values, 'run')} of this change "
        f"after {count(one.before_runs, 'run')}; by chance once in {once_in(one.chance)} runs"
    )
    details = {
        "metric": key.metric,
        "unit": key.unit,
        "good": key.good,
        "before": one.before,
        "after": one.after,
        "runs": one.values,
        "baseline_runs": one.before_runs,
        "score": round(one.score, 3),
        "chance": one.chance,
    }
    return Finding("measurement", "", key.name, key.variant, reason, None, details)
