"""What the verdicts cost: processor time and memory, and why durations are judged with numpy."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.accuracy.duration_data import MID, Values
from scripts.accuracy.duration_data import simulate as simulate_durations
from scripts.accuracy.outcome_data import Shape, Suite, simulate
from scripts.accuracy.scan_libraries import most_resident_mib
from scripts.accuracy.table import Table
from testlytics_analytics.durations.slowdowns import slowdowns
from testlytics_analytics.evidence import RunOrder, Tried, outages, weigh
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_verdicts import OutcomeJudge
from testlytics_analytics.status import judge

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 10_000
ROUNDS = 3
MOST_MS = 0.35
MOST_US = 20.0
MOST_S, MOST_GIB, MOST_RUN_S = 120.0, 2.0, 1.0
_LETTERS = np.frombuffer(b"?PFL", np.uint8)


class Facts(NamedTuple):
    """Results of a block of tests in columns, ordered by test and run; one run per commit at least.

    Attributes:
        passes: Passed attempts.
        fails: Failed attempts.
        runs: The runs, the same for all tests.
    """

    passes: npt.NDArray[np.uint8]
    fails: npt.NDArray[np.uint8]
    runs: list[Run]


def facts_of(suite: Suite) -> Facts:
    """Return the results of a simulated suite as the columns that a store holds."""
    passes = np.ones((suite.size, len(suite.runs)), np.uint8)
    fails = np.zeros_like(passes)
    for row, test in enumerate(suite.tests):
        at = [step for step, letter in enumerate(test.letters) if letter != "P"]
        passes[row, at] = [some for some, _ in test.tries]
        fails[row, at] = [some for _, some in test.tries]
    runs = [Run(str(at), str(one.commit), str(one.commit)) for at, one in enumerate(suite.runs)]
    return Facts(passes.ravel(), fails.ravel(), runs)


def histories(facts: Facts) -> Iterator[Tried]:
    """Turn results into histories, one for each test."""
    width = len(facts.runs)
    letters = _LETTERS[(facts.passes > 0) + 2 * (facts.fails > 0)].reshape(-1, width)
    failed = facts.fails.reshape(-1, width) > 0
    passes, fails = facts.passes.reshape(-1, width), facts.fails.reshape(-1, width)
    for row, text in enumerate(letters):
        at = np.flatnonzero(failed[row])
        tries = list(zip(passes[row, at].tolist(), fails[row, at].tolist(), strict=True))
        yield Tried(History("", str(row), "", range(width), text.tobytes().decode()), tries)


def judge_block(facts: Facts) -> int:
    """Judge the outcomes of a block; return how many tests there are."""
    width = len(facts.runs)
    failing = (facts.fails.reshape(-1, width) > 0).sum(axis=0).tolist()
    told = ((facts.passes + facts.fails).reshape(-1, width) > 0).sum(axis=0).tolist()
    return len(judge(histories(facts), facts.runs, outages([""] * width, failing, told)).rows)


def durations_of(tests: int, runs: int) -> Values:
    """Return log durations of a large suite: one block of tests over and over, with noise."""
    rng = np.random.default_rng(3)
    block = simulate_durations(MID, rng, min(tests, 2_000), runs)
    made = np.empty((tests, runs), np.float32)
    for start in range(0, tests, len(block)):
        rows = made[start : start + len(block)]
        rows[:] = block[: len(rows)]
        rows += rng.standard_normal(rows.shape, np.float32) * np.float32(0.01)
    return made


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least processor time of several rounds, seconds."""
    spent = []
    for _ in range(rounds):
        began = process_time()
        work()
        spent.append(process_time() - began)
    return min(spent)


def whole_store(tests: int, commits: int) -> dict[str, float]:
    """Make all verdicts of a store from its facts, in blocks of tests; durations of it at once."""
    spent = 0.0
    judged = 0
    for number, start in enumerate(range(0, tests, BLOCK)):
        shape = Shape(tests=min(BLOCK, tests - start), commits=commits, reruns=0.0)
        facts = facts_of(simulate(number + 1, shape))
        began = process_time()
        judged += judge_block(facts)
        spent += process_time() - began
    made = durations_of(tests, 150)
    outcomes = spent
    began = process_time()
    slowdowns(made)
    durations = process_time() - began
    peak = most_resident_mib() / 1024
    return {"tests": judged, "outcomes": outcomes, "durations": durations, "gib": peak}


def one_run(tests: int, commits: int) -> dict[str, float]:
    """Judge anew after one run: tests that failed in the window and count, and all durations."""
    suite = simulate(7, Shape(tests=tests, commits=commits))
    facts = facts_of(suite)
    void = outages([""] * len(facts.runs), suite.failing, [suite.size] * len(facts.runs))
    order = RunOrder(facts.runs, void)
    failed = [one for one in histories(facts) if one.tries and weigh(one, order).failures]

    def outcomes() -> None:
        judge(failed, facts.runs, void)

    made = durations_of(tests, 150)
    return {
        "failed": len(failed),
        "outcomes": least(outcomes),
        "durations": least(lambda: slowdowns(made)),
    }


