"""What was acknowledged outlives a kill under load; `make load SCENARIO=kills` does it a hundred
times."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.load import kills


@pytest.mark.chaos
def test_kills_under_load_lose_nothing_acknowledged_and_double_nothing(tmp_path: Path) -> None:
    tally = kills.run(tmp_path, kills=3, seed=7)
    assert tally.wrong == []
    assert (tally.kills, tally.lost, tally.torn, tally.doubled, tally.stores) == (3, 0, 0, 0, 0)
    assert tally.acknowledged >= 3
