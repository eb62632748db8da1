"""The lock file: alone for writers, shared by readers, and it says who holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testlytics_collector.errors import StoreError, StoreLockedError
from testlytics_collector.store.lock import hold, pauses, writer_at_work

HOLDER = """
import sys, pathlib
from testlytics_collector.store.lock import hold
with hold(pathlib.Path(sys.argv[1]), write=sys.argv[2] == "write", wait_s=0):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(database: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(database), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_writer_keeps_everybody_out_and_is_named(tmp_path: Path) -> None:
    database = tmp_path / "h.duckdb"
    with holder(database, "write") as process:
        for write in (True, False):
            with pytest.raises(StoreLockedError) as caught, hold(database, write=write, wait_s=0):
                pass
            assert f"process {process.pid}" in caught.value.message
        process.communicate("")
    with hold(database, write=True, wait_s=0):
        pass


def test_readers_share_and_keep_writers_out(tmp_path: Path) -> None:
    database = tmp_path / "h.duckdb"
    with holder(database, "read") as process:
        with hold(database, write=False, wait_s=0):
            pass
        with pytest.raises(StoreLockedError), hold(database, write=True, wait_s=0):
            pass
        process.communicate("")


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    database = tmp_path / "h.duckdb"
    with holder(database, "write") as process:
        process.kill()
        process.wait()
    with hold(database, write=True, wait_s=0):
        pass


def test_waiting_writer_gets_its_turn(tmp_path: Path) -> None:
    database = tmp_path / "h.duckdb"
    with holder(database, "read") as process:
        assert process.stdin is not None
        process.stdin.close()
        with hold(database, write=True, wait_s=60):
            pass


def test_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = tmp_path / "file" / "h.duckdb"
    words = r"lock file .*file/h\.duckdb\.lock"
    with pytest.raises(StoreError, match=words), hold(database, write=True, wait_s=0):
        pass


def test_zero_wait_tries_once() -> None:
    assert len(list(pauses(0))) == 1


def test_some_wait_tries_again() -> None:
    assert len(list(pauses(0.05))) > 1


def test_a_forked_child_does_not_give_up_its_parents_lock(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
from testlytics_collector.store.lock import hold, writer_at_work
database = pathlib.Path(sys.argv[1])
parent = os.getpid()
with hold(database, write=True, wait_s=0):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert writer_at_work(database)
        try:
            with hold(database, write=True, wait_s=0):
                sys.exit(9)
        except Exception as error:
            assert "in use" in str(error)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "h")], check=True, timeout=60)


def test_a_lock_does_not_outlive_its_holder_in_a_forked_child(tmp_path: Path) -> None:
    code = """
import os, pathlib, signal, sys
from testlytics_collector.store.lock import hold
database = pathlib.Path(sys.argv[1])
with hold(database, write=True, wait_s=0):
    child = os.fork()
    if not child:
        signal.pause()
with hold(database, write=True, wait_s=0):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "h")], check=True, timeout=60)


def test_a_killed_writer_is_not_at_work(tmp_path: Path) -> None:
    database = tmp_path / "h.duckdb"
    with holder(database, "write") as process:
        assert writer_at_work(database)
        process.kill()
        process.wait()
    assert not writer_at_work(database)
