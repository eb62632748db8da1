"""What stays of runs that were pruned: their counts, and who they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testlytics_collector.records import Upload

Rows = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement with its parameters and returns all rows."""

TABLES = """
-- What derived.totals said of runs that were pruned: a fact, for theirs are gone.
create table raw.rollups (
    test_key integer not null,
    variant_key integer not null,
    month integer not null,
    seen integer not null,
    passed integer not null,
    failed integer not null,
    flaky integer not null,
    skipped integer not null,
    timed integer not null,
    total_us bigint not null,
    first_us bigint not null,
    last_us bigint not null
);

-- Uploads that were pruned: they are known when they come again, and not counted twice.
create table raw.pruned (
    project varchar not null,
    run_id varchar not null,
    upload_id varchar not null,
    run_attempt integer not null,
    digest varchar not null,
    pruned_us bigint not null
);
"""


def is_pruned(rows: Rows, upload: Upload) -> bool:
    """Tell whether an upload, or a shorter copy of it, was pruned."""
    return bool(
        rows(
            """select 1 from raw.pruned
               where project = $1 and run_id = $2 and upload_id = $3 and run_attempt = $4
               limit 1""",
            [upload.project, upload.run_id, upload.upload_id, upload.run_attempt],
        )
    )
