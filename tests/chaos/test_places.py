"""Places that cannot be written, or have no room: readers work, writers are told what to do."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from scripts.chaos_process import can_mount, remount, small_disk
from testlytics import api
from tests.factories import attempt, history, run_file

pytestmark = pytest.mark.chaos
READING = (
    ["report", "--flaky", "--broken", "--slowest"],
    ["runs"],
    ["tests"],
    ["failures"],
    ["sql", "select count(*) from attempts"],
    ["export", "--format", "junit"],
)
DIE_BEFORE_CLOSING = """
import os, sys
from pathlib import Path
from testlytics_collector.store import connection
connection._OwnProcess.close = lambda self: os._exit(0)
from testlytics import api
api.ingest(sys.argv[2:], Path(sys.argv[1]))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder outside of those that pytest makes: file systems are mounted below it."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def run(
    *arguments: str,
    powerless: bool = False,
    temporary: Path | None = None,
    given: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run the command, where it is powerless without root's right to write everything."""
    more = {"TMPDIR": str(temporary)} if temporary else {}
    return subprocess.run(
        [sys.executable, "-m", "testlytics", *arguments],
        env={**os.environ, "TESTLYTICS_WAIT": "1", **more},
        input=given,
        capture_output=True,
        timeout=100,
        check=False,
        preexec_fn=give_up_power if powerless and os.geteuid() == 0 else None,
    )


def give_up_power() -> None:
    """Let root meet the modes of files as everybody does, from the next program on."""
    drop, override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    if ctypes.CDLL(None, use_errno=True).prctl(drop, override) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def filled(folder: Path, *, log: bool) -> Path:
    """Make a store of four runs; with `log`, the last two are in its log only."""
    store = folder / "h.duckdb"
    (folder / "in").mkdir()
    paths = [str(path) for path in history(folder / "in", {"a": "PPFP", "b": "PFPP"})]
    api.ingest(paths[:2] if log else paths, store)
    if log:
        code = [sys.executable, "-c", DIE_BEFORE_CLOSING, str(store), *paths[2:]]
        subprocess.run(code, check=True, timeout=100)
    assert store.with_name("h.duckdb.wal").exists() == log
    return store


def writing(folder: Path) -> list[list[str]]:
    """What writes a store; the file is one that it does not know yet."""
    new = str(run_file(folder / "new.jsonl", [attempt()], 9))
    return [["ingest", new], ["prune", "--keep-runs", "1"], ["purge", "--messages"]]


def works_for_readers_only(
    store: Path, commands: list[list[str]], *, files: list[Path], powerless: bool
) -> None:
    before = {path: path.read_bytes() for path in files}
    for command in READING:
        done = run(*command, "--store", str(store), powerless=powerless)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stderr == b""
    counted = run(
        "sql", "select count(*) from attempts", "--store", str(store), powerless=powerless
    )
    assert counted.stdout.split()[-1] == b"8"
    for command in commands:
        done = run(*command, "--store", str(store), powerless=powerless)
        assert done.returncode == 3, command
        assert b"Choose a f" in done.stderr  # a file, or a folder
        assert b"--store PATH" in done.stderr
        assert b"Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in files} == before


@pytest.mark.parametrize("log", [False, True])
def test_a_store_on_a_read_only_file_system_is_read_and_not_written(place: Path, log: bool) -> None:
    mounted = place / "mounted"
    mounted.mkdir()
    if not can_mount(mounted):
        pytest.skip("needs the right to mount")
    with small_disk(mounted, 32 << 20):
        store = filled(mounted, log=log)
        files = sorted(path for path in mounted.iterdir() if path.is_file())
        remount(mounted, "ro")
        works_for_readers_only(store, writing(place), files=files, powerless=False)
        assert sorted(path for path in mounted.iterdir() if path.is_file()) == files


@pytest.mark.parametrize("log", [False, True])
def test_a_store_without_the_right_to_write_it_is_read_and_not_written(
    place: Path, log: bool
) -> None:
    inside = place / "inside"
    inside.mkdir()
    store, commands = filled(inside, log=log), writing(place)
    files = sorted(path for path in inside.iterdir() if path.is_file())
    for path in [*files, inside]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        works_for_readers_only(store, commands, files=files, powerless=True)
    finally:
        inside.chmod(0o755)


def test_a_store_in_a_folder_that_takes_no_new_files_says_so(place: Path) -> None:
    inside = place / "inside"
    inside.mkdir()
    store, commands = filled(inside, log=False), writing(place)
    old = inside / "old.duckdb"
    with duckdb.connect(str(old)) as connection:
        schema = Path(__file__).parent.parent / "data" / "store" / "schema-1.sql"
        connection.execute(schema.read_text(encoding="utf-8")).fetchall()
    (inside / "old.duckdb.lock").touch()
    for path in inside.iterdir():
        if path.is_file():
            path.chmod(0o666)
    inside.chmod(0o555)
    whole = old.read_bytes()
    try:
        # DuckDB may write free blocks before it finds that it can have no log.
        works_for_readers_only(store, commands, files=[], powerless=True)
        done = run("doctor", "--store", str(old), powerless=True)
        assert (done.returncode, b"cannot be written" in done.stderr) == (3, True)
        assert old.read_bytes() == whole
    finally:
        inside.chmod(0o755)
    with duckdb.connect(str(store), read_only=True) as connection:
        assert connection.execute("select count(*) from attempts").fetchall() == [(8,)]


def test_standard_input_that_finds_no_room_says_what_to_do(place: Path) -> None:
    small = place / "small"
    small.mkdir()
    if not can_mount(small):
        pytest.skip("needs the right to mount")
    given = b"x" * (65 << 20)
    store = place / "h.duckdb"
    with small_disk(small, 1 << 20):
        done = run("ingest", "-", "--store", str(store), temporary=small, given=given)
        assert done.returncode == 3
        assert f"does not fit into {small}".encode() in done.stderr
        assert b"TMPDIR" in done.stderr


def test_no_command_but_that_needs_room_for_temporary_files(place: Path) -> None:
    small = place / "small"
    small.mkdir()
    if not can_mount(small):
        pytest.skip("needs the right to mount")
    with small_disk(small, 16 << 10):
        with (small / "full").open("wb", buffering=0) as stream, pytest.raises(OSError, match="No"):
            while stream.write(b"x" * 4096):
                pass
        store = filled(place, log=False)
        archive = str(place / "archive")
        commands = [
            *READING,
            *writing(place),
            ["doctor", "--rebuild"],
            ["export", "--archive", archive],
            ["merge", archive],
            ["prune", "--keep-runs", "1", "--compact"],
        ]
        for command in commands:
            done = run(*command, "--store", str(store), temporary=small)
            assert done.returncode == 0, (command, done.stderr)
