"""What groups of tests cost a run: the short way gives what a look at each attempt gives."""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testlytics_collector.ingest import ingest
from testlytics_collector.store.costs import Cost, PhaseCost
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.factories import attempt, run_file

Line = dict[str, object]
TESTS = ("a.py::x[1]", "a.py::x[2]", "b/c.py::y", "b/d.py::z")


def made(seed: int, runs: int = 5) -> list[list[Line]]:
    """Runs in which tests fail, are tried again, pass several times, or tell no phases."""
    dice = random.Random(seed)
    told = []
    for _ in range(runs):
        rows: list[Line] = []
        for test in TESTS:
            for number in range(dice.choice((0, 1, 1, 1, 3))):
                phases = {name: dice.randrange(1, 5_000) for name in ("setup_us", "call_us")}
                more: Line = {**phases, "teardown_us": dice.choice((0, 7, 900))}
                if dice.random() < 0.2:
                    more |= {"setup_us": None, "teardown_us": None}
                outcome = dice.choice(("passed", "passed", "failed", "skipped"))
                rows.append(attempt(test, outcome, attempt=number + 1, **more))
        told.append(rows)
    return told


def asked(
    folder: Path, told: Sequence[Sequence[Line]], labels: dict[str, int]
) -> tuple[list[Cost], list[PhaseCost]]:
    """Keep runs in a store and ask it for costs; the labels are of test ids."""
    files = [str(run_file(folder / f"{n}.jsonl", rows, n)) for n, rows in enumerate(told)]
    with open_store(folder / "h.duckdb", write=True) as opened:
        ingest(files, opened)
        with opened.window(Window()) as window:
            keys = {one.key: labels[one.test_id] for one in window.known_tests()}
            return window.costs(keys), window.phase_costs(keys)


def taken(told: Sequence[Sequence[Line]]) -> dict[tuple[str, int], Line]:
    """The last passed attempt of each test in each run."""
    return {
        (str(row["test_id"]), number): row
        for number, rows in enumerate(told)
        for row in rows
        if row["outcome"] == "passed"
    }


def whole_us(row: Line) -> int:
    return sum(int(str(row[name] or 0)) for name in ("setup_us", "call_us", "teardown_us"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1))
def test_costs_are_those_of_the_last_passed_attempts(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    told, labels = made(seed), dict(zip(TESTS, (0, 0, 1, 1), strict=True))
    costs, _ = asked(tmp_path_factory.mktemp("costs"), told, labels)
    sums: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    tests: dict[int, set[str]] = defaultdict(set)
    setup: dict[int, int] = defaultdict(int)
    phased: dict[int, int] = defaultdict(int)
    for (test, number), row in taken(told).items():
        label = labels[test]
        sums[label][number] += whole_us(row)
        tests[label].add(test)
        if row["setup_us"] is not None:
            setup[label] += int(str(row["setup_us"]))
            phased[label] += whole_us(row)
    assert [(one.label, one.variant) for one in costs] == [(k, "os=linux") for k in sorted(sums)]
    for one in costs:
        values = [us / 1e6 for us in sums[one.label].values()]
        assert (one.tests, one.samples) == (len(tests[one.label]), len(values))
        assert one.total_s == pytest.approx(sum(values))
        assert one.median_s == pytest.approx(statistics.median(values))
        share = setup[one.label] / phased[one.label] if phased[one.label] else None
        assert one.setup_share == (None if share is None else pytest.approx(share))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1))
def test_phases_add_up_to_the_whole(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    told = made(seed)
    costs, phases = asked(tmp_path_factory.mktemp("phases"), told, dict.fromkeys(TESTS, 0))
    assert sum(one.total_s for one in phases) == pytest.approx(sum(one.total_s for one in costs))
    silent = sum(whole_us(row) for row in taken(told).values() if row["setup_us"] is None)
    unknown = [one.total_s for one in phases if one.phase is None]
    assert unknown == ([pytest.approx(silent / 1e6)] if silent else [])


def test_neither_order_nor_another_test_changes_a_group(tmp_path: Path) -> None:
    told = made(5)
    labels = dict(zip(TESTS, (0, 0, 1, 2), strict=True))
    places = [tmp_path / name for name in ("plain", "mixed", "more")]
    for place in places:
        place.mkdir()
    plain = asked(places[0], told, labels)
    assert len(plain[0]) == 3
    mixed = [random.Random(1).sample(rows, len(rows)) for rows in told]
    assert asked(places[1], mixed, labels) == plain
    more = [[*rows, attempt("steady.py::t")] for rows in told]
    costs, phases = asked(places[2], more, labels | {"steady.py::t": 9})
    assert [one for one in costs if one.label != 9] == plain[0]
    assert [one for one in phases if one.label != 9] == plain[1]


def test_a_run_in_shards_is_one_run(tmp_path: Path) -> None:
    rows = [attempt(test) for test in TESTS]
    whole = tmp_path / "whole"
    shards = tmp_path / "shards"
    for folder, parts in ((whole, [rows]), (shards, [rows[:2], rows[2:]])):
        folder.mkdir()
        for number, part in enumerate(parts):
            path = run_file(folder / f"{number}.jsonl", part)
            first, *rest = path.read_text().splitlines(keepends=True)
            path.write_text(
                first.replace('"upload_id": "0', f'"upload_id": "{number}') + "".join(rest)
            )
        with open_store(folder / "h.duckdb", write=True) as opened:
            ingest([str(path) for path in folder.glob("*.jsonl")], opened)
    told = []
    for folder in (whole, shards):
        with open_store(folder / "h.duckdb") as opened, opened.window(Window()) as window:
            told.append(window.costs({one.key: 0 for one in window.known_tests()}))
    assert told[0] == told[1]
    assert told[0][0].samples == 1
    assert told[0][0].total_s == pytest.approx(0.4)


def test_the_slowest_among_some_tests(tmp_path: Path) -> None:
    told = [[attempt(test, call_us=n * 1_000) for n, test in enumerate(TESTS, 1)]] * 3
    files = [str(run_file(tmp_path / f"{n}.jsonl", rows, n)) for n, rows in enumerate(told)]
    with open_store(tmp_path / "h.duckdb", write=True) as opened:
        ingest(files, opened)
        with opened.window(Window()) as window:
            keys = [one.key for one in window.known_tests() if one.test_id in TESTS[:3]]
            some = window.speeds(order="median", slowest=True, limit=2, among=keys)
            none = window.speeds(order="median", slowest=True, limit=2, among=[])
            every = window.speeds(order="median", slowest=True, limit=None)
    assert [row["test_id"] for row in some.rows] == [TESTS[2], TESTS[1]]
    assert some.series == 3
    assert some.rows == every.rows[1:3]
    assert none == ([], 0)
