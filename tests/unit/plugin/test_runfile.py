from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pytest_testlytics import runfile
from pytest_testlytics.runfile import SLOT_BYTES, RunFile
from pytest_testlytics.text import quote


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


@pytest.fixture
def run_file(path: Path) -> RunFile:
    run_file = RunFile(str(path), overwrite=False)
    run_file.append(b'{"type":"run"}\n')
    return run_file


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_existing_file_is_only_overwritten_when_asked(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        RunFile(str(path), overwrite=False)
    RunFile(str(path), overwrite=True).close()
    assert path.read_bytes() == b""


def test_slots_are_aligned_and_overwritten_in_place(path: Path, run_file: RunFile) -> None:
    first = run_file.add_slot(None)
    run_file.append(b'{"type":"attempt"}\n')
    second = run_file.add_slot("gw1")
    run_file.append(b'{"type":"end"}\n')
    run_file.show(first, quote("a long test id"), 17, 0)
    run_file.show(first, quote("b"), 18, 1)
    run_file.show(second, quote("c"), 19, 2)
    assert [slot.offset % SLOT_BYTES for slot in (first, second)] == [0, 0]
    assert lines(path) == [
        {"type": "run"},
        {"type": "running", "worker": None, "test_id": "b", "started_us": 18, "done": 1},
        {"type": "attempt"},
        {"type": "running", "worker": "gw1", "test_id": "c", "started_us": 19, "done": 2},
        {"type": "end"},
    ]
    run_file.show_idle(first, 7)
    assert lines(path)[1]["test_id"] is None
    assert lines(path)[1]["done"] == 7


@pytest.mark.parametrize("test_id", ["a" * 5_000, "ü" * 900, "\U0001f600" * 600, '"' * 3_000])
def test_long_id_loses_its_middle(path: Path, run_file: RunFile, test_id: str) -> None:
    slot = run_file.add_slot(None)
    size = path.stat().st_size
    run_file.show(slot, quote(test_id), 2**53, 10**7)
    assert path.stat().st_size == size
    shown = lines(path)[1]
    assert shown["cut"] is True
    assert str(shown["test_id"]).strip(test_id[0]) == "…"
    assert slot.shown < SLOT_BYTES


def test_longest_id_that_fits_is_whole(path: Path, run_file: RunFile) -> None:
    slot = run_file.add_slot("gw" + "9" * 10)
    test_id = "a" * (runfile.MOST_ID_BYTES - 2)
    run_file.show(slot, quote(test_id), 2**53, 10**7)
    assert lines(path)[1]["test_id"] == test_id


def test_short_writes_are_continued(
    path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runfile, "_write", lambda fd, data: os.write(fd, data[:3]))
    run_file.append(b'{"type":"attempt"}\n')
    assert lines(path) == [{"type": "run"}, {"type": "attempt"}]


def test_full_disk_leaves_whole_lines_and_no_running_test(
    path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = run_file.add_slot(None)
    run_file.show(slot, quote("running"), 1, 0)
    written = iter([5])

    def fill(fd: int, data: bytes) -> int:
        try:
            return os.write(fd, data[: next(written)])
        except StopIteration:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None

    monkeypatch.setattr(runfile, "_write", fill)
    run_file.append(b'{"type":"attempt"}\n')
    run_file.append(b'{"type":"attempt"}\n')
    run_file.show(slot, quote("next"), 1, 0)
    run_file.close()
    assert run_file.trouble == "recording stopped: No space left on device"
    assert [(line["type"], line.get("test_id")) for line in lines(path)] == [
        ("run", None),
        ("running", None),
    ]


def test_descriptor_that_others_close_costs_only_the_rest(path: Path, run_file: RunFile) -> None:
    assert run_file.fd is not None
    assert run_file.fd >= 200
    os.close(run_file.fd)
    run_file.append(b'{"type":"attempt"}\n')
    assert run_file.trouble == "recording stopped: Bad file descriptor"
    assert lines(path) == [{"type": "run"}]


def test_child_forgets_the_file(
    path: Path, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_file in runfile._open_files
    # The session that runs this test may be recorded as well, and must go on.
    monkeypatch.setattr(runfile, "_open_files", {run_file})
    # Called in a child after each fork; a real fork is in the contract tests.
    runfile._forget_in_child()
    run_file.append(b'{"type":"attempt"}\n')
    assert lines(path) == [{"type": "run"}]
    assert run_file.trouble is None
