"""The script for `git bisect run` that finds the commit which broke, unsettled or slowed a test.

How often a commit is tried follows from how sure the whole search shall be: each of its steps may
be wrong with an equal part of what is left. Everything in the script that somebody else wrote is
quoted; commits are hexadecimal digits or refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from math import ceil, log, log2, pi, sqrt
from typing import Any, NamedTuple

from testlytics.report.render import visible
from testlytics_analytics.confirmation import (
    ErrorRates,
    passes_for_fix,
    repeats_for_failure,
    repeats_for_slowdown,
)
from testlytics_analytics.interval import wilson
from testlytics_collector.errors import NotFoundError

Row = dict[str, Any]

MOST_REPEATS = 500
"""No commit is tried more often: who has that much time widens the script."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_BAND = 1.959963984540054
_MARGIN = 4
"""The store knows only commits that ran: there may be so many times as many between them."""


class Search(NamedTuple):
    """What a script looks for.

    Attributes:
        what: broken, flaky or slower.
        good: Commit from before it.
        bad: Commit from after it.
        repeats: So often each commit is tried at most.
        passes: broken: a commit is bad where at most so many pass. Else 0.
        limit_s: slower: a commit is bad where the median is above, seconds. Else None.
        level: With this probability all answers of the search are right …
        steps: … if it takes so many.
        why: How the numbers came about, in a sentence; may hold untrusted text.
    """

    what: str
    good: str
    bad: str
    repeats: int
    passes: int
    limit_s: float | None
    level: float
    steps: int
    why: str


def search(variant: Row, *, level: float = 0.95) -> Search:
    """Say what to look for, between which commits, and how often to try each.

    The breakage where the test is broken, else since when it flakes, else its last slowdown.

    Args:
        variant: One of `variants` of `explained.explain`.
        level: How sure the search shall be, from 0.5 to below 1.

    Raises:
        NotFoundError: There is no change to look for, or no commit before it.
    """
    if variant["status"] == "broken":
        return _broken(variant, level)
    if variant["status"] == "flaky":
        return _flaky(variant, level)
    slower = [one for one in variant["levels"] if one["matters"]]
    if slower and slower[-1]["ratio"] > 1:
        return _slower(variant, slower[-1], level)
    raise _nothing(f"The test is {variant['status']} and did not get slower.")


def _broken(variant: Row, level: float) -> Search:
    good, bad = variant["last_good_commit"], variant["broken_last_commit"]
    _known(good, bad)
    steps = _steps(variant, good, bad)
    wrong = (1 - level) / steps
    # Of a test that hardly ran before it broke the upper bound says no more than that.
    rate = variant["flake_rate"] or 0.0
    errors = ErrorRates(confirmed=wrong, dismissed=wrong, most=MOST_REPEATS)
    plan = repeats_for_failure(rate, errors=errors)
    if plan is None:
        raise _nothing(f"It flakes in {rate:.0%} of its runs: too often to tell it from broken.")
    why = f"so that one that flakes in {rate:.2%} of its runs is hardly taken for broken"
    return Search("broken", good, bad, plan.repeats, plan.passes, None, level, steps, why)


def _flaky(variant: Row, level: float) -> Search:
    """Look for where a test began to flake: passes before its first failure say how long ago."""
    told = [one for one in variant["runs_seen"] if one["counts"] and _tells(one)]
    bad_at = [at for at, one in enumerate(told) if one["verdict"] != "passed"]
    before = -1
    found = None
    # A row of passes begins anew only where it is longer than any that chance makes among so many.
    gap_level = 1 - (1 - level) / max(1, len(bad_at))
    for at in bad_at:
        rate = _rate(told[at:])
        needed = passes_for_fix(rate, level=level)
        gap = passes_for_fix(rate, level=gap_level)
        if needed is not None and gap is not None and at - before - 1 >= gap:
            found = at, rate, needed
        before = at
    if found is None:
        raise _nothing("It failed from the first of these runs on: too few passes before.")
    at, rate, needed = found
    good, bad = told[at - needed]["commit"], told[at]["commit"]
    _known(good, bad)
    steps = _steps(variant, good, bad)
    wrong = (1 - level) / steps
    repeats = passes_for_fix(rate, level=1 - wrong)
    if repeats is None or repeats > MOST_REPEATS:
        raise _nothing(f"It may flake in only {rate:.2%} of its runs: too rarely to look for.")
    why = f"so that a test that fails in {rate:.1%} of its runs hardly passes each time"
    return Search("flaky", good, bad, repeats, 0, None, level, steps, why)


