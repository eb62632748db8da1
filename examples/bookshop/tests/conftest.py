"""The books that the tests share."""

import pytest

from bookshop.catalogue import Book, Catalogue

SHELF = (
    Book("9780141439587", "Emma", "Jane Austen", 795),
    Book("9780141439518", "Pride and Prejudice", "Jane Austen", 895),
    Book("9780141439600", "A Tale of Two Cities", "Charles Dickens", 850),
    Book("9780141439563", "Great Expectations", "Charles Dickens", 995),
    Book("9780141439471", "Frankenstein", "Mary Shelley", 695),
)


@pytest.fixture
def shelf() -> tuple[Book, ...]:
    """Five novels."""
    return SHELF


@pytest.fixture
def catalogue() -> Catalogue:
    """A catalogue of the five novels."""
    return Catalogue(SHELF)
