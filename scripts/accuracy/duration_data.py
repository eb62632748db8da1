"""Durations whose truth is known: real noise with steps put in, and simulated suites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Rng = np.random.Generator
_NORMAL = NormalDist()
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "data" / "series"


@dataclass(frozen=True, slots=True)
class Injected:
    """A matrix with steps put in.

    Attributes:
        values: Log durations, series by runs.
        at: Column of each series' step; -1 where there is none.
    """

    values: Values
    at: npt.NDArray[np.int64]


def real_noise(name: str, *, coverage: float = 0.6) -> Values:
    """Return the log durations of a real suite without their level shifts.

    Args:
        name: `pytorch_files_2022_2023` or `dune_common_ubuntu`, a file of `tests/data/series`.
        coverage: Series with values in a smaller share of the runs are left out.
    """
    return _noise(name, coverage).copy()


@cache
def _noise(name: str, coverage: float) -> Values:
    import polars as pl

    rows = pl.read_parquet(FOLDER / f"{name}.parquet")
    if "build" in rows.columns:
        rows = rows.filter(pl.col("failed") == 0).rename({"test": "series", "build": "run"})
        rows = rows.unique(["series", "run"], keep="last", maintain_order=True)
    matrix = rows.pivot(on="series", index="run", values="seconds").sort("run").drop("run")
    seconds = matrix.to_numpy().T.astype(np.float32)
    values = np.log(np.where(seconds > 0, seconds, np.float32(np.nan)))
    kept = values[np.isfinite(values).mean(axis=1) >= coverage]
    return np.array([_without_shifts(row) for row in kept], np.float32)


def _without_shifts(row: Values) -> Values:
    """Take out levels, found by binary segmentation on normal scores; the median stays."""
    known = np.isfinite(row)
    values = row[known]
    out = row.copy()
    out[known] = values - rank_levels(values) + np.median(values)
    return out


def rank_levels(values: Values) -> Values:
    """Return the level of each value, by binary segmentation on normal scores."""
    levels = np.empty_like(values)
    _segment(values, levels, 0, len(values))
    return levels


def _segment(values: Values, levels: Values, start: int, end: int, shortest: int = 6) -> None:
    size = end - start
    part = values[start:end]
    if size >= 2 * shortest:
        ranks = np.argsort(np.argsort(part, kind="stable"), kind="stable")
        scores = np.array([_NORMAL.inv_cdf((rank + 0.5) / size) for rank in ranks.tolist()])
        k = np.arange(shortest, size - shortest + 1)
        sums = np.cumsum(scores)[k - 1]
        apart = np.abs(sums) / np.sqrt((scores * scores).mean() * k * (size - k) / size)
        best = int(apart.argmax())
        if apart[best] > 4.5:
            middle = start + int(k[best])
            _segment(values, levels, start, middle)
            _segment(values, levels, middle, end)
            return
    levels[start:end] = np.median(part)


def permuted(values: Values, rng: Rng, block: int = 5) -> Values:
    """Put blocks of runs into another order, the same for all series."""
    blocks = rng.permutation(values.shape[1] // block)
    return values[:, (blocks[:, None] * block + np.arange(block)).ravel()]


def with_steps(
    values: Values, rng: Rng, size: float, *, share: float = 0.1, first: int = 110, room: int = 50
) -> Injected:
    """Make some series slower from a run on.

    Args:
        values: Log durations, series by runs.
        rng: Decides which and when.
        size: 0.2 is 20 % slower.
        share: Of the series.
        first: No step before this run …
        room: … nor in the last so many.
    """
    out = values.copy()
    at = np.full(len(values), -1)
    chosen = rng.choice(len(values), max(1, round(len(values) * share)), replace=False)
    for row in chosen:
        at[row] = rng.integers(first, values.shape[1] - room)
        out[row, at[row] :] += np.float32(np.log1p(size))
    return Injected(out, at)


@dataclass(frozen=True, slots=True)
class Suite:
    """Constants of a simulated suite.

    Attributes:
        noise: Median standard deviation of a series in log seconds.
        machine: Standard deviation of the run factor.
        memory: Correlation of a series' neighbouring values.
        outliers: Share of values that are far off.
        pools: Kinds of machines, each with a speed of its own for each test.
        fleet: A slowdown of the whole fleet for 60 runs, 0.25 is 25 %.
        unequal: Standard deviation of the tests' sensitivity to the machine.
        tick: Resolution of the timer in seconds; 0 is none.
        seconds: Median duration of the median test.
    """

    noise: float = 0.05
    machine: float = 0.1
    memory: float = 0.15
    outliers: float = 0.01
    pools: int = 1
    fleet: float = 0.0
    unequal: float = 0.25
    tick: float = 0.0
    seconds: float = 1.0


QUIET = Suite(noise=0.011, machine=0.01, outliers=0.03, memory=0.1)
MID = Suite(noise=0.06, machine=0.06)
SHARED = Suite(noise=0.16, machine=0.15, pools=3)


def simulate(suite: Suite, rng: Rng, tests: int, runs: int) -> Values:
    """Return log durations without any lasting change of a single test, tests by runs."""
    sigma = suite.noise * np.exp(rng.normal(0, 0.5, tests))[:, None]
    noise = rng.standard_t(5, (tests, runs)) / np.sqrt(5 / 3)
    for run in range(1, runs):
        fresh = np.sqrt(1 - suite.memory**2) * noise[:, run]
        noise[:, run] = suite.memory * noise[:, run - 1] + fresh
    far = rng.random((tests, runs)) < suite.outliers
    noise += far * rng.exponential(8, (tests, runs)) * rng.choice([1, 1, 1, -0.3], (tests, runs))
    factor = rng.normal(0, suite.machine, runs)
    if suite.fleet:
        start = runs // 2
        factor[start : start + 60] += np.log1p(suite.fleet)
    slopes = np.clip(rng.normal(1, suite.unequal, tests), 0.2, 2)[:, None]
    level = rng.normal(np.log(suite.seconds), 1, tests)[:, None]
    pool = rng.integers(0, suite.pools, runs)
    speeds = rng.normal(0, 0.2, (1, suite.pools)) + rng.normal(0, 0.1, (tests, suite.pools))
    speeds = speeds * (suite.pools > 1)
    values = level + slopes * factor + sigma * noise + speeds[:, pool]
    if suite.tick:
        ticks = np.maximum(np.round(np.exp(values) / suite.tick), 1)
        values = np.log(ticks * suite.tick)
    return np.asarray(values, np.float32)
