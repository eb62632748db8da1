"""A gate's answer for a terminal, and for programs."""

from __future__ import annotations

import json
from typing import Any

from testlytics.gate.findings import BLOCK, KINDS, Finding, GateResult
from testlytics.report.render import painter, visible, wrapped
from testlytics.report.sections import commit, count

SCHEMA = 1
"""Version of the JSON shape; rises when a key goes away or changes its meaning."""

_TOLD_FACTOR = 0.1

_VERDICTS = {
    "blocked": ("BLOCKED", "1;31"),
    "passed": ("PASSED", "1;32"),
    "not judged": ("NOT JUDGED", "1;33"),
}


def as_json(result: GateResult) -> str:
    """Write everything; see `docs/reference/gate.schema.json`."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "verdict": result.verdict,
        "run": {
            "project": result.project,
            "run_id": result.run_id,
            "commit": result.commit,
            "branch": result.branch,
            "pull_request": result.pull_request,
            "complete": result.complete,
        },
        "baseline": {
            "branch": result.baseline_branch,
            "runs": result.baseline_runs,
            "from_commit": result.baseline_from,
            "to_commit": result.baseline_to,
            "change_runs": result.change_runs,
        },
        "variants": [leg._asdict() for leg in result.legs],
        "findings": [{**one._asdict(), "details": dict(one.details)} for one in result.findings],
        "causes": [one._asdict() for one in result.causes],
        "notes": result.notes,
        "measurements": result.measurements,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def headline(result: GateResult) -> str:
    """Say in one line what came out, without the verdict's word."""
    blocking = len(result.blocking)
    others = len(result.findings) - blocking
    told = [count(blocking, "reason")] if blocking else []
    told += [count(others, "warning")] if others else []
    return ", ".join(told) or "nothing to say"


def context_lines(result: GateResult) -> list[str]:
    """Say what was compared with what, a line for the runs and one for each variant."""
    of = f" of {result.branch}" if result.branch else ""
    run = f"run {result.run_id}{of}"
    run += f" at {commit(result.commit)}" if result.commit else ""
    base = f" of {result.baseline_branch}" if result.baseline_branch else ""
    newest = f", the newest at {commit(result.baseline_to)}" if result.baseline_to else ""
    lines = [f"{run}, compared with {count(result.baseline_runs, 'run')}{base}{newest}"]
    for leg in result.legs:
        parts = [
            f"{number:,} {word}"
            for number, word in (
                (leg.passed, "passed"),
                (leg.failed, "failed"),
                (leg.flaky, "flaky"),
                (leg.skipped, "skipped"),
            )
            if number
        ]
        name = f"{leg.variant}: " if leg.variant else ""
        lines.append(f"{name}{', '.join(parts) or 'no test'}{_machine(leg.run_factor)}")
        if leg.needed_runs:
            lines.append(
                f"  Not judged: {count(leg.needed_runs, 'more run')} in the baseline needed"
                f", there are {leg.baseline_runs}."
            )
    if result.measurements:
        lines.append(f"{count(result.measurements, 'measurement')} judged")
    return lines


def _machine(factor: float | None) -> str:
    if factor is None or abs(factor - 1) < _TOLD_FACTOR:
        return ""
    return f"; tests took {factor:.2f} times as long as usual: the machine"


def as_text(result: GateResult, *, width: int, colour: bool) -> str:
    """Write for a terminal.

    Args:
        result: What to write.
        width: Columns of the terminal, at least 40.
        colour: Whether escape sequences may be used.
    """
    paint = painter(colour=colour)
    word, style = _VERDICTS[result.verdict]
    lines = [f"{paint(word, style)}  {headline(result)}"]
    for text in (*context_lines(result), *result.notes):
        lines += _hung(text, width, "")
    several = len({leg.variant for leg in result.legs}) > 1
    for level, title in ((BLOCK, "Blocking"), ("warn", "Warnings")):
        told = [one for one in result.findings if one.level == level]
        if told:
            lines += ["", paint(title, "1;31" if level == BLOCK else "1;33")]
        for one in told:
            lines += _finding(one, width, several=several)
    if any(len(one.tests) > 1 for one in result.causes):
        lines += ["", paint("Causes", "1;36")]
        for cause in result.causes:
            since = "new" if cause.is_new else f"first seen in run {cause.first_run}"
            lines += _hung(f"{count(cause.failures, 'failure')}, {since}: {cause.text}", width)
    return "\n".join(lines) + "\n"


def _finding(one: Finding, width: int, *, several: bool) -> list[str]:
    name = one.test_id or "the run"
    variant = f" ({one.variant or 'no variant'})" if several and one.test_id else ""
    lines = _hung(f"{name}{variant}", width, "  ", prose=False)
    lines += _hung(f"{KINDS[one.kind][1]}: {one.reason}", width, "    ")
    if one.message:
        lines += _hung(one.message, width, "    ")
    return lines


def _hung(text: str, width: int, indent: str = "  ", *, prose: bool = True) -> list[str]:
    first, *others = wrapped(visible(text), width - len(indent) - 4, prose=prose)
    return [indent + first, *(f"{indent}    {other}" for other in others)]
