"""The copies on the shelves."""

from collections.abc import Callable, Mapping


class Stock:
    """How many copies of each book are there."""

    def __init__(self, copies: Mapping[str, int]) -> None:
        self._copies = dict(copies)

    def copies(self, isbn: str) -> int:
        """Count the copies of a book."""
        return self._copies.get(isbn, 0)

    def receive(self, isbn: str, copies: int) -> None:
        """Put delivered copies on the shelf.

        Raises:
            ValueError: The number of copies is not positive.
        """
        if copies < 1:
            raise ValueError(f"copies must be positive, not {copies}")
        self._copies[isbn] = self.copies(isbn) + copies

    def sell(self, isbn: str, pay: Callable[[], None]) -> bool:
        """Sell one copy, if one is left.

        Args:
            isbn: The book.
            pay: Takes the customer's money; whatever it raises leaves the copy on the shelf.

        Returns:
            Whether the customer has got a copy.
        """
        if self.copies(isbn) < 1:
            return False
        pay()
        self._copies[isbn] -= 1
        return True
