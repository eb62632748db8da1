"""The slowest and fastest tests, files, folders, owners and phases: what they cost a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testlytics.report.groupings import grouped, grouping
from testlytics.report.sections import (
    Column,
    Row,
    Section,
    label_column,
    percent,
    speed_columns,
    speed_section,
)
from testlytics_collector.store.speeds import Speeds

if TYPE_CHECKING:
    from testlytics.report.groupings import Chosen
    from testlytics_collector.store.costs import Cost, PhaseCost
    from testlytics_collector.store.windowed import WindowReader

_PLURALS = {
    "family": "families",
    "file": "files",
    "folder": "folders",
    "owner": "owners",
    "phase": "phases",
}


def timed_section(
    asked: WindowReader, chosen: Chosen, name: str, *, by: str | None, sort: str, limit: int | None
) -> Section:
    """List the slowest or the fastest tests, or what groups of them cost a run.

    Args:
        asked: The window.
        chosen: Which tests are looked at.
        name: `slowest` or `fastest`.
        by: `test`, `phase` or one of `groupings.GROUPS`; None for tests without their phases,
            which is the fastest to tell.
        sort: By `median`, `p95` or `total`.
        limit: At most this many tests; groups are not cut.
    """
    slowest = name == "slowest"
    if by not in {None, "test"}:
        return _cost_section(asked, chosen, by or "", slowest=slowest, sort=sort)
    timed = asked.speeds(order=sort, slowest=slowest, limit=limit, among=chosen.among)
    if by is None:
        return speed_section(timed, slowest=slowest, sort=sort)
    return _phased_tests(asked, timed, slowest=slowest, sort=sort)


def _cost_section(
    asked: WindowReader, chosen: Chosen, by: str, *, slowest: bool, sort: str
) -> Section:
    rows: list[Row]
    if by == "phase":
        suites = grouped(chosen.tests, lambda _: None)
        rows = [
            {"project": suites.names[one.label][0], "phase": one.phase, **_figures(one)}
            for one in asked.phase_costs(suites.labels)
        ]
    else:
        groups = grouped(chosen.tests, grouping(by, chosen.owner_of))
        rows = [_group_row(by, groups.names[one.label], one) for one in asked.costs(groups.labels)]
    whole = sum(row["total_s"] for row in rows)
    for row in rows:
        row["share"] = row["total_s"] / whole if whole else None
    sign = -1 if slowest else 1
    rows.sort(
        key=lambda r: (
            sign * r[f"{sort}_s"],
            r["project"],
            r[by] is None,
            r[by] or "",
            r["variant"],
        )
    )
    columns = (
        *speed_columns()[:3],
        Column("share", lambda r: percent(r["share"]), right=True),
        *(() if by == "phase" else (_SETUP,)),
        label_column(rows, by),
    )
    name = "slowest" if slowest else "fastest"
    title = f"{name.capitalize()} {_PLURALS[by]} a run, by {sort}"
    return Section(name, title, rows, columns, "No durations: no test has passed yet.")


def _phased_tests(asked: WindowReader, timed: Speeds, *, slowest: bool, sort: str) -> Section:
    listed = {(row["project"], row["test_id"]) for row in timed.rows}
    tests = [one for one in asked.known_tests() if (one.project, one.test_id) in listed]
    groups = grouped(tests, lambda test: test.test_id)
    shares = {
        (*groups.names[one.label], one.variant): one.setup_share
        for one in asked.costs(groups.labels)
    }
    rows = [
        row | {"setup_share": shares[row["project"], row["test_id"], row["variant"]]}
        for row in timed.rows
    ]
    section = speed_section(Speeds(rows, timed.series), slowest=slowest, sort=sort)
    *figures, name = section.columns
    return section.shown_with((*figures, _SETUP, name))


def _group_row(by: str, name: tuple[str, str | None], one: Cost) -> Row:
    row = {"project": name[0], by: name[1], "tests": one.tests, **_figures(one)}
    return row | {"setup_share": one.setup_share}


def _figures(one: Cost | PhaseCost) -> Row:
    return {
        "variant": one.variant,
        "samples": one.samples,
        "median_s": one.median_s,
        "p95_s": one.p95_s,
        "total_s": one.total_s,
    }


_SETUP = Column("set-up", lambda r: percent(r["setup_share"]), right=True)
