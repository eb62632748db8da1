"""Copies coming in and going out, one customer after the other and two at once."""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookshop.stock import Stock

EMMA = "9780141439587"

# Long enough that a busy machine does not change who comes first.
PAYMENT = 0.06
MOMENTS = ((0.0, 2 * PAYMENT), (2 * PAYMENT, 0.0), (PAYMENT, PAYMENT))

customers = random.Random(int(os.environ.get("BOOKSHOP_SEED", "0")))


def pay_cash() -> None:
    """Pay on the spot."""


def pay_by_card() -> None:
    """Wait for the bank."""
    time.sleep(PAYMENT)


def test_a_sold_copy_leaves_the_shelf() -> None:
    stock = Stock({EMMA: 2})
    assert stock.sell(EMMA, pay_cash)
    assert stock.copies(EMMA) == 1


def test_nothing_is_sold_from_an_empty_shelf() -> None:
    assert not Stock({}).sell(EMMA, pay_cash)


def test_without_payment_the_copy_stays() -> None:
    def declined() -> None:
        raise PermissionError("card declined")

    stock = Stock({EMMA: 1})
    with pytest.raises(PermissionError):
        stock.sell(EMMA, declined)
    assert stock.copies(EMMA) == 1


def test_a_delivery_fills_the_shelf() -> None:
    stock = Stock({EMMA: 1})
    stock.receive(EMMA, 3)
    assert stock.copies(EMMA) == 4


@pytest.mark.skip(reason="needs the till on the counter")
def test_the_till_opens() -> None:
    raise NotImplementedError


def test_last_copy_sold_once() -> None:
    """Two customers want the last copy; the seed says when each of them reaches the till."""
    stock = Stock({EMMA: 1})
    moments = MOMENTS[int(customers.random() * len(MOMENTS))]

    def customer(moment: float) -> bool:
        time.sleep(moment)
        return stock.sell(EMMA, pay_by_card)

    with ThreadPoolExecutor(max_workers=2) as shop:
        copies_sold = sum(shop.map(customer, moments))
    assert copies_sold == 1
