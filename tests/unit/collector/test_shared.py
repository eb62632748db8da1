"""Readers beside the writer of one process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from testlytics_collector import ingest
from testlytics_collector.errors import StoreError
from testlytics_collector.store import shared
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import Store, open_store
from tests.factories import attempt, run_file


def runs(path: Path) -> int:
    with open_store(path) as opened, opened.lists(Window()) as lists:
        return lists.runs(None).total


def test_a_reader_waits_for_no_writer_and_sees_no_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    with shared.sharing(path, wait_s=0, read_s=60) as held:
        connection = held._connection
        writer = Store(path, connection)
        ingest.ingest([str(run_file(tmp_path / "1.jsonl", [attempt()], 1))], writer)
        assert runs(path) == 1
        connection.execute("begin").fetchall()
        connection.execute("delete from raw.uploads").fetchall()
        connection.execute("delete from raw.runs").fetchall()
        # The writer is in the middle of a transaction.
        assert runs(path) == 1
        connection.execute("commit").fetchall()
        assert runs(path) == 0


def test_a_reader_sees_the_store_as_it_was_when_it_began(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    with shared.sharing(path, wait_s=0, read_s=60) as held:
        writer = Store(path, held._connection)
        ingest.ingest([str(run_file(tmp_path / "1.jsonl", [attempt()], 1))], writer)
        with open_store(path) as opened:
            assert opened.facts()["runs"] == 1
            ingest.ingest([str(run_file(tmp_path / "2.jsonl", [attempt()], 2))], writer)
            assert opened.facts()["runs"] == 1
        assert runs(path) == 2


def test_a_question_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    with shared.sharing(path, wait_s=0, read_s=0.05) as held, held.beside():
        with pytest.raises(StoreError) as caught, open_store(path) as opened:
            # Never ends by itself within the time of a test.
            from testlytics_collector.store.connection import translated

            with translated(path):
                opened._rows("select count(*) from range(10000000) a, range(10000000) b")
        assert caught.value.slug == "store-read-slow"
        held._read_s = 60.0  # a slow machine takes its time for the next one too
        assert runs(path) == 0


def test_closing_stops_readers_and_lets_no_more_in(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    began, told = threading.Event(), []
    from testlytics_collector.store.connection import translated

    def ask() -> None:
        try:
            with open_store(path) as opened, translated(path):
                opened._rows("select 1")
                began.set()
                opened._rows("select count(*) from range(10000000) a, range(10000000) b")
        except StoreError as error:
            told.append(error)

    thread = threading.Thread(target=ask)
    with shared.sharing(path, wait_s=0, read_s=60):
        thread.start()
        assert began.wait(60)
        held = shared.shared(path)
        assert held is not None
    thread.join(60)
    assert not thread.is_alive()
    assert len(told) == 1
    with pytest.raises(StoreError) as caught, held.reader():
        pass
    assert caught.value.slug == "store-closing"
    # The store is whole, and free for others.
    assert runs(path) == 0


def test_another_path_to_the_same_store_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with shared.sharing(tmp_path / "h.duckdb", wait_s=0, read_s=60):
        assert runs(tmp_path / "link" / "h.duckdb") == 0
    assert shared.shared(tmp_path / "h.duckdb") is None


def cached(held: shared.Shared) -> int:
    """Return the bytes of the file's blocks that DuckDB keeps."""
    rows = held._connection.execute(
        "select memory_usage_bytes from duckdb_memory() where tag = 'BASE_TABLE'"
    ).fetchall()
    return int(rows[0][0])


def test_what_was_read_is_given_back_but_not_while_somebody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_CACHE", "12MB")
    monkeypatch.setattr(shared, "_TRIM_S", 0.0)
    path = tmp_path / "h.duckdb"
    with shared.sharing(path, wait_s=0, read_s=60) as held:
        with held.beside() as reading:
            reading.execute("create table wide as select random() as x from range(2500000)")
            reading.execute("checkpoint").fetchall()
            reading.execute("select sum(x) from wide").fetchall()
            held.take_in([], {})
            assert cached(held) > 12e6
        held.take_in([], {})
        assert cached(held) < 12e6
        (limit,) = held._connection.execute("select current_setting('memory_limit')").fetchall()[0]
        assert limit == "953.6 MiB"  # those who read may take as much as before
