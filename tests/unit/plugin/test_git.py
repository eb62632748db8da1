from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_testlytics import git
from pytest_testlytics.git import Checkout, Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def run_git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env={**environment, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "file").write_text("1\n", encoding="ascii")
    run_git(tmp_path, "add", "file")
    run_git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


@pytest.fixture
def no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("no_program")
def test_plain_checkout_needs_no_git_program(folder: Path) -> None:
    inside = folder / "a" / "b"
    inside.mkdir(parents=True)
    repository = Repository(str(inside))
    commit = (folder / ".git" / "refs" / "heads" / "main").read_text("ascii").strip()
    assert repository.checkout() == Checkout(commit, "main")
    tree = repository.tree(commit)
    assert tree is not None
    assert len(tree) == 40
    assert repository.is_dirty() is None


def test_tree_is_that_of_git(folder: Path) -> None:
    commit, tree = run_git(folder, "rev-parse", "HEAD", "HEAD^{tree}").split()
    assert Repository(str(folder)).tree(commit) == tree


def test_packed_repository(folder: Path) -> None:
    commit, tree = run_git(folder, "rev-parse", "HEAD", "HEAD^{tree}").split()
    run_git(folder, "gc", "-q", "--prune=now")
    assert not (folder / ".git" / "refs" / "heads" / "main").exists()
    repository = Repository(str(folder))
    assert repository.checkout() == Checkout(commit, "main")
    assert repository.tree(commit) == tree


def test_detached_head_has_no_branch(folder: Path) -> None:
    run_git(folder, "checkout", "-q", "--detach")
    commit = run_git(folder, "rev-parse", "HEAD")
    assert Repository(str(folder)).checkout() == Checkout(commit, None)


def test_worktree(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("trees") / "other"
    run_git(folder, "worktree", "add", "-q", "-b", "topic/x", str(other))
    commit, tree = run_git(folder, "rev-parse", "HEAD", "HEAD^{tree}").split()
    repository = Repository(str(other))
    assert repository.checkout() == Checkout(commit, "topic/x")
    assert repository.tree(commit) == tree


def test_dirt_is_seen_untracked_files_too(folder: Path) -> None:
    repository = Repository(str(folder))
    assert repository.is_dirty() is False
    (folder / "new").touch()
    assert repository.is_dirty() is True
    (folder / "new").unlink()
    (folder / "file").write_text("2\n", encoding="ascii")
    assert repository.is_dirty() is True


def test_variables_of_a_commit_hook_do_not_mislead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert Repository(str(folder)).is_dirty() is False


def test_no_repository_and_no_commit_are_unknown(tmp_path: Path) -> None:
    outside = Repository("/")
    assert outside.checkout() == Checkout(None, None)
    assert (outside.tree("a" * 40), outside.is_dirty()) == (None, None)
    run_git(tmp_path, "init", "-q")
    assert Repository(str(tmp_path)).checkout() == Checkout(None, None)


@pytest.mark.usefixtures("no_program")
@pytest.mark.parametrize(
    "head", [b"", b"ref: refs/heads/main", b"ref: refs/heads/.invalid", b"\xff\xfe", b"a" * 39]
)
def test_odd_heads_are_unknown(folder: Path, head: bytes) -> None:
    (folder / "inner" / ".git").mkdir(parents=True)
    (folder / "inner" / ".git" / "HEAD").write_bytes(head)
    assert Repository(str(folder / "inner")).checkout() == Checkout(None, None)


def test_broken_pointer_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".git").write_bytes(b"gitdir: \xff")
    assert Repository(str(tmp_path)).checkout() == Checkout(None, None)


def test_commit_that_is_not_here_has_no_tree(folder: Path) -> None:
    repository = Repository(str(folder))
    assert repository.tree("b" * 40) is None
    assert repository.tree("HEAD") is None
    loose = folder / ".git" / "objects" / "bb"
    loose.mkdir()
    (loose / ("b" * 38)).write_bytes(b"not zlib")
    assert repository.tree("b" * 40) is None


def test_program_that_hangs_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hang(command: list[str], **_: object) -> None:
        asked.append(command)
        raise subprocess.TimeoutExpired(command, git.TIMEOUT_S)

    monkeypatch.setattr("pytest_testlytics.git.subprocess.run", hang)
    (tmp_path / ".git").mkdir()
    repository = Repository(str(tmp_path))
    assert repository.checkout() == Checkout(None, None)
    assert repository.is_dirty() is None
    assert len(asked) == 1
