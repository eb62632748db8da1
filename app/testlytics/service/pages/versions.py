"""What the store holds, as a short text that changes with every upload."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_MOST = 1_000

_Key = tuple[str, ...] | None


class _Stamp(NamedTuple):
    file: tuple[int, int] | None
    log: tuple[int, int] | None


class Versions:
    """Versions of the projects of a store.

    Args:
        store: The store's file.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[_Key, tuple[_Stamp, str]] = {}
        # How many uploads there are is nobody's business: a version tells only that it differs.
        self._salt = secrets.token_bytes(16)

    def known(self, project: str | None, public: Collection[str] | None = None) -> str | None:
        """Return a version that is known to hold; None where it has to be asked.

        Args:
            project: Of this project; None for several.
            public: Of these, where no project is given; None for all.
        """
        stamp, version = self._known.get(_key(project, public), (None, None))
        # Whatever is committed is in the file or its log.
        return version if stamp is not None and stamp == self._stamp() else None

    def ask(self, project: str | None, public: Collection[str] | None = None) -> str:
        """Ask the store; see `known`.

        Raises:
            NotFoundError: There is none.
            StoreError: It cannot be read.
        """
        from testlytics_collector.store.store import open_store

        stamp, key = self._stamp(), _key(project, public)
        with open_store(self._store) as opened, opened.overview() as found:
            told = [found.version(name) for name in (key or (None,))]
        version = hashlib.blake2b(repr(told).encode(), key=self._salt, digest_size=12).hexdigest()
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = stamp, version
        return version

    def _stamp(self) -> _Stamp:
        log = self._store.with_name(f"{self._store.name}.wal")
        return _Stamp(_of(self._store), _of(log))


def _key(project: str | None, public: Collection[str] | None) -> _Key:
    if project is not None:
        return (project,)
    return None if public is None else tuple(sorted(public))


def _of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
