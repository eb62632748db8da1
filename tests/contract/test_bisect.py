"""`testlytics explain --bisect`: the script finds the commit, with real git and real pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from math import comb, exp
from pathlib import Path
from random import Random
from statistics import median

import pytest

from testlytics.explain.bisect import Search, script, search
from testlytics_collector.errors import NotFoundError
from tests.command import command
from tests.factories import attempt, end, header, lines

AUTHOR = {
    "GIT_AUTHOR_NAME": "x",
    "GIT_AUTHOR_EMAIL": "x",
    "GIT_COMMITTER_NAME": "x",
    "GIT_COMMITTER_EMAIL": "x",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    # Tries begin sooner without the plugins of this environment.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHON": sys.executable,
}
HOSTILE = "test_it.py::test_it[$(touch pwned); ' \"`touch pwned`]"

# Fails in every third try, counted beside the repository: random as far as the search can see.
FLAKES = """\
import os, pathlib
counter = pathlib.Path(os.environ["COUNTER"])
tries = int(counter.read_text()) + 1
counter.write_text(str(tries))
assert tries % 3, "flaked"
"""


class Repository:
    """A repository with one test, a commit at a time."""

    def __init__(self, folder: Path, below: str = ".") -> None:
        self.folder = folder
        self.project = folder / below
        self.project.mkdir(parents=True, exist_ok=True)
        (self.project / "pyproject.toml").touch()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commits: list[str] = []

    def git(self, *arguments: str, **env: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **AUTHOR, **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self, body: str, name: str = "test_it") -> None:
        text = "".join(f"    {line}\n" for line in body.splitlines())
        source = f"import pytest\n@pytest.mark.parametrize('p', [{HOSTILE[20:-1]!r}, 'x'])\n"
        source += f"def {name}(p):\n{text}# {len(self.commits)}\n"
        (self.project / "test_it.py").write_text(source)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", "x")
        self.commits.append(self.git("rev-parse", "HEAD").strip())

    def bisect(self, start: Sequence[str], file: Path, **env: str) -> str:
        """Return the commit that git bisect finds."""
        self.git("bisect", "start", *start)
        told = self.git("bisect", "run", "sh", str(file), **env)
        assert not (self.project / "pwned").exists()
        return next(line.split()[0] for line in told.splitlines() if "first bad commit" in line)


def store(folder: Path, commits: Sequence[str], outcomes: Sequence[str], test_id: str) -> None:
    """Store a run of each commit; P passed, F failed, L failed and passed."""
    runs = folder / "runs"
    runs.mkdir()
    for number, (commit, letter) in enumerate(zip(commits, outcomes, strict=True)):
        rows = [attempt(test_id, "failed", failure={"message": "no"})] if letter in "FL" else []
        rows += [attempt(test_id, attempt=len(rows) + 1)] if letter in "PL" else []
        sources = {"commit": commit, "tree_sha": commit, "dirty": False, "branch": "main"}
        top = header(number, sources=sources)
        (runs / f"{number:03}.jsonl").write_bytes(lines(top, *rows, end(len(rows))))
    done = command("ingest", runs, "--store", folder / "h.duckdb", cwd=folder)
    assert done.code == 0, done.err


def written(repository: Repository, folder: Path, test_id: str) -> tuple[list[str], Path]:
    """Return what `git bisect start` takes, and the script."""
    file = folder / "bisect it.sh"
    options = ("--store", folder / "h.duckdb", "--bisect", "--output", file)
    done = command("explain", test_id, *options, cwd=repository.project)
    assert done.code == 0, done.err
    [start] = [line for line in done.err.splitlines() if line.startswith("git bisect start")]
    assert f"git bisect run sh '{file}'" in done.err
    return start.split()[3:], file


def test_commit_that_broke_a_test_is_found(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo", "a folder/$(x)")
    for number in range(9):
        repository.commit("assert p" if number < 5 else "assert not p")
    # Only every fourth commit ran.
    ran = [*[repository.commits[0]] * 20, *repository.commits[::4], *[repository.commits[8]] * 3]
    outcomes = "P" * 22 + "F" * 4
    store(tmp_path, ran, outcomes, HOSTILE)
    (bad, good), file = written(repository, tmp_path, HOSTILE)
    assert (good, bad) == (repository.commits[4], repository.commits[8])
    assert repository.bisect([bad, good], file) == repository.commits[5]


def test_commit_that_made_a_test_flaky_is_found(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    for number in range(8):
        repository.commit("assert p" if number < 6 else FLAKES)
    name = "test_it.py::test_it[x]"
    runs = [*[repository.commits[1]] * 30, *[repository.commits[7]] * 40]
    store(tmp_path, runs, "P" * 30 + "FFLFPFFLFF" * 4, name)
    (bad, good), file = written(repository, tmp_path, name)
    assert (good, bad) == (repository.commits[1], repository.commits[7])
    counter = tmp_path / "counter"
    counter.write_text("0")
    assert repository.bisect([bad, good], file, COUNTER=str(counter)) == repository.commits[6]


def test_commit_that_cannot_be_tested_is_skipped(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo")
    bodies = ["assert p", "assert p", "assert (", "import pytest; pytest.skip()", "assert not p"]
    found = Search("broken", "a" * 40, "b" * 40, 1, 0, None, 0.95, 2, "because")
    file = tmp_path / "b.sh"
    file.write_text(script(found, "test_it.py::test_it[x]"))
    codes = []
    for body in bodies:
        repository.commit(body)
        codes.append(ran(file, repository.folder).returncode)
    repository.commit("pass", name="test_other")
    codes.append(ran(file, repository.folder).returncode)
    assert codes == [0, 0, 125, 125, 1, 125]


def test_duration_decides_by_its_limit(tmp_path: Path) -> None:
    found = Search("slower", "a" * 40, "b" * 40, 3, 0, 1000.0, 0.95, 2, "because")
    repository = Repository(tmp_path / "repo")
    file = tmp_path / "s.sh"
    file.write_text(script(found, "test_it.py::test_it[x]"))
    repository.commit("assert p")
    good = ran(file, repository.folder)
    assert (good.returncode, good.stderr[:7]) == (0, "3 tries")
    # No duration is below 0, and each is below 1,000 s.
    assert ran(file, repository.folder, LIMIT_S="-1").returncode == 1
    measured = ran(file, repository.folder, "measure", LIMIT_S="-1")
    assert measured.returncode == 0
    assert float(measured.stdout) >= 0
    repository.commit("assert not p")
    assert ran(file, repository.folder).returncode == 125


def test_slowdown_is_searched_between_its_commits_with_a_limit_between_its_levels() -> None:
    level = {"matters": True, "ratio": 1.44, "median_s": 0.72, "after_commit": "a" * 40}
    base = {"runs": 20, "median_s": 0.72, "low_s": 0.65, "high_s": 0.79}
    row = {**seen(""), "status": "stable", "baseline": base}
    found = search({**row, "levels": [{**level, "until_commit": "b" * 40}]})
    assert (found.what, found.good, found.bad) == ("slower", "a" * 40, "b" * 40)
    # Between 0.5 s and 0.72 s in the middle, as factors go.
    assert found.limit_s == pytest.approx(0.6)
    assert found.repeats % 2 == 1
    with pytest.raises(NotFoundError, match="did not get slower"):
        search({**row, "levels": [{**level, "ratio": 0.7}]})


def ran(file: Path, folder: Path, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", file, *more],
        cwd=folder,
        env={**os.environ, **AUTHOR, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def seen(
    outcomes: str, commits: Callable[[int], str | None] = "{:040x}".format
) -> dict[str, object]:
    attempts = {"P": ["passed"], "F": ["failed"], "L": ["failed", "passed"]}
    verdicts = {"P": "passed", "F": "failed", "L": "flaky"}
    rows = [
        {
            "counts": True,
            "verdict": verdicts[letter],
            "attempts": attempts[letter],
            "commit": commits(number),
        }
        for number, letter in enumerate(outcomes)
    ]
    return {"status": "flaky", "runs_seen": rows, "levels": [], "baseline": None}


def test_passes_before_the_first_failure_bound_the_interval() -> None:
    found = search(seen("P" * 60 + "FPLPFPPFPF" * 2))
    assert int(found.bad, 16) == 60
    # Independent: 10 of 22 attempts failed, 9 of 21 without the first; by hand Wilson's lower
    # bound is 0.2447, log(0.05) / log(1 - 0.2447) = 10.7 and log(0.05 / 6) / ... = 17.1.
    assert 60 - int(found.good, 16) == 11
    assert found.steps == 6  # 11 runs, up to 44 commits
    assert found.repeats == 18


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.7])
def test_commits_hold_the_onset_of_flaking_as_often_as_said(rate: float) -> None:
    held = 0
    for seed in range(200):
        draw = Random(seed)
        onset = 100 + seed % 50
        letters = "".join("PF"[n >= onset and draw.random() < rate] for n in range(200))
        found = search(seen(letters))
        held += int(found.good, 16) < onset <= int(found.bad, 16)
    assert held >= 200 * 0.95


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.2])
def test_median_of_the_tries_is_on_its_side_of_the_limit(noise: float) -> None:
    half = exp(1.96 * noise)
    base = {"runs": 20, "median_s": 0.6, "low_s": 0.6 / half, "high_s": 0.6 * half}
    level = {"matters": True, "ratio": 1.2, "median_s": 0.6}
    commits = {"after_commit": "a" * 40, "until_commit": "b" * 40}
    row = {**seen(""), "status": "stable", "baseline": base, "levels": [{**level, **commits}]}
    found = search(row)
    assert found.limit_s is not None
    draw = Random(1)
    wrong = 0
    for number in range(2_000):
        usual_s = 0.6 if number % 2 else 0.5
        tries = [usual_s * exp(draw.gauss(0, noise)) for _ in range(found.repeats)]
        wrong += (median(tries) > found.limit_s) != (usual_s == 0.6)
    assert wrong / 2_000 <= 0.05 / found.steps


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3, 0.6])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_search_for_a_breakage_is_as_sure_as_it_says(rate: float, level: float) -> None:
    row = {**seen("P" * 64), "status": "broken", "flake_rate": rate}
    commits = {"last_good_commit": f"{3:040x}", "broken_last_commit": f"{60:040x}"}
    found = search({**row, **commits}, level=level)
    n = found.repeats

    def at_most(passes: int, chance: float) -> float:
        terms = (comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(passes + 1))
        return sum(terms)

    # Independent: each of the steps may err in either way; 57 runs, up to 228 commits.
    assert found.steps == 8
    assert found.steps * at_most(found.passes, 1 - rate) <= 1 - level + 1e-9
    assert found.steps * (1 - at_most(found.passes, 0.005)) <= 1 - level + 1e-9


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (seen("FPPFPPPPFPPP"), "too few passes"),
        (seen("P" * 60 + "FPLPFPPFPF", lambda _: None), "is not known"),
        (seen("P" * 60 + "FPLPFPPFPF", lambda _: "--upload-pack=x"), "is not known"),
        (seen("P" * 60 + "FPLPFPPFPF", lambda _: "a" * 40), "one commit"),
        ({**seen("P" * 60), "status": "stable"}, "is stable"),
    ],
)
def test_nothing_to_bisect_is_said(row: dict[str, object], why: str) -> None:
    with pytest.raises(NotFoundError, match=why):
        search(row)


@pytest.mark.parametrize("folder", [".", "'; touch pwned; '", "$(touch pwned)"])
def test_name_cannot_leave_its_comment_or_its_quotes(tmp_path: Path, folder: str) -> None:
    found = Search("flaky", "a" * 40, "b" * 40, 1, 0, None, 0.95, 1, "x\ntouch pwned")
    name = "t'\ntouch pwned\n\x1b[2J$(touch pwned)\"`touch pwned`"
    text = script(found, name, folder=folder, file="x\ntouch pwned")
    file = tmp_path / "x.sh"
    file.write_text(text)
    assert ran(file, tmp_path).returncode == 125
    assert not (tmp_path / "pwned").exists()
    assert subprocess.run(["sh", "-n", file], check=False).returncode == 0
