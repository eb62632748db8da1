"""One upload on its way from a request's body to the spool."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from testlytics_collector import ingest as intake
from testlytics_collector.errors import InputError, StoreError
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.ingest import FileResult, Stated, Status
from testlytics_collector.store import spool
from testlytics_collector.store.store import open_store

if TYPE_CHECKING:
    from testlytics_collector.formats.interface import Read
    from testlytics_collector.records import Attempt

GZIP = b"\x1f\x8b"


class Bounds(NamedTuple):
    """What one upload may be.

    Attributes:
        body: Bytes of a request's body, as it comes.
        size: Bytes after decompression.
        attempts: Attempts of tests.
        body_s: Seconds for the whole body.
        pause_s: Seconds between two parts of it.
        answer_s: Seconds from the body's last byte to the commit.
    """

    body: int = 64 << 20
    size: int = 512 << 20
    attempts: int = 1_000_000
    body_s: float = 120.0
    pause_s: float = 10.0
    answer_s: float = 60.0


class Handed(NamedTuple):
    """An upload that is in the spool.

    Attributes:
        result: What will be answered once it is committed.
        ticket: How its answer is found.
    """

    result: FileResult
    ticket: spool.Ticket


@contextlib.contextmanager
def body_file(store: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a file for a request's body, which goes away with the block.

    It lies in the spool's folder: there is room where the store has room, and what a killed service
    left is swept out there.
    """
    base = spool.folder(store)
    base.mkdir(parents=True, exist_ok=True)
    path = base / f".{time.time_ns():020}-{os.getpid()}-{os.urandom(4).hex()}.body"
    try:
        with path.open("xb", buffering=0) as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


class _Bounded:
    """A sink that takes no more attempts than are allowed."""

    def __init__(self, inner: Sink, most: int) -> None:
        self._inner, self._left, self._most = inner, most, most

    def begin(self, project: str) -> None:
        self._inner.begin(project)

    def write(self, attempts: Sequence[Attempt]) -> None:
        self._left -= len(attempts)
        if self._left < 0:
            raise InputError(
                f"It holds more than {self._most} attempts.",
                slug="too-many-attempts",
                hint="Split it: uploads with one run_id make one run.",
            )
        self._inner.write(attempts)


def hand_in(
    store: Path, body: Path, name: str, stated: Stated, bounds: Bounds
) -> FileResult | Handed:
    """Read a body and put its results into the spool.

    Args:
        store: The store's file.
        body: The file that holds the body.
        name: What the client calls it, for dialects that speak through file names.
        stated: What the client says of it; wins over what it says itself.
        bounds: What it may be.

    Returns:
        The answer, where the same bytes are stored already; else the upload in the spool.

    Raises:
        InputError: It cannot be read, or is too much.
        StoreError: The store or its spool cannot be used.
    """
    limits = Limits(size=bounds.size)
    try:
        with intake.opened(str(body), limits) as (stream, digest, form, read):
            known = _known(store, digest, stated)
            if known is not None:
                return FileResult(name, form, *known)
            with spool.spooling(store, stated.project) as spooled:
                origin = Origin(digest, name)
                reading = _read(read, stream, _Bounded(spooled, bounds.attempts), origin, limits)
                spooled.measure(reading.measurements)
                upload = stated.apply(reading.upload)
                now_us = time.time_ns() // 1000
                ticket = spooled.hand_in(upload, digest=digest, form=form, path=name, now_us=now_us)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"The body cannot be decompressed: {intake.reason(error)}.",
            slug="http-gzip",
            hint="Send the whole of what gzip wrote.",
        ) from error
    counts, problems = reading.counts, reading.problems
    return Handed(FileResult(name, form, Status.SPOOLED, upload.run_id, counts, problems), ticket)


def _read(read: Read, stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    return read(stream, sink, origin, limits)


def _known(store: Path, digest: str, stated: Stated) -> tuple[Status, str] | None:
    """Tell whether these bytes are stored, before they are read as what they are."""
    with open_store(store) as opened:
        asked = {
            "project": stated.project,
            "run_id": stated.run_id,
            "run_attempt": stated.run_attempt,
        }
        run = opened.stored_run(digest, **asked)  # type: ignore[arg-type]
        if run is not None:
            return Status.ALREADY_STORED, run
        run = opened.pruned_run(digest, **asked)  # type: ignore[arg-type]
        return None if run is None else (Status.PRUNED, run)


def answered(result: FileResult, answer: spool.Answer) -> FileResult:
    """Return what is said of an upload, now that the writer has answered.

    Raises:
        StoreError: What was in the spool could not be read any more.
    """
    if answer.status == Status.REFUSED:
        why = " ".join(problem.text for problem in answer.problems)
        raise StoreError(why, slug="store-failed", hint="Send it again; it was not stored.")
    stored = answer.status == Status.STORED
    return replace(
        result,
        status=Status(answer.status),
        counts=result.counts if stored else None,
        problems=(*(result.problems if stored else ()), *answer.problems),
    )
