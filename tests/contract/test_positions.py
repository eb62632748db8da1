"""The order of runs: by the history of commits, whatever the clocks say and whenever they come."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import duckdb
import pytest

from testlytics import api
from testlytics.commits import commit_order
from tests.factories import START_US, attempt, end, header, lines

DATES = (
    1_780_000_000,
    1_780_000_600,
    1_700_000_000,
    1_780_000_300,
    1_780_001_000,
)
"""Committer dates, first to last; the clock was wrong twice."""


def git(folder: Path, *arguments: str, date: int = 0) -> str:
    names = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    dates = {"GIT_AUTHOR_DATE": f"{date} +0000", "GIT_COMMITTER_DATE": f"{date} +0000"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **names, **dates, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    made = []
    for date in DATES:
        git(folder, "commit", "--quiet", "--allow-empty", "-m", "c", date=date)
        made.append(git(folder, "rev-parse", "HEAD"))
    monkeypatch.chdir(folder)
    return made


def run_of(folder: Path, number: int, commit: str, started_us: int) -> Path:
    path = folder / f"run-{number}.jsonl"
    sources = {"commit": commit, "tree_sha": commit[::-1], "dirty": False, "branch": "main"}
    first = header(number, sources=sources, started_us=started_us)
    path.write_bytes(lines(first, attempt(), end(1)))
    return path


def order(store: Path) -> list[tuple[str, int]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return connection.execute("select commit, position from runs order by position").fetchall()


@pytest.mark.parametrize("seed", range(3))
def test_runs_stand_in_the_order_of_their_commits(
    tmp_path: Path, commits: list[str], seed: int
) -> None:
    dice = random.Random(seed)
    files = [
        run_of(tmp_path, n, commit, START_US + dice.randrange(10**12))
        for n, commit in enumerate(commits)
    ]
    dice.shuffle(files)
    store = tmp_path / "h.duckdb"
    for path in files:
        api.ingest([str(path)], store)
    assert order(store) == [(commit, n) for n, commit in enumerate(commits, 1)]


def test_commits_that_git_does_not_know_stand_where_they_began(
    tmp_path: Path, commits: list[str]
) -> None:
    store = tmp_path / "h.duckdb"
    unknown = "f" * 40
    files = [
        run_of(tmp_path, 1, commits[4], START_US),
        run_of(tmp_path, 2, unknown, (DATES[4] - 1) * 10**6),
        run_of(tmp_path, 3, commits[1], START_US),
    ]
    api.ingest([str(path) for path in files], store)
    assert [commit for commit, _ in order(store)] == [commits[1], unknown, commits[4]]


def test_what_was_placed_stays(commits: list[str]) -> None:
    known = {commits[3]: 1_790_000_000_000_000}
    placed = commit_order(commits, known)
    assert set(placed) == set(commits) - set(known)
    assert placed[commits[4]] == known[commits[3]] + 10**6
    assert placed[commits[0]] == DATES[0] * 10**6


@pytest.mark.parametrize("commit", ["--all", "HEAD", "abc", "g" * 40])
def test_only_full_ids_go_to_git(commits: list[str], commit: str) -> None:
    assert commit_order([commit], {}) == {}


def test_no_repository_and_no_git_place_nothing(
    tmp_path: Path, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commit_order(commits, {}, tmp_path) == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_order(commits, {}) == {}
