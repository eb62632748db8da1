"""Which new test may be an old one under another name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

LIKELY = 0.8
"""From this score on a rename is taken for one."""

LEAST = 0.5
"""Pairs below this score are not worth a look."""

COMPARED = 50_000
"""At most so many pairs of names of a project are compared; those that git explains are not
counted."""

_OTHER_PARAMETERS = 0.7
_AGREEING = 0.95


class Seen(NamedTuple):
    """A test that came or went.

    Attributes:
        project: Namespace of the test.
        test_id: Its name.
        first: The run in which it was first seen, counted backwards: the newest is 1.
        last: The run in which it was last seen, counted likewise.
    """

    project: str
    test_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Rename:
    """An old and a new name of what may be one test.

    Attributes:
        project: Namespace of the tests.
        old: Test id that is not seen any more.
        new: Test id that was first seen after that.
        score: 0 to 1; 1 is what git knows of.
        reason: What speaks for it.
    """

    project: str
    old: str
    new: str
    score: float
    reason: str


class _Name(NamedTuple):
    file: str  # the id up to the first `::`; '' without
    place: str  # file and classes
    function: str
    parameters: str  # with brackets; '' without


def propose(
    gone: Iterable[Seen],
    come: Iterable[Seen],
    moved: Mapping[str, str],
    known: Iterable[tuple[str, str]] = (),
) -> list[Rename]:
    """Pair old names with new ones, each at most once in a project, the best pairs first.

    Args:
        gone: Tests that are not seen any more.
        come: Tests that are new.
        moved: New path by old path of files that were renamed, as test ids write them.
        known: Renames that are settled; their tests get no others, but their new names may have
            been renamed again.

    Returns:
        The pairs from `LEAST` on, by falling score, then project, old, new. All together they
        hold no circle and no old name with two new ones, also with those known.
    """
    taken = dict(known)
    mentioned = set(taken) | set(taken.values())
    fresh: dict[str, list[Seen]] = defaultdict(list)
    for one in come:
        if one.test_id not in mentioned:
            fresh[one.project].append(one)
    stale: dict[str, list[Seen]] = defaultdict(list)
    for one in gone:
        if one.test_id not in taken:
            stale[one.project].append(one)
    pairs = [
        pair
        for project, some in stale.items()
        for pair in _pairs(some, fresh[project], moved)
        if pair.score >= LEAST
    ]
    pairs.sort(key=lambda pair: (-pair.score, pair.project, pair.old, pair.new))
    return list(_one_to_one(pairs, taken))


def _one_to_one(pairs: Iterable[Rename], taken: dict[str, str]) -> Iterator[Rename]:
    used: set[tuple[str, str, bool]] = set()
    for pair in pairs:
        ends = {(pair.project, pair.old, False), (pair.project, pair.new, True)}
        if used & ends or taken.get(pair.old, pair.new) != pair.new or _leads(taken, pair):
            continue
        used |= ends
        taken[pair.old] = pair.new
        yield pair


def _leads(taken: Mapping[str, str], pair: Rename) -> bool:
    """Tell whether the new name becomes the old one again."""
    name: str | None = pair.new
    while name is not None:
        if name == pair.old:
            return True
        name = taken.get(name)
    return False


def _pairs(gone: list[Seen], come: list[Seen], moved: Mapping[str, str]) -> Iterator[Rename]:
    """Yield the pairs of one project that are worth a score, some perhaps twice."""
    by_id = {one.test_id: one for one in come}
    by_leaf: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    by_place: dict[str, list[Seen]] = defaultdict(list)
    for one in come:
        name = _split(one.test_id)
        by_leaf[name.function, name.parameters].append(one)
        by_place[name.place].append(one)
    same: dict[tuple[str, ...], int] = defaultdict(int)
    for one in gone:
        same[_split(one.test_id)[2:]] += 1
    left = COMPARED
    for old in gone:
        name = _split(old.test_id)
        file = moved.get(name.file)
        place = name.place if file is None else file + name.place[len(name.file) :]
        exact = by_id.get(place + old.test_id[len(name.place) :])
        if exact is not None and file is not None and exact.first < old.last:
            reason = f"git: {name.file} became {file}"
            yield Rename(old.project, old.test_id, exact.test_id, 1.0, reason)
            continue
        leaf = by_leaf[name.function, name.parameters]
        others = leaf + [one for one in by_place[place] if one not in leaf]
        unique = len(leaf) == same[name[2:]] == 1
        for new in others[: max(left, 0)]:
            left -= 1
            if new.first < old.last:
                yield _scored(old, new, place=place, unique=unique)


def _scored(old: Seen, new: Seen, *, place: str, unique: bool) -> Rename:
    name, other = _split(old.test_id), _split(new.test_id)
    if name[2:] == other[2:]:
        likeness = _ratio(place, other.place)
        score = 0.85 + 0.1 * likeness if unique else 0.5 + 0.4 * likeness
        where = "class" if name.file == other.file else "file"
        reason = f"same function in another {where}"
    elif name.function == other.function:
        score = _OTHER_PARAMETERS * _ratio(name.parameters, other.parameters)
        reason = "same function, other parameters"
    else:
        score = _AGREEING * _ratio(name.function, other.function)
        if name.parameters != other.parameters:
            score *= _OTHER_PARAMETERS
        reason = "similar name in the same place"
    between = old.last - new.first - 1
    if between == 0:
        reason += ", one came as the other went"
    else:
        score *= _AGREEING if between < 3 else 0.85
        reason += f", {between} runs apart"
    return Rename(old.project, old.test_id, new.test_id, round(score, 3), reason)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _split(test_id: str) -> _Name:
    start = test_id.find("[", max(test_id.find("::"), 1))
    parametrised = start > 0 and test_id.endswith("]")
    family, parameters = (test_id[:start], test_id[start:]) if parametrised else (test_id, "")
    place, _, function = family.rpartition("::")
    return _Name(place.partition("::")[0], place, function, parameters)
