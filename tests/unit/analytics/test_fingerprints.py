"""Equal causes have equal fingerprints, different ones do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.fingerprints import FailureText, clusters, fingerprint, normalise

PAIRS = [
    ("timeout after 12 s", "timeout after 7.5 s"),
    ("object at 0x7f12ab34", "object at 0x55aa"),
    ("no file /tmp/pytest-1/a.txt", "no file /var/lib/b c.txt".replace(" c", "c")),
    (r"no file C:\Users\a\b.txt", r"no file D:\x.txt"),
    ("at 2026-01-31T10:11:12Z", "at 2025-12-01 09:08:07.123"),
    ("user 'ann' is missing", "user 'bob o' is missing"),
    ("id 6f1c2d3e-6d1c-4c0a-9d7e-0f5b6a1c2d3e", "id 00000000-6d1c-4c0a-9d7e-0f5b6a1c2d3f"),
    ("commit deadbeef01", "commit 0123abcdef"),
    ("GET http://127.0.0.1:8080/a failed", "GET https://example.org/b?c=1 failed"),
    ("assert 1 == 2", "assert 30 == -4"),
    ("got  3\n  of 4", "got 5 of 6"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_differs_from_run_to_run_does_not_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert fingerprint(FailureText("E", one)) == fingerprint(FailureText("E", other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FailureText("E", "timeout"), FailureText("E", "refused")),
        (FailureText("E", "no"), FailureText("F", "no")),
        (FailureText("E", "no", "a.py:1"), FailureText("E", "no", "b.py:1")),
        (FailureText("E", "key a1 is missing"), FailureText("E", "key b is missing")),
        (FailureText(None, "cafe"), FailureText(None, "face")),
    ],
)
def test_different_causes_stay_apart(one: FailureText, other: FailureText) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_the_line_of_a_place_moves_and_the_type_may_stand_before_the_message() -> None:
    assert fingerprint(FailureText("E", "no", "a.py:1")) == fingerprint(
        FailureText("E", "no", "a.py:22")
    )
    assert fingerprint(FailureText("E", "E: no")) == fingerprint(FailureText(None, "E: no"))


@given(st.text(alphabet="'\"`a1:/\\x0. -T\x1b[m<>né\n", max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "\n" not in once


@pytest.mark.parametrize(
    "sign", ["'", "1", "/", "a:", "0x", "-", "1-", "1:", "\\", "a.", "[", "x1"]
)
def test_a_text_of_one_sign_takes_no_time(sign: str) -> None:
    assert len(normalise(sign * 100_000)) <= 2_000


def test_clusters_take_nearly_equal_texts_together() -> None:
    told = [
        (n, FailureText("E", f"cannot reach database db{n} within its limit")) for n in range(5)
    ]
    told += [(9, FailureText("E", "division by zero"))]
    first, second = clusters(told)
    assert (first.members, second.members) == ((0, 1, 2, 3, 4), (9,))
    assert len(first.fingerprints) == 5
    assert clusters([]) == []


@given(
    st.lists(st.tuples(st.integers(), st.sampled_from(["a b", "a 1", "c" * 30, "c" * 29 + "d"])))
)
def test_each_failure_is_in_one_cluster(told: list[tuple[int, str]]) -> None:
    found = clusters((key, FailureText(None, text)) for key, text in told)
    assert sorted(key for one in found for key in one.members) == sorted(key for key, _ in told)
    sizes = [len(one.members) for one in found]
    assert sizes == sorted(sizes, reverse=True)
