"""The lists of benchmarks and of coverage: where each series stands, and which changed for good."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.sections import (
    Column,
    Row,
    Section,
    commit,
    count,
    label_column,
    percent,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from testlytics_analytics.durations.metrics import Change, Metric
    from testlytics_collector.store.measured import Measured
    from testlytics_collector.store.windowed import RunRow, WindowReader

_TITLES = {"benchmarks": "Benchmarks and load tests", "coverage": "Coverage"}
_FIRST = {"worse": 0, "better": 1}
_DASH = "-"


class _Group(NamedTuple):
    """Series that are judged together: they differ in their names alone."""

    project: str
    variant: str
    metric: str
    unit: str
    good: str


class _Finding(NamedTuple):
    """What was found in a series."""

    judgement: str | None
    before: float | None = None
    since: RunRow | None = None
    score: float | None = None


def measured_sections(asked: WindowReader, names: Collection[str]) -> dict[str, Section]:
    """Make the lists that `measured_section` knows of those that are wanted, by name."""
    return {name: measured_section(asked, name) for name in _TITLES if name in names}


def measured_section(asked: WindowReader, name: str) -> Section:
    """List the series of a window: those that got worse first, the clearest of them at the top.

    Args:
        asked: The window.
        name: `benchmarks`, which are load tests as well, or `coverage`.

    Returns:
        Rows with `project`, `name`, `variant`, `metric`, `unit`, `good`; `runs` that have a value;
        `value` of the newest of them, `run_id` and `commit`; `baseline`, the median of the values
        before the change, or of all but the newest; `change` and `change_ratio` against it, null
        without one; `judgement`: worse, better, steady, null with too few values; and since when,
        `since_run_id` and `since_commit`, with its `score`, null where nothing changed.
    """
    metrics = metrics_of(name)
    groups: dict[_Group, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for one in asked.measurements():
        if one.metric in metrics:
            groups[_group(one)][one.name][one.step] = one.value
    runs = asked.runs() if groups else []
    rows = [
        row
        for group, series in groups.items()
        for row in _rows(group, series, metrics[group.metric], runs)
    ]
    rows.sort(key=_place)
    return Section(
        name,
        _TITLES[name],
        rows,
        _columns(rows),
        f"No {'coverage' if name == 'coverage' else 'measurements'} yet: ingest what measured it.",
        notes=_notes(rows),
    )


def metrics_of(name: str) -> dict[str, Metric]:
    """Return how each metric of a list is judged. Of a benchmark's times only the median is."""
    from testlytics_analytics.durations import metrics

    if name == "coverage":
        return dict.fromkeys(("line-coverage", "branch-coverage"), metrics.COVERAGE)
    times = ("time-median", "cpu-mean", "latency-p50", "latency-p95", "latency-p99")
    return dict.fromkeys(times, metrics.LATENCY) | {
        "throughput": metrics.THROUGHPUT,
        "failure-rate": metrics.RATE,
    }


def _group(one: Measured) -> _Group:
    return _Group(one.project, one.variant, one.metric, one.unit, one.good)


def _place(row: Row) -> tuple[object, ...]:
    names = (row["name"] != "total", row["name"], row["metric"], row["project"], row["variant"])
    return _FIRST.get(row["judgement"], 2), -(row["score"] or 0), *names


def _rows(
    group: _Group,
    series: Mapping[str, Mapping[int, float]],
    metric: Metric,
    runs: Sequence[RunRow],
) -> list[Row]:
    import numpy as np

    from testlytics_analytics.durations.metrics import MetricOptions, changes

    options = MetricOptions()
    names = sorted(series)
    steps = sorted({step for values in series.values() for step in values})[-options.runs :]
    table = np.array([[series[name].get(step, np.nan) for step in steps] for name in names])
    if metric.scale == "log":
        table[~(table > 0)] = np.nan  # a clock too coarse says 0, which is no duration
    found = changes(table, replace(metric, good="higher" if group.good == "higher" else "lower"))
    told = {one.row: _found("worse", one, steps, runs) for one in found.worse}
    told |= {one.row: _found("better", one, steps, runs) for one in found.better}
    needed = options.scan.before + options.scan.shortest
    enough = (np.isfinite(table).sum(axis=1) >= needed).tolist()
    return [
        _row(group, name, series[name], told.get(at) or _Finding("steady" if known else None), runs)
        for at, (name, known) in enumerate(zip(names, enough, strict=True))
    ]


def _found(
    judgement: str, change: Change, steps: Sequence[int], runs: Sequence[RunRow]
) -> _Finding:
    return _Finding(judgement, change.before, runs[steps[change.start]], change.score)


def _row(
    group: _Group,
    name: str,
    values: Mapping[int, float],
    found: _Finding,
    runs: Sequence[RunRow],
) -> Row:
    newest = max(values)
    before, value, since = found.before, values[newest], found.since
    earlier = [value for step, value in values.items() if step != newest]
    if before is None and earlier:
        before = median(earlier)
    return {
        "project": group.project,
        "name": name,
        "variant": group.variant,
        "metric": group.metric,
        "unit": group.unit,
        "good": group.good,
        "runs": len(values),
        "value": value,
        "run_id": runs[newest].run_id,
        "commit": runs[newest].commit,
        "baseline": before,
        "change": None if before is None else value - before,
        "change_ratio": value / before if before else None,
        "judgement": found.judgement,
        "since_run_id": since.run_id if since else None,
        "since_commit": since.commit if since else None,
        "score": found.score,
    }


def _columns(rows: list[Row]) -> tuple[Column, ...]:
    named = label_column(rows, "name")
    return (
        Column("newest", lambda r: amount(r["value"], r["unit"]), right=True),
        Column("baseline", lambda r: amount(r["baseline"], r["unit"]), right=True),
        Column("change", _change, right=True),
        Column("runs", lambda r: str(r["runs"]), right=True),
        Column("judgement", _judgement),
        Column("metric", lambda r: str(r["metric"])),
        replace(named, title="of"),
    )


def _judgement(row: Row) -> str:
    if row["since_run_id"] is None:
        return row["judgement"] or "too few runs"
    since = commit(row["since_commit"]) if row["since_commit"] else row["since_run_id"]
    return f"{row['judgement']} since {since}"


def _change(row: Row) -> str:
    return (
        _DASH if row["change"] is None else change_text(row["baseline"], row["value"], row["unit"])
    )


def change_text(before: float, after: float, unit: str) -> str:
    """Write a change for people: in points of what is a share, else as a share of the baseline."""
    if unit in {"percent", "ratio"}:
        points = (after - before) * (100 if unit == "ratio" else 1)
        return f"{points:+.1f} points"
    return f"{100 * (after / before - 1):+.1f} %" if before else _DASH


def amount(value: float | None, unit: str) -> str:
    """Write a value for people, `-` where there is none."""
    if value is None:
        return _DASH
    if unit == "s":
        return f"{value * 1e9:.3g} ns" if 0 < value < 0.9995e-6 else seconds(value)
    if unit == "percent":
        return f"{value:.1f} %"
    if unit == "ratio":
        return percent(value)
    shown = f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    return f"{shown}/s" if unit == "1/s" else f"{shown} {unit}"


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    worse, better = (sum(row["judgement"] == one for row in rows) for one in _FIRST)
    if not worse:
        return ()
    told = count(better, "series", "series")
    return (f"{told} got better: where nothing really changes, as many get worse by chance.",)
