"""Reports as tools write them, cut short: each holds what another reader gets wrong."""

from __future__ import annotations

import codecs

import pytest

from testlytics_collector.errors import InputError
from tests.unit.junit.reports import read

F = "<failure/>"
READ = {
    "ctest: disabled in an attribute only": (
        (4, 1, 0, 2),
        (
            '<testsuite name="(empty)"><testcase name="a" classname="a" status="run"/>'
            '<testcase name="b" classname="b" status="fail"><failure message=""/></testcase>'
            '<testcase name="c" classname="c" status="disabled"><system-out>Disabled</system-out>'
            '</testcase><testcase name="d" classname="d" status="notrun"><skipped message="x"/>'
            "</testcase></testsuite>"
        ),
    ),
    "node:test: todo, no suite, nested suites": (
        (5, 2, 0, 2),
        (
            '<testsuites><testcase name="a" time="0.1" classname="test"/><testcase name="b" '
            'time="0.1" classname="test" failure="x"><skipped type="todo"/><failure/></testcase>'
            '<testsuite name="s"><testsuite name="t"><testcase name="c" classname="test"><skipped/>'
            f'</testcase><testcase name="d" classname="test">{F}</testcase></testsuite></testsuite>'
            '<testcase name="whole" classname="test"><skipped/></testcase><!-- x --></testsuites>'
        ),
    ),
    "mocha: failures counted as errors": (
        (2, 1, 0, 1),
        (
            '<testsuite name="Mocha Tests" tests="1" failures="0" errors="1" skipped="0"><testcase '
            'classname="A" name="sk"><skipped/></testcase><testcase classname="A hook" name="&#x22;'
            'before all&#x22; hook"><failure>hook</failure></testcase></testsuite>'
        ),
    ),
    "perl: a suite's error without a testcase": (
        (2, 1, 0, 0),
        (
            '<testsuites><testsuite name="t_a_t" errors="1"><testcase name="1 - ok"/><testcase '
            'name="2 - no"><failure type="TestFailed"><![CDATA[not ok 2]]></failure></testcase>'
            '<error message="Dubious"/></testsuite></testsuites>'
        ),
    ),
    "qtest 4: result in an attribute as well": (
        (3, 1, 0, 0),
        (
            '<testsuite><testcase result="pass" name="a"/><testcase result="fail" name="b"><!-- -->'
            '<failure result="fail"/></testcase><testcase result="fail" name="hidden"/></testsuite>'
        ),
    ),
    "boost: output before the result": (
        (2, 0, 1, 1),
        (
            '<testsuite><testcase name="a"><skipped/><system-out/></testcase><testcase '
            'name="b"><system-out>y</system-out><error>z</error></testcase></testsuite>'
        ),
    ),
    "phpunit: warnings pass, suites in suites": (
        (3, 1, 0, 0),
        (
            '<testsuites><testsuite name="/a.xml"><testsuite name="A"><testcase name="a"><warning/>'
            f'</testcase><testsuite name="A::b"><testcase name="b with data set #0">{F}</testcase>'
            '<testcase name="b with data set #1"/></testsuite></testsuite></testsuite></testsuites>'
        ),
    ),
    "jmeter: results inside a result": (
        (1, 1, 0, 0),
        (
            '<testsuites><testsuite><testcase name="x"><failure><assertionResult><failure>true'
            "</failure><error>false</error></assertionResult></failure></testcase></testsuite>"
            "</testsuites>"
        ),
    ),
    "gradle: markup in an output": (
        (1, 0, 0, 0),
        (
            '<testsuite><testcase name="a"/><system-out><![CDATA[<testcase name="b"><failure/>'
            "</testcase>]]></system-out></testsuite>"
        ),
    ),
    "surefire: a rerun that holds elements": (
        (1, 0, 0, 0),
        (
            '<testsuite><testcase name="a"><flakyFailure><stackTrace/><failure/><skipped/>'
            "</flakyFailure></testcase></testsuite>"
        ),
    ),
    "a testcase alone": ((1, 0, 1, 0), '<testcase name="a"><error/></testcase>'),
    "a prefix": (
        (2, 1, 0, 1),
        (
            '<j:testsuite xmlns:j="u"><j:testcase name="a"><j:failure/></j:testcase><j:testcase '
            'name="b"><j:skipped/></j:testcase></j:testsuite>'
        ),
    ),
    "five levels": (
        (5, 1, 1, 1),
        "".join(
            f'<testsuite name="l{n}"><testcase name="t">{inside}</testcase>'
            for n, inside in enumerate(["", F, "<error/>", "<skipped/>", ""])
        )
        + "</testsuite>" * 5,
    ),
    "an error of collecting only": (
        (0, 0, 0, 0),
        (
            '<testsuites><testsuite name="s" tests="0" errors="1"><error message="x"/></testsuite>'
            "</testsuites>"
        ),
    ),
    "counts that are none": (
        (1, 0, 0, 0),
        (
            '<testsuite tests="99999999999999999999" failures="-3" errors="1e9" skipped="NaN">'
            '<testcase name="a" assertions="99999999999999999999999"/></testsuite>'
        ),
    ),
    "a default of a document type": (
        (1, 0, 0, 0),
        (
            '<!DOCTYPE testsuites [<!ATTLIST testcase status CDATA "skipped">]><testsuites>'
            '<testcase name="a"/></testsuites>'
        ),
    ),
}
REFUSED = {
    "failsafe's summary": "<failsafe-summary result='255'><errors>1</errors></failsafe-summary>",
    "ctest's own": "<Site><Testing><Test Status='passed'><Name>a</Name></Test></Testing></Site>",
    "check's own": "<testsuites><suite><test result='success'/></suite></testsuites>",
    "cppunit's own": "<TestRun><FailedTests/></TestRun>",
    "NUnit 2": "<test-results><test-suite><test-case name='a'/></test-suite></test-results>",
    "NUnit 3": "<test-run><test-suite><test-case name='a'/></test-suite></test-run>",
    "xUnit.net": "<assemblies><assembly><test name='a' result='Pass'/></assembly></assemblies>",
    "TRX": "<TestRun xmlns='u'><Results><UnitTestResult outcome='Passed'/></Results></TestRun>",
    "Sonar": "<testExecutions><file path='a'><testCase name='x'/></file></testExecutions>",
    "TestNG": "<testng-results><suite><test-method status='PASS'/></suite></testng-results>",
    "JMeter": "<testResults><httpSample s='true'/></testResults>",
    "a page of a proxy": "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "two documents": "<testsuite><testcase name='a'/></testsuite><testsuite/>",
    "zeros at the end": "<testsuite><testcase name='a'/></testsuite>" + "\0" * 512,
    "an attribute twice": "<testsuite><testcase name='a' name='b'/></testsuite>",
    "the end of a CDATA section": "<testsuite><testcase><error>]]></error></testcase></testsuite>",
}


@pytest.mark.parametrize("what", READ)
def test_counts(what: str) -> None:
    expected, document = READ[what]
    counts = read(document).reading.counts
    assert (counts.testcases, counts.failed, counts.errored, counts.skipped) == expected


@pytest.mark.parametrize("what", REFUSED)
def test_refusals(what: str) -> None:
    with pytest.raises(InputError) as caught:
        read(REFUSED[what])
    assert caught.value.hint


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("declared", ["utf-8", None])
def test_wide_encodings_whatever_is_declared(codec: str, mark: str, declared: str | None) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = f'{mark}{head}<testsuite><testcase name="\u00e4\U0001f600" classname="c"/></testsuite>'
    assert read(codecs.encode(text, codec)).ids == ["c::\u00e4\U0001f600"]
