"""What would change a verdict: the model is asked about runs that have not been yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from testlytics_analytics.evidence import RunOrder, Tried
from testlytics_analytics.histories import FAILED, FLAKY, PASSED, Run
from testlytics_analytics.outcome_verdicts import OutcomeJudge, VerdictOptions

MOST = {PASSED: 200, FAILED: 20, FLAKY: 3}
"""So many further runs of each kind are looked at."""

_WORDS = {PASSED: "passed", FAILED: "failed", FLAKY: "flaky"}


class Turn(NamedTuple):
    """What it takes for another verdict.

    Attributes:
        outcome: How the next runs end: passed, failed, or flaky (failed and then passed in one
            run). Each is of new sources.
        runs: So many of them in a row, the fewest that are enough; None where even the largest
            number that is looked at changes nothing.
        status: The verdict then; None likewise.
    """

    outcome: str
    runs: int | None
    status: str | None


def turns(
    tried: Tried,
    runs: Sequence[Run],
    void: Collection[int] = (),
    options: VerdictOptions | None = None,
) -> list[Turn]:
    """Say what would change the verdict on a test.

    Args:
        tried: What became of it.
        runs: What the steps of its history refer to.
        void: Steps of runs that say nothing of any one test.
        options: Constants of the verdict; the defaults where None.

    Returns:
        One for each kind of run, in the order of `MOST`.
    """
    coming = [Run(f"next {number}", None, None) for number in range(max(MOST.values()))]
    judge = OutcomeJudge(RunOrder([*runs, *coming], void), options)
    now = judge.judge(tried).status
    found = []
    for letter, most in MOST.items():
        for number in range(1, most + 1):
            status = judge.judge(_with(tried, letter * number, len(runs))).status
            if status != now:
                found.append(Turn(_WORDS[letter], number, status))
                break
        else:
            found.append(Turn(_WORDS[letter], None, None))
    return found


def _with(tried: Tried, letters: str, first: int) -> Tried:
    """Return a history with further runs at its end."""
    history = tried.history
    known = list(tried.tries) or [
        (int(letter == FLAKY), 1) for letter in history.verdicts if letter in FAILED + FLAKY
    ]
    more = [(int(letter == FLAKY), 1) for letter in letters if letter != PASSED]
    steps = [*history.steps, *range(first, first + len(letters))]
    verdicts = history.verdicts + letters
    return Tried(history._replace(steps=steps, verdicts=verdicts), [*known, *more])
