"""Run a suite of this repository, record it in the repository's own history, and say what it shows.

The exit code is that of the tests, whatever becomes of the recording and of the report.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.report.render import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
STORE = Path(".testlytics", "history.duckdb")
LONGEST_S = 60
"""How long the history may take to answer, in seconds: people wait for it."""

_TIMED = (
    "--benchmark-enable",
    "--benchmark-timer=time.process_time",
    "--benchmark-columns=min,median,iqr,rounds",
)
_LOUDEST = (
    ("broken", "broken since {broken_first_commit}", "--broken"),
    ("flaky", "flaky, fails in {flake_rate:.1%} of its runs", "--flaky"),
    ("regressions", "{ratio:.2f} times as slow as before", "--regressions"),
)


def run(pytest_arguments: Sequence[str], more: Mapping[str, str]) -> int:
    """Run pytest to its end, even where somebody presses Ctrl-C, which pytest sees as well.

    Args:
        pytest_arguments: What it is given.
        more: Variables that only the tests see.

    Returns:
        Its exit code; 128 and the signal's number where one killed it, as a shell says.
    """
    command = [sys.executable, "-m", "pytest", *pytest_arguments]
    with subprocess.Popen(command, env={**os.environ, **more}) as process:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue
            return code if code >= 0 else 128 - code


def summary(report: Mapping[str, Any]) -> list[str]:
    """Say in at most three lines what a history shows; in one where it is of a single run.

    Args:
        report: What `testlytics report --flaky --broken --regressions --format json` says.

    Returns:
        What the history holds, how many tests have which status, and the one to look at first.
    """
    told = report["summary"]
    if told["runs"] < 2:
        return [f"{told['tests']} tests recorded; the history begins, and tells nothing yet"]
    names = ("flaky", "broken", "slower", "stable", "unknown")
    lines = [
        f"{told['tests']} tests in {told['runs']} runs of {told['commits']} commits",
        "   ".join(f"{told[name]} {name}" for name in names),
    ]
    if told["incomplete_runs"]:
        lines.append(f"{told['incomplete_runs']} runs did not end: the process died")
    for section, words, option in _LOUDEST:
        for row in _shown(report, section)[:1]:
            reason = words.format_map(row)
            lines.append(f"{row['test_id']}: {reason} (testlytics report {option})")
    return [visible(line) for line in lines[:3]]


def _shown(report: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    """Return the rows of a list that people are shown: what the environment did is folded."""
    groups = report.get("groups", {}).get(section, ())
    folded = {group["group"] for group in groups if group["folded"]}
    return [row for row in report[section] if row.get("group") not in folded]


def keep(run_file: Path, benchmarks: Path, store: Path) -> list[str]:
    """Take what was recorded into the history and read the history.

    Args:
        run_file: What the plugin wrote. It is removed once the history has it.
        benchmarks: What pytest-benchmark wrote, if it is there; likewise.
        store: The history's file.

    Returns:
        What to say: the history's summary, or one line about what did not work.
    """
    if not run_file.exists():
        return ["nothing was recorded"]
    with run_file.open(encoding="utf-8") as file:
        run_id = json.loads(file.readline())["run_id"]
    for recorded_file in (run_file, benchmarks):
        if not recorded_file.exists():
            continue
        taken_in = _testlytics("ingest", recorded_file, "--run-id", run_id, store=store)
        if taken_in.returncode:
            why = taken_in.stderr.strip().splitlines() or ["no reason given"]
            return [visible(f"not taken into the history, and kept as {recorded_file}: {why[-1]}")]
        recorded_file.unlink()
    lists = ("--flaky", "--broken", "--regressions", "--format", "json")
    told = _testlytics("report", *lists, store=store)
    return summary(json.loads(told.stdout)) if told.returncode == 0 else ["no report"]


def _testlytics(command: str, *arguments: object, store: Path) -> subprocess.CompletedProcess[str]:
    # What a CI sets for its own run must not say which run or store this is.
    outer = {key: value for key, value in os.environ.items() if not key.startswith("TESTLYTICS")}
    return subprocess.run(
        [sys.executable, "-m", "testlytics", command, *map(str, arguments), "--store", str(store)],
        env=outer,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=LONGEST_S,
        check=False,
    )


def recorded(
    pytest_arguments: Sequence[str],
    more: Mapping[str, str],
    store: Path,
    *,
    benchmarks: bool = False,
) -> int:
    """Run pytest with the plugin and say what the history shows.

    Args:
        pytest_arguments: What pytest is given beside the plugin's options.
        more: Variables that only the tests see.
        store: The history's file; made where it is missing.
        benchmarks: Whether what pytest-benchmark measures is kept as well.

    Returns:
        The exit code of the tests.
    """
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="suite-", dir=store.parent))
    except OSError as error:
        print(f"testlytics: not recorded: {error}", file=sys.stderr)
        return run(pytest_arguments, more)
    run_file, measured = (folder.resolve() / name for name in ("run.jsonl", "benchmarks.json"))
    options = ["--testlytics", f"--testlytics-file={run_file}"]
    if benchmarks:
        options.append(f"--benchmark-json={measured}")
    code = run([*pytest_arguments, *options], more)
    try:
        lines = keep(run_file, measured, store)
        if not any(folder.iterdir()):
            folder.rmdir()
    except Exception as error:  # noqa: BLE001 - it must not change the exit code
        lines = [visible(f"no report: {type(error).__name__}: {error}")]
    print(*(f"testlytics: {line}" for line in lines), sep="\n", flush=True)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a suite as the command line says; return the exit code of the tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-record", action="store_true", help="only run the tests")
    parser.add_argument("--store", type=Path, default=ROOT / STORE, help="file of the history")
    parser.add_argument(
        "--path", metavar="FOLDER", help="only the tests import from this folder first"
    )
    parser.add_argument(
        "--benchmarks", action="store_true", help="time the benchmarks, in processor time"
    )
    parser.add_argument("pytest", nargs="*", help="what pytest is given, after --")
    given = parser.parse_args(arguments)
    more = {"PYTHONPATH": given.path} if given.path else {}
    tests = [*given.pytest, *(_TIMED if given.benchmarks else ())]
    if given.no_record:
        return run(tests, more)
    return recorded(tests, more, given.store, benchmarks=given.benchmarks)


if __name__ == "__main__":
    sys.exit(main())
