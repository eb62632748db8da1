"""The gate on measurements: from files as tools write them to the line that is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testlytics import api
from testlytics.gate.exchange import as_sarif
from testlytics.gate.findings import GateResult
from testlytics.gate.judge import gate
from testlytics.gate.reading import read_result
from testlytics.gate.render import as_json, as_text
from testlytics_collector.ingest import Stated
from tests.command import command
from tests.factories import attempt, header, lines, run_file

RUNS = 12
HOT, OTHER = "perf/test_hot.py::test_hot", "perf/test_hot.py::test_other"


def noise(number: int) -> float:
    """Go up and down by two per cent."""
    return 1 + 0.01 * (number * 7 % 5 - 2)


def benchmarks(folder: Path, number: int, factor: float = 1.0) -> str:
    """Write what pytest-benchmark writes about two benchmarks."""
    path = folder / f"bench-{number}.json"
    stats = {HOT: 20e-6 * noise(number) * factor, OTHER: 0.5 / noise(number)}
    document = {
        "benchmarks": [
            {"fullname": name, "stats": {"median": value, "min": value * 0.98}}
            for name, value in stats.items()
        ],
        "commit_info": {"id": f"{number:040x}", "dirty": False, "branch": "main"},
        "datetime": f"2026-11-{number + 1:02}T12:00:00+00:00",
        "version": "5.3.1",
    }
    path.write_text(json.dumps(document))
    return str(path)


def coverage(folder: Path, number: int, percents: Sequence[int]) -> str:
    """Write what coverage.py writes about files of a hundred lines each."""
    path = folder / f"cov-{number}.json"

    def summary(covered: int, lines: int) -> dict[str, object]:
        return {
            "covered_lines": covered,
            "num_statements": lines,
            "percent_covered": 100 * covered / lines,
            "missing_lines": lines - covered,
            "excluded_lines": 0,
        }

    document = {
        "meta": {"version": "7.6.0", "timestamp": "2026-11-01T12:00:00", "branch_coverage": False},
        "files": {
            f"shop/{at}.py": {"summary": summary(percent, 100)}
            for at, percent in enumerate(percents)
        },
        "totals": summary(sum(percents), 100 * len(percents)),
    }
    path.write_text(json.dumps(document))
    return str(path)


def with_tests(
    folder: Path, number: int, *, factor: float = 1.0, percents: Sequence[int] = (90, 90)
) -> None:
    """Take in a run of tests, benchmarks and coverage, as a CI job does."""
    tests = run_file(folder / f"run-{number}.jsonl", [attempt()], number)
    more = [benchmarks(folder, number, factor), coverage(folder, number, percents)]
    take_in(folder, [str(tests), *more], Stated(run_id=f"run-{number}", branch="main"))


def take_in(folder: Path, paths: Sequence[str], stated: Stated) -> None:
    for one in api.ingest(paths, folder / "h.duckdb", stated=stated):
        assert one.status == "stored", one


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store with some runs in which nothing changes."""
    folder = tmp_path_factory.mktemp("calm")
    for number in range(RUNS):
        with_tests(folder, number)
    return (folder / "h.duckdb").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, history: bytes) -> Path:
    (tmp_path / "h.duckdb").write_bytes(history)
    return tmp_path


def found(result: GateResult) -> list[tuple[str, str, str | None, object]]:
    return [
        (one.kind, one.level, one.test_id, one.details.get("metric")) for one in result.findings
    ]


def test_where_nothing_changed_nothing_is_said(folder: Path) -> None:
    with_tests(folder, RUNS)
    result = gate(folder / "h.duckdb")
    assert (found(result), result.verdict, result.notes) == ([], "passed", [])
    assert result.measurements == 3, "two benchmarks, and the total of the coverage"