def _tells(one: Row) -> bool:
    return one["verdict"] in {"passed", "failed", "flaky"}


def _rate(told: Sequence[Row]) -> float:
    """Return the least share of attempts that fail, of runs from the first failed one on.

    The lower bound of the 95 % interval, so that no commit is tried too seldom. The first attempt
    failed because there the runs begin, and says nothing.
    """
    attempts = [outcome for one in told for outcome in one["attempts"]]
    bad = sum(outcome in {"failed", "errored", "crashed"} for outcome in attempts) - 1
    low, _ = wilson(max(bad, 0), max(len(attempts) - 1, 1)) or (0.0, 1.0)
    return low


def _slower(variant: Row, slower: Row, level: float) -> Search:
    good, bad, base = slower["after_commit"], slower["until_commit"], variant["baseline"]
    _known(good, bad)
    if base is None:
        raise _nothing("It has too few runs since it got slower.")
    steps = _steps(variant, good, bad)
    wrong = (1 - level) / steps
    effect = log(slower["ratio"])
    noise = max(log(base["high_s"] / base["low_s"]) / (2 * _BAND), 1e-3)
    errors = ErrorRates(confirmed=wrong, dismissed=wrong, most=MOST_REPEATS)
    repeats = repeats_for_slowdown(effect, noise, errors=errors)
    if repeats is None:
        raise _nothing(f"Its durations scatter too much to tell {slower['ratio']:.2f} times.")
    if repeats > 1:
        # The plan is for means; a median needs up to so many times as many, and is no outlier's.
        repeats = ceil(repeats * pi / 2)
    repeats += 1 - repeats % 2  # of an odd number the median is one of them
    limit_s = slower["median_s"] / sqrt(slower["ratio"])
    why = f"so that {slower['ratio']:.2f} times as long stands out from a scatter of {noise:.1%}"
    return Search("slower", good, bad, repeats, 0, limit_s, level, steps, why)


def _steps(variant: Row, good: str, bad: str) -> int:
    """Return how many commits a search has to try, at most, as far as the store can know."""
    commits = list(dict.fromkeys(one["commit"] for one in variant["runs_seen"]))
    between = abs(commits.index(bad) - commits.index(good)) if {good, bad} <= set(commits) else 1
    return max(1, ceil(log2(between * _MARGIN)))


def _known(good: str | None, bad: str | None) -> None:
    for one in (good, bad):
        if one is None or not _COMMIT.fullmatch(one):
            raise _nothing("The commit before the change, or after it, is not known.")
    if good == bad:
        raise _nothing(f"It changed between two runs of one commit, {good}: no commit did it.")


def _nothing(why: str) -> NotFoundError:
    return NotFoundError(
        f"Nothing to bisect. {why}",
        slug="bisect-nothing",
        hint="Look at more runs with --last, or at one --variant.",
    )


