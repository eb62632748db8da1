"""The wholesaler's service, and the list of books that it can deliver."""

import time
from collections.abc import Iterable, Mapping

from bookshop.catalogue import Book


class UnknownTitleError(LookupError):
    """The supplier has never heard of a title."""


class Supplier:
    """A stand-in for the wholesaler's service: it answers the same, and takes as long.

    Args:
        days: Days until delivery, by ISBN.
        round_trip: Seconds that each request takes.
    """

    def __init__(self, days: Mapping[str, int], round_trip: float = 0.0) -> None:
        self._days = days
        self._round_trip = round_trip

    def delivery_days(self, isbns: Iterable[str]) -> dict[str, int]:
        """Ask in one request how long the delivery of some books takes.

        Raises:
            UnknownTitleError: One of the titles is unknown; there is no answer for the others.
        """
        time.sleep(self._round_trip)
        try:
            return {isbn: self._days[isbn] for isbn in isbns}
        except KeyError as error:
            raise UnknownTitleError(*error.args) from error


def reading_list(books: Iterable[Book], supplier: Supplier) -> list[str]:
    """Say for each book when it can be here."""
    wanted = list(books)
    days = supplier.delivery_days(book.isbn for book in wanted)
    return [f"{book.title}: {_when(days[book.isbn])}" for book in wanted]


def _when(days: int) -> str:
    return "tomorrow" if days == 1 else f"in {days} days"
