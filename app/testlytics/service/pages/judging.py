"""What several pages judge: the tests of a window that failed, and what that cost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from testlytics.api import no_runs
from testlytics.report.groupings import Chosen
from testlytics.service.pages.asking import Asked

if TYPE_CHECKING:
    from testlytics.report.html.gather import Key
    from testlytics_analytics.impact import Impact
    from testlytics_analytics.status import Judgement
    from testlytics_collector.store.dashboard import PageReader
    from testlytics_collector.store.windowed import Failing, RunRow


_MOST = 8


class Judged(NamedTuple):
    """What was judged.

    Attributes:
        runs: The runs of the window.
        histories: What became of the tests that failed, by test.
        rows: The judgement on them.
        void: Indexes of runs that do not count.
    """

    runs: list[RunRow]
    histories: dict[Key, Failing]
    rows: Judgement
    void: Collection[int]


_lock = Lock()
_known: OrderedDict[str, Judged] = OrderedDict()


@contextmanager
def window_of(asked: Asked) -> Iterator[PageReader]:
    """Open the window of a question.

    Raises:
        NotFoundError: No run is in it.
    """
    from testlytics_collector.store.store import open_store

    with open_store(asked.store) as opened, opened.pages(asked.window()) as window:
        if window.is_empty():
            raise no_runs(asked.store)
        yield window


def judge(asked: Asked, window: PageReader) -> Judged:
    """Judge the tests of a window that failed in it.

    Several pages tell of the same judgement: it is made once, and kept until something new came.
    """
    key = f"{asked.store}\n{asked.window()}\n{asked.version}"
    with _lock:
        known = _known.get(key)
        if known is not None:
            _known.move_to_end(key)
    if known is not None:
        window.note_failures()
        return known
    made = _judged(window)
    with _lock:
        _known[key] = made
        while len(_known) > _MOST:
            _known.popitem(last=False)
    return made


def _judged(window: PageReader) -> Judged:
    from testlytics.api import judge_window

    runs = window.runs()
    failing = sorted(window.histories(), key=lambda one: one[:3])
    judged, void = judge_window(window, runs, None, failing)
    return Judged(runs, {one[:3]: one for one in failing}, judged, void)


def chosen(asked: Asked, window: PageReader) -> Chosen:
    """Return whose tests a page is about; of owners only tags are known here."""
    return Chosen(window, None, asked.values.get("owner"))


def costs(window: PageReader, judged: Judged) -> dict[Key, Impact]:
    """Say what failures cost, by test; after `judge`.

    Attempts are looked at only where an upload does not tell how long it took.
    """
    from testlytics_analytics import impact

    taken = window.taken()
    if all(one.is_known for one in taken):
        jobs = [
            impact.Job(
                one.step, one.variant, one.run_attempt, one.seconds or 0.0, 0, 0, 0, one.passed
            )
            for one in taken
        ]
    else:
        jobs = [impact.Job(*one) for one in window.jobs()]
    troubles = (impact.Trouble(*one) for one in window.troubles())
    return {one[:3]: one for one in impact.losses(jobs, troubles, judged.void).impacts}
