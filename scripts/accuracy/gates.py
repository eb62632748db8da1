"""What gates block: for outcomes and for durations."""

from __future__ import annotations

from scripts.accuracy import gate_durations, gate_outcomes
from scripts.accuracy.table import Table


def tables(*, seeds: int, small: bool = False) -> list[Table]:
    """Measure both."""
    return [
        *gate_outcomes.tables(seeds=seeds, small=small),
        *gate_durations.tables(seeds=seeds, small=small),
    ]
