"""Which files were renamed, asked of the git repository around us, if there is one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

COMMITS = 500
"""How many commits back a rename is looked for."""

_TIMEOUT_S = 10.0
_RENAMES = ("diff-tree", "--stdin", "-r", "-M", "--diff-filter=R", "--name-status")
_QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}


def moved_files(folder: Path) -> dict[str, str]:
    """Return what files below a folder were called, and what they are called now.

    Args:
        folder: In the repository; paths are told from here.

    Returns:
        New path by old path, with `/`; a file that was renamed again has its latest name. Empty
        where there is no repository, no git, or git does not answer in time.
    """
    try:
        commits = _git(["rev-list", f"--max-count={COMMITS}", "HEAD"], folder, "")
        told = _git(
            [*_RENAMES, "--no-commit-id", "--relative", "-z"],
            folder,
            commits,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    names: dict[str, str] = {}
    for old, new in _renames(told):  # the newest first
        names.setdefault(old, names.get(new, new))
    return {old: new for old, new in names.items() if old != new}


def _git(words: list[str], folder: Path, stdin: str) -> str:
    # A file name need not be UTF-8.
    done = subprocess.run(  # noqa: S603 - fixed words
        ["git", "-c", "diff.renameLimit=1000", *words],  # noqa: S607
        cwd=folder,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_TIMEOUT_S,
        env={**os.environ, **_QUIET},
        check=True,
    )
    return done.stdout


def _renames(told: str) -> Iterator[tuple[str, str]]:
    fields = iter(told.split("\0"))
    for field in fields:
        status = field.strip()
        if status[:1] == "R" and status[1:].isdigit():
            yield next(fields, ""), next(fields, "")
