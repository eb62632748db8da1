"""Reads what pytest-json-report writes: one document with the phases of each test."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.measured import upload_of
from testlytics_collector.formats.rows import Rows, microseconds
from testlytics_collector.formats.text import printable
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import Failure, Outcome

_OUTCOMES = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "error": Outcome.ERRORED,
    "skipped": Outcome.SKIPPED,
    "xfailed": Outcome.XFAILED,
    "xpassed": Outcome.XPASSED,
    "rerun": Outcome.FAILED,
}
_S = 1e6


class _Crash(msgspec.Struct):
    path: str | None = None
    lineno: int | None = None
    message: str | None = None


class _Phase(msgspec.Struct):
    outcome: str | None = None
    duration: float | None = None
    longrepr: str | None = None
    crash: _Crash | None = None


class _Test(msgspec.Struct):
    nodeid: str
    outcome: str
    setup: _Phase | None = None
    call: _Phase | None = None
    teardown: _Phase | None = None


class _Collector(msgspec.Struct):
    nodeid: str
    outcome: str
    longrepr: str | None = None


class _Document(msgspec.Struct):
    created: float
    exitcode: int | None = None
    duration: float | None = None
    root: str | None = None
    tests: list[_Test] = []
    collectors: list[_Collector] = []


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    """Read one report; see `interface.Read`."""
    told = documents.read(stream, _Document, "pytest-json-report")
    rows = Rows(sink, limits)
    ended_us = microseconds(told.created, _S)
    lasted_us = microseconds(told.duration, _S)
    if ended_us is not None and lasted_us is not None and lasted_us <= ended_us:
        rows.started_us = ended_us - lasted_us  # it is created when the session has ended
    for at, one in enumerate(told.collectors):
        if one.outcome == "failed" and (name := text_of(one.nodeid)):
            rows.add(name, Outcome.ERRORED, failure=rows.failure(None, None, one.longrepr))
        elif one.outcome == "failed":
            rows.say(f"$.collectors[{at}] has no nodeid; left out.")
    for at, test in enumerate(told.tests):
        _take(rows, test, f"$.tests[{at}]", told.root)
    exit_status = told.exitcode
    return rows.reading(
        upload_of(
            origin,
            "pytest-json-report",
            rows.started_us,
            ended_us=ended_us,
            exit_status=exit_status if exit_status is None or 0 <= exit_status < 2**31 else None,
            complete=True,
        )
    )


def _take(rows: Rows, test: _Test, place: str, root: str | None) -> None:
    name = text_of(test.nodeid)
    if name is None:
        rows.say(f"{place} has no nodeid; left out.")
        return
    outcome = _OUTCOMES.get(test.outcome)
    if outcome is None:
        rows.say(f"{place}.outcome is {printable(test.outcome)}; stored as unknown.")
        outcome = Outcome.UNKNOWN
    setup, call, teardown = (
        microseconds(phase.duration, _S) if phase else None
        for phase in (test.setup, test.call, test.teardown)
    )
    known = [phase for phase in (setup, call, teardown) if phase is not None]
    rows.add(
        rows.stable(name),
        outcome,
        duration_us=sum(known) if known else None,
        setup_us=setup,
        teardown_us=teardown,
        failure=_failure(rows, test, outcome, root),
    )


def _failure(rows: Rows, test: _Test, outcome: Outcome, root: str | None) -> Failure | None:
    """Return what the first phase that did not pass says of it."""
    if outcome in {Outcome.PASSED, Outcome.XPASSED}:
        return None
    phases = [phase for phase in (test.setup, test.call, test.teardown) if phase is not None]
    phase = next((one for one in phases if one.outcome != "passed"), None)
    if phase is None:
        return None
    crash = phase.crash or _Crash()
    kind, colon, _ = (crash.message or "").partition(":")
    place = (crash.path or "").removeprefix(f"{root}/") if root else crash.path
    if place and crash.lineno is not None:
        place = f"{place}:{crash.lineno}"
    type_ = kind if colon and kind.replace(".", "").isidentifier() else None
    return rows.failure(type_, crash.message, phase.longrepr, place)
