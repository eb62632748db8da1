"""Attempts and names in the dialects that say them in attributes, suites or odd places."""

from __future__ import annotations

import pytest

from testlytics_collector.formats.interface import Limits
from tests.unit.junit.reports import read

FAILURE = '<failure message="m" type="T">t</failure>'


def gdunit(flaky: int) -> str:
    return f"""<testsuites name="report_4" flaky="{flaky}"><testsuite name="S" package="addons/x"
 tests="3" flaky="{flaky}"><testcase name="once" classname="S" time="0.1">{FAILURE * 2}</testcase>
<testcase name="fine" classname="S" time="0.1"/>
<testcase name="twice" classname="S" time="0.1">{FAILURE * 3}</testcase></testsuite></testsuites>"""


def test_one_failure_an_attempt_where_the_suite_counts_flaky_tests() -> None:
    found = read(gdunit(2))
    assert found.told == [
        ("S::once", 1, "failed"),
        ("S::once", 2, "failed"),
        ("S::fine", 1, "passed"),
        ("S::twice", 1, "failed"),
        ("S::twice", 2, "failed"),
        ("S::twice", 3, "failed"),
        ("S::once", 3, "passed"),
        ("S::twice", 4, "passed"),
    ]
    assert (found.reading.counts.testcases, found.reading.counts.failed) == (3, 2)
    assert found.reading.counts.attempts == 8


def test_what_passed_at_last_is_not_guessed_where_it_may_be_either() -> None:
    found = read(gdunit(1))
    assert [row for row in found.told if row[2] == "passed"] == [("S::fine", 1, "passed")]
    assert "do not say which" in found.problems


def test_several_failures_are_one_attempt_elsewhere() -> None:
    found = read(f'<testsuite name="s"><testcase name="a">{FAILURE * 3}</testcase></testsuite>')
    assert found.told == [("s::a", 1, "failed")]
    failure = found.attempts[0].failure
    assert failure is not None
    assert (failure.text or "").count("t") >= 3


@pytest.mark.parametrize(
    ("case", "outcomes"),
    [
        (f'flaky="true">{FAILURE}', ["failed", "passed"]),
        ('flaky="true">', ["failed", "passed"]),
        (f'flaky="false">{FAILURE}', ["failed"]),
        ('retries="2">', ["failed", "failed", "passed"]),
        (f'retries="1">{FAILURE}', ["failed", "failed"]),
        ('retries="0">', ["passed"]),
        ('retries="999999999">', ["passed"]),
        ('retries="many">', ["passed"]),
    ],
)
def test_attempts_told_by_attributes(case: str, outcomes: list[str]) -> None:
    found = read(f'<testsuite><testcase name="a" classname="b" {case}</testcase></testsuite>')
    assert found.told == [("b::a", n, outcome) for n, outcome in enumerate(outcomes, 1)]
    assert found.reading.counts.testcases == 1


@pytest.mark.parametrize(
    ("case", "outcome", "counted"),
    [
        ('status="failed">', "unknown", "unknown"),
        ('result="FAILED">', "unknown", "unknown"),
        ('status="notrun">', "skipped", "skipped"),
        ('status="run" result="suppressed">', "skipped", "skipped"),
        ('status="failed" result="skipped">', "skipped", "skipped"),
        ('result="failed" status="notrun">', "skipped", "skipped"),
        ("><property><failure/></property>", "passed", "passed"),
        ("><properties><failure/></properties>", "passed", "passed"),
        ("><result><failure/></result>", "passed", "passed"),
        ('status="run">', "passed", "passed"),
        ("><skip/>", "skipped", "skipped"),
        ("><warning/>", "passed", "passed"),
        (">" + FAILURE + "<skipped/>", "failed", "failed"),
        ("><error/>" + FAILURE, "errored", "errored"),
        ('><skipped type="todo"/>' + FAILURE, "xfailed", "failed"),
    ],
)
def test_one_status_a_testcase(case: str, outcome: str, counted: str) -> None:
    found = read(f'<testsuite><testcase name="a" classname="b" {case}</testcase></testsuite>')
    assert found.told == [("b::a", 1, outcome)]
    assert getattr(found.reading.counts, counted) == 1


def test_a_testcase_in_a_testcase_is_one_of_its_own() -> None:
    inner = f'<testcase name="in" classname="c">{FAILURE}</testcase>'
    found = read(f'<testsuite><testcase name="out" classname="c">{inner}</testcase></testsuite>')
    assert found.told == [("c::in", 1, "failed"), ("c::out", 1, "passed")]


def test_the_same_name_in_another_suite_is_another_test() -> None:
    suite = '<testsuite name="{}"><testcase name="a" classname="c" time="1"/></testsuite>'
    found = read(f"<testsuites>{suite.format('x')}{suite.format('y')}</testsuites>")
    assert found.told == [("c::a", 1, "passed"), ("y::c::a", 1, "passed")]
    assert "another suite" in found.problems
    again = read(f"<testsuites>{suite.format('x')}{suite.format('x')}</testsuites>")
    assert again.told == [("c::a", 1, "passed"), ("c::a", 2, "passed")]


def test_a_rerun_is_hidden_only_within_its_suite() -> None:
    suite = '<testsuite name="pytest"><testcase classname="test_a" name="x" time="1"/></testsuite>'
    found = read(f"<testsuites>{suite * 2}</testsuites>", limits=Limits(batch=1))
    assert [row[2] for row in found.told] == ["passed", "passed"]


