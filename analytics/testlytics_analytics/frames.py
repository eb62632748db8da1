"""The frames that go in and out, as column tables.

`VERDICTS` is the one input: a row per test, variant and run. Every function says which columns it
adds. Null means "not known"; a rate without runs is null, never zero.
"""

from __future__ import annotations

import polars as pl

KEY = ("project", "test_id", "variant")
"""What names a series: verdicts are judged for each of them apart, variants never mix."""

VERDICTS: dict[str, pl.DataType] = {
    "project": pl.String(),
    "test_id": pl.String(),
    "variant": pl.String(),
    "run_id": pl.String(),
    "position": pl.Int64(),  # order of runs within the project, rising with time
    "commit": pl.String(),  # null where unknown
    "sources": pl.String(),  # equal text: exactly equal sources; null where not known exactly
    "verdict": pl.String(),  # passed, failed, flaky, skipped; null without evidence
    "passes": pl.Int32(),  # attempts that ended as expected
    "failures": pl.Int32(),  # attempts that failed, errored or crashed
    "duration_s": pl.Float64(),  # of the last passed attempt; null where none passed
}


def checked(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `VERDICTS` in their types, sorted by series and position.

    Args:
        verdicts: At least the columns of `VERDICTS`, any order of rows.

    Raises:
        ValueError: A column is missing.
    """
    missing = [name for name in VERDICTS if name not in verdicts.columns]
    if missing:
        raise ValueError(f"columns missing from the verdicts: {', '.join(missing)}")
    return (
        verdicts.select(pl.col(name).cast(kind) for name, kind in VERDICTS.items())
        .sort(*KEY, "position", "run_id")
        .with_columns(pl.int_range(pl.len()).over(*KEY).cast(pl.Int64).alias("step"))
    )
