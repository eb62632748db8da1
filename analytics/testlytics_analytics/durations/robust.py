"""Medians and spreads of matrices with holes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
"""Rows are series, columns are runs, NaN is "no value"."""

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


def row_medians(values: Matrix) -> Matrix:
    """Return the median of each row's values.

    Args:
        values: Any matrix; NaN is left out.

    Returns:
        A column as long as the matrix is high; NaN for a row without values.
    """
    if not values.shape[1]:
        return np.full((len(values), 1), np.nan, np.float32)
    # NaN sorts last: the values of a row are its head.
    ordered = np.sort(values, axis=1)
    count = (ordered == ordered).sum(axis=1)  # noqa: PLR0124 - not equal to itself: NaN
    upper = np.take_along_axis(ordered, (count // 2)[:, None].clip(max=values.shape[1] - 1), 1)
    lower = np.take_along_axis(ordered, ((count - 1) // 2).clip(min=0)[:, None], 1)
    middle: Matrix = (lower + upper) / np.float32(2)
    middle[count == 0] = np.nan
    return middle


def column_medians(values: Matrix) -> Matrix:
    """Return the median of each column's values, as one row; NaN where a column has none."""
    return row_medians(np.ascontiguousarray(values.T))[:, 0]


def row_spreads(values: Matrix, *, least: float) -> Matrix:
    """Return a robust standard deviation around zero of each row, a column.

    Args:
        values: Deviations; NaN is left out.
        least: No spread is smaller: timers have ticks, and a spread of zero says nothing.

    Returns:
        `least` for a row without values.
    """
    spread = row_medians(np.abs(values)) * np.float32(MAD_TO_SIGMA)
    return np.asarray(np.fmax(spread, np.float32(least)))
