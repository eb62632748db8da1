"""Adding books to the catalogue and finding them again."""

import unittest

import pytest

from bookshop import isbn
from bookshop.catalogue import Book, Catalogue


class CatalogueTest(unittest.TestCase):
    """The catalogue of a shop that opens with two books."""

    def setUp(self) -> None:
        self.emma = Book("9780141439587", "Emma", "Jane Austen", 795)
        self.monster = Book("9780141439471", "Frankenstein", "Mary Shelley", 695)
        self.catalogue = Catalogue([self.emma, self.monster])

    def test_length(self) -> None:
        self.assertEqual(len(self.catalogue), 2)

    def test_get_by_thirteen_digits(self) -> None:
        self.assertIs(self.catalogue.get("978-0-14-143958-7"), self.emma)

    def test_get_by_ten_digits(self) -> None:
        self.assertIs(self.catalogue.get("0141439580"), self.emma)

    def test_unknown_book(self) -> None:
        with self.assertRaises(KeyError):
            self.catalogue.get("9780141439600")

    def test_no_book_twice(self) -> None:
        with self.assertRaisesRegex(ValueError, "already in the catalogue"):
            self.catalogue.add(self.emma)

    def test_iterates_in_the_order_of_adding(self) -> None:
        self.assertEqual(list(self.catalogue), [self.emma, self.monster])


def test_books_of_an_author(catalogue: Catalogue) -> None:
    titles = [book.title for book in catalogue.by_author("Jane Austen")]
    assert titles == ["Emma", "Pride and Prejudice"]


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("Emma", ["Emma"]),
        ("Great Dickens", ["Great Expectations"]),
        ("Woolf", []),
    ],
)
def test_search(catalogue: Catalogue, words: str, titles: list[str]) -> None:
    assert [book.title for book in catalogue.search(words)] == titles


def test_every_book_on_the_shelf_has_a_valid_isbn(
    catalogue: Catalogue, subtests: pytest.Subtests
) -> None:
    for book in catalogue:
        with subtests.test(title=book.title):
            assert isbn.normalise(book.isbn) == book.isbn
