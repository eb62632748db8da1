"""junitparser as an independent reader: where we agree, and why where we do not.

Every way in which the two differ is a test of its own here. Over the collection, where it is
there, a difference that is none of these fails.
"""

from __future__ import annotations

import csv
import io
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from tests.unit.junit.reports import read

FOLDER = Path(
    os.environ.get(
        "TESTLYTICS_JUNIT_COLLECTION", Path(__file__).parents[3].parent / "shared" / "junit"
    )
)
Row = tuple[str | None, str | None, str]


def cases_of(suite: JUnitXml | TestSuite) -> Iterator[TestCase]:
    for inside in suite:
        if isinstance(inside, TestCase):
            yield inside
        else:
            yield from cases_of(inside)


def status_of(case: TestCase) -> str:
    kinds = {type(result) for result in case.result}
    for kind, status in ((Error, "errored"), (Failure, "failed"), (Skipped, "skipped")):
        if kind in kinds:
            return status
    return "passed"


def theirs(data: bytes) -> list[Row]:
    return [(c.classname, c.name, status_of(c)) for c in cases_of(JUnitXml.fromstring(data))]


def ours(data: bytes) -> tuple[int, int, int, int]:
    counts = read(data).reading.counts
    return counts.testcases, counts.failed, counts.errored, counts.skipped


def counted(rows: list[Row]) -> tuple[int, int, int, int]:
    kinds = [row[2] for row in rows]
    return len(kinds), kinds.count("failed"), kinds.count("errored"), kinds.count("skipped")


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=12)
CASES = st.lists(
    st.tuples(NAMES, NAMES, st.sampled_from([None, Failure, Error, Skipped]), st.integers(0, 99999))
)


@given(st.lists(st.tuples(NAMES, CASES), max_size=4, unique_by=lambda suite: suite[0]))
def test_what_junitparser_writes_is_what_we_read(
    suites: list[tuple[str, list[tuple[str, str, type | None, int]]]],
) -> None:
    document = JUnitXml()
    for name, cases in suites:
        suite = TestSuite(name)
        for classname, title, result, milliseconds in cases:
            case = TestCase(title, classname, milliseconds / 1000)
            case.result = [result("why")] if result else []
            suite.add_testcase(case)
        document.add_testsuite(suite)
    stream = io.BytesIO()
    document.write(stream)
    found = read(stream.getvalue())
    written = [case for _, cases in suites for case in cases]
    assert [row.duration_us for row in found.attempts] == [case[3] * 1000 for case in written]
    assert ours(stream.getvalue()) == counted(theirs(stream.getvalue()))
    assert len(found.attempts) == len(written)


# --- each difference ---------------------------------------------------------------------------

CASE = '<testcase name="{}" classname="c"/>'


def test_testcases_beside_suites_are_dropped_by_junitparser() -> None:
    data = f"<testsuites>{CASE.format('a')}<testsuite>{CASE.format('b')}</testsuite></testsuites>"
    assert (len(theirs(data.encode())), ours(data.encode())[0]) == (1, 2)


@pytest.mark.parametrize(
    "data", [CASE.format("a"), f'<testsuite xmlns="urn:x">{CASE.format("a")}</testsuite>']
)
def test_other_roots_and_namespaces_are_refused_by_junitparser(data: str) -> None:
    with pytest.raises(Exception, match="Invalid format"):
        theirs(data.encode())
    assert ours(data.encode())[0] == 1


def test_statuses_in_attributes_and_other_names_of_skipped_are_passes_to_junitparser() -> None:
    data = (
        '<testsuite><testcase name="a" classname="c" status="notrun"/>'
        '<testcase name="b" classname="c"><skip/></testcase></testsuite>'
    )
    assert counted(theirs(data.encode())) == (2, 0, 0, 0)
    assert ours(data.encode()) == (2, 0, 0, 2)


def test_times() -> None:
    def time_of(text: str) -> tuple[float | None, int | None]:
        data = f'<testsuite><testcase name="a" classname="c" time="{text}"/></testsuite>'
        (case,) = cases_of(JUnitXml.fromstring(data.encode()))
        return case.time, read(data).attempts[0].duration_us

    assert time_of("1.5") == (1.5, 1_500_000)
    assert time_of("1,234.5") == (1234.5, 1_234_500_000)
    assert time_of("0,014") == (14.0, 14_000)
    assert time_of("-3") == (-3.0, None)
    with pytest.raises(ValueError, match="could not convert"):
        time_of("n/a")
    assert read('<testcase name="a" time="n/a"/>').attempts[0].duration_us is None


def test_nested_suites_come_last_for_junitparser() -> None:
    inner = f"<testsuite>{CASE.format('first')}</testsuite>"
    data = f"<testsuite>{inner}{CASE.format('last')}</testsuite>"
    assert [row[1] for row in theirs(data.encode())] == ["last", "first"]
    assert read(data).ids == ["c::first", "c::last"]


def test_a_failure_anywhere_below_is_the_testcases_to_junitparser() -> None:
    data = (
        '<testsuite><testcase name="a" classname="c"><flakyFailure><failure/></flakyFailure>'
        "</testcase></testsuite>"
    )
    assert counted(theirs(data.encode())) == (1, 1, 0, 0)
    assert ours(data.encode()) == (1, 0, 0, 0)


# --- the collection ----------------------------------------------------------------------------

REASONS = {"case beside suites", "case in case", "namespace", "root", "status", "skip", "below"}
ASIDE = {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def reasons(root: ET.Element) -> set[str]:
    found = {"root"} if local(root) not in ("testsuites", "testsuite") else set()
    for parent in root.iter():
        if parent.tag != local(parent):
            found.add("namespace")
        for child in parent:
            if local(child) == "testcase" and local(parent) != "testsuite":
                found.add("case in case" if local(parent) == "testcase" else "case beside suites")
            if local(child) in ("skip", "ignored", "disabled", "pending"):
                found.add("skip")
        if local(parent) == "testcase" and (parent.get("status") or parent.get("result")):
            found.add("status")
        if local(parent) in ASIDE and len(parent):
            found.add("below")
    return found


@pytest.mark.skipif(
    not (FOLDER / "MANIFEST.csv").is_file(),
    reason="the collection is not here; TESTLYTICS_JUNIT_COLLECTION names its folder",
)
def test_every_difference_in_the_collection_has_a_reason() -> None:
    with (FOLDER / "MANIFEST.csv").open(newline="", encoding="utf-8") as stream:
        files = [row["file"] for row in csv.DictReader(stream) if row["expect"] == "parse"]
    different = []
    for name in files:
        data = (FOLDER / name).read_bytes()
        why = reasons(ET.fromstring(data))
        assert why <= REASONS
        try:
            same = counted(theirs(data)) == ours(data)
        except Exception as error:  # noqa: BLE001 - whatever it says, it has not read the file
            same = False
            why |= {"root"} if "Invalid format" in str(error) else set()
        if not same:
            different.append((name, why))
    assert [name for name, why in different if not why] == []
    assert len(different) < len(files) // 20
