"""A run says the same whether it comes in one file or in shards, in whatever order they come."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testlytics import api
from testlytics.report import render
from testlytics_collector.store.reader import Window
from tests.factories import end, lines
from tests.planted import Broken, Flaky, Line, Slower, Suite

# Many stores: where the machine is busy they take long, and nothing hangs.
pytestmark = pytest.mark.timeout(600)
PLANTS = [
    Flaky(1, rate=0.3),
    Broken(2, since=9),
    Slower(3, since=7, times=3),
    Flaky(4, retries=False),
]
RUNS = 14


def told(store: Path) -> dict[str, Any]:
    """Everything that a report says."""
    sections = ["flaky", "broken", "slowest", "regressions"]
    document: dict[str, Any] = json.loads(
        render.as_json(api.report(store, Window(), sections=sections))
    )
    # Equal values may come in any order.
    document["slowest"].sort(key=lambda row: row["test_id"])
    return document


def stored(files: list[bytes], folder: Path) -> dict[str, Any]:
    folder.mkdir()
    paths = []
    for number, content in enumerate(files):
        paths.append(folder / f"{number}.jsonl")
        paths[-1].write_bytes(content)
    done = api.ingest(map(str, paths), folder / "h.duckdb")
    assert {one.status.value for one in done} == {"stored"}
    return told(folder / "h.duckdb")


def shards(content: bytes, dealt: list[int]) -> list[bytes]:
    """Deal the tests of a run file out to shards."""
    first, *rows, _ = (json.loads(line) for line in content.splitlines())
    parts: dict[int, list[Line]] = {}
    hands: dict[str, int] = {}
    for row in rows:  # all attempts of a test are made where it runs
        shard = hands.setdefault(row["test_id"], dealt[len(hands) % len(dealt)])
        parts.setdefault(shard, []).append(row)
    return [
        lines(
            first | {"upload_id": f"{first['upload_id']}-{shard}", "shard": str(shard)},
            *part,
            end(len(part)),
        )
        for shard, part in parts.items()
    ]


@settings(max_examples=6)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 4), min_size=1, max_size=7),
    st.randoms(use_true_random=False),
)
def test_shards_add_up_to_their_run(seed: int, dealt: list[int], dice: Any) -> None:  # noqa: ANN401
    whole = list(Suite(seed=seed, tests=8, runs=RUNS, plants=PLANTS).files())
    parts = [part for one in whole for part in shards(one, dealt)]
    dice.shuffle(parts)
    with tempfile.TemporaryDirectory() as folder:
        once = stored(whole, Path(folder, "whole"))
        assert once["broken"], "else nothing would be compared"
        assert stored(parts, Path(folder, "parts")) == once
