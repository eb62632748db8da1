"""Installs the plugin beside every supported Python, pytest and companion, and runs it there.

One cell is one Python with one pytest and the companions that pip finds for them: pytest-xdist,
pytest-rerunfailures, pytest-randomly, pytest-timeout, pytest-cov, pytest-asyncio, and
pytest-subtests where pytest has no subtests of its own. In each cell real sessions run, with and
without these, and what is recorded is compared with tests/data/plugin/expected_outcomes.csv.
Environments are kept below .venv/matrix. The exit code is 1 where a cell failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.contract import test_plugin_outcomes as outcomes  # noqa: E402
from tests.unit.plugin.recorded import (  # noqa: E402
    DATA,
    Recording,
    clean_environment,
    read_newest,
)
from tests.unit.plugin.schema import violations  # noqa: E402

PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
PYTESTS = ("9.2.*", "9.0.*", "8.4.*", "8.0.*", "7.4.*")
OLDEST_FOR_PYTEST_9 = (3, 10)
COMPANIONS = (
    "pytest-xdist",
    "pytest-rerunfailures",
    "pytest-randomly",
    "pytest-timeout",
    "pytest-cov",
    "pytest-asyncio",
)
REPORTS_ALL_TEARDOWNS = (16, 2)
"""From this pytest-rerunfailures on, a try that failed before its teardown reports that as well."""

INSTALL_S = 900
SESSION_S = 180
WORKERS = ("-p", "xdist", "-n2")
BURNT_IN = {
    "Old::test_fresh": "passed", "Old::test_subtests": "passed", "OldAsync::test_awaits": "passed",
    "TestClass::test_fresh_instance": "passed", "test_always_fails": "failed@call",
    "test_fixtures": "passed", "test_parameters[1]": "passed", "test_parameters[2]": "passed",
}  # fmt: skip


class Cell(NamedTuple):
    """One environment: a Python and a pytest."""

    version: str
    pytest: str
    python: Path

    @property
    def folder(self) -> Path:
        """Where the environment is kept."""
        return ROOT / ".venv" / "matrix" / f"py{self.version}-pytest{self.pytest.rstrip('.*')}"

    @property
    def own_subtests(self) -> bool:
        """Whether pytest has subtests of its own."""
        return int(self.pytest.partition(".")[0]) >= 9


class Mismatch(Exception):  # noqa: N818 - a finding
    """A session did not record what it should have."""


def find_python(version: str) -> Path | None:
    """Find an interpreter: that of pyenv, else what is on the PATH and really starts."""
    roots = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = sorted(roots.glob(f"{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    candidates += [Path(on_path)] if on_path else []
    return next((path for path in candidates if version_of(path) == version), None)


def version_of(python: Path) -> str | None:
    """Ask an interpreter for its version, None where it does not start."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def build_wheel(folder: Path) -> Path:
    """Build the plugin's wheel."""
    source = ROOT / "plugins" / "pytest-testlytics"
    pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(python: Path, *arguments: str) -> None:
    """Run pip quietly.

    Raises:
        Mismatch: It failed; the message holds its last line.
    """
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Mismatch(f"pip took longer than {INSTALL_S} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Mismatch("; ".join(lines) or done.stderr[-500:])


def prepare(cell: Cell, *, fresh: bool) -> Path:
    """Make the environment of a cell, or use the one that is there; return its Python."""
    wanted = [f"pytest=={cell.pytest}", *COMPANIONS]
    wanted += [] if cell.own_subtests else ["pytest-subtests"]
    python, note = cell.folder / "bin" / "python", cell.folder / "installed.txt"
    if fresh or not note.exists() or note.read_text() != "\n".join(wanted):
        subprocess.run(
            [cell.python, "-m", "venv", "--clear", cell.folder],
            check=True,
            capture_output=True,
            timeout=INSTALL_S,
        )
        pip(python, "install", *wanted)
        note.write_text("\n".join(wanted))
    return python


class Bench:
    """Runs sessions in one cell."""

    def __init__(self, cell: Cell, python: Path, folder: Path) -> None:
        self.cell = cell
        self._python = python
        self._folder = folder
        self._sessions = 0

    def place(self, scenario: str, name: str) -> Path:
        """Copy a scenario into a new folder that is the root of its tests."""
        self._sessions += 1
        folder = self._folder / str(self._sessions)
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        shutil.copy(DATA / scenario, folder / name)
        return folder

    def run(self, folder: Path, *arguments: str, plain: bool = False) -> Recording:
        """Record a session with the cell's pytest."""
        subtests = () if plain or self.cell.own_subtests else ("-p", "subtests")
        environment = clean_environment(COVERAGE_FILE=str(folder / ".coverage"))
        command = [str(self._python), "-m", "pytest", "-p", "testlytics", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, "--testlytics", *subtests, *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=SESSION_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Mismatch(f"hangs: {' '.join(arguments)}") from error
        recorded = Recording(done.returncode, done.stdout, *read_newest(folder / ".testlytics"))
        wrong = [found for line in recorded.records for found in violations(line)]
        if wrong or not recorded.records:
            raise Mismatch(f"{wrong or 'nothing recorded'}\n{recorded.output}")
        return recorded


def compare(found: object, expected: object, recorded: Recording) -> None:
    """Insist on what is expected."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(str(key) for key in {*found, *expected})
        different = [key for key in keys if found.get(key) != expected.get(key)]
        if different:
            lines = [f"{key}: {found.get(key)} is not {expected.get(key)}" for key in different]
            raise Mismatch("\n".join([*lines, recorded.output[-1_500:]]))
    elif found != expected:
        raise Mismatch(f"{found!r} is not {expected!r}\n{recorded.output[-1_500:]}")


def expected_with(bench: Bench, recorded: Recording, column: str) -> dict[str, str]:
    """Return the table, and what old companions report differently."""
    table = outcomes.expected(column)
    if column == "once":
        return table
    if not bench.cell.own_subtests:
        # pytest-rerunfailures knows only pytest's own subtests.
        table |= {"test_subtests_fail": "failed@call", "test_flaky_subtests": "failed@call"}
    plugins = dict(name.split() for name in recorded.records[0]["context"]["plugins"])
    version = tuple(map(int, plugins["pytest-rerunfailures"].split(".")))
    if version < REPORTS_ALL_TEARDOWNS:
        table["test_fail_and_broken_teardown"] = "failed@call|failed@call+teardown"
    return table


def check_outcomes(bench: Bench, column: str, *arguments: str) -> None:
    """Run the scenario of outcomes; compare with the table."""
    folder = bench.place("scenario_outcomes.py", "test_outcomes.py")
    recorded = bench.run(folder, *outcomes.SERIAL, *arguments)
    compare(recorded.ends, expected_with(bench, recorded, column), recorded)
    try:
        outcomes.check_numbers(recorded)
        outcomes.check_times(recorded)
        outcomes.check_totals(recorded)
    except AssertionError as error:
        what = traceback.extract_tb(error.__traceback__)[-1].line
        raise Mismatch(f"{what}: {error}\n{recorded.output[-1_500:]}") from error


def check_alone(bench: Bench) -> None:
    """Run a small scenario with no other plugin."""
    folder = bench.place("scenario_small.py", "test_small.py")
    recorded = bench.run(folder, plain=True)
    words = [attempt["outcome"] for attempt in recorded.attempts]
    found = {word: words.count(word) for word in words}
    expected = {"passed": 41, "failed": 1, "skipped": 1, "xfailed": 1, "errored": 1}
    compare(found, expected, recorded)


def check_quarantine(bench: Bench, *arguments: str) -> None:
    """Quarantine every test of the scenario of outcomes: the same outcomes, no failure."""
    folder = bench.place("scenario_outcomes.py", "test_outcomes.py")
    expected = outcomes.expected("once")
    tests = {name.partition("[")[0] for name in expected}
    (folder / "quarantine.toml").write_text(
        "schema = 1\n"
        + "".join(
            f'[[quarantine]]\ntest = "test_outcomes.py::{test}"\nowner = "me"\n'
            'reason = "all of them"\nexpires = 2999-01-01\n'
            for test in sorted(tests)
        )
    )
    quarantine = ("--testlytics-quarantine", "quarantine.toml")
    recorded = bench.run(folder, *outcomes.SERIAL, *quarantine, *arguments)
    compare(recorded.ends, expected, recorded)
    compare(recorded.exit_status, 0, recorded)
    compare({attempt.get("quarantined") for attempt in recorded.attempts}, {True}, recorded)
    harmful = re.findall(r"\d+ (?:failed|errors?)\b", recorded.output.splitlines()[-1])
    compare(harmful, [], recorded)


def check_burn_in(bench: Bench, *arguments: str) -> None:
    """Repeat every test of the scenario of repetitions."""
    folder = bench.place("scenario_repeat.py", "test_repeat.py")
    git(folder)
    recorded = bench.run(folder, "--testlytics-burn-in", "8", *arguments)
    expected = {name: "|".join([word] * 8) for name, word in BURNT_IN.items()}
    expected["test_flaky"] = "|".join(["passed"] * 6 + ["failed@call", "passed"])
    expected["test_skips"] = "|".join(["skipped@call"] * 2)
    expected["test_skipped"] = "skipped@setup"
    compare(recorded.ends, expected, recorded)
    compare("test_flaky: flaky, failed 1 of 8" in recorded.output, True, recorded)


def check_asyncio(bench: Bench, *arguments: str) -> None:
    """Repeat coroutines."""
    folder = bench.place("scenario_asyncio.py", "test_async.py")
    git(folder)
    recorded = bench.run(folder, "-p", "asyncio", "--testlytics-burn-in", "3", *arguments)
    expected = {
        "test_coroutine": "passed|passed|passed",
        "TestAsync::test_method": "passed|passed|passed",
        "test_fails": "failed@call|failed@call|failed@call",
    }
    compare(recorded.ends, expected, recorded)


def git(folder: Path) -> None:
    """Make a repository with one commit on `main`, in which all files are new."""
    for arguments in (
        ("init", "--quiet"),
        ("symbolic-ref", "HEAD", "refs/heads/main"),
        ("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet",
         "--allow-empty", "--no-gpg-sign", "-m", "empty"),
    ):  # fmt: skip
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


RERUNS = ("-p", "rerunfailures", "--reruns", "1")
EVERYTHING = (
    "-p", "randomly", "-p", "timeout", "--timeout=60", "-p", "pytest_cov", "--cov=.",
    "--cov-report=",
)  # fmt: skip


def checks(bench: Bench) -> Iterator[tuple[str, str]]:
    """Run all checks of a cell; yield the name of each, and what is wrong: nothing, mostly."""
    for name, function, arguments in (
        ("alone", check_alone, ()),
        ("serial", check_outcomes, ("once",)),
        ("xdist", check_outcomes, ("once", *WORKERS)),
        ("reruns", check_outcomes, ("with --reruns 1", *RERUNS)),
        ("reruns, xdist", check_outcomes, ("with --reruns 1", *RERUNS, *WORKERS)),
        ("randomly, timeout, cov", check_outcomes, ("once", *EVERYTHING)),
        ("quarantine", check_quarantine, ()),
        ("quarantine, xdist", check_quarantine, ("-x", *WORKERS)),
        ("burn-in", check_burn_in, RERUNS),
        ("burn-in, xdist", check_burn_in, WORKERS),
        ("asyncio, burn-in", check_asyncio, ()),
    ):
        try:
            function(bench, *arguments)
            yield name, ""
        except Mismatch as error:
            yield name, str(error)


def run_cell(cell: Cell, wheel: Path, *, fresh: bool) -> tuple[str, list[str]]:
    """Install and check a cell; say how it went, and what is wrong."""
    try:
        python = prepare(cell, fresh=fresh)
    except (Mismatch, subprocess.SubprocessError, OSError) as error:
        return "not available", [f"environment: {error}"]
    try:
        pip(python, "install", "--no-deps", "--force-reinstall", str(wheel))
    except Mismatch as error:
        return "failed", [f"installing the plugin: {error}"]
    wrong = []
    passed = 0
    with tempfile.TemporaryDirectory(prefix="testlytics matrix ") as name:
        for check, text in checks(Bench(cell, python, Path(name))):
            passed += not text
            wrong += [f"{check}: {text}"] if text else []
    return (f"failed {len(wrong)}" if wrong else f"ok {passed}"), wrong


def cells(
    versions: Sequence[str], pytests: Sequence[str]
) -> Iterator[tuple[str, str, Path | None]]:
    """Name all cells, with the interpreter of each, None where there is none."""
    for version in versions:
        python = find_python(version)
        for pytest in pytests:
            too_old = tuple(map(int, version.split("."))) < OLDEST_FOR_PYTEST_9
            yield version, pytest, None if too_old and pytest.startswith("9") else python


def main() -> int:
    """Run the matrix and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", metavar="3.X", help="only this; repeatable")
    parser.add_argument("--pytest", action="append", metavar="8.4", help="only this; repeatable")
    parser.add_argument("--only", choices=["current"], help="this interpreter, the newest pytest")
    parser.add_argument("--fresh", action="store_true", help="make all environments anew")
    options = parser.parse_args()
    versions: list[str] = options.python or [*PYTHONS]
    pytests = [f"{name}.*" for name in options.pytest or ()] or [*PYTESTS]
    if options.only:
        versions, pytests = [f"{sys.version_info[0]}.{sys.version_info[1]}"], [PYTESTS[0]]
    table: dict[tuple[str, str], str] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="testlytics wheel ") as name:
        wheel = build_wheel(Path(name))
        for version, pytest, python in cells(versions, pytests):
            word = "not available"
            if python is not None:
                cell = Cell(version, pytest, python)
                word, wrong = run_cell(cell, wheel, fresh=options.fresh)
                failures += [f"Python {version}, pytest {pytest}: {text}" for text in wrong]
            table[version, pytest] = word
            print(f"Python {version}, pytest {pytest}: {word}", flush=True)
    print(*failures, "", sep="\n\n")
    print(f"{'Python':8}" + "".join(f"{'pytest ' + pytest:16}" for pytest in pytests))
    for version in versions:
        words = "".join(f"{table[version, pytest]:16}" for pytest in pytests)
        print(f"{version:8}{words}")
    return int(any(word.startswith("failed") for word in table.values()))


if __name__ == "__main__":
    raise SystemExit(main())
