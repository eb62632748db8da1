"""What differs from run to run is taken out of parameters; what is the test's own stays."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest

from tests.unit.junit.reports import read


def ids(names: list[str], timestamp: str = "2026-05-01T10:00:00Z") -> list[str]:
    cases = "".join(f"<testcase classname='c' name={quoteattr(n)} time='1'/>" for n in names)
    return read(f'<testsuite name="s" timestamp="{timestamp}">{cases}</testsuite>').ids


@pytest.mark.parametrize(
    ("name", "stable"),
    [
        ("t[<function f at 0x7f22280dac90>]", "t[<function f at <address>>]"),
        ("t[<X object at 0x000001F2A3B4C5D0>-1]", "t[<X object at <address>>-1]"),
        ("t[com.acme.Foo@1b2c3d4f]", "t[com.acme.Foo@<address>]"),
        ("t[0x7ffd5e2b1c40]", "t[<address>]"),
        ("t[5f0c954a-9c1e-4a0b-8a1d-3f1f2a4b5c6d]", "t[<uuid>]"),
        ("t[/tmp/pytest-of-me/pytest-3/a-b]", "t[<tmp>]"),
        ("t[/private/var/folders/x1/T/abc-1]", "t[<tmp>]"),
        ("t[C:\\Users\\me\\AppData\\Local\\Temp\\abc]", "t[<tmp>]"),
        ("t[2026-05-01 10:00:03]", "t[<time>]"),
        ("t[2019-01-01 10:00:03.123456]", "t[<time>]"),
        ("t[1777629603]", "t[<time>]"),
    ],
)
def test_what_a_run_makes_up_is_replaced(name: str, stable: str) -> None:
    assert ids([name]) == [f"c::{stable}"]


@pytest.mark.parametrize(
    "name",
    [
        "t[0xdeadbeef]",
        "t[0xffffffffffffffff]",
        "t[2019-01-01 10:00:03]",
        "t[2019-01-01T00:00:00.000000]",
        "t[00000000-0000-0000-0000-000000000001]",
        "t[me@facade.org]",
        "t[1234567890]",
        "t[1600000000]",
        "t[/etc/passwd]",
        "t[a-b-c]",
        "t[10:30]",
        "an object at 0x7f22280dac90 is no parameter",
    ],
)
def test_what_a_test_means_is_kept(name: str) -> None:
    assert ids([name]) == [f"c::{name}"]


def test_what_becomes_equal_is_numbered_and_stays_apart() -> None:
    names = [f"t[<X object at 0x7f000000{n:04x}>]" for n in (1, 2, 1, 3)]
    found = read(
        "<testsuite>"
        + "".join(f"<testcase classname='c' name={quoteattr(n)} time='1'/>" for n in names)
        + "</testsuite>"
    )
    stable = "c::t[<X object at <address>>{}]"
    assert found.told == [
        (stable.format(""), 1, "passed"),
        (stable.format("#2"), 1, "passed"),
        (stable.format(""), 2, "passed"),
        (stable.format("#3"), 1, "passed"),
    ]
    assert "(3; the first: c::t[<X object at 0x7f0000000001>])" in found.problems


def test_two_runs_give_the_same_ids() -> None:
    first = ids(["t[<X object at 0x7f0000001111>-a]", "t[<X object at 0x7f0000002222>-b]"])
    other = ids(["t[<X object at 0x7fabcdef1111>-a]", "t[<X object at 0x7fabcdef0000>-b]"])
    assert first == other
    assert len(set(first)) == 2
