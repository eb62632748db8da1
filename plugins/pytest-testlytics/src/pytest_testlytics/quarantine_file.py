"""Reads `quarantine.toml`: tests whose failures do not count for a while, each with an owner.

An entry that is not exactly as it should be is left out: a slip of the pen may make a failure
count, never hide one.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from datetime import date, datetime, timedelta
from typing import Any, Callable, Dict, NamedTuple

from pytest_testlytics import REAL_CLOCKS
from pytest_testlytics.text import shorten, to_text

LONGEST_DAYS = 30
_MOST_BYTES = 262_144  # more than a thousand entries
_MOST_LINE_CHARS = 4_000
_MOST_DOTS = 50
_MOST_SHOWN_CHARS = 200
_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*(?:"|$) | '[^']*(?:'|$) """, re.VERBOSE)
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
    name = one_line(os.path.basename(path))
    day = date.fromisoformat(today())
    try:
        document = _parse(path)
    except Exception as error:
        why = (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else one_line(str(error))
        )
        return Reviewed((), (f"{name}: {why}; nothing is quarantined",))
    if document.get("schema") != 1:
        text = f"{name}: schema = 1 is missing or another; nothing is quarantined"
        return Reviewed((), (text,))
    raw = document.get("quarantine", [])
    if not isinstance(raw, list):
        return Reviewed((), (f"{name}: [[quarantine]] is no list; nothing is quarantined",))
    entries: list[Entry] = []
    problems = [
        f"{name}: unknown key {_shown(key)}, ignored"
        for key in document
        if key not in ("schema", "quarantine")
    ]
    for number, fields in enumerate(raw, start=1):
        try:
            entries.append(_read_entry(fields, day))
        except ValueError as error:
            test = fields.get("test") if isinstance(fields, dict) else None
            which = f"entry {number}" + (f" ({one_line(test)})" if isinstance(test, str) else "")
            problems.append(f"{name}, {which}: {error}; entry ignored")
    return Reviewed(tuple(entries), tuple(problems))


def one_line(text: str) -> str:
    """Return a text fit for one line of a terminal.

    Control characters could rewrite what the terminal shows, bidirectional ones its order.
    """
    # First a bound for the work; escapes only make a text longer.
    line = " ".join(shorten(to_text(text), 10 * _MOST_SHOWN_CHARS).split())
    if not line.isprintable():
        line = "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode() for one in line
        )
    return shorten(line, _MOST_SHOWN_CHARS)


def _shown(key: str) -> str:
    return shorten(repr(shorten(to_text(key), _MOST_SHOWN_CHARS)), _MOST_SHOWN_CHARS)


def _parse(path: str) -> Dict[str, Any]:
    content = _read(path)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES} bytes")
    text = content.decode("utf-8")
    for number, line in enumerate(text.split("\n"), start=1):
        # Readers of TOML take time that grows with the square of the parts of a dotted key.
        if len(line) > _MOST_LINE_CHARS:
            raise ValueError(f"line {number} is longer than {_MOST_LINE_CHARS} characters")
        if line.count(".") > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots outside of quotes")
    document: Dict[str, Any] = _toml_reader()(text)
    return document


def _read(path: str) -> bytes:
    """Read a regular file; to open a pipe or a device may take forever, or do something."""
    _require_regular(os.stat(path).st_mode)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        _require_regular(os.fstat(file.fileno()).st_mode)
        return file.read(_MOST_BYTES + 1)


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise ValueError("is no regular file")


def _toml_reader() -> Callable[[str], Dict[str, Any]]:
    if sys.version_info >= (3, 11):
        from tomllib import loads
    else:
        from tomli import loads  # which pytest itself needs there
    return loads


def _read_entry(fields: object, day: date) -> Entry:
    """Check one entry on a day.

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
    # Where the day has begun that is still to come in UTC, `since` may be tomorrow; a later one
    # would be a way around the limit.
    begins = day if since is None else min(since, day + timedelta(days=1))
    if (expires - begins).days > LONGEST_DAYS:
        why = "and there is no since" if since is None else "and since is yet to come"
        raise ValueError(f"expires more than {LONGEST_DAYS} days from today, {why}")
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
            return f"unknown key {_shown(key)}"
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
