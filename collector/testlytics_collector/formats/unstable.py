"""Parts of test parameters that differ from run to run although the test is the same.

An object without a readable name puts its memory address into the test's name, a test over a
temporary directory puts the path there. Such a test would be new in every run. The part is
replaced with a placeholder; where that makes two tests of one document equal, they are numbered in
document order.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

from testlytics_collector.formats.text import printable

MOST_NAMES = 20_000
"""How many unstable names of one document are kept apart; memory is bounded by it."""

_DAY_US = 86_400_000_000

_PARTS = re.compile(
    r"""
    (?P<address> \bat\s0x[0-9A-Fa-f]{6,16}\b
        | \b0x(?:7f|5[56]|1)[0-9a-f]{8,10}\b | \b0xc000[0-9a-f]{6}\b | \b0x0000[0-9A-F]{12}\b
        | (?<=[\w$\])])@(?=[0-9a-f]*[0-9])[0-9a-f]{5,8}\b )
  | (?P<uuid> (?<![0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[14-7][0-9a-fA-F]{3}
        -[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}(?![0-9A-Za-z]) )
  | (?P<tmp> (?:/private)?/(?:tmp|var/tmp|var/folders|dev/shm)/[^\s,;:'"\])>]+
        | [A-Za-z]:[\\/]{1,2}(?:Users[\\/]{1,2}[^\\/]+[\\/]{1,2}AppData[\\/]{1,2}Local[\\/]{1,2}
        Temp|Windows[\\/]{1,2}Temp|Temp)[\\/]{1,2}[^\s,;'"\])>]+ )
  | (?P<time> (?<!\d)(?P<day>(?:19|20)\d\d-[01]\d-[0-3]\d)[T\s_][0-2]\d:[0-5]\d(?::[0-5]\d
        (?P<fraction>[.,]\d{1,9})?)?(?:Z|[+-][0-2]\d:?[0-5]\d)? )
  | (?P<epoch> (?<![\w.-])1[5-9]\d{8}(?:\.\d+|\d{3}|\d{6}|\d{9})?(?![\w.]) )
    """,
    re.VERBOSE,
)


def is_suspect(name: str, epoch: str) -> bool:
    """Tell whether a name needs a closer look; asked for every name with a `[`, so it is cheap.

    Args:
        name: The name.
        epoch: The first digits of the suite's beginning in seconds since the Unix epoch.
    """
    start = name.find("[")
    room = len(name) - start
    if start <= 0 or room < 9:
        return start == 0
    return (
        "0x" in name
        or "@" in name
        or "tmp" in name
        or "/var/" in name
        or "Temp" in name
        or "/shm/" in name
        or (room > 16 and ":" in name)
        or (room > 36 and "-" in name)
        or epoch in name
    )


class Stabiliser:
    """Normalises the names of one document.

    Attributes:
        epoch: What `is_suspect` wants, for the suite that is open.
        count: How many different names held an unstable part.
        example: The first of them, or None.
    """

    __slots__ = ("_given", "_taken", "count", "epoch", "example")

    def __init__(self) -> None:
        self.count = 0
        self.epoch = "\0"
        self.example: str | None = None
        self._given: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def stable(self, prefix: str, name: str, started_us: int | None) -> str:
        """Replace what is unstable in the parameters of a name.

        Args:
            prefix: What comes before the name in the test id.
            name: The name; parameters begin at its first `[`.
            started_us: When the suite began, or None: dates near to it are taken for "now".

        Returns:
            The name, the same wherever the same prefix and name come again in this document.
        """
        start = name.find("[")
        if not is_suspect(name, self.epoch):
            return name
        changed = name[:start] + _PARTS.sub(
            lambda part: _placeholder(part, started_us), name[start:]
        )
        if changed == name:
            return name
        return self._apart(prefix, name, changed)

    def problem(self) -> str | None:
        """Say how many names held a part that differs from run to run, or None."""
        if not self.count:
            return None
        return (
            "Test ids held a part that differs from run to run (an address, a UUID, a time, a "
            f"temporary path), which was replaced ({self.count}; the first: "
            f"{printable(self.example)})."
        )

    def _apart(self, prefix: str, name: str, changed: str) -> str:
        known = self._given.get(prefix + name)
        if known is not None:
            return known
        self.count += 1
        if self.example is None:
            self.example = prefix + name
        if len(self._given) >= MOST_NAMES:
            return changed
        nth = self._taken.get(prefix + changed, 0) + 1
        self._taken[prefix + changed] = nth
        if nth > 1:
            changed = f"{changed[:-1]}#{nth}]" if changed.endswith("]") else f"{changed}#{nth}"
        self._given[prefix + name] = changed
        return changed


def _placeholder(part: re.Match[str], started_us: int | None) -> str:
    kind = part.lastgroup
    if part["time"] is not None:
        return "<time>" if _is_now(part, started_us) else part[0]
    if kind == "epoch":
        seconds = int(part[0][:10])
        near = started_us is not None and abs(seconds * 1_000_000 - started_us) < 2 * _DAY_US
        return "<time>" if near else part[0]
    if kind == "address":
        return "at <address>" if part[0].startswith("at") else _address(part[0])
    return f"<{kind}>"


def _address(text: str) -> str:
    return "@<address>" if text.startswith("@") else "<address>"


def _is_now(part: re.Match[str], started_us: int | None) -> bool:
    # A date among parameters mostly is a constant of the test. It was read from the clock when it
    # carries fractions of a second finer than a person would write, or lies next to the run.
    fraction = (part["fraction"] or "")[1:]
    if len(fraction) >= 4 and fraction.strip("0"):
        return True
    if started_us is None:
        return False
    with suppress(ValueError):
        midnight = datetime.fromisoformat(part["day"]).replace(tzinfo=UTC)
        return abs(midnight.timestamp() * 1_000_000 - started_us) < 2 * _DAY_US
    return False
