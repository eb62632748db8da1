"""Instants: the `timestamp` attribute in the spellings that tools write."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

FIRST_YEAR = 1980
"""Older years are placeholders for "never ran" (0001-01-01, 1970-01-01)."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,12}))?)?"
_ZONE = r"\s*(?P<z>(?:Z|UTC?|GMTZ?)?(?:[+-]\d\d:?(?:\d\d)?)?)"
_SPELLINGS = tuple(
    re.compile(spelling, re.IGNORECASE)
    for spelling in (
        rf"(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)[T ] ?{_CLOCK}{_ZONE}",
        rf"(?:[a-z]{{3}},?\s+)?(?P<d>\d\d?)\s+(?P<m>[a-z]{{3}})\s+(?P<y>\d{{4}})\s+{_CLOCK}{_ZONE}",
        rf"[a-z]{{3}}\s+(?P<m>[a-z]{{3}})\s+(?P<d>\d\d?)\s+{_CLOCK}{_ZONE}\s+(?P<y>\d{{4}})",
        rf"[a-z]{{3}}\s+(?P<m>[a-z]{{3}})\s+(?P<d>\d\d?)\s+(?P<y>\d{{4}})\s+{_CLOCK}{_ZONE}(?:\s*\(.*\))?",
    )
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US_PER_EPOCH_UNIT = {10: 1_000_000.0, 13: 1_000.0, 16: 1.0, 19: 0.001}


class Instant(NamedTuple):
    """A point in time as a report tells it.

    Attributes:
        us: Microseconds since the Unix epoch; as if in UTC where the zone is not told. None where
            the report holds a placeholder.
        zoned: Whether the report told the zone.
    """

    us: int | None
    zoned: bool


def instant_of(text: str) -> Instant | None:
    """Read a timestamp.

    Args:
        text: The attribute as written.

    Returns:
        The instant, or None where the text is no timestamp that can be read in one way only.
    """
    text = text.strip()
    if text.isdigit():
        return _since_epoch(text)
    if text[4:5] == "-" and text[10:11] == "T":
        # Nearly all of them, and read by C.
        with suppress(ValueError, OverflowError):
            return _of_moment(datetime.fromisoformat(text))
    for spelling in _SPELLINGS:
        found = spelling.fullmatch(text)
        if found is not None:
            return _of_parts(found.groupdict())
    return None


def _since_epoch(digits: str) -> Instant | None:
    scale = _US_PER_EPOCH_UNIT.get(len(digits))
    if scale is None or not digits.isascii():
        return Instant(None, True) if set(digits) == {"0"} else None
    return Instant(int(int(digits) * scale), True)


def _of_parts(parts: dict[str, str | None]) -> Instant | None:
    year, month = int(parts["y"] or 0), (parts["m"] or "").lower()
    if month not in _MONTHS and not month.isdigit():
        return None
    zone = _offset(parts["z"] or "")
    micros = int(((parts["f"] or "") + "000000")[:6])
    try:
        moment = datetime(
            year,
            _MONTHS.index(month) + 1 if month in _MONTHS else int(month),
            int(parts["d"] or 0),
            int(parts["H"] or 0),
            int(parts["M"] or 0),
            int(parts["S"] or 0),
            micros,
            tzinfo=UTC if zone is None else timezone(zone),
        )
    except ValueError:
        return None
    return _of_moment(moment if zone is not None else moment.replace(tzinfo=None))


def _of_moment(moment: datetime) -> Instant:
    if moment.year < FIRST_YEAR:
        return Instant(None, True)
    zoned = moment.tzinfo is not None
    since = (moment if zoned else moment.replace(tzinfo=UTC)) - _EPOCH
    return Instant((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds, zoned)


def _offset(zone: str) -> timedelta | None:
    if not zone:
        return None
    digits = re.sub(r"\D", "", zone)
    if not digits:
        return timedelta(0)
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    # A nonsense offset must be an unreadable timestamp: more than a day raises in timezone().
    return timedelta(minutes=-minutes if "-" in zone else minutes)
