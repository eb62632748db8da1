"""The session that oldest.jsonl records, by the first plugin that wrote schema 1.0."""

import pytest


@pytest.fixture
def till():
    raise LookupError("no till")


@pytest.mark.parametrize("amount", [1, 2])
def test_pay(amount):
    pass


def test_refund():
    assert 1 == 2


def test_till(till):
    pass


@pytest.mark.skip(reason="closed")
def test_sunday():
    pass


@pytest.mark.xfail(reason="known")
def test_known():
    assert False
