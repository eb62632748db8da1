"""Attempts of which only some reports arrive, in sessions with a frozen clock."""

from __future__ import annotations

from pathlib import Path

from tests.unit.plugin.reports import USUAL, Bench


def test_try_without_teardown_ends_where_the_next_begins(tmp_path: Path) -> None:
    # So it is with pytest-rerunfailures before 16.2, where a worker's first report is late.
    bench = Bench(tmp_path, workers=True, customs=USUAL._replace(late=True))
    for outcome in ("rerun", "failed"):
        bench.report("test_a", "setup", duration=1e12, worker_id="gw0")
        bench.report("test_a", "call", outcome, duration=1e12, worker_id="gw0")
    bench.report("test_a", "teardown", duration=1e12, worker_id="gw0")
    assert bench.recorded().ends == {"test_a": "failed@call|failed@call"}


def test_try_without_teardown_has_its_own_number(tmp_path: Path) -> None:
    bench = Bench(tmp_path, workers=True, customs=USUAL._replace(late=True))
    for rerun, outcome in enumerate(("rerun", "rerun", "failed")):
        bench.report("test_a", "setup", worker_id="gw0", rerun=rerun)
        bench.report("test_a", "call", outcome, worker_id="gw0", rerun=rerun)
    bench.report("test_a", "teardown", worker_id="gw0", rerun=2)
    assert [attempt["attempt"] for attempt in bench.recorded().attempts] == [1, 2, 3]


def test_reports_that_a_busy_controller_hears_at_once_keep_their_durations(tmp_path: Path) -> None:
    bench = Bench(tmp_path, workers=True, customs=USUAL._replace(late=True), at=100.0)
    bench.slept = 1.0
    for outcome in ("rerun", "passed"):
        bench.report("test_a", "setup", duration=0.2, worker_id="gw0")
        bench.report("test_a", "call", outcome, duration=0.1, worker_id="gw0")
    bench.report("test_a", "teardown", duration=0.1, worker_id="gw0")
    attempts = bench.recorded().attempts
    assert [attempt.get("setup_us") for attempt in attempts] == [200_000, 200_000]
    assert [attempt.get("clock") for attempt in attempts] == [None, None]
