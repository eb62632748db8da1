"""Names of variants, and texts from elsewhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.formats.text import bounded, printable
from testlytics_collector.records import variant_text

PAIRS = st.dictionaries(st.text(min_size=1), st.text(), max_size=4)


def test_variant_is_canonical() -> None:
    assert variant_text({"python": "3.11", "os": "linux"}) == "os=linux,python=3.11"
    assert variant_text({}) == ""


@given(PAIRS, PAIRS)
def test_different_variants_never_look_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    assert (variant_text(one) == variant_text(other)) == (one == other)


@given(st.text(max_size=400), st.integers(100, 300))
def test_bounded_keeps_head_and_tail(text: str, limit: int) -> None:
    cut = bounded(text, limit)
    assert cut is not None
    assert len(cut) <= limit
    assert cut[:20] == text[:20]
    assert cut[-20:] == text[-20:]


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none()))
def test_printable_fits_a_line(value: object) -> None:
    shown = printable(value)
    assert len(shown) <= 80
    assert shown.isprintable()
