"""The list of tests that got slower, out of the durations of a window."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

from testlytics.report.sections import Column, Row, Section, commit, count, name_column, seconds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from testlytics_analytics.durations.slowdowns import Slowdowns
    from testlytics_collector.store.durations import Durations
    from testlytics_collector.store.windowed import RunRow, WindowReader

USUAL = 1.2
"""The reference rule: slower is beyond the baseline times this."""


def slower_tests(asked: WindowReader) -> Section:
    """List the tests of a window that got slower and stayed so, the largest increase first.

    Args:
        asked: The window; each project and variant is judged for itself.
    """
    import numpy as np

    from testlytics_analytics.durations.slowdowns import SlowdownOptions, slowdowns

    options = SlowdownOptions()
    runs = asked.runs()
    rows: list[Row] = []
    judged = decoys = 0
    for durations in asked.durations(options.runs):
        told = slowdowns(np.log(durations.seconds), options)
        judged, decoys = judged + told.judged, decoys + told.decoys
        rows += _rows(durations, told, runs, asked)
    needed = options.scan.before + options.scan.shortest
    empty = "No test got slower." if judged else f"No baseline yet: a test needs {needed} runs."
    return regression_section(rows, decoys, empty)


def regression_section(rows: list[Row], decoys: int, empty: str) -> Section:
    """Make the list.

    Args:
        rows: The tests, in any order.
        decoys: How many others got faster as clearly: so many of these may be chance.
        empty: What is said where there are none.
    """
    rows = sorted(
        rows, key=lambda r: (r["baseline_s"] - r["current_s"], r["project"], r["test_id"])
    )
    return Section(
        "regressions",
        "Slower tests",
        rows,
        _columns(rows),
        empty,
        notes=_notes(len(rows), decoys),
    )


def _rows(
    durations: Durations, told: Slowdowns, runs: Sequence[RunRow], asked: WindowReader
) -> list[Row]:
    names = asked.names([int(durations.tests[one.row]) for one in told.found])
    made = []
    for one in told.found:
        values = durations.seconds[one.row]
        since = runs[int(durations.steps[one.start])]
        newest_s = _newest(values)
        made.append(
            {
                "project": durations.project,
                "test_id": names[int(durations.tests[one.row])],
                "variant": durations.variant,
                "baseline_s": round(one.before_s, 6),
                "baseline_runs": one.before_runs,
                "current_s": round(one.after_s, 6),
                "newest_s": newest_s,
                "ratio": round(one.ratio, 4),
                "score": round(one.score, 3),
                "held": one.runs,
                "since_run": since.run_id,
                "since_commit": since.commit,
                "beyond_factor": newest_s > one.before_s * USUAL,
            }
        )
    return made


def _newest(values: npt.NDArray[np.float32]) -> float:
    return next(float(round(value, 6)) for value in reversed(values.tolist()) if not isnan(value))


def _columns(rows: list[Row]) -> tuple[Column, ...]:
    return (
        Column("before", lambda r: seconds(r["baseline_s"]), right=True),
        Column("now", lambda r: seconds(r["current_s"]), right=True),
        Column("ratio", lambda r: f"{r['ratio']:.2f}", right=True),
        Column("for", lambda r: count(r["held"], "run"), right=True),
        Column("since", lambda r: commit(r["since_commit"])),
        name_column(rows),
    )


def _notes(found: int, decoys: int) -> tuple[str, ...]:
    """Say how many may be chance: as many as got faster as clearly."""
    if not found or not decoys:
        return ()
    return (
        f"{count(decoys, 'test')} got faster as clearly: up to so many of these may be chance.",
    )
