"""What `push` says of a file: what was stated, its name, and where its commit stands."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from pathlib import Path

import pytest

from testlytics.commits import parents_of
from testlytics.push.description import Describer, recorded_commit
from testlytics_collector.ingest import Stated
from tests.factories import attempt, end, header, lines

NOW = time.time()


def git(*arguments: str, date: int = 1_780_000_000) -> str:
    env = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env |= {"GIT_COMMITTER_DATE": f"{date} +0000", "GIT_CONFIG_GLOBAL": os.devnull}
    words = ["git", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | env)
    return done.stdout.strip()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three commits; the clock was wrong at the second, and far ahead at the third."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    git("init", "--quiet")
    found = []
    for date in (1_780_000_000, 1_770_000_000, int(NOW) + 900_000):
        git("commit", "--quiet", "--allow-empty", "-m", "parent of nothing", date=date)
        found.append(git("rev-parse", "HEAD"))
    return found


def run_file(path: Path, commit: object) -> str:
    data = lines(header(sources={"commit": commit}), attempt(), end(1))
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def test_what_is_stated_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stated = Stated("p", "r", 2, "s", "a" * 40, "main", "7", {"os": "linux", "py": "3.12"})
    assert Describer(NOW).query(stated, "/very/private/place/bazel/test_attempts/a.xml") == [
        *[("project", "p"), ("run_id", "r"), ("run_attempt", "2"), ("shard", "s")],
        *[("commit", "a" * 40), ("branch", "main"), ("pull_request", "7")],
        *[("variant", "os=linux"), ("variant", "py=3.12"), ("name", "bazel/test_attempts/a.xml")],
    ]
    for path in ("-", "a\nb.xml", "x" * 300):
        assert Describer(NOW).query(Stated(), path) == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_where_a_commit_stands_is_said_as_git_knows_it(
    made: list[str], tmp_path: Path, name: str
) -> None:
    first, second, third = made
    describer = Describer(NOW)
    told = describer.query(Stated(), run_file(tmp_path / name, first))
    assert told == [
        ("commit_time", "1780000000"),
        ("name", f"{tmp_path.parent.name}/{tmp_path.name}/{name}"),
    ]
    # A second after its parent: the clock was wrong.
    told = describer.query(Stated(commit=second), "report.xml")
    assert told[1:3] == [("commit_time", "1780000001"), ("parent", first)]
    # What is stated wins over what the file says.
    told = describer.query(Stated(commit=second), run_file(tmp_path / name, first))
    assert ("commit_time", "1780000001") in told
    # The service would refuse what lies far in the future.
    assert describer.query(Stated(commit=third), "report.xml")[1:] == [("name", "report.xml")]
    # Nobody here knows it.
    assert len(describer.query(Stated(commit="f" * 40), "-")) == 1


def test_parents_are_known_also_in_a_shallow_clone(made: list[str], tmp_path: Path) -> None:
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}/work", str(tmp_path / "shallow"))
    assert parents_of(made[2], tmp_path / "shallow") == (made[1],)
    assert parents_of(made[0]) == ()
    for unknown in (made[1][:39], "f" * 40, "--help" * 10, "HEAD"):
        assert parents_of(unknown) == ()


@pytest.mark.parametrize("commit", [None, 7, ["x"], {}])
def test_a_file_that_names_no_commit_has_none(tmp_path: Path, commit: object) -> None:
    assert recorded_commit(run_file(tmp_path / "a.jsonl", commit)) is None


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"<testsuite/>", b'{"sources": 1}\n', b'{"sources": []}\n', b"[1]\n"),
        *(
            b"\x1f\x8b",
            b"\x1f\x8bnonsense",
            gzip.compress(b"{}\n", mtime=0)[:-9],
            b'{"a":' * 200_000,
        ),
    ],
)
def test_a_file_that_is_none_costs_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert recorded_commit(str(tmp_path / "a")) is None
    assert recorded_commit(str(tmp_path / "none")) is None
