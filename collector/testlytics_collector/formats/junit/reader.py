"""The reader: one pass over a document, or a refusal that says why."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import BinaryIO
from xml.parsers import expat

from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.junit import refusal
from testlytics_collector.formats.junit.encoding import CHUNK, decoded, encoding_of
from testlytics_collector.formats.junit.findings import Findings
from testlytics_collector.formats.junit.parser import Handler
from testlytics_collector.formats.junit.repair import Repair
from testlytics_collector.formats.junit.results import Results
from testlytics_collector.formats.junit.rows import Rows
from testlytics_collector.records import Upload

HEAVY = 8 << 20
"""Bytes read after which attempts go out though they are no full batch: they may be big ones."""

LONGEST_TOKEN = 32 << 20
"""Bytes of the longest tag that is read: expat keeps all of it in memory, more than once."""

MOST_NAMES = 20_000
"""How many different element and attribute names are read: expat never lets go of one."""

MOST_DECLARED = 1_000
"""How many attribute declarations of a document type are read: each costs time per element."""

MOST_ATTRIBUTES = 200_000
"""How many attributes one long tag may have: each costs a few hundred bytes."""

_BAZEL_ATTEMPT = re.compile(r"test_attempts[/\\]attempt_(\d{1,4})\.xml$")


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    """Read one JUnit XML document.

    Args:
        stream: The document from its first byte, decompressed.
        sink: Where its attempts go, in document order.
        origin: Digest and path of the document.
        limits: Bounds on what is taken from it.

    Returns:
        Where the results come from, how many there were, and what a person should know.

    Raises:
        InputError: The document is not well-formed, not complete, or no test report. The sink's
            attempts must be discarded then.
    """
    head = stream.read(CHUNK)
    encoded = encoding_of(head)
    repair = Repair() if limits.repair else None
    recode = repair is not None or encoded.native is None
    parser = expat.ParserCreate("utf-8" if recode else encoded.native or None)
    findings = Findings(
        limits.problems, lambda: (parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
    )
    attempt = _BAZEL_ATTEMPT.search(origin.name)
    rows = Rows(sink, limits.batch, int(attempt[1]) if attempt else 1)
    results = Results(rows, findings, limits)
    handler = Handler(results, limits, parser)
    _connect(parser, handler)
    chunks: Iterator[bytes] = chain((head,), iter(lambda: stream.read(CHUNK), b""))
    if recode:
        text = decoded(chunks, encoded.codec)
        chunks = (piece.encode() for piece in (repair.text(text) if repair else text))
    with _without_collector():
        _feed(parser, handler, chunks, repair)
        refusal.unless_junit(handler.root, handler.foreign, len(rows.pending) + rows.written)
        return _reading(results, origin, repair)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the search for reference cycles off: rows are in none, and it costs a tenth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _connect(parser: expat.XMLParserType, handler: Handler) -> None:
    attributes = 0

    def refuse_entity(*_: object) -> None:
        raise refusal.entity(parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)

    def bound_attributes(*_: object) -> None:
        nonlocal attributes
        attributes += 1
        if attributes > MOST_DECLARED:
            raise refusal.too_many("attribute declarations", MOST_DECLARED)

    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    # Defaults from a document type could be long, and would be repeated on every element.
    parser.specified_attributes = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.EntityDeclHandler = refuse_entity
    parser.AttlistDeclHandler = bound_attributes


def _feed(
    parser: expat.XMLParserType, handler: Handler, chunks: Iterator[bytes], repair: Repair | None
) -> None:
    fed = attributes = heavy = 0
    chunk = b""
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
            fed += len(chunk)
            pending = fed - parser.CurrentByteIndex
            if pending > LONGEST_TOKEN:
                raise refusal.too_long(LONGEST_TOKEN, parser.CurrentLineNumber)
            attributes = attributes + chunk.count(b'="') if pending > len(chunk) else 0
            if attributes > MOST_ATTRIBUTES:
                raise refusal.too_many("attributes in one tag", MOST_ATTRIBUTES)
            heavy += len(chunk)
            handler.settle(heavy=heavy > HEAVY)
            heavy = heavy if heavy <= HEAVY else 0
            if len(parser.intern) > MOST_NAMES:
                raise refusal.too_many("different element and attribute names", MOST_NAMES)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if repair is not None and handler.closed:
            end = chunk[max(parser.ErrorByteIndex - fed, 0) :]
            if all(
                repair.is_trailing_junk(rest.decode("utf-8", "replace"))
                for rest in chain((end,), chunks)
            ):
                return
        raise refusal.not_well_formed(error, handler, chunk) from error
    except UnicodeError as error:
        raise refusal.not_text(error) from error


def _reading(results: Results, origin: Origin, repair: Repair | None) -> Reading:
    counts, suites, findings = results.finished(), results.suites, results.findings
    dialect = results.namer.recognised()
    for text in (
        repair.summary() if repair else None,
        suites.disagreement(counts, counts.attempts),
        None if dialect.utc else suites.zoneless(),
        results.namer.stabiliser.problem(),
        *results.notebook.problems(),
    ):
        if text is not None:
            findings.say(text)
    run_id = origin.digest[:32]
    upload = Upload(
        upload_id=run_id,
        run_id=run_id,
        producer=dialect.tool,
        started_us=suites.started_us,
        ended_us=suites.ended_us if dialect.wall_time else None,
    )
    return Reading(upload, counts, findings.all())
