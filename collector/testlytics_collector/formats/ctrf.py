"""Reads CTRF, the Common Test Report Format: JSON of many test runners.

Each retry is an attempt. Where a report only counts retries, they failed: a test that passed is not
tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.junit.identity import LONGEST_ID
from testlytics_collector.formats.measured import full_commit, upload_of
from testlytics_collector.formats.rows import Rows, microseconds
from testlytics_collector.formats.text import bounded, printable
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import Note, NoteKind, Outcome

_OUTCOMES = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "skipped": Outcome.SKIPPED,
    "pending": Outcome.SKIPPED,
    "other": Outcome.UNKNOWN,
}
_MOST_RETRIES = 1_000
_MS = 1e3


class _Tried(msgspec.Struct, rename="camel"):
    status: str
    attempt: int | None = None
    duration: float | None = None
    start: float | None = None
    message: str | None = None
    trace: str | None = None


class _Test(_Tried, rename="camel", kw_only=True):
    name: str
    suite: str | list[str] | None = None
    file_path: str | None = None
    retries: int | None = None
    retry_attempts: list[_Tried] | None = None
    flaky: bool | None = None
    tags: list[str] | None = None
    thread_id: str | None = None


class _Summary(msgspec.Struct):
    start: float | None = None
    stop: float | None = None


class _Tool(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Environment(msgspec.Struct, rename="camel"):
    commit: str | None = None
    branch_name: str | None = None


class _Results(msgspec.Struct):
    tests: list[_Test]
    tool: _Tool | None = None
    summary: _Summary | None = None
    environment: _Environment | None = None


class _Ctrf(msgspec.Struct):
    results: _Results


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    """Read one report; see `interface.Read`."""
    told = documents.read(stream, _Ctrf, "CTRF JSON").results
    rows = Rows(sink, limits)
    summary = told.summary or _Summary()
    # Tools that do not know the time write 0.
    rows.started_us = microseconds(summary.start, _MS) or None
    for at, test in enumerate(told.tests):
        _take(rows, test, f"$.results.tests[{at}]")
    tool, where = told.tool or _Tool(), told.environment or _Environment()
    producer = " ".join(filter(None, (text_of(tool.name), text_of(tool.version))))
    upload = upload_of(
        origin,
        producer or None,
        rows.started_us,
        ended_us=microseconds(summary.stop, _MS) or None,
        commit=full_commit(where.commit),
        branch=text_of(where.branch_name),
    )
    return rows.reading(upload)


def _take(rows: Rows, test: _Test, place: str) -> None:
    test_id = _test_id(test)
    if test_id is None:
        rows.say(f"{place} has no name; left out.")
        return
    test_id = rows.stable(test_id)
    notes: list[Note] = []
    for tag in test.tags or ():
        if name := text_of(tag):
            rows.notebook.add(notes, NoteKind.TAG, name, "")
    for tried in _earlier(rows, test, place):
        _add(rows, test_id, tried, place)
    _add(rows, test_id, test, place, text_of(test.thread_id), tuple(notes))


def _test_id(test: _Test) -> str | None:
    name = text_of(test.name)
    suites = [test.suite] if isinstance(test.suite, str) else test.suite or []
    parts = [text_of(test.file_path), *map(text_of, suites)]
    if name is None:
        return None
    # Some tools repeat the file as the outermost suite.
    before = list(dict.fromkeys(part.replace("\\", "/") for part in parts if part))
    return bounded("::".join([*before, name]), LONGEST_ID)


def _earlier(rows: Rows, test: _Test, place: str) -> Sequence[_Tried]:
    """Return the attempts before the one that the test itself tells of."""
    told = sorted(test.retry_attempts or (), key=lambda one: one.attempt or 0)
    if told:
        # Some tools list the last attempt as well.
        has_last = (
            len(told) > test.retries
            if test.retries is not None
            else told[-1].status == test.status == "passed"
        )
        return told[:-1] if has_last else told
    retries = test.retries or 0
    if not 0 <= retries <= _MOST_RETRIES:
        rows.say(f"{place}.retries is {retries}; left out.")
        retries = 0
    return [_Tried("failed")] * max(retries, int(bool(test.flaky) and test.status == "passed"))


def _add(
    rows: Rows,
    test_id: str,
    tried: _Tried,
    place: str,
    worker: str | None = None,
    notes: tuple[Note, ...] = (),
) -> None:
    outcome = _OUTCOMES.get(tried.status)
    if outcome is None:
        rows.say(f"{place}.status is {printable(tried.status)}; stored as unknown.")
        outcome = Outcome.UNKNOWN
    failure = None
    if outcome is not Outcome.PASSED:
        failure = rows.failure(None, tried.message, tried.trace)
    rows.add(
        test_id,
        outcome,
        duration_us=microseconds(tried.duration, _MS),
        started_us=microseconds(tried.start, _MS) or None,
        worker=worker,
        failure=failure,
        notes=notes,
    )