def test_a_benchmark_that_takes_twice_as_long_is_told_with_its_figures(folder: Path) -> None:
    with_tests(folder, RUNS, factor=2.0)
    result = gate(folder / "h.duckdb")
    assert found(result) == [("measurement", "warn", HOT, "time-median")]
    [one] = result.findings
    assert one.details["after"] / one.details["before"] == pytest.approx(2, rel=0.03)
    assert (one.details["runs"], one.details["baseline_runs"]) == (1, RUNS)
    assert one.reason.startswith("time-median 20 µs -> 4")
    assert "in 1 run of this change after 12 runs" in one.reason
    assert HOT in as_text(result, width=80, colour=False)
    again = read_result(as_json(result).encode())
    assert (again.findings, again.measurements) == (result.findings, 3)
    [told] = json.loads(as_sarif(result))["runs"][0]["results"]
    assert told["partialFingerprints"]["testlytics/v1"].endswith(f"{HOT}/time-median")
    blocked = command("gate", "--store", "h.duckdb", "--block", "measurement", cwd=folder)
    assert blocked.code == 1
    assert "+9" in blocked.out or "+10" in blocked.out, blocked.out


def test_one_that_got_faster_is_no_news(folder: Path) -> None:
    with_tests(folder, RUNS, factor=0.5, percents=(95, 95))
    assert found(gate(folder / "h.duckdb")) == []


def test_coverage_that_falls_is_told_once_for_all_files(folder: Path) -> None:
    with_tests(folder, RUNS, percents=(90, 70))
    [one] = gate(folder / "h.duckdb").findings
    assert (one.kind, one.test_id) == ("measurement", "total")
    assert one.reason.startswith("line-coverage 90.0 % -> 80.0 %, -10.0 points, in 1 run")


def test_coverage_of_a_run_that_is_not_whole_says_nothing(folder: Path) -> None:
    path = folder / "cut.jsonl"
    path.write_bytes(lines(header(RUNS), attempt()))
    more = [benchmarks(folder, RUNS, 2.0), coverage(folder, RUNS, (20, 20))]
    take_in(folder, [str(path), *more], Stated(run_id="cut", branch="main"))
    result = gate(folder / "h.duckdb")
    assert not result.complete
    assert found(result) == [("measurement", "warn", HOT, "time-median")]


def test_an_allowance_accepts_it_for_a_while(folder: Path) -> None:
    with_tests(folder, RUNS, factor=2.0)
    day = (datetime.now(UTC) + timedelta(days=9)).date()
    (folder / "testlytics-allowances.toml").write_text(
        f'schema = 1\n[[allowance]]\ntest = "{HOT}"\nkind = "measurement"\nlink = "#12"\n'
        f'reason = "exact now"\nexpires = {day}\n'
    )
    words = ("gate", "--store", "h.duckdb", "--block", "measurement", "--format", "json")
    done = command(*words, cwd=folder)
    assert done.code == 0, done.err
    [one] = done.json["findings"]
    assert (one["level"], one["details"]["allowance_link"]) == ("warn", "#12")


def test_runs_of_measurements_alone_are_judged_by_their_own_kind(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    for number in range(RUNS):
        api.ingest([benchmarks(tmp_path, number)], store)
        few = gate(store)
        assert (few.verdict, few.findings) == ("passed" if number >= 10 else "not judged", [])
        assert bool(few.notes) == (number < 10)
    api.ingest([benchmarks(tmp_path, RUNS, 2.0)], store)
    result = gate(store)
    assert (found(result), result.legs) == ([("measurement", "warn", HOT, "time-median")], [])
    assert result.notes == []
    slow = result.run_id
    # As soon as there are tests, these are what a gate without a name judges.
    run_file(tmp_path / "run.jsonl", [attempt()], 1)
    api.ingest([str(tmp_path / "run.jsonl")], store)
    assert gate(store).legs != []
    assert found(gate(store, run_id=slow)) == [("measurement", "warn", HOT, "time-median")]


def test_runs_of_a_change_count_together(folder: Path) -> None:
    told = []
    for number in range(RUNS, RUNS + 3):
        tests = run_file(folder / f"run-{number}.jsonl", [attempt()], number)
        stated = Stated(run_id=f"pr-{number}", branch="topic", pull_request="7")
        take_in(folder, [str(tests), benchmarks(folder, number, 1.2)], stated)
        told.append(gate(folder / "h.duckdb").findings)
    assert told[0] == [], "a fifth more, once, may be the machine"
    [one] = told[2]
    assert (one.test_id, one.details["runs"]) == (HOT, 3)
