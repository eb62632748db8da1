"""What the environment of a CI says about the run.

Each provider has one function over a mapping of environment variables; an empty variable counts as
absent. Nothing else of the environment is looked at.
"""

from __future__ import annotations

import re
from typing import Callable, Mapping, NamedTuple
from urllib.parse import quote

from pytest_testlytics.text import strip_credentials


class CI(NamedTuple):
    """The context of one CI job; None for what the provider does not tell.

    Attributes:
        provider: Short name of the provider.
        run_id: The provider's id of the run, the same for all jobs and re-runs of it.
        url: Address of the job or run, without credentials.
        job: Name of the job.
        run_attempt: Re-run counter, first = 1.
        shard: `index/total`, index from 1; None where the job is not sharded.
        commit: The commit that the provider says is tested.
        branch: The branch that is tested; of a pull request, its source.
        pull_request: Its number.
    """

    provider: str
    run_id: str | None = None
    url: str | None = None
    job: str | None = None
    run_attempt: int | None = None
    shard: str | None = None
    commit: str | None = None
    branch: str | None = None
    pull_request: str | None = None


_Get = Callable[[str], "str | None"]


def read_ci(environ: Mapping[str, str]) -> CI | None:
    """Recognise the CI.

    Args:
        environ: The environment variables.

    Returns:
        What the first provider that is recognised says, or None outside of these.
    """

    def get(name: str) -> str | None:
        return environ.get(name, "").strip() or None

    for probe, read in _PROVIDERS:
        if get(probe):
            found = read(get)
            return found._replace(url=found.url and strip_credentials(found.url))
    return None


