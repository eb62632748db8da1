"""Handing on the attempts of one input: numbered, counted, under ids that stay the same."""

from __future__ import annotations

from testlytics_collector.formats.interface import Limits, Reading, Sink
from testlytics_collector.formats.notes import Notebook
from testlytics_collector.formats.text import bounded
from testlytics_collector.formats.unstable import Stabiliser
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import (
    Attempt,
    Counts,
    Failure,
    Note,
    Outcome,
    Problem,
    Upload,
)

MOST_US = 2**62
"""No time is beyond this, in microseconds."""

_COUNTED = {Outcome.CRASHED: "errored", Outcome.INTERRUPTED: "unknown"}


class Rows:
    """Takes the attempts of one input in document order.

    Args:
        sink: Where they go.
        limits: Bounds on what is kept.

    Attributes:
        started_us: When the tests began, once known.
        ended_us: When the last attempt ended, as far as known.
        notebook: Makes notes.
    """

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self.started_us: int | None = None
        self.ended_us: int | None = None
        self.notebook = Notebook(limits)
        self._sink, self._limits = sink, limits
        self._stabiliser = Stabiliser()
        self._counts = Counts()
        self._numbers: dict[int, int] = {}
        self._batch: list[Attempt] = []
        self._problems: list[Problem] = []

    def stable(self, test_id: str) -> str:
        """Return a test id without what differs from run to run in its parameters."""
        start = test_id.find("[", test_id.find("::") + 1)
        if start < 0:
            return test_id
        if self.started_us is not None:
            self._stabiliser.epoch = str(self.started_us)[:4]
        name = test_id.rfind("::", 0, start) + 2 if "::" in test_id[:start] else 0
        prefix = test_id[:name]
        return prefix + self._stabiliser.stable(prefix, test_id[name:], self.started_us)

    def failure(
        self, kind: object, message: object, text: object, place: object = None
    ) -> Failure | None:
        """Return why an attempt did not pass, bounded; None where nothing is said."""
        said = [text_of(one) for one in (kind, message, text, place)]
        if not any(said):
            return None
        limits = self._limits
        return Failure(
            bounded(said[0], 300),
            bounded(said[1], limits.message_chars),
            bounded(said[2], limits.text_chars),
            bounded(said[3], 1_000),
        )

    def add(  # noqa: PLR0913 - as many things are known of an attempt
        self,
        test_id: str,
        outcome: Outcome,
        *,
        duration_us: int | None = None,
        setup_us: int | None = None,
        teardown_us: int | None = None,
        started_us: int | None = None,
        worker: str | None = None,
        failure: Failure | None = None,
        notes: tuple[Note, ...] = (),
    ) -> None:
        """Take the next attempt of a test; its id is stable already."""
        key = hash(test_id)
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        if started_us is not None:
            self.ended_us = max(self.ended_us or 0, started_us + (duration_us or 0))
        name = _COUNTED.get(outcome, outcome.value)
        setattr(self._counts, name, getattr(self._counts, name) + 1)
        self._batch.append(
            Attempt(
                test_id,
                number,
                outcome,
                duration_us,
                setup_us,
                teardown_us,
                started_us,
                worker,
                failure,
                notes,
            )
        )
        if len(self._batch) >= self._limits.batch:
            self._hand_out()

    def say(self, text: str, line: int | None = None) -> None:
        """Tell of something; the first few are kept."""
        if len(self._problems) < self._limits.problems:
            self._problems.append(Problem(text, line))

    def _hand_out(self) -> None:
        self._sink.write(self._batch)
        self._counts.attempts += len(self._batch)
        self._batch = []

    def reading(self, upload: Upload) -> Reading:
        """Hand on the rest, and return what a reader gives back."""
        if self._batch:
            self._hand_out()
        for told in (self._stabiliser.problem(), *self.notebook.problems()):
            if told is not None:
                self.say(told)
        self._counts.testcases = self._counts.attempts
        self._counts.tests = len(self._numbers)
        return Reading(upload, self._counts, tuple(self._problems))


def microseconds(value: float | None, scale: float) -> int | None:
    """Return a time as whole microseconds; None where it is none that can be.

    Args:
        value: In any unit.
        scale: Microseconds in one of it.
    """
    if value is None or not 0 <= value * scale < MOST_US:
        return None
    return round(value * scale)
