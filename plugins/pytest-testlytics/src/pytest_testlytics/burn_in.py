"""Repeats new and changed tests: in the process that runs them, whole protocols of pytest.

The last repetition is the one that pytest knows to be followed by another test. Before it, pytest
is told that another test of the same place comes next, so that only the test itself is torn down.
"""

from __future__ import annotations

import math
import re
import unittest
from collections import ChainMap
from typing import Any, Callable, Dict, Generator, NamedTuple, Optional, Protocol

import pytest

from pytest_testlytics import REAL_CLOCKS
from pytest_testlytics.burn_in_summary import REPETITION, BurnInSummary
from pytest_testlytics.changes import Spans, is_changed, read_changes
from pytest_testlytics.defused import is_skip

PLUGIN_NAME = "testlytics-burn-in"
WORKERINPUT = "testlytics_burn_in"
"""The key under which the controller hands the plan to its workers."""

MOST_REPETITIONS = 299
"""When time is given: without a failure this shows a flake rate of at most 1 %."""

_MOST_COUNT = 10_000
_SPEC = re.compile(r"([0-9]{1,6})([smh]?)")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600}
_RETRYING = ("rerunfailures", "pytest_rerunfailures")


class Amount(NamedTuple):
    """How often to repeat.

    Attributes:
        runs: Of each test; 0 where the time decides.
        seconds: For all tests together; 0 where the number decides.
    """

    runs: int
    seconds: int


class _Node(Protocol):
    """A worker that is about to start, as xdist hands it out."""

    @property
    def workerinput(self) -> Dict[str, Any]: ...


def read_amount(text: str) -> Amount:
    """Read `20`, `30s`, `2m` or `1h`.

    Raises:
        ValueError: It is nothing of that.
    """
    found = _SPEC.fullmatch(text.strip())
    number = int(found.group(1)) if found else 0
    if found is None or number < 1 or (not found.group(2) and number > _MOST_COUNT):
        raise ValueError(
            f"--testlytics-burn-in {text!r} is neither a number from 1 to {_MOST_COUNT}"
            " nor a time like 30s"
        )
    unit = found.group(2)
    return Amount(0, number * _UNIT_S[unit]) if unit else Amount(number, 0)


class Budget:
    """Decides which repetition of a test is the last."""

    def __init__(self, amount: Amount, tests: int, workers: int) -> None:
        """Begin with nothing spent.

        Args:
            amount: What was asked for.
            tests: How many tests are to be repeated, in all workers together.
            workers: How many workers share them; 1 without workers.
        """
        self._amount = amount
        self._expected = math.ceil(tests / workers)
        self._spent_s = 0.0
        self._tests_begun = 0
        self._share_s = 0.0
        self._used_s = 0.0
        self._runs = 0

    def begin_test(self) -> None:
        """Give the next test its share of what is left."""
        left_s = self._amount.seconds - self._spent_s
        self._share_s = left_s / max(1, self._expected - self._tests_begun)
        self._tests_begun += 1
        self._used_s, self._runs = 0.0, 0

    def spend(self, seconds: float) -> None:
        """Note how long a repetition took."""
        self._runs += 1
        self._used_s += seconds
        self._spent_s += seconds

    @property
    def next_is_last(self) -> bool:
        """Whether there is to be only one more repetition of this test."""
        if self._amount.runs:
            return self._runs + 1 >= self._amount.runs
        if not self._runs:
            return self._share_s <= 0
        two_more_s = 2 * self._used_s / self._runs
        return self._runs + 1 >= MOST_REPETITIONS or self._used_s + two_more_s > self._share_s


class StandIn(pytest.Item):
    """Stands for a further test of the same place. Never runs."""

    def runtest(self) -> None:
        """Do nothing."""


class Finished:
    """Answers for a test whose repetitions are over, so that nobody runs it once more.

    Attributes:
        item: That test, None where there is none.
    """

    def __init__(self) -> None:
        self.item: Optional[pytest.Item] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Optional[bool]:
        """Say that the test has been run."""
        return True if item is self.item else None


