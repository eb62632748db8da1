"""One upload on its way from a request's body to the spool."""

from __future__ import annotations

import contextlib
import gzip
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
from testlytics_collector.store import archived, spool
from testlytics_collector.store.places import Place
from testlytics_collector.store.store import open_store

if TYPE_CHECKING:
    from testlytics_collector.formats.interface import Read
    from testlytics_collector.records import Attempt

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


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
        tickets: How its answers are found: one, or one for each upload of an archive file.
    """

    result: FileResult
    tickets: tuple[spool.Ticket, ...]


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
    store: Path,
    body: Path,
    name: str,
    stated: Stated,
    bounds: Bounds,
    place: Place | None = None,
) -> FileResult | Handed:
    """Read a body and put its results into the spool.

    Args:
        store: The store's file.
        body: The file that holds the body.
        name: What the client calls it, for dialects that speak through file names.
        stated: What the client says of it; wins over what it says itself.
        bounds: What it may be.
        place: Where its commit stands, as the client says; None where it says nothing.

    Returns:
        The answer, where the same bytes are stored already; else the upload in the spool.

    Raises:
        InputError: It cannot be read, or is too much.
        StoreError: The store or its spool cannot be used.
    """
    limits = Limits(size=bounds.size)
    try:
        if _is_archive(body):
            return _hand_in_archive(store, body, name, stated, bounds, place)
        with intake.opened(str(body), limits) as (stream, digest, form, read):
            with open_store(store) as opened:
                known = intake.known(opened, digest, stated)
            if known is not None:
                return FileResult(name, form, *known)
            with spool.spooling(store, stated.project) as spooled:
                origin = Origin(digest, name)
                reading = _read(read, stream, _Bounded(spooled, bounds.attempts), origin, limits)
                spooled.measure(reading.measurements)
                upload = stated.apply(reading.upload)
                now_us = time.time_ns() // 1000
                ticket = spooled.hand_in(
                    upload,
                    digest=digest,
                    form=form,
                    path=name,
                    now_us=now_us,
                    place=place,
                    lasting=False,  # acknowledged when it is committed, not before
                )
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"The body cannot be decompressed: {intake.reason(error)}.",
            slug="http-gzip",
            hint="Send the whole of what gzip wrote.",
        ) from error
    counts, problems = reading.counts, reading.problems
    result = FileResult(name, form, Status.SPOOLED, upload.run_id, counts, problems)
    return Handed(result, (ticket,))


def _is_archive(body: Path) -> bool:
    with body.open("rb") as plain:
        if plain.read(2) != GZIP:
            plain.seek(0)
            return plain.read(4) == archived.MAGIC
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) as unpacked:
            return unpacked.read(4) == archived.MAGIC


def _hand_in_archive(
    store: Path, body: Path, name: str, stated: Stated, bounds: Bounds, place: Place | None
) -> Handed:
    if place is not None or replace(stated, project=None) != Stated():
        raise InputError(
            "A file of an archive says all of its run itself; the query says something of it.",
            slug="archive-stated",
            hint="Leave all parameters out but project and name.",
        )
    most = archived.Bounds(rows=bounds.attempts, size=bounds.size)
    now_us = time.time_ns() // 1000
    with _unpacked(store, body, bounds) as path:
        arrived = archived.hand_in(
            store, path, name=name, project=stated.project, bounds=most, now_us=now_us
        )
    result = FileResult(name, archived.FORM, Status.SPOOLED, arrived.run_id, arrived.counts)
    return Handed(result, arrived.tickets)


@contextlib.contextmanager
def _unpacked(store: Path, body: Path, bounds: Bounds) -> Iterator[Path]:
    """Give a file of what gzip packed; an archive file is packed itself and shrinks no further."""
    with body.open("rb") as plain:
        if plain.read(2) != GZIP:
            yield body
            return
        plain.seek(0)
        left = min(bounds.size, bounds.body)
        with body_file(store) as (path, file), gzip.GzipFile(fileobj=plain) as unpacked:
            while chunk := unpacked.read(min(_CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise InputError(
                        f"The archive file is larger than {bounds.body / 2**20:g} MiB.",
                        slug="too-large",
                        hint="Send it as it is, or raise the bound with serve --max-body.",
                    )
                file.write(chunk)
            yield path


def _read(read: Read, stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    return read(stream, sink, origin, limits)


def answered(result: FileResult, answers: Sequence[spool.Answer]) -> FileResult:
    """Return what is said of an upload, now that the writer has answered.

    Args:
        result: What is known of it.
        answers: One, or one for each upload of an archive file. It is stored where one of them is.

    Raises:
        StoreError: What was in the spool could not be read any more.
    """
    problems = tuple(problem for one in answers for problem in one.problems)
    if any(one.status == Status.REFUSED for one in answers):
        why = " ".join(problem.text for problem in problems)
        raise StoreError(why, slug="store-failed", hint="Send it again; it was not stored.")
    stored = any(one.status == Status.STORED for one in answers)
    return replace(
        result,
        status=Status.STORED if stored else Status(answers[0].status),
        counts=result.counts if stored else None,
        problems=(*(result.problems if stored else ()), *problems),
    )
