"""Reads the run file, the JSON Lines that the pytest plugin writes.

The format is described in `docs/reference/run-file.md`. A file whose writer died is read up to its
last complete line, and the test that was running then becomes a crashed attempt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO, Literal

import msgspec

from testlytics_collector.errors import InputError
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.notes import Notebook
from testlytics_collector.formats.text import bounded, printable
from testlytics_collector.formats.unstable import Stabiliser
from testlytics_collector.formats.values import object_of, strings_of, text_of
from testlytics_collector.records import (
    Attempt,
    Counts,
    Failure,
    Note,
    NoteKind,
    Outcome,
    Problem,
    Upload,
)

_MAJOR = 1
_MOST_ATTEMPTS = 2**15
_MOST_US = 2**62
_PASSED = Outcome.PASSED
_LINE_BYTES = 64 * 2**20
_CHUNK = 1 << 18
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_COUNTED = {Outcome.CRASHED: "errored", Outcome.INTERRUPTED: "unknown"}
_HINT = "A run file is what pytest --testlytics writes; see docs/reference/run-file.md."


_Us = Annotated[int, msgspec.Meta(ge=0, lt=_MOST_US)]


class _Pass(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The line of an attempt of which there is nothing to tell but its times: nearly all are."""

    type: Literal["attempt"]
    test_id: Annotated[str, msgspec.Meta(min_length=1)]
    attempt: Annotated[int, msgspec.Meta(gt=0, lt=_MOST_ATTEMPTS)]
    outcome: Literal["passed"]
    started_us: _Us
    setup_us: _Us
    call_us: _Us
    teardown_us: _Us
    worker: str | None = None


_pass_of = msgspec.json.Decoder(_Pass).decode


def looks_like(head: bytes) -> bool:
    """Tell whether an input that begins with these bytes is meant to be JSON Lines."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def read(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:
    """Read a run file; see `interface.Read`."""
    return _Reader(sink, origin, limits).read(stream)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines; a longer one than `_LINE_BYTES` is cut, and so an error."""
    while chunk := stream.read(_CHUNK):
        if not chunk.endswith(b"\n"):
            chunk += stream.readline(_LINE_BYTES)
        yield from chunk.removesuffix(b"\n").split(b"\n")


