"""Which tests a change made slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from testlytics.gate.failures import once_in
from testlytics.gate.findings import Finding
from testlytics.report.sections import count, seconds
from testlytics_analytics.durations.fresh import Fresh, FreshOptions, fresh_slowdowns
from testlytics_collector.store.screen import Screen

if TYPE_CHECKING:
    from testlytics_collector.store.gating import GateReader, Timings
    from testlytics_collector.store.windowed import WindowReader

SCREEN = Screen(ratio=1.15, margin_s=0.005, beyond=0.05)
"""A test that is not even so much slower in the newest run is passed over."""


class Slower(NamedTuple):
    """What became of durations.

    Attributes:
        findings: Tests that got slower; the level is left open.
        factors: Run factor of the newest run by variant.
        notes: How many more runs would tell, where tests may have got slower.
    """

    findings: list[Finding]
    factors: Mapping[str, float]
    notes: list[str]


def slower(
    asked: WindowReader,
    reader: GateReader,
    start: int,
    tests: Mapping[str, int],
    options: FreshOptions | None = None,
) -> Slower:
    """Find the tests that got slower with the change.

    Args:
        asked: The window.
        reader: Asks about its newest run.
        start: Step of the change's first run.
        tests: How many tests the run has, by variant.
        options: Constants; the defaults where None.
    """
    found: list[Finding] = []
    factors: dict[str, float] = {}
    notes: list[str] = []
    for timed in reader.timings(start, SCREEN):
        first = int(np.searchsorted(timed.steps, start))
        told = fresh_slowdowns(np.log(timed.seconds), first, tests[timed.variant], options)
        factors[timed.variant] = timed.run_factor
        sure = [one for one in told.found if int(timed.tests[one.row]) in timed.suspects]
        doubtful = [one for one in told.suspected if int(timed.tests[one.row]) in timed.suspects]
        names = asked.names([int(timed.tests[one.row]) for one in (*sure, *doubtful)])
        found += [_finding(one, timed, names) for one in sure]
        notes += _notes(doubtful, timed, names)
    return Slower(found, factors, notes)


def _finding(one: Fresh, timed: Timings, names: Mapping[int, str]) -> Finding:
    reason = (
        f"{seconds(one.before_s)} -> {seconds(one.after_s)}, {one.ratio:.2f} times, in "
        f"{count(one.values, 'run')} of this change after {count(one.before_runs, 'run')}; "
        f"in an unchanged suite once in {once_in(one.chance)} runs"
    )
    details = {
        "before_s": round(one.before_s, 6),
        "after_s": round(one.after_s, 6),
        "ratio": round(one.ratio, 4),
        "runs": one.values,
        "baseline_runs": one.before_runs,
        "score": round(one.score, 3),
        "chance": one.chance,
    }
    return Finding(
        "slower", "", names[int(timed.tests[one.row])], timed.variant, reason, None, details
    )


def _notes(doubtful: Sequence[Fresh], timed: Timings, names: Mapping[int, str]) -> list[str]:
    if not doubtful:
        return []
    first = doubtful[0]
    needed = max(one.needed for one in doubtful)
    others = f" and {count(len(doubtful) - 1, 'other test')}" if len(doubtful) > 1 else ""
    variant = f" ({timed.variant})" if timed.variant else ""
    note = f"Maybe slower: {names[int(timed.tests[first.row])]}{variant}, {first.ratio:.2f} times"
    return [f"{note}{others}. {count(needed, 'more run')} of this change would tell."]
