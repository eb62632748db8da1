"""The public functions that take things out of a store: prune, purge, compact."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testlytics_collector.store.retention import Policy


def prune(
    store: Path,
    policy: Policy,
    *,
    dry_run: bool = False,
    compact: bool = False,
    wait_s: float = 10.0,
) -> dict[str, Any]:
    """Remove the rows of old runs; what they count for stays.

    Args:
        store: The store's file.
        policy: Which runs.
        dry_run: Only tell.
        compact: Write the file anew afterwards, so that it becomes smaller.
        wait_s: How long to wait for others who use the store, in seconds.

    Returns:
        `store` (path), `runs`, `uploads`, `attempts`, `messages` (removed, or to be removed),
        `bytes_before`, `bytes_after` (of the file).

    Raises:
        NotFoundError: There is no store.
        StoreError: It cannot be opened or written.
    """
    from testlytics_collector.store.store import open_store

    before = store.stat().st_size if store.is_file() else 0
    with open_store(store, write=True, create=False, wait_s=wait_s) as opened:
        removed = opened.prune(policy, now_us=time.time_ns() // 1000, dry_run=dry_run)
    if compact and not dry_run:
        _compact(store, wait_s)
    sizes = {"bytes_before": before, "bytes_after": store.stat().st_size}
    return {"store": str(store), **asdict(removed), **sizes}


def purge(
    store: Path,
    *,
    test_id: str | None = None,
    text: str | None = None,
    wait_s: float = 10.0,
) -> dict[str, Any]:
    """Remove one test, or what holds a text, or else all failure messages, for good.

    The file is written anew: a database keeps removed rows in it until it needs their room.

    Args:
        store: The store's file.
        test_id: The whole id of the test to remove.
        text: What to remove wherever it stands; see `store.purge.purge_text`.
        wait_s: How long to wait for others who use the store, in seconds.

    Returns:
        `store` (path), `removed` (rows by table), `remaining` (rows by column in which the id or
        the text still stands) and `copies` (files beside the store that may hold it as well).

    Raises:
        NotFoundError: There is no store.
        StoreError: It cannot be opened or written.
    """
    from testlytics_collector.store.store import open_store

    with open_store(store, write=True, create=False, wait_s=wait_s) as opened:
        done = opened.purge(test_id=test_id, text=text)
    _compact(store, wait_s)
    others = sorted(
        path
        for path in store.absolute().parent.iterdir()
        if path.name.startswith(f"{store.name}.schema") or path.suffix == ".jsonl"
    )
    return {"store": str(store), **asdict(done), "copies": [str(path) for path in others]}


def _compact(store: Path, wait_s: float) -> None:
    from testlytics_collector.store.compaction import compact

    compact(store, wait_s=wait_s)
