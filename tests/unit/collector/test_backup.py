"""A copy of a store while it is used: whole, of one moment, and a store as any other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from testlytics_collector.errors import NotFoundError, StoreError
from testlytics_collector.ingest import Stated, ingest
from testlytics_collector.store import shared
from testlytics_collector.store.backup import back_up
from testlytics_collector.store.store import open_store
from tests.factories import attempt, run_file

TESTS = 50


def filled(folder: Path, first: int, runs: int) -> Path:
    """Return a store with some runs of 50 tests each."""
    store = folder / "h\"'.duckdb"
    tests = [attempt(f"a.py::t{number}") for number in range(TESTS)]
    files = [
        str(run_file(folder / f"{n}.jsonl", tests, number=n)) for n in range(first, first + runs)
    ]
    with open_store(store, write=True) as opened:
        results = ingest(files, opened, stated=Stated())
    assert {result.status.value for result in results} == {"stored"}
    return store


def looked_at(copy: Path) -> int:
    """Return how many runs a copy holds, after a look whether each is whole."""
    with open_store(copy, write=True) as opened:
        facts = opened.facts()
        assert opened.differences(mend=False) == {}
    assert facts["attempts"] == TESTS * int(str(facts["runs"]))
    return int(str(facts["runs"]))


def test_a_store_that_nobody_uses_is_copied(tmp_path: Path) -> None:
    store = filled(tmp_path, 0, 2)
    before = store.read_bytes()
    back_up(store, tmp_path / "copy.duckdb")
    assert looked_at(tmp_path / "copy.duckdb") == 2
    assert store.read_bytes() == before
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_copy_beside_a_writer_holds_whole_transactions(tmp_path: Path) -> None:
    store = filled(tmp_path, 0, 1)
    with shared.sharing(store, wait_s=5, read_s=60) as held, held.beside() as writer:
        size = writer.execute("select count(*) from raw.attempts").fetchall()
        assert size == [(TESTS,)]
        is_done, made = threading.Event(), []

        def copies() -> None:
            for number in range(5):
                copy = tmp_path / f"copy-{number}.duckdb"
                back_up(store, copy)
                made.append(copy)
            is_done.set()

        thread = threading.Thread(target=copies)
        thread.start()
        pairs = 0
        while not is_done.is_set() or pairs < 10:
            writer.execute("begin").fetchall()
            for name in ("one", "two"):
                writer.execute("insert into raw.meta values ($1, 'x')", [f"{name}-{pairs}"])
                writer.execute("select 1").fetchall()
            writer.execute("commit").fetchall()
            pairs += 1
        thread.join()
    for copy in made:
        assert looked_at(copy) == 1
        with shared.sharing(copy, wait_s=5, read_s=60) as held, held.beside() as reader:
            rows = reader.execute("select key from raw.meta where value = 'x'").fetchall()
        names = {str(key) for (key,) in rows}
        assert {f"two-{key[4:]}" for key in names if key.startswith("one-")} == {
            key for key in names if key.startswith("two-")
        }


def test_where_there_is_none_or_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        back_up(tmp_path / "none.duckdb", tmp_path / "copy.duckdb")
    store = filled(tmp_path, 0, 1)
    with pytest.raises(StoreError):
        back_up(store, tmp_path / "no folder" / "copy.duckdb")
    assert looked_at(store) == 1
