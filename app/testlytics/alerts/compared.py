"""What is to be told: what a store says now, beside what was told last. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics.alerts.events import (
    BROKEN,
    EXPIRED,
    FASTER,
    FIXED,
    FLAKY,
    RETRIES,
    RULES,
    SLOWER,
    Event,
)
from testlytics.alerts.hysteresis import CLOSED, advance
from testlytics.alerts.state import Name, Open, State

if TYPE_CHECKING:
    from testlytics.alerts.observed import Observed

NOTHING = State({}, {})

_ORDER = (BROKEN, FLAKY, SLOWER, EXPIRED, RETRIES, FIXED, FASTER)


class Compared(NamedTuple):
    """What is to be told, and what is known afterwards.

    Attributes:
        events: The worst first, then by project, test and variant.
        state: To be kept once they are delivered.
    """

    events: list[Event]
    state: State


def compare(
    before: State, now: Observed, owner_of: Callable[[str, str], str | None] = lambda *_: None
) -> Compared:
    """Say what is to be told.

    Args:
        before: What was told last.
        now: What the store says.
        owner_of: Owner of a test, by project and test id.
    """
    fresh = {
        project: _count_since(runs, before.runs.get(project)) for project, runs in now.runs.items()
    }
    left: dict[Name, Open] = {}
    changes: list[tuple[Name, str, Mapping[str, Any]]] = []
    for name in {**before.open, **now.readings}:
        told, reading = before.open.get(name), now.readings.get(name)
        if reading is None:
            # What was not looked at is left as it was; an entry that is gone is over.
            if told is not None and name.kind != EXPIRED:
                left[name] = told
            continue
        if reading.value is None:
            continue
        calm = None if told is None else told.calm
        step = advance(calm, reading.value, fresh.get(name.project, 0), RULES[name.kind])
        if step.calm is not None:
            left[name] = Open(step.calm, dict(reading.values if told is None else told.values))
        if step.change is not None:
            changes.append((name, step.change, reading.values))
    events = [
        event
        for name, change, values in changes
        if (event := _event(name, change, values, left, now, owner_of)) is not None
    ]
    # What was flaky and broken is fixed once, where both end with one run.
    events = list({one[:5]: one for one in reversed(events)}.values())
    events.sort(
        key=lambda one: (_ORDER.index(one.kind), one.project, one.test_id or "", one[4] or "")
    )
    newest = {project: runs[-1] for project, runs in now.runs.items()}
    return Compared(events, State({**before.runs, **newest}, left))


def _count_since(runs: Sequence[str], last: str | None) -> int:
    """Return how many runs came behind one; all where it is not among them."""
    return len(runs) - 1 - runs.index(last) if last in runs else len(runs)


def _event(
    name: Name,
    change: str,
    values: Mapping[str, Any],
    left: Mapping[Name, Open],
    now: Observed,
    owner_of: Callable[[str, str], str | None],
) -> Event | None:
    kind = name.kind
    if change == CLOSED:
        if kind == EXPIRED:
            return None
        if kind in {FLAKY, BROKEN}:
            other = name._replace(kind=BROKEN if kind == FLAKY else FLAKY)
            if other in left:  # it fails on in another way
                return None
            kind = FIXED
        elif kind == SLOWER:
            kind = FASTER
    runs = now.runs.get(name.project)
    run = runs[-1] if runs else None
    commit = now.commits.get((name.project, run)) if run is not None else None
    owner = values.get("owner") if kind == EXPIRED else None
    if owner is None and name.test_id is not None:
        owner = owner_of(name.project, name.test_id)
    what = (name.project, name.test_id, name.variant)
    return Event(kind, change, *what, run, commit, owner, dict(values))
