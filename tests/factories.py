"""Makes what tests work on: run files, JUnit XML and frames of verdicts. Deterministic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import polars as pl

from testlytics_analytics.evidence import Tried
from testlytics_analytics.histories import History, Run
from testlytics_analytics.outcome_verdicts import VerdictOptions
from testlytics_analytics.status import Judged, judge

START_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
_VERDICTS = {"P": "passed", "F": "failed", "L": "flaky", "S": "skipped", "?": None}


def header(number: int = 0, **more: object) -> dict[str, object]:
    """The first line of the run file of run `number`."""
    sha = f"{number:040x}"
    return {
        "type": "run",
        "schema_version": "1.0",
        "upload_id": f"{number:032x}",
        "run_id": f"run-{number}",
        "producer": "factory 1",
        "started_us": START_US + number * HOUR_US,
        "project": "default",
        "sources": {"commit": sha, "tree_sha": sha[::-1], "dirty": False, "branch": "main"},
        "variant": {"os": "linux"},
        **more,
    }


def attempt(
    test_id: str = "test_a.py::test_one", outcome: str = "passed", **more: object
) -> dict[str, object]:
    """An `attempt` line that took 100 ms."""
    return {
        "type": "attempt",
        "test_id": test_id,
        "attempt": 1,
        "outcome": outcome,
        "setup_us": 1_000,
        "call_us": 98_000,
        "teardown_us": 1_000,
        **more,
    }


def end(attempts: int, **more: object) -> dict[str, object]:
    """The last line."""
    return {"type": "end", "ended_us": START_US, "exit_status": 0, "attempts": attempts, **more}


def lines(*objects: Mapping[str, object]) -> bytes:
    """JSON Lines of these objects."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def run_file(path: Path, attempts: Sequence[Mapping[str, object]], number: int = 0) -> Path:
    """Write a whole run file."""
    path.write_bytes(lines(header(number), *attempts, end(len(attempts))))
    return path


def history(
    folder: Path, tests: Mapping[str, str], durations: Mapping[str, Sequence[float]] = {}
) -> list[Path]:
    """Write one run file for each letter of the tests' histories.

    Args:
        folder: Where to.
        tests: Letters by test id: P passed, F failed, L failed and then passed, S skipped.
        durations: Seconds by test id, one for each run; 0.1 s where not given.
    """
    paths = []
    for number in range(max(len(letters) for letters in tests.values())):
        rows: list[dict[str, object]] = []
        for test_id, letters in tests.items():
            seconds = durations.get(test_id, [0.1] * len(letters))[number]
            call_us = round(seconds * 1e6) - 2_000
            letter = letters[number]
            if letter in "FL":
                rows.append(attempt(test_id, "failed", failure={"message": "no"}, call_us=call_us))
            if letter in "PL":
                rows.append(attempt(test_id, attempt=2 if letter == "L" else 1, call_us=call_us))
            if letter == "S":
                rows.append(attempt(test_id, "skipped"))
        paths.append(run_file(folder / f"run-{number:03}.jsonl", rows, number))
    return paths


def series(
    test_id: str,
    letters: str,
    *,
    variant: str = "",
    runs_per_commit: int = 1,
    durations: Sequence[float] = (),
) -> list[dict[str, object]]:
    """Rows of `frames.VERDICTS` for one test: P passed, F failed, L flaky, S skipped, ? unknown."""
    return [
        {
            "project": "default",
            "test_id": test_id,
            "variant": variant,
            "run_id": f"run-{position}",
            "position": position,
            "commit": f"c{position // runs_per_commit}",
            "sources": f"s{position // runs_per_commit}",
            "verdict": _VERDICTS[letter],
            "passes": int(letter in "PL"),
            "failures": int(letter in "FL"),
            "duration_s": (durations[position] if durations else 0.1) if letter in "PL" else None,
        }
        for position, letter in enumerate(letters)
    ]


def judged(*rows: list[dict[str, object]], options: VerdictOptions | None = None) -> list[Judged]:
    """Judge several series as `status.judge` does, over the runs that they name."""
    runs: dict[int, Run] = {}
    histories: dict[tuple[str, str, str], tuple[list[int], str]] = {}
    for row in (row for some in rows for row in some):
        step = cast("int", row["position"])
        commit, sources = cast("str", row["commit"]), cast("str | None", row["sources"])
        runs[step] = Run(str(row["run_id"]), commit, sources)
        key = (str(row["project"]), str(row["test_id"]), str(row["variant"]))
        steps, letters = histories.get(key, ([], ""))
        letter = next(one for one, word in _VERDICTS.items() if word == row["verdict"])
        histories[key] = ([*steps, step], letters + letter)
    tests = [Tried(History(*key, *told)) for key, told in histories.items()]
    return judge(tests, [runs[step] for step in range(len(runs))], options=options).rows


def frame(*rows: list[dict[str, object]]) -> pl.DataFrame:
    """A frame of verdicts of several series."""
    kinds = {"verdict": pl.String, "duration_s": pl.Float64, "sources": pl.String}
    return pl.DataFrame([row for some in rows for row in some], schema_overrides=kinds)
