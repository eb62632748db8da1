"""What tests that changed together have in common: a folder, a file, a class, a variant.

A scope is named where it holds more of them than chance would put there: the hypergeometric
distribution, exactly (R. A. Fisher, Statistical Methods for Research Workers, 1934), times the
number of scopes that were tried (Bonferroni). Standard library only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import lgamma, log
from typing import NamedTuple

Member = tuple[str, str]
"""A test id and its variant."""


@dataclass(frozen=True, slots=True)
class ScopeOptions:
    """Constants of naming a cause.

    Attributes:
        chance: A scope is named where chance would put so many there with at most this probability.
        least: … and so many at least.
        most: At most so many scopes are named for one group.
    """

    chance: float = 0.001
    least: int = 2
    most: int = 3


class Scope(NamedTuple):
    """Where tests that changed together have their cause, likely.

    Attributes:
        text: Beginning of the ids (`tests/db/`, `a.py::`, `a.py::Class::`, `a.py::test[`), or a
            pair of the variant (`os=linux`).
        hit: Members of the group in it.
        size: Tests and variants in it, changed or not.
    """

    text: str
    hit: int
    size: int


def scopes_of(member: Member) -> list[str]:
    """Return the scopes that a test in a variant is in, wide ones first.

    The whole suite is none of them, and nor is the test itself.
    """
    test_id, variant = member
    found = []
    path, mark, rest = test_id.partition("::")
    at = path.find("/")
    while at >= 0:
        found.append(path[: at + 1])
        at = path.find("/", at + 1)
    # Parameters may hold anything, the signs that part a name among it.
    named, bracket, _ = rest.partition("[")
    done = f"{path}{mark}"
    found += [done] if mark else []
    *classes, last = named.split("::")
    for one in classes:
        done += f"{one}::"
        found.append(done)
    if bracket and test_id.endswith("]"):
        found.append(f"{done}{last}[")
    return found + [pair for pair in variant.split(",") if pair]


def is_within(member: Member, scope: str) -> bool:
    """Tell whether a test in a variant belongs to a scope."""
    test_id, variant = member
    return test_id.startswith(scope) or scope in variant.split(",")


def candidates(members: Iterable[Member], options: ScopeOptions | None = None) -> list[str]:
    """Return the scopes worth counting, sorted: those of several members."""
    options = options or ScopeOptions()
    counted = Counter(scope for member in members for scope in scopes_of(member))
    return sorted(scope for scope, hit in counted.items() if hit >= options.least)


def likely_causes(
    members: Collection[Member],
    sizes: Mapping[str, int],
    total: int,
    options: ScopeOptions | None = None,
) -> list[Scope]:
    """Name what tests that changed together have in common beyond chance.

    Args:
        members: The tests that changed at one place.
        sizes: Of each of their `candidates`: how many tests and variants are in it.
        total: How many there are in the suite.
        options: Constants; the defaults where None.

    Returns:
        Scopes, the least likely by chance first, each member counted in one; empty where they have
        nothing in common.
    """
    options = options or ScopeOptions()
    left: Sequence[Member] = sorted(members)
    held = _held(left)
    # Those that hold the same tests are tried once, and the whole suite is no scope.
    tried = {
        (tuple(some), sizes[scope])
        for scope, some in held.items()
        if len(some) >= options.least and sizes.get(scope, total) < total
    }
    found: list[Scope] = []
    while len(found) < options.most and len(left) >= options.least:
        best = min(
            (
                (log_tail(len(some), len(left), sizes[scope], total), -len(scope), scope)
                for scope, some in held.items()
                if len(some) >= options.least and scope in sizes
            ),
            default=None,
        )
        if best is None or best[0] + log(max(1, len(tried))) > log(options.chance):
            break
        text = best[2]
        found.append(Scope(text, len(held[text]), max(sizes[text], len(held[text]))))
        left = [member for member in left if not is_within(member, text)]
        held = _held(left)
    return found


def _held(members: Sequence[Member]) -> dict[str, list[int]]:
    """Return which members are in each scope."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, member in enumerate(members):
        for scope in scopes_of(member):
            found[scope].append(number)
    return found


def log_tail(hit: int, drawn: int, size: int, total: int) -> float:
    """Return the log of the chance that a scope holds so many of the tests drawn, or more.

    Args:
        hit: Tests drawn that are in the scope …
        drawn: … of so many …
        size: … in a scope of so many …
        total: … of so many in all; counts that contradict each other are raised.
    """
    size = max(size, hit)
    total = max(total, drawn, size)
    low, high = max(hit, drawn + size - total), min(drawn, size)
    if hit <= max(0, drawn + size - total):
        return 0.0
    if low > high:
        return float("-inf")
    first = (
        _log_choose(size, low) + _log_choose(total - size, drawn - low) - _log_choose(total, drawn)
    )
    term, whole = 1.0, 1.0
    for x in range(low, high):
        term *= (size - x) * (drawn - x) / ((x + 1) * (total - size - drawn + x + 1))
        whole += term
    return min(0.0, first + log(whole))


def _log_choose(count: int, chosen: int) -> float:
    return lgamma(count + 1) - lgamma(chosen + 1) - lgamma(count - chosen + 1)
