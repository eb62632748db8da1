"""Matrices are worked on in parts, and rows without holes by themselves: nobody can tell."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.durations import robust
from testlytics_analytics.durations.robust import Matrix, column_medians, row_medians, row_spreads
from testlytics_analytics.durations.shift_scan import ScanOptions, _Rows, _statistic, scan

SEEDS = st.integers(0, 2**32 - 1)
HEIGHTS = st.sampled_from(
    [1, 2, 7, robust.AT_ONCE - 1, robust.AT_ONCE + 1, robust.MANY, robust.MANY + 3]
)


def _holed(seed: int, rows: int, columns: int) -> Matrix:
    """Return values with ties, holes, and rows and columns without values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (rows, columns)).round(1).astype(np.float32)
    values[rng.random(values.shape) < rng.choice([0, 0.02, 0.5])] = np.nan
    values[rng.random(rows) < rng.choice([0, 0.1])] = np.nan
    values[:, rng.random(columns) < rng.choice([0, 0.1])] = np.nan
    return values


@given(SEEDS, HEIGHTS, st.integers(1, 12))
def test_medians_are_those_of_numpy(seed: int, rows: int, columns: int) -> None:
    values = _holed(seed, rows, columns)
    given_ = values.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of rows without values
        by_row, by_column = (np.nanmedian(values, axis=axis) for axis in (1, 0))
        away = np.nanmedian(np.abs(values), axis=1) * np.float32(1.4826)
    np.testing.assert_array_equal(row_medians(values)[:, 0], by_row)
    np.testing.assert_array_equal(column_medians(values), by_column)
    np.testing.assert_allclose(
        row_spreads(values, least=0.25)[:, 0], np.fmax(away, 0.25), rtol=1e-6
    )
    np.testing.assert_array_equal(values, given_)


@given(SEEDS, st.sampled_from([12, 36, 90, 150]), st.booleans())
def test_a_row_without_holes_has_the_same_scores_beside_one_with(
    seed: int, runs: int, young: bool
) -> None:
    rng = np.random.default_rng(seed)
    options = ScanOptions()
    scores = rng.normal(0, 1, (5, runs)).astype(np.float32)
    known = np.ones((5, runs), bool)
    known[4, rng.integers(0, runs, 3)] = False
    scores[~known] = 0
    memory = rng.uniform(0, 0.9, 5).astype(np.float32)
    weights = rng.uniform(0.4, 4, runs).astype(np.float32)
    beside, fits = _statistic(_Rows(scores, known, young, memory), weights, options)
    whole = _Rows(scores[:4], known[:4], young, memory[:4])
    alone, fit = _statistic(whole, weights, options)
    width = alone.shape[1]
    assert fit.any()
    assert not fits[:4, width:].any()
    np.testing.assert_array_equal(np.broadcast_to(fit, alone.shape), fits[:4, :width])
    np.testing.assert_array_equal(np.where(fit, alone, 0), np.where(fit, beside[:4, :width], 0))


def _expected(values: Matrix, weights: Matrix, memory: float, *, young: bool) -> list[float]:
    """Work the statistic out length by length; the newest value first, NaN where none fits."""
    o, held = ScanOptions(), np.isfinite(values)
    z, c = values[held].astype(float), weights[held].astype(float)
    count = len(z)
    variance = o.young_variance if young else float(z.var())
    freedom = count + o.young_weight * young
    found = []
    for column in range(len(values) - 1, -1, -1):
        k = int(held[column:].sum())
        if not held[column] or not o.shortest <= k <= min(o.longest, count - o.before):
            found.append(np.nan)
            continue
        late, early = c[-k:], c[:-k]
        apart = (late @ z[-k:]) / (late @ late) - (early @ z[:-k]) / (early @ early)
        t = apart / np.sqrt((1 / (late @ late) + 1 / (early @ early)) * variance)
        share = t * t / freedom
        deviate = np.log1p(share) if young else -np.log1p(-min(share, 0.95))
        neighbours = sum((1 - lag / k) * memory**lag for lag in range(1, k))
        larger = (1 + 2 * neighbours) ** -(o.young_caution if young else o.caution)
        found.append(float(np.sign(t) * np.sqrt(freedom * deviate) * larger))
    return found


@given(SEEDS, st.sampled_from([14, 39, 110, 150]), st.booleans(), st.booleans())
def test_scores_are_those_of_the_formula(seed: int, runs: int, young: bool, holed: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, runs).astype(np.float32)
    if holed:
        values[rng.integers(0, runs, 3)] = np.nan
    weights = rng.uniform(0.4, 4, runs).astype(np.float32)
    memory = int(rng.integers(0, 91)) / 100  # as fine as the scan looks it up
    row = np.nan_to_num(values)[None], np.isfinite(values)[None]
    view = _Rows(*row, young, np.array([memory], np.float32))
    statistic, fits = _statistic(view, weights, ScanOptions())
    told = np.full(runs, np.nan)
    told[: statistic.shape[1]] = np.where(fits, statistic, np.nan)[0]
    expected = _expected(values, weights, memory, young=young)
    np.testing.assert_allclose(told, expected, rtol=2e-3, atol=2e-4)


@given(SEEDS)
def test_rows_are_told_where_they_stand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.1, (robust.AT_ONCE + 40, 60)).astype(np.float32)
    values[rng.random(len(values)) < 0.3, :30] = np.nan
    values[rng.random(values.shape) < 0.001] = np.nan
    order = rng.permutation(len(values))
    # The suite's memory is a sum over all rows, whose last digit their order decides.
    options = ScanOptions(memory_of_suite=0)
    here, there = scan(values, options, [12]), scan(values[order], options, [12])
    for one, other in ((here.up, there.up), (here.down, there.down)):
        for column, moved in zip(one, other, strict=True):
            np.testing.assert_array_equal(column[order], moved)
    for early, moved_early in zip(
        [*here.earlier_up, *here.earlier_down],
        [*there.earlier_up, *there.earlier_down],
        strict=True,
    ):
        np.testing.assert_array_equal(early[order], moved_early)
    np.testing.assert_array_equal(here.young[order], there.young)
