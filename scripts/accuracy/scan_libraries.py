"""The same scan for a lasting rise, with numpy and with polars: what each of them costs.

    python -m scripts.accuracy.scan_libraries numpy|polars SERIES

prints a line of JSON. A process of its own for each, so that memory and import are its own.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

RUNS, SHORTEST, LONGEST = 150, 4, 75
ROUNDS = 3
Values = npt.NDArray[np.float32]


def made(series: int) -> Values:
    """Return scores, series by runs; in some of them the newest values are higher."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((series, RUNS), np.float32)
    values[::10, -20:] += 1
    return values


def with_numpy(values: Values) -> Values:
    """Return the largest t statistic of the newest 4 to 75 values of each series."""
    recent = np.arange(1, RUNS + 1, dtype=np.float32)
    sums = np.cumsum(values[:, ::-1], axis=1)
    lengths = slice(SHORTEST - 1, LONGEST)
    one, other = recent[lengths], RUNS - recent[lengths]
    some = sums[:, lengths]
    apart = some / one - (sums[:, -1:] - some) / other
    variance = values.var(axis=1)[:, None]
    best: Values = (apart / np.sqrt((1 / one + 1 / other) * variance)).max(axis=1)
    return best


def with_polars(frame: pl.DataFrame) -> Values:
    """Return the same of a frame with the columns series, run and score, ordered by both."""
    import polars as pl

    one = (RUNS - pl.col("run")).cast(pl.Float32)
    other = pl.col("run").cast(pl.Float32)
    apart = pl.col("some") / one - (pl.col("whole") - pl.col("some")) / other
    return (
        frame.lazy()
        .with_columns(
            some=pl.col("score").cum_sum(reverse=True).over("series"),
            whole=pl.col("score").sum().over("series"),
            variance=pl.col("score").var(ddof=0).over("series"),
        )
        .filter(one.is_between(SHORTEST, LONGEST))
        .select("series", best=apart / ((1 / one + 1 / other) * pl.col("variance")).sqrt())
        .group_by("series", maintain_order=True)
        .agg(pl.col("best").max())
        .collect()["best"]
        .to_numpy()
    )


def framed(values: Values) -> pl.DataFrame:
    """Return the scores as the columns series, run and score."""
    import polars as pl

    series, runs = values.shape
    return pl.DataFrame(
        {
            "series": np.repeat(np.arange(series, dtype=np.uint32), runs),
            "run": np.tile(np.arange(runs, dtype=np.uint16), series),
            "score": values.ravel(),
        }
    )


def most_resident_mib() -> float:
    """Return the most memory that was resident since this program began.

    Not `ru_maxrss` where there is better: a child begins with what its parent had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(library: str, series: int) -> dict[str, float]:
    """Return CPU seconds of the best round, and the most memory that was resident, MiB."""
    values = made(series)
    scan: Callable[[], Values]
    if library == "numpy":
        scan = partial(with_numpy, values)
    else:
        scan = partial(with_polars, framed(values))
        del values
    spent = []
    for _ in range(ROUNDS):
        began = process_time()
        scan()
        spent.append(process_time() - began)
    return {"cpu_s": min(spent), "mib": most_resident_mib()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
