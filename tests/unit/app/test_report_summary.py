"""A report without its summary."""

from __future__ import annotations

from pathlib import Path

from testlytics import api
from testlytics_collector.store.reader import Window
from tests.factories import history


def test_lists_are_the_same_without_the_summary(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    letters = {"steady": "P" * 12, "flaky": "PFLPPFPPLPPF", "broken": "P" * 8 + "F" * 4}
    api.ingest(map(str, history(tmp_path, letters)), store)
    whole = api.report(store, Window(), sections=api.SECTIONS)
    lists = api.report(store, Window(), sections=api.SECTIONS, summary=False)
    assert [(s.name, s.rows, s.left_out) for s in lists.sections] == [
        (s.name, s.rows, s.left_out) for s in whole.sections
    ]
    assert whole.summary["tests"] == 3
    assert (lists.summary, lists.lines) == ({}, [])
