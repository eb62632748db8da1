"""Run the example project over its history with the plugin, take the results in, and report.

Nothing that is shown was written beforehand: each run is a true run of pytest over a true commit,
and each report is what `testlytics` prints for it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.git_history import HistoryError, Patch, apply_patch, read_patch, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "examples" / "bookshop"
HISTORY = ROOT / "examples" / "bookshop_history"
MARKER = ".testlytics-demo"

# Relative to the project's copy in the work folder, where every command runs.
RUNS = "../runs"
STORE = "../history.duckdb"

# Only the plugins that the demo needs: others cost seconds at each start, or shuffle the tests.
# `--testlytics-dir=`, not a value behind a space: pytest looks for the root folder before it knows
# the option, and would take an existing folder there for one with tests.
PYTEST = (
    f"pytest --testlytics --testlytics-dir={RUNS} --reruns 1 -q --color=no",
    "--disable-plugin-autoload -p testlytics -p rerunfailures -p no:cacheprovider",
)
TESTLYTICS = [
    ["ingest", RUNS],
    ["report"],
    ["report", "--flaky"],
    ["report", "--broken"],
    ["report", "--slowest"],
    ["report", "--regressions"],
]
NEEDED = ("pytest", "pytest_rerunfailures", "pytest_testlytics", "testlytics")

KEPT_VARIABLES = frozenset(
    {
        *("HOME", "PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR"),
        *("LANG", "LC_ALL", "LC_CTYPE", "TZ"),
        *("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"),
    }
)
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|rerun)\b")


class DemoError(Exception):
    """A step that did not work; the message says which, and what to do."""

    exit_status = 3


class UsageError(DemoError):
    """The demo was asked for something that it will not do."""

    exit_status = 2


@dataclass(frozen=True)
class Planted:
    """A test that was made to go wrong.

    Attributes:
        verdict: What a report should say of it.
        test: Its id.
        since: Number of the commit that did it, first = 1.
        why: What causes it.
    """

    verdict: str
    test: str
    since: int
    why: str


@dataclass(frozen=True)
class Plan:
    """What is going to be run.

    Attributes:
        patches: The commits; the first one adds nothing to the project.
        run_twice: Numbers of the commits that have two runs, first = 1.
        first_seed: Seed of the first run; each later one takes the next.
        planted: The tests that were made to go wrong.
    """

    patches: tuple[Patch, ...]
    run_twice: frozenset[int]
    first_seed: int
    planted: tuple[Planted, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.patches) + len(self.run_twice)


def read_plan(folder: Path = HISTORY) -> Plan:
    """Read the example's own list: its commits, its runs, what was planted."""
    settings = tomllib.loads((folder / "history.toml").read_text(encoding="utf-8"))
    first = settings["first_commit"]
    return Plan(
        patches=(
            Patch(first["author"], int(first["date"].timestamp()), first["message"], ""),
            *(
                read_patch(file.read_text(encoding="utf-8"))
                for file in sorted(folder.glob("*.patch"))
            ),
        ),
        run_twice=frozenset(settings["run_twice"]),
        first_seed=settings["first_seed"],
        planted=tuple(Planted(**planted) for planted in settings["planted"]),
    )


def commits(plan: Plan, project: Path) -> Iterator[str]:
    """Bring a folder from commit to commit.

    Args:
        plan: Whose commits.
        project: Where the project is copied to; must not exist.

    Yields:
        The id of each commit, while the folder is at that commit.
    """
    _copy(PROJECT, project)
    parent = None
    for patch in plan.patches:
        apply_patch(project, patch)
        parent = snapshot(
            project,
            patch.message,
            author=patch.author,
            author_time=patch.author_time,
            parent=parent,
        )
        yield parent


def _copy(source: Path, target: Path) -> None:
    """Copy the contents of files, but nothing that tools have left: commit ids must not change."""
    for file in source.rglob("*"):
        name = file.relative_to(source)
        left = any(part == "__pycache__" or part.startswith(".") for part in name.parent.parts)
        if file.is_file() and not left:
            (target / name.parent).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / name)


def claim(work: Path) -> None:
    """Empty the work folder, if it is one of ours, or make it.

    Raises:
        UsageError: Something else is there.
    """
    marker = work / MARKER
    if work.exists() and not work.is_dir():
        raise UsageError(f"{work} is not a folder; choose another one with --work")
    if work.exists() and any(work.iterdir()) and not marker.is_file():
        raise UsageError(
            f"{work} holds something that is not a demo's; choose another one with --work"
        )
    work.mkdir(parents=True, exist_ok=True)
    marker.write_text("scripts/demo.py replaces all of this folder.\n", encoding="utf-8")
    for path in work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != marker:
            path.unlink()


def environment(**added: str) -> dict[str, str]:
    """Make the environment of a command: without a CI's, pytest's or testlytics' variables."""
    return {key: value for key, value in os.environ.items() if key in KEPT_VARIABLES} | added


