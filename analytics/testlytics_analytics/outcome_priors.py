"""What is believed about tests before anything was seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Spell(NamedTuple):
    """One kind of test that has bad spells.

    Attributes:
        weight: How many of the tests with bad spells are of this kind, relative to others.
        calm: Failure rate outside of them.
        high: Failure rate within.
        enter: Chance per run that a spell begins.
        leave: Chance per run that it ends.
    """

    weight: float
    calm: float
    high: float
    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Priors:
    """Constants of the model of `hidden_states`.

    The weights of the rates follow the failure rates that FlakeFlagger measured for 811 flaky among
    22,244 tests, smoothed. All others were chosen on simulated suites of other seeds than those
    that the published accuracy comes from.

    Attributes:
        rates: Flake rates and their weights.
        flaky: Share of tests that are flaky at all …
        spells: … and share of these that fail in bad spells …
        kinds: … of these kinds.
        breaks: Chances per change of sources that a test breaks, and their weights.
        breaks_in_spells: The same for tests with bad spells.
        mended: Chance per change of sources that a broken test is mended …
        lasting: … until it failed on so many sources in a row: what was left broken for so long
            stays so for longer, and then the chance is …
        mended_late: … this one.
        born_broken: Chance that a test is broken before the first run of the window.
        broken_rate: Failure rate of a broken test.
        threshold: A test that flakes at least at this rate is worth a person's time.
    """

    rates: tuple[tuple[float, float], ...] = (
        (1e-4, 0.20),
        (3e-4, 0.15),
        (1e-3, 0.08),
        (2.5e-3, 0.10),
        (0.006, 0.09),
        (0.012, 0.09),
        (0.022, 0.05),
        (0.04, 0.02),
        (0.07, 0.02),
        (0.12, 0.03),
        (0.2, 0.09),
        (0.3, 0.015),
        (0.45, 0.02),
        (0.6, 0.10),
        (0.75, 0.01),
        (0.88, 0.01),
    )
    flaky: float = 0.04
    spells: float = 0.07
    kinds: tuple[Spell, ...] = (
        Spell(1, 3e-4, 0.1, 0.025, 0.1),
        Spell(1, 3e-4, 0.35, 0.025, 0.1),
        Spell(1, 3e-4, 0.9, 0.025, 0.1),
    )
    breaks: tuple[tuple[float, float], ...] = ((2e-4, 0.95), (1.2e-2, 0.05))
    breaks_in_spells: float = 6e-4
    mended: float = 0.15
    lasting: int = 20
    mended_late: float = 0.05
    born_broken: float = 0.003
    broken_rate: float = 0.995
    threshold: float = 0.01
