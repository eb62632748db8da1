"""The outcomes of unstable tests, run by run, as strips."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from testlytics.report.html import svg
from testlytics.report.sections import Row, commit, count

if TYPE_CHECKING:
    from testlytics.report.html.gather import Key
    from testlytics_collector.store.windowed import Failing, RunRow

RUNS = 100
"""Runs of a strip at most, the newest."""

TITLED = 1_500
"""Cells of a page that say their run when they are pointed at, those of the first tests; all of
many tests would make the page large."""

_WORDS = {"P": "passed", "F": "failed", "L": "failed and passed", "S": "skipped"}


class Told(Protocol):
    """What strips are drawn of; see `gather.Gathered`."""

    @property
    def runs(self) -> Sequence[RunRow]:
        """The runs of the window."""

    @property
    def histories(self) -> Mapping[Key, Failing]:
        """What became of tests, by test."""


class Strips:
    """Draws strips, one after another.

    Args:
        found: What the page tells.
        titled: So many cells say their run when they are pointed at.
    """

    def __init__(self, found: Told, titled: int = TITLED) -> None:
        self._histories = found.histories
        self._left = titled
        self._steps: dict[str, list[int]] = defaultdict(list)
        self._names = []
        for step, run in enumerate(found.runs):
            self._steps[run.project].append(step)
            known = f", {commit(run.commit)}" if run.commit else ""
            self._names.append(f"{run.started_at[:16]}, run {run.run_id}{known}")

    def draw(self, row: Row) -> str:
        """Draw the newest runs of a test; nothing where its history is not known."""
        told = self._histories.get((row["project"], row["test_id"], row["variant"]))
        if told is None:
            return ""
        steps = self._steps[row["project"]][-RUNS:]
        met = dict(zip(told.steps, told.verdicts, strict=True))
        letters = "".join(met.get(step, ".") for step in steps)
        bad = letters.count("F") + letters.count("L")
        titles = None
        if bad <= self._left:
            self._left -= bad
            titles = [
                f"{_WORDS.get(letter, '')}: {self._names[step]}"
                for step, letter in zip(steps, letters, strict=True)
            ]
        return svg.strip(letters, _label(letters), titles)


def _label(letters: str) -> str:
    counts = Counter(letters)
    told = [f"{counts[one]} {word}" for one, word in _WORDS.items() if counts[one]]
    return f"{count(len(letters) - counts['.'], 'run')}: {', '.join(told) or 'no outcome'}"
