"""Faults while a whole store is changed: it is as it was before, or as it is to be, never half."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from testlytics_collector.errors import StoreError
from testlytics_collector.store.compaction import compact
from testlytics_collector.store.store import open_store
from tests.chaos.script import ROOT, chaos

pytestmark = pytest.mark.chaos
SCHEMA_1 = ROOT / "tests" / "data" / "store" / "schema-1.sql"


@pytest.mark.parametrize("work", ["migration", "migration-log", "prune", "compact", "merge"])
def test_what_changes_a_whole_store_may_be_killed_or_lack_room(work: str) -> None:
    chaos("--kills", "2", "--disk-full", "1", "--seed", "7", "--only", work)


def cut_off(path: Path) -> None:
    """Leave a database whose writer died before it put its log into the file."""
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('create table left_over as select 1').fetchall()\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=100)
    assert path.with_name(f"{path.name}.wal").exists()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_what_a_killed_migration_has_left_is_not_mistaken_for_its_copy(tmp_path: Path) -> None:
    store, copy = tmp_path / "h.duckdb", tmp_path / "h.duckdb.schema1"
    with duckdb.connect(str(store)) as connection:
        connection.execute(SCHEMA_1.read_text(encoding="utf-8")).fetchall()
    cut_off(copy.with_name(f"{copy.name}.part"))
    with open_store(store, write=True) as opened:
        assert opened.facts()["attempts"] == 5
    assert names(tmp_path) == [store.name, copy.name]
    with duckdb.connect(str(copy), read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables()").fetchall()
        assert ("left_over",) not in tables
        assert connection.execute("select count(*) from raw.attempts").fetchall() == [(5,)]


def test_what_a_killed_compaction_has_left_does_not_get_into_the_store(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with open_store(store, write=True) as opened:
        before = opened.facts()
    cut_off(tmp_path / "h.duckdb.compact")
    compact(store, wait_s=1.0)
    assert names(tmp_path) == [store.name]
    with open_store(store) as opened:
        assert opened.facts() == before


def test_a_migration_without_room_for_its_copy_leaves_the_room_there_was(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with duckdb.connect(str(store)) as connection:
        connection.execute(SCHEMA_1.read_text(encoding="utf-8")).fetchall()
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from testlytics import api\n"
        "from testlytics_collector.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    api.doctor(Path(sys.argv[1]))\n"
        "except StoreError as error:\n"
        "    print(error.slug)\n"
    )
    whole = store.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", code, str(store)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout == "store-disk-full\n"
    assert names(tmp_path) == [store.name]
    assert store.read_bytes() == whole


def test_an_older_store_that_is_cut_short_is_neither_copied_nor_changed(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with duckdb.connect(str(store)) as connection:
        connection.execute(SCHEMA_1.read_text(encoding="utf-8")).fetchall()
    whole = store.read_bytes()
    cut = whole[: len(whole) * 3 // 4]
    store.write_bytes(cut)
    with pytest.raises(StoreError) as caught, open_store(store, write=True):
        pass
    assert caught.value.slug == "store-damaged"
    assert store.read_bytes() == cut
    assert names(tmp_path) == [store.name]
