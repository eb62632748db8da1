"""How suites grew and slowed down over a window, and what it is put down to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.curves import Curve
from testlytics.report.groupings import GROUPS, grouped, grouping
from testlytics.report.sections import (
    Column,
    Row,
    Section,
    commit,
    count,
    label_column,
    name_column,
    percent,
    seconds,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from testlytics.report.groupings import Chosen
    from testlytics_analytics.trends import SuiteTrend
    from testlytics_collector.store.costs import Known
    from testlytics_collector.store.durations import Durations
    from testlytics_collector.store.growth import Stays
    from testlytics_collector.store.windowed import WindowReader

BY = (*GROUPS, "test", "run")
"""What trends can be told of, beside suites."""

_WORDS = {
    "added": "new tests",
    "removed": "removed tests",
    "slower": "tests that got slower",
    "faster": "tests that got faster",
    "rest": "all others, within their noise",
    "machine": "the machine",
    "all": "all together",
}
_OWN = ("added", "removed", "slower", "faster")
_FEW = "A trend takes two runs with tests that passed."


class _Suite(NamedTuple):
    durations: Durations
    stays: Stays
    trend: SuiteTrend
    tests: list[Known]


def trend_sections(asked: WindowReader, chosen: Chosen, by: str | None = None) -> list[Section]:
    """Tell how suites grew and slowed down over a window, each project and variant apart.

    Args:
        asked: The window.
        chosen: Which tests are looked at; the machine is estimated from all.
        by: One of `BY`: only one list is made, of these. Else, where None, those of suites, of
            folders, of owners where any is known, of new slow tests and of runs.
    """
    suites = sorted(_suites(asked, chosen), key=lambda one: one.durations[:2])
    if by == "run":
        return [_run_section(suites, asked, chosen)]
    if by is not None:
        return [_group_section(suites, by, chosen)]
    owned = any(chosen.owner_of(one.project, one.test_id) for one in chosen.tests)
    runs = _run_section(suites, asked, chosen)
    return [
        _suite_section(suites, runs.rows),
        _group_section(suites, "folder", chosen),
        *([_group_section(suites, "owner", chosen)] if owned else []),
        _newcomer_section(suites, asked),
        runs,
    ]


def _suites(asked: WindowReader, chosen: Chosen) -> Iterable[_Suite]:
    import numpy as np

    from testlytics_analytics.trends import TrendOptions, suite_trend

    tests = {one.key: one for one in asked.known_tests()}
    held = None if chosen.among is None else np.array(chosen.among, np.int64)
    for durations in asked.durations(TrendOptions().runs):
        stays = asked.stays(durations)
        among = None if held is None else np.isin(durations.tests, held)
        trend = suite_trend(np.log(durations.seconds), stays.first, stays.last, among)
        yield _Suite(durations, stays, trend, [tests[key] for key in durations.tests.tolist()])


def _suite_section(suites: Sequence[_Suite], runs: list[Row]) -> Section:
    """List what the change of each suite is put down to; the parts add up to all."""
    from testlytics_analytics.trends import PARTS

    rows: list[Row] = []
    for suite in suites:
        trend = suite.trend
        if not trend.compared:
            continue
        ends = trend.before.sum(axis=0).tolist(), trend.after.sum(axis=0).tolist()
        for index, part in enumerate(PARTS):
            tests = None if part == "machine" else int((trend.kinds == index).sum())
            rows.append(_part(suite, part, tests, ends[0][index], ends[1][index]))
        tests = int((trend.kinds >= 0).sum())
        rows.append(_part(suite, "all", tests, sum(ends[0]), sum(ends[1])))
    named = label_column(rows, "part") if rows else None
    columns = (
        Column("first", lambda r: _amount(r["before_s"]), right=True),
        Column("last", lambda r: _amount(r["after_s"]), right=True),
        Column("change", lambda r: _signed(r["change_s"]), right=True),
        Column("tests", lambda r: "" if r["tests"] is None else str(r["tests"]), right=True),
        Column("by", lambda r: named.text(r | {"part": _WORDS[r["part"]]}) if named else ""),
    )
    notes: list[str] = []
    curves: list[Curve] = []
    for suite in suites:
        if suite.trend.compared:
            start = f"{_name(suite)}: " if len(suites) > 1 else ""
            of = [row for row in runs if _of(suite).items() <= row.items()]
            notes += [f"{start}{note}" for note in _notes(suite, of)]
            curves += [one._replace(title=f"{start}{one.title}") for one in _curves(suite)]
    return Section(
        "trends",
        "Trends: seconds of tests a run",
        rows,
        columns,
        _FEW,
        notes=tuple(notes),
        curves=tuple(curves),
        counted=False,
    )


def _name(suite: _Suite) -> str:
    return " ".join(filter(None, [suite.durations.project, suite.durations.variant]))


def _part(suite: _Suite, part: str, tests: int | None, before_s: float, after_s: float) -> Row:
    return {
        **_of(suite),
        "part": part,
        "tests": tests,
        "before_s": before_s,
        "after_s": after_s,
        "change_s": after_s - before_s,
    }


def _of(suite: _Suite) -> Row:
    return {"project": suite.durations.project, "variant": suite.durations.variant}


def _notes(suite: _Suite, rows: list[Row]) -> list[str]:
    """Say what was compared, and whether tests are tried again too often.

    Args:
        suite: The suite.
        rows: Its runs, the newest first.
    """
    from testlytics_analytics.trends import TrendOptions, compared_runs, retry_trend

    options = TrendOptions()
    compared = count(suite.trend.compared, "run")
    notes = [f"First and last {compared} of {len(rows)}."]
    needed = options.slow.scan.before + options.slow.scan.shortest
    if len(rows) < needed:
        notes.append(f"Slower and faster tests can be told from noise after {needed} runs.")
    counted = [row for row in reversed(rows) if row["tests_run"] is not None]
    if counted:
        tests, retried = (_whole(row[key] for row in counted) for key in ("tests_run", "retried"))
        told = retry_trend(tests, retried, options)
        if told.is_finding:
            last = count(compared_runs(len(counted), options) or len(counted), "run")
            notes.append(
                f"Tried again: {_rate(told.after)} of tests in the last {last}, "
                f"{_rate(told.before)} in the first. More than {percent(options.retries)} is much."
            )
    return notes


def _curves(suite: _Suite) -> tuple[Curve, ...]:
    trend = suite.trend
    tests = [float(number) for number in trend.tests.tolist()]
    return (
        Curve("seconds", trend.steadied.tolist(), seconds),
        Curve("  tests", tests, lambda number: f"{number:.0f}"),
        Curve("machine", trend.factor.tolist(), lambda factor: f"{factor:.2f}"),
    )


def _whole(values: Iterable[int]) -> npt.NDArray[np.int64]:
    import numpy as np

    return np.array(list(values), np.int64)


def _group_rows(suite: _Suite, key: str, name_of: Callable[[Known], str | None]) -> Iterable[Row]:
    import numpy as np

    from testlytics_analytics.trends import MACHINE, PARTS, by_group

    trend = suite.trend
    held = (trend.kinds >= 0).nonzero()[0]
    groups = grouped([suite.tests[row] for row in held.tolist()], name_of)
    labels = _whole(groups.labels.values())
    ends = (by_group(end[held], labels, len(groups.names)) for end in (trend.before, trend.after))
    before, after = ends
    tests = np.bincount(labels, minlength=len(groups.names))
    for number, (_, name) in enumerate(groups.names):
        moved = after[number] - before[number]
        yield {
            "project": suite.durations.project,
            key: name,
            "variant": suite.durations.variant,
            "tests": int(tests[number]),
            "before_s": float(before[number].sum()),
            "after_s": float(after[number].sum()),
            "change_s": float(moved.sum()),
            "steady_before_s": float(before[number, :MACHINE].sum()),
            "steady_after_s": float(after[number, :MACHINE].sum()),
            "steady_change_s": float(moved[:MACHINE].sum()),
            **{f"{part}_s": float(moved[at]) for at, part in enumerate(PARTS)},
        }


def _group_section(suites: Sequence[_Suite], by: str, chosen: Chosen) -> Section:
    """List groups of tests, those first whose own change is largest."""
    name_of: Callable[[Known], str | None] = (
        (lambda test: test.test_id) if by == "test" else grouping(by, chosen.owner_of)
    )
    key = "test_id" if by == "test" else by
    rows = [row for suite in suites for row in _group_rows(suite, key, name_of)]
    rows.sort(
        key=lambda r: (
            -abs(r["steady_change_s"]),
            r["project"],
            r[key] is None,
            r[key] or "",
            r["variant"],
        )
    )
    columns = (
        Column("first", lambda r: _amount(r["steady_before_s"]), right=True),
        Column("last", lambda r: _amount(r["steady_after_s"]), right=True),
        Column("change", lambda r: _signed(r["steady_change_s"]), right=True),
        Column("mostly", _mostly),
        name_column(rows) if by == "test" else label_column(rows, by),
    )
    title = f"Trends by {by}, the machine left out"
    return Section(f"trends_by_{by}", title, rows, columns, _FEW)


def _mostly(row: Row) -> str:
    """Name what the change is mostly put down to; nothing where it is noise."""
    part = max(_OWN, key=lambda one: abs(row[f"{one}_s"]))
    return part if row[f"{part}_s"] else ""


def _newcomer_section(suites: Sequence[_Suite], asked: WindowReader) -> Section:
    """List the slow ones of the tests that were first seen in the window."""
    import numpy as np

    from testlytics_analytics.trends import slow_newcomers

    fresh = _whole(asked.fresh_tests())
    runs = asked.runs()
    rows: list[Row] = []
    for suite in suites:
        durations, stays = suite.durations, suite.stays
        new = np.isin(durations.tests, fresh)
        for one in slow_newcomers(suite.trend, stays.first, stays.last, new):
            since = runs[int(durations.steps[stays.first[one.row]])]
            rows.append(
                {
                    "project": durations.project,
                    "test_id": suite.tests[one.row].test_id,
                    "variant": durations.variant,
                    "typical_s": one.typical_s,
                    "share": one.share,
                    "rank": one.rank,
                    "since_run": since.run_id,
                    "since_commit": since.commit,
                    "since_at": since.started_at,
                }
            )
    rows.sort(key=lambda r: (-r["typical_s"], r["project"], r["test_id"], r["variant"]))
    columns = (
        Column("takes", lambda r: seconds(r["typical_s"]), right=True),
        Column("of suite", lambda r: percent(r["share"]), right=True),
        Column("rank", lambda r: str(r["rank"]), right=True),
        Column("since", lambda r: commit(r["since_commit"])),
        name_column(rows),
    )
    return Section("new_slow", "New slow tests", rows, columns, "No new test is slow.")


def _run_section(suites: Sequence[_Suite], asked: WindowReader, chosen: Chosen) -> Section:
    """List the runs of suites, the newest first."""
    runs = asked.runs()
    # The tests of one owner are not counted apart.
    tried = {} if chosen.among is not None else {one[:2]: one for one in asked.tries()}
    rows = []
    for suite in suites:
        trend, variant = suite.trend, suite.durations.variant
        for column, step in enumerate(suite.durations.steps.tolist()):
            run, tries = runs[step], tried.get((step, variant))
            rows.append(
                {
                    **_of(suite),
                    "run_id": run.run_id,
                    "position": run.position,
                    "started_at": run.started_at,
                    "commit": run.commit,
                    "tests": int(trend.tests[column]),
                    "measured_s": float(trend.measured[column]),
                    "steady_s": float(trend.steadied[column]),
                    "run_factor": float(trend.factor[column]),
                    "tests_run": tries and tries.tests,
                    "retried": tries and tries.retried,
                    "retry_rate": tries and tries.retried / tries.tests,
                }
            )
    rows.sort(key=lambda r: (r["project"], r["variant"], -r["position"]))
    return Section("trends_by_run", "Trends by run", rows, _run_columns(rows), _FEW)


def _run_columns(rows: list[Row]) -> tuple[Column, ...]:
    return (
        Column("when (UTC)", lambda r: str(r["started_at"])[:16]),
        Column("tests", lambda r: str(r["tests"]), right=True),
        Column("measured", lambda r: seconds(r["measured_s"]), right=True),
        Column("steady", lambda r: seconds(r["steady_s"]), right=True),
        Column("machine", lambda r: f"{r['run_factor']:.2f}", right=True),
        Column("retried", lambda r: percent(r["retry_rate"]), right=True),
        replace(label_column(rows, "run_id"), title="run"),
    )


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{_amount(value)}"


def _amount(value: float) -> str:
    """Write seconds that may be negative: a machine faster than usual takes some away."""
    if abs(value) < 5e-7:
        return "0 s"
    return f"{'-' if value < 0 else ''}{seconds(abs(value))}"
