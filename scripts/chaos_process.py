"""What the faults of chaos_store.py need: processes that can be killed, and disks that are full."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from testlytics_collector.errors import StoreError

WAIT_S = 60.0
"""How long a command waits for the store."""

PATIENCE_S = 900.0
"""After how long a process that says nothing is taken for stuck; long, for machines that are busy
with something else."""


def run_file(path: Path, name: str, rows: int) -> Path:
    """Write a run of so many results; two in a hundred fail.

    Args:
        path: Where to.
        name: Of the run; begins with its number and a hyphen, by which runs are ordered in time.
        rows: How many results.
    """
    lines = [
        {
            "type": "run",
            "schema_version": "1.0",
            "upload_id": name,
            "run_id": name,
            "started_us": 1_780_000_000_000_000 + int(name.partition("-")[0]) * 1_000_000,
            "variant": {"os": "linux"},
        }
    ]
    for number in range(rows):
        line: dict[str, object] = {
            "type": "attempt",
            "test_id": f"tests/test_{number // 50}.py::test_{number}",
            "attempt": 1,
            "outcome": "failed" if number % 50 == 7 else "passed",
            "call_us": 1_000 + number,
            "worker": f"gw{number % 4}",
        }
        if number % 50 == 7:
            line["failure"] = {"type": "AssertionError", "message": f"{name} {number}"}
        lines.append(line)
    lines.append({"type": "end", "ended_us": 1_780_000_000_000_000, "attempts": rows})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@contextlib.contextmanager
def forked(work: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """Run `work` in a process of its own; give its pid and what it writes to its pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _leave(work, writer)
    os.close(writer)
    try:
        yield pid, reader
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _leave(work: Callable[[int], None], writer: int) -> NoReturn:
    code = 1
    try:
        work(writer)
        code = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
        text = " ".join(str(error).split())
        with contextlib.suppress(OSError):
            os.write(writer, f"error {type(error).__name__} {text}\n".encode())
    finally:
        os._exit(code)


def lines(reader: int, until: float | None = None, stop: str | None = None) -> list[str]:
    """Read lines up to a moment, a line that begins with `stop`, or the end of the pipe."""
    end, data = until if until is not None else time.monotonic() + PATIENCE_S, b""
    while (left := end - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        chunk = os.read(reader, 65_536)
        if not chunk:
            break
        data += chunk
        if stop is not None and data.decode().splitlines()[-1].startswith(stop):
            break
    return data.decode().splitlines()


def done(work: Callable[[int], None]) -> list[str]:
    """Run `work` in a process of its own to its end; return what it wrote.

    Raises:
        AssertionError: It failed.
    """
    with forked(work) as (_, reader):
        told = lines(reader)
    if any(line.startswith("error") for line in told):
        raise AssertionError(told[-1])
    return told


@contextlib.contextmanager
def small_disk(folder: Path, room: int) -> Iterator[None]:
    """Mount a file system of so many bytes at a folder while the block runs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "chaos", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of a file system that `small_disk` has mounted."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Tell whether a small file system can be mounted at a folder."""
    try:
        mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "chaos", str(folder)]
        subprocess.run(mounting, check=True, capture_output=True)
        subprocess.run(["umount", folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def until_full(work: Callable[[int], None]) -> list[str]:
    """Do work in a process of its own; return what it said, `full` at the end where it met that."""

    def bounded(writer: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            work(writer)
        except StoreError as error:
            is_full = error.slug == "store-disk-full" and "\n" not in str(error)
            text = "full" if is_full else f"error {error.slug} {error}"
            os.write(writer, f"{text}\n".encode())

    with forked(bounded) as (_, reader):
        return lines(reader)
