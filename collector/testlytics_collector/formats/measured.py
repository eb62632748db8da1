"""Gathering the measurements of one input: bounded, finite, each series once."""

from __future__ import annotations

import re
from math import isfinite

from testlytics_collector.errors import InputError
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.formats.text import bounded, printable
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import Counts, Good, Measurement, Problem, Upload

MOST = 500_000
"""Measurements of one input; more are no report of a run."""

LARGEST = 1e18
"""Values beyond this are mistakes: no second, byte or request is counted so far."""

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

LONGEST_NAME = 1_000
"""Characters of a name; longer ones are cut in the middle."""


class Measurements:
    """Takes what one input measured.

    Args:
        limits: Bounds on what is kept of the input.

    Attributes:
        problems: What a person should know of, in the order found.
    """

    def __init__(self, limits: Limits) -> None:
        self.problems: list[Problem] = []
        self._limits = limits
        self._unsaid = 0
        self._kept: dict[tuple[str, str], Measurement] = {}

    def add(  # noqa: PLR0913, PLR0917 - what a measurement is, and where it stands
        self,
        name: object,
        metric: str,
        unit: str,
        value: float | None,
        good: Good,
        place: str,
        line: int | None = None,
    ) -> None:
        """Take one value, unless it is no number that can be judged.

        Args:
            name: What was measured; any text.
            metric: What of it.
            unit: Of the value.
            value: The value; None where the input has null.
            good: Which values are good.
            place: Where it stands, for people.
            line: Its line, where that is known.

        Raises:
            InputError: There are more than `MOST`.
        """
        named = bounded(text_of(name), LONGEST_NAME)
        if named is None:
            self.say(f"{place} has no name; left out.", line)
            return
        if value is None or not isfinite(value) or abs(value) > LARGEST:
            self.say(f"{place} is {printable(value)}, not a finite number; left out.", line)
            return
        key = (named, metric)
        if key in self._kept:
            self.say(f"{metric} of {printable(named)} is told twice; the last one counts.", line)
        self._kept[key] = Measurement(named, metric, unit, float(value), good)
        if len(self._kept) > MOST:
            raise InputError(
                f"It holds more than {MOST} measurements.",
                slug="measurements-size",
                hint="Report on fewer benchmarks, endpoints or files.",
            )

    def say(self, text: str, line: int | None = None) -> None:
        """Tell of something; the first few are kept, the others counted."""
        if len(self.problems) < self._limits.problems:
            self.problems.append(Problem(text, line))
        else:
            self._unsaid += 1

    def reading(self, upload: Upload) -> Reading:
        """Return everything, as a reader gives it back.

        Raises:
            InputError: Nothing was measured.
        """
        if not self._kept:
            why = f" The first reason: {self.problems[0].text}" if self.problems else ""
            raise InputError(
                f"It holds no measurement.{why}",
                slug="measurements-none",
                hint="Look why the tool wrote none.",
            )
        if self._unsaid:
            self.problems.append(Problem(f"... and {self._unsaid} problems more."))
        kept = tuple(self._kept.values())
        return Reading(upload, Counts(measurements=len(kept)), tuple(self.problems), kept)


def full_commit(text: str | None) -> str | None:
    """Return a full commit id; None for a short one, and for words that stand for none."""
    return text if text is not None and _COMMIT.fullmatch(text) else None


def upload_of(
    origin: Origin, producer: str | None, started_us: int | None = None, **said: object
) -> Upload:
    """Return the upload of an input that has no name of its own: its digest names it."""
    name = origin.digest[:32]
    return Upload(name, name, producer=producer, started_us=started_us, **said)  # type: ignore[arg-type]
