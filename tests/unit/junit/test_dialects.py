"""The dialects of JUnit XML: which attempts of which tests, and how long they took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testlytics_collector.errors import InputError
from testlytics_collector.formats.interface import Limits
from tests.unit.junit.reports import read

Told = list[tuple[str, int, str, int | None]]


def told(document: str, name: str = "file.xml") -> Told:
    return [
        (row.test_id, row.attempt, row.outcome.value, row.duration_us)
        for row in read(document, name)[1]
    ]


def problems(document: str) -> str:
    return "\n".join(problem.text for problem in read(document)[0].problems)


def pytest_file(inside: str) -> str:
    return f'<testsuites><testsuite name="pytest">{inside}</testsuite></testsuites>'


def times(*spellings: str) -> str:
    cases = "".join(
        f'<testcase classname="A" name="n{number}" time="{spelling}"/>'
        for number, spelling in enumerate(spellings)
    )
    return f'<testsuite name="a">{cases}</testsuite>'


SUREFIRE = """<testsuite name="com.a.FooTest" time="1" tests="2" failures="1">
<testcase name="ok" classname="com.a.FooTest" time="1,024.12">
<flakyFailure message="m1" type="E"><stackTrace>st</stackTrace></flakyFailure></testcase>
<testcase name="bad" classname="com.a.FooTest" time="0.5">
<failure message="f1" type="E">at Foo.java:3</failure>
<rerunError message="f2" type="E"><stackTrace>st2</stackTrace></rerunError></testcase>
</testsuite>"""
GRADLE = """<testsuite name="com.a.P" tests="3" skipped="0" failures="0" errors="0"
 timestamp="2026-01-01T10:00:00" hostname="h" time="0.1">
<testcase name="[1] x" classname="com.a.P" time="0.01"/>
<testcase name="[2] y" classname="com.a.P" time="0.01"/>
<testcase name="[1] x" classname="com.a.P" time="0.02"/></testsuite>"""
GO = """<testsuites><testsuite name="ex.com/pkg" tests="2">
<properties><property name="go.version" value="go1.22"/></properties>
<testcase classname="pkg" name="TestA" time="0.1"><failure message="Failed"/></testcase>
<testcase classname="pkg" name="TestA" time="0.2"/></testsuite></testsuites>"""
NODE = """<testsuites><testsuite name="outer" time="1">
<testcase name="adds" time="0.1" classname="test"/>
<testsuite name="inner"><testcase name="adds" time="0.1" classname="test"/></testsuite></testsuite>
<testcase name="top" time="0.1" classname="test" failure="boom"><failure message="boom"/></testcase>
</testsuites>"""
GTEST = """<testsuites tests="3" name="AllTests" timestamp="2026-01-01T10:00:00">
<testsuite name="F">
<testcase name="a" status="run" result="completed" time="0.1" classname="F"/>
<testcase name="DISABLED_b" status="notrun" result="suppressed" time="0" classname="F"/>
<testcase name="P/3" value_param="7" status="run" time="0" classname="I/F">
<failure message="f.cc:3 no"/><failure message="f.cc:9 neither"/></testcase>
</testsuite></testsuites>"""
PHPUNIT = """<testsuites><testsuite name="" tests="1" assertions="2">
<testsuite name="App\\FooTest"><testsuite name="App\\FooTest::testA">
<testcase name="testA with data set #0" class="App\\FooTest" classname="App.FooTest"
 file="/x/tests/FooTest.php" line="3" assertions="1" time="0.001"/>
