"""What is made the same once stays the same, and what differs from run to run alone is the same."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from testlytics_analytics.fingerprints import FailureText, cause_text, fingerprint, normalise
from testlytics_collector.formats.unstable import Stabiliser

# Shorter ones may be constants of a test.
ADDRESS = st.integers(2**24, 2**48 - 1).map(lambda number: f"0x{number:x}")
PIECES = st.one_of(
    st.text(max_size=6),
    ADDRESS,
    st.integers(0, 2**128 - 1).map(lambda number: str(UUID(int=number))),
    st.integers(-(10**12), 10**12).map(str),
    st.floats(0, 1e9).map(repr),
    st.datetimes().map(str),
    st.sampled_from(
        [
            *("<address>", "<", ">", "at ", "/tmp/pytest-of-a/pytest-1/test_a0/", "0x", "#", "["),
            *("]", "\x1b[31m", "\x1b", "line 12", ":12:", "port 8080", " \t\n", "1" * 40),
        ]
    ),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS)
def test_a_normalised_message_stays_as_it_is(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert "\n" not in once


@given(TEXTS, ADDRESS, ADDRESS)
def test_an_address_makes_no_other_cause(text: str, one: str, other: str) -> None:
    first, second = (
        FailureText("E", f"<Thing object at {address}> is not {text}", "a.py:3")
        for address in (one, other)
    )
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 16
    assert cause_text(first).endswith(" @ a.py")


@given(st.integers(1, 10**6), st.integers(1, 10**6), TEXTS)
def test_lines_of_a_place_do_not_count(one: int, other: int, text: str) -> None:
    first, second = (FailureText("E", text, f"tests/a.py:{line}") for line in (one, other))
    assert fingerprint(first) == fingerprint(second)


# Between parameters stands something: two times in one word are told apart only one by one.
@given(st.lists(PIECES.filter(lambda text: "[" not in text), max_size=6).map(" - ".join))
def test_a_name_made_stable_stays_as_it_is(inside: str) -> None:
    once = Stabiliser().stable("a.py::", f"test_a[{inside}]", None)
    assert Stabiliser().stable("a.py::", once, None) == once
    assert once.startswith("test_a[")


@given(st.lists(ADDRESS, min_size=1, max_size=5, unique=True))
def test_names_that_differ_in_an_address_keep_their_order_in_each_run(found: list[str]) -> None:
    def names(addresses: list[str]) -> list[str]:
        stable = Stabiliser()
        return [stable.stable("a.py::", f"test_a[<object at {one}>]", None) for one in addresses]

    told = names(found)
    assert len(set(told)) == len(found)
    assert told == names([f"0x7f00000000{number:02x}" for number in range(len(found))])
