"""The folder where files wait for a service, from before they are sent until they are taken.

An entry is one file: the results as gzip, a line break, and a line of JSON that says what they are.
The last line makes it whole, so one that was cut short is seen. Whoever holds an entry's lock is in
charge of it; the lock ends with the process, so a killed push leaves its entries to the next one.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from testlytics.push.locked import take
from testlytics_collector.errors import Error, InputError
from testlytics_collector.ingest import STDIN
from testlytics_collector.store.spool import sync

_SUFFIX = ".push"
_CHUNK = 1 << 20
_MOST_ABOUT = 1 << 17
_STALE_S = 86_400.0


class Bounds(NamedTuple):
    """How much waits, at most; beyond that the oldest go.

    Attributes:
        entries: Files.
        size: Bytes, all together.
        age_s: Seconds.
    """

    entries: int = 1_000
    size: int = 1 << 30
    age_s: float = 30 * 86_400.0


class Entry:
    """One file that waits, and that nobody else is in charge of.

    Args:
        path: Where it lies.
        file: Open for reading, and locked.
        about: Its last line.

    Attributes:
        name: What the file was called.
        query: What the service is told of it: pairs of names and values.
        size: Bytes that are sent.
    """

    def __init__(self, path: Path, file: BinaryIO, about: dict[str, Any]) -> None:
        self._path, self._file = path, file
        self.name: str = about["name"]
        self.query: list[tuple[str, str]] = [(name, value) for name, value in about["query"]]
        self.size: int = about["size"]

    def parts(self) -> Iterator[bytes]:
        """Yield what is sent, from its beginning."""
        self._file.seek(0)
        left = self.size
        while left > 0 and (part := self._file.read(min(left, 1 << 16))):
            left -= len(part)
            yield part

    def taken(self) -> None:
        """Remove it: the service has it, or will never take it."""
        self._path.unlink(missing_ok=True)
        self._file.close()

    def leave(self) -> None:
        """Let it wait for the next push, durably."""
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        sync(self._path.parent)
        self._file.close()

    def put_aside(self, why: str) -> None:
        """Take it out of those that wait, and keep it for a person to look at."""
        aside = self._path.parent / "refused"
        with contextlib.suppress(OSError):
            aside.mkdir(exist_ok=True)
            (aside / f"{self._path.name}.txt").write_text(f"{why}\n", encoding="utf-8")
            self._path.replace(aside / self._path.name)
        self._path.unlink(missing_ok=True)
        self._file.close()


class Outbox:
    """What waits for one service.

    Args:
        folder: Where; made where it is missing.
        bounds: How much waits, at most.

    Raises:
        Error: The folder cannot be made.
    """

    def __init__(self, folder: Path, bounds: Bounds | None = None) -> None:
        self.folder, self._bounds = folder, bounds or Bounds()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from error

    def waiting(self) -> list[Path]:
        """Return what waits, the oldest first."""
        with contextlib.suppress(OSError):
            return sorted(path for path in self.folder.glob(f"[0-9]*{_SUFFIX}"))
        return []

    def put(self, source: str, query: list[tuple[str, str]]) -> Entry:
        """Let a file wait; where the same waits already and nobody sends it, that is taken.

        Args:
            source: A file's path, or `-` for standard input.
            query: What the service is told of it.

        Returns:
            Its entry, which this process is in charge of.

        Raises:
            InputError: The file cannot be read, or is larger than all that may wait.
            Error: The folder cannot be written.
        """
        part = self.folder / f".{time.time_ns():020}-{os.getpid()}-{os.urandom(4).hex()}.part"
        try:
            with part.open("x+b") as file:
                take(file)
                digest = self._compress(source, file)
                key = hashlib.blake2b(
                    json.dumps([digest, query]).encode(), digest_size=12
                ).hexdigest()
                found = self._same(key)
                if found is not None:
                    return found
                about = {"name": source, "query": query, "size": file.tell(), "schema": 1}
                file.write(b"\n" + json.dumps(about).encode() + b"\n")
                file.flush()
                whole = self.folder / f"{time.time_ns():020}-{key}-{os.urandom(3).hex()}{_SUFFIX}"
                part.rename(whole)
                # A handle of its own would lose the lock: the entry takes this one over.
                held = os.fdopen(os.dup(file.fileno()), "rb")
                return Entry(whole, held, about)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        finally:
            part.unlink(missing_ok=True)

    def claim(self, path: Path) -> Entry | None:
        """Take charge of an entry that waits.

        Returns:
            The entry; None where another push is in charge of it, or it has gone. One that is not
            whole is put aside.
        """
        try:
            file = path.open("rb")
        except OSError:
            return None
        try:
            if not take(file) or not _is_there(path, file):
                file.close()
                return None
            return Entry(path, file, _about(file))
        except OSError:
            file.close()
            return None
        except (ValueError, KeyError, TypeError) as error:
            about: dict[str, Any] = {"name": path.name, "query": [], "size": 0}
            Entry(path, file, about).put_aside(f"It is not whole: {error!r}")
            return None

    def tidy(self, now: float) -> int:
        """Remove what waits too long, what is too much, and what killed processes left.

        Args:
            now: Seconds since the epoch.

        Returns:
            How many entries went that nobody has taken.
        """
        with contextlib.suppress(OSError):
            for path in [*self.folder.glob(".*.part"), *self.folder.glob("refused/*")]:
                age_s = self._bounds.age_s if path.parent != self.folder else _STALE_S
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < now - age_s:
                        path.unlink()
        gone, count, size = 0, 0, 0
        for path in reversed(self.waiting()):
            with contextlib.suppress(OSError, ValueError):
                size += path.stat().st_size
                count += 1
                age_s = now - int(path.name.partition("-")[0]) / 1e9
                full = count > self._bounds.entries or size > self._bounds.size
                if (full or age_s > self._bounds.age_s) and (entry := self.claim(path)):
                    entry.taken()
                    gone += 1
        return gone

    def _compress(self, source: str, file: BinaryIO) -> str:
        """Write a source as gzip; return a digest of its bytes as they are."""
        digest = hashlib.blake2b(digest_size=32)
        try:
            named = sys.stdin.fileno() if source == STDIN else source
            stream = open(named, "rb", closefd=source != STDIN)  # noqa: SIM115 - a handle
        except OSError as error:
            raise _unreadable(error) from error
        with stream:
            head = _read(stream)
            is_gzip = head[:2] == b"\x1f\x8b"
            packed = contextlib.nullcontext(file) if is_gzip else _gzip(file)
            with packed as sink:
                while head:
                    digest.update(head)
                    sink.write(head)
                    if file.tell() > self._bounds.size:
                        raise InputError(
                            f"Larger than {self._bounds.size / 2**20:g} MiB, compressed.",
                            slug="push-large",
                            hint="Split it: files with one --run-id make one run.",
                        )
                    head = _read(stream)
        return digest.hexdigest()

    def _same(self, key: str) -> Entry | None:
        for path in self.folder.glob(f"[0-9]*-{key}-*{_SUFFIX}"):
            if (entry := self.claim(path)) is not None:
                return entry
        return None


def elsewhere(base: Path, folder: str) -> int:
    """Count what waits for other services.

    Args:
        base: The folder that holds an outbox for each service.
        folder: The name of the one that does not count.
    """
    with contextlib.suppress(OSError):
        found = base.glob(f"*/[0-9]*{_SUFFIX}")
        return sum(path.parent.name != folder for path in found)
    return 0


def _gzip(file: BinaryIO) -> Any:  # noqa: ANN401 - its stubs know no common kind with a plain file
    # No name and no time: the same results give the same bytes.
    return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        raise _unreadable(error) from error


def _is_there(path: Path, file: BinaryIO) -> bool:
    """Tell whether a path still names the file that was opened: it may have been taken since."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _about(file: BinaryIO) -> dict[str, Any]:
    """Read an entry's last line.

    Raises:
        ValueError: There is none, or it does not fit the bytes before it.
    """
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - _MOST_ABOUT))
    tail = file.read()
    if not tail.endswith(b"\n"):
        raise ValueError("cut short")
    cut = tail.rfind(b"\n", 0, -1)
    about: dict[str, Any] = json.loads(tail[cut + 1 :])
    if cut < 0 or about["schema"] != 1 or about["size"] != start + cut:
        raise ValueError("another schema, or not of this size")
    if not isinstance(about["name"], str) or any(
        not isinstance(text, str) for pair in about["query"] for text in pair
    ):
        raise ValueError("not of this shape")
    return about


def _unreadable(error: OSError) -> InputError:
    return InputError(f"Cannot be read: {error.strerror}.", slug="push-file")


def _unusable(folder: Path, error: OSError) -> Error:
    return Error(
        f"Files cannot wait in {folder}: {error.strerror}.",
        slug="push-outbox",
        hint="Choose another folder with --outbox PATH.",
    )
