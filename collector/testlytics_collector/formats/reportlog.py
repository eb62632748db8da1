"""Reads what `pytest --report-log` writes: JSON Lines, a line for each phase of each test.

A test is told when its teardown was: under xdist the lines of several stand in each other's way. A
file whose writer died is read up to its last whole line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from testlytics_collector.errors import InputError
from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.measured import upload_of
from testlytics_collector.formats.rows import Rows, microseconds
from testlytics_collector.formats.text import printable
from testlytics_collector.formats.values import object_of, text_of
from testlytics_collector.records import Failure, Outcome

_S = 1e6
_WHAT = "pytest-reportlog"
_LINE_BYTES = 64 << 20
_MOST_OPEN = 100_000


class _Line(msgspec.Struct):
    kind: str | None = msgspec.field(name="$report_type", default=None)
    nodeid: str | None = None
    when: str | None = None
    outcome: str | None = None
    longrepr: Any = None
    duration: float | None = None
    start: float | None = None
    wasxfail: str | None = None
    worker_id: str | None = None
    pytest_version: str | None = None
    exitstatus: int | None = None


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    """Read one log; see `interface.Read`."""
    return _Reader(Rows(sink, limits)).read(stream, origin)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_LINE_BYTES):
        yield line


class _Reader:
    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._open: dict[str, list[_Line]] = {}
        self._version: str | None = None
        self._exit: int | None = None
        self._ended = False
        self._number = 0

    def read(self, stream: BinaryIO, origin: Origin) -> Reading:
        torn: InputError | None = None
        for self._number, raw in enumerate(_lines(stream), 1):
            if torn is not None:
                raise torn
            if not raw.strip():
                continue
            try:
                self._take(documents.decode(raw, _Line, _WHAT, self._number))
            except InputError as error:
                if error.slug != "document-json":
                    raise
                torn = error
        if torn is not None:
            self._rows.say("The last line is cut off; read up to the line before.", self._number)
        return self._finish(origin)

    def _take(self, line: _Line) -> None:
        if line.kind == "SessionStart":
            self._version = text_of(line.pytest_version)
        elif line.kind == "SessionFinish":
            self._ended, self._exit = True, line.exitstatus
        elif line.kind == "CollectReport" and line.outcome == "failed":
            if name := text_of(line.nodeid):
                self._rows.add(name, Outcome.ERRORED, failure=self._why(line))
        elif line.kind == "TestReport":
            self._phase(line)

    def _phase(self, line: _Line) -> None:
        name = text_of(line.nodeid)
        if name is None:
            self._rows.say("A test without nodeid; left out.", self._number)
            return
        began = microseconds(line.start, _S)
        if began is not None and self._rows.started_us is None:
            self._rows.started_us = began
        phases = self._open.setdefault(name, [])
        phases.append(line)
        if line.when == "teardown":
            self._close(name, self._open.pop(name))
        elif len(self._open) > _MOST_OPEN or len(phases) > _MOST_OPEN:
            raise InputError(
                f"More than {_MOST_OPEN} phases without a teardown.",
                slug="document-shape",
                hint="The file is not what pytest --report-log writes.",
                line=self._number,
            )

    def _close(self, name: str, phases: list[_Line], *, died: bool = False) -> None:
        rows = self._rows
        by_when = {one.when: microseconds(one.duration, _S) for one in phases}
        known = [one for one in by_when.values() if one is not None]
        bad = next((one for one in phases if one.outcome != "passed"), None)
        outcome = Outcome.CRASHED if died else self._outcome(bad, phases)
        failure = self._why(bad) if bad is not None else None
        if died and failure is None:
            failure = rows.failure(None, "The test process died in this test.", None)
        rows.add(
            rows.stable(name),
            outcome,
            duration_us=sum(known) if known else None,
            setup_us=by_when.get("setup"),
            teardown_us=by_when.get("teardown"),
            started_us=microseconds(phases[0].start, _S),
            worker=text_of(phases[0].worker_id),
            failure=failure,
        )

    def _outcome(self, bad: _Line | None, phases: list[_Line]) -> Outcome:
        call = next((one for one in phases if one.when == "call"), None)
        if bad is None:
            return Outcome.XPASSED if call is not None and call.wasxfail else Outcome.PASSED
        if bad.outcome == "skipped":
            return Outcome.SKIPPED if bad.wasxfail is None else Outcome.XFAILED
        if bad.outcome in {"failed", "rerun"}:
            return Outcome.FAILED if bad.when == "call" else Outcome.ERRORED
        self._rows.say(f"Unknown outcome {printable(bad.outcome)}; stored as unknown.")
        return Outcome.UNKNOWN

    def _why(self, line: _Line) -> Failure | None:
        told = line.longrepr
        if isinstance(told, str):
            return self._rows.failure(None, line.wasxfail, told)
        if isinstance(told, list):  # of a skip: file, line, reason
            reason = text_of(told[-1]) if told else None
            return self._rows.failure(None, reason, None)
        crash = object_of(object_of(told).get("reprcrash"))
        message, path = text_of(crash.get("message")), text_of(crash.get("path"))
        kind, colon, _ = (message or "").partition(":")
        number = crash.get("lineno")
        place = f"{path}:{number}" if path and type(number) is int else path
        type_ = kind if colon and kind.replace(".", "").isidentifier() else None
        return self._rows.failure(type_, message, _trace(told), place)

    def _finish(self, origin: Origin) -> Reading:
        for name, phases in self._open.items():
            self._close(name, phases, died=True)
        if not self._ended:
            died = ", ".join(printable(name) for name in list(self._open)[:5])
            self._rows.say(f"The run did not end{died and f'; it died in {died}'}.")
        version = f"pytest {self._version}" if self._version else "pytest"
        known = self._exit is not None and 0 <= self._exit < 2**31
        upload = upload_of(
            origin,
            version,
            self._rows.started_us,
            ended_us=self._rows.ended_us,
            complete=self._ended,
            exit_status=self._exit if known else None,
        )
        return self._rows.reading(upload)


def _trace(told: object) -> str | None:
    """Return the lines of a traceback, as they were shown."""
    entries = object_of(object_of(told).get("reprtraceback")).get("reprentries")
    lines: list[str] = []
    for entry in entries if isinstance(entries, list) else ():
        shown = object_of(object_of(entry).get("data")).get("lines")
        lines += [one for one in shown if isinstance(one, str)] if isinstance(shown, list) else []
    return "\n".join(lines) or None
