"""Real JUnit files of many tools are counted right.

Two dozen are in the repository. A larger collection is tried where it is there: name its folder in
TESTLYTICS_JUNIT_COLLECTION. Its MANIFEST.csv says of each file what is in it, and whether it must
be read or refused.
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
SELECTION = Path(__file__).parents[1] / "data" / "junit"


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


def wrong_ones(folder: Path, manifest: str, tmp_path: Path) -> tuple[int, list[str]]:
    with (folder / manifest).open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    wrong = []
    with open_store(tmp_path / "h.duckdb", write=True) as store:
        for row in rows:
            # A run of its own for each: some of the files are equal.
            stated = Stated(run_id=row["file"])
            (result,) = ingest([str(folder / row["file"])], store, stated=stated)
            if not is_right(row, result):
                wrong.append(f"{row['file']}: {truth(row)} expected, {counted(result)} found")
    return len(rows), wrong


def test_every_file_of_the_selection_is_counted_right_or_refused(tmp_path: Path) -> None:
    assert wrong_ones(SELECTION, "expected.csv", tmp_path) == (23, [])


@pytest.mark.skipif(
    not (FOLDER / "MANIFEST.csv").is_file(),
    reason="the collection is not here; TESTLYTICS_JUNIT_COLLECTION names its folder",
)
def test_every_file_of_the_collection_is_counted_right_or_refused(tmp_path: Path) -> None:
    number, wrong = wrong_ones(FOLDER, "MANIFEST.csv", tmp_path)
    assert wrong == []
    assert number > 400


def test_every_file_of_the_selection_has_an_origin() -> None:
    origins = (SELECTION / "PROVENANCE.md").read_text(encoding="utf-8")
    assert all(f"| {path.name} |" in origins for path in SELECTION.glob("*.xml"))
