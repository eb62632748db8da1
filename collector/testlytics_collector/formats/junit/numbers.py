"""Durations: every spelling of the `time` attribute that means one thing only.

There is no standard to lean on: the attribute is meant to be seconds with a dot, and is written by
number formats of any locale. What can be read in two ways is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Note = Callable[[str, str], None]
"""Takes a kind of problem and an example of it."""

LONGEST_S = 1_000_000_000
"""Seconds from which on a value is an instant or nonsense: thirty years of one test."""

LONGEST_TEXT = 60
"""Characters from which on a value is not looked at."""

_PLAIN = re.compile(r"\+?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NEGATIVE = re.compile(r"-(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:(?:,\d{3})+\.\d*|(?:,\d{3}){2,}|(?:['\u2019]\d{3})+(?:\.\d*)?)")
_DECIMAL = re.compile(r"(?:\d{1,3}(?:[.\s\u00a0\u202f]\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?")
_EITHER = re.compile(r"[1-9]\d{0,2},\d{3}")
_UNITS = re.compile(
    r"(?:(\d+)\s?h)?\s?(?:(\d+)\s?m(?:in)?(?!s))?\s?(?:(\d+\.?\d*)\s?(s|sec|ms|us|\u00b5s|\u03bcs|ns))?"
)
_CLOCK = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_SECONDS_PER = {
    "s": 1.0,
    "sec": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ns": 1e-9,
}


class Durations:
    """Reads the durations of one document.

    A comma between one to three digits and three digits (`1,234`) is thousands in one locale and
    decimals in another. It is read only once another value of the same document has shown which.
    """

    __slots__ = ("_decimal", "_note", "_thousands")

    def __init__(self, note: Note) -> None:
        self._note = note
        self._decimal = False
        self._thousands = False

    def us(self, text: str, unit_s: float = 1.0) -> int | None:
        """Read one duration.

        Args:
            text: The attribute as written.
            unit_s: Seconds that an integer without a fraction counts in, for the few tools that
                count in something else.

        Returns:
            Whole microseconds, or None where the text does not say (empty) or cannot be read. The
            second case is noted.
        """
        text = text.strip()
        if not text:
            return None
        if len(text) > LONGEST_TEXT:
            return self._bounded(text, None)
        if unit_s != 1.0 and text.isdecimal():
            return self._bounded(text, float(text) * unit_s)
        if _PLAIN.fullmatch(text):
            return self._bounded(text, float(text))
        if _NEGATIVE.fullmatch(text):
            self._note("negative time", text)
            return None
        return self._bounded(text, self._localised(text))

    def _localised(self, text: str) -> float | None:
        if _THOUSANDS.fullmatch(text):
            self._thousands = True
            return float(re.sub("[,'\u2019]", "", text))
        if _EITHER.fullmatch(text):
            if self._decimal is self._thousands:
                return None
            return float(text.replace(",", "." if self._decimal else ""))
        if _DECIMAL.fullmatch(text):
            self._decimal = True
            return float(re.sub(r"[.\s\u00a0\u202f]", "", text).replace(",", "."))
        if clock := _CLOCK.fullmatch(text):
            return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
        if units := _UNITS.fullmatch(text):
            hours, minutes, amount, unit = units.groups()
            last = float(amount) * _SECONDS_PER[unit] if amount else 0.0
            return int((hours or "0")[:9]) * 3600 + int((minutes or "0")[:9]) * 60 + last
        return None

    def _bounded(self, text: str, seconds: float | None) -> int | None:
        if seconds is None or seconds > LONGEST_S:
            self._note("unreadable time", text)
            return None
        return int(seconds * 1e6 + 0.5)
