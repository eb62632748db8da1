"""A file that is not as it was left: refused, with what to do, and never written over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from testlytics import api
from testlytics_collector.errors import StoreError
from testlytics_collector.store.retention import Policy
from testlytics_collector.store.store import open_store
from tests.factories import attempt, run_file

pytestmark = pytest.mark.chaos
TESTS = 3_000
DIE_BEFORE_CLOSING = """
import os, sys
from pathlib import Path
from testlytics_collector.store import connection
connection._OwnProcess.close = lambda self: os._exit(0)
from testlytics import api
api.ingest(sys.argv[2:], Path(sys.argv[1]))
"""


def made(folder: Path, number: int) -> str:
    durations = (1_000 + (index * 7919 * (number + 1)) % 99_991 for index in range(TESTS))
    rows = [attempt(f"t.py::test_{i}", call_us=us) for i, us in enumerate(durations)]
    return str(run_file(folder / f"run-{number}.jsonl", rows, number))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Eight runs, of which five were pruned, so that blocks are free; and one in the log."""
    path = tmp_path / "h.duckdb"
    for number in range(8):
        api.ingest([made(tmp_path, number)], path)
    with open_store(path, write=True) as opened:
        opened.prune(Policy(keep_runs=3), now_us=1)
    subprocess.run(
        [sys.executable, "-c", DIE_BEFORE_CLOSING, str(path), made(tmp_path, 9)],
        check=True,
        timeout=100,
    )
    assert log_of(path).stat().st_size > 0
    return path


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def refused(path: Path, *, slugs: Sequence[str]) -> None:
    """Open it in both ways; it must be refused, and both files stay as they are."""
    before = path.read_bytes(), log_of(path).read_bytes()
    for write in (False, True):
        with pytest.raises(StoreError) as caught, open_store(path, write=write):
            pass
        assert caught.value.slug in slugs
        assert caught.value.hint
        assert (path.read_bytes(), log_of(path).read_bytes()) == before


def test_a_store_cut_short_beside_its_log_is_refused_and_never_written(store: Path) -> None:
    whole = store.read_bytes()
    for size in [*range(0, len(whole), len(whole) // 12), len(whole) - 1]:
        store.write_bytes(whole[:size])
        refused(store, slugs=["store-damaged", "not-a-store"])
    store.write_bytes(whole)
    with open_store(store, write=True) as opened:
        assert opened.facts()["attempts"] == 4 * TESTS
        assert opened.differences(mend=False) == {}


def test_a_log_with_a_changed_byte_is_refused_and_never_written(store: Path) -> None:
    log = log_of(store)
    whole = log.read_bytes()
    for place in range(len(whole) // 8, len(whole), len(whole) // 5):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        log.write_bytes(changed)
        refused(store, slugs=["store-damaged"])


def test_of_a_log_that_was_cut_short_each_upload_is_there_wholly_or_not_at_all(
    store: Path,
) -> None:
    log = log_of(store)
    whole, file = log.read_bytes(), store.read_bytes()
    for size in range(0, len(whole), len(whole) // 6):
        log.write_bytes(whole[:size])
        store.write_bytes(file)
        with open_store(store, write=True) as opened:
            assert opened.facts()["attempts"] in {3 * TESTS, 4 * TESTS}
            assert opened.differences(mend=False) == {}


def test_what_is_found_damaged_only_later_is_told_as_such_and_left(store: Path) -> None:
    with open_store(store, write=True):
        pass
    whole = bytearray(store.read_bytes())
    block = 262_144
    for start in range(3 * 4096 + 10_000, len(whole), block):
        whole[start] ^= 0xFF
    store.write_bytes(whole)
    with pytest.raises(StoreError) as caught, open_store(store, write=True) as opened:
        opened.differences(mend=False)
    assert caught.value.slug == "store-damaged"
    assert store.read_bytes() == whole
