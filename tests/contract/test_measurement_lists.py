"""`report --benchmarks` and `--coverage`: what got worse is told, what is noise is not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from testlytics import api
from testlytics_collector.ingest import Stated
from tests.command import command

RUNS = 30
CHANGED = 20


def commit(run: int) -> str:
    return f"{run:040x}"


def taken_in(folder: Path, documents: Sequence[Mapping[str, object]], name: str) -> Path:
    """Keep a document for each run in a store."""
    store = folder / "h.duckdb"
    for run, document in enumerate(documents):
        path = folder / f"{name}-{run}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        stated = Stated(run_id=f"run-{run:02}", commit=commit(run))
        (result,) = api.ingest([str(path)], store, stated=stated)
        assert result.status == "stored", result.problems
    return store


def benchmarks(values: Mapping[str, Sequence[float]]) -> list[dict[str, object]]:
    return [
        {
            "benchmarks": [
                {"fullname": name, "stats": {"median": series[run], "min": series[run] / 2}}
                for name, series in values.items()
            ]
        }
        for run in range(RUNS)
    ]


def noisy(level: float, changed: float, spread: float, seed: str) -> list[float]:
    random = Random(seed)
    return [
        (level if run < CHANGED else changed) * random.lognormvariate(0, spread)
        for run in range(RUNS)
    ]


def coverage(lines: Mapping[str, Sequence[int]]) -> list[dict[str, object]]:
    def summary(covered: int, of: int) -> dict[str, object]:
        return {"summary": {"covered_lines": covered, "num_statements": of}}

    return [
        {
            "meta": {"version": "7"},
            "files": {name: summary(series[run], 1000) for name, series in lines.items()},
            "totals": summary(sum(one[run] for one in lines.values()), 1000 * len(lines))[
                "summary"
            ],
        }
        for run in range(RUNS)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Is only read."""
    folder = tmp_path_factory.mktemp("store")
    times = {
        "slower": noisy(2e-6, 2.6e-6, 0.03, "a"),
        "faster": noisy(5e-3, 4e-3, 0.03, "b"),
        "same": noisy(1.0, 1.0, 0.03, "c"),
        "=cmd|'/c calc'!A0 \x1b[31m": noisy(1.0, 1.0, 0.1, "d"),
        "zero": [0.0] * RUNS,
    }
    lost = [800 + run % 3 - (60 if run >= CHANGED else 0) for run in range(RUNS)]
    kept = [900 + run % 2 for run in range(RUNS)]
    taken_in(folder, benchmarks(times), "bench")
    return taken_in(folder, coverage({"lost.py": lost, "kept.py": kept}), "coverage")


def listed(store: Path, *options: str) -> dict[str, dict[str, dict[str, object]]]:
    done = command("report", *options, "--store", store, "--format", "json", cwd=store.parent)
    assert done.code == 0, done.err
    return {
        name: {f"{row['name']} {row['metric']}": row for row in done.json[name]}
        for name in ("benchmarks", "coverage")
        if name in done.json
    }


def test_what_changed_is_told_with_its_place_and_nothing_else_is(store: Path) -> None:
    rows = listed(store, "--benchmarks", "--coverage")
    judged = {key: row["judgement"] for one in rows.values() for key, row in one.items()}
    odd = next(key for key in judged if key.startswith("="))
    assert judged == {
        "slower time-median": "worse",
        "faster time-median": "better",
        "same time-median": "steady",
        odd: "steady",
        "zero time-median": None,
        "total line-coverage": "worse",
        "lost.py line-coverage": "worse",
        "kept.py line-coverage": "steady",
    }
    assert next(iter(rows["benchmarks"])) == "slower time-median", "what got worse comes first"
    slower = rows["benchmarks"]["slower time-median"]
    assert (slower["since_run_id"], slower["since_commit"]) == (f"run-{CHANGED}", commit(CHANGED))
    assert slower["baseline"] == pytest.approx(2e-6, rel=0.05)
    assert slower["runs"] == RUNS
    lost = rows["coverage"]["lost.py line-coverage"]
    assert lost["change"] == pytest.approx(-6, abs=0.3)
    assert (lost["unit"], lost["good"], lost["since_run_id"]) == ("percent", "higher", "run-20")


def test_few_runs_are_not_judged(tmp_path: Path) -> None:
    store = taken_in(tmp_path, benchmarks({"b": [float(run + 1) for run in range(RUNS)]})[:3], "b")
    (row,) = listed(store, "--benchmarks")["benchmarks"].values()
    assert (row["judgement"], row["value"], row["baseline"]) == (None, 3.0, 1.5)


def test_for_people(store: Path) -> None:
    options = ("--store", store, "--benchmarks")
    table = command("report", *options, cwd=store.parent, env={"COLUMNS": "140"})
    assert "worse since 00000000" in table.out
    assert "\x1b" not in table.out
    assert "too few runs" in table.out
    page = command("report", *options, "--format", "markdown", cwd=store.parent)
    assert "### Benchmarks and load tests (5)" in page.out
    done = command("report", *options, "--format", "csv", cwd=store.parent)
    names = [row["name"] for row in csv.DictReader(io.StringIO(done.out))]
    assert len(names) == 5
    assert not any(name.startswith("=") for name in names), "no formula"


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    store = taken_in(tmp_path, benchmarks({"b": [1.0] * RUNS})[:1], "b")
    done = command("report", "--coverage", "--store", store, cwd=tmp_path)
    assert (done.code, "No coverage yet" in done.out) == (0, True)
    refused = command("report", "--coverage", "--owner", "x", "--store", store, cwd=tmp_path)
    assert (refused.code, "--owner x without a list" in refused.err) == (2, True)
