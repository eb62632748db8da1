"""The reviewed file of renamed tests: reading it, adding to it, and what might belong into it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.config import project_root
from testlytics_collector.errors import ConfigError, Error

if TYPE_CHECKING:
    from testlytics_analytics.renames import Rename
    from testlytics_collector.store.reader import Window

FILE = "testlytics-renames.toml"
"""Its name, at the project's root."""

Pairs = tuple[tuple[str, str], ...]

_HEAD = re.compile(r"^\s*\[\[\s*rename\s*\]\]", re.MULTILINE)
_KEYS = frozenset({"old", "new"})


def default_file() -> Path:
    """Return the path of the file where nobody names one."""
    return project_root() / FILE


def aliases(given: Path | None) -> Pairs:
    """Return the renames that reports follow.

    Args:
        given: The file that was asked for; the one at the project's root, if it is there, where
            None.

    Returns:
        Old and latest id of each renamed test; empty without a file.

    Raises:
        ConfigError: The file cannot be read, or says what cannot be.
    """
    path = given or default_file()
    if given is not None and not path.is_file():
        raise ConfigError(f"There is no file {path}.", slug="renames-unreadable")
    pairs = dict(read_renames(path))
    return tuple((old, _latest(pairs, new)) for old, new in pairs.items())


def read_renames(path: Path) -> Pairs:
    """Read the file as it is written; nothing where there is none.

    Raises:
        ConfigError: The file cannot be read, or says what cannot be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", slug="renames-unreadable") from error
    return _parsed(path, text)


def add_renames(path: Path, renames: Iterable[Rename]) -> int:
    """Append renames to the file, which is made where it is missing; what is in it stays.

    Returns:
        How many were added: those that were not in it.

    Raises:
        ConfigError: The file cannot be read, or would say what cannot be.
        Error: The file cannot be written.
    """
    known = set(read_renames(path))
    fresh = [one for one in renames if (one.old, one.new) not in known]
    if not fresh:
        return 0
    target = path.resolve()
    text = target.read_text(encoding="utf-8") if target.exists() else ""
    blocks = [text if not text or text.endswith("\n") else f"{text}\n"]
    for one in fresh:
        gap = "\n" if blocks[-1] else ""
        blocks.append(
            f"{gap}# {one.score:.2f}: {_comment(one.reason)}\n"
            f"[[rename]]\nold = {_quoted(one.old)}\nnew = {_quoted(one.new)}\n"
        )
    _parsed(path, "".join(blocks))
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_text("".join(blocks), encoding="utf-8")
        part.replace(target)
    except OSError as error:
        raise Error(f"Cannot write {path}: {error.strerror}.", slug="renames-unwritable") from error
    finally:
        part.unlink(missing_ok=True)
    return len(fresh)


def propose_renames(
    store: Path, window: Window, known: Pairs, *, wait_s: float = 10.0
) -> list[Rename]:
    """Propose which new test of a window is an old one under another name.

    Args:
        store: The store's file.
        window: Which runs.
        known: Renames that are settled.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        The best first; see `testlytics_analytics.renames.propose`.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics.api import no_runs
    from testlytics.moved_files import moved_files
    from testlytics_analytics.renames import Seen, propose
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened:
        changed = opened.changed(window)
    if not changed.runs:
        raise no_runs(store)
    if not changed.gone or not changed.come:
        return []
    gone, come = [[Seen(*one) for one in some] for some in (changed.gone, changed.come)]
    return propose(gone, come, moved_files(project_root()), known)


def _parsed(path: Path, text: str) -> Pairs:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}.", slug="renames-unreadable") from error
    entries = table.pop("rename", [])
    if table or not isinstance(entries, list):
        what = (
            f"the unknown key {next(iter(table))!r}" if table else "a rename that is no [[rename]]"
        )
        raise _wrong(f"{path}: {what}.")
    lines = [text.count("\n", 0, found.end()) + 1 for found in _HEAD.finditer(text)]
    places = [
        f"{path}, line {lines[n]}" if len(lines) == len(entries) else f"{path}, entry {n + 1}"
        for n in range(len(entries))
    ]
    pairs: dict[str, str] = {}
    for place, entry in zip(places, entries, strict=True):
        old, new = _entry(place, entry)
        if pairs.get(old, new) != new:
            raise _wrong(f"{place}: {old!r} has two new names, {pairs[old]!r} and {new!r}.")
        pairs[old] = new
        if _latest(pairs, new, old) == old:
            raise _wrong(f"{place}: {old!r} becomes itself again.")
    return tuple(pairs.items())


def _entry(place: str, entry: Any) -> tuple[str, str]:  # noqa: ANN401 - whatever TOML holds
    if not isinstance(entry, dict):
        raise _wrong(f"{place}: a table with old and new was expected.")
    for key in entry:
        if key not in _KEYS:
            raise _wrong(f"{place}: the unknown key {key!r}.")
    old, new = entry.get("old"), entry.get("new")
    if not (isinstance(old, str) and isinstance(new, str) and old and new):
        raise _wrong(f"{place}: old and new were expected, each the id of a test.")
    return old, new


def _wrong(message: str) -> ConfigError:
    return ConfigError(
        message,
        slug="renames-wrong",
        hint='Each entry is [[rename]], old = "ID", new = "ID"; an old id has one new one.',
    )


def _latest(pairs: dict[str, str], name: str, stop: str | None = None) -> str:
    """Follow renames of renames, as far as `stop`."""
    while name in pairs and name != stop:
        name = pairs[name]
    return name


def _quoted(text: str) -> str:
    """Write a TOML string in which nothing hides from a reviewer."""
    return f'"{"".join(map(_sign, text))}"'


def _comment(text: str) -> str:
    return "".join(sign if sign == " " or sign.isprintable() else "?" for sign in text)


def _sign(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
