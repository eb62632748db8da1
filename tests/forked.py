"""Runs `testlytics` as a process of its own that need not load Python and its libraries anew.

A server that has imported what most commands need forks for each call; nothing is opened in it, and
it has one thread. The child then does what `python -m testlytics` does. Half of the time of most
calls is saved, and there are thousands of them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PRELOADED = (
    "duckdb",
    "msgspec",
    "rich.console",
    "testlytics.cli.main",
    "testlytics.cli.ingest",
    "testlytics.cli.report",
    "testlytics_collector.ingest",
    "testlytics_collector.store.store",
)
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TERM", "TYPER", "_TYPER", "COVERAGE", "TZ")
"""Variables that Python or a library looks at while it is loaded."""


class Server:
    """A process that forks; one call at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def call(self, asked: dict[str, Any]) -> dict[str, int]:
        """Run a command; its exit code, or that it took too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


_idle: list[Server] = []


@contextlib.contextmanager
def _server() -> Iterator[Server]:
    server = _idle.pop() if _idle else Server()
    yield server
    _idle.append(server)


@atexit.register
def _end() -> None:
    while _idle:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            _idle.pop().end()


def can_fork(env: Mapping[str, str]) -> bool:
    """Tell whether a call with these variables may be a fork."""
    return hasattr(os, "fork") and not any(name.startswith(AT_START) for name in env)


def run(
    arguments: list[str], *, cwd: Path, stdin: bytes, env: Mapping[str, str], timeout: float
) -> tuple[int, bytes, bytes]:
    """Run a command; its exit code and what it wrote.

    Raises:
        TimeoutExpired: It was killed.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "0").write_bytes(stdin)
        asked = {"argv": arguments, "cwd": str(cwd), "env": dict(env), "files": made}
        with _server() as server:
            answer = server.call({**asked, "timeout": timeout})
        out, err = (folder / "1").read_bytes(), (folder / "2").read_bytes()
    if "code" not in answer:
        raise subprocess.TimeoutExpired(arguments, timeout, out, err)
    return answer["code"], out, err


def _child(asked: dict[str, Any]) -> None:
    """Become what `python -m testlytics` is. Never returns."""
    import runpy

    files = Path(asked["files"])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.dup2(os.open(files / "0", os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(files / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.closerange(3, 64)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["testlytics", *asked["argv"]]
    code = 1
    try:
        runpy.run_module("testlytics", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - shown as Python shows it
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _waited(pid: int, timeout: float) -> dict[str, int]:
    killed = False

    def late(*_: object) -> None:
        nonlocal killed
        os.kill(pid, signal.SIGKILL)
        killed = True

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status = os.waitpid(pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {} if killed else {"code": os.waitstatus_to_exitcode(status)}


def _serve() -> None:
    import importlib

    answers = os.fdopen(os.dup(1), "wb", 0)
    for name in PRELOADED:
        importlib.import_module(name)
    sys.path.remove(str(Path(__file__).parents[1]))
    for line in iter(sys.stdin.buffer.readline, b""):
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(asked)
        answers.write(json.dumps(_waited(pid, asked["timeout"])).encode() + b"\n")


if __name__ == "__main__":
    _serve()
