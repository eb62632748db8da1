"""Everything a page tells, asked of one window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.groupings import Chosen
from testlytics.report.sections import Report, Row, Section

if TYPE_CHECKING:
    from testlytics.owners import Owners
    from testlytics.report.impact import Told
    from testlytics_analytics.durations.segments import Segment
    from testlytics_analytics.status import Judgement
    from testlytics_analytics.trends import RetryTrend
    from testlytics_collector.store.impact import Said
    from testlytics_collector.store.windowed import Failing, RunRow, WindowReader

SLOWEST = 25
"""Tests of each list of slow ones."""

Key = tuple[str, str, str]
"""Project, test id and variant."""


class SuiteCurve(NamedTuple):
    """A suite's duration over the runs.

    Attributes:
        project: Namespace of its tests.
        variant: The variant.
        rows: Its runs, the oldest first, as the list of trends by run has them.
        levels: The levels of its duration without the machine, in log seconds; columns are indexes
            of `rows`.
    """

    project: str
    variant: str
    rows: list[Row]
    levels: list[Segment]


class Series(NamedTuple):
    """The durations of one test.

    Attributes:
        steps: Which runs, as indexes of the window's runs.
        seconds: One for each; NaN where there is none.
    """

    steps: list[int]
    seconds: list[float]


class Cause(NamedTuple):
    """Failures with one likely cause.

    Attributes:
        project: Namespace of the tests.
        text: What they say, with placeholders for what differs.
        example: One of them as it was: type and message; None where nothing was said.
        place: Where that was raised, `file:line`; None where unknown.
        failures: How many there were …
        tests: … of how many tests …
        runs: … in how many runs.
        first: The run in which it was first seen, as an index …
        last: … and last.
    """

    project: str
    text: str
    example: str | None
    place: str | None
    failures: int
    tests: int
    runs: int
    first: int
    last: int


class Gathered(NamedTuple):
    """What a page is made of.

    Attributes:
        report: The summary and all lists but the slow ones.
        runs: The runs of the window.
        judged: The judgement on the tests that failed.
        histories: What became of them, by test.
        slow: Lists of the slowest, by what they are ordered by.
        folders: What folders cost a run.
        curves: Durations of the suites, the longest first.
        series: Durations of the tests that got slower.
        causes: What failures have in common, the commonest first.
        retries: How often tests are tried again; None where nothing was run.
        told: What failures and long tests cost.
        owner_of: The owner of the tests that are listed; those without any are left out.
    """

    report: Report
    runs: list[RunRow]
    judged: Judgement
    histories: dict[Key, Failing]
    slow: dict[str, Section]
    folders: Section
    curves: list[SuiteCurve]
    series: dict[Key, Series]
    causes: list[Cause]
    retries: RetryTrend | None
    told: Told
    owner_of: dict[tuple[str, str], str]

    def section(self, name: str) -> Section:
        """Return a list of the report by its name."""
        return next(one for one in self.report.sections if one.name == name)


def gather(asked: WindowReader, owners: Owners | None, owner: str | None) -> Gathered:
    """Ask a window for everything; it must not be empty.

    Args:
        asked: The window.
        owners: The rules of CODEOWNERS; None where there are none.
        owner: Only tests of this owner are listed; the summary is of all.
    """
    from testlytics.api import judge_window
    from testlytics.report.costs import timed_section
    from testlytics.report.impact import find_impact, impact_sections
    from testlytics.report.sections import summarise
    from testlytics.report.slowdowns import slower_tests
    from testlytics.report.trends import trend_sections
    from testlytics_analytics.outcome_verdicts import VerdictOptions

    chosen = Chosen(asked, owners, owner)
    runs = asked.runs()
    # In one order every time: what is as bad keeps it.
    failing = sorted(asked.histories(), key=lambda one: one[:3])
    judged, void = judge_window(asked, runs, None, failing)
    slower = slower_tests(asked)
    trends = trend_sections(asked, chosen)
    told = find_impact(asked, judged.rows, runs, void)
    calm = asked.calm(VerdictOptions().settled, void)
    listed = [*_outcomes(asked, chosen, judged, runs), chosen.kept(slower), *trends]
    report = Report(
        *summarise(runs, judged, calm, slower, void),
        [*listed, *impact_sections(told, judged.rows, chosen)],
    )
    by_run = next(one.rows for one in trends if one.name == "trends_by_run")
    return Gathered(
        report,
        runs,
        chosen.judged(judged),
        {one[:3]: one for one in failing},
        {
            sort: timed_section(asked, chosen, "slowest", by=None, sort=sort, limit=SLOWEST)
            for sort in ("total", "median", "p95")
        },
        timed_section(asked, chosen, "slowest", by="folder", sort="total", limit=None),
        _curves(by_run),
        _series(asked, slower.shown()),
        _causes(asked, runs, chosen),
        _retries(by_run),
        told,
        _owners(report.sections, chosen),
    )


def _outcomes(
    asked: WindowReader, chosen: Chosen, judged: Judgement, runs: Sequence[RunRow]
) -> list[Section]:
    from testlytics.report.breakages import broken_places
    from testlytics.report.sections import broken_section, flaky_section

    ours = chosen.judged(judged)
    broken = broken_section(ours.rows, broken_places(asked, ours.rows, runs))
    return [flaky_section(ours), broken]


def _curves(rows: Iterable[Row]) -> list[SuiteCurve]:
    """Cut the duration of each suite into levels.

    Args:
        rows: Runs of suites, the newest of each first.
    """
    import numpy as np

    from testlytics_analytics.durations.segments import segments

    suites: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        suites[row["project"], row["variant"]].insert(0, row)
    made = []
    for (project, variant), some in suites.items():
        steady = np.array([max(row["steady_s"], 1e-6) for row in some])
        made.append(SuiteCurve(project, variant, some, segments(np.log(steady))))
    made.sort(key=lambda one: (-one.rows[-1]["steady_s"], one.project, one.variant))
    return made


def _series(asked: WindowReader, rows: Sequence[Row]) -> dict[Key, Series]:
    if not rows:
        return {}
    from testlytics_analytics.durations.slowdowns import SlowdownOptions

    wanted = {(row["project"], row["test_id"], row["variant"]) for row in rows}
    names = {name for _, name, _ in wanted}
    found = {}
    keys = {one.key: one.test_id for one in asked.known_tests() if one.test_id in names}
    for durations in asked.durations(SlowdownOptions().runs):
        for row, key in enumerate(durations.tests.tolist()):
            name = durations.project, keys.get(key, ""), durations.variant
            if name in wanted:
                steps, values = durations.steps.tolist(), durations.seconds[row].tolist()
                found[name] = Series(steps, values)
    return found


def _causes(asked: WindowReader, runs: Sequence[RunRow], chosen: Chosen) -> list[Cause]:
    """Put failures together that say the same, each project apart."""
    from testlytics_analytics.fingerprints import FailureText, clusters

    among = chosen.among
    held = None if among is None else set(among)
    said = [one for one in asked.said() if held is None or one.key in held]
    of_project: dict[str, list[tuple[int, FailureText]]] = defaultdict(list)
    for number, one in enumerate(said):
        text = FailureText(one.type, one.message, one.place)
        of_project[runs[one.step].project].append((number, text))
    made = []
    for project, failures in of_project.items():
        for cluster in clusters(failures):
            members = [said[number] for number in cluster.members]
            steps = {one.step for one in members}
            made.append(
                Cause(
                    project,
                    cluster.text,
                    example(members[-1]),
                    members[-1].place,
                    sum(one.failures for one in members),
                    len({one.key for one in members}),
                    len(steps),
                    min(steps),
                    max(steps),
                )
            )
    made.sort(key=lambda one: (-one.failures, -one.tests, one.project, one.text))
    return made


def example(one: Said) -> str | None:
    """Return the first line of what a failure said, with its type; None where it said nothing."""
    lines = (one.message or "").strip().splitlines()
    kind = (one.type or "").rpartition(".")[2]
    told = lines[0][:300] if lines else ""
    return (told if kind in told else ": ".join(filter(None, [kind, told]))) or None


def _retries(rows: Iterable[Row]) -> RetryTrend | None:
    """Say how often tests of all suites are tried again, run by run."""
    import numpy as np

    from testlytics_analytics.trends import retry_trend

    sums: dict[tuple[str, str], list[int]] = {}
    for row in sorted(rows, key=lambda r: (r["started_at"], r["project"], r["run_id"])):
        if row["tests_run"] is not None:
            told = sums.setdefault((row["project"], row["run_id"]), [0, 0])
            told[0] += row["tests_run"]
            told[1] += row["retried"]
    if not sums:
        return None
    tests, retried = np.array(list(sums.values()), np.int64).T
    return retry_trend(tests, retried)


def _owners(sections: Collection[Section], chosen: Chosen) -> dict[tuple[str, str], str]:
    named = {
        (row["project"], row["test_id"])
        for section in sections
        for row in section.rows
        if row.get("test_id")
    }
    owned = ((one, chosen.owner_of(*one)) for one in sorted(named))
    return {one: owner for one, owner in owned if owner}
