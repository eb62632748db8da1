"""The groups that tests belong to, and who owns them."""

from __future__ import annotations

import duckdb
import pytest

from testlytics.owners import OwnerOf, Owners, is_owned
from testlytics.report.groupings import family, file, folder
from testlytics_collector.store.schema import VIEWS

IDS = (
    "tests/a.py::C::test_x[1-a]",
    "tests/a.py::test_x",
    "a.py::x",
    "com.shop.BasketTest::adds",
    "BasketTest::adds[2]",
    "alone",
    "a::b[c::d[e]]",
    "[odd]",
    "x[1]",
    "t[",
    "::[1]",
    "::x[1]",
    "a[1]::b",
    "a[1]::b[2]",
    "",
)


@pytest.mark.parametrize(
    ("test_id", "expected"),
    [
        (IDS[0], ("tests/a.py::C::test_x", "tests/a.py", "tests")),
        (IDS[2], ("a.py::x", "a.py", ".")),
        (IDS[3], ("com.shop.BasketTest::adds", "com.shop.BasketTest", "com.shop")),
        (IDS[4], ("BasketTest::adds", "BasketTest", None)),
        (IDS[5], ("alone", None, None)),
    ],
)
def test_places(test_id: str, expected: tuple[str | None, ...]) -> None:
    assert (family(test_id), file(test_id), folder(test_id)) == expected


def test_families_are_those_of_the_store() -> None:
    with duckdb.connect() as connection:
        macro = VIEWS.partition("create or replace macro")[2].partition(";")[0]
        connection.execute(f"create or replace macro{macro}")
        for test_id in IDS:
            [(told,)] = connection.execute("select family_of(?)", [test_id]).fetchall()
            assert family(test_id) == told, test_id


def test_a_tag_wins_over_the_file() -> None:
    owner_of = OwnerOf({("p", "a.py::tagged"): "@Tag"}, Owners("* @all @Org/Team\n/b.py\n"))
    assert owner_of("p", "a.py::tagged") == "@Tag"
    assert owner_of("q", "a.py::tagged") == "@all @Org/Team"
    assert owner_of("p", "b.py::x") is None
    assert owner_of("p", "no.file::x") is None
    assert OwnerOf({}, None)("p", "a.py::x") is None


@pytest.mark.parametrize("name", ["@Org/Team", "org/team", "@all"])
def test_names_of_owners(name: str) -> None:
    assert is_owned("@all @Org/Team", name)
    assert not is_owned("@allies @Org", name)
    assert not is_owned(None, name)
