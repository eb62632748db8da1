"""Plants known faults in copies of the sources, one at a time, and looks whether a test fails.

A fault is a patch below tests/mutants: a unified diff below lines that say what it breaks and which
tests are to notice. The tests are first run on a copy without a fault, where all must pass. A fault
that no test notices is a test that is missing. The exit code is 1 where a fault survived, or its
patch does not fit any more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "mutants"
SOURCES = ("app", "analytics", "collector", "plugins/pytest-testlytics/src", ".")
PACKAGES = ("testlytics", "testlytics_analytics", "testlytics_collector", "pytest_testlytics")

CAUGHT = "caught"
SURVIVED = "survived"
DOES_NOT_FIT = "does not fit"
NOT_RUN = "not run"
"""The tests could not be run at all: a patch that makes no program is no fault."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py)(?:::(\S+))?", re.MULTILINE)
_TARGET = re.compile(r"^\+\+\+ b/(\S+)", re.MULTILINE)
_PATIENCE_S = 900
_SOME_FAILED = 1
_STUCK = -1


class PlantError(Exception):
    """A patch without its header, a tree that cannot be copied, or tests that fail without it."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        name: Name of its file, without the suffix.
        breaks: What it breaks, one sentence.
        tests: What is to notice it, as pytest is given it; at least one.
        targets: The files it changes.
        path: Its file.
    """

    name: str
    breaks: str
    tests: tuple[str, ...]
    targets: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a fault.

    Attributes:
        name: Its name.
        breaks: What it breaks.
        status: caught, survived, does not fit, or not run.
        suites: Folders below tests/ in which a test failed.
        caught_by: The tests that failed.
        seconds: How long it took.
        told: What git or pytest said, where it was not caught.
    """

    name: str
    breaks: str
    status: str
    suites: tuple[str, ...] = ()
    caught_by: tuple[str, ...] = ()
    seconds: float = 0.0
    told: str = ""


def read_mutants(folder: Path = FOLDER) -> list[Mutant]:
    """Read all patches of a folder, by name.

    Raises:
        PlantError: One says not what it breaks, what is to notice, or what it changes.
    """
    return [_read(path) for path in sorted(folder.glob("*.patch"))]


def _read(path: Path) -> Mutant:
    text = path.read_text(encoding="utf-8")
    head = text.partition("\n--- ")[0]
    said: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        said.setdefault(key, []).append(value.strip())
    tests = [test for value in said.get("Caught by", []) for test in shlex.split(value)]
    targets = _TARGET.findall(text)
    if not (said.get("Breaks") and tests and targets):
        raise PlantError(f"{path}: lines `Breaks:` and `Caught by:` and a diff were expected.")
    return Mutant(path.stem, said["Breaks"][0], tuple(tests), tuple(targets), path)


def copy_tree(target: Path, root: Path = ROOT) -> None:
    """Copy what git knows of a tree, and what is new in it and not ignored.

    Raises:
        PlantError: It is no work tree of git.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        raise PlantError(f"{root}: {listed.stderr.decode(errors='replace').strip()}")
    for name in set(listed.stdout.decode().split("\0")) - {""}:
        source, copy = root / name, target / name
        if not source.is_file():
            continue  # removed since it was committed
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)


