"""What `testlytics doctor` says, and what it mends."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.command import command
from tests.factories import history


def damaged(folder: Path) -> Path:
    store = folder / "h.duckdb"
    paths = history(folder, {"t": "PFP", "u": "PPP"})
    command("ingest", *paths, "--store", store, cwd=folder)
    with duckdb.connect(str(store)) as connection:
        connection.execute("update derived.events set failures = 9").fetchall()
    return store


def test_a_sound_store(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    command("ingest", *history(tmp_path, {"t": "PFP"}), "--store", store, cwd=tmp_path)
    done = command("doctor", "--store", store, "--format", "json", cwd=tmp_path)
    found = done.json
    assert done.code == 0
    assert (found["runs"], found["tests"], found["attempts"]) == (3, 1, 3)
    assert found["differences"] == {}


def test_a_difference_is_told_and_put_right_only_when_asked(tmp_path: Path) -> None:
    store = damaged(tmp_path)
    told = command("doctor", "--store", store, cwd=tmp_path)
    assert told.code == 1
    assert "events (2 rows)" in told.out
    assert command("doctor", "--store", store, cwd=tmp_path).code == 1
    mended = command("doctor", "--store", store, "--rebuild", cwd=tmp_path)
    assert (mended.code, "Put right: events" in mended.out) == (0, True)
    assert command("doctor", "--store", store, cwd=tmp_path).code == 0


def test_nothing_is_made_where_there_is_no_store(tmp_path: Path) -> None:
    done = command("doctor", "--store", tmp_path / "none.duckdb", cwd=tmp_path)
    assert done.code == 5
    assert "no store" in done.err
    assert list(tmp_path.iterdir()) == []
