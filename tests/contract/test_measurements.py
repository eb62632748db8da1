"""Measurements from file to answer: taken in once, carried along, removed with their run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from testlytics import api
from testlytics_collector.records import Attempt, Failure, Good, Measurement, Outcome, Upload
from testlytics_collector.store import facts, spool
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from testlytics_collector.store.writer import Intake
from tests.command import command
from tests.factories import attempt, history, run_file
from tests.serving import serving

DATA = Path(__file__).parent.parent / "data" / "measurements"
SAMPLES = ("coverage.json", "hyperfine.json", "locust_stats.csv", "pytest-benchmark.json")


def rows(store: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(sql).fetchall()
        return found


def everything(store: Path) -> list[tuple[object, ...]]:
    return rows(store, "from measurements order by all")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of tests, the second with measurements, and a run of measurements alone."""
    folder = tmp_path_factory.mktemp("filled")
    paths = history(folder, {"a.py::test_a": "PP"})
    samples = [DATA / name for name in SAMPLES]
    both = ("--store", "h.duckdb")
    assert command("ingest", *paths, *both, cwd=folder).code == 0
    assert command("ingest", *samples, "--run-id", "run-1", *both, cwd=folder).code == 0
    assert command("ingest", DATA / "locust.json", *both, cwd=folder).code == 0
    return folder / "h.duckdb"


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """A copy of one's own: some tests write."""
    return Path(shutil.copy(filled, tmp_path))


def test_files_are_named_counted_and_stored_once(tmp_path: Path) -> None:
    names = sorted(path for path in DATA.iterdir() if path.suffix != ".md")
    done = command("ingest", *names, "--format", "json", cwd=tmp_path)
    assert done.code == 0, done.err
    told = {Path(one["path"]).name: one for one in done.json["files"]}
    assert {name: one["format"] for name, one in told.items()} == {
        "coverage.json": "coverage-json",
        "coverage.xml": "cobertura",
        "ctrf.json": "ctrf",
        "hyperfine.json": "hyperfine",
        "locust.json": "locust-json",
        "locust_stats.csv": "locust-csv",
        "pytest-benchmark.json": "pytest-benchmark",
        "pytest-json-report.json": "pytest-json-report",
        "reportlog.jsonl": "pytest-reportlog",
    }
    assert told["hyperfine.json"]["measurements"] == 6
    assert (told["ctrf.json"]["measurements"], told["ctrf.json"]["attempts"]) == (0, 7)
    store = tmp_path / ".testlytics" / "history.duckdb"
    before = everything(store)
    assert len(before) == sum(one["measurements"] for one in told.values())
    again = command("ingest", *names, "--format", "json", cwd=tmp_path)
    assert {one["status"] for one in again.json["files"]} == {"already stored"}
    assert everything(store) == before


def test_a_bad_file_is_named_with_its_reason_and_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"benchmarks": [{"stats": {"median": "x"}}]}')
    done = command("ingest", "bad.json", DATA / "hyperfine.json", cwd=tmp_path)
    assert done.code == 3
    assert "bad.json" in done.err
    assert "$.benchmarks[0].stats.median" in done.err
    assert "6 measurements" in done.out


def test_coverage_in_a_folder_is_left_out_as_ever(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "coverage.xml").write_bytes((DATA / "coverage.xml").read_bytes())
    run_file(folder / "run.jsonl", [attempt()])
    done = command("ingest", "reports", "--format", "json", cwd=tmp_path)
    assert [one["format"] for one in done.json["files"]] == ["run-file"]


def test_they_belong_to_the_run_they_came_with(store: Path) -> None:
    found = rows(store, "select run_id, name, metric, unit, good, value from measurements")
    assert ("run-1", "shop --help", "time-median", "s", "lower", 0.0508) in found
    assert ("run-1", "total", "branch-coverage", "percent", "higher", 50.0) in found
    assert rows(store, "select attempts, uploads from runs where run_id = 'run-1'") == [(1, 5)]


def test_a_gate_does_not_take_measurements_for_tests_that_are_gone(
    store: Path, tmp_path: Path
) -> None:
    done = command("gate", "--store", store, "--format", "json", cwd=tmp_path)
    assert done.json["run"]["run_id"] == "run-1"


def test_an_archive_carries_them_and_runs_without_are_as_before(
    store: Path, tmp_path: Path
) -> None:
    api.export_archive(store, Window(), str(tmp_path / "archive"))
    versions = {
        path.name.partition("-")[0]: pl.read_parquet_metadata(path)[facts.VERSION_KEY]
        for path in (tmp_path / "archive").rglob("*.parquet")
        if not path.name.startswith("run-1")
    }
    assert versions["run"] == "1"
    assert sorted(versions.values()) == ["1", "2"]
    again = tmp_path / "again.duckdb"
    (merged,) = api.merge([str(tmp_path / "archive")], again)
    assert merged.refused == []
    assert everything(again) == everything(store)
    (merged,) = api.merge([str(tmp_path / "archive")], again)
    assert (merged.stored, everything(again)) == (0, everything(store))
    other = tmp_path / "other.duckdb"
    api.merge([str(store)], other)
    assert everything(other) == everything(store)
    api.export_archive(again, Window(), str(tmp_path / "second"))
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.parquet")}
        for name in ("archive", "second")
    )
    assert first == second, "equal facts, equal bytes"


