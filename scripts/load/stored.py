"""Compares what was acknowledged with what the store holds, by the command itself."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_SQL = "select run_id, sum(attempts) as attempts, sum(uploads) as uploads from runs group by run_id"


class Broken(NamedTuple):
    """What of the promises did not hold.

    Attributes:
        lost: Uploads that were acknowledged and are not there.
        lost_results: Acknowledged results that are not there.
        torn: Uploads of which not all results are there, or more than all.
        doubled: Uploads that are there more than once.
        stores: 1 where the store did not open, or differs from its facts; else 0.
        why: What was said of that.
    """

    lost: int
    lost_results: int
    torn: int
    doubled: int
    stores: int
    why: str = ""


def compare(store: Path, acknowledged: Mapping[str, int]) -> Broken:
    """Open a store that nobody uses, and look for what was acknowledged.

    Args:
        store: Its file.
        acknowledged: Results by run.
    """
    asked = _command(store, "sql", _SQL, "--format", "csv")
    if asked.returncode:
        return Broken(len(acknowledged), sum(acknowledged.values()), 0, 0, 1, asked.stderr.strip())
    rows = csv.DictReader(io.StringIO(asked.stdout))
    there = {row["run_id"]: (int(row["attempts"]), int(row["uploads"])) for row in rows}
    found = {run: there[run][0] if run in there else 0 for run in acknowledged}
    doctor = _command(store, "doctor", "--format", "json")
    is_sound = doctor.returncode == 0 and not json.loads(doctor.stdout)["differences"]
    return Broken(
        lost=sum(run not in there for run in acknowledged),
        lost_results=sum(max(0, acknowledged[run] - found[run]) for run in acknowledged),
        torn=sum(run in there and found[run] != acknowledged[run] for run in acknowledged),
        doubled=sum(uploads != 1 for _, uploads in there.values()),
        stores=int(not is_sound),
        why="" if is_sound else (doctor.stderr or doctor.stdout).strip(),
    )


def _command(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "testlytics", *arguments, "--store", str(store)],
        cwd=store.parent,
        capture_output=True,
        text=True,
        check=False,
    )