@dataclass(slots=True)
class _Reader:
    sink: Sink
    origin: Origin
    limits: Limits
    line: int = 0
    attempt_lines: int = 0
    header: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    running: dict[str | None, dict[str, Any]] = field(default_factory=dict)
    done: dict[str | None, int] = field(default_factory=dict)
    started_us: int | None = None
    last_us: int | None = None
    batch: list[Attempt] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    attempts_of: dict[int, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    stabiliser: Stabiliser = field(default_factory=Stabiliser)
    notebook: Notebook = field(init=False)

    def __post_init__(self) -> None:
        self.notebook = Notebook(self.limits)

    def read(self, stream: BinaryIO) -> Reading:
        torn: InputError | None = None
        for raw in _lines(stream):
            self.line += 1
            if torn is not None:
                raise torn
            try:
                told = self._take_pass(_pass_of(raw))
            except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
                told = False
            if told or not raw.strip():
                continue
            try:
                value = json.loads(raw)
            except (ValueError, RecursionError) as error:
                torn = InputError(
                    f"Not a JSON object: {printable(raw[:60])}.",
                    slug="run-file-line",
                    hint=_HINT,
                    line=self.line,
                )
                torn.__cause__ = error
                continue
            self._take(value)
        return self._finish(torn)

    def _take_pass(self, line: _Pass) -> bool:
        """Take the line of an attempt, unless it needs a closer look.

        Returns:
            Whether it was taken; else nothing was done.
        """
        worker, test_id = line.worker, line.test_id
        if (
            self.header is None
            or not test_id.isascii()
            or "[" in test_id
            or "\0" in test_id
            or not (worker is None or worker in self.done or text_of(worker) is worker)
        ):
            return False
        self.attempt_lines += 1
        self.done[worker] = self.done.get(worker, 0) + 1
        number, setup, teardown, started = (
            line.attempt,
            line.setup_us,
            line.teardown_us,
            line.started_us,
        )
        self.attempts_of[hash(test_id)] = number
        taken = setup + line.call_us + teardown
        if self.last_us is None or started + taken > self.last_us:
            self.last_us = started + taken
        self.counts.passed += 1
        self.batch.append(
            Attempt(test_id, number, _PASSED, taken, setup, teardown, started, worker)
        )
        if len(self.batch) >= self.limits.batch:
            self._hand_out()
        return True

    def _take(self, value: object) -> None:
        if not isinstance(value, dict):
            raise self._wrong("Not a JSON object", value)
        kind = value.get("type")
        if self.header is None:
            self._open(value, kind)
        elif kind == "attempt":
            self.attempt_lines += 1
            worker = text_of(value.get("worker"))
            self.done[worker] = self.done.get(worker, 0) + 1
            self._attempt(value)
        elif kind == "collect":
            self._attempt({"attempt": 1, **value})
        elif kind == "running":
            self.running[text_of(value.get("worker"))] = value
        elif kind == "end":
            self.end = value

    def _open(self, value: dict[str, Any], kind: object) -> None:
        if kind != "run":
            raise self._wrong('A run file begins with a line of "type":"run"', kind)
        version = str(value.get("schema_version", ""))
        major = version.partition(".")[0]
        if not (major.isdecimal() and len(major) < 10) or int(major) < 1:
            raise self._wrong("The schema_version is missing or unreadable", version)
        if int(major) > _MAJOR:
            raise InputError(
                f"The run file has schema {version}; this testlytics reads {_MAJOR}.x.",
                slug="run-file-newer",
                hint="Update with: pip install -U testlytics",
                line=self.line,
            )
        if not text_of(value.get("upload_id")):
            raise self._wrong("The upload_id is missing", value.get("upload_id"))
        self.header = value
        self.started_us = self._whole(value, "started_us")
        if self.started_us is not None:
            self.stabiliser.epoch = str(self.started_us)[:4]
        if project := text_of(value.get("project")):
            self.sink.begin(project)

    def _attempt(self, value: dict[str, Any]) -> None:
        test_id = text_of(value.get("test_id"))
        if not test_id:
            raise self._wrong("An attempt without test_id", value.get("test_id"))
        test_id = self._stable(test_id)
        word = value.get("outcome")
        outcome = _OUTCOMES.get(word) if isinstance(word, str) else None
        if outcome is None:
            self._problem(f"Unknown outcome {printable(word)}; stored as unknown.")
            outcome = Outcome.UNKNOWN
        setup, call, teardown = (
            self._whole(value, key) for key in ("setup_us", "call_us", "teardown_us")
        )
        phases = [phase for phase in (setup, call, teardown) if phase is not None]
        worker = text_of(value.get("worker"))
        started = self._whole(value, "started_us")
        if started is not None:
            self.last_us = max(self.last_us or 0, started + sum(phases))
        self._write(
            Attempt(
                test_id,
                self._number(test_id, value),
                outcome,
                sum(phases) if phases else None,
                setup,
                teardown,
                started,
                worker,
                self._failure(value.get("failure")),
                self._notes(value),
            )
        )

    def _stable(self, node_id: str) -> str:
        """Replace what differs from run to run in the parameters of a node id."""
        start = node_id.find("[", node_id.find("::") + 1)
        if start < 0:
            return node_id
        name = node_id.rfind("::", 0, start) + 2 if "::" in node_id[:start] else 0
        prefix = node_id[:name]
        return prefix + self.stabiliser.stable(prefix, node_id[name:], self.started_us)

    def _notes(self, value: dict[str, Any]) -> tuple[Note, ...]:
        if "markers" not in value and "properties" not in value:
            return ()
        notes: list[Note] = []
        for name, text in strings_of(value.get("markers")):
            self.notebook.add(notes, NoteKind.TAG, name, text)
        for name, text in strings_of(value.get("properties")):
            self.notebook.add_property(notes, name, text)
        return tuple(notes)

    def _number(self, test_id: str, value: dict[str, Any]) -> int:
        """Count attempts of a test in file order where the file does not say which it is."""
        key = hash(test_id)
        known = self.attempts_of.get(key, 0)
        number = known + 1
        said = value.get("attempt")
        # Different tests may have got one id, and each began its count anew.
        if type(said) is int and 0 < said < _MOST_ATTEMPTS:
            number = said if said > known or test_id == value["test_id"] else number
        self.attempts_of[key] = number
        return number

    def _failure(self, value: object) -> Failure | None:
        if not isinstance(value, dict):
            return None
        kind, message, text, place = (
            text_of(value.get(key)) for key in ("type", "message", "text", "place")
        )
        if not (kind or message or text or place):
            return None
        return Failure(
            kind,
            bounded(message, self.limits.message_chars),
            bounded(text, self.limits.text_chars),
            place,
        )

    def _whole(self, value: dict[str, Any], key: str) -> int | None:
        number = value.get(key)
        if number is None or (type(number) is int and 0 <= number < _MOST_US):
            return number
        self._problem(f"{key} is {printable(number)}, not a whole number from 0; left out.")
        return None

    def _write(self, attempt: Attempt) -> None:
        counts = self.counts
        name = _COUNTED.get(attempt.outcome, attempt.outcome.value)
        setattr(counts, name, getattr(counts, name) + 1)
        self.batch.append(attempt)
        if len(self.batch) >= self.limits.batch:
            self._hand_out()

    def _hand_out(self) -> None:
        self.sink.write(self.batch)
        self.counts.attempts += len(self.batch)
        self.batch = []

    def _finish(self, torn: InputError | None) -> Reading:
        if self.header is None:
            raise torn or InputError(
                "The file is empty; a run file was expected.", slug="empty", hint=_HINT
            )
        if torn is not None and self.end is not None:
            raise torn
        if torn is not None:
            self._problem("The last line is cut off; read up to the line before.")
        if self.end is None:
            self._name_running()
        elif self.end.get("attempts") not in (None, self.attempt_lines):
            self._problem(
                f"The file says it holds {printable(self.end['attempts'])} attempts, "
                f"but {self.attempt_lines} were found."
            )
        for told in (self.stabiliser.problem(), *self.notebook.problems()):
            if told is not None:
                self._problem(told)
        if self.batch:
            self._hand_out()
        self.counts.testcases = self.counts.attempts
        self.counts.tests = len(self.attempts_of)
        return Reading(self._upload(self.header), self.counts, tuple(self.problems))

    def _name_running(self) -> None:
        """Add the tests that were running when the writer died."""
        names = []
        for worker, slot in self.running.items():
            test_id, done = text_of(slot.get("test_id")), slot.get("done")
            if not test_id or not isinstance(done, int) or self.done.get(worker, 0) > done:
                continue
            names.append(printable(test_id))
            test_id = self._stable(test_id)
            why = Failure(None, "The test process died while this test was running.", None, None)
            self._write(
                Attempt(
                    test_id,
                    self._number(test_id, {}),
                    Outcome.CRASHED,
                    started_us=self._whole(slot, "started_us"),
                    worker=worker,
                    failure=why,
                )
            )
        while_running = f" while running {', '.join(names)}" if names else ""
        self._problem(f"The run did not end: the test process died{while_running}.")

    def _upload(self, header: dict[str, Any]) -> Upload:
        sources, ci = object_of(header.get("sources")), object_of(header.get("ci"))
        upload_id = text_of(header["upload_id"]) or ""
        attempt = ci.get("run_attempt")
        end = self.end or {}
        dirty = sources.get("dirty")
        return Upload(
            upload_id=upload_id,
            run_id=text_of(header.get("run_id")) or upload_id,
            project=text_of(header.get("project")) or "default",
            producer=text_of(header.get("producer")),
            started_us=self.started_us,
            ended_us=self._whole(end, "ended_us") or self.last_us,
            complete=self.end is not None,
            exit_status=self._whole(end, "exit_status"),
            run_attempt=attempt if type(attempt) is int and 0 < attempt < 2**31 else 1,
            shard=text_of(ci.get("shard")),
            variant={
                key: text
                for key, value in object_of(header.get("variant")).items()
                if (text := text_of(value)) is not None
            },
            commit=text_of(sources.get("commit")),
            tree_sha=text_of(sources.get("tree_sha")),
            dirty=dirty if isinstance(dirty, bool) else None,
            branch=text_of(sources.get("branch")),
            pull_request=text_of(sources.get("pull_request")),
            ci=text_of(ci.get("provider")),
            ci_url=text_of(ci.get("url")),
        )

    def _problem(self, text: str) -> None:
        if len(self.problems) < self.limits.problems:
            self.problems.append(Problem(text, self.line))

    def _wrong(self, what: str, value: object) -> InputError:
        return InputError(
            f"{what}: {printable(value)}.",
            slug="run-file-line",
            hint=_HINT,
            line=self.line,
        )
