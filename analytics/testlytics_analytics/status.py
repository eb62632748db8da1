"""Flaky, broken, stable or unknown: one status per test and variant, with its evidence.

The first, simple judgement. Its rule for "flaky" by history is kept as a named reference in the
column `simple_flaky`; the status adds what that rule cannot see: proof on equal sources, and that
one change from passing to failing is a break and not a flake.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from testlytics_analytics.frames import KEY, checked
from testlytics_analytics.interval import wilson


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """Constants of the judgement.

    Attributes:
        low: Flaky by history from above this failure rate …
        high: … and below this one …
        more_than: … over more than this many runs …
        flips: … with at least this many changes between passing and failing: breaking and being
            mended are two.
        streak: Broken needs at least this many failed runs in a row, up to the newest.
        chance: Broken needs such a streak to be less likely than this under the failure rate
            before it.
        settled: Stable needs at least this many runs.
    """

    low: float = 0.1
    high: float = 0.9
    more_than: int = 10
    flips: int = 3
    streak: int = 3
    chance: float = 0.01
    settled: int = 10


def judge(verdicts: pl.DataFrame, options: StatusOptions | None = None) -> pl.DataFrame:
    """Judge each test and variant over the runs given.

    Args:
        verdicts: Columns of `frames.VERDICTS`, any order of rows.
        options: Constants; the defaults where None.

    Returns:
        One row per series, sorted by project, test_id, variant:

        ================= ===== ========================================================
        runs              u32   runs with a verdict passed, failed or flaky
        passed            u32   … of which passed
        failed            u32   … of which failed
        flaky             u32   … of which flaky: failed and passed in one run
        skipped           u32   runs in which the test was only skipped
        failure_rate      f64   (failed + flaky) / runs; null without runs
        low, high         f64   its 95 % interval (Wilson); null without runs
        flips             u32   changes between passing and not, run to run
        disagreements     u32   sources on which it both passed and failed
        failing_streak    u32   failed runs in a row up to the newest one
        last_verdict      str   of the newest run with one; null without runs
        failing_since     str   run id of the streak's first run; null without a streak
        failing_commit    str   its commit; null without a streak or where unknown
        passing_commit    str   commit of the last run before the streak; null likewise
        simple_flaky      bool  the reference rule: low < failure_rate < high over enough runs
        status            str   flaky, broken, stable or unknown
        ================= ===== ========================================================
    """
    options = options or StatusOptions()
    rows = checked(verdicts)
    seen = rows.filter(pl.col("verdict").is_in(["passed", "failed", "flaky"])).with_columns(
        (pl.col("verdict") != "passed").alias("bad")
    )
    judged = (
        rows.group_by(KEY)
        .agg((pl.col("verdict") == "skipped").sum().alias("skipped"))
        .join(_counted(seen), on=KEY, how="left")
        .join(_disagreements(seen), on=KEY, how="left")
        .join(_streaks(seen), on=KEY, how="left")
        .with_columns(
            pl.col(
                "runs", "passed", "failed", "flaky", "flips", "disagreements", "failing_streak"
            ).fill_null(0)
        )
    )
    return _with_status(judged, options).sort(KEY)


def _counted(seen: pl.DataFrame) -> pl.DataFrame:
    def of(verdict: str) -> pl.Expr:
        return (pl.col("verdict") == verdict).sum().alias(verdict)

    return seen.group_by(KEY).agg(
        pl.len().alias("runs"),
        of("passed"),
        of("failed"),
        of("flaky"),
        (pl.col("bad").sort_by("step").cast(pl.Int8).diff() != 0).sum().alias("flips"),
        pl.col("verdict").sort_by("step").last().alias("last_verdict"),
    )


def _disagreements(seen: pl.DataFrame) -> pl.DataFrame:
    """Count, per series, the sources that saw both a pass and a failure."""
    return (
        seen.filter(pl.col("sources").is_not_null())
        .group_by(*KEY, "sources")
        .agg(both=(pl.col("passes") > 0).any() & (pl.col("failures") > 0).any())
        .group_by(KEY)
        .agg(pl.col("both").sum().alias("disagreements"))
    )


def _streaks(seen: pl.DataFrame) -> pl.DataFrame:
    """Find the failed runs in a row at the end of each series."""
    last_good = pl.col("step").filter(pl.col("verdict") != "failed").max()
    marked = seen.with_columns(last_good.over(KEY).fill_null(-1).alias("good_step"))
    streak = (
        marked.filter(pl.col("step") > pl.col("good_step"))
        .group_by(KEY)
        .agg(
            pl.len().alias("failing_streak"),
            pl.col("run_id").sort_by("step").first().alias("failing_since"),
            pl.col("commit").sort_by("step").first().alias("failing_commit"),
        )
    )
    before = marked.filter(pl.col("step") == pl.col("good_step")).select(
        *KEY, pl.col("commit").alias("passing_commit")
    )
    return streak.join(before, on=KEY, how="left")


def _with_status(judged: pl.DataFrame, options: StatusOptions) -> pl.DataFrame:
    bad = pl.col("failed") + pl.col("flaky")
    low, high = wilson(bad, pl.col("runs"))
    rate = pl.when(pl.col("runs") > 0).then(bad / pl.col("runs"))
    before = (pl.col("runs") - pl.col("failing_streak")).cast(pl.Float64)
    # Half a failure more than were seen: a rate of exactly zero would make any failure a break.
    usual = (bad - pl.col("failing_streak") + 0.5) / (before + 1)
    never_passed = (pl.col("passed") + pl.col("flaky")) == 0
    broken = (pl.col("failing_streak") >= options.streak) & (
        never_passed | (usual ** pl.col("failing_streak") < options.chance)
    )
    proven = (pl.col("disagreements") > 0) | (pl.col("flaky") > 0)
    by_history = pl.col("simple_flaky") & (pl.col("flips") >= options.flips)
    settled = (pl.col("runs") >= options.settled) & (pl.col("failing_streak") == 0)
    return (
        judged.with_columns(rate.alias("failure_rate"), low.alias("low"), high.alias("high"))
        .with_columns(
            simple_flaky=(
                pl.col("failure_rate").is_between(options.low, options.high, closed="none")
                & (pl.col("runs") > options.more_than)
            ).fill_null(value=False)
        )
        .with_columns(
            status=pl.when(broken)
            .then(pl.lit("broken"))
            .when(proven | by_history)
            .then(pl.lit("flaky"))
            .when(settled)
            .then(pl.lit("stable"))
            .otherwise(pl.lit("unknown"))
        )
    )
