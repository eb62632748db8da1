"""What a store says of quarantined tests. No clock: the day is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics.api import no_runs
from testlytics.quarantine_file import LONGEST_DAYS, Entry, Reviewed
from testlytics.report.sections import count
from testlytics.reviewed import names as names_of
from testlytics_analytics.evidence import Tried, outages
from testlytics_analytics.fingerprints import FailureText, fingerprint
from testlytics_analytics.histories import FAILED, FLAKY, PASSED, SKIPPED, UNKNOWN, History, Run
from testlytics_analytics.recovery import (
    Recovery,
    is_always_failing,
    is_always_passing,
    recovery,
)
from testlytics_collector.errors import NotFoundError
from testlytics_collector.records import variant_text

if TYPE_CHECKING:
    from testlytics_collector.store.reader import Window
    from testlytics_collector.store.watched import Said, Seen

Row = dict[str, Any]

SOON_DAYS = 7
"""An entry is about to expire where it has at most so many days left."""


class Series(NamedTuple):
    """One test in one variant.

    Attributes:
        tried: What became of it.
        said: What its failures said, the oldest first.
    """

    tried: Tried
    said: Sequence[Said]

    @property
    def history(self) -> History:
        """Its name, and what became of it."""
        return self.tried.history


class Looked(NamedTuple):
    """What a window of the store says of the tests that were asked for.

    Attributes:
        runs: The window's runs.
        void: Steps of runs that say nothing of any one test: much of the suite failed.
        days: The day on which each run began, UTC.
        known: Names of tests that the store has ever seen: ids, and ids without parameters.
        series: They, each variant apart.
        by_name: They, by each of their names.
    """

    runs: Sequence[Run]
    void: Collection[int]
    days: Sequence[str]
    known: Collection[str]
    series: Sequence[Series]
    by_name: Mapping[str, Sequence[Series]]

    def of(self, entry: Entry) -> list[Series]:
        """Return what an entry speaks of."""
        named = self.by_name.get(entry.test, ())
        return [one for one in named if entry.fits(one.history.variant)]

    def recovery(self, one: Series) -> Recovery:
        """Say how far a test is on its way to being trusted again."""
        return recovery(one.tried, self.runs, self.void)

    def letters(self, one: Series, since: str) -> str:
        """Return the verdicts that count of the runs from a day on."""
        pairs = zip(one.history.steps, one.history.verdicts, strict=True)
        return "".join(
            letter
            for step, letter in pairs
            if step not in self.void
            and self.days[step] >= since
            and letter not in SKIPPED + UNKNOWN
        )


def look(store: Path, window: Window, names: Iterable[str], *, wait_s: float = 10.0) -> Looked:
    """Ask the store what it knows of tests.

    Args:
        store: The store's file.
        window: Which runs.
        names: Ids of tests, or ids without parameters.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.window(window) as asked:
        if asked.is_empty():
            raise no_runs(store)
        runs = asked.runs()
        asked.histories()
        suites = asked.suites()
        found = asked.watched(sorted(set(names)))
    void = outages(
        [run.project for run in runs],
        [suite.failing for suite in suites],
        [suite.told for suite in suites],
    )
    series = [
        Series(_tried(key, seen), found.said.get(key, [])) for key, seen in found.seen.items()
    ]
    by_name: dict[str, list[Series]] = {}
    for one in series:
        for name in names_of(one.history.test_id):
            by_name.setdefault(name, []).append(one)
    return Looked(
        [Run(run.run_id, run.commit, run.sources) for run in runs],
        void,
        [run.started_at[:10] for run in runs],
        frozenset(name for _, test_id in found.known for name in names_of(test_id)),
        series,
        by_name,
    )


def _tried(key: tuple[str, str, str], seen: Sequence[Seen]) -> Tried:
    letters = "".join(map(_letter, seen))
    tries = [(one.passes, one.failures) for one in seen if one.failures]
    return Tried(History(*key, [one.step for one in seen], letters), tries)


def _letter(seen: Seen) -> str:
    if seen.failures:
        return FLAKY if seen.passes else FAILED
    return PASSED if seen.passes else SKIPPED if seen.skips else UNKNOWN


def listed(entries: Sequence[Entry], looked: Looked | None, today: date) -> list[Row]:
    """Say of each entry how long it lasts, and what the store says of its tests.

    Args:
        entries: The quarantine.
        looked: What the store says; None where there is no store.
        today: The day, UTC.

    Returns:
        In the order of the file: `test`, `owner`, `reason`, `issue`, `since` (null where nobody
        says), `expires`, `variant` (canonical form, empty for everywhere), `expired`, `days_left`
        (at least 0), and null without a store: `tests` (with variants, that ran since it is
        quarantined), `runs`, `passed`, `failed`, `flaky` (their verdicts since), `flake_rate` (of
        the one that flakes most, up to its last failure; null where none failed), `last_failed_at`
        (day, UTC; null likewise).
    """
    return [_listed(one, looked, today) for one in entries]


def _listed(entry: Entry, looked: Looked | None, today: date) -> Row:
    row: Row = {
        **entry._asdict(),
        "since": entry.since and entry.since.isoformat(),
        "expires": entry.expires.isoformat(),
        "variant": variant_text(dict(entry.variant)),
        "expired": entry.is_expired(today),
        "days_left": max((entry.expires - today).days, 0),
    }
    names = ("tests", "runs", "passed", "failed", "flaky", "flake_rate", "last_failed_at")
    if looked is None:
        return row | dict.fromkeys(names)
    ours = looked.of(entry)
    told = [letters for one in ours if (letters := looked.letters(one, _begins(entry)))]
    letters = "".join(told)
    found = [looked.recovery(one) for one in ours]
    rates = [one.flake_rate for one in found if one.flake_rate is not None]
    last = [looked.days[one.last_failed] for one in found if one.last_failed is not None]
    numbers = [len(told), len(letters), *(letters.count(sign) for sign in (PASSED, FAILED, FLAKY))]
    values = [*numbers, max(rates, default=None), max(last, default=None)]
    return row | dict(zip(names, values, strict=True))


