"""Service level targets: a file says what a scenario must reach, and this says what it missed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

Figures = Mapping[str, float | None]

_WORDS = {"at_least": "at least", "at_most": "at most"}


class Verdict(NamedTuple):
    """One target and what was reached.

    Attributes:
        figure: Its name, see `measured.figures`.
        reached: The value; None where nothing was measured.
        bound: What it must be.
        least: Whether the bound is the least; else it is the most.
    """

    figure: str
    reached: float | None
    bound: float
    least: bool

    @property
    def kept(self) -> bool:
        """Whether it was reached; what was not measured was not."""
        if self.reached is None:
            return False
        return self.reached >= self.bound if self.least else self.reached <= self.bound

    @property
    def text(self) -> str:
        """The target in words."""
        return f"{self.figure} {_WORDS['at_least' if self.least else 'at_most']} {self.bound:g}"


def read(path: Path, scenario: str) -> list[tuple[str, bool, float]]:
    """Return the targets of a scenario: figure, whether the bound is the least, bound.

    Raises:
        ValueError: The file holds what it may not.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    found = []
    for figure, bounds in document.get(scenario, {}).items():
        if not isinstance(bounds, dict) or not bounds:
            raise ValueError(f"{path.name}: {scenario}.{figure} must say at_least or at_most.")
        for word, bound in bounds.items():
            if word not in _WORDS or isinstance(bound, bool) or not isinstance(bound, int | float):
                raise ValueError(f"{path.name}: {scenario}.{figure}.{word} = {bound!r} is unknown.")
            found.append((figure, word == "at_least", float(bound)))
    return found


def check(targets: list[tuple[str, bool, float]], figures: Figures) -> list[Verdict]:
    """Compare what was reached with the targets.

    Raises:
        ValueError: A target names a figure that does not exist.
    """
    unknown = sorted({figure for figure, *_ in targets} - set(figures))
    if unknown:
        raise ValueError(f"No such figure: {', '.join(unknown)}; there are: {', '.join(figures)}.")
    return [Verdict(figure, figures[figure], bound, least) for figure, least, bound in targets]
