"""Keeps what a load gave in a store of its own, and judges it as durations are."""

from __future__ import annotations

from pathlib import Path

from testlytics import api
from testlytics_collector.ingest import Stated
from testlytics_collector.store.reader import Window

PROJECT = "load"


def keep(statistics: Path, store: Path, scenario: str, run_id: str) -> None:
    """Take in what Locust has written.

    Args:
        statistics: Its `..._stats.json`.
        store: Where loads are kept.
        scenario: Each has series of its own: it is the variant.
        run_id: A name for this load.

    Raises:
        ValueError: It was refused.
    """
    stated = Stated(project=PROJECT, run_id=run_id, variant={"scenario": scenario})
    [told] = api.ingest([str(statistics)], store, stated=stated)
    if told.run_id is None:
        raise ValueError(" ".join(problem.text for problem in told.problems))


def worse(store: Path, scenario: str, run_id: str) -> list[str]:
    """Return what got worse than in the loads before, and began to with this one or before it.

    Too few loads in the store judge nothing.
    """
    window = Window(project=PROJECT, variant={"scenario": scenario})
    told = api.report(store, window, sections=["benchmarks"], summary=False)
    return [
        f"{row['name']} {row['metric']}: {row['value']:g} instead of {row['baseline']:g} "
        f"{row['unit']}, since {row['since_run_id']}"
        for section in told.sections
        for row in section.rows
        if row["judgement"] == "worse" and row["run_id"] == run_id
    ]
