"""What users rely on of the store: nothing lost, nothing twice, and clear words when it cannot."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest

from testlytics import api
from testlytics_collector.errors import NotFoundError, StoreError, StoreLockedError
from testlytics_collector.formats.interface import Limits
from testlytics_collector.ingest import FileResult, Stated, ingest
from testlytics_collector.store import stage
from testlytics_collector.store.lock import hold
from testlytics_collector.store.reader import Window
from testlytics_collector.store.schema import SCHEMA_VERSION
from testlytics_collector.store.store import open_store
from tests.factories import HOUR_US, START_US, attempt, end, header, history, lines, run_file


def take_in(store: Path, *paths: Path, stated: Stated | None = None) -> list[FileResult]:
    with open_store(store, write=True) as opened:
        return ingest([str(path) for path in paths], opened, stated=stated)


def rows(store: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(sql).fetchall()
        return found


def everything(store: Path) -> dict[str, list[tuple[object, ...]]]:
    views = ("runs", "tests", "attempts", "verdicts", "failures")
    return {view: sorted(rows(store, f"from {view}"), key=repr) for view in views}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "h.duckdb"


def test_the_same_files_twice_change_nothing(store: Path, tmp_path: Path) -> None:
    files = history(tmp_path, {"a.py::test_one": "PPFLS", "a.py::test_two[1]": "PPPPP"})
    first = take_in(store, *files)
    before = everything(store)
    second = take_in(store, *files)
    assert [result.status for result in first] == ["stored"] * 5
    assert [result.status for result in second] == ["already stored"] * 5
    assert [one.run_id for one in first] == [one.run_id for one in second]
    assert everything(store) == before
    assert rows(store, "select count(*) from raw.uploads") == [(5,)]


def test_compressed_and_plain_are_the_same_bytes(store: Path, tmp_path: Path) -> None:
    plain = run_file(tmp_path / "a.jsonl", [attempt()])
    packed = tmp_path / "packed"  # recognised by content, not by name
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert [result.status for result in take_in(store, packed, plain)] == [
        "stored",
        "already stored",
    ]


def test_order_of_arrival_changes_no_answer(tmp_path: Path) -> None:
    files = history(tmp_path, {"t": "PPFPL", "u[1]": "FFFSP"})
    one, other = tmp_path / "one.duckdb", tmp_path / "other.duckdb"
    take_in(one, *files)
    for path in reversed(files):
        take_in(other, path)
    assert everything(one) == everything(other)


def test_shards_and_reruns_of_a_run_add_up(store: Path, tmp_path: Path) -> None:
    parts = []
    for number, (shard, again, outcome) in enumerate(
        [("1/2", 1, "failed"), ("2/2", 1, "passed"), ("1/2", 2, "passed")]
    ):
        ci = {"provider": "github", "run_attempt": again, "shard": shard}
        test = "a" if shard == "1/2" else "b"
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(
            lines(header(number, run_id="github-7", ci=ci), attempt(test, outcome), end(1))
        )
        parts.append(path)
    take_in(store, *parts)
    assert rows(store, "select run_id, uploads, run_attempts, attempts from runs") == [
        ("github-7", 3, 2, 3)
    ]
    assert rows(store, "select test_id, verdict, attempts from verdicts order by all") == [
        ("a", "flaky", 2),
        ("b", "passed", 1),
    ]


def test_variants_have_verdicts_of_their_own(store: Path, tmp_path: Path) -> None:
    for number, (system, outcome) in enumerate([("linux", "passed"), ("windows", "failed")]):
        path = tmp_path / f"{number}.jsonl"
        variant = {"os": system, "python": "3.11"}
        path.write_bytes(
            lines(header(number, run_id="r", variant=variant), attempt("a", outcome), end(1))
        )
        take_in(store, path)
    assert rows(store, "select variant, verdict from verdicts order by all") == [
        ("os=linux,python=3.11", "passed"),
        ("os=windows,python=3.11", "failed"),
    ]
    with open_store(store) as opened:
        frame = opened.verdicts(Window(variant={"os": "linux"}))
    assert frame["verdict"].to_list() == ["passed"]


def test_a_longer_copy_replaces_an_unfinished_one(store: Path, tmp_path: Path) -> None:
    early, late = tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    slot = {"type": "running", "test_id": "b", "done": 1, "started_us": 1}
    early.write_bytes(lines(header(), slot, attempt("a")))
    late.write_bytes(lines(header(), slot, attempt("a"), attempt("b"), end(2)))
    take_in(store, early)
    assert rows(store, "select test_id, outcome from attempts order by all") == [
        ("a", "passed"),
        ("b", "crashed"),
    ]
    (result,) = take_in(store, late)
    assert "Replaces an unfinished copy" in result.problems[0].text
    assert rows(store, "select test_id, outcome from attempts order by all") == [
        ("a", "passed"),
        ("b", "passed"),
    ]
    assert rows(store, "select complete from runs") == [(True,)]
    (again,) = take_in(store, early)  # the shorter copy comes back from somewhere
    assert rows(store, "select count(*) from attempts") == [(2,)]
    assert again.status == "already stored"


def test_a_bad_file_leaves_no_row_and_costs_no_good_one(store: Path, tmp_path: Path) -> None:
    good = run_file(tmp_path / "good.jsonl", [attempt("good")], 1)
    bad = tmp_path / "bad.jsonl"
    many = [attempt(f"bad-{index}") for index in range(12_000)]  # more than one batch
    bad.write_bytes(lines(header(2), *many) + b"{oops\n" + lines(end(1)))
    other = run_file(tmp_path / "other.jsonl", [attempt("other")], 3)
    results = take_in(store, good, bad, other)
    assert [result.status for result in results] == ["stored", "refused", "stored"]
    assert results[1].problems[-1].line == 12_002
    assert rows(store, "select test_id from tests order by all") == [("good",), ("other",)]
    assert rows(store, "select count(*) from raw.messages") == [(0,)]


def test_equal_messages_are_stored_once(store: Path, tmp_path: Path) -> None:
    failed = [attempt(f"t{index}", "failed", failure={"message": "boom"}) for index in range(9)]
    take_in(store, run_file(tmp_path / "1.jsonl", failed, 1))
    take_in(store, run_file(tmp_path / "2.jsonl", failed, 2))
    assert rows(store, "select count(*) from raw.messages") == [(1,)]
    assert rows(store, "select count(*), min(message) from failures") == [(18, "boom")]


def test_stated_facts_win(store: Path, tmp_path: Path) -> None:
    stated = Stated(project="shop", run_id="r", commit="abc", branch="b", variant={"db": "pg"})
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]), stated=stated)
    assert rows(store, 'select project, run_id, "commit", sources, branch from runs') == [
        ("shop", "r", "abc", "abc", "b")
    ]
    assert rows(store, "select variant from attempts") == [("db=pg,os=linux",)]


def test_uncommitted_changes_are_no_known_sources(store: Path, tmp_path: Path) -> None:
    for number, dirty in enumerate((True, None, False)):
        sources = {"commit": "c", "tree_sha": "t", "dirty": dirty}
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(lines(header(number, sources=sources), attempt(), end(1)))
        take_in(store, path)
    assert rows(store, "select sources from runs order by position") == [(None,), (None,), ("t",)]


def test_disagreeing_commits_of_one_run_are_told(store: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "0.jsonl", tmp_path / "1.jsonl"
    for number, path in enumerate((first, second)):
        path.write_bytes(lines(header(number, run_id="r"), attempt(), end(1)))
    assert take_in(store, first)[0].problems == ()
    assert "recorded with commit 00000000" in take_in(store, second)[0].problems[0].text


TESTS = {"t": "PPFPL", 'u["\\u00e9\\u4e2d\'\\"]': "FFFSP", "v": "PLLPF", "w": "PPPPP"}


def test_an_upload_in_portions_is_stored_as_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = history(tmp_path, TESTS)
    one, other = tmp_path / "one.duckdb", tmp_path / "other.duckdb"
    take_in(one, *files)
    monkeypatch.setattr(stage, "PORTION", 2)
    for path in files:
        with open_store(other, write=True) as opened:
            limits = Limits(batch=1)
            assert [r.status for r in ingest([str(path)], opened, limits=limits)] == ["stored"]
    assert everything(one) == everything(other)
    for store in (one, other):
        with open_store(store, write=True) as opened:
            assert opened.differences(mend=False) == {}


@pytest.mark.parametrize("portion", [2, 120_000])
def test_by_way_of_the_spool_is_stored_as_straight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    files = history(tmp_path, TESTS)
    one, other = tmp_path / "one.duckdb", tmp_path / "other.duckdb"
    take_in(one, *files)
    take_in(other)
    monkeypatch.setattr(stage, "PORTION", portion)
    with hold(other, write=True, wait_s=0):
        api.ingest(map(str, [*files, files[0]]), other, limits=Limits(batch=1))
    with open_store(other, write=True) as opened:
        opened.take_in_spool()
        assert opened.differences(mend=False) == {}
    assert everything(one) == everything(other)


def test_window_takes_the_newest_runs_by_their_start(store: Path, tmp_path: Path) -> None:
    files = history(tmp_path, {"t": "PPPPP"})
    take_in(store, *reversed(files))
    with open_store(store) as opened:

        def runs(window: Window) -> list[str]:
            with opened.window(window) as asked:
                return [run.run_id for run in asked.runs()]

        assert runs(Window(last=2)) == ["run-3", "run-4"]
        assert runs(Window(branch="no")) == []
        assert runs(Window(project="no")) == []
        assert runs(Window(since_us=START_US + 3 * HOUR_US)) == ["run-3", "run-4"]
        assert isinstance(opened.verdicts(Window()), pl.DataFrame)


def test_files_of_the_newest_duckdb_open_in_the_oldest(store: Path, tmp_path: Path) -> None:
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]))
    tags = rows(store, "select tags from duckdb_databases() where database_name = 'h'")
    assert "v1.5" in str(tags)


def test_missing_store_is_not_made_by_a_reader(store: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no store"), open_store(store):
        pass
    assert not store.exists()


def test_folder_as_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"), open_store(tmp_path, write=True):
        pass


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\0" * 20_000])
def test_a_file_that_is_no_store_is_never_overwritten(store: Path, content: bytes) -> None:
    store.write_bytes(content)
    for write in (True, False):
        with pytest.raises(StoreError), open_store(store, write=write):
            pass
    assert store.read_bytes() == content


def test_somebody_elses_database_is_left_alone(store: Path) -> None:
    with duckdb.connect(str(store)) as connection:
        connection.execute("create table theirs as select 1 as x").fetchall()
    with pytest.raises(StoreError, match="not a testlytics store"), open_store(store, write=True):
        pass
    assert rows(store, "from theirs") == [(1,)]


def test_newer_schema_is_refused_by_name(store: Path, tmp_path: Path) -> None:
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]))
    with duckdb.connect(str(store)) as connection:
        connection.execute("update raw.meta set value = '99'").fetchall()
    for write in (True, False):
        words = f"schema 99.*up to {SCHEMA_VERSION}"
        with pytest.raises(StoreError, match=words) as caught, open_store(store, write=write):
            pass
        assert caught.value.slug == "store-newer"


def test_truncated_store_is_refused_and_left_as_it_is(store: Path, tmp_path: Path) -> None:
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]))
    whole = store.read_bytes()
    store.write_bytes(whole[:15_000])
    with pytest.raises(StoreError), open_store(store, write=True):
        pass
    assert store.read_bytes() == whole[:15_000]


def test_a_foreign_holder_is_named(store: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]))
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); "
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError) as caught, open_store(store, wait_s=0):
            pass
        assert f"process {process.pid}" in caught.value.message
        process.communicate("")


def test_a_store_can_be_moved(store: Path, tmp_path: Path) -> None:
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt()]))
    moved = tmp_path / "with space" / "päth.db"
    moved.parent.mkdir()
    shutil.move(store, moved)
    with open_store(moved) as opened, opened.window(Window()) as asked:
        assert len(asked.runs()) == 1


@pytest.mark.parametrize(
    ("test_id", "family"),
    [
        ("tests/a.py::test_x[1-b]", "tests/a.py::test_x"),
        ("tests/a.py::test_x", "tests/a.py::test_x"),
        ("te[st]s/a.py::test_x[a::b[c]]", "te[st]s/a.py::test_x"),
        ("adds[1]", "adds"),
        ("[1]", "[1]"),
        ("a [b] c", "a [b] c"),
    ],
)
def test_family(store: Path, tmp_path: Path, test_id: str, family: str) -> None:
    take_in(store, run_file(tmp_path / "1.jsonl", [attempt(test_id)]))
    assert rows(store, "select test_id, family from tests") == [(test_id, family)]