class Repeater:
    """Runs each new or changed test several times and numbers its reports."""

    def __init__(
        self, config: pytest.Config, amount: Amount, spans: Spans, workers: int, finished: Finished
    ) -> None:
        self._config = config
        self._amount = amount
        self._spans = spans
        self._workers = workers
        self._finished = finished
        _, self._now = REAL_CLOCKS
        self._chosen: set[pytest.Item] = set()
        self._budget = Budget(amount, 0, 1)
        self._running = ""
        self._number = 0
        self._skipped = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Choose the tests."""
        self._chosen = {item for item in session.items if _is_chosen(item, self._spans)}
        self._budget = Budget(self._amount, len(self._chosen), self._workers)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: Optional[pytest.Item]
    ) -> Generator[None, object, None]:
        """Run the whole protocol as often as is due, all other plugins included."""
        if item in self._chosen:
            self._repeat(item, nextitem)
        yield
        self._finished.item = None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, None]:
        """Attach the number of the repetition."""
        if report.nodeid == self._running:
            report.__dict__[REPETITION] = self._number
            self._skipped = self._skipped or is_skip(report)
        yield

    def pytest_unconfigure(self) -> None:
        """Let go of the tests."""
        self._chosen = set()

    def _repeat(self, item: pytest.Item, nextitem: Optional[pytest.Item]) -> None:
        if not isinstance(item.parent, pytest.Collector):
            return
        try:
            stand_in: pytest.Item = StandIn.from_parent(item.parent, name=item.name)
            renew, restore = _renewal_of(item), _restoration_of(item, item.parent)
        except Exception:
            return  # whoever made this test has ideas of its own; it runs once, as ever
        manager = self._config.pluginmanager
        retrying = [plugin for name in _RETRYING if (plugin := manager.get_plugin(name))]
        protocol = manager.subset_hook_caller("pytest_runtest_protocol", [self, *retrying])
        budget, session = self._budget, item.session
        budget.begin_test()
        self._running, self._number, self._skipped = item.nodeid, 0, False
        last = False
        while not last and not session.shouldfail and not session.shouldstop:
            last = budget.next_is_last or self._skipped
            if self._number:
                renew()
                restore()
            self._number += 1
            began = self._now()
            self._finished.item = None
            protocol(item=item, nextitem=nextitem if last else stand_in)
            self._finished.item = item
            budget.spend(self._now() - began)
        self._running = ""


def begin(config: pytest.Config, text: str, base: Optional[str]) -> None:
    """Find out what has changed and register what repeats it.

    Args:
        config: Of the controller, or of the only process.
        text: How often.
        base: What "changed" compares with; None for the default branch.

    Raises:
        ValueError: `text` is not what it should be.
        Unknown: What has changed cannot be found out.
    """
    amount = read_amount(text)
    spans = read_changes(str(config.rootpath), base)
    plan = {
        "amount": list(amount),
        "spans": {path: list(map(list, at)) for path, at in spans.items()},
    }
    config.pluginmanager.register(_Messenger(plan), f"{PLUGIN_NAME}-messenger")
    config.pluginmanager.register(BurnInSummary(), f"{PLUGIN_NAME}-summary")
    _register(config, amount, spans, 1)


def join(config: pytest.Config, plan: Dict[str, Any], workers: int) -> None:
    """Register what repeats tests in a worker.

    Args:
        config: Of the worker.
        plan: What the controller handed over.
        workers: How many there are.
    """
    spans = {path: [(begin, end) for begin, end in at] for path, at in plan["spans"].items()}
    _register(config, Amount(*plan["amount"]), spans, workers)


class _Messenger:
    """Hands the plan to workers."""

    def __init__(self, plan: Dict[str, Any]) -> None:
        self._plan = plan

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: _Node) -> None:
        """Let a worker know."""
        node.workerinput[WORKERINPUT] = self._plan


def _register(config: pytest.Config, amount: Amount, spans: Spans, workers: int) -> None:
    finished = Finished()
    config.pluginmanager.register(finished, f"{PLUGIN_NAME}-finished")
    repeater = Repeater(config, amount, spans, workers, finished)
    config.pluginmanager.register(repeater, PLUGIN_NAME)


def _is_chosen(item: pytest.Item, spans: Spans) -> bool:
    if not isinstance(item, pytest.Function) or item.get_closest_marker("skip") is not None:
        return False
    try:
        return is_changed(item, spans)
    except Exception:
        return False  # a function like no other, such as one that wraps itself


def _renewal_of(item: pytest.Item) -> Callable[[], None]:
    """Return what makes a test as new before it is run again."""
    if not isinstance(item, pytest.Function):
        return lambda: None
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        return lambda: None  # pytest does it
    function = item.obj
    is_method = item.cls is not None and getattr(item.cls, item.originalname, None) is getattr(
        function, "__func__", item
    )

    def renew() -> None:
        if is_method:
            # Since 8.2 pytest keeps the instance of the class beside the method, for good.
            vars(item).pop("_instance", None)
            item.obj = None
        elif item.obj is not function:
            item.obj = function  # which a plugin for coroutines wraps anew each time

    return renew


def _restoration_of(item: pytest.Item, parent: pytest.Collector) -> Callable[[], None]:
    """Return what takes from a test all that a run has left on it, as if it had never run."""
    markers, properties = list(item.own_markers), list(item.user_properties)
    around = parent.keywords
    own = {
        key: value
        for key, value in item.keywords.items()
        if key not in around or around[key] is not value
    }
    # Captured output; pytest itself never needs to take it away, so there is no public way.
    sections = vars(item).get("_report_sections")
    captured = list(sections) if isinstance(sections, list) else []

    def restore() -> None:
        # In place: an `xfail` of an earlier run would hide a failure of the next.
        item.own_markers[:] = markers
        # Anew: keywords of pytest cannot be removed, and reports may share the properties.
        item.keywords = ChainMap(dict(own), around)
        item.user_properties = list(properties)
        if isinstance(sections, list):
            sections[:] = captured

    return restore
