"""Asks one installed package which series rose of late; runs in an environment of its own.

    python run.py PACKAGE windows.npy said.json

Standard library, numpy and the package: nothing of testlytics is there. The windows are log
durations around their own median, one series up to one run in each row, NaN where there is no
value. Written are, for each way of using the package, a list of answers and the milliseconds of
processor time per call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

LEAST = 0.05
"""An increase of 5 % or more counts …"""
RECENT = 60
"""… at one of the newest so many values: an older one was told before."""
RARELY = 10
FEW = "*"
"""What takes long, and has this mark, is asked about every tenth series only."""

Values = Any
Tool = Callable[[Values], bool]


def rises(values: Values, places: Iterable[int]) -> bool:
    """Tell whether the level rises at one of the places, from its segment to the next one."""
    edges = [0, *sorted(place for place in places if 0 < place < len(values)), len(values)]
    levels = [float(np.median(values[a:b])) for a, b in pairwise(edges)]
    return any(
        behind - before >= np.log1p(LEAST) and len(values) - place <= RECENT
        for before, behind, place in zip(levels, levels[1:], edges[1:-1], strict=False)
    )


def _ruptures() -> dict[str, Tool]:
    package = import_module("ruptures")

    def noise(values: Values) -> float:
        return max(float(np.median(np.abs(np.diff(values)))) * 1.4826 / 2**0.5, 1e-3)

    def squares(factor: float) -> Tool:
        def tool(values: Values) -> bool:
            scaled = (values / noise(values))[:, None]
            found = package.KernelCPD(kernel="linear", min_size=2).fit(scaled)
            return rises(values, found.predict(pen=factor * np.log(len(values))))

        return tool

    def absolute(values: Values) -> bool:
        found = package.Pelt(model="l1", min_size=2, jump=5).fit(values / noise(values))
        return rises(values, found.predict(pen=3 * np.log(len(values))))

    return {
        "ruptures, PELT l2, 3 log n": squares(3),
        "ruptures, PELT l2, 10 log n": squares(10),
        "ruptures, PELT l1, 3 log n": absolute,
    }


def _otava() -> dict[str, Tool]:
    package = import_module("otava.analysis")

    def tuned(**options: float) -> Tool:
        def tool(values: Values) -> bool:
            found, _ = package.compute_change_points(np.exp(values).tolist(), **options)
            return rises(values, [one.index for one in found])

        return tool

    return {
        "otava, its defaults": tuned(),
        "otava, p 1e-5, 5 %": tuned(max_pvalue=1e-5, min_magnitude=LEAST),
        "otava, window 30, 5 %": tuned(window_len=30, min_magnitude=LEAST),
    }


def _asv() -> dict[str, Tool]:
    package = import_module("asv.step_detect")

    def tool(values: Values) -> bool:
        steps = package.detect_steps(np.exp(values).tolist())
        _, _, found = package.detect_regressions(steps, LEAST)
        return any(len(values) - 1 - before <= RECENT for before, *_ in found or ())

    return {"asv, its defaults": tool}


def _mongodb() -> dict[str, Tool]:
    package = import_module("signal_processing_algorithms.energy_statistics.energy_statistics")

    def tool(values: Values) -> bool:
        np.random.seed(1)  # What the package draws its permutations from.
        return rises(values, package.e_divisive(np.exp(values)))

    return {"e-divisive, its defaults": tool}


PACKAGES: dict[str, Callable[[], dict[str, Tool]]] = {
    "ruptures": _ruptures,
    "apache-otava": _otava,
    "asv": _asv,
    "signal-processing-algorithms": _mongodb,
}


def main(package: str, source: str, target: str) -> None:
    """Answer for all windows."""
    windows = [row[np.isfinite(row)] for row in np.load(source).astype(np.float64)]
    said: dict[str, dict[str, Any]] = {}
    for name, tool in PACKAGES[package]().items():
        began = process_time()
        answers = [bool(tool(values)) for values in windows]
        spent = process_time() - began
        said[name] = {"said": answers, "ms": 1000 * spent / max(len(windows), 1)}
    Path(target).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
