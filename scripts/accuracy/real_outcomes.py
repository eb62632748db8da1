"""A real history of passing and failing: does what is said of its past hold in its future?

No label says which of these tests are flaky. Taken for truth is what came after: a test that went
from passing to failing or back twice or more is one that a list of flaky tests should have named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from scripts.accuracy.duration_data import FOLDER
from scripts.accuracy.outcome_data import SimulatedRun, SimulatedTest
from scripts.accuracy.outcome_rivals import SCORES, Seen
from scripts.accuracy.outcome_scores import OURS, average_precision
from scripts.accuracy.table import Table
from testlytics_analytics.evidence import RunOrder, Tried, outages
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_verdicts import OutcomeJudge

NAME = "dune_common_ubuntu"
CUTS = (1 / 3, 1 / 2)
"""Shares of the builds that are the past. Behind two thirds of them but one test changes."""
FLIPS = 2


class Past(NamedTuple):
    """One real suite, cut in two.

    Attributes:
        tests: (steps, verdicts) of each test that is in both parts, in the past.
        runs: How many runs the past has.
        later: Whether each of them changed often after it.
    """

    tests: Sequence[tuple[Sequence[int], str]]
    runs: int
    later: Sequence[bool]


def histories() -> tuple[list[dict[int, bool]], int]:
    """Return by test whether it failed, by build numbered from 0; and how many builds there are."""
    import polars as pl

    rows = pl.read_parquet(FOLDER / f"{NAME}.parquet").select("test", "build", "failed")
    builds = {build: at for at, build in enumerate(sorted(rows["build"].unique().to_list()))}
    tests: dict[str, dict[int, bool]] = {}
    for test, build, failed in rows.iter_rows():
        told = tests.setdefault(test, {})
        told[builds[build]] = told.get(builds[build], False) or bool(failed)
    return [dict(sorted(tests[test].items())) for test in sorted(tests)], len(builds)


def cut(tests: Sequence[dict[int, bool]], runs: int) -> Past:
    """Divide histories into the first so many runs and the rest."""
    kept, later = [], []
    for told in tests:
        before = {at: bad for at, bad in told.items() if at < runs}
        after = [bad for at, bad in told.items() if at >= runs]
        if before and after:
            kept.append((list(before), "".join("PF"[bad] for bad in before.values())))
            later.append(flips(after) >= FLIPS)
    return Past(kept, runs, later)


def flips(failed: Sequence[bool]) -> int:
    """Count changes between passing and failing."""
    return sum(one != other for one, other in pairwise(failed))


def ours(past: Past) -> dict[str, list[float]]:
    """Return what testlytics says of each test: the probability of a rate of 1 %, and the rate."""
    failing, told = [0] * past.runs, [0] * past.runs
    for steps, letters in past.tests:
        for step, letter in zip(steps, letters, strict=True):
            told[step] += 1
            failing[step] += letter == "F"
    void = outages([""] * past.runs, failing, told)
    judge = OutcomeJudge(RunOrder([Run(str(at), None, None) for at in range(past.runs)], void))
    made = [judge.judge(Tried(History("", "", "", *test))) for test in past.tests]
    return {
        f"{OURS}, probability of 1 % or more": [one.p_threshold or 0.0 for one in made],
        f"{OURS}, flake rate": [one.flake_rate or 0.0 for one in made],
    }


def theirs(past: Past, score: Callable[[Seen], float]) -> list[float]:
    """Return what a rival says of each test, of the runs that it was in."""
    found = []
    for steps, letters in past.tests:
        tries = [(0, 1)] * letters.count("F")
        test = SimulatedTest(0, letters, tries, 0.0, False, frozenset())
        runs = [SimulatedRun(step, retries=False, outage=False) for step in steps]
        found.append(score(Seen(test, runs, frozenset())))
    return found


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Compare on the one real history there is.

    Args:
        seeds: Not used: nothing is random.
        small: Not used: it takes a second.
    """
    del seeds, small
    tests, runs = histories()
    pasts = [cut(tests, round(share * runs)) for share in CUTS]
    columns: list[dict[str, float]] = []
    for past in pasts:
        said = ours(past) | {name: theirs(past, score) for name, score in SCORES.items()}
        columns.append(
            {
                name: average_precision(list(zip(scores, past.later, strict=True)))
                for name, scores in said.items()
            }
        )
    rows = [[name, *(f"{column[name]:.3f}" for column in columns)] for name in columns[0]]
    best = f"{OURS}, probability of 1 % or more"
    missed = [
        f"past of {past.runs} builds: average precision {column[best]:.3f}, flip rate "
        f"{column['flip rate']:.3f}."
        for past, column in zip(pasts, columns, strict=True)
        if column[best] < column["flip rate"]
    ]
    note = (
        f"dune-common, {len(tests)} tests in {runs} builds on shared GitLab runners, one attempt "
        f"each and no commits. Truth: after the past the test changed between passing and failing "
        f"{FLIPS} times or more. So few tests did that one of them moves the figures by several "
        "hundredths. It is the only real history with outcomes in the repository: PyTorch's series "
        "hold durations, FlakeFlagger's reruns only counts."
    )
    heads = [f"first {past.runs} builds ({sum(past.later)} of {len(past.later)})" for past in pasts]
    return [Table("Real outcomes: what comes after", ["Method", *heads], rows, note, missed)]
