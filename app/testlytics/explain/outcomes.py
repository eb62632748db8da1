"""What the outcomes of one test in one variant say: runs, contradictions, changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_analytics.evidence import PROVEN, STRONG, SUSPECTED, Tried
from testlytics_analytics.histories import FAILED, FLAKY, PASSED, SKIPPED, UNKNOWN, History

if TYPE_CHECKING:
    from testlytics_collector.store.one_test import Key, Seen
    from testlytics_collector.store.windowed import RunRow

Row = dict[str, Any]

VERDICTS = {PASSED: "passed", FAILED: "failed", FLAKY: "flaky", SKIPPED: "skipped", UNKNOWN: None}

SIGNS = {PASSED: ".", FAILED: "F", FLAKY: "~", SKIPPED: "s", UNKNOWN: "?"}
ABSENT = "-"
VOID = "x"
LEGEND = {
    ".": "passed",
    "F": "failed",
    "~": "failed and passed",
    "s": "skipped",
    "?": "no verdict",
    "-": "not in the run",
    "x": "much of the suite failed: does not count",
}
"""What each sign of a strip means."""

_MESSAGE_CHARS = 300


class Series(NamedTuple):
    """One test in one variant.

    Attributes:
        key: Project, test id and variant.
        seen: What became of it in the runs it was in, the oldest first.
        steps: All runs of the variant, rising: also those that it was not in.
        runs: The runs of the window.
        void: Steps of runs that say nothing of any one test.
    """

    key: Key
    seen: Sequence[Seen]
    steps: Sequence[int]
    runs: Sequence[RunRow]
    void: Collection[int]

    def letters(self) -> str:
        """Return a verdict letter for each run it was in."""
        return "".join(map(letter, self.seen))

    def tried(self) -> Tried:
        """Return what the model judges."""
        history = History(*self.key, [one.step for one in self.seen], self.letters())
        return Tried(history, [(one.passes, one.failures) for one in self.seen if one.failures])

    def told(self) -> list[Seen]:
        """Return the runs in which it passed or failed, and that count."""
        return [one for one in self.seen if letter(one) in VERDICT and one.step not in self.void]


VERDICT = PASSED + FAILED + FLAKY


def letter(seen: Seen) -> str:
    """Return the verdict letter of one run."""
    if seen.failures:
        return FLAKY if seen.passes else FAILED
    return PASSED if seen.passes else SKIPPED if seen.skips else UNKNOWN


def strip(series: Series) -> str:
    """Return a sign for each run of the variant from the first one that the test was in."""
    signs = {
        one.step: VOID if one.step in series.void else SIGNS[letter(one)] for one in series.seen
    }
    first = series.seen[0].step
    return "".join(signs.get(step, ABSENT) for step in series.steps if step >= first)


def history_rows(series: Series) -> list[Row]:
    """Return a row for each run it was in: `attempts` are the outcomes in the order they were."""
    rows = []
    for one in series.seen:
        run = series.runs[one.step]
        rows.append(
            {
                "run_id": run.run_id,
                "started_at": run.started_at,
                "branch": run.branch,
                "commit": run.commit,
                "sources": run.sources,
                "verdict": VERDICTS[letter(one)],
                "attempts": one.outcomes,
                "counts": one.step not in series.void,
                "duration_s": None if one.duration_us is None else one.duration_us / 1e6,
            }
        )
    return rows


def pair_rows(series: Series) -> list[Row]:
    """Name the runs that contradict each other, the newest first; empty where nothing does.

    Returns:
        `grade`, `commit`, `failed_run`, `failed_attempts`, `passed_run`, `passed_attempts`.
        proven: one run failed and passed. strong: two runs of equal sources disagree. suspected:
        a failed run, and the next one that passed, with a pass before; their sources differ, and
        `commit` is that of the failed run.
    """
    told = series.told()
    rows = [_pair(series, PROVEN, one, one) for one in told if letter(one) == FLAKY]
    by_sources: dict[str, list[Seen]] = {}
    for one in told:
        sources = series.runs[one.step].sources
        if sources is not None:
            by_sources.setdefault(sources, []).append(one)
    for some in by_sources.values():
        good = [one for one in some if letter(one) == PASSED]
        bad = [one for one in some if letter(one) == FAILED]
        rows += [_pair(series, STRONG, one, good[0]) for one in bad if good]
    named = {row["failed_run"] for row in rows}
    rows += [
        row
        for bad, good in _passing(told)
        if (row := _pair(series, SUSPECTED, bad, good))["failed_run"] not in named
    ]
    place = {run.run_id: step for step, run in enumerate(series.runs)}
    order = (PROVEN, STRONG, SUSPECTED)
    return sorted(rows, key=lambda row: (order.index(row["grade"]), -place[row["failed_run"]]))


def _passing(told: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Return each last failed run that stands between passes, with the pass behind it."""
    found = []
    passed_before = False
    for one, behind in pairwise(told):
        if letter(one) == FAILED and letter(behind) == PASSED and passed_before:
            found.append((one, behind))
        passed_before = passed_before or one.passes > 0
    return found


