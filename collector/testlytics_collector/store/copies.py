"""Which of two copies of one upload is kept: the same one, in whichever order they come.

Copies agree in project, run, upload id and run attempt. They are in a total order: the finished
one is above the unfinished, then the one with more attempts, and from there on by what they say,
so that stores which have seen the same copies hold the same one.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from testlytics_collector.records import Problem, Upload, variant_text
from testlytics_collector.store import facts, measured
from testlytics_collector.store.derived import Rows, Suite

Rank = tuple[int, int, str, str]
"""Place of a copy in the order, without its attempts: they are compared only where all this is
equal."""

_FINISHED = {False: 0, None: 1, True: 2}

_STORED = """
select u.run_key, u.variant_key, u.upload_key, u.ingested_us, u.attempts, u.complete, u.digest,
       u.format, v.variant, u.producer, u.shard, u.started_us, u.ended_us, u.exit_status,
       u.commit_id, u.tree_sha, u.dirty, u.branch, u.pull_request, u.ci, u.ci_url
from raw.uploads u
join raw.runs r using (run_key)
join raw.variants v using (variant_key)
where u.upload_id = $1 and u.run_attempt = $2 and r.project = $3 and r.run_id = $4
"""


class Copy(NamedTuple):
    """A copy that is stored.

    Attributes:
        suite: Its run and variant.
        upload_key: Its key.
        ingested_us: When the first copy came, microseconds since the epoch.
        attempts: How many it has.
        complete: See `records.Upload`.
        rank: Its place in the order.
    """

    suite: Suite
    upload_key: int
    ingested_us: int
    attempts: int
    complete: bool | None
    rank: Rank


def stored(rows: Rows, upload: Upload) -> Copy | None:
    """Return the stored copy of an upload, or None."""
    found = rows(_STORED, [upload.upload_id, upload.run_attempt, upload.project, upload.run_id])
    if not found:
        return None
    run_key, variant_key, upload_key, ingested_us, attempts, complete, digest, *said = found[0]
    return Copy(
        Suite(run_key, variant_key),
        upload_key,
        ingested_us,
        attempts,
        complete,
        (_FINISHED[complete], attempts, digest, json.dumps(said)),
    )


def rank(upload: Upload, *, digest: str, form: str, attempts: int) -> Rank:
    """Return the place of a copy that is not stored."""
    said: list[Any] = [
        form,
        variant_text(upload.variant),
        upload.producer,
        upload.shard,
        upload.started_us,
        upload.ended_us,
        upload.exit_status,
        upload.commit,
        upload.tree_sha,
        upload.dirty,
        upload.branch,
        upload.pull_request,
        upload.ci,
        upload.ci_url,
    ]
    return _FINISHED[upload.complete], attempts, digest, json.dumps(said)


def is_above(rows: Rows, upload: Upload, this: Rank, content: str | None, copy: Copy) -> bool:
    """Tell whether a copy takes the place of the stored one.

    Args:
        rows: Asks the store.
        upload: What has come.
        this: Its place.
        content: Digest of its attempts, see `facts.content`; None takes equal ranks for equal
            copies.
        copy: The stored one.
    """
    if this != copy.rank:
        return this > copy.rank
    if content is None:
        return False
    facts.gather(rows, [copy.upload_key])
    return content > facts.content(rows, upload)


def remove(rows: Rows, copy: Copy) -> list[Problem]:
    """Take a copy out of the facts; call `forget_tests` when the new one is in."""
    rows(
        """create or replace temp table replaced as
           select distinct test_key from raw.attempts where upload_key = $1""",
        [copy.upload_key],
    )
    for table in ("attempts", "notes", "measurements", "uploads"):
        rows(f"delete from raw.{table} where upload_key = $1", [copy.upload_key])  # noqa: S608
    which = "an unfinished" if copy.complete is False else "another"
    return [Problem(f"Replaces {which} copy with {copy.attempts} attempts.")]


def forget_tests(rows: Rows) -> None:
    """Take tests out that only the removed copy had: in another order they never came in.

    What only it measured goes as well.
    """
    measured.forget_unused(rows)
    rows(
        """delete from raw.tests
           where test_key in (select test_key from replaced)
             and test_key not in (select test_key from raw.attempts)"""
    )
