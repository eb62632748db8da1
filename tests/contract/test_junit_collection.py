"""All of a large collection of real and hostile JUnit files is counted right, where it is there.

The collection is not part of the repository: name its folder in TESTLYTICS_JUNIT_COLLECTION. Its
MANIFEST.csv says of each file what is in it, and whether it must be read or refused.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from testlytics_collector.ingest import FileResult, Stated, ingest
from testlytics_collector.store.store import open_store

BESIDE = Path(__file__).parents[2].parent / "shared" / "junit"
FOLDER = Path(os.environ.get("TESTLYTICS_JUNIT_COLLECTION", BESIDE))
pytestmark = pytest.mark.skipif(
    not (FOLDER / "MANIFEST.csv").is_file(),
    reason="the collection is not here; TESTLYTICS_JUNIT_COLLECTION names its folder",
)


def truth(row: dict[str, str]) -> tuple[int | None, ...]:
    columns = ("tests", "failures", "errors", "skipped")
    return tuple(int(row[column]) if row[column] else None for column in columns)


def counted(result: FileResult) -> tuple[int | None, ...] | None:
    if result.counts is None:
        return None
    counts = result.counts
    return (counts.testcases, counts.failed, counts.errored, counts.skipped)


def is_right(row: dict[str, str], result: FileResult) -> bool:
    expect, found = row["expect"], counted(result)
    if expect == "refuse" or (found is None and expect != "parse"):
        return result.status == "refused" and bool(result.problems)
    return expect == "safe" or found == truth(row)


def test_every_file_is_counted_right_or_refused(tmp_path: Path) -> None:
    with (FOLDER / "MANIFEST.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    wrong = []
    with open_store(tmp_path / "h.duckdb", write=True) as store:
        for row in rows:
            # A run of its own for each: some of the files are equal.
            stated = Stated(run_id=row["file"])
            (result,) = ingest([str(FOLDER / row["file"])], store, stated=stated)
            if not is_right(row, result):
                wrong.append(f"{row['file']}: {truth(row)} expected, {counted(result)} found")
    assert wrong == []
    assert len(rows) > 400
