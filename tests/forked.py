"""Runs `testlytics` as a process of its own that need not load Python and its libraries anew.

A server that has imported what most commands need forks for each call; nothing is opened in it, and
it has one thread. The child then does what `python -m testlytics` does. Most of the time of most
calls is saved, and there are thousands of them. What polars needs is not loaded: it starts threads.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PRELOADED = (
    *("duckdb", "jinja2", "msgspec", "numpy", "rich.console", "rich.table", "typer._adapters"),
    *("testlytics.api", "testlytics.browse", "testlytics.quarantine", "testlytics.renames"),
    *("testlytics.alerts.tell", "testlytics.explain.bisect", "testlytics.explain.written"),
    *("testlytics.gate.judge", "testlytics.gate.markdown", "testlytics.gate.render"),
    *("testlytics.github.comment", "testlytics.github.outputs", "testlytics.push.delivery"),
    *("testlytics.report.html.gather", "testlytics.report.html.page", "testlytics.report.impact"),
    *("testlytics.report.lists", "testlytics.report.quarantine", "testlytics.report.slowdowns"),
    *("testlytics.report.breakages", "testlytics.report.costs", "testlytics.report.trends"),
    *("testlytics.report.causes", "testlytics.report.groupings", "testlytics.report.measurements"),
    *("testlytics.cli.main", "testlytics.cli.comment", "testlytics.cli.explain"),
    *("testlytics.cli.failures", "testlytics.cli.gate", "testlytics.cli.ingest"),
    *("testlytics.cli.report", "testlytics.cli.runs", "testlytics.cli.sql", "testlytics.cli.tests"),
    *("testlytics_analytics.evidence", "testlytics_analytics.recovery"),
    *("testlytics_analytics.status", "testlytics_analytics.what_if"),
    *("testlytics_collector.ingest", "testlytics_collector.store.arrow"),
    *("testlytics_collector.store.merge", "testlytics_collector.store.query"),
    "testlytics_collector.store.store",
)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""What the command sets before it loads numpy, and the server has to set as well."""
AT_START = (
    *("PYTHON", "LC_", "LANG", "LD_", "TERM", "TYPER", "_TYPER", "COVERAGE", "TZ"),
    *("NPY", "NUMPY", "OPENBLAS", "OMP_", "PYDANTIC"),
)
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


@functools.cache
def program() -> list[str]:
    """Return the words that run `testlytics` by a fork, for scripts whose variables are few.

    The server is started without variables, but for those that coverage needs: none that Python
    looks at when it starts (`AT_START`) is obeyed.
    """
    folder = Path(tempfile.mkdtemp())
    address = str(folder / "s")
    kept = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE")}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", address],
        cwd=Path(__file__).parents[1],
        env={"PATH": os.environ["PATH"], **kept},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    @atexit.register
    def end() -> None:
        server.communicate(timeout=10)
        shutil.rmtree(folder)

    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("forked_client.py")), address]


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
    """Become the command, its streams being files. Never returns."""
    files = Path(asked["files"])
    streams = [os.open(files / "0", os.O_RDONLY)]
    for number in (1, 2):
        kind = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        streams.append(os.open(files / str(number), kind, 0o600))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _become(asked, streams)


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Become what `python -m testlytics` is. Never returns."""
    import runpy

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
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


def _load() -> None:
    import importlib

    os.environ.update(ONE_THREAD)
    for name in PRELOADED:
        importlib.import_module(name)
    tasks = Path("/proc/self/task")
    if tasks.is_dir() and len(list(tasks.iterdir())) > 1:
        raise RuntimeError("a preloaded module started a thread: a fork would lose it")
    # Else a child copies each page whose counts its collector touches.
    gc.collect()
    gc.freeze()
    sys.path.remove(str(Path(__file__).parents[1]))


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "wb", 0)
    _load()
    for line in iter(sys.stdin.buffer.readline, b""):
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(asked)
        answers.write(json.dumps(_waited(pid, asked["timeout"])).encode() + b"\n")


def _listen(address: str) -> None:
    """Serve programs, until standard input ends. Several may run at once: they may be a pipe."""
    _load()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        running: set[int] = set()
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if (pid := os.fork()) == 0:
                    _answer(connection)
            running.add(pid)
            running -= {one for one in running if os.waitpid(one, os.WNOHANG)[0]}


def _answer(connection: socket.socket) -> None:
    """Start the command that a program stands for, and tell how it ended. Never returns."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection, connection.makefile("rwb") as talk:
        asked = json.loads(talk.readline())
        if (pid := os.fork()) == 0:
            _become(asked, streams)
        for stream in (*streams, 0, 1, 2):
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        talk.write(b"%d\n" % (code if code >= 0 else 128 - code))
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:]:
        _listen(sys.argv[1])
    else:
        _serve()
