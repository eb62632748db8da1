"""How long tests take, and which got slower.

The baseline and the 20 % rule are the simple reference that finer methods are measured against.
The rule alone raises many false alarms; a regression must also be relevant and beyond what the test
did before.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from testlytics_analytics.frames import KEY, checked


@dataclass(frozen=True, slots=True)
class DurationOptions:
    """Constants of the baseline and of the rule.

    Attributes:
        window: The baseline is the median of at most this many durations before the newest.
        samples: No baseline with fewer than this many.
        factor: Slower means beyond baseline * factor.
        held: A change that lasted for this many runs is no hiccup of the machine.
        held_floor_s: An increase that has held must be at least this much in each of its runs to
            matter, in seconds.
        floor_s: One that has not held must be at least this much, in seconds …
        trusted_s: … and its baseline at least this long: a shorter test is easily thrown off by
            what else the machine does.
    """

    window: int = 100
    samples: int = 10
    factor: float = 1.2
    held: int = 3
    held_floor_s: float = 0.01
    floor_s: float = 0.05
    trusted_s: float = 0.1


def slower(verdicts: pl.DataFrame, options: DurationOptions | None = None) -> pl.DataFrame:
    """Compare each test's newest duration with its baseline.

    Args:
        verdicts: Columns of `frames.VERDICTS`, any order of rows.
        options: Constants; the defaults where None.

    Returns:
        One row per series with a baseline, sorted by project, test_id, variant:

        =============== ===== =========================================================
        baseline_s      f64   median of the window before the newest duration, seconds
        baseline_runs   u32   how many durations that is
        newest_s        f64   the newest duration, seconds
        ratio           f64   newest_s / baseline_s; null where the baseline is 0
        held            u32   newest durations in a row beyond baseline * factor
        since_run       str   run id of the first of them; null where there is none
        since_commit    str   its commit; null likewise or where unknown
        beyond_factor   bool  the reference rule: newest_s > baseline_s * factor
        regression      bool  … and relevant, and above nearly all durations before
        =============== ===== =========================================================
    """
    options = options or DurationOptions()
    rows = _measured(verdicts).with_columns(
        (pl.int_range(pl.len(), 0, -1).over(KEY) - 1).alias("age")
    )
    window = rows.filter(pl.col("age").is_between(1, options.window))
    base = (
        window.group_by(KEY)
        .agg(
            pl.col("duration_s").median().alias("baseline_s"),
            pl.len().alias("baseline_runs"),
        )
        .filter(pl.col("baseline_runs") >= options.samples)
    )
    limit = pl.col("baseline_s") * options.factor
    marked = rows.join(base, on=KEY).with_columns(
        pl.col("age").filter(pl.col("duration_s") <= limit).min().over(KEY).alias("calm_age")
    )
    compared = (
        base.join(_newest(rows), on=KEY)
        .join(_held(marked), on=KEY, how="left")
        .join(_before(marked, options), on=KEY, how="left")
        .with_columns(pl.col("held").fill_null(0))
    )
    return _with_regression(compared, options).sort(KEY)


def _measured(verdicts: pl.DataFrame) -> pl.DataFrame:
    return checked(verdicts.filter(pl.col("duration_s").is_not_null()))


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("age") == 0).select(*KEY, pl.col("duration_s").alias("newest_s"))


def _held(marked: pl.DataFrame) -> pl.DataFrame:
    """Find the durations in a row beyond the limit, up to the newest."""
    return (
        marked.filter(pl.col("age") < pl.col("calm_age").fill_null(pl.col("age") + 1))
        .group_by(KEY)
        .agg(
            pl.len().alias("held"),
            pl.col("duration_s").min().alias("held_s"),
            pl.col("run_id").sort_by("step").first().alias("since_run"),
            pl.col("commit").sort_by("step").first().alias("since_commit"),
        )
    )


def _before(marked: pl.DataFrame, options: DurationOptions) -> pl.DataFrame:
    """Find what nearly all durations before the change stayed below.

    A test that always swings between two durations is not slower when it ends on the longer one.
    """
    return (
        marked.filter(
            (pl.col("age") >= pl.col("calm_age").fill_null(1)) & (pl.col("age") <= options.window)
        )
        .group_by(KEY)
        .agg(pl.col("duration_s").quantile(0.95, interpolation="linear").alias("usual_s"))
    )


def _with_regression(compared: pl.DataFrame, options: DurationOptions) -> pl.DataFrame:
    increase = pl.col("held_s") - pl.col("baseline_s")
    lasting = (pl.col("held") >= options.held) & (increase >= options.held_floor_s)
    large = (pl.col("baseline_s") >= options.trusted_s) & (increase >= options.floor_s)
    beyond = pl.col("newest_s") > pl.col("baseline_s") * options.factor
    unusual = pl.col("held_s") > pl.col("usual_s")
    return compared.select(
        *KEY,
        "baseline_s",
        "baseline_runs",
        "newest_s",
        pl.when(pl.col("baseline_s") > 0)
        .then(pl.col("newest_s") / pl.col("baseline_s"))
        .alias("ratio"),
        "held",
        "since_run",
        "since_commit",
        beyond.alias("beyond_factor"),
        (beyond & (lasting | large) & unusual).fill_null(value=False).alias("regression"),
    )