def _begins(entry: Entry) -> str:
    """Return the first day; where nobody says, the earliest that the file's rules allow."""
    begins = entry.since or entry.expires - timedelta(days=LONGEST_DAYS)
    return begins.isoformat()


def checked(reviewed: Reviewed, looked: Looked | None, today: date) -> list[Row]:
    """Say what in the file must be mended.

    Args:
        reviewed: The file.
        looked: What the newest runs say; None where there is no store to look at.
        today: The day, UTC.

    Returns:
        `test` (null where an entry cannot be read), `finding` (malformed, expired, unknown or
        gone), `text`.
    """
    rows = [_row(None, "malformed", text) for text in reviewed.problems]
    for one in reviewed.entries:
        if one.is_expired(today):
            text = f"expired on {one.expires}, failures count again"
            rows.append(_row(one, "expired", text))
        if looked is None:
            continue
        if one.test not in looked.known:
            rows.append(_row(one, "unknown", "no run has ever had this test"))
        elif not looked.of(one):
            where = " in its variant" if one.variant else ""
            text = f"in none of the newest {count(len(looked.runs), 'run')}{where}"
            rows.append(_row(one, "gone", text))
    return rows


def _row(entry: Entry | None, finding: str, text: str) -> Row:
    return {
        "test": entry and entry.test,
        "owner": entry and entry.owner,
        "finding": finding,
        "text": text,
    }


def proofs(looked: Looked, names: Collection[str], store: Path) -> list[Row]:
    """Say of tests how far they are on their way to being trusted again.

    Args:
        looked: What the store says of them.
        names: Ids of tests, or ids without parameters.
        store: The store's file, for the message.

    Returns:
        The nearest first: `project`, `test_id`, `variant`, and the values of
        `testlytics_analytics.recovery.Recovery`, with `last_failed_at` (day, UTC) for the step.

    Raises:
        NotFoundError: The store knows none of the tests.
    """
    if names and not looked.series:
        raise NotFoundError(
            f"The store {store} holds no test that fits.",
            slug="no-tests",
            hint="Give the whole id of a test, or the id without parameters.",
        )
    rows = []
    for one in looked.series:
        told = looked.recovery(one)._asdict()
        last = told.pop("last_failed")
        told["last_failed_at"] = None if last is None else looked.days[last]
        project, test_id, variant, *_ = one.history
        rows.append({"project": project, "test_id": test_id, "variant": variant, **told})
    return sorted(rows, key=lambda row: (row["left"] is None, row["left"] or 0, row["test_id"]))


def review(entries: Sequence[Entry], looked: Looked, today: date) -> list[Row]:
    """Say which entries need somebody's eye: the summary of a week.

    Args:
        entries: The quarantine.
        looked: What the store says.
        today: The day, UTC.

    Returns:
        In this order of `finding`: expired, always fails, says something new, expires soon,
        never ran, always passes; each with `test`, `owner` and `text`.
    """
    rows = [row for one in entries for row in _reviewed(one, looked, today)]
    return sorted(rows, key=lambda row: _ORDER.index(row["finding"]))


_ORDER = (
    "expired",
    "always fails",
    "says something new",
    "expires soon",
    "never ran",
    "always passes",
)


def _reviewed(entry: Entry, looked: Looked, today: date) -> Iterator[Row]:
    days = (entry.expires - today).days
    if days <= 0:
        yield _row(entry, "expired", f"on {entry.expires}: failures count again")
    elif days <= SOON_DAYS:
        yield _row(entry, "expires soon", f"on {entry.expires}, in {count(days, 'day')}")
    since = _begins(entry)
    ours = looked.of(entry)
    told = [letters for one in ours if (letters := looked.letters(one, since))]
    failing = [letters for letters in told if is_always_failing(letters)]
    if not told:
        yield _row(entry, "never ran", f"since {since}")
    elif failing:
        of = f"{len(failing)} of {count(len(told), 'test')}: " if len(told) > 1 else ""
        yield _row(entry, "always fails", f"{of}{count(max(map(len, failing)), 'run')} in a row")
    elif all(map(is_always_passing, told)):
        yield _row(entry, "always passes", _passing(ours, looked))
    news = [text for one in ours if (text := _new_text(one, looked, since)) is not None]
    if news:
        yield _row(entry, "says something new", news[-1])


def _passing(ours: Sequence[Series], looked: Looked) -> str:
    found = [looked.recovery(one) for one in ours]
    least = min(one.passes for one in found)
    needed = max((one.needed for one in found if one.needed is not None), default=None)
    text = f"{count(least, 'run')} in a row"
    if needed is None:
        return f"{text}, and no failure is known"
    enough = all(not one.left for one in found)
    return f"{text}, {'which shows that it is mended' if enough else f'{needed} show it'}"


def _new_text(one: Series, looked: Looked, since: str) -> str | None:
    """Return the last thing a test said since a day that it never said before, of several."""
    texts = [
        (looked.days[said.step] >= since, FailureText(said.type, said.message, said.place))
        for said in one.said
        if said.step not in looked.void
    ]
    before = {fingerprint(text) for is_new, text in texts if not is_new}
    new = [text for is_new, text in texts if is_new and fingerprint(text) not in before]
    if not before or not new:
        return None
    lines = (new[-1].message or new[-1].type or "").strip().splitlines()
    return lines[0][:300] if lines else "a failure without a message"
