"""One test per way in which an attempt can end. The expected table is in expected_outcomes.csv."""

import os
import unittest
import warnings

import pytest

TRIES = {}
IN_WORKER = "PYTEST_XDIST_WORKER" in os.environ  # which cannot send everything


def tries(name):
    TRIES[name] = TRIES.get(name, 0) + 1
    return TRIES[name]


@pytest.fixture
def broken_setup():
    raise LookupError("no such thing")


@pytest.fixture
def broken_teardown():
    yield
    raise OSError("cannot clean up")


@pytest.fixture
def skipping_teardown():
    yield
    pytest.skip("not worth cleaning")


@pytest.fixture
def flaky_setup():
    if tries("setup") == 1:
        raise RuntimeError("not yet")


@pytest.fixture
def flaky_teardown():
    yield
    if tries("teardown") == 1:
        raise RuntimeError("not yet")


@pytest.fixture
def frozen(monkeypatch):
    # What freezegun does to pytest: from here on every phase has an impossible duration.
    for name in ("time", "perf_counter"):
        monkeypatch.setattr(f"_pytest.timing.{name}", lambda: 1_330_000_000.0, raising=False)


def test_pass():
    pass


def test_fail():
    left, right = 1, 2
    assert left == right


def test_raise():
    print("seen on the way")
    raise ValueError("bad value")


@pytest.mark.parametrize("value", ["a b", "ü", "a::b", "x]y", "a@b", "line\nbreak", "\x00"])
def test_parameters(value):
    pass


def test_broken_setup(broken_setup):
    pass


def test_broken_teardown(broken_teardown):
    pass


def test_fail_and_broken_teardown(broken_teardown):
    pytest.fail("the first failure")


def test_skip_and_broken_teardown(broken_teardown):
    pytest.skip("half-way")


@pytest.mark.skip(reason="by mark")
def test_skip_by_mark():
    pass


def test_skip_in_call():
    pytest.skip("on second thought")


def test_skip_in_teardown(skipping_teardown):
    pass


@pytest.mark.xfail(reason="known")
def test_xfail():
    raise KeyError("expected")


@pytest.mark.xfail(reason="not run", run=False)
def test_xfail_not_run():
    pass


def test_xfail_in_call():
    pytest.xfail("says the test")


@pytest.mark.xfail(reason="in setup")
def test_xfail_in_setup(broken_setup):
    pass


@pytest.mark.xfail(reason="fixed by now")
def test_xpass():
    pass


@pytest.mark.xfail(reason="must fail", strict=True)
def test_xpass_strict():
    pass


@pytest.mark.xfail(raises=ZeroDivisionError)
def test_xfail_other_error():
    raise TypeError("another one")


def test_subtests_pass(subtests):
    for number in range(3):
        with subtests.test(number=number):
            pass


def test_subtests_fail(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number != 1


def test_subtests_skip(subtests):
    with subtests.test("skipped"):
        pytest.skip("not this one")


def test_subtests_and_test_fail(subtests):
    with subtests.test("inner"):
        raise ValueError("inner")
    raise TypeError("outer")


class TestClass:
    def test_method(self):
        pass


class Old(unittest.TestCase):
    def test_pass(self):
        pass

    def test_fail(self):
        self.assertEqual(1, 2)

    @unittest.skip("by unittest")
    def test_skip(self):
        pass

    @unittest.expectedFailure
    def test_expected_failure(self):
        self.fail("as expected")

    @unittest.expectedFailure
    def test_unexpected_success(self):
        pass

    def test_subtests_pass(self):
        for number in range(2):
            with self.subTest(number=number):
                pass

    def test_subtests_fail(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)


class OldBrokenSetUp(unittest.TestCase):
    def setUp(self):
        raise RuntimeError("no set-up")

    def test_it(self):
        pass


def test_flaky_call():
    assert tries("call") > 1


def test_flaky_setup(flaky_setup):
    pass


def test_flaky_teardown(flaky_teardown):
    pass


def test_flaky_subtests(subtests):
    with subtests.test("stable"):
        pass
    with subtests.test("flaky"):
        assert tries("subtest") > 1


def test_properties(record_property):
    class Mute:
        def __str__(self):
            raise RuntimeError("no words")

    record_property("number", 3)
    if not IN_WORKER:
        record_property("mute", Mute())
    record_property("text", "a\x00b")


def test_odd_text():
    lone = "?" if IN_WORKER else "\ud83d"
    pair = "\U0001f600" if IN_WORKER else "\ud83d\ude00"
    pytest.fail(f"lone {lone}, pair {pair}, nul \x00, é")


def test_long_text():
    pytest.fail("x" * 100_000, pytrace=False)


def test_warning():
    warnings.warn("careful", UserWarning, stacklevel=1)


def test_frozen_clock(frozen):
    pass


def test_frozen_clock_fails(frozen):
    raise ValueError("in the past")


def documented():
    """Ends differently.

    >>> 1 + 1
    2
    """


def wrongly_documented():
    """Ends differently.

    >>> 1 + 1
    3
    """
