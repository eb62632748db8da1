"""Medians and spreads of matrices with holes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
"""Rows are series, columns are runs, NaN is "no value"."""

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""

AT_ONCE = 1_024
"""Rows worked on at once: what the processor's cache holds."""

MANY = 2_048
"""Of so many values the median is selected, and not looked up in all of them in order."""


def parts(rows: int) -> Iterator[slice]:
    """Cut so many rows into parts of `AT_ONCE`."""
    return (slice(start, start + AT_ONCE) for start in range(0, rows, AT_ONCE))


def row_medians(values: Matrix) -> Matrix:
    """Return the median of each row's values.

    Args:
        values: Any matrix; NaN is left out.

    Returns:
        A column as long as the matrix is high; NaN for a row without values.
    """
    middles = np.full((len(values), 1), np.nan, values.dtype)
    if values.shape[1]:
        for rows in parts(len(values)):
            middles[rows] = _middles(np.sort(values[rows], axis=1))
    return middles


def _middles(ordered: Matrix) -> Matrix:
    """Return the medians of rows of one value and more that are in order, NaN last."""
    width = ordered.shape[1]
    middle: Matrix = ordered[:, (width - 1) // 2, None] + ordered[:, width // 2, None]
    # Where the last one is a value all are: only few rows have to be counted.
    holed = np.flatnonzero(np.isnan(ordered[:, -1]))
    if len(holed):
        count = width - np.isnan(ordered[holed]).sum(axis=1)
        middle[holed, 0] = ordered[holed, (count - 1).clip(min=0) // 2] + ordered[holed, count // 2]
    return middle / np.float32(2)


def column_medians(values: Matrix, counted: np.ndarray | None = None) -> Matrix:
    """Return the median of each column's values.

    Args:
        values: Any matrix; NaN is left out.
        counted: Which rows count (a bool per row); all where None.

    Returns:
        One row; NaN where a column has no values.
    """
    counted = np.ones(len(values), bool) if counted is None else counted
    held = int(counted.sum())
    if held < MANY:
        return row_medians(np.ascontiguousarray(values[counted].T))[:, 0]
    columns = np.empty((values.shape[1], held), values.dtype)
    done = 0
    for rows in parts(len(values)):
        own = values[rows][counted[rows]]
        columns[:, done : done + len(own)] = own.T
        done += len(own)
    return np.array([_selected(column) for column in columns], values.dtype)


def _selected(column: Matrix) -> np.floating:
    """Return the median of many values, which are put into another order; NaN without any."""
    count = len(column) - int(np.count_nonzero(np.isnan(column)))
    if not count:
        return np.float32(np.nan)
    # NaN counts as the largest. To select is a third of the work of putting all into order.
    column.partition(count // 2)
    upper = column[count // 2]
    lower = upper if count % 2 else column[: count // 2].max()
    middle: np.floating = (lower + upper) / np.float32(2)
    return middle


def row_spreads(values: Matrix, *, least: float) -> Matrix:
    """Return a robust standard deviation around zero of each row, a column.

    Args:
        values: Deviations; NaN is left out.
        least: No spread is smaller: timers have ticks, and a spread of zero says nothing.

    Returns:
        `least` for a row without values.
    """
    spread = np.full((len(values), 1), least, np.result_type(values.dtype, np.float32))
    if values.shape[1]:
        for rows in parts(len(values)):
            ordered = np.abs(values[rows])
            ordered.sort(axis=1)
            spread[rows] = np.fmax(_middles(ordered) * np.float32(MAD_TO_SIGMA), np.float32(least))
    return spread
