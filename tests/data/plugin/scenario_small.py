"""A few tests of every colour, fast enough to run often."""

import warnings

import pytest


@pytest.mark.parametrize("number", range(40))
def test_many(number):
    pass


def test_fail():
    assert 1 == 2


def test_skip():
    pytest.skip("no")


@pytest.mark.xfail(reason="known")
def test_xfail():
    raise ValueError


@pytest.fixture
def broken():
    raise OSError("broken")


def test_error(broken):
    pass


def test_warning():
    with pytest.warns(UserWarning):
        warnings.warn("careful", UserWarning, stacklevel=1)
