"""Tests that changed at one place, told together: since when, how many, and what they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from testlytics.report.sections import Row, commit

if TYPE_CHECKING:
    from testlytics_analytics.scopes import Member, Scope
    from testlytics_collector.store.windowed import RunRow, WindowReader

_NAMED = 3


def causes_of(asked: WindowReader, groups: Sequence[tuple[str, list[Member]]]) -> list[list[Scope]]:
    """Name what the tests of each group share; one look at the suite for each project.

    Args:
        asked: The window.
        groups: Project and members of each group.

    Returns:
        Scopes for each group, in the same order; empty where nothing is shared.
    """
    from testlytics_analytics.scopes import candidates, likely_causes

    wanted: dict[str, set[str]] = defaultdict(set)
    for project, members in groups:
        wanted[project].update(candidates(members))
    sizes = {
        project: asked.scope_sizes(project, ["", *sorted(scopes)])
        for project, scopes in wanted.items()
        if scopes
    }
    return [
        likely_causes(members, sizes[project], sizes[project].get("", 0))
        if project in sizes
        else []
        for project, members in groups
    ]


def scope_rows(causes: Sequence[Scope]) -> list[Row]:
    """Return scopes as plain values: `scope`, `hit` tests of `size`."""
    return [{"scope": _name(one), "hit": one.hit, "size": one.size} for one in causes]


def place_row(after: RunRow | None, until: RunRow) -> Row:
    """Return between which runs something began as plain values; None before the first run."""
    return {
        "since_after_run": after and after.run_id,
        "since_after_commit": after and after.commit,
        "since_until_run": until.run_id,
        "since_until_commit": until.commit,
    }


def between(row: Row, level: str) -> str:
    """Say since when.

    Args:
        row: Has what `place_row` gives.
        level: With which probability.
    """
    after, until = _named(row, "after"), _named(row, "until")
    if after is None:
        return f"since {until} or before, {level}"
    if row["since_after_commit"] and row["since_after_commit"] == row["since_until_commit"]:
        return f"since between two runs of {until}, {level}"
    return f"since between {after} and {until}, {level}"


def shared(causes: Sequence[Row], members: int) -> str:
    """Say what the tests of a group share.

    Args:
        causes: What `scope_rows` gives.
        members: Tests in the group.

    Returns:
        Nothing where they share nothing.
    """
    if not causes:
        return ""
    named = ", ".join(f"{one['scope']} ({one['hit']} of {one['size']})" for one in causes[:_NAMED])
    most = causes[0]["hit"] * 2 > members
    return f"one cause likely: {named}" if most else f"in {named}"


def _named(row: Row, end: str) -> str | None:
    """Write an end of an interval: its commit, else its run."""
    if row[f"since_{end}_commit"] is not None:
        return commit(row[f"since_{end}_commit"])
    run: str | None = row[f"since_{end}_run"]
    return run and f"run {run}"


def _name(scope: Scope) -> str:
    return scope.text.removesuffix("[").removesuffix("::")