def _pair(series: Series, grade: str, bad: Seen, good: Seen) -> Row:
    return {
        "grade": grade,
        "commit": series.runs[bad.step].commit,
        "failed_run": series.runs[bad.step].run_id,
        "failed_attempts": bad.outcomes,
        "passed_run": series.runs[good.step].run_id,
        "passed_attempts": good.outcomes,
    }


def failure_rows(series: Series) -> list[Row]:
    """Return the failed runs, the newest first, with what the last failure of each said."""
    from testlytics_analytics.fingerprints import FailureText, fingerprint

    rows = []
    for one in reversed(series.seen):
        if not one.failures:
            continue
        run = series.runs[one.step]
        text = FailureText(one.type, one.message, one.place)
        rows.append(
            {
                "run_id": run.run_id,
                "started_at": run.started_at,
                "commit": run.commit,
                "attempts": one.outcomes,
                "counts": one.step not in series.void,
                "type": one.type,
                "message": first_line(one.message),
                "place": one.place,
                "fingerprint": fingerprint(text) if any(text) else None,
            }
        )
    return rows


def first_line(text: str | None) -> str | None:
    """Return the first line of a message that says something, bounded."""
    lines = (text or "").strip().splitlines()
    return lines[0][:_MESSAGE_CHARS] if lines else None


def cause_rows(series: Series) -> list[Row]:
    """Put failed runs together by what they said, the commonest first.

    Returns:
        `cause` (normalised text), `fingerprints`, `runs` (that many failed so), `first_run`,
        `first_at`, `last_run`, `last_at`. Runs of which nothing is known are left out.
    """
    from testlytics_analytics.fingerprints import FailureText, clusters

    texts = [
        (one.step, FailureText(one.type, one.message, one.place))
        for one in series.seen
        if one.failures and (one.type or one.message or one.place)
    ]
    rows = []
    for cluster in clusters(texts):
        first, last = series.runs[cluster.members[0]], series.runs[cluster.members[-1]]
        rows.append(
            {
                "cause": cluster.text[:_MESSAGE_CHARS],
                "fingerprints": list(cluster.fingerprints),
                "runs": len(cluster.members),
                "first_run": first.run_id,
                "first_at": first.started_at,
                "last_run": last.run_id,
                "last_at": last.started_at,
            }
        )
    return rows


def change_rows(series: Series) -> list[Row]:
    """Say where the test began to behave differently, the oldest first.

    Returns:
        With 99 % probability it was after `after_run` and at or before `until_run`, most likely at
        `at_run`, each with its commit; `before_failed` of `before_runs` runs failed before, and
        `behind_failed` of `behind_runs` since, each up to the next change.
    """
    from testlytics_analytics.outcome_changes import Position, changes

    groups = [list(some) for _, some in groupby(series.told(), lambda one: _sources(series, one))]
    positions = [
        Position(
            len(some),
            sum(one.failures > 0 for one in some),
            sum(one.failures > 0 and one.failures + one.passes > 1 for one in some),
            sum(one.failures > 1 and not one.passes for one in some),
        )
        for some in groups
    ]
    rows = []
    for one in changes(positions):
        row: Row = {}
        for name, at in (("after", one.after), ("at", one.at), ("until", one.until)):
            # It came behind the last run of the sources before it, with those of the first.
            seen = groups[at][-1] if name == "after" else groups[at][0]
            run = series.runs[seen.step]
            row |= {f"{name}_run": run.run_id, f"{name}_commit": run.commit}
        for name, part in (("before", one.before), ("behind", one.behind)):
            row |= {f"{name}_runs": part.runs, f"{name}_failed": part.failed}
        rows.append(row)
    return rows


def _sources(series: Series, one: Seen) -> tuple[int, str | None]:
    """Return what tells states of the sources apart; unknown ones are each its own."""
    sources = series.runs[one.step].sources
    return (one.step, None) if sources is None else (-1, sources)


def dependence_rows(every: Mapping[str, Series]) -> list[Row]:
    """Say in which ways of running one test fails more often.

    Args:
        every: Its series by variant.

    Returns:
        `pairs`, `failed` of `of`, `failed_elsewhere` of `of_elsewhere`, `only_there`, `chance`;
        see `testlytics_analytics.environments`.
    """
    from testlytics_analytics.environments import Leg, dependences

    legs = [
        Leg(variant, _leg_sources(series, one), one.failures > 0)
        for variant, series in every.items()
        for one in series.told()
    ]
    return [
        {**one._asdict(), "pairs": list(one.pairs), "only_there": one.only_there}
        for one in dependences(legs)
    ]


def _leg_sources(series: Series, one: Seen) -> tuple[bool, object]:
    """Return what legs of equal sources share; those of one run have the same, known or not."""
    sources = series.runs[one.step].sources
    return (False, one.step) if sources is None else (True, sources)
