"""A gate's answer as workflow commands of GitHub Actions: an annotation for each finding."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from testlytics.gate.findings import BLOCK, KINDS, Finding, GateResult
from testlytics.gate.markdown import shortened
from testlytics.gate.render import as_text
from testlytics.report.render import visible

ANNOTATIONS = 10
"""GitHub shows ten annotations of a kind for a step."""

_ALL_ANNOTATIONS = 50


def as_github(result: GateResult, *, folder: str = "") -> str:
    """Write annotations, then the text for the log, in which nothing is taken for a command.

    Args:
        result: What to write.
        folder: Where the tests lie below the repository's root; put before paths.
    """
    word = secrets.token_hex(16)
    text = as_text(result, width=120, colour=False)
    lines = [*_annotations(result.findings, folder), f"::stop-commands::{word}", text.rstrip("\n")]
    return "\n".join([*lines, f"::{word}::"]) + "\n"


def _annotations(findings: Iterable[Finding], folder: str) -> Iterable[str]:
    shown = {"error": 0, "warning": 0}
    for one in findings:
        kind = "error" if one.level == BLOCK else "warning"
        if shown[kind] >= ANNOTATIONS or sum(shown.values()) >= _ALL_ANNOTATIONS:
            continue
        shown[kind] += 1
        named = {"title": f"{KINDS[one.kind][1]}: {one.test_id or 'the run'}"}
        path, line = located(one)
        if path:
            named = {"file": f"{folder}{path}", **({"line": line} if line else {}), **named}
        text = f"{one.reason}\n{shortened(one.message)}" if one.message else one.reason
        values = ",".join(f"{name}={_property(value)}" for name, value in named.items())
        yield f"::{kind} {values}::{_data(text)}"


def located(one: Finding) -> tuple[str | None, str | None]:
    """Return the file and the line to point at: where it failed, else where the test is."""
    path, _, line = (one.place or "").rpartition(":")
    if path and line.isdigit() and _is_inside(path):
        return path, line
    file = (one.test_id or "").partition("::")[0]
    return (file, None) if file.endswith(".py") and _is_inside(file) else (None, None)


def _is_inside(path: str) -> bool:
    parts = path.replace("\\", "/").split("/")
    return not path.startswith("/") and ":" not in path and ".." not in parts


def _data(text: str) -> str:
    told = "\n".join(visible(line) for line in text.split("\n"))
    return told.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace("\n", " ").replace(":", "%3A").replace(",", "%2C")
