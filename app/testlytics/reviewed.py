"""Reviewed TOML files: entries that somebody answers for, each with a day on which it ends.

What is wrong is told with file, entry and value. The bounds are those of the pytest plugin, which
reads the same quarantine: what one of them refuses, the other refuses too.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from testlytics.report.groupings import family
from testlytics_collector.errors import ConfigError, Error
from testlytics_collector.records import variant_text

Fields = dict[str, Any]
"""One entry as TOML gives it."""

A_TEXT = "a text"
A_DAY = "a date without quotes"
A_VARIANT = "a table of texts"

_MOST_BYTES = 262_144
_MOST_LINE_CHARS = 4_000
_MOST_DOTS = 50
_MOST_SHOWN_CHARS = 200
_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*(?:"|$) | '[^']*(?:'|$) """, re.VERBOSE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class _Named(Protocol):
    @property
    def test(self) -> str: ...


Entry = TypeVar("Entry", bound=_Named)


class Form(NamedTuple):
    """What a file looks like.

    Attributes:
        table: Name of the tables that are its entries.
        keys: What each key holds: `A_TEXT`, `A_DAY` or `A_VARIANT`.
        required: Keys that no entry may lack.
        longest_days: An entry lasts so many days at most.
        slug: Name of the error where something is wrong.
    """

    table: str
    keys: Mapping[str, str]
    required: tuple[str, ...]
    longest_days: int
    slug: str


class Written(NamedTuple):
    """What a file says.

    Attributes:
        entries: Those that can be used, in the file's order.
        problems: What is wrong with the others, a line each.
    """

    entries: tuple[Fields, ...]
    problems: tuple[str, ...]


def read(path: Path, form: Form, today: date) -> Written | None:
    """Read a file.

    Args:
        path: Where it is.
        form: What it looks like.
        today: The day, UTC; an entry that does not say since when it is there may last so long
            from this day on.

    Returns:
        None where there is no file.

    Raises:
        ConfigError: The file as a whole cannot be used.
    """
    try:
        content = _bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _wrong(form, f"{path} cannot be read: {why}.") from error
    return parse(content, path, form, today)


def read_strictly(path: Path, form: Form, today: date, *, needed: bool) -> tuple[Fields, ...]:
    """Read a file in which nothing may be wrong.

    Args:
        path: Where it is.
        form: What it looks like.
        today: See `read`.
        needed: Whether it must be there; else no file has no entries.

    Raises:
        ConfigError: It is not there, or something in it is wrong.
    """
    written = read(path, form, today)
    if written is None:
        if needed:
            raise _wrong(form, f"There is no file {path}.")
        return ()
    if written.problems:
        more = len(written.problems) - 1
        raise _wrong(form, written.problems[0] + (f" And {more} more." if more else ""))
    return written.entries


def parse(content: bytes, path: Path, form: Form, today: date) -> Written:
    """Read the content of a file; see `read`.

    Raises:
        ConfigError: It cannot be used at all.
    """
    try:
        document = _document(content)
    except (ValueError, RecursionError) as error:
        why = "it nests too deeply" if isinstance(error, RecursionError) else error
        raise _wrong(form, f"{path} cannot be read: {why}.") from error
    schema = document.get("schema")
    if schema != 1:
        what = "schema = 1 is missing" if schema is None else f"schema is {_shown(schema)}, not 1"
        raise _wrong(form, f"{path}: {what}.")
    tables = document.get(form.table, [])
    if not isinstance(tables, list):
        raise _wrong(form, f"{path}: {form.table} is no list of [[{form.table}]].")
    problems = [
        f"{path}: unknown key {_shown(key)}."
        for key in document
        if key not in {"schema", form.table}
    ]
    entries = []
    for number, fields in enumerate(tables, start=1):
        slip = _slip(fields, form, today)
        if slip is None:
            entries.append(fields)
            continue
        test = fields.get("test") if isinstance(fields, dict) else None
        which = f"entry {number}" + (f" ({_shown(test)})" if isinstance(test, str) else "")
        problems.append(f"{path}, {which}: {slip}.")
    return Written(tuple(entries), tuple(problems))


