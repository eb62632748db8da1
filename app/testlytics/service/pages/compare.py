"""Two runs beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from testlytics.report.html.tables import badge
from testlytics.report.html.tiles import Tile
from testlytics.report.sections import Column, Row, Section, commit, count, seconds
from testlytics.service.pages.asking import DATA_ROWS, Asked, Block, Part, Shown
from testlytics.service.pages.runs import case_link, facts_of
from testlytics.service.pages.tables import link, table
from testlytics_collector.errors import NotFoundError

if TYPE_CHECKING:
    from testlytics_collector.store.compared import Several
    from testlytics_collector.store.dashboard import RunFacts

ROWS = 50
"""Rows of each list; the data has more."""

RATIO = 1.5
FLOOR_S = 0.05
"""Of two runs alone only a large difference says something: this ratio, and so many seconds."""

_TITLES = {
    "new failures": "New failures",
    "fixed": "Fixed",
    "slower": "Slower",
    "faster": "Faster",
    "added": "Added tests",
    "removed": "Removed tests",
    "still failing": "Still failing",
}
_BAD = {"new failures": "bad", "slower": "warn", "fixed": "good", "faster": "good"}


def compare(asked: Asked) -> Shown:
    """Compare two runs: failures, durations, and tests that came and went."""
    from testlytics_collector.store.store import open_store

    with open_store(asked.store) as opened:
        now = facts_of(opened, asked, asked.values["run"])
        base = asked.values["base"] or now.before
        if base is None:
            raise NotFoundError(
                f"There is no run before {now.run_id!r}.",
                slug="no-runs",
                hint="Choose another run to compare with.",
            )
        before = facts_of(opened, asked, base)
        limit = DATA_ROWS if asked.is_data else ROWS
        with opened.two_runs(asked.name, before.run_id, now.run_id) as both:
            factor = both.machine()
            found = {
                kind: both.outcomes(kind, limit)
                for kind in ("new failures", "fixed", "added", "removed", "still failing")
            }
            for kind in ("slower", "faster"):
                found[kind] = both.durations(
                    slower=kind == "slower",
                    factor=factor or 1.0,
                    ratio=RATIO,
                    floor_s=FLOOR_S,
                    limit=limit,
                )
    return _shown(asked, before, now, factor, found)


def _shown(
    asked: Asked,
    before: RunFacts,
    now: RunFacts,
    factor: float | None,
    found: dict[str, Several],
) -> Shown:
    tiles = [
        Tile(
            title, f"{found[kind].total:,}", "", _kind(kind, found[kind].total), _href(kind, found)
        )
        for kind, title in _TITLES.items()
    ]
    blocks = [
        Block(
            "runs",
            "Runs",
            [Part("facts", _facts(asked, before, now, factor)), Part("tiles", tiles)],
            quiet=True,
        ),
        *(
            Block(_id(kind), title, [_part(asked, kind, found[kind])])
            for kind, title in _TITLES.items()
            if found[kind].total
        ),
    ]
    lists = {
        kind.replace(" ", "_"): [one._asdict() for one in found[kind].rows] for kind in _TITLES
    }
    values: Row = {
        "run": now._asdict(),
        "base": before._asdict(),
        "machine": factor,
        "totals": {kind.replace(" ", "_"): found[kind].total for kind in _TITLES},
    }
    lead = f"{found['new failures'].total} new failures, {found['fixed'].total} fixed"
    return Shown(f"{now.run_id} beside {before.run_id}", blocks, lead, values, lists)


def _id(kind: str) -> str:
    return kind.replace(" ", "-")


def _href(kind: str, found: Mapping[str, Several]) -> str:
    return f"#{_id(kind)}" if found[kind].total else ""


def _kind(kind: str, total: int) -> str:
    return _BAD.get(kind, "") if total else ""


def _facts(
    asked: Asked, before: RunFacts, now: RunFacts, factor: float | None
) -> list[tuple[str, str]]:
    def named(one: RunFacts) -> str:
        when = f"{one.run_id}, {one.started_at[:16]} {commit(one.commit)}"
        return link(asked.links.to("/run", run=one.run_id), when)

    told = [("Run", named(now)), ("Compared with", named(before))]
    if factor is not None:
        told.append(("Machine", f"the middle one of all tests took {factor:.2f} times as long"))
    swapped = asked.links.here(run=before.run_id, base=now.run_id)
    return [*told, ("Turn round", link(swapped, "compare the other way"))]


def _part(asked: Asked, kind: str, some: Several) -> Part:
    rows = [one._asdict() for one in some.rows]
    variants = len({row["variant"] for row in rows}) > 1

    def ratio(row: Row) -> str:
        both = row["before_s"] and row["now_s"]
        return f"{row['now_s'] / row['before_s']:.2f}" if both else "-"

    timed = kind in {"slower", "faster"}
    columns = (
        *([] if timed else [_verdict("before"), _verdict("now")]),
        Column("took before", lambda r: seconds(r["before_s"]), right=True),
        Column("now", lambda r: seconds(r["now_s"]), right=True),
        *([Column("ratio", ratio, right=True)] if timed else []),
        *([Column("variant", lambda r: r["variant"] or "-")] if variants else []),
        Column("test", lambda r: r["test_id"]),
    )
    notes: tuple[str, ...] = ()
    if timed:
        beyond = f"By {RATIO:g} and {FLOOR_S * 1000:g} ms or more beyond what the machine did."
        alone = "Two runs alone cannot tell noise from a change: the page of slower tests can."
        notes = (f"{beyond} {alone}",)
    left = some.total - len(rows)
    section = Section(kind, _TITLES[kind], rows, columns, "None.", left, notes)
    caption = f"{_TITLES[kind]}: {count(some.total, 'test')}"
    return table(section, caption, href=case_link(asked))


def _verdict(name: str) -> Column:
    return Column(name, lambda r: badge(r[name] or "absent"))