def test_reruns_that_run_beside_each_other_are_told_apart() -> None:
    silent = '<testcase classname="test_a" name="x{}" time="1"/>'
    failed = '<testcase classname="test_a" name="x{}" time="1"><failure/></testcase>'
    lanes = "".join(silent.format(n) for n in range(40)) + "".join(
        failed.format(n) for n in range(40)
    )
    found = read(f'<testsuite name="pytest">{lanes}</testsuite>', limits=Limits(batch=10))
    assert [row[2] for row in found.told] == ["unknown"] * 40 + ["failed"] * 40
    assert found.reading.counts.unknown == 40


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        pytest.param(
            '<testsuite name="Pixel2-30-en-portrait"><testcase name="t" classname="a.B" time="1"/>'
            "</testsuite>",
            ["a.B::t[Pixel2-30-en-portrait]"],
            id="flank: the device",
        ),
        pytest.param(
            '<testsuites id="" name="" tests="1"><testsuite name="a.spec.ts" hostname="firefox">'
            '<testcase name="g \u203a t" classname="a.spec.ts" time="1"/></testsuite></testsuites>',
            ["a.spec.ts::g \u203a t[firefox]"],
            id="playwright: the project",
        ),
        pytest.param(
            '<testsuite name="Shop.Tests.dll"><testcase classname="Shop.Cart" time="1" '
            'name="Shop.Cart.Adds(a: 1, b: 2)"/></testsuite>',
            ["Shop.Cart::Adds[a: 1, b: 2]"],
            id="dotnet: arguments",
        ),
        pytest.param(
            '<testsuite name="Cucumber"><testcase classname="Pay" name="Buys - Example #1.2" '
            'time="1"/><testcase classname="Pay" name="Sells - #2.1" time="1"/></testsuite>',
            ["Pay::Buys[#1.2]", "Pay::Sells[#2.1]"],
            id="cucumber: examples",
        ),
        pytest.param(
            '<testsuites name="AllTests"><testsuite name="T/0"><testcase name="Works" status="run" '
            'classname="T/0" type_param="int" time="0."/></testsuite></testsuites>',
            ["T::Works[0]"],
            id="googletest: types",
        ),
        pytest.param(
            '<testsuite name="rspec"><testcase classname="spec.cart_spec" name="Cart adds" '
            'file="./spec/cart_spec.rb" time="1"/></testsuite>',
            ["spec/cart_spec.rb::Cart adds"],
            id="rspec: the class is the file",
        ),
        pytest.param(
            '<testsuite name="s"><testcase name="a" file="/home/ci/x_test.c" time="1"/>'
            '<testcase name="b" classname="C" file="C:\\ci\\x.cs" time="1"/></testsuite>',
            ["s::a", "C::b"],
            id="absolute paths are of one machine",
        ),
        pytest.param(
            '<testsuite name="/home/ci/build/unit"><testcase name="a"/></testsuite>',
            ["unit::a"],
            id="in names of suites too",
        ),
        pytest.param(
            '<testsuite name="s"><testcase/><testcase name=""/></testsuite>',
            ["s::(unnamed)", "s::(unnamed 2)"],
            id="no name at all",
        ),
    ],
)
def test_names(document: str, ids: list[str]) -> None:
    assert read(document).ids == ids


def test_a_name_without_end_is_cut_and_stays_itself() -> None:
    first, other = "x" * 5000, "x" * 2500 + "y" + "x" * 2499
    cases = "".join(f'<testcase name="{name}" classname="c"/>' for name in (first, other, first))
    found = read(f"<testsuite>{cases}</testsuite>")
    assert all(len(test_id) <= 1000 for test_id in found.ids)
    assert [row.attempt for row in found.attempts] == [1, 1, 2]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tests/test_a.py:12: AssertionError", "tests/test_a.py:12"),
        ('  File "a/b.py", line 3, in f\n  File "c.py", line 4, in g\nE', "c.py:4"),
        ("at x.Y.z(Y.java:5)\nat a.FooTest.t(FooTest.java:42)", "FooTest.java:42"),
        ("at x.Y.z(Y.java:5)\nat x.Q.z(Q.java:6)", "Y.java:5"),
        ("/home/me/main.cpp:72: error: check_eq", "/home/me/main.cpp:72"),
        ("    basket_test.go:17: got 3", "basket_test.go:17"),
        ("at (file:///home/x/a.test.mjs:2:49)", "/home/x/a.test.mjs:2"),
        ("at (file:///C:/x/a.test.mjs:2:49)", "C:/x/a.test.mjs:2"),
        ("expected 3 but got 4", None),
        ("took 10:30 minutes", None),
    ],
)
def test_places(text: str, place: str | None) -> None:
    case = f'<testcase name="t" classname="a.FooTest"><failure>{text}</failure></testcase>'
    failure = read(f"<testsuite>{case}</testsuite>").attempts[0].failure
    assert failure is not None
    assert failure.place == place


def test_the_testcases_own_line_is_the_place_where_the_text_has_none() -> None:
    case = '<testcase name="t" file="a.rb" line="7"><failure>no</failure></testcase>'
    failure = read(f"<testsuite>{case}</testsuite>").attempts[0].failure
    assert failure is not None
    assert failure.place == "a.rb:7"