def each(tests: int, commits: int) -> tuple[int, float]:
    """Return how many tests of a suite have failures that count, and milliseconds for one."""
    suite = simulate(8, Shape(tests=tests, commits=commits))
    facts = facts_of(suite)
    void = outages([""] * len(facts.runs), suite.failing, [suite.size] * len(facts.runs))
    order = RunOrder(facts.runs, void)
    failed = [one for one in histories(facts) if one.tries and weigh(one, order).failures]

    def work() -> None:
        judge_one = OutcomeJudge(order).judge
        for one in failed:
            judge_one(one)

    return len(failed), 1000 * least(work) / len(failed)


def apart(module: str, *words: str) -> dict[str, float]:
    """Run a measurement in a process of its own; return what it prints.

    As in the command numpy has one thread there: others wait, at work, for what hardly comes.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def import_s(name: str) -> float:
    """Return the processor time that an interpreter takes more to import something, seconds."""

    def started(code: str) -> float:
        spent = []
        for _ in range(ROUNDS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = (after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
            spent.append(sum(used))
        return min(spent)

    return started(f"import {name}") - started("pass")


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Measure.

    Args:
        seeds: Not used: what something costs hardly depends on them.
        small: A twentieth of the tests.
    """
    del seeds
    part = 20 if small else 1
    return [_costs(part), _libraries(20_000 // part)]


def _costs(part: int) -> Table:
    rows, missed = [], []
    for commits in (100, 400):
        count, spent = each(20_000 // part, commits)
        what = f"outcomes of one test with failures, {commits} commits ({count:,} such tests)"
        rows.append([what, f"{spent:.2f} ms", f"{MOST_MS} ms"])
        if spent > MOST_MS:
            missed.append(f"{what}: {spent:.2f} ms.")
    tests = 20_000 // part
    run = apart("scripts.accuracy.cost", "run", str(tests), "100")
    both = run["outcomes"] + run["durations"]
    online = 1e6 * run["durations"] / tests
    what = "durations, one test after one run"
    rows.append([what, f"{online:.0f} µs", f"{MOST_US:.0f} µs"])
    if online > MOST_US:
        missed.append(f"{what}: {online:.0f} µs.")
    what = f"one run of {tests:,} tests: outcomes of the {run['failed']:,} that failed, durations"
    rows.append([what, f"{run['outcomes']:.2f} + {run['durations']:.2f} s", f"{MOST_RUN_S:.0f} s"])
    if both > MOST_RUN_S:
        missed.append(f"{what}: {both:.2f} s.")
    tests = 100_000 // part
    whole = apart("scripts.accuracy.cost", "store", str(tests), "1000")
    both = whole["outcomes"] + whole["durations"]
    what = f"all verdicts of {tests:,} tests in 1,000 runs from facts"
    told = f"{whole['outcomes']:.1f} + {whole['durations']:.1f} s, {whole['gib']:.2f} GiB"
    rows.append([what, told, f"{MOST_S:.0f} s, {MOST_GIB:.0f} GiB"])
    if both > MOST_S or whole["gib"] > MOST_GIB:
        missed.append(f"{what}: {told}.")
    note = (
        "Processor time, user and system, the least of three rounds; outcomes + durations. Facts "
        "are columns of passed and failed attempts by test and run; outcomes are judged in blocks "
        f"of {BLOCK:,} tests, over all runs, durations of all tests at once over the newest 150. "
        "After one run the tests that failed in the newest 100 commits are judged anew, and all "
        "durations; all tests that never failed share one verdict. numpy has one thread, as in the "
        "command. Memory is the most that was "
        "resident, the making of the data included. What the store takes for it stands in "
        "[scale](scale.md)."
    )
    return Table("What verdicts cost", ["what", "measured", "at most"], rows, note, missed)


def _libraries(series: int) -> Table:
    one, other = (
        apart("scripts.accuracy.scan_libraries", name, str(series)) for name in ("numpy", "polars")
    )
    numpy_s, polars_s = import_s("numpy"), import_s("polars")
    rows = [
        [name, f"{told['cpu_s'] * 1000:.0f} ms", f"{told['mib']:.0f} MiB", f"{took:.2f} s"]
        for name, told, took in (("numpy", one, numpy_s), ("polars", other, polars_s))
    ]
    ratios = [
        other["cpu_s"] / one["cpu_s"],
        other["mib"] / one["mib"],
        polars_s / numpy_s,
    ]
    rows.append(["polars / numpy", *(f"{ratio:.1f}" for ratio in ratios)])
    note = (
        f"The largest t statistic of the newest 4 to 75 of 150 values, of {series:,} series: a "
        "matrix and one cumulative sum along its rows, or a long table and cumulative sums over "
        "each series. Processor time of all threads, the least of three rounds; the most memory of "
        "the process; what the import takes."
    )
    return Table(
        "Why durations are judged with numpy", ["library", "scan", "memory", "import"], rows, note
    )


if __name__ == "__main__":
    work = {"run": one_run, "store": whole_store}[sys.argv[1]]
    print(json.dumps(work(int(sys.argv[2]), int(sys.argv[3]))))
