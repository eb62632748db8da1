"""What was written is what is read, in several dialects; and no bytes do anything but that."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.errors import InputError
from testlytics_collector.formats import junit
from testlytics_collector.formats.interface import Limits
from testlytics_collector.records import Outcome
from tests.unit.junit.reports import read

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=60)
STATUSES = ("passed", "failed", "errored", "skipped")
TAGS = {"failed": "failure", "errored": "error", "skipped": "skipped"}
OUTCOMES = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "errored": Outcome.ERRORED,
    "skipped": Outcome.SKIPPED,
}


@dataclass(frozen=True)
class Case:
    """A testcase to be written."""

    name: str
    status: str
    milliseconds: int
    message: str
    earlier: int  # failed attempts before the last one

    def written(self, owner: str) -> str:
        start = (
            f"<testcase classname={quoteattr(owner)} name={quoteattr(self.name)} "
            f'time="{self.milliseconds / 1000:.3f}"'
        )
        inside = ""
        if self.status != "passed":
            tag = TAGS[self.status]
            inside += f"<{tag} message={quoteattr(self.message)}>{escape(self.message)}</{tag}>"
        if self.status in {"passed", "failed"}:
            tag = "flakyFailure" if self.status == "passed" else "rerunFailure"
            inside += f"<{tag} message='again'/>" * self.earlier
        return f"{start}>{inside}</testcase>" if inside else f"{start}/>"

    def outcomes(self) -> list[Outcome]:
        again = [Outcome.FAILED] * (self.earlier if self.status in {"passed", "failed"} else 0)
        return [*again, OUTCOMES[self.status]]


@dataclass(frozen=True)
class Suite:
    """A suite to be written, with suites inside."""

    name: str
    cases: list[Case]
    suites: list[Suite] = field(default_factory=list)

    def written(self) -> str:
        inside = "".join(case.written(f"com.shop.{self.name}") for case in self.cases)
        inside += "".join(suite.written() for suite in self.suites)
        return f"<testsuite name={quoteattr(self.name)}>{inside}</testsuite>"

    def all_cases(self) -> list[tuple[str, Case]]:
        found = [(f"com.shop.{self.name}::{case.name}", case) for case in self.cases]
        return found + [pair for suite in self.suites for pair in suite.all_cases()]


CASES = st.lists(
    st.builds(
        Case,
        name=NAMES,
        status=st.sampled_from(STATUSES),
        milliseconds=st.integers(0, 5_000_000),
        message=TEXTS,
        earlier=st.integers(0, 2),
    ),
    max_size=5,
    unique_by=lambda case: case.name,
)


@st.composite
def trees(draw: st.DrawFn) -> list[Suite]:
    """Suites with names of their own, some inside others."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    flat = [Suite(name, draw(CASES)) for name in names]
    nested = draw(st.booleans())
    return [Suite(flat[0].name, flat[0].cases, flat[1:])] if nested else flat


def document(suites: list[Suite]) -> str:
    return f"<testsuites>{''.join(suite.written() for suite in suites)}</testsuites>"


@given(trees(), st.integers(1, 7))
def test_what_was_written_is_read(suites: list[Suite], batch: int) -> None:
    reading, attempts = read(document(suites), limits=Limits(batch=batch))
    cases = [pair for suite in suites for pair in suite.all_cases()]
    assert [(row.test_id, row.outcome) for row in attempts] == [
        (test_id, outcome) for test_id, case in cases for outcome in case.outcomes()
    ]
    counts = reading.counts
    for status in STATUSES:
        assert getattr(counts, status) == sum(case.status == status for _, case in cases)
    assert counts.testcases == len(cases)
    assert counts.attempts == len(attempts)
    assert counts.tests == len({test_id for test_id, _ in cases})


@given(trees())
def test_durations_and_numbers_of_attempts(suites: list[Suite]) -> None:
    _, attempts = read(document(suites).encode())
    last = {row.test_id: row for row in attempts}
    for suite in suites:
        for test_id, case in suite.all_cases():
            made = [row.attempt for row in attempts if row.test_id == test_id]
            assert made == list(range(1, len(made) + 1))
            if case.status in {"passed", "skipped", "errored"}:
                assert last[test_id].duration_us == case.milliseconds * 1000


@given(trees(), st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "iso-8859-1", "windows-1252"]))
def test_the_encoding_changes_nothing(suites: list[Suite], encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{document(suites)}'
    data = text.encode(encoding, "xmlcharrefreplace")
    assert read(data)[1] == read(document(suites).encode())[1]


@given(trees(), st.data())
def test_a_prefix_is_never_a_document(suites: list[Suite], data: st.DataObject) -> None:
    whole = document(suites).encode()
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(InputError) as caught:
        read(whole[:length])
    assert caught.value.message


@given(trees(), st.data())
def test_damaged_bytes_are_read_or_refused(suites: list[Suite], data: st.DataObject) -> None:
    whole = bytearray(document(suites).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        reading, attempts = read(bytes(whole))
    except InputError:
        return
    counts = reading.counts
    assert (
        counts.passed + counts.failed + counts.errored + counts.skipped + counts.unknown
        == counts.testcases
    )
    assert counts.attempts == len(attempts)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    junit.looks_like(data)
    with pytest.raises(InputError):
        read(data)


@given(CASES)
def test_reruns_that_pytest_hides_are_unknown(cases: list[Case]) -> None:
    """pytest-rerunfailures writes a failed attempt as a testcase without a word."""
    rows = []
    for case in cases:
        silent = f'<testcase classname="tests.test_a" name="{case.name}" time="0.001"/>'
        rows.append(silent * case.earlier)
        if case.status == "passed":
            rows.append(silent)
        else:
            tag = TAGS[case.status]
            rows.append(f"{silent[:-2]}><{tag} message='m'>m</{tag}></testcase>")
    text = f"<testsuites><testsuite name='pytest'>{''.join(rows)}</testsuite></testsuites>"
    reading, attempts = read(text.encode())
    for case in cases:
        outcomes = [
            row.outcome for row in attempts if row.test_id == f"tests/test_a.py::{case.name}"
        ]
        assert outcomes[:-1] == [Outcome.UNKNOWN] * case.earlier
        assert outcomes[-1] == OUTCOMES[case.status]
    assert reading.counts.unknown == sum(case.earlier for case in cases)