def plant(mutant: Mutant, folder: Path, *, only_check: bool = False) -> str:
    """Apply a patch to a folder.

    Args:
        mutant: The fault.
        folder: A copy of the tree.
        only_check: Change nothing, and say whether it would fit.

    Returns:
        Why it does not fit; empty where it does.
    """
    # Below a repository git would take the folder for a part of that, and change nothing.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    options = ["--check"] if only_check else []
    done = subprocess.run(
        ["git", "apply", *options, str(mutant.path.resolve())],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip() if done.returncode else ""


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which the packages of a copy are imported, not the installed."""
    outer = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TESTLYTICS", "PYTEST_", "GITHUB_", "COV_"))
    }
    path = os.pathsep.join(str(folder / source) for source in SOURCES)
    return {**outer, "PYTHONPATH": path}


def check_imports(folder: Path) -> None:
    """Make sure that tests in a copy try the copy.

    Raises:
        PlantError: A package comes from elsewhere.
    """
    code = (
        f"import sys, {', '.join(PACKAGES)}\n"
        f"print(*(sys.modules[name].__file__ for name in {PACKAGES!r}), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    places = [Path(line).resolve() for line in done.stdout.splitlines()]
    inside = [place for place in places if place.is_relative_to(folder.resolve())]
    if done.returncode or len(inside) != len(PACKAGES):
        raise PlantError(f"not imported from the copy {folder}: {done.stdout}{done.stderr}")


def run_tests(folder: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Run tests in a copy; return pytest's exit code, `_STUCK` where it did not end, and output."""
    options = ("-q", "-x", "-rfE", "--tb=line", "-p", "no:cacheprovider", "-p", "no:randomly")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _STUCK, "the tests did not end"
    return done.returncode, done.stdout + done.stderr


def try_mutant(mutant: Mutant, sound: Path, folder: Path) -> Result:
    """Plant one fault in a copy of a copy, and run its tests.

    Args:
        mutant: The fault.
        sound: A copy of the tree without a fault.
        folder: Where to; must not exist, and does not afterwards.
    """
    began = time.monotonic()
    shutil.copytree(sound, folder)
    try:
        why = plant(mutant, folder)
        if why:
            return Result(mutant.name, mutant.breaks, DOES_NOT_FIT, told=why)
        for target in map(Path, mutant.targets):
            for compiled in (folder / target.parent / "__pycache__").glob(f"{target.stem}.*"):
                compiled.unlink()  # of another source, whatever size and time say
        code, output = run_tests(folder, mutant.tests)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _result(mutant, code, output, time.monotonic() - began)


def _result(mutant: Mutant, code: int, output: str, seconds: float) -> Result:
    failed = list(dict.fromkeys(_FAILED.findall(output)))
    tests = tuple(f"{file}::{name}" if name else file for file, name in failed)
    suites = tuple(dict.fromkeys(file.split("/")[1] for file, _ in failed))
    caught = code == _STUCK or (code == _SOME_FAILED and tests)
    status = CAUGHT if caught else SURVIVED if code == 0 else NOT_RUN
    told = "" if caught else output[-2_000:]
    return Result(mutant.name, mutant.breaks, status, suites, tests, round(seconds, 1), told)


def try_all(mutants: Sequence[Mutant], work: Path, *, jobs: int = 1) -> list[Result]:
    """Run the tests of all faults without any, and then with each.

    Args:
        mutants: The faults.
        work: An empty folder.
        jobs: How many to try at once.

    Raises:
        PlantError: A test fails without a fault, or would not try the copy.
    """
    sound = work / "sound"
    copy_tree(sound)
    check_imports(sound)
    selected = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    code, output = run_tests(sound, selected)
    if code:
        raise PlantError(f"tests fail without any fault:\n{output[-4_000:]}")
    with ThreadPoolExecutor(jobs) as pool:
        started = [pool.submit(try_mutant, mutant, sound, work / mutant.name) for mutant in mutants]
        results = []
        for future in started:
            results.append(future.result())
            print(_line(results[-1]), flush=True)
    return results


def _line(result: Result) -> str:
    suites = ", ".join(result.suites)
    first = result.caught_by[0].rpartition("::")[2] if result.caught_by else ""
    more = f" and {len(result.caught_by) - 1} more" if len(result.caught_by) > 1 else ""
    return f"{result.status:<12}  {result.name:<34}  {suites:<18}  {first}{more}".rstrip()


def as_json(results: Sequence[Result]) -> str:
    """Write what became of the faults as a JSON document, its schema 1."""
    found: Mapping[str, object] = {
        "schema": 1,
        "caught": sum(one.status == CAUGHT for one in results),
        "mutants": [asdict(one) for one in results],
    }
    return json.dumps(found, indent=2) + "\n"


def _chosen(mutants: Sequence[Mutant], only: Sequence[str]) -> list[Mutant]:
    chosen = [one for one in mutants if not only or any(part in one.name for part in only)]
    if not chosen:
        raise PlantError(f"no fault is called {' or '.join(only) or 'anything'}; see --list.")
    return chosen


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="those with this in their name"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many at once; 1 by default")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")
    parser.add_argument(
        "--patches", type=Path, default=FOLDER, metavar="FOLDER", help="take other faults"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the faults that were asked for; return the exit code."""
    given = _arguments().parse_args(arguments)
    try:
        mutants = _chosen(read_mutants(given.patches), given.only)
        if given.list:
            for mutant in mutants:
                print(f"{mutant.name:<34}  {mutant.breaks}")
            return 0
        with tempfile.TemporaryDirectory(prefix="mutants-") as work:
            results = try_all(mutants, Path(work), jobs=given.jobs)
    except PlantError as error:
        print(f"run_mutants: {error}", file=sys.stderr)
        return 2
    if given.json is not None:
        given.json.write_text(as_json(results), encoding="utf-8")
    left = [one for one in results if one.status != CAUGHT]
    for one in left:
        print(f"\n{one.status}: {one.name}: {one.breaks}\n{one.told}")
    print(f"\n{len(results) - len(left)} of {len(results)} faults caught.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
