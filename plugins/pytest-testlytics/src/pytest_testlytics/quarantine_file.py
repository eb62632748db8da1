"""Reads `quarantine.toml`: tests whose failures do not count for a while, each with an owner.

An entry that is not exactly as it should be is left out: a slip of the pen may make a failure
count, never hide one.
"""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from typing import Any, Callable, Dict, NamedTuple

from pytest_testlytics import REAL_CLOCKS
from pytest_testlytics.text import to_text

LONGEST_DAYS = 30
_MOST_BYTES = 1_000_000
_UNIX_EPOCH_ORDINAL = 719_163

_KEYS = {
    "test": "a string",
    "owner": "a string",
    "reason": "a string",
    "issue": "a string",
    "since": "a date without quotes",
    "expires": "a date without quotes",
    "variant": "a table of strings",
}
_REQUIRED = ("test", "owner", "reason", "expires")


class Entry(NamedTuple):
    """A quarantined test.

    Attributes:
        test: Its id, or the id without parameters.
        owner: Who mends it.
        reason: Why it is here, one line.
        expires: The first day on which it counts again, `2026-12-01`.
        variant: Where it is quarantined; empty for everywhere.
    """

    test: str
    owner: str
    reason: str
    expires: str
    variant: Dict[str, str]

    def is_expired(self, day: str) -> bool:
        """Tell whether the entry has no effect any more on a day, `2026-12-01`."""
        return self.expires <= day

    def fits(self, variant: Dict[str, str]) -> bool:
        """Tell whether the entry speaks of a run of this variant."""
        return all(variant.get(key) == value for key, value in self.variant.items())


class Reviewed(NamedTuple):
    """What a file says.

    Attributes:
        entries: Those that can be used.
        problems: What cannot, one line each.
    """

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


def today() -> str:
    """Return the day, UTC, `2026-12-01`, by the clock that tests cannot bend."""
    wall, _ = REAL_CLOCKS
    return date.fromordinal(_UNIX_EPOCH_ORDINAL + int(wall() // 86_400)).isoformat()


def read_quarantine(path: str) -> Reviewed:
    """Read a file; what is wrong with it is in `problems`, nothing is raised.

    Args:
        path: Where it is.
    """
    name = to_text(os.path.basename(path))
    try:
        document = _parse(path)
    except Exception as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else to_text(error)
        return Reviewed((), (f"{name}: {why}; nothing is quarantined",))
    if document.get("schema") != 1:
        text = f"{name}: schema = 1 is missing or another; nothing is quarantined"
        return Reviewed((), (text,))
    raw = document.get("quarantine", [])
    if not isinstance(raw, list):
        return Reviewed((), (f"{name}: [[quarantine]] is no list; nothing is quarantined",))
    entries: list[Entry] = []
    problems = [
        f"{name}: unknown key {to_text(key)!r}, ignored"
        for key in document
        if key not in ("schema", "quarantine")
    ]
    for number, fields in enumerate(raw, start=1):
        try:
            entries.append(_read_entry(fields))
        except ValueError as error:
            test = fields.get("test") if isinstance(fields, dict) else None
            which = f"entry {number}" + (f" ({one_line(test)})" if isinstance(test, str) else "")
            problems.append(f"{name}, {which}: {error}; entry ignored")
    return Reviewed(tuple(entries), tuple(problems))


def one_line(text: str) -> str:
    """Return a text fit for one line of a terminal."""
    return " ".join(to_text(text).split())


def _parse(path: str) -> Dict[str, Any]:
    with open(path, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES} bytes")
    document: Dict[str, Any] = _toml_reader()(content.decode("utf-8"))
    return document


def _toml_reader() -> Callable[[str], Dict[str, Any]]:
    if sys.version_info >= (3, 11):
        from tomllib import loads
    else:
        from tomli import loads  # which pytest itself needs there
    return loads


def _read_entry(fields: object) -> Entry:
    """Check one entry.

    Raises:
        ValueError: It is not as it should be; the message says why.
    """
    if not isinstance(fields, dict):
        raise ValueError("is no table")  # noqa: TRY004 - what the caller catches
    slip = _slip_in(fields)
    if slip:
        raise ValueError(slip)
    since, expires = fields.get("since"), fields["expires"]
    if since is not None and expires < since:
        raise ValueError("expires before since")
    if since is not None and (expires - since).days > LONGEST_DAYS:
        raise ValueError(f"expires more than {LONGEST_DAYS} days after since")
    return Entry(
        test=fields["test"],
        owner=one_line(fields["owner"]),
        reason=one_line(fields["reason"]),
        expires=expires.isoformat(),
        variant=fields.get("variant", {}),
    )


def _slip_in(fields: Dict[str, Any]) -> str | None:
    """Return what is wrong with keys and types, None where nothing is."""
    for key, value in fields.items():
        if key not in _KEYS:
            return f"unknown key {to_text(key)!r}"
        if not _is_a(_KEYS[key], value):
            return f"{key} is not {_KEYS[key]}"
    missing = [key for key in _REQUIRED if key not in fields]
    if missing:
        return f"{missing[0]} is missing"
    if fields["test"].endswith("*"):
        return "test is a pattern; name each test, or leave its parameters out"
    return None


def _is_a(kind: str, value: object) -> bool:
    if kind == "a string":
        return isinstance(value, str) and bool(value.strip())
    if kind == "a table of strings":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return isinstance(value, date) and not isinstance(value, datetime)