class Progress:
    """One line for each run on stderr, on a terminal always the same line."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._rewrite = sys.stderr.isatty()

    def show(self, commit: str, counts: dict[str, int]) -> None:
        """Say how a run ended."""
        self._done += 1
        tests = sum(count for outcome, count in counts.items() if outcome != "rerun")
        line = f"run {self._done:2}/{self._total}  commit {commit[:8]}  {tests} tests"
        for outcome in ("failed", "rerun"):
            if outcome in counts:
                line += f"  {counts[outcome]} {outcome}"
        line_before = "\033[F\033[K" if self._rewrite and self._done > 1 else ""
        print(line_before + line, file=sys.stderr, flush=True)


def run_pytest(project: Path, commit: str, seed: int) -> dict[str, int]:
    """Run the project's tests once.

    Args:
        project: Where they are.
        commit: What the run file has to name.
        seed: Of the customers.

    Returns:
        How many tests had which outcome, in pytest's words.

    Raises:
        DemoError: pytest could not run them, or the plugin did not record it all.
    """
    runs = (project / RUNS).resolve()
    before = set(runs.glob("*"))
    result = subprocess.run(
        [sys.executable, "-m", *" ".join(PYTEST).split()],
        cwd=project,
        # In a CI the files are those of the commit; elsewhere the plugin has to ask git.
        env=environment(CI="true", BOOKSHOP_SEED=str(seed), PYTHONDONTWRITEBYTECODE="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode not in (0, 1):
        raise DemoError(f"pytest ended with status {result.returncode}:\n{result.stdout}")
    if not any(_is_whole(file, commit) for file in set(runs.glob("*")) - before):
        raise DemoError(f"the plugin wrote no complete run file to {runs}:\n{result.stdout}")
    summary = result.stdout.rstrip().rpartition("\n")[2]
    return {outcome: int(count) for count, outcome in COUNT.findall(summary)}


def _is_whole(file: Path, commit: str) -> bool:
    lines = file.read_bytes().splitlines()
    try:
        named, last = json.loads(lines[0])["sources"]["commit"], json.loads(lines[-1])["type"]
    except (ValueError, LookupError):
        return False
    return bool(named == commit and last == "end")


def run_all(plan: Plan, project: Path) -> list[str]:
    """Run the tests of every commit.

    Returns:
        The ids of the commits.
    """
    progress = Progress(plan.runs)
    done = []
    seed = plan.first_seed
    for number, commit in enumerate(commits(plan, project), start=1):
        for _ in range(2 if number in plan.run_twice else 1):
            progress.show(commit, run_pytest(project, commit, seed))
            seed += 1
        done.append(commit)
    return done


def run_testlytics(project: Path, arguments: list[str]) -> None:
    """Show a command and let it print.

    Raises:
        DemoError: It ended with another status than 0.
    """
    print(f"$ {shlex.join(['testlytics', *arguments])}", flush=True)
    command = [sys.executable, "-m", "testlytics", *arguments]
    status = subprocess.run(command, cwd=project, env=environment(), check=False).returncode
    if status:
        raise DemoError(f"testlytics {arguments[0]} ended with status {status}")
    print(flush=True)


def show_planted(plan: Plan, ids: Sequence[str]) -> None:
    """Say which tests the example was built to have."""
    print("What was planted in the example, to compare with:")
    for planted in plan.planted:
        subject = plan.patches[planted.since - 1].message.partition("\n")[0]
        print(f"  {planted.verdict:6}  {planted.test}")
        print(f"          {planted.why}")
        print(f'          since commit {ids[planted.since - 1][:8]} "{subject}"')


def show_next(work: Path) -> None:
    """Name three commands to go on with, as they can be typed here."""
    store = _typed(work / "history.duckdb")
    print("\nNext, try:")
    print("  # the same report for a pull request")
    print(f"  {_command('testlytics')} report --format markdown --store {store}")
    print("  # the same files again: nothing changes")
    print(f"  {_command('testlytics')} ingest {_typed(work / 'runs')} --store {store}")
    print("  # in a project of yours: record a run, to be ingested like these")
    print(f"  {_command('pytest')} --testlytics")


def _command(name: str) -> str:
    """Find the command beside the interpreter, where an environment has its commands."""
    command = Path(sys.executable).with_name(name)
    return _typed(command) if command.exists() else f"{_typed(Path(sys.executable))} -m {name}"


def _typed(path: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def demo(work: Path) -> None:
    """Run the whole demo in a folder.

    Raises:
        DemoError: A step did not work.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(f"{sys.executable} has no {', '.join(missing)}; `make demo` installs it")
    plan = read_plan()
    claim(work)
    project = work / PROJECT.name
    print(
        f"{plan.runs} runs of {_typed(PROJECT)} at {len(plan.patches)} commits,"
        " each with the next seed:\n"
    )
    print(f"$ cd {_typed(project)}")
    print(f"$ export CI=true BOOKSHOP_SEED={plan.first_seed}")
    print("$", " \\\n    ".join(PYTEST), flush=True)
    began = time.monotonic()
    ids = run_all(plan, project)
    print(f"{plan.runs} runs in {time.monotonic() - began:.0f} s\n", flush=True)
    for arguments in TESTLYTICS:
        run_testlytics(project, [*arguments, "--store", STORE])
    show_planted(plan, ids)
    show_next(work)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo as a command.

    Returns:
        0 when every step worked, 2 for a wrong use, 3 when a step did not work.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / ".testlytics" / "demo",
        metavar="DIR",
        help="folder to work in, replaced if an earlier demo made it (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        demo(options.work.absolute())
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_status
    except (HistoryError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