_SCRIPT = """\
#!/bin/sh
# Finds the commit at which a test became {what}:
#   {named}
# In a clean copy of the repository:
#   {start}
#   git bisect run sh {file}
#   git bisect reset
# Each commit is tried {repeats} times at most, {why}.
# All answers together are right with {level}, where up to {most} commits lie between them.
# Exit codes: 0 good, 1 bad, 125 cannot be tested.
# Commands from the outside: PYTHON (interpreter), PYTEST_ARGS (further options).

test_id={test_id}
{settings}
cd ./{folder} 2>/dev/null || exit 125
scratch=${{TMPDIR:-/tmp}}/testlytics-bisect.$$
mkdir -m 700 "$scratch" || exit 125
trap 'rm -rf "$scratch"' EXIT
trap 'exit 129' HUP INT TERM
# What was compiled for another commit within the same second would be used again.
PYTHONPYCACHEPREFIX=$scratch/pyc
export PYTHONPYCACHEPREFIX

# Tries once: 0 passed, 1 failed. Ends the script with 125 where the commit cannot be tested.
once() {{
    # PYTEST_ARGS is several words.
    # shellcheck disable=SC2086
    "${{PYTHON:-python}}" -m pytest --verbosity=0 --color=no -p no:cacheprovider \\
        {report}${{PYTEST_ARGS-}} -- "$test_id" >"$scratch/out" 2>&1
    case $? in
    0) ;;
    1 | 132 | 134 | 135 | 136 | 139) return 1 ;;
    *) tail -n 20 "$scratch/out" >&2; exit 125 ;;
    esac
    # A plugin that tries again hides what is looked for.
    if grep -Eq '(^|[ ,])[0-9]+ rerun' "$scratch/out"; then return 1; fi
    # Skipped is neither.
    grep -Eq '(^|[ ,])[0-9]+ (passed|xfailed|xpassed)' "$scratch/out" || exit 125
}}

{body}"""

_COUNT = """\
tries=0 passes=0
while [ "$tries" -lt "$repeats" ]; do
    tries=$((tries + 1))
    if once; then passes=$((passes + 1)); fi
{early}
done
echo "$tries tries, $passes passed" >&2
"""

_BROKEN = (
    _COUNT.format(early='    if [ "$passes" -gt "$allowed" ]; then break; fi')
    + '[ "$passes" -gt "$allowed" ]\n'
)
_FLAKY = (
    _COUNT.format(early='    if [ "$passes" -lt "$tries" ]; then break; fi')
    + '[ "$passes" -eq "$tries" ]\n'
)
_SLOWER = """\
# Durations here are not those of the CI: `sh {file} measure` at the good and at the bad
# commit says what they are; set LIMIT_S between them where it is not.
tries=0
while [ "$tries" -lt "$repeats" ]; do
    tries=$((tries + 1))
    once || exit 125
    # The report ends without a newline, and so does what sed makes of it.
    echo "$(sed -n 's/.*<testcase [^>]* time="\\([0-9.]*\\)".*/\\1/p' "$scratch/report.xml")" \\
        >>"$scratch/times"
done
median=$(sort -n "$scratch/times" | awk '{{ t[NR] = $1 }} END {{ print t[int((NR + 1) / 2)] }}')
echo "$tries tries, median $median s, limit $limit_s s" >&2
if [ "${{1-}}" = measure ]; then echo "$median"; exit 0; fi
awk -v m="$median" -v l="$limit_s" 'BEGIN {{ exit !(m != "" && m <= l) }}'
"""


def script(found: Search, test_id: str, *, folder: str = ".", file: str = "bisect.sh") -> str:
    """Write the script.

    Args:
        found: What it looks for.
        test_id: What pytest is to run.
        folder: The project's root from that of the repository.
        file: Name of the script, for what it says of itself.
    """
    settings = f"repeats={found.repeats}"
    body, report = {"broken": _BROKEN, "flaky": _FLAKY}.get(found.what, ""), ""
    if found.what == "broken":
        settings += f"\n# Bad where at most so many tries pass.\nallowed={found.passes}"
    if found.limit_s is not None:
        settings += f"\nlimit_s=${{LIMIT_S-{found.limit_s:.6f}}}"
        report = '--junitxml "$scratch/report.xml" -o junit_duration_report=total '
        body = _SLOWER.format(file=quoted(file))
    return _SCRIPT.format(
        what=found.what,
        named=visible(test_id),
        start=start_line(found),
        file=quoted(file),
        repeats=found.repeats,
        why=visible(found.why),
        level=f"{found.level * 100:.4g} %",
        most=2**found.steps,
        test_id=shlex.quote(test_id),
        settings=settings,
        folder=shlex.quote(folder),
        report=report,
        body=body,
    )


def start_line(found: Search) -> str:
    """Return the command that begins the search."""
    return f"git bisect start {found.bad} {found.good}"


def quoted(file: str) -> str:
    """Return the name of a file as a shell takes it, harmless where it is shown."""
    return shlex.quote(visible(file))
