"""The list of tests that got slower, out of the durations of a window."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from testlytics.report.causes import between, causes_of, place_row, scope_rows, shared
from testlytics.report.sections import (
    Column,
    Row,
    Section,
    commit,
    count,
    name_column,
    percent,
    seconds,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from testlytics_analytics.durations.groups import Late
    from testlytics_analytics.durations.phases import Guilty
    from testlytics_analytics.durations.slowdowns import Slowdowns
    from testlytics_collector.store.durations import Durations
    from testlytics_collector.store.windowed import RunRow, WindowReader

_TOLD_SHARE = 0.005

USUAL = 1.2
"""The reference rule: slower is beyond the baseline times this."""

_PHASES = {"setup": "set-up", "teardown": "teardown"}
"""Phases worth a word: the test itself is where a slowdown is looked for anyway."""


def slower_tests(asked: WindowReader) -> Section:
    """List the tests of a window that got slower and stayed so, by what they have in common.

    Args:
        asked: The window; each project and variant is judged for itself, and slowdowns of one
            project that began at one place are told together.
    """
    import numpy as np

    from testlytics_analytics.durations.slowdowns import SlowdownOptions, slowdowns

    options = SlowdownOptions()
    runs = asked.runs()
    found: dict[str, list[_Slower]] = defaultdict(list)
    judged: dict[str, int] = defaultdict(int)
    by_chance = 0.0
    for durations in asked.durations(options.runs):
        told = slowdowns(np.log(durations.seconds), options)
        judged[durations.project] += told.judged
        by_chance += told.by_chance
        if told.found:
            found[durations.project] += _slower(durations, told, runs, asked)
    needed = options.scan.before + options.scan.shortest
    some = any(judged.values())
    empty = "No test got slower." if some else f"No baseline yet: a test needs {needed} runs."
    groups = _groups(found, judged, runs, asked)
    rows = [one.row for slower in found.values() for one in slower]
    return regression_section(rows, by_chance, empty, groups)


def regression_section(
    rows: list[Row], by_chance: float, empty: str, groups: list[Row] | None = None
) -> Section:
    """Make the list: the group whose tests lost most comes first, folded ones come last.

    Args:
        rows: The tests, in any order; with `group` where there are groups.
        by_chance: How many of them are expected to be chance.
        empty: What is said where there are none.
        groups: What tests have in common, see `Section`.
    """
    order = {one["group"]: (one["folded"], -one["increase_s"]) for one in groups or ()}

    def place(row: Row) -> tuple[object, ...]:
        group = row.get("group", 0)
        lost = row["baseline_s"] - row["current_s"]
        return *order.get(group, (False, 0)), group, lost, row["project"], row["test_id"]

    rows = sorted(rows, key=place)
    return Section(
        "regressions",
        "Slower tests",
        rows,
        _columns(rows),
        empty,
        notes=_notes(len(rows), by_chance),
        groups=groups,
    )


@dataclass(frozen=True, slots=True)
class _Slower:
    row: Row
    late: Late


def _slower(
    durations: Durations, told: Slowdowns, runs: Sequence[RunRow], asked: WindowReader
) -> list[_Slower]:
    from testlytics_analytics.durations.groups import Late, onset_of, onsets

    keys = [int(durations.tests[one.row]) for one in told.found]
    names = asked.names(keys)
    logs = onsets(told.steadied, [one.start for one in told.found])
    phases = _phases(durations, told, keys, asked)
    made = []
    for at, (one, key) in enumerate(zip(told.found, keys, strict=True)):
        values = durations.seconds[one.row]
        since = runs[int(durations.steps[one.start])]
        late = Late(names[key], durations.variant, one.ratio, durations.steps, logs[at])
        after, until = onset_of(late)
        newest_s = _newest(values)
        phase = phases[at]
        row = {
            "project": durations.project,
            "test_id": names[key],
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
            **place_row(runs[after], runs[until]),
            "phase": phase and phase.phase,
            "phase_share": phase and round(phase.share, 3),
        }
        made.append(_Slower(row, late))
    return made


def _phases(
    durations: Durations, told: Slowdowns, keys: list[int], asked: WindowReader
) -> list[Guilty | None]:
    from testlytics_analytics.durations.phases import guilty_phase

    parts = asked.phases(durations, keys)._asdict()
    return [
        guilty_phase({name: rows[at] for name, rows in parts.items()}, one.start, told.factor)
        for at, one in enumerate(told.found)
    ]


def _groups(
    found: Mapping[str, list[_Slower]],
    judged: Mapping[str, int],
    runs: Sequence[RunRow],
    asked: WindowReader,
) -> list[Row]:
    """Put slowdowns together that began at one place, and number them in their rows."""
    if not found:
        return []
    from testlytics_analytics.durations.groups import is_environment, regressions

    told = [
        (project, one, [slower[at] for at in one.members])
        for project, slower in found.items()
        for one in regressions([one.late for one in slower], judged[project])
    ]
    members = [(project, [one.late[:2] for one in held]) for project, _, held in told]
    groups = []
    shared_by = zip(told, causes_of(asked, members), strict=True)
    for number, ((project, one, held), causes) in enumerate(shared_by, 1):
        rows = [slower.row for slower in held]
        for row in rows:
            row["group"] = number
        group: Row = {
            "group": number,
            "project": project,
            "tests": len(rows),
            "judged": judged[project],
            "ratio": round(one.ratio, 4),
            "increase_s": round(sum(row["current_s"] - row["baseline_s"] for row in rows), 6),
            **place_row(
                runs[one.onset.after] if one.onset.after >= 0 else None, runs[one.onset.until]
            ),
            "causes": scope_rows(causes),
            "phase": _phase(rows),
            "folded": is_environment(one, causes),
        }
        groups.append(group | {"text": _text(group)})
    return groups


def _phase(rows: list[Row]) -> str | None:
    """Return the phase that most tests of a group got slower in."""
    [(phase, times)] = Counter(row["phase"] for row in rows).most_common(1)
    return phase if times * 2 > len(rows) else None


def _text(group: Row) -> str:
    """Write a group's line."""
    since = between(group, "95 %")
    number, phase = group["tests"], group["phase"]
    where = f"mostly in {_PHASES[phase]}" if phase in _PHASES else ""
    if group["folded"]:
        return (
            f"{number} of {count(group['judged'], 'test')} at once, {since}, by"
            f" {group['ratio']:.2f}: the environment, or what all of them use."
        )
    if number == 1:
        return ", ".join(filter(None, [f"{since[0].upper()}{since[1:]}", where]))
    told = [f"{count(number, 'test')} {since}", shared(group["causes"], number), where]
    return ", ".join(filter(None, told))


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


def _notes(found: int, by_chance: float) -> tuple[str, ...]:
    """Say which share may be chance, where it is one that matters."""
    share = min(1.0, by_chance / found) if found else 0.0
    if share < _TOLD_SHARE:
        return ()
    return (f"About {percent(share)} of them are expected to be chance.",)
