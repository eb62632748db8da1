"""Where commits stand in the history, asked of the git repository around us, if there is one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

DEPTH = 2_000
"""How many commits back an ancestor is looked for."""

_TIMEOUT_S = 5.0
_SECOND_US = 1_000_000
_HEX = frozenset("0123456789abcdef")


def commit_order(
    commits: Iterable[str], known: Mapping[str, int], folder: Path | None = None
) -> dict[str, int]:
    """Give each commit an instant that is later than those of all its ancestors.

    That is the committer's date, moved up to a second after its latest parent where a clock went
    wrong: git's "corrected commit date" (git, Documentation/technical/commit-graph.adoc).

    Args:
        commits: Full ids.
        known: Instants that were given before; they stay.
        folder: In the repository; the present one where None.

    Returns:
        Microseconds since the epoch, for the commits that the repository has; nothing where there
        is no repository, no git, or git does not answer in time.
    """
    asked = [one for one in commits if one not in known and len(one) >= 40 and set(one) <= _HEX]
    if not asked:
        return {}
    placed = dict(known)
    for commit, parents, date_us in reversed(_listed(asked, folder)):
        before = [placed[parent] + _SECOND_US for parent in parents if parent in placed]
        placed.setdefault(commit, max([date_us, *before]))
    return {one: placed[one] for one in asked if one in placed}


def branched_off(commit: str, base: str, folder: Path | None = None) -> int | None:
    """Say where the newest commit stands that a commit and a branch have in common.

    Args:
        commit: Full id.
        base: Name of the branch; `origin/` is tried first.
        folder: In the repository; the present one where None.

    Returns:
        An instant as `commit_order` gives; None where git does not know.
    """
    if len(commit) < 40 or not set(commit) <= _HEX or base.startswith("-"):
        return None
    for name in (f"refs/remotes/origin/{base}", f"refs/heads/{base}"):
        found = _git(["merge-base", "--end-of-options", commit, name], folder).strip()
        if found:
            return commit_order([found], {}, folder).get(found)
    return None


def parents_of(commit: str, folder: Path | None = None) -> tuple[str, ...]:
    """Return the parents that a commit names, also where a shallow clone has none of them.

    Args:
        commit: Full id.
        folder: In the repository; the present one where None.

    Returns:
        Full ids; nothing for a first commit, and where git does not know the commit.
    """
    if len(commit) < 40 or not set(commit) <= _HEX:
        return ()
    head = _git(["cat-file", "commit", commit], folder).partition("\n\n")[0]
    return tuple(line.split()[1] for line in head.splitlines() if line.startswith("parent "))


def _listed(commits: list[str], folder: Path | None) -> list[tuple[str, list[str], int]]:
    """List the commits and their ancestors, children before parents."""
    command = ["rev-list", "--ignore-missing", "--topo-order", "--parents", "--timestamp"]
    command += [f"--max-count={DEPTH + len(commits)}", "--stdin"]
    said = _git(command, folder, "\n".join(commits) + "\n")
    try:
        rows = [line.split() for line in said.splitlines()]
        return [(row[1], row[2:], int(row[0]) * _SECOND_US) for row in rows]
    except (ValueError, IndexError):
        return []


def _git(arguments: list[str], folder: Path | None, given: str = "") -> str:
    """Ask git; return what it says, nothing where it cannot."""
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; names are told apart from options
            ["git", *arguments],  # noqa: S607 - the user's git
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, **quiet},
            check=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout
