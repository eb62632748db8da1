"""Which runs a run is compared with: several at the place where its change branched off."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from testlytics_collector.store.gated_runs import GatedRun
    from testlytics_collector.store.store import Store

RUNS = 100
"""The newest so many runs of the baseline."""

_CHANGE_RUNS = 5


class Baseline(NamedTuple):
    """The runs that a gate looks at.

    Attributes:
        run: The one to judge.
        branch: Branch that the baseline is of; None where it is of all branches.
        runs: The baseline's runs, oldest first; none of them is of the same change.
        change: Earlier runs of the same change, oldest first.
        notes: What could not be found out about them.
    """

    run: GatedRun
    branch: str | None
    runs: list[GatedRun]
    change: list[GatedRun]
    notes: list[str]


def find_baseline(
    opened: Store, run: GatedRun, *, base: str | None = None, limit: int = RUNS
) -> Baseline:
    """Choose the runs to compare a run with.

    Those of the base branch up to the commit where the change branched off, as far as git here
    knows it; for a run of the base branch itself, those before it.

    Args:
        opened: The store.
        run: The run to judge.
        base: Name of the base branch; found out where None.
        limit: At most so many runs.
    """
    from testlytics.commits import branched_off

    known = opened.branches(run)
    base = base or _base_of(run, known)
    is_change = run.pull_request is not None or (base is not None and run.branch != base)
    until_us, notes = None, []
    if is_change and base is not None and run.commit is not None:
        until_us = branched_off(run.commit, base)
        if until_us is None:
            notes.append(
                f"Where the change left {base} is not known here: compared with its newest runs. "
                "A checkout with the whole history tells (fetch-depth: 0)."
            )
    change = opened.runs_of_change(run, _CHANGE_RUNS) if is_change else []
    first = change[0] if change else run
    runs = opened.earlier_runs(first, branch=base, until_us=until_us, limit=limit)
    if not runs and until_us is not None:
        runs = opened.earlier_runs(first, branch=base, until_us=None, limit=limit)
        if runs:
            notes.append(
                f"No run of {base} is as old as where the change left it: newer ones are used."
            )
    own = {one.run_id for one in (*change, run)}
    return Baseline(run, base, [one for one in runs if one.run_id not in own], change, notes)


def _base_of(run: GatedRun, known: list[str]) -> str | None:
    """Guess the base branch: main or master where there are runs of it, else the commonest."""
    if run.pull_request is None and run.branch is None:
        return None
    for name in ("main", "master", "trunk"):
        if name in known or (run.pull_request is None and run.branch == name):
            return name
    return known[0] if known else None
