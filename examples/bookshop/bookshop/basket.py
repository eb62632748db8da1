"""What a customer is about to buy."""

from bookshop import money
from bookshop.catalogue import Book

FREE_DELIVERY_FROM = 3000
DELIVERY_FEE = 395


class Basket:
    """Books with their numbers, and what they cost together."""

    def __init__(self) -> None:
        self._lines: dict[Book, int] = {}

    def add(self, book: Book, copies: int = 1) -> None:
        """Put copies of a book into the basket.

        Raises:
            ValueError: The number of copies is not positive.
        """
        if copies < 1:
            raise ValueError(f"copies must be positive, not {copies}")
        self._lines[book] = self._lines.get(book, 0) + copies

    @property
    def goods(self) -> int:
        """Price of all books before any discount."""
        return sum(book.price * copies for book, copies in self._lines.items())

    @property
    def discount(self) -> int:
        """Ten percent of the goods from five copies on."""
        copies = sum(self._lines.values())
        return money.percent(self.goods, 10) if copies >= 5 else 0

    @property
    def delivery(self) -> int:
        """The fee, which is waived from a certain value of goods on."""
        payable = self.goods - self.discount
        return 0 if payable >= FREE_DELIVERY_FROM else DELIVERY_FEE

    @property
    def total(self) -> int:
        """What the customer pays."""
        return self.goods - self.discount + self.delivery if self._lines else 0

    def receipt(self) -> str:
        """Write one line for each title and one for the total."""
        lines = [
            f"{copies} x {book.title}: {money.show(book.price * copies)}"
            for book, copies in self._lines.items()
        ]
        return "\n".join([*lines, f"Total: {money.show(self.total)}"])
