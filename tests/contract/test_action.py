"""The GitHub Action, run as the runner does, against a cache, a remote and an API of our own."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

import testlytics
from tests import forked
from tests.command import command
from tests.composite import Cache, Ran, Runner, load
from tests.factories import attempt, end, header, lines
from tests.gating import History, passing
from tests.github_api import REPOSITORY, TOKEN, Answer, FakeGitHub, fake_github

ROOT = Path(__file__).parents[2]
ACTION = load(ROOT / "action.yml")
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
TESTS = [f"t.t::test_{number}" for number in range(20)]
HOSTILE = "::error::gone </details> ` @people \u202e | #1\n::error::x"
# The digests are those that git gives of the names.
BASE_KEY = "testlytics-1-p-4f6c4ee9-base-main-88d050b1-"
NOTHING: Mapping[str, Any] = {}


class Repository:
    """A repository with the action in it: its checkout, its cache, its comments."""

    def __init__(self, folder: Path, api: FakeGitHub) -> None:
        self.temp, self.work = folder / "temp", folder / "work"
        self.cache = Cache(folder / "cache")
        self.api = api
        for made in (self.work, folder / "cache"):
            made.mkdir()
        self._run_number = 100

    def results(self, failing: Mapping[str, str] = NOTHING) -> None:
        """Write JUnit XML in which all tests pass but these."""
        cases = "".join(
            f'<testcase classname="t.t" name="test_{n}" time="0.1">'
            + (f"<failure message={quoteattr(failing[name])}/>" if name in failing else "")
            + "</testcase>"
            for n, name in enumerate(TESTS)
        )
        text = f'<testsuite name="s">{cases}</testsuite>'
        (self.work / "results.xml").write_text(text, encoding="utf-8")

    def has_history(self, runs: int = 8) -> None:
        """Put runs of main into the cache, under the name that the action gives it."""
        path = self.work.parent / "made.duckdb"
        with History(path) as history:
            for _ in range(runs):
                history.run(passing(*TESTS))
        store = str(self.temp / "testlytics-data" / "history.duckdb")
        self.cache.entries.append(("refs/heads/main", f"{BASE_KEY}99-1", path, store))

    def push(self, ref: str = "refs/heads/main", **inputs: str) -> Ran:
        return self.job(inputs, {"event_name": "push", "ref": ref})

    def pull(self, head_ref: str = "topic", number: int = 7, **inputs: str) -> Ran:
        event = {"pull_request": {"number": number, "head": {"sha": "b" * 40}}}
        self.api.heads[number] = "b" * 40
        github = {"event_name": "pull_request", "ref": f"refs/pull/{number}/merge"}
        return self.job(inputs, {**github, "base_ref": "main", "head_ref": head_ref}, event)

    def job(
        self,
        inputs: Mapping[str, str],
        github: Mapping[str, str],
        event: Mapping[str, object] = NOTHING,
    ) -> Ran:
        subprocess.run(["rm", "-rf", self.temp], check=True)
        _install(self.temp / "testlytics" / "bin")
        self._run_number += 1
        runner = Runner(ROOT, self.temp, self.work, self.cache, self.api.environment)
        given = {name.replace("_", "-"): text for name, text in inputs.items()}
        known = {
            "run_id": str(self._run_number),
            "run_attempt": "1",
            "base_ref": "",
            "token": TOKEN,
        }
        return runner.run(
            {"results": "results.xml", "project": "p", **given},
            {
                **known,
                "head_ref": "",
                **github,
                "event": {"repository": {"default_branch": "main"}, **event},
            },
        )

    @property
    def answer(self) -> dict[str, Any]:
        path = self.temp / "testlytics-data" / "gate.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @property
    def saved(self) -> list[str]:
        """What was saved, `base` or `change`, in order."""
        return [one[1].split("-")[4] for one in self.cache.entries]


def _install(folder: Path) -> None:
    """Put there what the install step would have: it leaves alone what is there already."""
    folder.mkdir(parents=True)
    for name, words in (("testlytics", forked.program()), ("python", [sys.executable])):
        script = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o755)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with fake_github() as api:
        made = Repository(tmp_path, api)
        made.results()
        yield made


def test_the_first_run_is_not_judged_and_is_kept(repository: Repository) -> None:
    ran = repository.push()
    assert (ran.failed, ran.outputs["verdict"], ran.outputs["regressions"]) == (
        False, "not judged", "0"
    ), ran.log  # fmt: skip
    assert [one[1] for one in repository.cache.entries] == [f"{BASE_KEY}101-1"]
    assert "Not judged" in ran.summary
    badge = json.loads(Path(ran.outputs["badge"]).read_text(encoding="utf-8"))
    assert badge["message"] == "not judged"
    assert repository.api.calls == []


def test_a_pull_request_that_breaks_a_test_is_red_and_told_once(repository: Repository) -> None:
    repository.has_history()
    repository.results({TESTS[3]: HOSTILE})
    ran = repository.pull()
    assert (ran.outputs["verdict"], ran.outputs["regressions"]) == ("blocked", "1"), ran.log
    assert (ran.failed, ran.codes["Pass or fail"]) == (True, 1)
    commands = [line for line in ran.log.splitlines() if line.startswith("::error")]
    assert len(commands) == 1
    assert "new failure" in commands[0]
    assert "Blocked" in ran.summary
    assert repository.saved == ["base", "change"]
    [comment] = repository.api.comments
    assert comment["body"].startswith("<!-- testlytics:p -->\n## ❌")
    assert not set(comment["body"]) & set("`@\u202e")

    again = repository.pull()
    assert repository.answer["baseline"]["change_runs"] == 1
    assert again.outputs["verdict"] == "blocked"
    repository.results()
    mended = repository.pull()
    assert (mended.failed, mended.outputs["verdict"]) == (False, "passed"), mended.log
    assert repository.answer["baseline"]["change_runs"] == 2
    [comment] = repository.api.comments
    assert "Passed" in comment["body"]


def test_without_the_right_to_comment_only_the_gate_decides(repository: Repository) -> None:
    repository.has_history()
    for code in (403, 404):
        repository.api.answers = [Answer(code)]
        ran = repository.pull()
        assert (ran.failed, ran.outputs["verdict"]) == (False, "passed"), ran.log
        assert "::warning title=testlytics::No comment: GitHub answered" in ran.log
        assert TOKEN not in ran.log + ran.summary
    ran = repository.pull(github_token="", comment="always")
    assert (ran.failed, repository.api.writes) == (False, [])
    assert "::warning title=testlytics::No comment was written." in ran.log


def test_a_fork_that_calls_its_branch_main_is_not_the_base(repository: Repository) -> None:
    repository.has_history()
    repository.results({TESTS[0]: "no"})
    ran = repository.pull(head_ref="main")
    assert ran.outputs["verdict"] == "blocked"
    run = repository.answer["run"]
    assert (run["branch"], run["pull_request"]) == ("main", "7")
    assert repository.answer["baseline"]["branch"] == "main"
    assert repository.saved == ["base", "change"]


@pytest.mark.parametrize("event", ["workflow_run", "pull_request_target"])
def test_what_runs_strangers_results_never_changes_the_base(
    event: str, repository: Repository
) -> None:
    ran = repository.job({}, {"event_name": event, "ref": "refs/heads/main"})
    assert not ran.failed, ran.log
    assert repository.saved == ["change"]


def test_a_schedule_is_of_the_default_branch(repository: Repository) -> None:
    github = {"event_name": "schedule", "ref": "refs/heads/main"}
    ran = repository.job({}, github, {"repository": None})
    assert not ran.failed, ran.log
    assert repository.saved == ["base"]


def test_legs_of_a_matrix_are_judged_together(repository: Repository) -> None:
    for number, system in enumerate(("linux", "macos")):
        folder = repository.work / "results" / f"results-{system}"
        folder.mkdir(parents=True)
        first = header(number, variant={"os": system}, project="p")
        (folder / "run.jsonl").write_bytes(lines(first, attempt(), end(1)))
    ran = repository.push(results="results")
    assert not ran.failed, ran.log
    assert [one["variant"] for one in repository.answer["variants"]] == ["os=linux", "os=macos"]
    assert repository.answer["run"]["run_id"] == "github-101"


def test_a_fork_is_judged_here_and_told_by_the_half_that_may(repository: Repository) -> None:
    repository.has_history()
    repository.results({TESTS[3]: HOSTILE})
    ran = repository.pull(number=9, comment="off")
    assert (ran.outputs["verdict"], repository.api.calls) == ("blocked", [])
    told = ("comment", "--report", ran.outputs["report"], "--head")
    for head, said in (("c" * 40, "not at commit cccccccc"), ("b" * 40, "comment created")):
        done = command(*told, head, cwd=repository.work, env=repository.api.environment)
        assert (done.code, said in done.out + done.err) == (0, True), done
    assert repository.api.writes == [f"POST /repos/{REPOSITORY}/issues/9/comments"]


def test_the_history_in_the_cache_is_kept_short(repository: Repository) -> None:
    repository.has_history()
    repository.push(keep_runs="3")
    repository.pull()
    assert repository.answer["baseline"]["runs"] == 3


def test_no_results_are_red_and_said(repository: Repository) -> None:
    ran = repository.push(results="\n  \n")
    assert (ran.failed, ran.codes["Pass or fail"], ran.outputs["verdict"]) == (True, 5, "")
    assert "::error title=testlytics::There are no test results" in ran.log
    assert repository.saved == []


def test_results_that_cannot_be_read_are_red_after_the_others_are_judged(
    repository: Repository,
) -> None:
    (repository.work / "cut short.xml").write_text("<testsuite><testcase", encoding="utf-8")
    ran = repository.push(results="  results.xml \ncut short.xml\n")
    assert (ran.outputs["verdict"], ran.codes["Pass or fail"]) == ("not judged", 3), ran.log


@pytest.mark.parametrize(
    ("fail_on", "code"), [("blocked", 1), ("never", 0), ("slower, removed", 0), ("new-failure", 1)]
)
def test_what_fails_the_job_can_be_chosen(fail_on: str, code: int, repository: Repository) -> None:
    repository.has_history()
    repository.results({TESTS[3]: "no"})
    ran = repository.pull(fail_on=fail_on, comment="off")
    assert ran.codes["Pass or fail"] == code, ran.log
    assert repository.api.calls == []


def test_the_history_may_be_on_a_branch(repository: Repository, tmp_path: Path) -> None:
    def git(*arguments: str, cwd: Path = repository.work) -> None:
        subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True)

    git("init", "--bare", str(tmp_path / "remote"))
    git("init")
    git("remote", "add", "origin", str(tmp_path / "remote"))
    ran = repository.push(history="branch")
    assert (ran.failed, ran.outputs["verdict"]) == (False, "not judged"), ran.log
    assert "not there yet" in ran.log
    ran = repository.pull(history="branch")
    assert not ran.failed, ran.log
    assert repository.answer["baseline"]["runs"] == 1
    repository.push(history="branch")
    assert repository.answer["baseline"]["runs"] == 1, "what a pull request ran is not kept"
    assert (repository.cache.entries, ran.used) == ([], [])


@pytest.mark.parametrize("name", ["$(touch pwned)`touch pwned`", '";touch pwned;"/../é'])
def test_a_name_is_never_run(name: str, repository: Repository) -> None:
    ran = repository.pull(head_ref=name, project=name, results=f"{name}\nresults.xml")
    assert not (repository.work / "pwned").exists()
    assert ran.codes["ingest"] == 0, ran.log
    keys = [one["key"] for _, one in ran.used]
    assert keys
    assert not [key for key in keys if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", key)]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"history": "disk"}, "history is cache, branch or none"),
        ({"comment": "maybe"}, "comment is always"),
        ({"version": "1 --index-url=http://evil"}, "version is a version"),
        ({"version": "-r/etc/passwd"}, "version is a version"),
    ],
)
def test_a_wrong_input_is_said(inputs: dict[str, str], said: str, repository: Repository) -> None:
    ran = repository.push(**inputs)
    assert ran.failed
    assert said in ran.log


@pytest.mark.parametrize(("version", "what"), [("9.9", "testlytics==9.9"), ("local", str(ROOT))])
def test_what_is_installed(version: str, what: str, tmp_path: Path) -> None:
    [step] = [step for step in STEPS if step.get("id") == "install"]
    (tmp_path / "bin").mkdir()
    made = f"{tmp_path}/home/bin"
    copied = f'mkdir -p {made}\n[ -e {made}/python ] || cp "$0" {made}/python\n'
    fake = f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{copied}'
    (tmp_path / "bin" / "python3").write_text(fake, encoding="utf-8")
    (tmp_path / "bin" / "python3").chmod(0o755)
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        env={
            "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
            "VERSION": version,
            "ACTION": str(ROOT),
            "HOME_OF_IT": f"{tmp_path}/home",
        },
        check=True,
    )
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[1:] == [f"-I -m venv {tmp_path}/home", f"-I -m pip install --quiet {what}"]


def test_nothing_is_put_into_a_script() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")
        assert "GITHUB_ENV" not in step.get("run", "")
        assert "GITHUB_PATH" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}", step["uses"])


def test_inputs_and_outputs_are_all_there() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert ACTION["inputs"]["version"]["default"] == testlytics.__version__
    ids = {step["id"] for step in STEPS if "id" in step}
    assert set(re.findall(r"steps\.(\w+)\.", text)) <= ids
