"""Faults at random moments: what was acknowledged stays, and nothing is there in part."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from testlytics import api
from testlytics_collector.errors import StoreError
from testlytics_collector.ingest import Status
from testlytics_collector.store.lock import hold
from testlytics_collector.store.store import open_store
from tests.chaos.script import chaos
from tests.factories import history

pytestmark = pytest.mark.chaos


def test_no_kill_loses_or_tears_an_acknowledged_run() -> None:
    chaos("--kills", "5", "--disk-full", "0", "--seed", "5")


def test_a_full_disk_costs_no_acknowledged_run() -> None:
    chaos("--kills", "0", "--disk-full", "2", "--seed", "6")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "h.duckdb"
    api.ingest(map(str, history(tmp_path, {"a": "PPFP", "b": "PFPP"})), path)
    return path


def test_a_store_cut_short_is_refused_and_never_written(store: Path) -> None:
    whole = store.read_bytes()
    for size in range(0, len(whole), max(len(whole) // 8, 1)):
        store.write_bytes(whole[:size])
        for write in (True, False):
            with pytest.raises(StoreError), open_store(store, write=write):
                pass
            assert store.read_bytes() == whole[:size]


def test_a_store_without_its_file_but_with_its_log_is_not_begun_anew(store: Path) -> None:
    log = store.with_name(f"{store.name}.wal")
    log.write_bytes(b"what was acknowledged last")
    store.unlink()
    with pytest.raises(StoreError, match="is missing") as caught, open_store(store, write=True):
        pass
    assert caught.value.slug == "store-damaged"
    assert log.exists()


def test_a_making_that_was_cut_off_is_begun_again(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    other.with_name("other.duckdb.new").write_bytes(b"half a database")
    with open_store(other, write=True) as opened:
        assert opened.facts()["runs"] == 0
    assert not other.with_name("other.duckdb.new").exists()


def test_a_damaged_spooled_upload_holds_up_no_other(store: Path, tmp_path: Path) -> None:
    spool = tmp_path / "h.duckdb.spool"
    with hold(store, write=True, wait_s=0):
        (tmp_path / "new").mkdir()
        files = history(tmp_path / "new", {"c": "PPPPPP"})[4:]
        results = api.ingest(map(str, files), store)
    assert [result.status for result in results] == [Status.SPOOLED] * 2
    first, _ = sorted(spool.glob("*.upload"))
    first.write_bytes(first.read_bytes()[:-20])
    with open_store(store, write=True) as opened:
        opened.take_in_spool()
        assert opened.facts()["runs"] == 5
    assert [path.name for path in (spool / "refused").glob("*.upload")] == [first.name]
    assert "cannot be read" in (spool / "refused" / f"{first.name}.txt").read_text()
    assert not list(spool.glob("*.upload"))


def test_an_upload_taken_in_twice_is_stored_once(store: Path, tmp_path: Path) -> None:
    spool = tmp_path / "h.duckdb.spool"
    with hold(store, write=True, wait_s=0):
        (tmp_path / "new").mkdir()
        api.ingest([str(history(tmp_path / "new", {"c": "PPPPP"})[4])], store)
    [entry] = spool.glob("*.upload")
    shutil.copy(entry, tmp_path / "kept")
    for _ in range(2):
        with open_store(store, write=True) as opened:
            opened.take_in_spool()
            assert opened.facts()["attempts"] == 9
        shutil.copy(tmp_path / "kept", entry)  # as if killed between commit and removal


NO_OPEN = """
import os, sys
from pathlib import Path
store, *files = sys.argv[1:]
found = []
def hook(event, args):
    if event in {"open", "os.link", "shutil.copyfile", "shutil.copy2"}:
        if any(isinstance(a, (str, os.PathLike)) and os.fspath(a) == store for a in args):
            found.append((event, args))
sys.addaudithook(hook)
from testlytics import api
from testlytics_collector.store.reader import Window
api.ingest(files, Path(store))
api.report(Path(store), Window(), sections=api.SECTIONS)
api.doctor(Path(store), rebuild=True)
api.export_junit(Path(store), Window())
print(found)
"""


def test_nothing_but_duckdb_opens_the_database_file(tmp_path: Path) -> None:
    files = history(tmp_path, {"a": "PPFP"})
    done = subprocess.run(
        [sys.executable, "-c", NO_OPEN, str(tmp_path / "h.duckdb"), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout == "[]\n"


FORK = """
import gc, os, sys
from pathlib import Path
from testlytics_collector.errors import StoreError
from testlytics_collector.store.store import open_store
path = Path(sys.argv[1])
told = 7
with open_store(path, write=True) as store:
    store._rows("create table main.t as select 1 as x")
    child = os.fork()
    if child == 0:
        try:
            store.facts()
        except StoreError as error:
            told = 0 if error.slug == "store-forked" else 8
    else:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        other = os.fork()
        if other == 0:
            try:
                with open_store(path, write=True, wait_s=0):
                    os._exit(9)
            except StoreError as error:
                os._exit(0 if error.slug == "store-locked" else 8)
        assert os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]) == 0
        store._rows("insert into main.t values (2)")
        told = 0
del store
gc.collect()
sys.exit(told)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_cannot_use_the_store_nor_give_up_its_lock(store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(store)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    with duckdb.connect(str(store), read_only=True) as connection:
        assert connection.execute("select x from t order by x").fetchall() == [(1,), (2,)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_folder_for_temporary_files_is_not_needed(store: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    path = history(tmp_path / "new", {"c": "PPPPP"})[4]
    done = subprocess.run(
        [sys.executable, "-m", "testlytics", "ingest", str(path), "--store", str(store)],
        env={**os.environ, "TMPDIR": "/dev/full"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
