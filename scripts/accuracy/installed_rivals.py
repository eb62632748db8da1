"""Change point packages as they are installed, on the durations that our own rule is scored on.

They look at whole series, so each is asked anew after every fifth run, on the newest 150 values,
out of which the run factor was taken as for our own rule. A package is asked in an environment of
its own (`make accuracy-rivals`): they need different versions of numpy.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scripts.accuracy.duration_data import (
    MID,
    SHARED,
    Values,
    permuted,
    real_noise,
    simulate,
    with_steps,
)
from scripts.accuracy.duration_data import Suite as Simulated
from scripts.accuracy.durations import APART, FIRST, ROOM, WINDOW, Score
from scripts.accuracy.table import Table
from testlytics_analytics.durations.run_factor import steady
from testlytics_analytics.durations.slowdowns import slowdowns

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ruptures", "apache-otava", "asv", "signal-processing-algorithms")
EVERY = 5
SERIES = 24
"""So many series without a change are asked about, and about as many with one per size."""
OURS = "testlytics, every 5 runs"


class Suite(NamedTuple):
    """What is asked about.

    Attributes:
        title: Of the table.
        noise: A file of `tests/data/series`, or what to simulate.
        sizes: Of the steps.
        orders: In so many orders of the blocks of runs: a small suite has few series.
    """

    title: str
    noise: str | Simulated
    sizes: Sequence[float]
    orders: int = 1


SUITES = (
    Suite("Files of PyTorch's test suite", "pytorch_files_2022_2023", (0.1, 0.2, 0.5)),
    Suite("dune-common on shared GitLab runners", "dune_common_ubuntu", (0.2, 0.5, 1.0), 8),
    Suite("A usual suite, simulated", MID, (0.1, 0.2, 0.5)),
    Suite("Shared runners of three kinds, simulated", SHARED, (0.2, 0.5, 1.0)),
)


class Asked(NamedTuple):
    """One question: what of this series, after this run?

    Attributes:
        size: Of the step that was put in; 0 where there is none.
        row: Series, and the order of the runs.
        at: Column of the step; -1 where there is none.
        run: Column of the newest run.
    """

    size: float
    row: int
    at: int
    run: int


@dataclass
class Questions:
    """All that is asked of one suite.

    Attributes:
        asked: The questions, by size, run and row.
        windows: What is known at each.
        ours: What our own rule says at each.
        spent: Seconds of processor time that it took …
        judged: … for so many series and runs.
        ours_ms: Milliseconds per series and run.
    """

    asked: list[Asked] = field(default_factory=list)
    windows: list[Values] = field(default_factory=list)
    ours: list[bool] = field(default_factory=list)
    spent: float = 0.0
    judged: int = 0
    ours_ms: float = 0.0


def python_of(package: str) -> Path:
    """Return the interpreter that has the package; `make accuracy-rivals` makes it."""
    return ROOT / ".venv" / "accuracy" / package / "bin" / "python"


def noise_of(suite: Suite, order: int, *, small: bool) -> Values:
    """Return a suite in which no single test changed."""
    rng = np.random.default_rng([29, order])
    if isinstance(suite.noise, Simulated):
        return simulate(suite.noise, rng, 100 if small else 800, 190 if small else 300)
    noise = real_noise(suite.noise)
    return permuted(noise[::8, -190:] if small else noise, rng)


def questions(suite: Suite, *, small: bool) -> Questions:
    """Ask about series without a change, and with a step of each size, of a suite."""
    made = Questions()
    for order in range(1, 1 + (1 if small else suite.orders)):
        few = (10 if small else SERIES) // suite.orders
        _ask_about(made, noise_of(suite, order, small=small), suite.sizes, (order, max(few, 1)))
    made.ours_ms = 1000 * made.spent / made.judged
    return made


def _ask_about(
    made: Questions, values: Values, sizes: Sequence[float], place: tuple[int, int]
) -> None:
    """Add the questions on one order of the runs, about so many series each."""
    order, series = place
    trusted = np.nanmedian(values, axis=1) > np.log(0.1)
    rows = np.flatnonzero(trusted)
    calm = rows[:: max(1, len(rows) // series)][:series]
    for size in (0.0, *sizes):
        told, at = values, np.full(len(values), -1)
        if size:
            rng = np.random.default_rng([31, order, round(size * 1000)])
            injected = with_steps(values, rng, size)
            told, at = injected.values, injected.at
        some = calm if not size else np.flatnonzero((at >= 0) & trusted)[:series]
        for run, due in _due(some, at, values.shape[1]):
            began = process_time()
            found = {one.row for one in slowdowns(told[:, : run + 1]).found}
            made.spent += process_time() - began
            made.judged += len(values)
            known = told[:, max(0, run + 1 - WINDOW) : run + 1]
            residuals = steady(known, trusted).residuals
            for row in due[np.isfinite(known[due, -1])].tolist():
                made.asked.append(Asked(size, 10_000 * order + row, int(at[row]), run))
                window = np.full(WINDOW, np.nan, np.float32)
                window[WINDOW - known.shape[1] :] = residuals[row]
                made.windows.append(window)
                made.ours.append(row in found)


def _due(
    rows: npt.NDArray[np.int64], at: npt.NDArray[np.int64], runs: int
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield every fifth run, and the rows to ask about: those with a step only soon after it."""
    for run in range(FIRST, runs, EVERY):
        due = rows[(at[rows] < 0) | ((at[rows] <= run) & (run < at[rows] + ROOM))]
        if len(due):
            yield run, due


