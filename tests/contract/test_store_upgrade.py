"""Stores of older versions: brought up to date, and kept as they were beside it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from testlytics_collector.errors import StoreError
from testlytics_collector.store.schema import SCHEMA_VERSION, STEPS
from testlytics_collector.store.store import open_store

DATA = Path(__file__).parent.parent / "data" / "store"


def old_store(path: Path, version: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute((DATA / f"schema-{version}.sql").read_text(encoding="utf-8")).fetchall()


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(sql).fetchall()
        return found


@pytest.mark.parametrize("version", sorted(STEPS))
def test_an_older_store_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    store, copy = tmp_path / "h.duckdb", tmp_path / f"h.duckdb.schema{version}"
    old_store(store, version)
    before = {view: rows(store, f"from {view} order by all") for view in ("attempts", "verdicts")}
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=True) == {}
    after = {view: rows(store, f"from {view} order by all") for view in before}
    assert after == before
    assert rows(store, "select value from raw.meta") == [(str(SCHEMA_VERSION),)]
    assert rows(store, "select failures, passes from derived.events") == [(1, 1)]
    assert rows(copy, "select value from raw.meta") == [(str(version),)]
    assert rows(copy, "select count(*) from raw.attempts") == [(5,)]


def test_a_reader_leaves_an_older_store_alone_and_says_what_to_do(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    old_store(store, 1)
    with pytest.raises(StoreError) as caught, open_store(store):
        pass
    assert caught.value.slug == "store-older"
    assert "doctor" in str(caught.value.hint)
    assert rows(store, "select value from raw.meta") == [("1",)]


def test_an_upgrade_that_is_cut_off_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "h.duckdb"
    old_store(store, 1)
    with monkeypatch.context() as patched:
        patched.setitem(STEPS, 1, f"{STEPS[1]}; select error('cut off');")
        with pytest.raises(StoreError), open_store(store, write=True):
            pass
    assert rows(store, "select value from raw.meta") == [("1",)]
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=True) == {}
