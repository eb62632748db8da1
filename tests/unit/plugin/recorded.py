"""Runs pytest with the plugin in a process of its own and reads what it recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parents[2] / "data" / "plugin"

_PRIVATE = ("PYTEST", "TESTLYTICS", "GITHUB_", "GITLAB_", "CI", "BUILD", "JENKINS", "TF_", "COV_")

Record = dict[str, Any]


class Recording(NamedTuple):
    """What a session left behind.

    Attributes:
        exit_status: Of the process.
        output: Its standard output and standard error.
        path: The run file, None where there is none.
        records: The run file's lines.
    """

    exit_status: int
    output: str
    path: Path | None
    records: list[Record]

    def of_type(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["type"] == kind]

    @property
    def attempts(self) -> list[Record]:
        return self.of_type("attempt")

    @property
    def ends(self) -> dict[str, str]:
        """How the attempts of each test ended: `failed@call+teardown|passed`."""
        found: dict[str, list[str]] = {}
        for record in sorted(self.attempts, key=lambda record: int(record["attempt"])):
            text = str(record["outcome"])
            text += f"@{record['phase']}" if "phase" in record else ""
            text += f"+{record['also']}" if "also" in record else ""
            found.setdefault(record["test_id"].partition("::")[2], []).append(text)
        return {test: "|".join(texts) for test, texts in found.items()}

    def named(self, name: str) -> Record:
        """Return the last attempt of a test, named without its file."""
        named = [record for record in self.attempts if record["test_id"].partition("::")[2] == name]
        return max(named, key=lambda record: int(record["attempt"]))


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what a CI or an outer session put there."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_PRIVATE)}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONHASHSEED": "0", **extra}


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start pytest in a folder, with the plugin and no other."""
    command = [sys.executable, "-m", "pytest", "-p", "testlytics", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def run(folder: Path, *arguments: str, **environment: str) -> Recording:
    """Run pytest to its end; the newest run file in the default folder is read."""
    with start(folder, *arguments, **environment) as process:
        output, _ = process.communicate(timeout=100)
    return Recording(process.returncode, output, *read_newest(folder / ".testlytics"))


def record(folder: Path, *arguments: str, **environment: str) -> Recording:
    """Run pytest to its end and record it."""
    return run(folder, "--testlytics", *arguments, **environment)


def run_script(folder: Path, script: str, *arguments: str) -> str:
    """Run a Python script in a folder and return its output."""
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def read_newest(folder: Path) -> tuple[Path | None, list[Record]]:
    """Return the newest run file of a folder and its records."""
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return (paths[-1], read(paths[-1])) if paths else (None, [])


def read(path: Path) -> list[Record]:
    """Read the whole lines of a run file."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.split(b"\n")]


def running_at_the_end(records: list[Record]) -> list[str]:
    """Apply the rule of the run file's format: which tests ran when the process died."""
    if records[-1]["type"] == "end":
        return []
    done: dict[str | None, int] = {}
    for entry in records:
        if entry["type"] == "attempt":
            done[entry.get("worker")] = done.get(entry.get("worker"), 0) + 1
    return [
        slot["test_id"]
        for slot in records
        if slot["type"] == "running"
        and slot["test_id"] is not None
        and done.get(slot["worker"], 0) <= slot["done"]
    ]
