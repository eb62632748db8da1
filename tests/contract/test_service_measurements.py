"""Measurements in the service: pushed, asked for, shown, and judged by the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import command
from tests.dashboards import page
from tests.serving import Serving, serving

HOT = "perf.py::test_<b>hot</b>"
RUNS = 13


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service with a benchmark that took twice as long in its last run, and with coverage."""
    folder = tmp_path_factory.mktemp("measured")
    with serving(folder / "h.duckdb") as one:
        for number in range(RUNS):
            took_s = 0.2 * (1 + number % 3 / 100) * (2 if number == RUNS - 1 else 1)
            made = {
                "benchmarks": [{"fullname": HOT, "stats": {"median": took_s, "min": took_s}}],
                "datetime": f"2026-11-{number + 1:02}T12:00:00+00:00",
                "version": "5.3.1",
            }
            (folder / f"bench-{number}.json").write_text(json.dumps(made))
        url = f"http://127.0.0.1:{one.port}"
        words = ["push", "bench-*.json", "--url", url, "--project", "shop", "--branch", "main"]
        done = command(*words, cwd=folder)
        assert (done.code, done.out.count("stored  ")) == (0, RUNS), done.err
        data = Path(__file__).parents[1] / "data" / "measurements" / "coverage.json"
        done = command("push", data, *words[2:], cwd=folder)
        assert done.code == 0, done.err
        yield one


def test_the_gate_of_the_service_tells_what_got_worse(service: Serving) -> None:
    told = service.ask("/api/v1/runs?project=shop").json["runs"]
    slow = next(row["run_id"] for row in told if row["started_at"].startswith("2026-11-13"))
    told = service.ask(f"/api/v1/gate?project=shop&run={slow}").json
    assert (told["verdict"], told["measurements"]) == ("passed", 1)
    [one] = told["findings"]
    assert (one["kind"], one["level"], one["test_id"]) == ("measurement", "warn", HOT)


def test_all_are_listed_as_json(service: Serving) -> None:
    [row] = service.ask("/api/v1/benchmarks?project=shop").json["benchmarks"]
    assert (row["name"], row["metric"], row["runs"]) == (HOT, "time-median", RUNS)
    rows = service.ask("/api/v1/coverage?project=shop&limit=2").json["coverage"]
    assert [row["unit"] for row in rows] == ["percent", "percent"]
    assert service.ask("/api/v1/benchmarks?project=other").slug == "no-runs"


def test_they_have_a_page(service: Serving) -> None:
    told = page(service, "/measurements?project=shop")
    name = HOT.partition("::")[2]
    assert name in told.text
    shown = page(service, "/measurements?project=shop&kind=coverage").text
    assert "total" in shown
    assert name not in shown
    csv = service.ask("/measurements?project=shop&format=csv").body.decode()
    assert csv.splitlines()[0].startswith("project,name,variant,metric")
    assert service.ask("/measurements?project=shop&kind=other&format=json").slug == "http-parameter"
