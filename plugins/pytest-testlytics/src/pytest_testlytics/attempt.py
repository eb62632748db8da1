"""One attempt of one test while its reports come in, and the line that is written of it.

Knows phases, outcomes and records; nothing of pytest or clocks.
"""

from __future__ import annotations

import json
from typing import Any

from pytest_testlytics.failure import Failure
from pytest_testlytics.runfile import Slot
from pytest_testlytics.text import clean, dump, quote

FAILING = frozenset(["failed", "errored", "crashed"])


class Story:
    """What there is to say of an attempt beside its times. Most attempts have none.

    Attributes:
        outcome: As in the run file.
        phase: The phase that decided, None while all passed.
        also: A second phase that failed.
        failure: Of the phase that decided; empty where there is nothing to say.
        raw_outcome: The word of another plugin that has no meaning here.
        subtests: How many subtests reported.
        subtests_failed: How many of them failed.
        subtest_failure: The failure of the first of these.
        clock_mocked: Whether durations are our own because the reported ones are impossible.
        extras: Further keys of the line, such as what the test recorded.
    """

    def __init__(self) -> None:
        self.outcome = "passed"
        self.phase: str | None = None
        self.also: str | None = None
        self.failure: Failure = {}
        self.raw_outcome: str | None = None
        self.subtests = 0
        self.subtests_failed = 0
        self.subtest_failure: Failure = {}
        self.clock_mocked = False
        self.extras: dict[str, Any] = {}

    def take(self, outcome: str, phase: str | None, failure: Failure) -> None:
        """Take in how one phase ended.

        A failure overrides a pass, a skip and an expected failure of an earlier phase; the first
        failure is never overridden; a skip in the teardown does not undo a pass.

        Args:
            outcome: Of the phase, as in the run file; not `passed`.
            phase: `setup`, `call` or `teardown`, None where a process died in an unknown one.
            failure: Why.
        """
        if outcome in FAILING:
            if self.outcome in FAILING:
                self.also = phase
                return
        elif self.phase is not None:
            return
        elif phase == "teardown":
            self.failure = failure
            return
        self.outcome, self.phase, self.failure = outcome, phase, failure

    def take_subtest(self, failure: Failure | None) -> None:
        """Count a subtest; with a failure, count it as failed."""
        self.subtests += 1
        if failure is not None:
            self.subtests_failed += 1
            self.subtest_failure = self.subtest_failure or failure

    def settle(self) -> None:
        """Decide at the end: a test with a failed subtest has failed."""
        if not self.subtests_failed:
            return
        if self.outcome in ("passed", "skipped"):
            self.outcome, self.phase, self.failure = "failed", "call", self.subtest_failure
        elif self.phase == "call" and "place" not in self.failure:
            # pytest itself only says that the test contains failed subtests.
            self.failure = self.subtest_failure

    def record(self) -> dict[str, Any]:
        """Return the keys of the run file that differ from those of a plain pass."""
        optional = (
            ("phase", self.phase),
            ("also", self.also),
            ("failure", self.failure),
            ("subtests", self.subtests),
            ("subtests_failed", self.subtests_failed),
            ("clock", "mocked" if self.clock_mocked else None),
            ("raw_outcome", self.raw_outcome),
        )
        known = {key: value for key, value in optional if value}
        return {"outcome": self.outcome, **known, **self.extras}


def outcome_of(word: str, phase: str, *, expected_failure: bool) -> str:
    """Translate the outcome of one phase.

    Args:
        word: The report's outcome: `passed`, `failed`, `skipped`, or the word of another plugin.
        phase: `setup`, `call`, `teardown`; anything else is a process that died.
        expected_failure: Whether the report speaks of an expected failure.

    Returns:
        The outcome as in the run file; `unknown` for a word that has no meaning here.
    """
    if phase not in ("setup", "call", "teardown"):
        return "crashed"
    if word == "failed":
        return "failed" if phase == "call" else "errored"
    if word == "skipped":
        return "xfailed" if expected_failure else "skipped"
    if word == "passed":
        return "xpassed" if expected_failure else "passed"
    return "unknown"


