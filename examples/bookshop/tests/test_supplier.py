"""What the supplier says, and what the shop makes of it."""

import pytest

from bookshop.catalogue import Book
from bookshop.supplier import Supplier, UnknownTitleError, reading_list

DAYS = {
    "9780141439587": 1,
    "9780141439518": 1,
    "9780141439600": 2,
    "9780141439563": 3,
    "9780141439471": 14,
}


def test_days_until_delivery() -> None:
    assert Supplier(DAYS).delivery_days(["9780141439600"]) == {"9780141439600": 2}


def test_an_unknown_title() -> None:
    with pytest.raises(UnknownTitleError, match="9780804429573"):
        Supplier(DAYS).delivery_days(["9780804429573"])


def test_an_empty_reading_list() -> None:
    assert reading_list([], Supplier(DAYS)) == []


def test_reading_list(shelf: tuple[Book, ...]) -> None:
    supplier = Supplier(DAYS, round_trip=0.06)
    assert reading_list(shelf, supplier) == [
        "Emma: tomorrow",
        "Pride and Prejudice: tomorrow",
        "A Tale of Two Cities: in 2 days",
        "Great Expectations: in 3 days",
        "Frankenstein: in 14 days",
    ]
