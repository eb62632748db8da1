"""What a basket costs."""

import pytest

from bookshop.basket import Basket
from bookshop.catalogue import Book

POSTER = Book("9780141439563", "Poster of all covers", "Various", 1000)


class TestBasket:
    """A basket from empty to full."""

    def test_an_empty_basket_costs_nothing(self) -> None:
        assert Basket().total == 0

    def test_goods_are_added_up(self, shelf: tuple[Book, ...]) -> None:
        basket = Basket()
        basket.add(shelf[0])
        basket.add(shelf[4], copies=2)
        assert basket.goods == 795 + 2 * 695

    def test_the_same_book_again(self, shelf: tuple[Book, ...]) -> None:
        basket = Basket()
        basket.add(shelf[0])
        basket.add(shelf[0])
        assert basket.goods == 2 * 795

    @pytest.mark.parametrize("copies", [0, -1])
    def test_there_are_no_fewer_copies_than_one(self, copies: int) -> None:
        with pytest.raises(ValueError, match="copies must be positive"):
            Basket().add(POSTER, copies)

    @pytest.mark.parametrize(("copies", "discount"), [(4, 0), (5, 500)])
    def test_discount_from_five_copies_on(self, copies: int, discount: int) -> None:
        basket = Basket()
        basket.add(POSTER, copies)
        assert basket.discount == discount

    def test_a_small_basket_pays_for_delivery(self) -> None:
        basket = Basket()
        basket.add(POSTER, copies=2)
        assert basket.total == 2395

    def test_free_delivery(self) -> None:
        basket = Basket()
        basket.add(POSTER, copies=3)
        assert basket.total == 3000

    def test_receipt(self, shelf: tuple[Book, ...]) -> None:
        basket = Basket()
        basket.add(shelf[0], copies=2)
        assert basket.receipt() == "2 x Emma: 15.90\nTotal: 19.85"
