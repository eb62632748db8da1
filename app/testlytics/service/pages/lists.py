"""The lists of tests: flaky, broken, slower, slowest, and all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.html import svg
from testlytics.report.html.strips import Strips
from testlytics.report.impact import minutes
from testlytics.report.sections import Column, Row, Section, count
from testlytics.service.pages import judging
from testlytics.service.pages.asking import DATA_ROWS, Asked, Block, Part, Shown
from testlytics.service.pages.runs import case_link
from testlytics.service.pages.tables import listed

if TYPE_CHECKING:
    from testlytics.report.groupings import Chosen
    from testlytics.report.html.gather import Key
    from testlytics_collector.store.windowed import Failing, RunRow

SLOWER_RUNS = 30
"""Runs in which slower tests are looked for, where fewer are not asked for: more cost too much."""

TITLED = 300
"""Cells of a page that say their run; each test has a page where all of them do."""

MOST_PAGES = 20
"""Pages of the lists that the store has to make from their first row on."""


class _Drawn(NamedTuple):
    runs: list[RunRow]
    histories: Mapping[Key, Failing]


def flaky(asked: Asked) -> Shown:
    """List the flaky tests with what they cost, the highest flake rate first."""
    from testlytics.report.sections import flaky_section

    with judging.window_of(asked) as window:
        chosen = judging.chosen(asked, window)
        judged = judging.judge(asked, window)
        section = flaky_section(chosen.judged(judged.rows))
        costs = judging.costs(window, judged)
        owned = _owned(chosen, section)
    for row in section.rows:
        cost = costs.get((row["project"], row["test_id"], row["variant"]))
        row |= {"blocked": cost.blocked if cost else 0, "lost_s": cost.lost_s if cost else 0.0}
    strips = Column("runs", Strips(_Drawn(judged.runs, judged.histories), TITLED).draw)
    priced = [
        Column("blocked", lambda r: count(r["blocked"], "job"), right=True),
        Column("lost", lambda r: minutes(r["lost_s"]), right=True),
    ]
    part = listed(
        asked,
        section,
        "Flaky tests, the highest flake rate first",
        href=case_link(asked),
        drawings=[strips],
        last=[*priced, *owned],
    )
    note = "Tests that fail and pass by turns, with what their failures cost in these runs."
    return _shown("Flaky tests", section, [part, Part("legend", outcome_legend())], note)


def broken(asked: Asked) -> Shown:
    """List the broken tests, those that broke last first."""
    from testlytics.report.breakages import broken_places
    from testlytics.report.sections import broken_section

    with judging.window_of(asked) as window:
        chosen = judging.chosen(asked, window)
        judged = judging.judge(asked, window)
        ours = chosen.judged(judged.rows).rows
        section = broken_section(ours, broken_places(window, ours, judged.runs))
        owned = _owned(chosen, section)
    strips = Column("runs", Strips(_Drawn(judged.runs, judged.histories), TITLED).draw)
    part = listed(
        asked,
        section,
        "Broken tests, those that broke last first",
        href=case_link(asked),
        drawings=[strips],
        last=owned,
    )
    note = "Tests that fail since some run and did not pass again."
    return _shown("Broken tests", section, [part, Part("legend", outcome_legend())], note)


def regressions(asked: Asked) -> Shown:
    """List the tests that got slower and stayed so, by what they have in common."""
    from testlytics.report.slowdowns import slower_tests

    with judging.window_of(asked) as window:
        chosen = judging.chosen(asked, window)
        section = chosen.kept(slower_tests(window))
        owned = _owned(chosen, section)
    part = listed(
        asked,
        section,
        "Tests that got slower and stayed so",
        href=case_link(asked),
        last=owned,
    )
    note = "Beyond what the machine did; those that began at one place stand together."
    shown = _shown("Slower tests", section, [part], note)
    groups = [{**one, "causes": one["causes"]} for one in section.groups or ()]
    return Shown(
        shown.title, shown.blocks, shown.lead, lists={"regressions": section.rows, "groups": groups}
    )


def slowest(asked: Asked) -> Shown:
    """List the tests that take longest."""
    from testlytics.report.costs import timed_section

    sort = asked.values["sort"]
    page = min(asked.page, MOST_PAGES)
    with judging.window_of(asked) as window:
        chosen = judging.chosen(asked, window)
        section = timed_section(
            window, chosen, "slowest", by=None, sort=sort, limit=page * asked.size
        )
        owned = _owned(chosen, section)
    total = min(section.left_out + len(section.rows), MOST_PAGES * asked.size)
    part = listed(
        asked,
        section,
        f"The slowest tests, by {sort}",
        href=case_link(asked),
        total=total,
        last=owned,
    )
    orders = [
        (name, asked.links.here(sort=name, page=None), name == sort)
        for name in ("total", "median", "p95")
    ]
    note = f"Durations of attempts that passed, in {_runs(asked)}."
    return _shown("Slowest tests", section, [Part("choices", ("Order", orders)), part], note)


def measurements(asked: Asked) -> Shown:
    """List benchmarks and load tests, or coverage, what got worse first."""
    from testlytics.report.measurements import measured_section

    kind = asked.values["kind"]
    with judging.window_of(asked) as window:
        section = measured_section(window, kind)
    kinds = [
        (name, asked.links.here(kind=name, page=None), name == kind)
        for name in ("benchmarks", "coverage")
    ]
    part = listed(asked, section, f"{section.title}, what got worse first")
    note = " ".join([f"What else was measured, in {_runs(asked)}.", *section.notes])
    return _shown("Measurements", section, [Part("choices", ("Kind", kinds)), part], note)


def cases(asked: Asked) -> Shown:
    """List tests, or those whose id holds a text."""
    from testlytics import browse
    from testlytics_collector.errors import NotFoundError

    pattern, sort = asked.values["pattern"], asked.values["sort"]
    wide = asked.values["branch"] is None and asked.values["since"] is None
    # The counts of the whole history are kept; those of a part of it are not.
    window = asked.window(last=asked.values["last"] if wide else asked.values["last"] or 50)
    page = min(asked.page, MOST_PAGES)
    try:
        found = browse.list_cases(asked.store, window, pattern, sort=sort, limit=page * asked.size)
        rows, total = found.rows, found.total
    except NotFoundError:
        rows, total = [], 0
    part = listed(
        asked,
        _cases(rows),
        f"Tests by {sort}",
        href=case_link(asked),
        total=min(total, MOST_PAGES * asked.size),
    )
    orders = [
        (word, asked.links.here(sort=name, page=None), name == sort)
        for name, word in (
            ("name", "name"),
            ("failures", "failures"),
            ("duration", "duration"),
            ("last", "last run"),
        )
    ]
    what = f" with {pattern!r} in their id" if pattern else ""
    lead = f"{count(total, 'test')}{what}, each variant counted"
    parts = [Part("choices", ("Order", orders)), part]
    return Shown(
        "Tests",
        [Block("tests", "Tests", parts, quiet=True)],
        lead,
        {"total": total},
        {"tests": rows},
    )


def _cases(rows: list[Row]) -> Section:
    from testlytics.report.lists import cases_section

    empty = "No test has this in its id. A glob has to fit all of it: *::test_pay*"
    section = cases_section(rows)
    return Section("tests", "Tests", section.rows, section.columns, empty)


def _shown(title: str, section: Section, parts: list[Part], note: str) -> Shown:
    block = Block(section.name, title, parts, note=note, quiet=True)
    number = len(section.shown()) + section.left_out
    rows = section.rows[: 10 * DATA_ROWS]
    return Shown(title, [block], f"{number:,} in all", {"total": number}, {section.name: rows})


def _runs(asked: Asked) -> str:
    return f"the newest {count(asked.values['last'], 'run')}"


def _owned(chosen: Chosen, section: Section) -> list[Column]:
    """Return the column of owners, where any of a list has one; puts them into its rows."""
    for row in section.rows:
        row["owner"] = chosen.owner_of(row["project"], row["test_id"])
    some = any(row["owner"] for row in section.rows)
    return [Column("owner", lambda r: r["owner"] or "")] if some else []


def outcome_legend() -> list[tuple[str, str]]:
    """Say which shape means what in a strip of outcomes."""
    words = {"P": "passed", "F": "failed", "L": "failed and passed", "S": "skipped"}
    return [(svg.strip(one, word), word) for one, word in words.items()]