_HELD = (
    "nodeid",
    "location",
    "quoted_id",
    "began",
    "last",
    "started_us",
    "setup_us",
    "call_us",
    "story",
)


class Lane:
    """What one worker is doing; without workers there is one lane.

    Attributes:
        worker: Name of the worker, None without workers.
        suffix: The same as the end of a line.
        slot: Its line in the run file, None where it has none.
        done: Attempts that are complete.
        alive: False once the worker is gone.
        nodeid: Of the test that runs, None where none does.
        location: The object that pytest hands out with the test's reports.
        quoted_id: The test id as ASCII JSON.
        began: When the attempt began at the earliest, seconds of the performance counter.
        last: When its last report came, same unit; 0 while that is not known.
        started_us: When it began, microseconds since the epoch.
        setup_us: Duration of the set-up in microseconds, None while not seen.
        call_us: Duration of the call, None while not seen.
        story: What else there is to say, None where nothing is.
        previous: Node id of the attempt before this one.
        attempt: Its number, first = 1.
    """

    __slots__ = (
        "alive",
        "attempt",
        "began",
        "call_us",
        "done",
        "last",
        "location",
        "nodeid",
        "previous",
        "quoted_id",
        "setup_us",
        "slot",
        "started_us",
        "story",
        "suffix",
        "worker",
    )

    def __init__(self, worker: str | None, slot: Slot | None) -> None:
        self.worker = worker
        self.suffix = "" if worker is None else f',"worker":{quote(clean(worker))}'
        self.slot = slot
        self.done = 0
        self.alive = True
        self.previous: str | None = None
        self.location: Any = None
        self.nodeid: str | None = None
        self.quoted_id = ""
        self.attempt = 0
        self.began = self.last = 0.0
        self.started_us = 0
        self.setup_us: int | None = None
        self.call_us: int | None = None
        self.story: Story | None = None

    def take_out(self) -> tuple[object, ...]:
        """Take out what is known of the attempt, but for which test it is and when it began."""
        held = tuple(getattr(self, name) for name in _HELD)
        self.setup_us = self.call_us = self.story = None
        return held

    def put_back(self, held: tuple[object, ...]) -> None:
        """Put back what was taken out."""
        for name, value in zip(_HELD, held):  # noqa: B905
            setattr(self, name, value)

    @property
    def seen(self) -> bool:
        """Whether a report of the attempt has come in."""
        return self.setup_us is not None or self.call_us is not None or self.story is not None

    @property
    def under_way(self) -> bool:
        """Whether a phase of the attempt was reported; its subtests may be before that."""
        if self.setup_us is not None or self.call_us is not None:
            return True
        return self.story is not None and (self.story.phase is not None or self.story.clock_mocked)

    def elapsed_us(self, now: float) -> int | None:
        """Return the time since the last report in microseconds; None where there was none.

        Args:
            now: Seconds of the performance counter.
        """
        return int((now - self.last) * 1e6) if self.last else None

    def tell(self) -> Story:
        """Return the attempt's story; begin one where there is none."""
        if self.story is None:
            self.story = Story()
        return self.story

    def line(self, teardown_us: int | None) -> bytes:
        """Write the attempt's line.

        Args:
            teardown_us: Duration of the teardown in microseconds, None where not seen.
        """
        record: dict[str, Any] = {
            "type": "attempt",
            "test_id": json.loads(self.quoted_id),
            "attempt": self.attempt,
            "outcome": "passed",
            "started_us": self.started_us,
            "setup_us": self.setup_us,
            "call_us": self.call_us,
            "teardown_us": teardown_us,
            "worker": self.worker,
        }
        if self.story is not None:
            self.story.settle()
            record.update(self.story.record())
        return dump({key: value for key, value in record.items() if value is not None})
