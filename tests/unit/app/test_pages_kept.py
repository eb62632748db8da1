"""Which pages are shown again, and which are made anew."""

from __future__ import annotations

from testlytics.service.pages.kept import DEAR_S, OLD_S, Kept, Made


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(version: str, clock: Clock, cost_s: float = 0.0, size: int = 10) -> Made:
    return Made(b"x" * size, "text/html", version, cost_s, clock.now)


def test_a_page_is_shown_again_until_something_came() -> None:
    clock = Clock()
    kept = Kept(clock)
    assert kept.find("a", "1") == (None, False)
    page = made("1", clock)
    kept.keep("a", page, "kind")
    clock.now += 100
    assert kept.find("a", "1") == (page, False)
    assert kept.find("a", "2") == (None, False)
    assert kept.find("b", "1") == (None, False)
    clock.now += 300
    assert kept.find("a", "1") == (None, False)


def test_a_dear_page_is_shown_a_little_longer_and_made_anew_once() -> None:
    clock = Clock()
    kept = Kept(clock)
    kept.keep("first", made("1", clock), "kind")
    page = made("1", clock, DEAR_S)
    kept.keep("a", page, "kind")
    assert kept.find("a", "2") == (page, False)
    clock.now += OLD_S + 1
    assert kept.find("a", "2") == (page, True)
    # One who makes it is enough, until it is there, or could not be made.
    assert kept.find("a", "2") == (page, False)
    kept.gave_up("a")
    assert kept.find("a", "2") == (page, True)
    newer = made("2", clock, DEAR_S)
    kept.keep("a", newer, "kind")
    assert kept.find("a", "2") == (newer, False)
    clock.now += 6 * OLD_S + 1
    assert kept.find("a", "3") == (None, False)


def test_what_the_first_page_of_a_kind_took_is_no_measure() -> None:
    clock = Clock()
    kept = Kept(clock)
    kept.keep("a", made("1", clock, 10 * DEAR_S), "kind")
    assert kept.find("a", "2") == (None, False)
    kept.keep("a", made("2", clock, 10 * DEAR_S), "kind")
    assert kept.find("a", "3")[0] is not None


def test_no_more_is_kept_than_fits() -> None:
    clock = Clock()
    kept = Kept(clock)
    for number in range(5):
        kept.keep(number, made("1", clock, size=20 << 20), "kind")
    found = [kept.find(number, "1")[0] is not None for number in range(5)]
    assert found == [False, False, True, True, True]
    kept.keep(3, made("2", clock, size=60 << 20), "kind")
    assert [kept.find(number, "2")[0] is not None for number in (2, 3, 4)] == [False, True, False]
