"""Say where a command of testlytics spends its time and its memory, and what it imports.

Writes into a folder: `flame.svg` (py-spy, where it is installed and may look into processes) or
`calls.txt` (cProfile), `memory.txt` (tracemalloc: what Python allocated; what DuckDB and polars
take shows only in the peak of the process), `imports.txt`. Each is of a run of its own, as all of
them make the command slower.
"""

from __future__ import annotations

import argparse
import pstats
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".testlytics" / "profile"
LONGEST_S = 600
TOLD = 10
_KEPT = 40
_GOOD = (0, 1, 5)
"""Exit codes of a command that did its work."""

# The command ends without a word to the interpreter: what was seen is written before it does.
_INSTRUMENTED = """
import atexit, os, runpy, sys
path, kind = sys.argv[1:3]
sys.argv = ["testlytics", *sys.argv[3:]]
if kind == "calls":
    import cProfile
    seen = cProfile.Profile()
    def write():
        seen.disable()
        seen.dump_stats(path)
    seen.enable()
else:
    import tracemalloc
    def write():
        import resource
        now, peak = tracemalloc.get_traced_memory()
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kib //= 1 if sys.platform == "linux" else 1024
        lines = [f"{peak} {now} {kib}"]
        for one in snapshot.statistics("lineno"):
            frame = one.traceback[0]
            lines.append(f"{one.size} {one.count} {frame.filename}:{frame.lineno}")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\\n".join(lines))
    tracemalloc.start()
written = False
def once():
    global written
    if not written:
        written = True
        write()
def leave(code, leave_at_once=os._exit):
    once()
    leave_at_once(code)
os._exit = leave
atexit.register(once)
runpy.run_module("testlytics", run_name="__main__", alter_sys=True)
"""
_IMPORT = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)$", re.MULTILINE)


class CannotError(Exception):
    """The command, or what was to look at it, did not work; the message says which."""


class Told(NamedTuple):
    """What came of one look.

    Attributes:
        file: Where all of it is.
        lines: The most of it, for people.
    """

    file: Path
    lines: list[str]


def _ran(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode not in _GOOD:
        said = done.stderr.strip().splitlines() or ["no word"]
        raise CannotError(f"it ended with {done.returncode}: {said[-1]}")
    return done


def _instrumented(kind: str, arguments: Sequence[str], path: Path) -> None:
    path.unlink(missing_ok=True)
    _ran([sys.executable, "-c", _INSTRUMENTED, str(path), kind, *arguments])
    if not path.exists():
        raise CannotError(f"it left nothing behind for {kind}")


def flame(arguments: Sequence[str], folder: Path, program: str | None) -> Told | None:
    """Draw a flame graph with py-spy.

    Args:
        arguments: The command's.
        folder: Where to.
        program: py-spy; None where there is none.

    Returns:
        None where there is no py-spy, or it may not look into processes.
    """
    if program is None:
        return None
    path = folder / "flame.svg"
    path.unlink(missing_ok=True)
    spy = [program, "record", "--format", "flamegraph", "--rate", "500", "--output", str(path)]
    try:
        _ran([*spy, "--", sys.executable, "-m", "testlytics", *arguments])
    except (CannotError, OSError):
        return None
    if not path.exists() or "<svg" not in path.read_text(encoding="utf-8", errors="replace"):
        return None
    return Told(path, ["a flame graph: open it in a browser, click to zoom"])


def calls(arguments: Sequence[str], folder: Path) -> Told:
    """List functions by the time spent in themselves, with cProfile."""
    raw, path = folder / "calls.pstats", folder / "calls.txt"
    _instrumented("calls", arguments, raw)
    with path.open("w", encoding="utf-8") as file:
        stats = pstats.Stats(str(raw), stream=file)
        stats.sort_stats("tottime").print_stats(_KEPT)
        stats.sort_stats("cumulative").print_stats(_KEPT)
    rows = sorted(
        ((own, where) for where, (_, _, own, _, _) in stats.stats.items()),  # type: ignore[attr-defined]
        reverse=True,
    )
    lines = [
        f"{own * 1e3:9.1f} ms  {Path(file_).name}:{line} {name}"
        for own, (file_, line, name) in rows[:TOLD]
    ]
    return Told(path, lines)


def memory(arguments: Sequence[str], folder: Path) -> Told:
    """List the lines whose objects were still held at the end, with tracemalloc, and the peaks."""
    path = folder / "memory.txt"
    _instrumented("memory", arguments, path)
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    peak, end, resident_kib = map(int, head.split())
    told = [
        f"{peak / 1e6:9.1f} MB  peak of what Python allocated, {end / 1e6:.1f} MB at the end",
        f"{resident_kib * 1024 / 1e6:9.1f} MB  peak of the process, with tracemalloc in it",
    ]
    for row in rows[:_KEPT]:
        size, number, where = row.split(" ", 2)
        told.append(f"{int(size) / 1e6:9.1f} MB  {number} objects at {where}")
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    return Told(path, told[:TOLD])


def imports(arguments: Sequence[str], folder: Path) -> Told:
    """List imports by the time that each takes itself, and by package, with -X importtime."""
    path = folder / "imports.txt"
    done = _ran([sys.executable, "-X", "importtime", "-m", "testlytics", *arguments])
    found = [(int(own), int(all_), name) for own, all_, name in _IMPORT.findall(done.stderr)]
    if not found:
        raise CannotError("it imported nothing")
    packages: Counter[str] = Counter()
    for own, _, name in found:
        packages[name.partition(".")[0]] += own
    whole = sum(own for own, _, _ in found)
    told = [f"{whole / 1e3:9.1f} ms  {len(found)} modules"]
    told += [f"{own / 1e3:9.1f} ms  {name} and below" for name, own in packages.most_common(_KEPT)]
    told += ["", "     self        with its own imports"]
    told += [
        f"{own / 1e3:9.1f} ms {all_ / 1e3:9.1f} ms  {name}"
        for own, all_, name in sorted(found, reverse=True)[:_KEPT]
    ]
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    return Told(path, told[:TOLD])


def py_spy() -> str | None:
    """Return where py-spy is: beside this Python, or on the path; None where it is not."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile as the command line says; return 0, or 3 where something did not work."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0],
        epilog="Example: profile_command.py -- report --flaky",
    )
    parser.add_argument(
        "--only", action="append", choices=["time", "memory", "imports"], help="repeatable"
    )
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write into")
    parser.add_argument("--no-py-spy", action="store_true", help="cProfile even where py-spy is")
    parser.add_argument("command", nargs="+", help="the command and its options, after --")
    given = parser.parse_args(arguments)
    wanted = given.only or ["time", "memory", "imports"]
    try:
        given.output.mkdir(parents=True, exist_ok=True)
        for kind in wanted:
            if kind == "time":
                spy = None if given.no_py_spy else py_spy()
                told = flame(given.command, given.output, spy) or calls(given.command, given.output)
            else:
                look = {"memory": memory, "imports": imports}[kind]
                told = look(given.command, given.output)
            print(f"{kind}: {told.file}", *told.lines, "", sep="\n")
    except (CannotError, OSError, subprocess.TimeoutExpired) as error:
        print(f"testlytics {' '.join(given.command)}: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