</testsuite></testsuite></testsuite></testsuites>"""
NEXTEST = """<testsuites name="nextest-run" tests="1" uuid="x" time="1">
<testsuite name="mycrate" tests="1"><testcase name="tests::a" classname="mycrate" time="0.5">
<flakyFailure time="0.1" message="m" type="t">x</flakyFailure></testcase>
</testsuite></testsuites>"""
LINT = """<testsuites name="ruff"><testsuite name="b.py">
<testcase name="org.ruff.F401" classname="b" line="1"><failure message="x"/></testcase>
<testcase name="org.ruff.F401" classname="b" line="2"><failure message="y"/></testcase>
</testsuite></testsuites>"""
LOOSE = (
    '<testsuites><testsuite name="com.a.B"><error message="setup died"/></testsuite></testsuites>'
)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            SUREFIRE,
            [
                ("com.a.FooTest::ok", 1, "failed", None),
                ("com.a.FooTest::ok", 2, "passed", 1_024_120_000),
                ("com.a.FooTest::bad", 1, "failed", 500_000),
                ("com.a.FooTest::bad", 2, "errored", None),
            ],
            id="surefire",
        ),
        pytest.param(
            GRADLE,
            [
                ("com.a.P::(unnamed)[[1] x]", 1, "passed", 10_000),
                ("com.a.P::(unnamed)[[2] y]", 1, "passed", 10_000),
                ("com.a.P::(unnamed 2)[[1] x]", 1, "passed", 20_000),
            ],
            id="gradle leaves the method out",
        ),
        pytest.param(
            GO,
            [
                ("ex.com/pkg::TestA", 1, "failed", 100_000),
                ("ex.com/pkg::TestA", 2, "passed", 200_000),
            ],
            id="gotestsum repeats the test",
        ),
        pytest.param(
            NODE,
            [
                ("outer::adds", 1, "passed", 100_000),
                ("outer::inner::adds", 1, "passed", 100_000),
                ("top", 1, "failed", 100_000),
            ],
            id="node calls every class test",
        ),
        pytest.param(
            GTEST,
            [
                ("F::a", 1, "passed", 100_000),
                ("F::DISABLED_b", 1, "skipped", 0),
                ("I/F::P[3]", 1, "failed", 0),
            ],
            id="googletest",
        ),
        pytest.param(PHPUNIT, [("App.FooTest::testA[#0]", 1, "passed", 1_000)], id="phpunit"),
        pytest.param(
            NEXTEST,
            [
                ("mycrate::tests::a", 1, "failed", 100_000),
                ("mycrate::tests::a", 2, "passed", 500_000),
            ],
            id="nextest",
        ),
        pytest.param(
            LINT,
            [("b::org.ruff.F401", 1, "failed", None), ("b::org.ruff.F401", 2, "failed", None)],
            id="a finding each",
        ),
        pytest.param(LOOSE, [("com.a.B", 1, "errored", None)], id="failure outside of testcases"),
        pytest.param(
            '<x:testsuites xmlns:x="urn:y"><x:testcase name="a" classname="b"/></x:testsuites>',
            [("b::a", 1, "passed", None)],
            id="namespace, and no suite",
        ),
        pytest.param(
            '<testcase name="a" classname="b"/>', [("b::a", 1, "passed", None)], id="root"
        ),
        pytest.param("<testsuites/>", [], id="empty run"),
    ],
)
def test_attempts(document: str, expected: Told) -> None:
    assert told(document) == expected


@pytest.mark.parametrize(
    ("case", "test_id"),
    [
        ('classname="tests.test_a" name="test_x"', "tests/test_a.py::test_x"),
        ('classname="tests.test_a.TestX" name="t[1-a.b]"', "tests/test_a.py::TestX::t[1-a.b]"),
        ('classname="test_a.TestX.TestY" name="t"', "test_a.py::TestX::TestY::t"),
        ('classname="" name="tests.test_c"', "tests/test_c.py"),
        (
            'classname="src.tests.TestX" name="t" file="src/tests.py"',
            "src/tests.py::TestX::t",
        ),
        (
            'classname="tests.Test_odd.a" name="t" file="tests/Test_odd/a.py"',
            "tests/Test_odd/a.py::t",
        ),
    ],
)
def test_pytests_ids_are_its_node_ids(case: str, test_id: str) -> None:
    assert told(pytest_file(f"<testcase {case}/>"))[0][0] == test_id


def test_pytests_xfail_is_an_xfail_that_counts_as_skipped() -> None:
    case = '<testcase classname="t" name="x"><skipped type="pytest.xfail" message="m"/></testcase>'
    reading, rows = read(pytest_file(case))
    assert rows[0].outcome == "xfailed"
    assert (reading.counts.skipped, reading.counts.xfailed) == (1, 0)


def test_a_silent_rerun_is_unknown_but_a_first_result_is_not() -> None:
    silent = '<testcase classname="t" name="x" time="0.1"/>'
    failed = '<testcase classname="t" name="x" time="0.1"><failure message="m"/></testcase>'
    assert [row[2] for row in told(pytest_file(silent * 2 + failed))] == [
        "unknown",
        "unknown",
        "failed",
    ]
    # Two results that both say something: setup failed after the call, for example.
    assert [row[2] for row in told(pytest_file(failed * 2))] == ["failed", "failed"]
    assert "stored as unknown" in problems(pytest_file(silent + failed))


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        (["0.001", "1", ".5", "2."], [1_000, 1_000_000, 500_000, 2_000_000]),
        (["1,234.5", "2,120.532"], [1_234_500_000, 2_120_532_000]),
        (["0,014", "1,234"], [14_000, 1_234_000]),  # the first can only be a decimal comma
        (["1,234"], [None]),  # thousands or thousandths: nobody knows
        (["7.3e-05", "1.29E-5"], [73, 13]),
        (["", "n/a", "-1", "NaN", "inf", "1.2.3", "9" * 400], [None] * 7),
    ],
)
def test_times(spellings: list[str], expected: list[int | None]) -> None:
    assert [row[3] for row in told(times(*spellings))] == expected


def test_unreadable_times_are_told() -> None:
    assert "n/a" in problems(times("1", "n/a"))
    assert problems(times("1", "2.5")) == ""


@pytest.mark.parametrize(
    ("name", "stable"),
    [
        ("t[&lt;object at 0x7f22280dac90&gt;]", "t[<object at <address>>]"),
        ("t[550e8400-e29b-41d4-a716-446655440000]", "t[<uuid>]"),
        ("t[/tmp/pytest-of-me/pytest-3/x0]", "t[<tmp>]"),
        ("t[0x10-12]", "t[0x10-12]"),
        ("t[2026]", "t[2026]"),
    ],
)
def test_what_changes_from_run_to_run_is_replaced(name: str, stable: str) -> None:
    document = pytest_file(f'<testcase classname="a" name="{name}"/>')
    assert told(document)[0][0] == f"a.py::{stable}"
    assert ("differs from run to run" in problems(document)) == (stable.count("<") > 0)


def test_bazels_attempt_is_in_its_path() -> None:
    document = '<testsuites><testsuite name="//a:b"><testcase name="b"/></testsuite></testsuites>'
    assert told(document, "testlogs/a/b/test_attempts/attempt_2.xml")[0][1] == 2


def test_counts_that_disagree_with_the_suites_own_are_told() -> None:
    document = '<testsuite tests="5" failures="2"><testcase name="a"/></testsuite>'
    reading, _ = read(document)
    assert (reading.counts.testcases, reading.counts.failed) == (1, 0)
    assert "5" in problems(document)


@pytest.mark.parametrize(
    ("stamp", "utc"),
    [
        ("2026-01-01T10:00:00Z", 1_767_261_600),
        ("2026-01-01T10:00:00+02:00", 1_767_254_400),
        ("10 Mar 2024 02:30:00 GMT", 1_710_037_800),
        ("0001-01-01T00:00:00", None),
        ("soon", None),
    ],
)
def test_timestamps(stamp: str, utc: int | None) -> None:
    upload = read(f'<testsuite timestamp="{stamp}"><testcase name="a"/></testsuite>')[0].upload
    assert upload.started_us == (None if utc is None else utc * 1_000_000)


def test_output_of_failed_tests_is_kept_and_of_passed_ones_is_not() -> None:
    output = "<system-out>printed</system-out>"
    failed = f'<testcase name="a" classname="b"><failure>why</failure>{output}</testcase>'
    passed = f'<testcase name="c" classname="b">{output}</testcase>'
    _, (one, other) = read(f"<testsuite>{failed}{passed}</testsuite>")
    assert one.failure is not None
    assert "why" in (one.failure.text or "")
    assert "printed" in (one.failure.text or "")
    assert other.failure is None


def test_long_texts_keep_head_and_tail() -> None:
    text = "head" + "x" * 100_000 + "tail"
    document = f'<testsuite><testcase name="a"><failure>{text}</failure></testcase></testsuite>'
    _, (row,) = read(document, limits=replace(Limits(), text_chars=500))
    assert row.failure is not None
    assert row.failure.text is not None
    assert len(row.failure.text) <= 500
    assert row.failure.text.startswith("head")
    assert row.failure.text.endswith("tail")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "empty"),
        ("<testsuite>", "cut off"),
        ('<testsuite><testcase name="a"></testsuite>', "not well-formed"),
        ("<testsuite/><testsuite/>", "follows the document"),
        ("<html><body/></html>", "no JUnit report"),
        ("<coverage><packages/></coverage>", "no JUnit report"),
        ('<testsuites xmlns="urn:c"><suite><test/></suite></testsuites>', "no JUnit report"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "entity"),
    ],
)
def test_refusals_say_what_and_where(document: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(document)
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "document",
    [
        '<testsuite><testcase name="a"><failure>\x1b[31mred</failure></testcase></testsuite>',
        '<testsuite><testcase name="a"><failure>&#27;[31mred</failure></testcase></testsuite>',
        'log line\n<testsuite><testcase name="a"/></testsuite>',
        '<testsuite><testcase name="a"/></testsuite>\nlog line',
    ],
)
def test_repair_is_asked_for_and_told(document: str) -> None:
    with pytest.raises(InputError):
        read(document)
    reading, rows = read(document, limits=Limits(repair=True))
    assert [row.test_id for row in rows] == ["a"]
    assert len(reading.problems) == 1


def test_repair_mends_nothing_else() -> None:
    for document in ("<testsuite><testcase name='a'>", "<testsuite><a & b/></testsuite>", "log"):
        with pytest.raises(InputError):
            read(document, limits=Limits(repair=True))


def test_a_testcase_inside_a_failure_is_one_of_its_own() -> None:
    document = (
        '<testsuite><testcase name="outer"><failure message="m">before'
        '<testcase name="inner"><odd message="x"/><odd/></testcase>after</failure></testcase>'
        "</testsuite>"
    )
    reading, rows = read(document)
    assert {row.test_id: row.outcome.value for row in rows} == {
        "inner": "passed",
        "outer": "failed",
    }
    assert (reading.counts.testcases, reading.counts.failed) == (2, 1)
    outer = next(row for row in rows if row.test_id == "outer")
    assert outer.failure is not None
    assert outer.failure.message == "m"


def test_a_testcase_inside_a_suites_failure_is_one_of_its_own() -> None:
    inside = '<testcase name="a"><odd/></testcase><testcase name="b"><failure/></testcase>'
    document = f'<testsuite name="s"><failure message="m">x{inside}</failure></testsuite>'
    reading, rows = read(document)
    assert {row.test_id: row.outcome.value for row in rows} == {
        "s::a": "passed",
        "s::b": "failed",
        "s": "failed",
    }
    assert (reading.counts.testcases, reading.counts.attempts) == (2, 3)


def test_behaves_outlines_are_parameters_whatever_comes_first() -> None:
    first = '<testcase classname="a.F" name="plain" status="passed" time="5.4e-05"/>'
    outline = '<testcase classname="a.F" name="o -- @1.1 " status="passed" time="0"/>'
    for cases in (first + outline, outline + first):
        found = read(f'<testsuite name="a.F" tests="2">{cases}</testsuite>')
        assert set(found.ids) == {"a.F::plain", "a.F::o[@1.1]"}
        assert found.reading.upload.producer == "behave"


def test_the_time_in_a_suites_name_is_no_part_of_an_id() -> None:
    case = '<testcase classname="" name="setUpClass (test_u.B)" time="0"><error/></testcase>'
    name = "unittest.suite._ErrorHolder-20260501100000"
    found = read(f'<testsuite name="{name}">{case}</testsuite>')
    assert found.ids == ["unittest.suite._ErrorHolder::setUpClass (test_u.B)"]
    kept = read('<testsuite name="build-12345678901234"><testcase name="a"/></testsuite>')
    assert kept.ids == ["build-12345678901234::a"]
