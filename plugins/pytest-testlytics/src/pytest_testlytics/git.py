"""What git knows about the checked-out sources.

Reads the files below `.git` where that is enough; runs the git program, bounded, where it is not.
Nothing here raises: what cannot be found out is None.
"""

from __future__ import annotations

import os
import re
import subprocess
import zlib
from typing import NamedTuple

TIMEOUT_S = 2.0
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


class Checkout(NamedTuple):
    """What is checked out.

    Attributes:
        commit: Full id of the commit, None where unknown.
        branch: Its branch, None where detached or unknown.
    """

    commit: str | None
    branch: str | None


class Repository:
    """The repository that a folder lies in, if any.

    Attributes:
        hangs: Whether git has taken too long; then it is not asked again.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._git_dir = _find_git_dir(folder)
        self.hangs = False

    def checkout(self) -> Checkout:
        """Find out what is checked out.

        Returns:
            Commit and branch; None for each that is unknown or does not exist (no repository, no
            commit yet, no git program for an unusual layout).
        """
        if self._git_dir is None:
            return Checkout(None, None)
        try:
            head = _read(self._git_dir, "HEAD")
            if _OBJECT_ID.match(head):
                return Checkout(head, None)
            ref = head[5:] if head.startswith("ref: refs/heads/") else ""
            commit = _resolve(self._git_dir, ref) if ref else None
            if commit is not None:
                return Checkout(commit, ref[len("refs/heads/") :])
        except (OSError, UnicodeDecodeError):
            pass
        commit = self._ask("rev-parse", "--verify", "--quiet", "HEAD")
        if commit is None or not _OBJECT_ID.match(commit):
            return Checkout(None, None)
        return Checkout(commit, self._ask("symbolic-ref", "--quiet", "--short", "HEAD"))

    def tree(self, commit: str) -> str | None:
        """Find the tree that a commit points to.

        Args:
            commit: Full id of the commit.

        Returns:
            The id of its root tree, or None where the commit is not in this repository.
        """
        if self._git_dir is None or not _OBJECT_ID.match(commit):
            return None
        tree = _loose_tree(_common_dir(self._git_dir), commit)
        if tree is None:
            tree = self._ask("rev-parse", "--verify", "--quiet", commit + "^{tree}")
        return tree if tree is not None and _OBJECT_ID.match(tree) else None

    def is_dirty(self) -> bool | None:
        """Tell whether the working tree differs from its commit, untracked files included.

        Returns:
            None where git is missing, fails, or takes longer than `TIMEOUT_S`.
        """
        if self._git_dir is None:
            return None
        answer = self._ask("-c", "core.fsmonitor=false", "status", "--porcelain")
        return None if answer is None else answer != ""

    @property
    def exists(self) -> bool:
        """Whether the folder lies in a repository."""
        return self._git_dir is not None

    def _ask(self, *arguments: str) -> str | None:
        answer = self.read(*arguments)
        return None if answer is None else answer.decode("utf-8", "replace").strip()

    def read(self, *arguments: str, timeout_s: float = TIMEOUT_S) -> bytes | None:
        """Run the git program.

        Args:
            arguments: Of git, without the program's name.
            timeout_s: How long it may take.

        Returns:
            Its standard output; None where git is missing or fails, or has ever taken too long.
        """
        if self.hangs:
            return None
        # A commit hook sets variables that point git at its own index and folder.
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
        }
        environment.update(GIT_TERMINAL_PROMPT="0", GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
        try:
            done = subprocess.run(  # noqa: S603
                ["git", "-C", self._folder, *arguments],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.hangs = True
            return None
        except (OSError, ValueError):
            return None
        return done.stdout if done.returncode == 0 else None


def _find_git_dir(folder: str) -> str | None:
    """Find the git folder, following the `gitdir:` files of worktrees and submodules."""
    here = os.path.abspath(folder)
    while True:
        candidate = os.path.join(here, ".git")
        if os.path.isdir(candidate):
            return candidate
        if os.path.isfile(candidate):
            return _follow(here, candidate)
        parent = os.path.dirname(here)
        if parent == here:
            return None
        here = parent


def _follow(here: str, pointer: str) -> str | None:
    try:
        with open(pointer, encoding="utf-8") as file:
            text = file.read(4_096).strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not text.startswith("gitdir: "):
        return None
    return os.path.normpath(os.path.join(here, text[len("gitdir: ") :]))


def _common_dir(git_dir: str) -> str:
    try:
        return os.path.normpath(os.path.join(git_dir, _read(git_dir, "commondir")))
    except OSError:
        return git_dir


def _resolve(git_dir: str, ref: str) -> str | None:
    common = _common_dir(git_dir)
    for base in (git_dir, common):
        try:
            text = _read(base, ref)
        except OSError:
            continue
        return text if _OBJECT_ID.match(text) else None
    with open(os.path.join(common, "packed-refs"), encoding="utf-8") as file:
        for line in file:
            commit, _, name = line.rstrip("\n").partition(" ")
            if name == ref and _OBJECT_ID.match(commit):
                return commit
    return None


def _loose_tree(common_dir: str, commit: str) -> str | None:
    """Read the tree from the commit's own file, None where it is packed."""
    try:
        with open(os.path.join(common_dir, "objects", commit[:2], commit[2:]), "rb") as file:
            start = zlib.decompressobj().decompress(file.read(), 200)
        kind, _, body = start.partition(b"\x00")
        if kind.startswith(b"commit ") and body.startswith(b"tree "):
            return body[5:].partition(b"\n")[0].decode("ascii")
    except (OSError, zlib.error, UnicodeDecodeError):
        pass
    return None


def _read(*parts: str) -> str:
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read(4_096).strip()
