"""Where commits stand, said by those who have a working copy, to a store that has none.

The same order as `testlytics.commits` gives: the committer's date, moved up to a second after its
latest parent where a clock went wrong (git, Documentation/technical/commit-graph.adoc, "corrected
commit date").
"""

from __future__ import annotations

from typing import NamedTuple

from testlytics_collector.records import Upload
from testlytics_collector.store.derived import Rows

AHEAD_US = 86_400_000_000
"""A commit is not placed further in the future than this: it would stay the newest for ever."""

_SECOND_US = 1_000_000


class Place(NamedTuple):
    """Where an upload's commit stands, as its sender says.

    Attributes:
        order_us: The committer's date, or a later instant that git's history asks for;
            microseconds since the epoch.
        parents: Full ids of its parents; it stands after those that are known.
    """

    order_us: int
    parents: tuple[str, ...] = ()


def note(rows: Rows, upload: Upload, place: Place) -> None:
    """Keep where an upload's commit stands; of two places of one project the later is right.

    Commits are of all projects. What one project says of a commit that another has results of
    counts only as long as nobody said anything.

    Args:
        rows: Asks the store, open for writing.
        upload: Kept already.
        place: What its sender says.
    """
    if upload.commit is None:
        return
    order_us = place.order_us
    if place.parents:
        [(parent_us,)] = rows(
            "select max(order_us) from raw.commits "
            "where commit_id in (select unnest($1::varchar[])) and commit_id <> $2",
            [list(place.parents), upload.commit],
        )
        order_us = max(order_us, (parent_us or 0) + _SECOND_US)
    known = rows("select order_us from raw.commits where commit_id = $1", [upload.commit])
    if not known:
        rows("insert into raw.commits values ($1, $2)", [upload.commit, order_us])
    elif known[0][0] < order_us and not _is_shared(rows, upload):
        rows("update raw.commits set order_us = $2 where commit_id = $1", [upload.commit, order_us])


def _is_shared(rows: Rows, upload: Upload) -> bool:
    return bool(
        rows(
            "select 1 from raw.uploads u join raw.runs r using (run_key) "
            "where u.commit_id = $1 and r.project <> $2 limit 1",
            [upload.commit, upload.project],
        )
    )
