"""An archive on a branch of a git repository of its own history, pushed to by many at once.

A lost race costs nothing: the files are put on top of what the winner pushed, and pushed again.
Nothing of the repository one works in is touched; all happens in a temporary one.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from testlytics_collector.errors import ConfigError, Error
from testlytics_collector.store.archive import (
    MAX_FILE,
    SUFFIX,
    Fetched,
    too_large,
    unreadable,
    unwritable,
)

ATTEMPTS = 40
"""How often a push is tried. With four writers at once the unluckiest has needed fourteen."""

_TIMEOUT_S = 600
_LOST = (
    "[rejected]",
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
)
"""What git says of a push that came second; all else will not get better."""

_KEPT = r"^(http\..*|credential\..*|url\..*|core\.sshcommand)$"


class GitBranch:
    """An archive on a branch.

    Args:
        text: `git:BRANCH`, of the remote `origin` of the repository one works in, or
            `git:REMOTE#BRANCH` with a remote's name or an address.
    """

    def __init__(self, text: str) -> None:
        remote, _, branch = text.removeprefix("git:").rpartition("#")
        self._where = text
        self._remote = remote or "origin"
        self._ref = f"refs/heads/{branch}"
        if self._remote.startswith("-") or _git(["check-ref-format", self._ref]).returncode:
            raise ConfigError(
                f"{text!r} is not git:BRANCH or git:REMOTE#BRANCH.",
                slug="archive-place",
                hint="For example: git:testlytics",
            )

    def names(self) -> set[str]:
        """See `archive.Place`."""
        with self._repository(partly=True) as git:
            return {name for name, _, _ in git.listed()} if git.fetch() else set()

    def add(self, folder: Path, names: list[str], step: Callable[[], None]) -> None:
        """See `archive.Place`."""
        with self._repository(partly=True) as git:
            blobs = {name: git.blob(folder / name) for name in names}
            for attempt in range(ATTEMPTS):
                if attempt:
                    time.sleep(random.uniform(0.0, min(0.1 * 1.3**attempt, 5.0)))  # noqa: S311
                if git.push(blobs):
                    break
            else:
                raise unwritable(self._where, f"{ATTEMPTS} pushes were overtaken by others")
            for _ in names:
                step()

    def files(self) -> Iterator[Fetched]:
        """See `archive.Place`."""
        with self._repository(partly=False) as git:
            if not git.fetch():
                raise unreadable(self._where, "there is no such branch")
            yield from git.contents(sorted(git.listed()), self._where)

    @contextlib.contextmanager
    def _repository(self, *, partly: bool) -> Iterator[_Repository]:
        with tempfile.TemporaryDirectory(prefix="testlytics-git-") as made:
            yield _Repository(Path(made), self._where, self._remote, self._ref, partly=partly)


class _Repository:
    """A bare repository for one job, which knows one branch of one remote."""

    def __init__(self, path: Path, where: str, remote: str, ref: str, *, partly: bool) -> None:
        self._path = path
        self._where = where
        self._ref = ref
        self._partly = partly
        self._env = _environment() | {"GIT_DIR": str(path / "git")}
        found = _git(["remote", "get-url", "--", remote])
        self._url = found.stdout.decode().strip() if found.returncode == 0 else remote
        if found.returncode and "/" not in remote and ":" not in remote:
            raise ConfigError(
                f"{where!r}: there is no git repository with the remote {remote!r} here.",
                slug="archive-place",
                hint="Name it: git:ADDRESS#BRANCH",
            )
        # An address may be relative to the repository one works in; so may the temporary one not.
        if found.returncode == 0 and "://" not in self._url and Path(self._url).exists():
            self._url = str(Path(self._url).absolute())
        self._run("init", "--quiet", "--bare", str(path / "git"))

    def fetch(self) -> bool:
        """Get the branch as it is now; False where the remote has none."""
        found = self._run("ls-remote", "--exit-code", self._url, self._ref, fine=(0, 2))
        if found.returncode == 2:
            return False
        filters = ["--filter=blob:none"] if self._partly else []
        self._run("fetch", "--quiet", "--no-tags", "--depth=1", *filters, self._url, self._ref)
        return True

    def listed(self) -> list[tuple[str, str, str]]:
        """Return name, mode and blob of the archive's files in the branch that was fetched."""
        out = self._run("ls-tree", "-r", "-z", "--full-tree", "FETCH_HEAD").stdout
        found = []
        for line in out.decode("utf-8", "surrogateescape").split("\0"):
            about, _, name = line.partition("\t")
            if name.endswith(SUFFIX) and about.startswith("100"):
                mode, _, blob = about.split(" ")
                found.append((name, mode, blob))
        return found

    def blob(self, path: Path) -> str:
        """Put a file into the repository and return its name there."""
        return (
            self._run("hash-object", "-w", "--no-filters", "--", str(path)).stdout.decode().strip()
        )

    def push(self, blobs: dict[str, str]) -> bool:
        """Put files on top of the branch as it is now; False where another push came first."""
        parents = ["FETCH_HEAD"] if self.fetch() else []
        self._run("read-tree", *(parents or ["--empty"]))
        lines = "".join(f"100644 {blob}\t{name}\0" for name, blob in blobs.items())
        self._run("update-index", "-z", "--index-info", stdin=lines.encode())
        tree = self._run("write-tree", "--missing-ok").stdout.decode().strip()
        if parents and self._run("rev-parse", "FETCH_HEAD^{tree}").stdout.decode().strip() == tree:
            return True
        told = f"Add {len(blobs)} runs" if len(blobs) > 1 else "Add a run"
        over = [word for parent in parents for word in ("-p", parent)]
        commit = self._run("commit-tree", *over, "-m", told, tree).stdout.decode().strip()
        done = self._run("push", "--quiet", self._url, f"{commit}:{self._ref}", fine=None)
        said = done.stderr.decode(errors="replace")
        if done.returncode and not any(word in said for word in _LOST):
            raise unwritable(self._where, _last_line(said))
        return done.returncode == 0

    def contents(self, files: list[tuple[str, str, str]], where: str) -> Iterator[Fetched]:
        """Yield the files of the branch; one at a time lies on the disk."""
        path = self._path / f"one{SUFFIX}"
        with subprocess.Popen(
            ["git", "cat-file", "--batch"],  # noqa: S607
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as reader:
            assert reader.stdin is not None  # noqa: S101 - for the type checker
            assert reader.stdout is not None  # noqa: S101
            for name, _, blob in files:
                reader.stdin.write(f"{blob}\n".encode())
                reader.stdin.flush()
                size = int(reader.stdout.readline().split()[-1])
                with path.open("wb") as stream:
                    _copy(reader.stdout, stream if size <= MAX_FILE else None, size)
                reader.stdout.read(1)
                problem = too_large(size) if size > MAX_FILE else None
                yield Fetched(f"{where}/{name}", None if problem else path, problem)

    def _run(
        self, *arguments: str, stdin: bytes = b"", fine: tuple[int, ...] | None = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        done = _git(list(arguments), env=self._env, stdin=stdin)
        if fine is not None and done.returncode not in fine:
            raise unreadable(self._where, _last_line(done.stderr.decode(errors="replace")))
        return done


def _copy(source: IO[bytes], target: IO[bytes] | None, size: int) -> None:
    while size > 0 and (chunk := source.read(min(size, 1 << 20))):
        size -= len(chunk)
        if target is not None:
            target.write(chunk)


def _git(
    arguments: list[str], env: dict[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            env=env,
            input=stdin,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise Error(
            "git is not installed.", slug="archive-git", hint="Install it, or archive in a folder."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Error(
            f"git {arguments[0]} did not end in {_TIMEOUT_S} s.",
            slug="archive-git",
            hint="Nothing was lost; run the command again.",
        ) from error


def _environment() -> dict[str, str]:
    """Return an environment in which git asks nobody, and may do here what it may do outside.

    The credentials of a CI job stand in the configuration of the repository it works in.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
    }
    env |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "testlytics", f"GIT_{role}_EMAIL": "testlytics@localhost"}
    found = _git(["config", "--local", "--includes", "--null", "--get-regexp", _KEPT])
    pairs = [entry.partition("\n") for entry in found.stdout.decode().split("\0") if entry]
    count = int(env.get("GIT_CONFIG_COUNT") or 0)
    for number, (key, _, value) in enumerate(pairs, count):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env | {"GIT_CONFIG_COUNT": str(count + len(pairs))}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("hint:")]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", " ! "))]
    return (fatal or lines or ["git failed"])[-1].strip().rstrip(".")[:300]
