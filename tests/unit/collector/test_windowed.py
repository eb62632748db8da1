"""Answers about a window: the short ways give what the long ways give."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

import duckdb
import numpy as np
import pytest

from testlytics_collector.ingest import ingest
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from testlytics_collector.store.windowed import SuiteRun
from tests.factories import attempt, history, run_file

LETTERS = {
    "a.py::steady": "P" * 14,
    "a.py::young": "P" * 9 + "SSSSS",
    "b.py::flaky": "PPFPLPPSPPFPPP",
    "b.py::broken": "P" * 11 + "FFF",
    "b.py::skipped": "S" * 14,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windowed")
    dice = random.Random(7)
    durations = {
        f"c.py::timed[{n}]": [dice.lognormvariate(n % 7 - 3, n % 3 / 2) for _ in range(14)]
        for n in range(40)
    }
    letters = {**LETTERS, **dict.fromkeys(durations, "P" * 14)}
    files = history(folder, letters, durations)
    with open_store(folder / "h.duckdb", write=True) as opened:
        ingest([str(path) for path in files], opened)
    return folder / "h.duckdb"


def test_histories_are_those_of_tests_that_failed(store: Path) -> None:
    with open_store(store) as opened:
        with opened.window(Window()) as asked:
            told = {row[1]: row for row in asked.histories()}
        with opened.window(Window(last=3)) as asked:
            late = {row[1]: row[3:5] for row in asked.histories()}
    assert set(told) == {"b.py::flaky", "b.py::broken"}
    assert told["b.py::flaky"][3:5] == (list(range(14)), LETTERS["b.py::flaky"])
    assert late == {"b.py::broken": ([0, 1, 2], "FFF")}


def test_how_often_each_failing_run_was_tried(tmp_path: Path) -> None:
    rows = [
        [attempt("t", "failed"), attempt("t", "failed", attempt=2), attempt("t", attempt=3)],
        [attempt("t"), attempt("u")],
        [attempt("t", "errored"), attempt("u", "skipped"), attempt("v", "interrupted")],
        [attempt("t", "failed"), attempt("new"), attempt("u", "failed")],
    ]
    files = [run_file(tmp_path / f"{n}.jsonl", some, n) for n, some in enumerate(rows)]
    with open_store(tmp_path / "h.duckdb", write=True) as opened:
        ingest([str(path) for path in files], opened)
        with opened.window(Window()) as asked:
            told = {one.test_id: one for one in asked.histories()}
            suites = asked.suites()
        with opened.window(Window(aliases=(("u", "t"),))) as asked:
            [renamed] = asked.histories()
            renamed_suites = asked.suites()
        with opened.window(Window(variant={"os": "none"})) as asked:
            assert (asked.histories(), asked.suites()) == ([], [SuiteRun(0, 0)] * 4)
    assert told["t"].verdicts == "LPFF"
    assert told["t"].tries == [(1, 2), (0, 1), (0, 1)]
    assert told["u"].tries == [(0, 1)]
    assert suites == [SuiteRun(1, 1), SuiteRun(0, 2), SuiteRun(1, 1), SuiteRun(2, 3)]
    assert (renamed.verdicts, renamed.tries) == ("LPFF", [(1, 2), (0, 1), (0, 2)])
    assert [suite.failing for suite in renamed_suites] == [1, 0, 1, 1]


def test_runs_that_do_not_count_make_no_test_stable(store: Path) -> None:
    with open_store(store) as opened, opened.window(Window()) as asked:
        asked.histories()
        calm = asked.calm(10, void={0, 13, 5, 6})
    # Ten runs of the usual tests are left, six of the young one.
    assert (calm.tests, calm.settled, calm.unsettled) == (45, 41, 2)
    with open_store(store) as opened, opened.window(Window()) as asked:
        asked.histories()
        assert asked.calm(11, void={0, 13, 5, 6}).settled == 0


@pytest.mark.parametrize("settled", [1, 9, 10, 14])
def test_the_others_are_counted(store: Path, settled: int) -> None:
    with open_store(store) as opened, opened.window(Window()) as asked:
        asked.histories()
        calm = asked.calm(settled)
    enough = 40 + 1 + (settled <= 9)
    assert (calm.tests, calm.settled, calm.unsettled) == (45, enough, 43 - enough)


def test_runs_that_share_a_bit_are_told_apart(tmp_path: Path) -> None:
    # 121 runs; the test is in the first and the last, which stand for the same bit.
    letters = {"filler": "P" * 121, "rare": "P" + "S" * 119 + "P"}
    store = tmp_path / "h.duckdb"
    with open_store(store, write=True) as opened:
        ingest([str(path) for path in history(tmp_path, letters)], opened)
        with opened.window(Window()) as asked:
            asked.histories()
            assert asked.calm(2).settled == 2
            assert asked.calm(3).settled == 1


@pytest.mark.parametrize("order", ["median", "p95", "total"])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_the_slowest_are_found_without_looking_at_all(store: Path, order: str, limit: int) -> None:
    with open_store(store) as opened, opened.window(Window()) as asked:
        short = asked.speeds(order=order, slowest=True, limit=limit)
        whole = asked.speeds(order=order, slowest=True, limit=None)
        fastest = asked.speeds(order=order, slowest=False, limit=limit)
    assert short.rows == whole.rows[:limit]
    assert short.series == whole.series == len(whole.rows) == 44
    assert [row[f"{order}_s"] for row in fastest.rows] == sorted(
        row[f"{order}_s"] for row in whole.rows
    )[:limit]


def test_the_summary_agrees_with_the_standard_library(store: Path) -> None:
    with duckdb.connect(str(store), read_only=True) as connection:
        rows = connection.execute(
            """select test_id, list(duration_s order by position),
                      last(duration_s order by position)
               from verdicts join runs using (project, run_id)
               where duration_s is not null group by test_id"""
        ).fetchall()
    with open_store(store) as opened, opened.window(Window()) as asked:
        told = asked.speeds(order="median", slowest=True, limit=None).rows
    by_id = {row["test_id"]: row for row in told}
    assert set(by_id) == {test for test, _, _ in rows}
    for test, values, newest in rows:
        row = by_id[test]
        assert row["samples"] == len(values)
        assert row["median_s"] == pytest.approx(statistics.median(values))
        assert row["total_s"] == pytest.approx(sum(values))
        assert row["variance_s2"] == pytest.approx(statistics.variance(values))
        assert row["newest_s"] == newest
        cut = statistics.quantiles(values, n=20, method="inclusive")[-1]
        assert row["p95_s"] == pytest.approx(cut)


def test_durations_as_a_matrix(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    letters = {"a": "PPPP", "b": "PFPS", "c": "FFFF"}
    with open_store(store, write=True) as opened:
        ingest([str(path) for path in history(tmp_path, letters)], opened)
        with opened.window(Window()) as asked:
            [told] = asked.durations(150)
            names = asked.names([int(key) for key in told.tests])
            [newest] = asked.durations(2)
    assert [names[int(key)] for key in told.tests] == ["a", "b"]
    assert told.steps.tolist() == [0, 1, 2, 3]
    assert np.isfinite(told.seconds).tolist() == [[True] * 4, [True, False, True, False]]
    assert newest.steps.tolist() == [2, 3]
    assert newest.seconds.tolist()[0] == told.seconds[:, 2:].tolist()[0]


def test_the_last_passed_attempt_of_a_run_stands(tmp_path: Path) -> None:
    rows = [
        attempt("a", "passed", attempt=number, call_us=number * 100_000) for number in (1, 2, 3)
    ]
    with open_store(tmp_path / "h.duckdb", write=True) as opened:
        ingest([str(run_file(tmp_path / "r.jsonl", [*rows, attempt("b", "passed")], 1))], opened)
        with opened.window(Window()) as asked:
            [told] = asked.durations(150)
    with duckdb.connect(str(tmp_path / "h.duckdb"), read_only=True) as connection:
        expected = connection.execute("select duration_s from verdicts order by test_id").fetchall()
    assert told.seconds[:, 0].tolist() == pytest.approx([value for (value,) in expected])