def scored(asked: Sequence[Asked], said: Sequence[bool]) -> Score:
    """Count false alarms and the steps that were found."""
    score, last = Score(), dict[int, int]()
    steps: dict[float, dict[int, int | None]] = {}
    for one, answer in zip(asked, said, strict=True):
        if one.at < 0:
            score.values += EVERY
            if answer and one.run - last.get(one.row, -APART - 1) > APART:
                last[one.row] = one.run
                score.alarms += 1
            continue
        seen = steps.setdefault(one.size, {})
        if seen.setdefault(one.row, None) is None and answer:
            seen[one.row] = one.run - one.at + 1
    for size, seen in steps.items():
        score.steps[size] = len(seen)
        score.delays[size] = [delay for delay in seen.values() if delay is not None]
        score.found[size] = len(score.delays[size])
    return score


def ask(package: str, made: Questions) -> dict[str, tuple[list[bool], float]] | str:
    """Ask one package.

    Returns:
        Answers and milliseconds per call, by way of using it; or why there are none, a sentence.
    """
    python = python_of(package)
    if not python.exists():
        return f"{package} is not installed: make accuracy-rivals."
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "windows.npy"), Path(folder, "said.json")
        np.save(source, np.array(made.windows))
        worker = Path(__file__).parent / "rivals" / "run.py"
        done = subprocess.run(
            [python, worker, package, source, target], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"{package} did not run: {done.stderr.strip().splitlines()[-1]}."
        said = json.loads(target.read_text(encoding="utf-8"))
    return {name: (one["said"], one["ms"]) for name, one in said.items()}


def tables(*, seeds: int, small: bool) -> list[Table]:
    """Compare on two real suites and two simulated ones.

    Args:
        seeds: Not used: the packages take too long for more than one order of the blocks.
        small: A fraction of the series.
    """
    del seeds
    return [_table(suite, small=small) for suite in SUITES]


def _table(suite: Suite, *, small: bool) -> Table:
    made, sizes = questions(suite, small=small), suite.sizes
    said: dict[str, tuple[Sequence[bool], float]] = {OURS: (made.ours, made.ours_ms)}
    absent = []
    for package in PACKAGES:
        answers = ask(package, made)
        if isinstance(answers, str):
            absent.append(answers)
        else:
            said |= answers
    rows = [_row(who, scored(made.asked, one), ms, sizes) for who, (one, ms) in said.items()]
    calm = {one.row for one in made.asked if one.at < 0}
    finest = 1e5 / (EVERY * sum(one.at < 0 for one in made.asked))
    note = (
        f"Asked after every fifth run on the newest {WINDOW} values without the run factor: "
        f"{len(calm)} series without a change, so that one false alarm is a FA of {finest:.2g}, "
        f"and about as many with a step per size. An alarm is a rise of "
        "5 % or more at one of the newest 60 values. ms: processor time per series and call."
    )
    columns = ["rule", "FA", *(f"+{size:.0%}" for size in sizes), "ms"]
    return Table(f"Installed packages: {suite.title}", columns, rows, note, absent)


def _row(who: str, score: Score, ms: float, sizes: Sequence[float]) -> list[str]:
    found = [
        f"{score.recall(size):.2f} ({score.delay(size):.0f})"
        if score.delays.get(size)
        else f"{score.recall(size):.2f}"
        for size in sizes
    ]
    return [who, f"{score.false_alarms:.2g}", *found, f"{ms:.2g}"]
