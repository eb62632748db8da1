"""Long texts: gathered within bounds, cut in the middle, searched for a place."""

from __future__ import annotations

import re
from itertools import islice

from testlytics_collector.formats.text import bounded

_JVM_FRAME = re.compile(r"\(([\w$]{1,200}\.(?:java|kt|scala|groovy|clj)):(\d{1,7})\)")
_PYTHON_FRAME = re.compile(r'File "([^"\n]{1,500})", line (\d{1,7})')
_PYTEST_END = re.compile(r"^([^\s:][^:\n]{0,300}\.\w{1,5}):(\d{1,7}): ", re.MULTILINE)
# The look-behind lets a search start at the beginning of a run only, which keeps it linear.
_SOURCE = re.compile(
    r"(?<![\w./\\@+-])(?:file://(?:/(?=[A-Za-z]:))?)?"
    r"((?:[A-Za-z]:)?[\w./\\@+-]{1,300}\.[A-Za-z]{1,5}):(\d{1,7})\b"
)

_MARK = re.compile(r"\[\[ATTACHMENT\|([^\]\n]{1,4000})\]\]")
_MOST_MARKS = 1_000


class Gathering:
    """Character data of one element: the beginning and the end of it, the middle is let go.

    Attributes:
        marks: The attachments that the text taken last names, each once.
        pieces: Takes the pieces. Whoever fills it calls `compact` at times.
    """

    __slots__ = ("_dropped", "_found", "_head", "_keep", "marks", "pieces")

    def __init__(self, keep: int) -> None:
        """Begin.

        Args:
            keep: How many characters to keep at either end.
        """
        self.pieces: list[str] = []
        self._keep = keep
        self._head = ""
        self._dropped = 0
        self._found: dict[str, None] = {}
        self.marks: tuple[str, ...] = ()

    def compact(self) -> None:
        """Let the middle go."""
        pieces, keep = self.pieces, self._keep
        if sum(map(len, pieces)) <= 2 * keep:
            return
        text = "".join(pieces)
        self._find_marks(text)
        if not self._head:
            self._head, text = text[:keep], text[keep:]
        tail = text[-keep:]
        self._dropped += len(text) - len(tail)
        pieces[:] = [tail]

    def take(self) -> tuple[str, int]:
        """End: hand out the text and start anew.

        Returns:
            What is left of the text, and how many characters were let go at the middle of it.
        """
        pieces = self.pieces
        if not pieces:
            return "", 0
        text, dropped = "".join(pieces), self._dropped
        self._find_marks(text)
        text = self._head + text
        pieces.clear()
        self._head, self._dropped = "", 0
        self.marks = tuple(self._found)
        self._found.clear()
        return text, dropped

    def _find_marks(self, text: str) -> None:
        if "[[ATTACHMENT|" in text and len(self._found) < _MOST_MARKS:
            marks = (mark[1].strip() for mark in _MARK.finditer(text))
            self._found.update(dict.fromkeys(islice(filter(None, marks), _MOST_MARKS)))


def cut(text: str, most: int, dropped: int) -> str:
    """Cut the middle out of a long text that may have lost some of it already.

    Args:
        text: Any text.
        most: Longest text wanted, in characters.
        dropped: How many characters are missing at its middle already; the text is longer than
            `most` then.

    Returns:
        The text, or its head, a mark that says how much is missing, and its tail.
    """
    if not dropped:
        return bounded(text, most) or ""
    tail = most // 3
    head = most - tail - 50
    left_out = len(text) + dropped - head - tail
    return f"{text[:head]}\n[... {left_out} characters left out ...]\n{text[-tail:]}"


def place_in(text: str | None, class_name: str | None) -> str | None:
    """Find where a failure happened.

    Args:
        text: The failure's text, or None.
        class_name: The test's class: among frames of a JVM those of its file come first.

    Returns:
        `file:line` of the frame that most likely is the test's own, or None.
    """
    if not text:
        return None
    if "at " in text:
        frames = _JVM_FRAME.findall(text)
        if frames:
            own = (class_name or "").rpartition(".")[2].partition("$")[0] + "."
            file, line = next((f for f in frames if f[0].startswith(own)), frames[0])
            return f"{file}:{line}"
    for mark, last in ((": ", _PYTEST_END), (", line ", _PYTHON_FRAME)):
        found = last.findall(text) if mark in text else None
        if found:
            return f"{found[-1][0]}:{found[-1][1]}"
    source = _SOURCE.search(text) if ":" in text else None
    return f"{source[1]}:{source[2]}" if source else None
