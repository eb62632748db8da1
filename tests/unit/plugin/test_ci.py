from __future__ import annotations

import pytest

from pytest_testlytics.ci import CI, is_in_ci, read_ci

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "tests",
    "GITHUB_SHA": "a" * 40,
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_REF": "refs/heads/main",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PIPELINE_ID": "8",
    "CI_JOB_URL": "https://user:secret@gitlab.example/o/r/-/jobs/9",
    "CI_JOB_NAME": "unit",
    "CI_NODE_INDEX": "2",
    "CI_NODE_TOTAL": "3",
    "CI_COMMIT_SHA": "b" * 40,
    "CI_COMMIT_REF_NAME": "topic",
}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_BUILD_ID": "uuid",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/o/p/builds/1",
    "BUILDKITE_JOB_ID": "job",
    "BUILDKITE_LABEL": ":pytest:",
    "BUILDKITE_RETRY_COUNT": "1",
    "BUILDKITE_PARALLEL_JOB": "0",
    "BUILDKITE_PARALLEL_JOB_COUNT": "4",
    "BUILDKITE_COMMIT": "HEAD",
    "BUILDKITE_BRANCH": "main",
    "BUILDKITE_PULL_REQUEST": "false",
}
CIRCLE = {
    "CIRCLECI": "true",
    "CIRCLE_WORKFLOW_ID": "w",
    "CIRCLE_WORKFLOW_WORKSPACE_ID": "w",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/o/r/5",
    "CIRCLE_JOB": "test",
    "CIRCLE_NODE_INDEX": "1",
    "CIRCLE_NODE_TOTAL": "2",
    "CIRCLE_SHA1": "c" * 40,
    "CIRCLE_BRANCH": "fix",
    "CIRCLE_PULL_REQUEST": "https://github.com/o/r/pull/31",
}
JENKINS = {
    "JENKINS_URL": "https://ci.example/",
    "BUILD_TAG": "jenkins-job-3",
    "BUILD_URL": "https://ci.example/job/3/",
    "JOB_NAME": "job",
    "GIT_BRANCH": "origin/main",
    "CHANGE_ID": "4",
}
AZURE = {
    "TF_BUILD": "True",
    "BUILD_BUILDID": "12",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/org/",
    "SYSTEM_TEAMPROJECT": "my project",
    "SYSTEM_JOBDISPLAYNAME": "linux",
    "SYSTEM_JOBATTEMPT": "1",
    "SYSTEM_STAGEATTEMPT": "3",
    "BUILD_SOURCEVERSION": "d" * 40,
    "BUILD_SOURCEBRANCH": "refs/heads/main",
}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            GITHUB,
            CI(
                "github",
                run_id="77",
                url="https://github.com/o/r/actions/runs/77/attempts/2",
                job="tests",
                run_attempt=2,
                commit="a" * 40,
                branch="main",
            ),
        ),
        (
            GITLAB,
            CI(
                "gitlab",
                run_id="8",
                url="https://gitlab.example/o/r/-/jobs/9",
                job="unit",
                shard="2/3",
                commit="b" * 40,
                branch="topic",
            ),
        ),
        (
            BUILDKITE,
            CI(
                "buildkite",
                run_id="uuid",
                url="https://buildkite.com/o/p/builds/1#job",
                job=":pytest:",
                run_attempt=2,
                shard="1/4",
                branch="main",
            ),
        ),
        (
            CIRCLE,
            CI(
                "circleci",
                run_id="w",
                url="https://circleci.com/gh/o/r/5",
                job="test",
                run_attempt=1,
                shard="2/2",
                commit="c" * 40,
                branch="fix",
                pull_request="31",
            ),
        ),
        (
            JENKINS,
            CI(
                "jenkins",
                run_id="jenkins-job-3",
                url="https://ci.example/job/3/",
                job="job",
                branch="main",
                pull_request="4",
            ),
        ),
        (
            AZURE,
            CI(
                "azure",
                run_id="12",
                url="https://dev.azure.com/org/my%20project/_build/results?buildId=12",
                job="linux",
                run_attempt=3,
                commit="d" * 40,
                branch="main",
            ),
        ),
        ({}, None),
        ({"GITHUB_ACTIONS": " "}, None),
    ],
    ids=["github", "gitlab", "buildkite", "circleci", "jenkins", "azure", "none", "empty"],
)
def test_providers(environ: dict[str, str], expected: CI | None) -> None:
    assert read_ci(environ) == expected
    assert is_in_ci(environ) is (expected is not None)


@pytest.mark.parametrize(
    ("environ", "branch", "pull_request"),
    [
        ({"GITHUB_REF": "refs/pull/9/merge", "GITHUB_HEAD_REF": "fix"}, "fix", "9"),
        (
            {"GITHUB_REF": "refs/heads/gh-readonly-queue/main/pr-12-abc"},
            "gh-readonly-queue/main/pr-12-abc",
            "12",
        ),
        ({"GITHUB_REF": "refs/tags/v1"}, None, None),
    ],
)
def test_github_pull_requests_queues_and_tags(
    environ: dict[str, str], branch: str | None, pull_request: str | None
) -> None:
    found = read_ci({**GITHUB, **environ})
    assert found is not None
    assert (found.branch, found.pull_request) == (branch, pull_request)


def test_other_kinds_of_runs() -> None:
    merge = read_ci(
        {
            **GITLAB,
            "CI_MERGE_REQUEST_IID": "5",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix",
            "CI_JOB_RETRY_COUNT": "1",
        }
    )
    assert merge is not None
    assert (merge.branch, merge.pull_request, merge.run_attempt) == ("fix", "5", 2)
    tag = read_ci({**GITLAB, "CI_COMMIT_TAG": "v1"})
    assert tag is not None
    assert tag.branch is None
    rerun = read_ci({**CIRCLE, "CIRCLE_WORKFLOW_ID": "v"})
    assert rerun is not None
    assert (rerun.run_id, rerun.run_attempt) == ("w", None)
    tagged = read_ci({**AZURE, "BUILD_SOURCEBRANCH": "refs/tags/v1"})
    assert tagged is not None
    assert tagged.branch is None


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "²", ""])
def test_unreadable_counters_are_unknown(text: str) -> None:
    found = read_ci({**GITHUB, "GITHUB_RUN_ATTEMPT": text})
    assert found is not None
    assert found.run_attempt is None
    assert found.url == "https://github.com/o/r/actions/runs/77"


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("false", False)])
def test_unknown_ci_is_a_ci(value: str, *, expected: bool) -> None:
    assert is_in_ci({"CI": value}) is expected
