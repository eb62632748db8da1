"""What the service is told of a file beside its bytes, in the query of the request."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import PurePath

from testlytics.commits import commit_order, parents_of
from testlytics_collector.ingest import STDIN, Stated

_NAMES = ("project", "run_id", "run_attempt", "shard", "commit", "branch", "pull_request")
_LONGEST_NAME = 200
_MOST_PARENTS = 16
_HEAD = 1 << 20

Pairs = list[tuple[str, str]]


class Describer:
    """Describes the files of one call; each commit is asked of git once.

    Args:
        now: Seconds since the epoch.
    """

    def __init__(self, now: float) -> None:
        self._now, self._places = now, dict[str, Pairs]()

    def query(self, stated: Stated, path: str) -> Pairs:
        """Return what the service is told of a file: names and values, as in http.md."""
        pairs = [(name, str(one)) for name in _NAMES if (one := getattr(stated, name)) is not None]
        pairs += [("variant", f"{key}={value}") for key, value in sorted(stated.variant.items())]
        pairs += self._place(stated.commit or recorded_commit(path))
        # Dialects speak through the last folders; the others are this machine's own business.
        name = "/".join(PurePath(path).parts[-3:]).lstrip("/")
        if path != STDIN and name.isprintable() and len(name) <= _LONGEST_NAME:
            pairs.append(("name", name))
        return pairs

    def _place(self, commit: str | None) -> Pairs:
        """Say where a commit stands in the history, which the service cannot see; [] if unknown."""
        if commit is None:
            return []
        if commit not in self._places:
            order_us = commit_order([commit], {}).get(commit, 0)
            found: Pairs = []
            # A clock that was ahead when it was made is no reason for the service to refuse it.
            if 0 < order_us <= self._now * 1e6:
                found = [("commit_time", str(order_us // 1_000_000))]
                found += [("parent", one) for one in parents_of(commit)[:_MOST_PARENTS]]
            self._places[commit] = found
        return self._places[commit]


def recorded_commit(path: str) -> str | None:
    """Return the commit that a run file says it tested; None for every other file."""
    if path == STDIN:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the name as it was given, whatever it holds
            head = file.read(_HEAD)
        if head[:2] == b"\x1f\x8b":
            head = gzip.GzipFile(fileobj=io.BytesIO(head)).readline(_HEAD)
        if head[:1] != b"{":
            return None
        commit = json.loads(head.partition(b"\n")[0])["sources"]["commit"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return commit if isinstance(commit, str) else None
