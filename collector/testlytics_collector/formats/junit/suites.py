"""The suites around the testcases: names, instants, and what their attributes claim to count."""

from __future__ import annotations

from contextlib import suppress

from testlytics_collector.formats.junit.findings import Findings, counted
from testlytics_collector.formats.junit.identity import Attrs, Suite
from testlytics_collector.formats.junit.instants import Instant, instant_of
from testlytics_collector.records import Counts

_CLAIMS = (
    ("tests", ("tests",)),
    ("failures", ("failures",)),
    ("errors", ("errors",)),
    ("skipped", ("skipped", "skips", "skip", "disabled")),
)


class Suites:
    """The suites that are open, and what is known of all of them.

    Attributes:
        current: The innermost suite.
        root: Attributes of `<testsuites>`, empty where the document has none.
        outermost: Attributes of the outermost suite that is open, or was.
        innermost: Attributes of the suite that began last.
        tag: Three bytes that stand for the names of the open suites.
        started_us: When the earliest suite began, or None.
        ended_us: When the last one ended, by its own count; None where no suite tells.
    """

    __slots__ = (
        "_claims",
        "_example",
        "_findings",
        "_last",
        "_local",
        "_stack",
        "current",
        "ended_us",
        "innermost",
        "outermost",
        "root",
        "started_us",
        "tag",
    )

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._stack: list[tuple[Suite, bytes]] = []
        self._claims: dict[str, int] = {}
        self._last: tuple[str, Instant | None] = ("", None)
        self.current = Suite()
        self.root: Attrs = {}
        self.outermost: Attrs = {}
        self.innermost: Attrs = {}
        self.tag = b"\0\0\0"
        self.started_us: int | None = None
        self.ended_us: int | None = None
        self._local = 0
        self._example = ""

    @property
    def depth(self) -> int:
        """How many suites are open."""
        return len(self._stack)

    def enter(self, name: str, attrs: Attrs) -> None:
        """Take the start of `<testsuite>` or `<testsuites>`."""
        self.innermost = attrs
        started = self.instant(attrs.get("timestamp"))
        if started is not None:
            self._span(started, attrs.get("time", ""))
        if name == "testsuites":
            if not self._stack:
                self.root = attrs
            return
        if not self._stack:
            self.outermost = attrs
            self._claim(attrs)
        told = attrs.get("flaky", "")
        outer = self.current
        self._stack.append((outer, self.tag))
        title = attrs.get("name", "").strip()
        self.current = Suite(
            (*outer.path, title) if title else outer.path,
            attrs.get("file") or attrs.get("filepath") or outer.file,
            attrs.get("hostname") or outer.host,
            outer.started_us if started is None else started,
            int(told) if told.isdecimal() and len(told) < 6 else 0,
        )
        if title:
            self.tag = (hash((self.tag, title)) & 0xFFFFFF).to_bytes(3, "little")

    def _span(self, started: int, told: str) -> None:
        self.started_us = min(started, self.started_us or started)
        with suppress(ValueError, OverflowError):
            ended = started + int(float(told[:30]) * 1e6 + 0.5)
            if ended >= started:
                self.ended_us = max(ended, self.ended_us or ended)

    def leave(self, name: str) -> None:
        """Take the end of a suite."""
        if name == "testsuite" and self._stack:
            self.current, self.tag = self._stack.pop()

    def instant(self, text: str | None) -> int | None:
        """Read a timestamp.

        Returns:
            Microseconds since the epoch, in UTC where no zone is told; None where there is none.
        """
        if not text:
            return None
        if text == self._last[0]:
            found = self._last[1]
        else:
            found = instant_of(text) if len(text) < 80 else None
            self._last = (text, found)
        if found is None:
            if text.strip():
                self._findings.note("unreadable timestamp", text)
            return None
        if not found.zoned:
            self._local += 1
            self._example = self._example or text
        return found.us

    def zoneless(self) -> str | None:
        """Say how many timestamps told no zone, or None where all did."""
        if not self._local:
            return None
        text = "Timestamps that name no time zone are taken as UTC"
        return counted(text, self._local, self._example)

    def _claim(self, attrs: Attrs) -> None:
        claims = self._claims
        for claim, names in _CLAIMS:
            for name in names:
                if name in attrs:
                    told = attrs[name]
                    if told.isdecimal() and len(told) < 10:
                        claims[claim] = claims.get(claim, 0) + int(told)
                    break

    def disagreement(self, counts: Counts, attempts: int) -> str | None:
        """Compare what the outermost suites claim with what the elements say.

        Args:
            counts: What the elements say.
            attempts: How many attempts these are; a suite may count them instead of its tests.

        Returns:
            A sentence with the numbers, or None where all agree.
        """
        found = {
            "tests": counts.testcases,
            "failures": counts.failed,
            "errors": counts.errored,
            "skipped": counts.skipped,
        }
        wrong = [
            f"{claim} {self._claims[claim]} (found {found[claim]})"
            for claim in found
            if claim in self._claims and self._claims[claim] != found[claim]
        ]
        if not wrong or (self._claims.get("tests") == attempts != counts.testcases):
            return None
        return (
            f"The suites' own attributes disagree with their elements: {', '.join(wrong)}. "
            "What the elements say is stored."
        )
