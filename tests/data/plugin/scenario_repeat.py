"""Tests that notice when a repetition is not a fresh run. All are new where this file is."""

import asyncio
import itertools
import unittest

import pytest

MODULE_SETUPS = itertools.count(1)
FUNCTION_SETUPS = itertools.count(1)
FLAKY_RUNS = itertools.count(1)
SEEN = []


@pytest.fixture(scope="module")
def of_module():
    number = next(MODULE_SETUPS)
    yield number
    SEEN.append("module torn down")


@pytest.fixture
def of_function(of_module, tmp_path):
    assert not list(tmp_path.iterdir())
    (tmp_path / "used").touch()
    number = next(FUNCTION_SETUPS)
    SEEN.append(("begin", number))
    yield number
    SEEN.append(("end", number))


def test_fixtures(of_module, of_function):
    assert of_module == 1
    assert SEEN[-1] == ("begin", of_function)
    assert "module torn down" not in SEEN
    if of_function > 1:
        assert ("end", of_function - 1) in SEEN


@pytest.mark.parametrize("value", [1, 2])
def test_parameters(value, of_module):
    assert of_module == 1


def test_flaky():
    assert next(FLAKY_RUNS) % 7, "each seventh run"


def test_always_fails():
    raise ValueError("broken")


def test_skips():
    pytest.skip("not here")


@pytest.mark.skip
def test_skipped():
    pass


class TestClass:
    def test_fresh_instance(self, request):
        assert not hasattr(self, "used")
        assert request.instance is self
        self.used = True


class Old(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.set_up_times = getattr(cls, "set_up_times", 0) + 1

    def setUp(self):
        self.used = []

    def test_fresh(self):
        self.assertEqual((self.used, self.set_up_times), ([], 1))
        self.used.append(1)

    def test_subtests(self):
        for number in range(2):
            with self.subTest(number=number):
                pass


class OldAsync(unittest.IsolatedAsyncioTestCase):
    async def test_awaits(self):
        await asyncio.sleep(0)
