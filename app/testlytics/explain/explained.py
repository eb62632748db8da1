"""Explaining a test: what the store knows of it, and what that means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.api import no_runs
from testlytics.explain import outcomes
from testlytics.explain.outcomes import Series
from testlytics.owners import OwnerOf, Owners
from testlytics.reviewed import names as names_of
from testlytics_collector.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from testlytics.quarantine_file import Entry
    from testlytics_analytics.status import Judged
    from testlytics_collector.store.one_test import Named, OneTest
    from testlytics_collector.store.reader import Window
    from testlytics_collector.store.windowed import WindowReader

Row = dict[str, Any]

BESIDE = 200
"""So many other tests show what the machine did."""

_NEAR = 5
_NAMED = 8
_ORDER = ("broken", "flaky", "unknown", "stable")


def explain(  # noqa: PLR0913 - keywords with defaults
    store: Path,
    window: Window,
    text: str,
    *,
    owners: Owners | None = None,
    entries: Iterable[Entry] = (),
    today: date | None = None,
    limit: int | None = None,
    wait_s: float = 10.0,
) -> list[Row]:
    """Explain a test, or all tests of a family.

    Args:
        store: The store's file.
        window: Which runs.
        text: A test id, a family, or the end of either.
        owners: Who owns which file; without, only tags say it.
        entries: The quarantine.
        today: The day that its entries are held against, UTC; needed where there are any.
        limit: At most so many variants of tests are told of, the worst first; all where None.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        One row per test, the worst first: `project`, `test_id`, `family`, `owner` (null where
        nobody is known), `quarantine` (null without an entry), `environments` (see
        `outcomes.dependence_rows`), `left_out` (variants beyond the limit) and `variants`: each
        what `testlytics_analytics.status.Judged` has, and `turns` (what would change the verdict),
        `strip`, `runs_seen` (see `outcomes.history_rows`), `pairs`, `failures`, `causes`,
        `changes`, `levels`, `baseline`, `phases`, `machine` (see `durations.speeds`).

    Raises:
        ConfigError: The text means several tests of different families.
        NotFoundError: There is no store, no run in the window, or no such test in it.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.window(window) as asked:
        if asked.is_empty():
            raise no_runs(store)
        one = asked.one_test()
        tests = chosen(one, text, store)
        every = _series(asked, one, tests)
        if not every:
            raise NotFoundError(
                f"{text}: in none of the runs that were looked at.",
                slug="no-tests",
                hint="Widen --branch, --variant, --since or --last.",
            )
        owner_of = OwnerOf(one.owner_tags([test.key for test in tests]), owners)
        told = _judged(every)
        kept = list(told)[:limit]
        variants = {key: _variant(one, tests, every[key], told[key]) for key in kept}
    rows = []
    for project, test_id in dict.fromkeys(key[:2] for key in kept):
        ours = {key[2]: every[key] for key in every if key[:2] == (project, test_id)}
        here = [key for key in kept if key[:2] == (project, test_id)]
        entry = _entry(test_id, ours, entries)
        rows.append(
            {
                "project": project,
                "test_id": test_id,
                "family": names_of(test_id)[-1],
                "owner": owner_of(project, test_id),
                "quarantine": entry and _entry_row(entry, today),
                "environments": outcomes.dependence_rows(ours),
                "left_out": len(ours) - len(here),
                "variants": [variants[key] for key in here],
            }
        )
    return rows


def chosen(one: OneTest, text: str, store: Path) -> list[Named]:
    """Return the tests that a text means: all of one family, in one project.

    Raises:
        ConfigError: It means several.
        NotFoundError: It means none.
    """
    found = one.fitting(text)
    if not found:
        near = one.alike(text, _NEAR) if text else []
        raise NotFoundError(
            f"The store {store} holds no test {text!r}.",
            slug="no-tests",
            hint=f"Near it: {', '.join(near)}." if near else None,
        )
    families = list(dict.fromkeys((test.project, test.family) for test in found))
    if len(families) > 1:
        several = len({project for project, _ in families}) > 1
        names = [f"{project}: {name}" if several else name for project, name in families]
        more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise ConfigError(
            f"{text!r} means {len(names)} tests: {', '.join(names[:_NAMED])}{more}.",
            slug="explain-which",
            hint="Give more of the id" + (", or --project." if several else "."),
        )
    return found


def _series(
    asked: WindowReader, one: OneTest, tests: Sequence[Named]
) -> dict[tuple[str, str, str], Series]:
    from testlytics_analytics.evidence import outages

    runs = asked.runs()
    asked.note_failures()
    suites = asked.suites()
    void = outages(
        [run.project for run in runs],
        [suite.failing for suite in suites],
        [suite.told for suite in suites],
    )
    seen = one.seen([test.key for test in tests])
    steps = {
        (project, variant): one.variant_steps(project, variant) for project, _, variant in seen
    }
    return {key: Series(key, some, steps[key[0], key[2]], runs, void) for key, some in seen.items()}


def _judged(every: Mapping[tuple[str, str, str], Series]) -> dict[tuple[str, str, str], Judged]:
    """Judge the series, the worst first."""
    from testlytics_analytics.histories import Run
    from testlytics_analytics.status import judge

    some = next(iter(every.values()))
    runs = [Run(run.run_id, run.commit, run.sources) for run in some.runs]
    found = judge([one.tried() for one in every.values()], runs, some.void).rows
    found.sort(key=lambda one: (_ORDER.index(one.status), -(one.p_broken or 0), one[:3]))
    return {one[:3]: one for one in found}


def _variant(one: OneTest, tests: Sequence[Named], series: Series, judged: Judged) -> Row:
    from testlytics.explain.durations import speeds
    from testlytics_analytics.histories import Run
    from testlytics_analytics.what_if import turns

    runs = [Run(run.run_id, run.commit, run.sources) for run in series.runs]
    keys: Collection[int] = [test.key for test in tests]
    beside = one.beside(series.key[2], series.steps, list(keys), BESIDE)
    told = judged._asdict()
    for name in ("project", "test_id"):
        del told[name]
    return {
        **told,
        "turns": [turn._asdict() for turn in turns(series.tried(), runs, series.void)],
        "strip": outcomes.strip(series),
        "runs_seen": outcomes.history_rows(series),
        "pairs": outcomes.pair_rows(series),
        "failures": outcomes.failure_rows(series),
        "causes": outcomes.cause_rows(series),
        "changes": outcomes.change_rows(series),
        **speeds(series, beside)._asdict(),
    }


def _entry(test_id: str, variants: Iterable[str], entries: Iterable[Entry]) -> Entry | None:
    """Return the entry of the quarantine that speaks of a test in one of its variants."""
    names = names_of(test_id)
    fitting = [
        one for one in entries if one.test in names and any(one.fits(name) for name in variants)
    ]
    return max(fitting, key=lambda one: one.expires, default=None)


def _entry_row(entry: Entry, today: date | None) -> Row:
    return {
        "owner": entry.owner,
        "reason": entry.reason,
        "issue": entry.issue,
        "since": entry.since and entry.since.isoformat(),
        "expires": entry.expires.isoformat(),
        "variant": dict(entry.variant),
        "expired": today is not None and entry.is_expired(today),
    }
