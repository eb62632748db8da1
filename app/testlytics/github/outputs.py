"""What the action hands on to later steps: `python -m testlytics.github.outputs REPORT BADGE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testlytics.cli import _errors
from testlytics.gate.reading import MAX_BYTES, read_result
from testlytics.gate.render import headline

if TYPE_CHECKING:
    from testlytics.gate.findings import GateResult

_COLOURS = {"blocked": "red", "passed": "brightgreen", "not judged": "lightgrey"}


def badge(result: GateResult) -> str:
    """Write a badge as an endpoint of shields.io (its schema 1)."""
    told = f"{result.verdict}, {headline(result)}" if result.findings else result.verdict
    document = {
        "schemaVersion": 1,
        "label": "tests",
        "message": told,
        "color": _COLOURS[result.verdict],
    }
    return json.dumps(document) + "\n"


def outputs(result: GateResult) -> str:
    """Write `name=value` lines for GITHUB_OUTPUT; no value comes from a test."""
    return f"verdict={result.verdict}\nregressions={len(result.blocking)}\n"


def main() -> None:
    """Read the report, write the badge beside it, print the outputs."""
    report, shown = map(Path, sys.argv[1:])
    with report.open("rb") as file:
        result = read_result(file.read(MAX_BYTES + 1))
    shown.write_text(badge(result), encoding="utf-8")
    sys.stdout.write(outputs(result))


if __name__ == "__main__":
    _errors.guarded(main)
