"""The first line of a run file: what is run, on which sources, where."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any, Mapping

import pytest

from pytest_testlytics import __version__
from pytest_testlytics.ci import CI, is_in_ci, read_ci
from pytest_testlytics.git import Repository
from pytest_testlytics.text import mask_arguments, to_text

SCHEMA_VERSION = "1.0"

_MOST = 100
_SYSTEMS = {"Linux": "linux", "Darwin": "macos", "Windows": "windows"}


def run_record(
    config: pytest.Config,
    environ: Mapping[str, str],
    *,
    upload_id: str,
    started_us: int,
    project: str,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Compose the `run` record.

    Args:
        config: Of the session.
        environ: The environment variables; only those of CI providers and `TESTLYTICS_*` are read.
        upload_id: Unique name of the run file.
        started_us: When the session began, microseconds since the epoch.
        project: Namespace of the tests.
        tags: What is added to the variant.
    """
    ci = read_ci(environ)
    run_id = f"{ci.provider}-{ci.run_id}" if ci and ci.run_id else upload_id
    return {
        "type": "run",
        "schema_version": SCHEMA_VERSION,
        "upload_id": upload_id,
        "run_id": to_text(environ.get("TESTLYTICS_RUN_ID") or run_id),
        "producer": f"pytest-testlytics {__version__}",
        "started_us": started_us,
        "project": to_text(project),
        "sources": sources_of(str(config.rootpath), environ, ci),
        "ci": _ci_record(environ, ci, _shard_of(config)),
        "variant": variant_of(tags),
        "context": _context(config),
    }


def variant_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the way in which this session runs tests.

    Args:
        tags: What is added to it.
    """
    return {"os": system_name(), "python": "%d.%d" % sys.version_info[:2], **tags}


def system_name() -> str:
    """Return the operating system's name as variants use it."""
    system = platform.system()
    return _SYSTEMS.get(system, system.lower() or "unknown")


def sources_of(root: str, environ: Mapping[str, str], ci: CI | None) -> dict[str, Any]:
    """Find out which sources are tested.

    What is checked out counts for more than what the provider says: a job may have checked out
    something else than the commit that triggered it.

    Args:
        root: Folder of the tests.
        environ: The environment variables.
        ci: What the provider says, None outside of a known one.
    """
    given = environ.get("TESTLYTICS_COMMIT") or None
    repository = Repository(root)
    checkout = repository.checkout()
    commit = given or checkout.commit or (ci.commit if ci else None)
    tree = environ.get("TESTLYTICS_TREE") or (repository.tree(commit) if commit else None)
    dirty = False if given or is_in_ci(environ) else repository.is_dirty()
    branch = environ.get("TESTLYTICS_BRANCH") or (ci.branch if ci else None) or checkout.branch
    pull_request = environ.get("TESTLYTICS_PR") or (ci.pull_request if ci else None)
    return {
        "commit": commit and to_text(commit),
        "tree_sha": tree,
        "dirty": dirty,
        "branch": branch and to_text(branch),
        "pull_request": pull_request and to_text(pull_request),
    }


def _ci_record(
    environ: Mapping[str, str], ci: CI | None, shard: str | None
) -> dict[str, str | int | None] | None:
    attempt = environ.get("TESTLYTICS_RUN_ATTEMPT", "")
    run_attempt = int(attempt) if attempt.isascii() and attempt.isdigit() else None
    shard = environ.get("TESTLYTICS_SHARD") or (ci.shard if ci else None) or shard
    if ci is None and run_attempt is None and shard is None:
        return None
    found: dict[str, str | int | None] = {
        "provider": ci.provider if ci else None,
        "url": ci.url if ci else None,
        "job": ci.job if ci else None,
        "run_attempt": run_attempt or (ci.run_attempt if ci else None),
        "shard": shard,
    }
    return {
        key: to_text(value) if isinstance(value, str) else value for key, value in found.items()
    }


def _shard_of(config: pytest.Config) -> str | None:
    """Read the options of pytest-split and pytest-shard."""
    for index, total, first in (("group", "splits", 1), ("shard_id", "num_shards", 0)):
        position, parts = config.getoption(index, None), config.getoption(total, None)
        if isinstance(position, int) and isinstance(parts, int) and parts > 1:
            return f"{position + 1 - first}/{parts}"
    return None


def _context(config: pytest.Config) -> dict[str, Any]:
    return {
        "pytest": pytest.__version__,
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "argv": mask_arguments(_first([os.fspath(arg) for arg in config.invocation_params.args])),
        "selection": _selection(config),
        "workers": sum(map(_processes, config.getoption("tx", None) or ())),
        "plugins": sorted(
            {
                f"{to_text(dist.project_name)} {to_text(dist.version)}"
                for _, dist in config.pluginmanager.list_plugin_distinfo()
            }
        ),
    }


def _selection(config: pytest.Config) -> dict[str, Any]:
    """Say what narrows the session, so that a test that is not here is not taken for removed."""
    source = getattr(getattr(config, "args_source", None), "name", None)
    options = {
        "paths": config.args if source == "ARGS" else None,
        "keyword": config.getoption("keyword", ""),
        "markers": config.getoption("markexpr", ""),
        "deselect": config.getoption("deselect", None),
        "ignore": config.getoption("ignore", None),
        "last_failed": config.getoption("lf", False),
        "stepwise": config.getoption("stepwise", False),
    }
    return {
        key: _first(value) if isinstance(value, list) else value
        for key, value in options.items()
        if value
    }


def _first(texts: list[str]) -> list[str]:
    """Return a list of bounded length; a CI may hand over thousands of node ids."""
    more = len(texts) - _MOST
    return texts if more <= 0 else [*texts[:_MOST], f"… {more} more"]


def _processes(spec: str) -> int:
    """Count the workers of one `--tx` option: `3*popen` is three."""
    count, times, _ = spec.partition("*")
    return int(count) if times and count.isdigit() else 1
