"""An upload stays in the spool until it is committed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import duckdb
import pytest

from testlytics import api
from testlytics_collector.errors import StoreError
from testlytics_collector.ingest import Status
from testlytics_collector.store import spool
from testlytics_collector.store.connection import connect
from testlytics_collector.store.lock import hold
from tests.factories import attempt, run_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class NoRoomToCommit:
    """A connection to a store whose disk is full when it is to commit."""

    def __init__(self, inner: DuckDBPyConnection) -> None:
        self._inner = inner

    def execute(self, sql: str, *values: object) -> DuckDBPyConnection:
        if sql == "commit":
            raise duckdb.IOException("Could not write file: No space left on device")
        return self._inner.execute(sql, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def test_a_commit_that_fails_leaves_the_upload_where_it_waits(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    api.ingest([str(run_file(tmp_path / "1.jsonl", [attempt()], 1))], store)
    with hold(store, write=True, wait_s=0):
        [told] = api.ingest([str(run_file(tmp_path / "2.jsonl", [attempt()], 2))], store)
    assert told.status is Status.SPOOLED
    [entry] = spool.entries(store)
    with connect(store, write=True, wait_s=1) as connection:
        full = cast("DuckDBPyConnection", NoRoomToCommit(connection))
        with pytest.raises(StoreError):
            spool.drain(full, store)
        assert spool.entries(store) == [entry]
        spool.drain(connection, store)
        assert spool.entries(store) == []
        rows = connection.execute("select count(*) from raw.uploads").fetchall()
    assert rows == [(2,)]
