"""What a rebuild makes of attempts that it cannot count in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

from testlytics_collector.records import Attempt, Failure, Outcome, Upload
from testlytics_collector.store import rebuild
from testlytics_collector.store.store import open_store

PASS, FAIL, SKIP = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED
WHY = Failure("E", "no", None, None)

RUNS = {
    "one attempt each": [("a", 1, PASS), ("b", 1, FAIL), ("c", 1, SKIP), ("d", 1, Outcome.UNKNOWN)],
    "retried": [("a", 1, FAIL), ("a", 2, PASS), ("b", 1, FAIL), ("b", 2, FAIL), ("c", 1, PASS)],
    "a number twice": [("a", 1, FAIL), ("a", 1, PASS), ("b", 1, PASS)],
    "begins late": [("a", 2, FAIL), ("a", 3, PASS), ("b", 7, SKIP)],
}


@pytest.mark.parametrize("bits", [1, 500_000_000])
def test_rebuilt_is_what_was_kept_step_by_step(
    bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_BITS_AT_ONCE", bits)
    with open_store(tmp_path / "h.duckdb", write=True) as store:
        for number, (name, told) in enumerate([*RUNS.items(), *RUNS.items()]):
            # The second time around as a second upload of the run.
            upload = Upload(
                f"u{number}", name, project="p", complete=number != 2, started_us=number * 10**12
            )
            with store.intake() as intake:
                intake.begin("p")
                intake.write(
                    [
                        Attempt(test, attempt, outcome, 5, failure=WHY if outcome is FAIL else None)
                        for test, attempt, outcome in told
                    ]
                )
                store.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=1)
            assert store.differences(mend=number % 2 == 0) == {}
