"""Whether the same bytes came before."""

from __future__ import annotations

from typing import NamedTuple

from testlytics_collector.store.pruned import Rows

# A question of its own: nearly all bytes are new, and this one costs a fifth of those below.
_ANY = """
select 1 from raw.uploads where digest = $1
union all
select 1 from raw.pruned where digest = $1
"""

_STORED = """
select r.run_id from raw.uploads u join raw.runs r using (run_key)
where u.digest = $1 and r.project = coalesce($2, r.project)
  and r.run_id = coalesce($3, r.run_id) and u.run_attempt = coalesce($4, u.run_attempt)
order by u.upload_key limit 1
"""

_PRUNED = """
select run_id from raw.pruned
where digest = $1 and project = coalesce($2, project)
  and run_id = coalesce($3, run_id) and run_attempt = coalesce($4, run_attempt)
limit 1
"""


class Known(NamedTuple):
    """The run that the same bytes were of.

    Attributes:
        run_id: The run.
        is_pruned: Whether it was removed since.
    """

    run_id: str
    is_pruned: bool


def known(
    rows: Rows, digest: str, *, project: str | None, run_id: str | None, run_attempt: int | None
) -> Known | None:
    """Return the run under which these bytes are stored, or were; None where they are new.

    Args:
        rows: Runs a statement.
        digest: BLAKE2b-256 of the decompressed bytes.
        project: What the caller states; None matches any.
        run_id: What the caller states; None matches any.
        run_attempt: What the caller states; None matches any.
    """
    if not rows(_ANY, [digest]):
        return None
    for sql, is_pruned in ((_STORED, False), (_PRUNED, True)):
        if found := rows(sql, [digest, project, run_id, run_attempt]):
            return Known(found[0][0], is_pruned)
    return None
