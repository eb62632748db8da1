"""Taking results in: find the inputs, recognise each, read it, keep it.

One bad input never costs a good one: every file has a transaction and an answer of its own.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from testlytics_collector.errors import InputError
from testlytics_collector.formats import runfile
from testlytics_collector.formats.discreet import discreet
from testlytics_collector.formats.interface import Limits, Origin, Read
from testlytics_collector.formats.recognise import recognise
from testlytics_collector.formats.text import printable
from testlytics_collector.records import Counts, Problem, Upload

if TYPE_CHECKING:
    from testlytics_collector.store.store import Store

STDIN = "-"
_SUFFIXES = (".jsonl", ".jsonl.gz", ".xml", ".xml.gz")
_HEAD = 65_536
_CHUNK = 1 << 20
_RATIO_FROM = 64 << 20
_RATIO = 100


class Status(StrEnum):
    """What became of one input."""

    STORED = "stored"
    ALREADY_STORED = "already stored"
    PRUNED = "already stored (pruned)"
    SPOOLED = "spooled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileResult:
    """The answer for one input.

    Attributes:
        path: As given, or as found in a folder.
        format: Name of the recognised format, None where none was.
        status: What became of it.
        run_id: The run it belongs to, None where it was refused.
        counts: How many of what; None where it was not read.
        problems: What a person should know of; the reason comes last where it was refused.
    """

    path: str
    format: str | None
    status: Status
    run_id: str | None = None
    counts: Counts | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller says of all inputs of a call; it wins over what they say themselves.

    Attributes:
        project: Namespace of the tests.
        run_id: The run all inputs belong to.
        run_attempt: The CI's re-run counter, first = 1.
        shard: Which part of the run.
        commit: Full commit id; states that exactly this was tested, without other changes.
        branch: Branch name.
        pull_request: Its number.
        variant: Pairs that are added to each input's own.
    """

    project: str | None = None
    run_id: str | None = None
    run_attempt: int | None = None
    shard: str | None = None
    commit: str | None = None
    branch: str | None = None
    pull_request: str | None = None
    variant: dict[str, str] = field(default_factory=dict)

    def apply(self, upload: Upload) -> Upload:
        """Return the upload with what is stated put in place."""
        names = "project run_id run_attempt shard commit branch pull_request"
        stated: dict[str, object] = {
            name: value for name in names.split() if (value := getattr(self, name)) is not None
        }
        if self.commit is not None:
            tree = upload.tree_sha if upload.commit == self.commit else None
            stated |= {"dirty": False, "tree_sha": tree}
        return replace(upload, variant=upload.variant | self.variant, **stated)  # type: ignore[arg-type]


class Found(NamedTuple):
    """What a search for inputs gave.

    Attributes:
        paths: Inputs in a stable order, each once.
        missing: Paths and globs that match nothing.
        empty: Folders without results.
    """

    paths: list[str]
    missing: list[str]
    empty: list[str]


def find(paths: Iterable[str]) -> Found:
    """Find the inputs that paths, folders and globs name.

    Args:
        paths: Files (taken whatever they are called), folders (searched for `.jsonl` and `.xml`,
            also `.gz`, at any depth, hidden folders left out), globs with `**`, `-` for standard
            input.
    """
    found: dict[str, None] = {}
    missing, empty = [], []
    for path in paths:
        if path == STDIN:
            found[path] = None
        elif Path(path).is_dir():
            inside = list(_inside(path))
            found.update(dict.fromkeys(inside))
            if not inside:
                empty.append(path)
        elif Path(path).exists():
            found[path] = None
        else:
            matches = sorted(glob(path, recursive=True)) if glob_like(path) else []  # noqa: PTH207
            found.update(dict.fromkeys(m for m in matches if Path(m).is_file()))
            if not matches:
                missing.append(path)
    return Found(list(found), missing, empty)


def glob_like(path: str) -> bool:
    """Tell whether a path holds a wildcard."""
    return any(sign in path for sign in "*?[")


def _inside(folder: str) -> Iterator[str]:
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(base, name)  # noqa: PTH118 - keeps the folder as it was given
            if name.lower().endswith(_SUFFIXES) and _is_candidate(path):
                yield path


def _is_candidate(path: str) -> bool:
    """Leave out of a folder the XML that is no test report (pom.xml, coverage.xml)."""
    try:
        with _open(path) as stream:
            head = stream.read(_HEAD)
    except (OSError, InputError, EOFError, zlib.error):
        return True  # so that its own error is told
    return runfile.looks_like(head) or not head.strip() or _names_tests(head)


def _names_tests(head: bytes) -> bool:
    plain = head.replace(b"\0", b"")  # UTF-16 and UTF-32
    return any(word in plain for word in (b"testsuite", b"testcase")) or b"<" not in plain


