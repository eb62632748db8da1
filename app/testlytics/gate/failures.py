"""What of a run's failures is news."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.gate.findings import Cause, Finding
from testlytics.report.sections import count, percent
from testlytics_analytics import excuses
from testlytics_analytics.fingerprints import FailureText, clusters, fingerprint

if TYPE_CHECKING:
    from testlytics_analytics.status import Judged
    from testlytics_collector.store.gating import FailedBefore, FailedNow
    from testlytics_collector.store.windowed import Failing, RunRow

Key = tuple[str, str]
"""Test id and variant."""


class Past(NamedTuple):
    """What a test did, around the place where the change begins.

    Attributes:
        before: Verdict letters of the baseline's runs that count, in order.
        since: Those of the change's runs, the one to judge included.
        judged: Its status in the baseline; None where it never failed there.
    """

    before: str
    since: str
    judged: Judged | None


def divided(one: Failing, start: int, void: Collection[int]) -> tuple[str, str]:
    """Cut a test's verdicts in two: those of the baseline that count, and those since.

    Args:
        one: Its history over the baseline and the change.
        start: Step of the change's first run.
        void: Steps that do not count.
    """
    pairs = list(zip(one.steps, one.verdicts, strict=True))
    return (
        "".join(letter for step, letter in pairs if step < start and step not in void),
        "".join(letter for step, letter in pairs if step >= start),
    )


def judge_failure(now: FailedNow, past: Past, texts: Mapping[str, int]) -> Finding | None:
    """Say what a failing test of the run is; the level is left open.

    Args:
        now: The failure.
        past: What the test did before.
        texts: Fingerprints of what it said before, and in how many runs.

    Returns:
        None where it failed and passed, and is known to flake.
    """
    status = past.judged.status if past.judged is not None else None
    text = FailureText(now.type, now.message, now.place)
    said = one_line(now.message or now.type)
    told = past.before.count("P") + past.before.count("F") + past.before.count("L")
    if now.passes:
        if status == "flaky":
            return None
        reason = (
            f"failed {now.failures} of {now.failures + now.passes} attempts, and did not flake in "
            f"{count(told, 'run')} before"
        )
        return _finding("new-flake", now, reason, said, {"runs": told})
    # With one try a run, what a retry would have saved has failed.
    bad = "F" if now.failures > 1 else "FL"
    known = excuses.Known(
        status,
        sum(past.before.count(letter) for letter in bad),
        told,
        max(map(len, re.findall("F+", past.before)), default=0),
        past.before.endswith("F"),
        texts,
    )
    since = "".join("F" if letter in bad else "P" for letter in past.since if letter in "PFL")
    failed, ran = since.count("F"), len(since)
    told_of = excuses.excuse(known, since, fingerprint(text))
    reason = _reason(told_of, known, failed, ran, past.judged)
    details = {
        "failed": failed,
        "runs": ran,
        "baseline_failed": known.failed_runs,
        "baseline_runs": known.runs,
        "flake_rate": past.judged.flake_rate if past.judged is not None else None,
        "likelihood": told_of.likelihood,
        "fingerprint": fingerprint(text),
        "new_text": told_of.new_text,
    }
    return _finding(told_of.kind, now, reason, said, details)


def _finding(
    kind: str, now: FailedNow, reason: str, said: str | None, details: Mapping[str, object]
) -> Finding:
    return Finding(kind, "", now.test_id, now.variant, reason, said, details, now.place)


def _reason(
    told: excuses.Excuse, known: excuses.Known, failed: int, ran: int, judged: Judged | None
) -> str:
    if told.kind == excuses.NEW_FAILURE:
        if not known.runs:
            return "a new test, and it fails"
        if not known.failed_runs:
            return f"passed in all {count(known.runs, 'run')} before"
        return f"failed in {known.failed_runs} of {count(known.runs, 'run')} before"
    if told.kind == excuses.BROKEN_BEFORE:
        news = "; what it says is new" if told.new_text else ""
        since = judged.failing_commit if judged is not None else None
        return "failed in the baseline" + (f" since {since[:10]}" if since else "") + news
    if known.status != "flaky":
        usual = f"failed in {known.failed_runs} of {count(known.runs, 'run')} before, and passed"
        usual += " again; says the same"
        if told.kind == excuses.KNOWN_FLAKE:
            return usual
    rate = judged.flake_rate if judged is not None else None
    usual = f"flake rate {percent(rate)}, failed {known.failed_runs} of {known.runs} runs before"
    if told.kind == excuses.KNOWN_FLAKE:
        return usual
    if told.new_text:
        return f"says what it never said before; {usual}"
    likely = told.likelihood or 0
    often = f"failed in {failed} of {count(ran, 'run')} of this change"
    return f"{often}, by chance once in {once_in(likely)}; {usual}"


def once_in(likelihood: float) -> str:
    """Say in how many cases something of that probability happens once."""
    return f"{round(1 / likelihood):,}" if likelihood > 1e-6 else "more than a million"


def one_line(text: str | None) -> str | None:
    """Return the first line of a message that says something, cut to 300 characters."""
    for line in (text or "").splitlines():
        if line.strip():
            return line.strip()[:300]
    return None


def causes(
    now: Sequence[FailedNow], before: Sequence[FailedBefore], runs: Sequence[RunRow]
) -> list[Cause]:
    """Group the failures of the run by what they say, with the run that said it first.

    Args:
        now: The failures.
        before: What these tests said earlier in the window.
        runs: The window's runs.
    """
    first: dict[str, int] = {}
    for one in before:
        print_ = fingerprint(FailureText(one.type, one.message, one.place))
        first[print_] = min(first.get(print_, one.step), one.step)
    told = [
        ((one.test_id, one.variant), FailureText(one.type, one.message, one.place)) for one in now
    ]
    newest = len(runs) - 1
    found = []
    for cluster in clusters(told):
        step = min((first.get(print_, newest) for print_ in cluster.fingerprints), default=newest)
        found.append(
            Cause(
                cluster.text[:300],
                sorted({test for test, _ in cluster.members}),
                len(cluster.members),
                runs[step].run_id,
                runs[step].commit,
                step == newest,
            )
        )
    return found


def fingerprints_of(before: Iterable[FailedBefore]) -> Callable[[Key], Mapping[str, int]]:
    """Return a look-up of what each test said before, and in how many runs."""
    told: dict[Key, Counter[str]] = {}
    for one in before:
        text = FailureText(one.type, one.message, one.place)
        told.setdefault((one.test_id, one.variant), Counter())[fingerprint(text)] += 1
    return lambda key: told.get(key, {})