def is_in_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether any CI is running this, also one that `read_ci` does not know."""
    generic = environ.get("CI", "").strip().lower()
    return read_ci(environ) is not None or generic not in ("", "0", "false", "no")


def _github(get: _Get) -> CI:
    server, repository, run = (
        get("GITHUB_SERVER_URL"),
        get("GITHUB_REPOSITORY"),
        get("GITHUB_RUN_ID"),
    )
    attempt = _number(get("GITHUB_RUN_ATTEMPT"))
    url = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
    if url and attempt:
        url += f"/attempts/{attempt}"
    ref = get("GITHUB_REF") or ""
    pull = re.match(r"refs/pull/(\d+)/", ref) or re.match(
        r"refs/heads/gh-readonly-queue/.+/pr-(\d+)-", ref
    )
    branch = get("GITHUB_HEAD_REF")
    if branch is None and ref.startswith("refs/heads/"):
        branch = ref[len("refs/heads/") :]
    return CI(
        "github",
        run_id=run,
        url=url,
        job=get("GITHUB_JOB"),
        run_attempt=attempt,
        commit=get("GITHUB_SHA"),
        branch=branch,
        pull_request=pull.group(1) if pull else None,
    )


def _gitlab(get: _Get) -> CI:
    return CI(
        "gitlab",
        run_id=get("CI_PIPELINE_ID"),
        url=get("CI_JOB_URL"),
        job=get("CI_JOB_NAME"),
        run_attempt=_number(get("CI_JOB_RETRY_COUNT"), first=0),
        shard=_shard(get("CI_NODE_INDEX"), get("CI_NODE_TOTAL"), first=1),
        commit=get("CI_COMMIT_SHA"),
        branch=get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
        or (None if get("CI_COMMIT_TAG") else get("CI_COMMIT_REF_NAME")),
        pull_request=get("CI_MERGE_REQUEST_IID"),
    )


def _buildkite(get: _Get) -> CI:
    url, job_id = get("BUILDKITE_BUILD_URL"), get("BUILDKITE_JOB_ID")
    commit, pull = get("BUILDKITE_COMMIT"), get("BUILDKITE_PULL_REQUEST")
    return CI(
        "buildkite",
        run_id=get("BUILDKITE_BUILD_ID"),
        url=f"{url}#{job_id}" if url and job_id else url,
        job=get("BUILDKITE_LABEL") or get("BUILDKITE_STEP_KEY") or job_id,
        run_attempt=_number(get("BUILDKITE_RETRY_COUNT"), first=0),
        shard=_shard(get("BUILDKITE_PARALLEL_JOB"), get("BUILDKITE_PARALLEL_JOB_COUNT"), first=0),
        commit=None if commit == "HEAD" else commit,
        branch=get("BUILDKITE_BRANCH"),
        pull_request=None if pull == "false" else pull,
    )


def _circleci(get: _Get) -> CI:
    workflow, workspace = get("CIRCLE_WORKFLOW_ID"), get("CIRCLE_WORKFLOW_WORKSPACE_ID")
    pull = re.search(r"/(\d+)/?$", get("CIRCLE_PULL_REQUEST") or "")
    return CI(
        "circleci",
        # A re-run gets a workflow of its own; the workspace stays that of the first.
        run_id=workspace or workflow,
        url=get("CIRCLE_BUILD_URL"),
        job=get("CIRCLE_JOB"),
        run_attempt=1 if workflow and workflow == workspace else None,
        shard=_shard(get("CIRCLE_NODE_INDEX"), get("CIRCLE_NODE_TOTAL"), first=0),
        commit=get("CIRCLE_SHA1"),
        branch=get("CIRCLE_BRANCH"),
        pull_request=pull.group(1) if pull else get("CIRCLE_PR_NUMBER"),
    )


def _jenkins(get: _Get) -> CI:
    branch = get("CHANGE_BRANCH") or get("BRANCH_NAME") or get("GIT_BRANCH")
    return CI(
        "jenkins",
        run_id=get("BUILD_TAG") or get("BUILD_URL"),
        url=get("BUILD_URL"),
        job=get("JOB_NAME"),
        commit=get("GIT_COMMIT"),
        branch=_without(branch, "origin/"),
        pull_request=get("CHANGE_ID"),
    )


def _azure(get: _Get) -> CI:
    base, project = get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"), get("SYSTEM_TEAMPROJECT")
    build = get("BUILD_BUILDID")
    url = None
    if base and project and build:
        url = f"{base.rstrip('/')}/{quote(project)}/_build/results?buildId={build}"
    attempts = (_number(get("SYSTEM_JOBATTEMPT")), _number(get("SYSTEM_STAGEATTEMPT")))
    branch = get("SYSTEM_PULLREQUEST_SOURCEBRANCH") or get("BUILD_SOURCEBRANCH")
    return CI(
        "azure",
        run_id=build,
        url=url,
        job=get("SYSTEM_JOBDISPLAYNAME") or get("SYSTEM_JOBID"),
        run_attempt=max((n for n in attempts if n is not None), default=None),
        shard=_shard(get("SYSTEM_JOBPOSITIONINPHASE"), get("SYSTEM_TOTALJOBSINPHASE"), first=1),
        commit=get("BUILD_SOURCEVERSION"),
        branch=None if (branch or "").startswith("refs/tags/") else _without(branch, "refs/heads/"),
        pull_request=get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
        or get("SYSTEM_PULLREQUEST_PULLREQUESTID"),
    )


_PROVIDERS: tuple[tuple[str, Callable[[_Get], CI]], ...] = (
    ("GITHUB_ACTIONS", _github),
    ("GITLAB_CI", _gitlab),
    ("BUILDKITE", _buildkite),
    ("CIRCLECI", _circleci),
    ("JENKINS_URL", _jenkins),
    ("TF_BUILD", _azure),
)


def _number(text: str | None, first: int = 1) -> int | None:
    """Read a counter that starts at `first` as one that starts at 1."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return max(int(text) + 1 - first, 1)


def _shard(index: str | None, total: str | None, first: int) -> str | None:
    position, parts = _number(index, first), _number(total)
    return f"{position}/{parts}" if position and parts and parts > 1 else None


def _without(text: str | None, prefix: str) -> str | None:
    return text[len(prefix) :] if text is not None and text.startswith(prefix) else text
