"""The comment in a pull request: written once, kept up to date, and never a reason to fail."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from testlytics.gate.findings import Cause, Finding, GateResult, LegResult
from testlytics.gate.render import as_json
from testlytics.github.client import ApiError, GitHub
from testlytics.github.comment import MAX_CHARS, Done, Mode, body_of, upsert
from testlytics.github.outputs import badge, outputs
from testlytics_collector.errors import ConfigError
from tests.command import Done as Ran
from tests.command import command
from tests.github_api import REPOSITORY, TOKEN, Answer, FakeGitHub, fake_github

LEG = LegResult("", 3, 2, 1, 0, 0, 9, 0)
PASSED = GateResult("p", "r1", "a" * 40, "b", "7", True, "main", 9, None, None, 0, [LEG], [])
FAILURE = Finding("new-failure", "block", "t.py::test_a", "", "passed in all 9 runs", "no")
BLOCKED = replace(PASSED, findings=[FAILURE])
WARNED = replace(PASSED, findings=[FAILURE._replace(kind="known-flake", level="warn")])
HOSTILE = (
    "::error::x\n\n</details></td><!-- | `@people @org/team #12 owner/name#3 ](x) ![a](b)\n# top\n"
    "\u202e\u2066\x1b[31m http://evil.example www.evil.example <script>alert(1)</script> ```"
)
NOTHING: Mapping[str, str] = {}


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with fake_github() as server:
        yield server


def client(server: FakeGitHub, waited: list[float] | None = None) -> GitHub:
    sleep = ([] if waited is None else waited).append
    return GitHub(REPOSITORY, TOKEN, address=server.address, sleep=sleep)


def put(
    server: FakeGitHub, result: GateResult, key: str = "default", mode: Mode = Mode.ALWAYS
) -> Done:
    return upsert(client(server), 7, result, key, mode)


def test_one_comment_is_written_and_kept_up_to_date(github: FakeGitHub) -> None:
    assert put(github, BLOCKED) is Done.CREATED
    assert put(github, BLOCKED) is Done.UNCHANGED
    assert len(github.writes) == 1
    assert put(github, PASSED) is Done.UPDATED
    assert github.writes[1:] == [f"PATCH /repos/{REPOSITORY}/issues/comments/1"]
    [comment] = github.comments
    assert "Passed" in comment["body"]
    assert "Blocked" not in comment["body"]
    assert github.authorizations == {f"Bearer {TOKEN}"}


def test_each_key_has_a_comment_of_its_own(github: FakeGitHub) -> None:
    assert put(github, BLOCKED, "linux") is Done.CREATED
    assert put(github, BLOCKED, "linux-arm") is Done.CREATED
    assert put(github, PASSED, "linux") is Done.UPDATED
    assert ["Passed" in one["body"] for one in github.comments] == [True, False]


@pytest.mark.parametrize("key", ["", "a b", "-->", "a--b", "x" * 81, "-", "é"])
def test_a_key_that_could_end_the_mark_is_refused(key: str, github: FakeGitHub) -> None:
    with pytest.raises(ConfigError, match="--key"):
        put(github, BLOCKED, key)
    assert github.calls == []


@pytest.mark.parametrize(
    ("mode", "worth"),
    [
        (Mode.ALWAYS, [True, True, True]),
        (Mode.CHANGES, [False, True, True]),
        (Mode.FAILURES, [False, False, True]),
        (Mode.OFF, [False, False, False]),
    ],
)
def test_the_mode_says_when_a_comment_is_new(
    mode: Mode, worth: list[bool], github: FakeGitHub
) -> None:
    for result, wanted in zip((PASSED, WARNED, BLOCKED), worth, strict=True):
        github.comments.clear()
        done = put(github, result, mode=mode)
        assert (done is Done.CREATED, len(github.comments)) == (wanted, wanted)
        github.comments.clear()
        put(github, replace(BLOCKED, run_id="older"), mode=Mode.ALWAYS)
        done = put(github, result, mode=mode)
        assert done is (Done.NOT_NEEDED if mode is Mode.OFF else Done.UPDATED)


def test_somebody_elses_comment_is_left_alone(github: FakeGitHub) -> None:
    mark = "<!-- testlytics:default -->"
    github.has(f"{mark}\nnot by a bot", login="mallory", kind="User")
    github.has(f"> {mark}\na bot that quotes us")
    github.has("<!-- testlytics:other -->\nanother key")
    github.comments.append({"id": 4, "body": None, "user": None})
    before = json.dumps(github.comments)
    assert put(github, BLOCKED) is Done.CREATED
    assert json.dumps(github.comments[:4]) == before
    assert github.comments[4]["body"].startswith(f"{mark}\n## ")


@pytest.mark.parametrize(("others", "pages"), [(99, 1), (100, 2), (250, 3)])
def test_our_comment_is_found_on_any_page(others: int, pages: int, github: FakeGitHub) -> None:
    for number in range(others):
        github.has(f"talk {number}", login="somebody", kind="User")
    assert put(github, BLOCKED) is Done.CREATED
    assert len(github.calls) == pages + 1
    assert put(github, BLOCKED) is Done.UNCHANGED


def test_what_github_makes_of_line_ends_is_no_change(github: FakeGitHub) -> None:
    put(github, BLOCKED)
    github.comments[0]["body"] = github.comments[0]["body"].strip().replace("\n", "\r\n")
    assert put(github, BLOCKED) is Done.UNCHANGED


def test_a_short_limit_is_waited_for(github: FakeGitHub) -> None:
    github.answers = [Answer(429, {"Retry-After": "7"}), Answer(403, {"Retry-After": "2"})]
    waited: list[float] = []
    assert upsert(client(github, waited), 7, BLOCKED, "default", Mode.ALWAYS) is Done.CREATED
    assert waited == [7.0, 2.0]


@pytest.mark.parametrize(
    ("answers", "said", "calls"),
    [
        ([Answer(403, {"Retry-After": "3600"})], "limits how often", 1),
        ([Answer(403, {"X-RateLimit-Remaining": "0"})], "limits how often", 1),
        ([Answer(429, {"Retry-After": "1"})] * 3, "limits how often", 3),
        ([Answer(403)], "pull-requests: write", 1),
        ([Answer(404)], "404", 1),
        ([Answer(401)], "401", 1),
        ([Answer(500)], "500", 1),
        ([Answer(200, {}, b"<html>")], "not what it should be", 1),
        ([Answer(200, {}, b'{"id": 1}')], "not what it should be", 1),
        ([Answer(200, {}, b"[" * 50_000)], "not what it should be", 1),
    ],
)
def test_what_github_refuses_is_told(
    answers: list[Answer], said: str, calls: int, github: FakeGitHub
) -> None:
    github.answers = list(answers)
    with pytest.raises(ApiError, match=said):
        put(github, BLOCKED)
    assert len(github.calls) == calls


def test_the_token_follows_no_redirect(github: FakeGitHub) -> None:
    with fake_github() as other:
        for status in (301, 302, 303, 307, 308):
            github.answers = [Answer(status, {"Location": f"{other.address}/steal"})]
            with pytest.raises(ApiError, match=str(status)):
                put(github, BLOCKED)
        assert other.calls == []


@pytest.mark.parametrize(
    "address",
    ["http://api.github.com", "ftp://x", "https://u:p@x", "file:///etc/passwd", "", "https://x/?q"],
)
def test_the_token_goes_to_no_unsafe_address(address: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        GitHub(REPOSITORY, TOKEN, address=address)


@pytest.mark.parametrize("token", ["", f"{TOKEN}\r\nX: y", f"{TOKEN} ", f"{TOKEN}é"])
def test_a_token_that_is_none_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError) as refused:
        GitHub(REPOSITORY, token)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("repository", ["", "name", "a/b/c", "a/../b", "a/b?c"])
def test_a_repository_is_two_names(repository: str) -> None:
    with pytest.raises(ConfigError, match="owner/name"):
        GitHub(repository, TOKEN)


def hostile(times: int = 1) -> GateResult:
    finding = Finding("new-failure", "block", f"t.py::t[{HOSTILE}]", HOSTILE, HOSTILE, HOSTILE)
    other = finding._replace(level="warn", kind="known-flake")
    cause = Cause(HOSTILE, ["a", "b"], 2, HOSTILE, HOSTILE, is_new=False)
    return replace(
        BLOCKED,
        run_id=HOSTILE,
        branch=HOSTILE,
        legs=[LEG, LEG._replace(variant=f"# x{HOSTILE}")],
        findings=[finding] * times + [other] * times,
        causes=[cause],
        notes=[f"# note {HOSTILE}", "- list", "1. list", "===", "    code"],
    )


def test_nothing_hostile_leaves_its_cell() -> None:
    body = body_of(hostile(), "default")
    lines = body.split("\n")
    assert not set(body) & set("\x1b\u202e\u2066\r@`")
    assert set(re.findall(r"<[^>]*>", body)) == {
        "<!-- testlytics:default -->", "<br>", "<details>", "<summary>", "</summary>", "</details>"
    }  # fmt: skip
    assert body.count("</details>") == body.count("<details>") == 1
    assert body.count("<!--") == 1
    rows = [line for line in lines if line.startswith("| t.py")]
    assert [row.count("|") for row in rows] == [4, 4]
    headings = [line for line in lines if line.startswith("#")]
    assert [line.split()[:2] for line in headings] == [
        ["##", "❌"], ["###", "Blocking"], ["###", "Causes"]
    ]  # fmt: skip
    assert not [
        one for one in lines if re.match(r"\s*(=+|-+|[-+] list|1\. list| {4}code)\s*$", one)
    ]
    assert "://" not in body
    assert "www." not in body
    assert "](" not in body


def test_github_names_nobody() -> None:
    """It looks for people and issues after entities are resolved: a gap has to stand between."""
    body = body_of(hostile(), "default")
    assert "people" in body
    resolved = re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), body)
    assert not re.search(r"@\w", resolved)
    assert not re.search(r"#\d", resolved)
    assert "@\u200bpeople" in resolved


@pytest.mark.parametrize("times", [1, 300, 1_000])
def test_a_comment_is_never_too_long(times: int, github: FakeGitHub) -> None:
    result = hostile(times)
    body = body_of(result, "default")
    assert len(body) <= MAX_CHARS
    assert ("left out for the size" in body) == (times > 1)
    assert put(github, result) is Done.CREATED


def test_a_comment_whose_head_is_too_long_is_short() -> None:
    body = body_of(replace(BLOCKED, notes=["@x " * 40_000]), "default")
    assert body == "<!-- testlytics:default -->\n## testlytics: blocked, 1 reason\n"


def run(
    folder: Path, server: FakeGitHub, *arguments: object, env: Mapping[str, str] = NOTHING
) -> Ran:
    arguments = ("comment", "--report", "gate.json", *arguments)
    done = command(*arguments, cwd=folder, env={**server.environment, **env})
    assert TOKEN not in done.out + done.err
    return done


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "gate.json").write_text(as_json(BLOCKED), encoding="utf-8")
    return tmp_path


def test_the_command_writes_and_updates(report: Path, github: FakeGitHub) -> None:
    done = run(report, github, "--pull-request", 7)
    assert (done.code, done.out) == (0, "pull request 7: comment created\n")
    done = run(report, github, "--pull-request", 7)
    assert (done.code, done.out) == (0, "pull request 7: comment unchanged\n")
    done = run(report, github, "--pull-request", 7, "--mode", "off")
    assert done.out == "pull request 7: comment not needed\n"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_is_a_warning_and_no_failure(
    status: int, report: Path, github: FakeGitHub
) -> None:
    github.answers = [Answer(status)]
    done = run(report, github, "--pull-request", 7, env={"GITHUB_ACTIONS": "true"})
    assert done.code == 0
    assert "No comment: GitHub answered" in done.err
    assert done.out.startswith("::warning title=testlytics::No comment: ")
    assert done.out.count("\n") == 1


def test_no_network_is_a_warning_and_no_failure(report: Path, github: FakeGitHub) -> None:
    env = {"GITHUB_API_URL": "http://127.0.0.1:9"}
    done = run(report, github, "--pull-request", 7, env=env)
    assert (done.code, "cannot be reached" in done.err) == (0, True)


def test_a_report_alone_does_not_say_where_to_comment(report: Path, github: FakeGitHub) -> None:
    assert run(report, github).code == 2
    github.heads = {7: "b" * 40}
    done = run(report, github, "--head", "a" * 40)
    assert (done.code, github.writes) == (0, [])
    assert "not at commit aaaaaaaa" in done.err
    done = run(report, github, "--head", "b" * 40)
    assert (done.code, len(github.comments)) == (0, 1)


@pytest.mark.parametrize("told", [None, "", "x", "../1", "0", "-1", "9" * 20, "\u0661"])
def test_a_number_that_is_none_is_refused(
    told: str | None, report: Path, github: FakeGitHub
) -> None:
    text = as_json(replace(BLOCKED, pull_request=told))
    (report / "gate.json").write_text(text, encoding="utf-8")
    assert run(report, github, "--head", "b" * 40).code == 3
    assert github.calls == []


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"schema": 99}'])
def test_a_report_that_is_none_is_refused(text: str, report: Path, github: FakeGitHub) -> None:
    (report / "gate.json").write_text(text, encoding="utf-8")
    done = run(report, github, "--pull-request", 7)
    assert (done.code, github.calls) == (3, [])
    assert "internal" not in done.err
    (report / "gate.json").unlink()
    assert run(report, github, "--pull-request", 7).code == 3


def test_a_missing_token_is_a_wrong_set_up(report: Path, github: FakeGitHub) -> None:
    assert run(report, github, "--pull-request", 7, env={"GITHUB_TOKEN": ""}).code == 2


def test_the_badge_and_the_outputs_say_the_verdict() -> None:
    assert json.loads(badge(BLOCKED)) == {
        "schemaVersion": 1, "label": "tests", "message": "blocked, 1 reason", "color": "red"
    }  # fmt: skip
    assert json.loads(badge(PASSED))["message"] == "passed"
    assert outputs(BLOCKED) == "verdict=blocked\nregressions=1\n"
    assert outputs(hostile(3)).count("\n") == 2
