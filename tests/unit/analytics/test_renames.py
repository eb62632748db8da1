"""Names are paired by what speaks for them, each once."""

from __future__ import annotations

import time

from testlytics_analytics.renames import LIKELY, Seen, propose


def gone(*ids: str, last: int = 5, project: str = "p") -> list[Seen]:
    return [Seen(project, one, 20, last) for one in ids]


def come(*ids: str, first: int = 4, project: str = "p") -> list[Seen]:
    return [Seen(project, one, first, 1) for one in ids]


def test_git_wins_over_likeness() -> None:
    found = propose(
        gone("a.py::T::x[1]", "a.py::y"),
        come("b.py::T::x[1]", "a.py::T2::x[1]", "b.py::yy"),
        {"a.py": "b.py"},
    )
    assert [(one.old, one.new) for one in found] == [
        ("a.py::T::x[1]", "b.py::T::x[1]"),
        ("a.py::y", "b.py::yy"),
    ]
    assert (found[0].score, found[0].reason) == (1.0, "git: a.py became b.py")
    assert found[1].score < 1


def test_the_same_function_elsewhere_is_likely_where_there_is_one() -> None:
    (one,) = propose(gone("a.py::x"), come("z/q.py::x"), {})
    assert one.score >= LIKELY
    several = propose(gone("a.py::x", "b.py::x"), come("c.py::x", "d.py::x"), {})
    assert len(several) == 2
    assert all(one.score < 0.9 for one in several)


def test_other_parameters_are_no_likely_rename() -> None:
    found = propose(gone("a.py::x[1]"), come("a.py::x[2]"), {})
    assert all(one.score < LIKELY for one in found)


def test_later_is_less_likely_and_earlier_impossible() -> None:
    scores = [propose(gone("a::x"), come("b::x", first=n), {})[0].score for n in (4, 3, 1)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3
    assert propose(gone("a::x"), come("b::x", first=5), {}) == []


def test_each_name_once_and_nothing_in_a_circle() -> None:
    found = propose(gone("a::x", "b::x"), come("c::x"), {})
    assert len(found) == 1
    assert propose(gone("b::x"), come("a::x"), {}, [("a::x", "b::x")]) == []
    (again,) = propose(gone("b::x", "a::x"), come("c::x"), {}, [("a::x", "b::x")])
    assert (again.old, again.new) == ("b::x", "c::x")
    two = [*gone("a::x"), *gone("b::x", project="q")]
    back = [*come("b::x"), *come("a::x", project="q")]
    assert len(propose(two, back, {})) == 1


def test_projects_do_not_mix() -> None:
    assert propose(gone("a::x"), come("b::x", project="q"), {}) == []


def test_many_names_take_little_time() -> None:
    began = time.perf_counter()
    names = [f"a.py::test_number_{n}_of_many" for n in range(2_000)]
    propose(gone(*names), come(*(f"{name}_x" for name in names)), {})
    assert time.perf_counter() - began < 30
