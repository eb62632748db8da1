"""Which tests were seen: exact, however many there are and however they lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.formats.interface import Limits
from testlytics_collector.formats.junit import seen
from testlytics_collector.formats.junit.seen import HashMap, Seen
from tests.unit.junit.reports import read

SUITES = [b"aaa", b"bbb"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a::", "b::", "c::", ""]),
            st.integers(0, 8),
            st.sampled_from(SUITES),
            st.booleans(),
        ),
        max_size=80,
    )
)
def test_it_answers_like_a_dictionary(steps: list[tuple[str, int, bytes, bool]]) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(seen, "MOST_OPEN", 4)
    try:
        known: dict[str, bytes] = {}
        tests = Seen()
        for prefix, number, suite, put_away in steps:
            test_id = f"{prefix}{number}"
            assert tests.suite_of(test_id, prefix, suite) == known.get(test_id)
            known.setdefault(test_id, suite)
            assert tests.count == len(known)
            if put_away:
                tests.put_away()
    finally:
        patch.undo()


def test_buckets_keep_apart_what_differs_in_any_bit() -> None:
    keys = [(1 << bit) - 1 for bit in range(54)] + [-(1 << bit) for bit in range(54)]
    different = {key & ((1 << 54) - 1) for key in keys}
    buckets = HashMap()
    for key in keys:
        buckets.get_or_put(key, b"xyz")
    assert buckets.count == len(different)
    assert all(buckets.get_or_put(key, b"abc") == b"xyz" for key in keys)


def document(rounds: int) -> str:
    """Classes that take turns, so that each comes again and again."""
    suites = []
    for number in range(rounds):
        cases = "".join(
            f'<testcase classname="pkg.C{kind}" name="n{name}" time="0.001"/>'
            for kind in range(3)
            for name in range(number * 3, number * 3 + 6)
        )
        suites.append(f'<testsuite name="same">{cases}</testsuite>')
    return f"<testsuites>{''.join(suites)}</testsuites>"


@pytest.mark.parametrize("most", [3, 16_000])
def test_numbers_do_not_depend_on_what_was_put_away(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(seen, "MOST_OPEN", most)
    monkeypatch.setattr("testlytics_collector.formats.junit.reader.CHUNK", 256)
    found = read(document(30), limits=Limits(batch=7))
    numbers: dict[str, int] = {}
    for row in found.attempts:
        numbers[row.test_id] = numbers.get(row.test_id, 0) + 1
        assert row.attempt == numbers[row.test_id]
    assert found.reading.counts.tests == len(numbers) == 3 * 93
