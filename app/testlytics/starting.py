"""What a project needs to begin: a workflow for its CI, and a few lines in pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from testlytics_collector.errors import ConfigError, unwritable

PROVIDERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "github": ("github.yml", ".github/workflows/testlytics.yml"),
        "gitlab": ("gitlab-ci.yml", ".gitlab-ci.yml"),
        "buildkite": ("buildkite.yml", ".buildkite/pipeline.yml"),
        "jenkins": ("Jenkinsfile", "Jenkinsfile"),
        "azure": ("azure-pipelines.yml", "azure-pipelines.yml"),
        "circleci": ("circleci.yml", ".circleci/config.yml"),
    }
)
"""By name: the file in `testlytics/ci`, and where it goes below a project's root."""

_MARKS = {
    ".gitlab-ci.yml": "gitlab",
    ".buildkite": "buildkite",
    "Jenkinsfile": "jenkins",
    "azure-pipelines.yml": "azure",
    ".circleci": "circleci",
}
_SETTINGS = """\
[tool.testlytics.prune]
# How many runs of a project `testlytics prune` leaves.
keep-runs = 1000
"""
_IGNORED = ".testlytics/"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file that is to be written, or why not.

    Attributes:
        path: Below the project's root.
        text: What is added; all of it where the file is new.
        is_new: Whether the file is not there yet.
        left: Why nothing is written; None where it is.
    """

    path: str
    text: str
    is_new: bool
    left: str | None = None


def provider_of(root: Path) -> str:
    """Guess the CI of a project from its files; GitHub where nothing tells."""
    found = [name for mark, name in _MARKS.items() if (root / mark).exists()]
    return "github" if (root / ".github").exists() or not found else found[0]


def plan(root: Path, provider: str) -> list[Planned]:
    """Find out what to write; writes nothing.

    Args:
        root: Folder of the project.
        provider: A key of `PROVIDERS`.

    Raises:
        ConfigError: pyproject.toml cannot be read.
    """
    source, target = PROVIDERS[provider]
    workflow = (Path(__file__).parent / "ci" / source).read_text(encoding="utf-8")
    there = (root / target).exists() or (root / target).is_symlink()
    left = "is there already: put the lines into it that you need" if there else None
    return [
        Planned(target, workflow, is_new=not there, left=left),
        *_settings(root),
        *_ignored(root),
    ]


def write(root: Path, planned: Planned) -> None:
    """Write a new file, or add to the end of one; nothing that is there is ever changed.

    Raises:
        Error: It cannot be written, or has come into being since.
    """
    path = root / planned.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x" if planned.is_new else "a", encoding="utf-8") as file:
            file.write(planned.text)
    except OSError as error:
        raise unwritable(path, error) from error


def _settings(root: Path) -> list[Planned]:
    name = "pyproject.toml"
    path = root / name
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text).get("tool", {})
    except FileNotFoundError:
        return []
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", slug="config-unreadable") from error
    if "testlytics" in table:
        return [Planned(name, "", is_new=False, left="has [tool.testlytics] already")]
    return [Planned(name, _gap(text) + _SETTINGS, is_new=False)]


def _ignored(root: Path) -> list[Planned]:
    """Keep the history out of the repository, where there is one."""
    name = ".gitignore"
    try:
        text = (root / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return [Planned(name, f"{_IGNORED}\n", is_new=True)] if (root / ".git").exists() else []
    except OSError:
        return []
    if {_IGNORED, _IGNORED.rstrip("/"), f"/{_IGNORED}"} & {one.strip() for one in text.split("\n")}:
        return [Planned(name, "", is_new=False, left=f"has {_IGNORED} already")]
    start = "" if not text or text.endswith("\n") else "\n"
    return [Planned(name, f"{start}{_IGNORED}\n", is_new=False)]


def _gap(text: str) -> str:
    if not text.strip():
        return ""
    return "\n" if text.endswith("\n") else "\n\n"
