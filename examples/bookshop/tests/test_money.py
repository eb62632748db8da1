"""Reading, writing and dividing amounts."""

import pytest

from bookshop import money


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12.50", 1250), ("7", 700), ("0.05", 5), (" 8.95 ", 895)],
)
def test_read_a_price(text: str, cents: int) -> None:
    assert money.parse(text) == cents


@pytest.mark.parametrize("text", ["", "free", "12.5", ".50"])
def test_what_is_not_a_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a price"):
        money.parse(text)


@pytest.mark.parametrize(
    ("cents", "text"),
    [(1250, "12.50"), (5, "0.05"), (0, "0.00"), (-395, "-3.95")],
)
def test_write_an_amount(cents: int, text: str) -> None:
    assert money.show(cents) == text


@pytest.mark.parametrize(("cents", "rate", "part"), [(795, 10, 80), (794, 10, 79)])
def test_percentages_are_rounded_to_the_cent(cents: int, rate: int, part: int) -> None:
    assert money.percent(cents, rate) == part


def test_shares_add_up() -> None:
    assert money.split(1000, 3) == [334, 333, 333]


@pytest.mark.xfail(reason="refunds are still written by hand", raises=ValueError, strict=True)
def test_read_a_refund() -> None:
    assert money.parse("-3.95") == -395