def append(path: Path, form: Form, fields: Fields, today: date) -> None:
    """Write one more entry to the end of a file, which is made where it is missing.

    What is in the file stays as it is. The whole is read again before it is written.

    Raises:
        ConfigError: Something in the file is wrong, or would be.
        Error: It cannot be written.
    """
    before = read_strictly(path, form, today, needed=False)
    target = path.resolve()
    text = target.read_bytes().decode() if target.exists() else "schema = 1\n"
    text += "" if text.endswith("\n") else "\n"
    rows = [f"{key} = {_value(fields[key])}\n" for key in form.keys if key in fields]
    text += f"\n[[{form.table}]]\n{''.join(rows)}"
    after = parse(text.encode(), path, form, today)
    if after.problems:
        raise _wrong(form, after.problems[0])
    if after.entries != (*before, fields):
        raise _wrong(form, f"{path}: an entry cannot be appended; write it by hand.")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(text.encode())
        part.replace(target)
    except OSError as error:
        raise Error(
            f"Cannot write {path}: {error.strerror}.", slug="reviewed-unwritable"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def by_test(entries: Iterable[Entry]) -> Callable[[str], list[Entry]]:
    """Return a look-up of the entries that speak of a test, its own before its family's."""
    table: dict[str, list[Entry]] = {}
    for one in entries:
        table.setdefault(one.test, []).append(one)
    return lambda test_id: [entry for name in names(test_id) for entry in table.get(name, ())]


def names(test_id: str) -> list[str]:
    """Return the names under which an entry may speak of a test: its id, then its family."""
    return list(dict.fromkeys([test_id, family(test_id)]))


def in_one_line(text: str) -> str:
    """Return a text of an entry in one line, cut to 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SHOWN_CHARS else f"{line[: _MOST_SHOWN_CHARS - 1]}…"


def fits(variant: Mapping[str, str], canonical: str) -> bool:
    """Tell whether a variant, given in canonical form, has all of these pairs."""
    return not variant or set(variant_text(dict(variant)).split(",")) <= set(canonical.split(","))


def _bytes(path: Path) -> bytes:
    """Read a regular file; to open a pipe or a device may take forever."""
    _require_regular(path.stat().st_mode)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - of a descriptor
        _require_regular(os.fstat(file.fileno()).st_mode)
        return file.read(_MOST_BYTES + 1)


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError("it is no regular file")


def _document(content: bytes) -> dict[str, Any]:
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
    text = content.decode("utf-8")
    for number, line in enumerate(text.split("\n"), start=1):
        # Readers of TOML take time that grows with the square of the parts of a dotted key.
        if len(line) > _MOST_LINE_CHARS:
            raise ValueError(f"line {number} is longer than {_MOST_LINE_CHARS} characters")
        if line.count(".") > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise ValueError(f"line {number} has more than {_MOST_DOTS} dots outside of quotes")
    return tomllib.loads(text)


def _slip(fields: object, form: Form, today: date) -> str | None:
    """Say what is wrong with an entry; None where nothing is."""
    if not isinstance(fields, dict):
        return f"is {_shown(fields)}, no table"
    for key, value in fields.items():
        if key not in form.keys:
            return f"unknown key {_shown(key)}"
        if not _is_a(form.keys[key], value):
            return f"{key} is {_shown(value)}, not {form.keys[key]}"
    missing = [key for key in form.required if key not in fields]
    if missing:
        return f"{missing[0]} is missing"
    if fields["test"].endswith("*"):
        return f"test is {_shown(fields['test'])}, a pattern; leave the parameters out instead"
    return _slip_of_days(fields.get("since"), fields["expires"], form.longest_days, today)


def _slip_of_days(since: date | None, expires: date, longest: int, today: date) -> str | None:
    if since is not None and expires < since:
        return f"expires {expires}, before since {since}"
    if since is not None and (expires - since).days > longest:
        return f"expires {expires}, more than {longest} days after since {since}"
    # In other time zones tomorrow has begun; a later `since` would be a way around the limit.
    begins = today if since is None else min(since, today + timedelta(days=1))
    if (expires - begins).days > longest:
        why = "there is no since" if since is None else f"since {since} is yet to come"
        return f"expires {expires}, more than {longest} days from today, and {why}"
    return None


def _is_a(what: str, value: object) -> bool:
    if what == A_TEXT:
        return isinstance(value, str) and bool(value.strip())
    if what == A_VARIANT:
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return isinstance(value, date) and not isinstance(value, datetime)


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= _MOST_SHOWN_CHARS else f"{text[:_MOST_SHOWN_CHARS]}…"


def _wrong(form: Form, message: str) -> ConfigError:
    return ConfigError(message, slug=form.slug)


def _value(value: object) -> str:
    """Write a value as TOML in which nothing hides from a reviewer."""
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return value.isoformat() if isinstance(value, date) else _quoted(str(value))


def _key(text: str) -> str:
    return text if _BARE.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_sign, text))}"'


def _sign(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
