"""The books that the shop knows, on its shelves or not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bookshop import isbn


@dataclass(frozen=True)
class Book:
    """One edition of one title.

    Attributes:
        isbn: Thirteen digits.
        title: Title on the cover.
        author: First name, then last name.
        price: In cents.
    """

    isbn: str
    title: str
    author: str
    price: int


class Catalogue:
    """Books by their ISBN."""

    def __init__(self, books: Iterable[Book] = ()) -> None:
        self._books: dict[str, Book] = {}
        for book in books:
            self.add(book)

    def __len__(self) -> int:
        return len(self._books)

    def __iter__(self) -> Iterator[Book]:
        return iter(self._books.values())

    def add(self, book: Book) -> None:
        """Take a book into the catalogue.

        Raises:
            ValueError: Its ISBN is wrong, or there is a book with this ISBN already.
        """
        key = isbn.normalise(book.isbn)
        if key in self._books:
            raise ValueError(f"already in the catalogue: {key}")
        self._books[key] = book

    def get(self, number: str) -> Book:
        """Find a book by its ISBN of either length.

        Raises:
            KeyError: There is no such book.
        """
        return self._books[isbn.normalise(number)]

    def by_author(self, author: str) -> list[Book]:
        """List the books of an author in the order they were added."""
        return [book for book in self if book.author == author]

    def search(self, words: str) -> list[Book]:
        """List the books whose title or author holds every one of the words."""
        return [
            book
            for book in self
            if all(word in f"{book.title} {book.author}" for word in words.split())
        ]
