"""What is kept of one input: all of it or nothing, each once, and the last word of each test."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from testlytics import api
from testlytics_collector.formats.interface import Limits
from testlytics_collector.ingest import Status, ingest
from testlytics_collector.store import stage
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store
from tests.factories import attempt, end, header, history, lines, run_file


def facts(store: Path) -> list[tuple[object, ...]]:
    with open_store(store) as opened:
        return opened._rows(
            """select r.run_id, t.test_id, a.attempt, a.outcome::varchar, u.producer
               from raw.attempts a join raw.uploads u using (upload_key)
               join raw.runs r using (run_key) join raw.tests t using (test_key) order by all"""
        )


def test_what_was_moved_of_a_bad_file_goes_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PORTION", 10)
    store, bad = tmp_path / "h.duckdb", tmp_path / "bad.jsonl"
    many = [attempt(f"bad-{number}") for number in range(25_000)]
    bad.write_bytes(lines(header(1), *many) + b"{oops\n" + lines(end(1)))
    good = run_file(tmp_path / "good.jsonl", [attempt("good")], 2)
    results = api.ingest([str(bad), str(good)], store)
    assert [one.status for one in results] == [Status.REFUSED, Status.STORED]
    assert [row[1] for row in facts(store)] == ["good"]
    with open_store(store) as opened:
        assert opened.facts()["tests"] == 1


def test_files_that_begin_alike_are_two(tmp_path: Path) -> None:
    store, paths = tmp_path / "h.duckdb", []
    for last in ("last", "tsal"):
        cases = "".join(f"<testcase name='t{number}' classname='c'/>" for number in range(9_000))
        paths.append(tmp_path / f"{last}.xml")
        paths[-1].write_text(f"<testsuite>{cases}<testcase name='{last}'/></testsuite>")
    results = api.ingest(map(str, paths), store)
    assert [one.status for one in results] == [Status.STORED] * 2
    assert len({one.run_id for one in results}) == 2


@pytest.mark.parametrize("size", [1_000, 5_000])
def test_an_input_may_have_as_many_bytes_as_are_allowed(tmp_path: Path, size: int) -> None:
    path = run_file(tmp_path / "1.jsonl", [attempt()])
    path.write_bytes(path.read_bytes().ljust(size, b"\n"))
    with open_store(tmp_path / "h.duckdb", write=True) as opened:
        [exact] = ingest([str(path)], opened, limits=Limits(size=size))
        path.write_bytes(path.read_bytes() + b"\n")
        [more] = ingest([str(path)], opened, limits=Limits(size=size))
    assert (exact.status, more.status) == (Status.STORED, Status.REFUSED)
    assert "Larger than" in more.problems[-1].text


def unfinished(path: Path, tests: int) -> Path:
    path.write_bytes(lines(header(), *[attempt(f"t{number}") for number in range(tests)]))
    return path


def test_of_two_unfinished_copies_the_longer_stays(tmp_path: Path) -> None:
    for order in itertools.permutations((2, 3, 5)):
        store = tmp_path / f"{order}.duckdb"
        for tests in order:
            api.ingest([str(unfinished(tmp_path / f"{tests}.jsonl", tests))], store)
        assert len(facts(store)) == 5


def test_of_copies_of_one_length_the_same_stays_in_any_order(tmp_path: Path) -> None:
    paths = []
    for producer in ("one", "other"):
        paths.append(tmp_path / f"{producer}.jsonl")
        rows = [attempt("t", "failed" if producer == "one" else "passed")]
        paths[-1].write_bytes(lines(header(producer=producer), *rows, end(1)))
    kept = []
    for number, order in enumerate((paths, paths[::-1])):
        store = tmp_path / f"{number}.duckdb"
        for path in order:
            api.ingest([str(path)], store)
        kept.append(facts(store))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 1


def test_an_archive_carries_where_commits_stand(tmp_path: Path) -> None:
    store, again, archive = (tmp_path / name for name in ("h.duckdb", "again.duckdb", "archive"))
    api.ingest(map(str, history(tmp_path, {"a": "PPP"})), store)
    commits = [f"{number:040x}" for number in range(3)]
    with open_store(store, write=True) as opened:
        opened.place_commits({commit: 9 - at for at, commit in enumerate(commits)})
    api.export_archive(store, Window(), str(archive))
    api.merge([str(archive)], again)
    told = []
    for one in (store, again):
        with open_store(one) as opened:
            told.append(opened._rows("select commit_id, order_us from raw.commits order by all"))
    assert told[0] == told[1] == [(commit, 9 - at) for at, commit in enumerate(commits)]


def test_the_last_attempt_that_failed_says_why(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    said = ["first", "second", "third"]
    for number in range(3):
        rows = [
            attempt("t", "failed", attempt=at, failure={"message": text})
            for at, text in enumerate(said, 1)
        ]
        api.ingest([str(run_file(tmp_path / f"{number}.jsonl", rows, number))], store)
        # Another upload of the same run: it is counted anew.
        more = lines(
            {**header(number), "upload_id": f"more-{number}", "ci": {"run_attempt": 2}},
            attempt("t", "failed", failure={"message": "of the re-run"}),
            end(1),
        )
        if number == 1:
            path = tmp_path / "more.jsonl"
            path.write_bytes(more)
            api.ingest([str(path)], store)
    with open_store(store) as opened, opened.window(Window()) as asked:
        reader = asked.gate()
        reader.failures()
        told = {one.step: one.message for one in reader.texts()}
    assert told == {0: "third", 1: "of the re-run"}


def test_a_test_that_cannot_be_set_up_counts_as_failing(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    for number in range(12):
        outcome = "errored" if number > 7 else "passed"
        rows = [attempt("broken", outcome), attempt("fine")]
        api.ingest([str(run_file(tmp_path / f"{number}.jsonl", rows, number))], store)
    [section] = api.report(store, Window(), sections=["broken"]).sections
    assert [row["test_id"] for row in section.rows] == ["broken"]


def test_a_pass_takes_as_long_as_all_of_its_phases(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    row = attempt("t", setup_us=5_000_000, call_us=1_000, teardown_us=70, started_us=1, worker="w")
    api.ingest([str(run_file(tmp_path / "1.jsonl", [row]))], store)
    with open_store(store) as opened:
        assert opened._rows("select duration_us from raw.attempts") == [(5_001_070,)]


def test_what_a_replaced_copy_counted_for_is_taken_off_the_totals(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    api.ingest([str(unfinished(tmp_path / "short.jsonl", 2))], store)
    # So many uploads later all of them are counted.
    paths = [run_file(tmp_path / f"{n}.jsonl", [attempt("t0")], n) for n in range(1, 40)]
    api.ingest(map(str, paths), store)
    whole = tmp_path / "whole.jsonl"
    whole.write_bytes(lines(header(), *[attempt(f"t{number}") for number in range(3)], end(3)))
    path = run_file(tmp_path / "more.jsonl", [attempt("t9")], 1)
    path.write_bytes(path.read_bytes().replace(f"{1:032x}".encode(), b"another"))
    api.ingest([str(whole), str(path)], store)
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=False) == {}
        assert opened.facts()["attempts"] == 3 + 39 + 1
