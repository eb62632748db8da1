"""Why an attempt did not simply pass, read from what pytest reports.

Reads only attributes that reports are documented to have or that are looked for with a default, so
that a report of a kind nobody has seen yields less, never an exception.
"""

from __future__ import annotations

import os
import re
from typing import Dict, NamedTuple

from pytest_testlytics.text import clean, shorten, to_text

Failure = Dict[str, str]
"""Keys `type`, `message`, `text`, `place`, `output`; each only where known."""

_TYPE = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")
_LAST_LINE = re.compile(r"(?P<place>.+:\d+): (?P<type>[A-Za-z_][\w.]*)$")
_ENTRY = re.compile(r"^(?P<path>[^\s:][^:\n]*):(?P<line>\d+): ", re.MULTILINE)
_WORKER_LINE = re.compile(r"\A\[gw\d+\] .*\n")


class Limits(NamedTuple):
    """Bounds on what is kept of one failure.

    Attributes:
        message_chars: Longest message, in characters.
        text_chars: Longest text, and longest captured output, in characters.
        root: Folder that places are relative to, with a separator at its end.
        here: Folder that paths in tracebacks are relative to.
    """

    message_chars: int
    text_chars: int
    root: str
    here: str


def read_failure(report: object, limits: Limits) -> Failure:
    """Read the failure of a report.

    Args:
        report: A test or collection report that did not simply pass.
        limits: Bounds.

    Returns:
        What is known of it; empty where there is nothing to say.
    """
    longrepr = getattr(report, "longrepr", None)
    xfail = getattr(report, "wasxfail", None)
    if xfail is not None:
        failure = _of_exception(longrepr, limits) if longrepr else {}
        failure.pop("text", None)
        reason = to_text(xfail)
        reason = reason[len("reason: ") :] if reason.startswith("reason: ") else reason
        if reason:
            failure["message"] = shorten(reason, limits.message_chars)
        return failure
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return _of_skip(longrepr, limits)
    if not longrepr:
        return {}
    failure = _of_exception(longrepr, limits)
    output = _captured(report, limits)
    if output:
        failure["output"] = output
    return failure


def _of_skip(longrepr: tuple[object, object, object], limits: Limits) -> Failure:
    path, line, reason = longrepr
    message = to_text(reason)
    message = message[len("Skipped: ") :] if message.startswith("Skipped: ") else message
    return {
        "type": "Skipped",
        "message": shorten(message, limits.message_chars),
        "place": _place(path, line, limits),
    }


def _of_exception(longrepr: object, limits: Limits) -> Failure:
    text = _WORKER_LINE.sub("", to_text(longrepr)).strip("\n")
    failure: Failure = {}
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        message = to_text(getattr(crash, "message", ""))
        failure["message"] = shorten(message, limits.message_chars)
        place = _place(getattr(crash, "path", ""), getattr(crash, "lineno", 0), limits)
        failure["place"] = _last_own_place(text, limits) or place if _is_foreign(place) else place
        kind = _type_of(message)
    else:
        kind = _of_text(text, failure, limits)
    if kind:
        failure["type"] = kind
    if text and text != failure.get("message"):
        failure["text"] = shorten(text, limits.text_chars)
    return failure


def _of_text(text: str, failure: Failure, limits: Limits) -> str | None:
    """Read a failure that is only a text: of a doctest, a crash, a collector."""
    body, _, last = text.rpartition("\n")
    found = _LAST_LINE.match(last)
    if found:
        path, _, line = found.group("place").rpartition(":")
        failure["place"] = _place(path, line, limits)
        expected = body.find("Expected")
        message = body[expected:] if expected >= 0 else last
        failure["message"] = shorten(message, limits.message_chars)
        return found.group("type")
    raised = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    message = "\n".join(raised) or text
    failure["message"] = shorten(message, limits.message_chars)
    return _type_of(message)


def _type_of(message: str) -> str | None:
    """Read the exception's class from pytest's short message."""
    if message.startswith("assert "):
        return "AssertionError"  # pytest leaves the name out of a rewritten assertion
    lines = message.replace("_pytest.outcomes.", "", 1).strip().splitlines()
    for line in lines[:1] + lines[-1:]:
        found = _TYPE.match(line)
        if found:
            return found.group(1)
    return None


def _place(path: object, line: object, limits: Limits) -> str:
    where = to_text(path)
    if where.startswith(limits.root):
        where = where[len(limits.root) :]
    return f"{where}:{line}".replace("\\", "/")


def _is_foreign(place: str) -> bool:
    return os.path.isabs(place) or place.startswith("..")


def _last_own_place(text: str, limits: Limits) -> str | None:
    """Find the last line of a traceback that is in the project.

    The innermost one may be inside of a library, as for every assertion method of unittest, and
    would make all such failures look alike.
    """
    for entry in reversed(list(_ENTRY.finditer(text))):
        path = os.path.join(limits.here, entry.group("path"))
        place = _place(os.path.normpath(path), entry.group("line"), limits)
        if not _is_foreign(place):
            return place
    return None


def _captured(report: object, limits: Limits) -> str:
    """Join the captured sections; the end of a long output says more than its beginning."""
    parts = []
    for section in getattr(report, "sections", ()):
        try:
            title, content = section
            parts.append(f"--- {title}\n{content}")
        except (TypeError, ValueError):
            continue
    text = clean("\n".join(parts))
    return text if len(text) <= limits.text_chars else "…" + text[1 - limits.text_chars :]
