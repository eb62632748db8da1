"""Load in small: what it takes to trust the large one. Counts only; no test depends on time."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.load import kept, stored, targets
from scripts.load.__main__ import TARGETS, main
from scripts.load.bodies import Bodies
from scripts.load.clients import ROOT, percentile
from scripts.load.scenarios import SCENARIOS, seconds_of, users_at
from tests.command import command


def load(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command; Locust must not reach this process."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.load", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture(scope="module")
def smoke(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole load, but short: service, clients, report, and the store it is kept in."""
    folder = tmp_path_factory.mktemp("load")
    return folder, load("smoke", "--folder", folder, "--keep", folder / "kept.duckdb", "--gate")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_load_reaches_its_targets_and_loses_nothing(
    smoke: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = smoke
    assert done.returncode == 0, done.stderr
    figures = {row["figure"]: row["value"] for row in table(folder / "smoke_figures.csv")}
    assert int(figures["uploads"]) > 0
    assert figures["clients"] == "20"
    assert figures["errors"] == figures["lost_results"] == figures["broken_stores"] == "0"
    asked = json.loads((folder / "smoke_stats.json").read_text())
    assert {one["method"] for one in asked} == {"GET", "POST"}
    acknowledged = (folder / "smoke_acknowledged.txt").read_text().splitlines()
    assert len(acknowledged) == int(figures["uploads"])
    # No process of its own stays behind: the clients' secrets go as they end.
    assert list(folder.glob("*.tokens")) == []


def test_what_the_service_took_is_written_over_time(
    smoke: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    rows = table(smoke[0] / "smoke_service.csv")
    assert len(rows) > 2
    assert all(int(row["rss"]) > 0 and int(row["files"]) > 0 for row in rows)
    results = [int(row["results"]) for row in rows if row["queued"] != "-1"]
    assert results == sorted(results)
    assert results[-1] > 0


def test_the_page_has_all_parts_and_fetches_nothing(
    smoke: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    text = (smoke[0] / "smoke.html").read_text()
    for word in ("Load: smoke", "Requests", "Bottlenecks", "Figures", "POST run", "polyline"):
        assert word in text
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def test_a_missed_target_is_told_by_the_exit_code(tmp_path: Path) -> None:
    wanted = tmp_path / "targets.toml"
    wanted.write_text("[smoke]\nuploads = { at_least = 1_000_000 }\n")
    done = load("smoke", "--folder", tmp_path, "--targets", wanted, "--duration", "1")
    assert done.returncode == 1, done.stderr
    assert "Missed: uploads at least 1e+06" in done.stdout


def slower(told: list[dict[str, object]], factor: int) -> list[dict[str, object]]:
    """What Locust would have written, had each request taken so many times as long."""
    made = []
    for number, one in enumerate(told):
        times = one["response_times"]
        assert isinstance(times, dict)
        spread = {str((float(text) + number) * factor): n for text, n in times.items()}
        made.append({**one, "response_times": spread})
    return made


def test_a_load_is_kept_and_gated_as_durations_are(
    smoke: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder, _ = smoke
    told = json.loads((folder / "smoke_stats.json").read_text())
    store = tmp_path / "kept.duckdb"
    for number in range(20):
        path = tmp_path / "stats.json"
        moved = [{**one, "start_time": 1.7e9 + number * 3600} for one in told]
        moved = [{**one, "last_request_timestamp": 1.7e9 + number * 3600 + 5} for one in moved]
        path.write_text(json.dumps(slower(moved, 3 if number >= 12 else 1)))
        kept.keep(path, store, "smoke", f"load-{number}")
        if number == 11:
            assert kept.worse(store, "smoke", "load-11") == []
    worse = kept.worse(store, "smoke", "load-19")
    assert any(line.startswith("POST run latency-p95:") for line in worse)
    assert all("since load-12" in line for line in worse)
    # The real one is there as well, under the name of its scenario.
    sql = "select distinct variant, metric from measurements order by all"
    asked = command("sql", sql, "--format", "json", "--store", folder / "kept.duckdb", cwd=folder)
    assert ("scenario=smoke", "latency-p95") in [tuple(row.values()) for row in asked.json["rows"]]


def test_targets_are_bounds_and_what_was_not_measured_is_missed() -> None:
    wanted = [("a", True, 2.0), ("a", False, 2.0), ("b", True, 0.0)]
    kept_ = [one.kept for one in targets.check(wanted, {"a": 2.0, "b": None})]
    assert kept_ == [True, True, False]
    assert [one.kept for one in targets.check(wanted[:2], {"a": 3.0})] == [True, False]
    with pytest.raises(ValueError, match="No such figure: c"):
        targets.check([("c", True, 1.0)], {"a": 1.0})


def test_the_targets_file_is_sound_and_knows_all_scenarios(tmp_path: Path) -> None:
    for name in (*SCENARIOS, "kills"):
        assert targets.read(TARGETS, name), name
    bad = tmp_path / "bad.toml"
    bad.write_text("[normal]\nerrors = { above = 1 }\n")
    with pytest.raises(ValueError, match=r"normal\.errors\.above"):
        targets.read(bad, "normal")


def test_users_follow_the_steps_and_end() -> None:
    steps = SCENARIOS["spike"].steps
    assert [users_at(steps, share) for share in (0, 0.29, 0.3, 0.59, 0.6, 0.99, 1.0)] == [
        *(0.1, 0.1, 1.0, 1.0, 0.1, 0.1),
        None,
    ]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("2m", 120), ("4h", 14400)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["smoke", "--duration", text])
    assert ended.value.code == 2


def test_percentiles_are_the_least_time_that_so_many_kept() -> None:
    # By counting: of 100 requests the 50th took 10 ms, the 95th 20, the 99th 30.
    times = [(10.0, 50), (20.0, 45), (30.0, 4), (40.0, 1)]
    assert [percentile(times, one) for one in (50, 51, 95, 96, 99, 100)] == [
        *(0.01, 0.02, 0.02, 0.03, 0.03, 0.04)
    ]
    assert percentile([], 50) is None


def keep_runs(folder: Path, runs: Mapping[str, int]) -> Path:
    """Store runs of so many tests by the command; return the store."""
    paths = []
    for name, tests in runs.items():
        paths.append(folder / f"{name}.jsonl.gz")
        paths[-1].write_bytes(Bodies(tests).body(name, 1)[0])
    store = folder / "h.duckdb"
    assert command("ingest", *paths, "--store", store, cwd=folder).code == 0
    return store


def test_what_is_lost_torn_or_doubled_is_found(tmp_path: Path) -> None:
    store = keep_runs(tmp_path, {"a": 5, "b": 5})
    assert stored.compare(store, {"a": 5, "b": 5}) == stored.Broken(0, 0, 0, 0, 0)
    broken = stored.compare(store, {"a": 6, "c": 5})
    assert broken[:4] == (1, 6, 1, 0)
    again = tmp_path / "again.jsonl.gz"
    again.write_bytes(Bodies(3).body("other", 2)[0])
    done = command("ingest", again, "--run-id", "a", "--store", store, cwd=tmp_path)
    assert done.code == 0, done.err
    assert stored.compare(store, {"b": 5}).doubled == 1
    store.write_bytes(b"no store")
    broken = stored.compare(store, {"a": 5})
    assert (broken.lost, broken.lost_results, broken.stores) == (1, 5, 1)
    assert "not a testlytics store" in broken.why
