"""The public functions that list what a store holds. No frame library is loaded for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics.api import no_runs
from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics.owners import Owners
    from testlytics_collector.store.lists import Page
    from testlytics_collector.store.reader import Window


def list_runs(
    store: Path, window: Window, *, limit: int | None = None, wait_s: float = 10.0
) -> Page:
    """List runs, the newest first; see `Lists.runs` of the store for the columns.

    Args:
        store: The store's file.
        window: Which runs.
        limit: How many rows; all where None.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.lists(window) as lists:
        page = lists.runs(limit)
    if not page.total:
        raise no_runs(store)
    return page


def list_cases(
    store: Path,
    window: Window,
    pattern: str | None = None,
    *,
    sort: str = "name",
    limit: int | None = None,
    wait_s: float = 10.0,
) -> Page:
    """List tests, each variant apart.

    Args:
        store: The store's file.
        window: Which runs; without branch, since and last the whole history, pruned runs included.
        pattern: A part of the test id, or a glob of the whole; all tests where None.
        sort: `name`, `failures` (most often first), `duration` (longest first) or `last`.
        limit: How many rows; all where None.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        The columns of `Lists.cases` of the store, and `judged` (runs that passed or failed),
        `failure_rate`, `low`, `high` (95 % interval; null where `judged` is 0).

    Raises:
        NotFoundError: There is no store, or no test that fits.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_analytics.interval import wilson
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.lists(window, pattern) as lists:
        page = lists.cases(limit, sort=sort)
    if not page.total:
        raise NotFoundError(
            f"The store {store} holds no test that fits.",
            slug="no-tests",
            hint="Give a part of its id, or a glob such as '*::test_pay*'.",
        )
    for row in page.rows:
        bad = row["failed"] + row["flaky"]
        judged = bad + row["passed"]
        low, high = wilson(bad, judged) or (None, None)
        row |= {"judged": judged, "failure_rate": bad / judged if judged else None}
        row |= {"low": low, "high": high}
    return page


def list_failures(
    store: Path,
    window: Window,
    pattern: str | None = None,
    *,
    limit: int | None = None,
    wait_s: float = 10.0,
) -> Page:
    """List failed and flaky verdicts, the newest run first; see `Lists.failures` of the store.

    Args:
        store: The store's file.
        window: Which runs.
        pattern: A part of the test id, or a glob of the whole; all tests where None.
        limit: How many rows; all where None.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        NotFoundError: There is no store, or no run in the window.
        StoreError: The store cannot be opened or read.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.lists(window, pattern) as lists:
        if lists.is_empty():
            raise no_runs(store)
        return lists.failures(limit)


def add_owners(rows: Iterable[dict[str, Any]], owners: Owners) -> None:
    """Put owners of files where a test has no tag `owner`.

    Args:
        rows: With `test_id` and `owner`; changed in place.
        owners: Who owns which file.
    """
    from testlytics_collector.formats.junit_writer import split

    for row in rows:
        if row["owner"] is None and (path := split(row["test_id"])[0]):
            row["owner"] = " ".join(owners.of(path)) or None
