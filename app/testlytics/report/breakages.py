"""Which broken tests broke at one place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.causes import between, causes_of, place_row, scope_rows, shared
from testlytics.report.sections import Row, count

if TYPE_CHECKING:
    from testlytics_analytics.outcome_changes import Breakage
    from testlytics_analytics.status import Judged
    from testlytics_collector.store.windowed import RunRow, WindowReader


class BrokenPlaces(NamedTuple):
    """Where tests broke.

    Attributes:
        groups: Tests that broke at one place, as `Section` has them; one that broke alone has a
            group too. Their texts are empty where no two broke together.
        number: The group of each broken test, by project, test id and variant.
    """

    groups: list[Row]
    number: dict[tuple[str, str, str], int]


def broken_places(
    asked: WindowReader, judged: Sequence[Judged], runs: Sequence[RunRow]
) -> BrokenPlaces:
    """Put the broken tests together that broke at one place.

    Args:
        asked: The window.
        judged: All tests that were judged; those that are broken count.
        runs: The runs of the window.
    """
    broken = [one for one in judged if one.status == "broken"]
    told = _placed(broken, runs)
    members = [
        (project, [(broken[one.rank].test_id, broken[one.rank].variant) for one in group.members])
        for project, group in told
    ]
    several = any(len(some) > 1 for _, some in members)
    groups = []
    number_of: dict[tuple[str, str, str], int] = {}
    shared_by = zip(told, members, causes_of(asked, members), strict=True)
    for number, ((project, one), (_, held), causes) in enumerate(shared_by, 1):
        group: Row = {
            "group": number,
            "project": project,
            "tests": len(held),
            **place_row(runs[one.after] if one.after >= 0 else None, runs[one.until]),
            "causes": scope_rows(causes),
            "folded": False,
        }
        groups.append(group | {"text": _text(group) if several else ""})
        number_of.update(((project, *member), number) for member in held)
    return BrokenPlaces(groups, number_of)


def _placed(broken: Sequence[Judged], runs: Sequence[RunRow]) -> list[tuple[str, Breakage]]:
    from testlytics_analytics.outcome_changes import Placed, breakages

    steps: dict[tuple[str, str | None], int] = {
        (run.project, run.run_id): step for step, run in enumerate(runs)
    }
    places: dict[str, list[Placed]] = defaultdict(list)
    for rank, one in enumerate(broken):
        # Before the window's first run stands -1: it may have been broken all along.
        after = steps.get((one.project, one.last_good_run), -1)
        until = steps.get((one.project, one.broken_last_run), len(runs) - 1)
        places[one.project].append(Placed(rank, one.test_id, after, until))
    return [(project, group) for project in places for group in breakages(places[project])]


def _text(group: Row) -> str:
    since, number = between(group, "99 %"), group["tests"]
    if number == 1:
        return f"{since[0].upper()}{since[1:]}"
    told = [f"{count(number, 'test')} broken {since}", shared(group["causes"], number)]
    return ", ".join(filter(None, told))