def ingest(
    paths: Iterable[str],
    store: Store,
    *,
    stated: Stated | None = None,
    limits: Limits | None = None,
    on_file: Callable[[FileResult], None] = lambda _: None,
) -> list[FileResult]:
    """Read each input and keep it.

    Args:
        paths: Inputs, as `find` gives them.
        store: Open for writing.
        stated: What the caller says of all of them.
        limits: Bounds on what is kept of one input.
        on_file: Called with each answer as soon as it is there.

    Returns:
        One answer for each input, in the same order.

    Raises:
        StoreError: The store failed. Inputs whose answer was given before are stored.
    """
    results = []
    for path in paths:
        result = _one(path, store, stated or Stated(), limits or Limits())
        on_file(result)
        results.append(result)
    return results


def known(store: Store, digest: str, stated: Stated) -> tuple[Status, str] | None:
    """Tell what these bytes are answered with without being read, and of which run they are.

    Args:
        store: Open for reading or writing.
        digest: BLAKE2b-256 of the decompressed bytes.
        stated: What the caller says of them.

    Returns:
        None where they are new.
    """
    before = store.known(
        digest, project=stated.project, run_id=stated.run_id, run_attempt=stated.run_attempt
    )
    if before is None:
        return None
    return Status.PRUNED if before.is_pruned else Status.ALREADY_STORED, before.run_id


def _one(path: str, store: Store, stated: Stated, limits: Limits) -> FileResult:
    form: str | None = None
    try:
        with opened(path, limits) as (stream, digest, form, read):
            if (before := known(store, digest, stated)) is not None:
                return FileResult(path, form, *before)
            with store.intake(stated.project) as intake:
                reading = read(stream, intake, Origin(digest, path), limits)
                intake.measure(reading.measurements)
                upload = stated.apply(reading.upload)
                now_us = time.time_ns() // 1000
                kept = store.keep(intake, upload, digest=digest, form=form, now_us=now_us)
            if not kept.stored:
                pruned = store.is_pruned(upload)
                status = Status.PRUNED if pruned else Status.ALREADY_STORED
                return FileResult(path, form, status, upload.run_id)
            problems = (*reading.problems, *kept.problems)
            return FileResult(path, form, Status.STORED, upload.run_id, reading.counts, problems)
    except InputError as error:
        why = Problem(str(error), error.line, error.column)
    except (OSError, EOFError, zlib.error) as error:
        why = Problem(f"Cannot be read: {reason(error)}")
    return FileResult(path, form, Status.REFUSED, problems=(why,))


@contextlib.contextmanager
def opened(path: str, limits: Limits) -> Iterator[tuple[BinaryIO, str, str, Read]]:
    """Open an input: its bytes from the first, their digest, its format, and who reads it.

    Raises:
        InputError: It is too large, or of no known format.
    """
    with _open(path) as raw, _seekable(raw, path, limits.size) as stream:
        digest = _digest(stream, limits.size, _size(path))
        stream.seek(0)
        form, read = recognise(stream.read(_HEAD))
        stream.seek(0)
        yield stream, digest, form, discreet(read, limits.messages)


def reason(error: Exception) -> str:
    """Say in a few words why an input cannot be read."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(text or type(error).__name__)


@contextlib.contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open an input, decompressed where its content is gzip, whatever its name."""
    named = sys.stdin.fileno() if path == STDIN else path
    with io.BufferedReader(io.FileIO(named, closefd=path != STDIN), _CHUNK) as plain:
        if plain.peek(2)[:2] != b"\x1f\x8b":
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as unpacked:
            yield unpacked  # type: ignore[misc]


def _seekable(stream: BinaryIO, path: str, max_bytes: int) -> BinaryIO:
    """Give standard input a file to go back in."""
    if path != STDIN:
        return stream
    spool = tempfile.SpooledTemporaryFile(max_size=64 << 20)  # noqa: SIM115 - the caller closes it
    left = max_bytes + 1  # one more than is allowed, so that too much is noticed
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        try:
            spool.write(chunk)
        except OSError as error:
            raise InputError(
                f"Standard input does not fit into {tempfile.gettempdir()}: {error.strerror}.",
                slug="temporary-full",
                hint="Give the file itself, or a folder with room in TMPDIR.",
            ) from error
        left -= len(chunk)
    spool.seek(0)
    return spool  # type: ignore[return-value]


def _size(path: str) -> int | None:
    return None if path == STDIN else Path(path).stat().st_size


def _digest(stream: BinaryIO, max_bytes: int, size: int | None) -> str:
    digest, total = hashlib.blake2b(digest_size=32), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        total += len(chunk)
        if total > max_bytes:
            raise InputError(
                f"Larger than {max_bytes / 2**20:g} MiB when decompressed.",
                slug="too-large",
                hint="Split it, or raise the bound with --max-size.",
            )
        if size is not None and total > _RATIO_FROM and total > _RATIO * size:
            raise InputError(
                f"Decompresses to more than {_RATIO} times its size; it looks like a bomb.",
                slug="gzip-bomb",
                hint="Decompress it yourself if you trust it.",
            )
    return digest.hexdigest()
