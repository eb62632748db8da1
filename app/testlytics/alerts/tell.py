"""One call of alerts: look, compare with what was told last, tell, and only then remember it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from testlytics.alerts.compared import NOTHING, compare
from testlytics.alerts.events import Event
from testlytics.alerts.observed import observe
from testlytics.alerts.state import State, read_state, save_state
from testlytics.api import no_runs
from testlytics.owners import OwnerOf, Owners
from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics.quarantine_file import Entry
    from testlytics_collector.store.reader import Window


def alerts(  # noqa: PLR0913 - keywords with defaults
    store: Path,
    window: Window,
    state: Path,
    tell: Callable[[Sequence[Event]], None],
    *,
    today: date,
    since_run: str | None = None,
    owners: Owners | None = None,
    entries: Iterable[Entry] = (),
    wait_s: float = 10.0,
) -> list[Event]:
    """Tell what changed since it was told last.

    Args:
        store: The store's file.
        window: Which runs.
        state: The file of what was told last; made where it is missing.
        tell: Brings the events to whom they are for; what it raises leaves the file as it was.
        today: The day that quarantine entries are held against, UTC.
        since_run: Where there is no such file: what the store said up to this run counts as told.
        owners: Who owns which file; without, only tags say it.
        entries: The quarantine.
        wait_s: How long to wait for a writer, in seconds.

    Returns:
        What was told, the worst first.

    Raises:
        ConfigError: The file of what was told cannot be read.
        NotFoundError: There is no store, no run in the window, or no such run in it.
        StoreError: The store cannot be opened or read.
        Error: The file cannot be written.
    """
    entries = list(entries)
    before = read_state(state)
    if before is None:
        before = NOTHING
        if since_run is not None:
            before = _state_at(store, window, since_run, today, wait_s)
    now = observe(store, window, before.open, entries=entries, today=today, wait_s=wait_s)
    found = compare(before, now, OwnerOf(now.owners, owners))
    if found.events:
        tell(found.events)
    save_state(state, found.state)
    return found.events


def _state_at(store: Path, window: Window, run_id: str, today: date, wait_s: float) -> State:
    """Return what would have been told if alerts had been called after a run."""
    from testlytics_collector.store.store import open_store

    with open_store(store, wait_s=wait_s) as opened, opened.window(window) as asked:
        if asked.is_empty():
            raise no_runs(store)
        runs = asked.runs()
    begun = [run.started_at for run in runs if run.run_id == run_id]
    if not begun:
        raise NotFoundError(
            f"The run {run_id!r} is not among those that were looked at.",
            slug="alerts-since",
            hint="Look at more with --last, or name another with --since-run.",
        )
    until = tuple(run.run_id for run in runs if run.started_at <= max(begun))
    then = observe(store, replace(window, run_ids=until), {}, today=today, wait_s=wait_s)
    return compare(NOTHING, then).state
