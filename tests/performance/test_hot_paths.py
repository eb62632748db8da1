"""What is done often, timed in processor time; each benchmark also says that the answer is right.

In every other suite each of them runs once. `make test-performance` repeats them, keeps the times
as measurements, and `scripts/benchmark_gate.py` judges them by their own history.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from testlytics import api
from testlytics.gate import judge
from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import History, Run
from testlytics_analytics.status import Judgement
from testlytics_analytics.status import judge as judge_tests
from testlytics_collector.formats import junit, runfile
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.records import Attempt
from testlytics_collector.store.reader import Window
from tests.performance.hot_data import RUNS, TESTS, run_of
from tests.unit.plugin.reports import Bench

ORIGIN = Origin("0" * 64, "results")


class Counting:
    """Takes attempts, and counts them."""

    def __init__(self) -> None:
        self.rows = 0

    def begin(self, project: str) -> None:
        """Take the project's name."""

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Count them."""
        self.rows += len(attempts)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store: 30 runs of 200 tests."""
    folder = tmp_path_factory.mktemp("performance")
    for number in range(RUNS):
        (folder / f"{number:03}.jsonl").write_bytes(run_of(number, TESTS))
    paths = [str(path) for path in sorted(folder.glob("*.jsonl"))]
    assert {one.status.value for one in api.ingest(paths, folder / "h.duckdb")} == {"stored"}
    return folder / "h.duckdb"


def test_reading_junit_xml(benchmark: BenchmarkFixture) -> None:
    said = '<failure message="no">assert 1 == 2</failure>'
    cases = "".join(
        f'<testcase classname="tests.test_{number // 50}" name="test_{number}" time="0.0{number}">'
        f"{said if number % 50 == 0 else ''}</testcase>"
        for number in range(2_000)
    )
    document = f'<testsuites><testsuite name="pytest">{cases}</testsuite></testsuites>'.encode()

    def read() -> Reading:
        return junit.read(io.BytesIO(document), Counting(), ORIGIN, Limits())

    counts = benchmark(read).counts
    assert (counts.testcases, counts.failed) == (2_000, 40)


def test_reading_a_run_file(benchmark: BenchmarkFixture) -> None:
    document = run_of(0, 2_000)

    def read() -> Reading:
        return runfile.read(io.BytesIO(document), Counting(), ORIGIN, Limits())

    counts = benchmark(read).counts
    assert (counts.testcases, counts.failed) == (2_000, 20)


def test_taking_in_a_thousand_results(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    numbers = count()
    store = tmp_path / "h.duckdb"

    def another() -> tuple[tuple[list[str], Path], dict[str, object]]:
        path = tmp_path / f"{next(numbers)}.jsonl"
        path.write_bytes(run_of(int(path.stem), 1_000))
        return ([str(path)], store), {}

    [result] = benchmark.pedantic(api.ingest, setup=another, rounds=15, warmup_rounds=1)
    assert result.status.value == "stored"
    assert result.counts is not None
    assert result.counts.testcases == 1_000


@pytest.mark.parametrize(
    ("section", "rows"), [("flaky", 2), ("slowest", TESTS), ("regressions", 2)]
)
def test_reporting(benchmark: BenchmarkFixture, store: Path, section: str, rows: int) -> None:
    report = benchmark(api.report, store, Window(), sections=[section], summary=False)
    [told] = report.sections
    assert len(told.rows) == rows


def test_judging_five_thousand_tests(benchmark: BenchmarkFixture) -> None:
    # Planted: three in fifty fail now and then, one in fifty at the end; no two alike in a row.
    def history(number: int) -> str:
        if number % 50 == 49:
            return ("P" * (25 + number // 50 % 10)).ljust(40, "F")
        calm, moody = "P" * 40, "PPPPFPPPPPPPLPPPPPPP" * 2
        turned = number // 50 % 20
        return moody[turned:] + moody[:turned] if number % 50 in {0, 20, 40} else calm

    runs = [Run(f"run-{at}", f"c{at}", f"s{at}") for at in range(40)]
    tests = [
        Tried(History("p", f"t{number}", "", range(40), history(number))) for number in range(5_000)
    ]

    def judged() -> Judgement:
        return judge_tests(tests, runs)

    found = benchmark(judged).rows
    assert sum(one.status == "flaky" for one in found) == 300
    assert sum(one.status == "broken" for one in found) == 100


def test_gating(benchmark: BenchmarkFixture, store: Path) -> None:
    result = benchmark(judge.gate, store)
    assert (result.verdict, result.run_id) == ("passed", f"run-{RUNS - 1}")


def test_recording_a_hundred_tests(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """What the plugin does for a test beside pytest: it takes its reports and writes its line."""
    names = [f"test_{number}" for number in range(100)]

    def made() -> Iterator[Bench]:
        for number in count():
            (tmp_path / str(number)).mkdir()
            yield Bench(tmp_path / str(number))

    benches = made()

    def record(bench: Bench) -> Bench:
        for name in names:
            bench.go(name)
        return bench

    bench = benchmark.pedantic(
        record, setup=lambda: ((next(benches),), {}), rounds=30, warmup_rounds=1
    )
    assert len(bench.recorded().attempts) == 100
