"""Which tests a report is about, and the groups it sums them up by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from testlytics.owners import OwnerOf, is_owned

if TYPE_CHECKING:
    from testlytics.owners import Owners
    from testlytics.report.sections import Section
    from testlytics_analytics.status import Judgement
    from testlytics_collector.store.costs import Known
    from testlytics_collector.store.windowed import WindowReader

GROUPS = ("family", "file", "folder", "owner")
"""What tests can be grouped by."""


class Chosen:
    """The tests that the lists of a report are about: all, or those of one owner.

    Args:
        asked: The window; asked only for what is needed.
        owners: The rules of CODEOWNERS; None where there are none.
        owner: Only tests that this owner has; None for all.
    """

    def __init__(self, asked: WindowReader, owners: Owners | None, owner: str | None) -> None:
        self._asked = asked
        self._owners = owners
        self._owner = owner

    @cached_property
    def owner_of(self) -> OwnerOf:
        """Who owns a test."""
        return OwnerOf(self._asked.owner_tags(), self._owners)

    @cached_property
    def tests(self) -> list[Known]:
        """The tests, by project and test id."""
        return [one for one in self._asked.known_tests() if self.holds(one.project, one.test_id)]

    @property
    def among(self) -> list[int] | None:
        """Keys of the tests; None where all are meant."""
        return None if self._owner is None else [one.key for one in self.tests]

    def holds(self, project: str, test_id: str) -> bool:
        """Tell whether a test is among them."""
        return self._owner is None or is_owned(self.owner_of(project, test_id), self._owner)

    def judged(self, judged: Judgement) -> Judgement:
        """Leave out all others of the tests that were judged."""
        if self._owner is None:
            return judged
        return judged._replace(rows=[r for r in judged.rows if self.holds(r.project, r.test_id)])

    def kept(self, section: Section) -> Section:
        """Leave out all others of a list of tests."""
        if self._owner is None:
            return section
        rows = [row for row in section.rows if self.holds(row["project"], row["test_id"])]
        return replace(section, rows=rows)


class Grouped(NamedTuple):
    """Tests in their groups.

    Attributes:
        labels: The number of each test's group, by key of the test.
        names: Project and name of each group, by number; None for tests that belong to none.
    """

    labels: Mapping[int, int]
    names: list[tuple[str, str | None]]


def grouped(tests: Iterable[Known], name_of: Callable[[Known], str | None]) -> Grouped:
    """Number the groups of tests; groups of two projects are never one.

    Args:
        tests: The tests.
        name_of: Gives the name of a test's group.
    """
    numbers: dict[tuple[str, str | None], int] = {}
    labels = {
        test.key: numbers.setdefault((test.project, name_of(test)), len(numbers)) for test in tests
    }
    return Grouped(labels, list(numbers))


def grouping(by: str, owner_of: OwnerOf) -> Callable[[Known], str | None]:
    """Return what names the group of a test.

    Args:
        by: One of `GROUPS`.
        owner_of: Who owns a test.
    """
    if by == "owner":
        return lambda test: owner_of(test.project, test.test_id)
    place = {"family": family, "file": file, "folder": folder}[by]
    return lambda test: place(test.test_id)


def family(test_id: str) -> str:
    """Return a test id without its parameters, as `family_of` of the store gives it."""
    start = test_id.find("[", max(test_id.find("::"), 1)) if test_id.endswith("]") else -1
    return test_id[:start] if start > 0 else test_id


def file(test_id: str) -> str | None:
    """Return the file of a test, or its class where the id names no file; None without either."""
    path, classes = _place(test_id)
    return path or classes or None


def folder(test_id: str) -> str | None:
    """Return the folder of a test's file, `.` for the root, or the package of its class.

    None where the id names neither, or a class without a package.
    """
    path, classes = _place(test_id)
    if path:
        return path.rpartition("/")[0] or "."
    return classes.partition("::")[0].rpartition(".")[0] or None


def _place(test_id: str) -> tuple[str, str]:
    from testlytics_collector.formats.junit_writer import split

    return split(test_id)[:2]