def field(name: str, value: pl.Expr) -> pl.Expr:
    return pl.col("measurement").struct.with_fields(value.alias(name))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (field("value", pl.lit(float("nan"))), "not whole"),
        (field("value", pl.lit(float("inf"))), "not whole"),
        (field("value", pl.lit(None, pl.Float64)), "not whole"),
        (field("name", pl.lit("")), "not whole"),
        (field("good", pl.lit("green")), "not whole"),
        (field("metric", pl.lit("x" * 2_000_000)), "far too long"),
        (field("value", pl.lit(7)), "none that testlytics"),
    ],
)
def test_what_no_store_can_say_is_refused(
    store: Path, tmp_path: Path, wrong: pl.Expr, words: str
) -> None:
    api.export_archive(store, Window(run_id="run-1"), str(tmp_path / "archive"))
    (path,) = (tmp_path / "archive").rglob("*.parquet")
    frame = pl.read_parquet(path).with_columns(wrong.alias("measurement"))
    frame.write_parquet(tmp_path / "bad.parquet", metadata={facts.VERSION_KEY: "2"})
    (refused,) = api.merge([str(tmp_path / "bad.parquet")], tmp_path / "t.duckdb")
    assert words in refused.refused[0].text
    assert refused.stored == 0


def test_they_go_with_their_run(store: Path, tmp_path: Path) -> None:
    done = command("prune", "--keep-runs", 1, "--store", store, cwd=tmp_path)
    assert done.code == 0, done.err
    left = rows(store, "select distinct run_id from runs")
    assert {run for (run,) in rows(store, "select run_id from measurements")} <= {
        run for (run,) in left
    }
    [(names, used)] = rows(
        store,
        "select (select count(*) from raw.measured), "
        "(select count(distinct measured_key) from raw.measurements)",
    )
    assert names == used
    assert api.doctor(store)["differences"] == {}


def test_a_purged_test_takes_its_benchmarks_along(store: Path) -> None:
    name = "test_cart.py::test_total[10]"
    with open_store(store, write=True) as opened:
        done = opened.purge(test_id=name)
    assert done.removed == {"raw.measurements": 2}
    assert done.remaining == {}
    assert name not in {one for (one,) in rows(store, "select name from measurements")}


def test_they_wait_in_the_spool_with_their_upload(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with open_store(store, write=True) as opened:
        done = command(
            "ingest", DATA / "hyperfine.json", "--store", store, "--wait", 1, cwd=tmp_path
        )
        assert (done.code, spool.entries(store) != []) == (0, True), done.err
        opened.take_in_spool()
    assert spool.entries(store) == []
    assert len(everything(store)) == 6


@pytest.mark.parametrize("together", [False, True])
def test_a_copy_that_is_not_kept_leaves_none_of_its_rows(tmp_path: Path, together: bool) -> None:
    # What it brought was in the facts before it was known that the stored copy is the one to keep.
    store = tmp_path / "h.duckdb"
    upload = Upload("u", "r", complete=True)
    attempts = [Attempt("t", 1, Outcome.FAILED, 1, failure=Failure("E", "seen", None, None))]
    other = [attempts[0]._replace(test_id="other", failure=Failure("E", "never seen", None, None))]
    with open_store(store, write=True) as opened:

        def keep(intake: Intake, digest: str, now_us: int) -> bool:
            return opened.keep(intake, upload, digest=digest, form="junit", now_us=now_us).stored

        with opened.intake() as intake:
            intake.write(attempts)
            assert keep(intake, "e", 2_000_000)
        with opened.intake() as intake:
            intake.write(other)
            if together:
                intake.measure([Measurement("m", "time", "s", 1.0, Good.LOWER)])
            assert not keep(intake, "d", 1_000_000)
        with opened.intake() as intake:
            again = replace(upload, run_id="later")
            assert opened.keep(intake, again, digest="f", form="junit", now_us=3_000_000).stored
    assert rows(store, "select run_id, test_id from attempts") == [("r", "t")]
    for table, count in {"tests": 1, "messages": 1, "measured": 0, "measurements": 0}.items():
        assert rows(store, f"select count(*) from raw.{table}") == [(count,)], table
    assert rows(store, "select min(ingested_us) from raw.uploads") == [(1_000_000,)]
    assert api.doctor(store)["differences"] == {}


def test_they_come_in_through_the_service(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with serving(store) as service:
        answer = service.upload((DATA / "hyperfine.json").read_bytes(), "run_id=r-1")
        assert (answer.status, answer.json["counts"]["measurements"]) == (201, 6)
        assert service.end() == 0
    assert {run for (run,) in rows(store, "select run_id from measurements")} == {"r-1"}
    assert len(everything(store)) == 6


def test_export_writes_the_view(store: Path, tmp_path: Path) -> None:
    done = command(
        "export", "--format", "json", "--what", "measurements", "--store", store, cwd=tmp_path
    )
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["measurements"]) == len(everything(store))
