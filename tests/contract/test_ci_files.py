"""The workflows and snippets for CI systems: valid, safe, the same everywhere, and they run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import testlytics
from testlytics.cli.init import Provider
from testlytics.starting import PROVIDERS
from tests import forked
from tests.command import command
from tests.composite import load
from tests.factories import attempt, run_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "ci"
SHIPPED = Path(testlytics.__file__).parent / "ci"
WORKFLOWS = [EXAMPLES / "github.yml", *sorted((ROOT / "examples" / "workflows").glob("*.yml"))]
SCHEMAS = [
    ("github-actions", ROOT / "action.yml"),
    *(("github-workflows", path) for path in WORKFLOWS),
    ("gitlab-ci", EXAMPLES / "gitlab-ci.yml"),
    ("buildkite", EXAMPLES / "buildkite.yml"),
    ("azure-pipelines", EXAMPLES / "azure-pipelines.yml"),
    ("circle-ci", EXAMPLES / "circleci.yml"),
]


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )


def valid(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    more = ["--data-transform", schema] if schema in {"azure-pipelines", "gitlab-ci"} else []
    # The schema of Azure has expressions that are none with Unicode.
    more += ["--regex-variant", "nonunicode"]
    return tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *more, path)


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=lambda value: Path(value).name)
def test_the_file_is_what_its_ci_reads(schema: str, path: Path, tmp_path: Path) -> None:
    done = valid(schema, path)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / path.name
    text = re.sub(r"^( *)(script|steps|runs|jobs):", r"\1\2: 7\n\1was:", path.read_text(), count=1,
                  flags=re.MULTILINE)  # fmt: skip
    wrong.write_text(text, encoding="utf-8")
    assert valid(schema, wrong).returncode == 1, "the check sees nothing"


def audit(*paths: Path) -> subprocess.CompletedProcess[str]:
    config = ROOT / "examples" / "zizmor.yml"
    return tool("zizmor", "--offline", "--no-progress", "--quiet", "--config", config, *paths)


def test_an_audit_finds_nothing_in_the_workflows() -> None:
    done = audit(ROOT / "action.yml", *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_audit_sees_what_it_should(tmp_path: Path) -> None:
    text = (EXAMPLES / "github.yml").read_text(encoding="utf-8")
    wrong = tmp_path / "github.yml"
    wrong.write_text(
        text.replace("pytest --testlytics", "pytest ${{ github.head_ref }}"), encoding="utf-8"
    )
    assert "template-injection" in audit(wrong).stdout


def test_only_the_half_that_runs_nothing_may_write() -> None:
    tests, report = (
        load(ROOT / "examples" / "workflows" / f"{n}.yml") for n in ("tests", "report")
    )
    assert tests["permissions"] == {"contents": "read"}
    assert not [job for job in tests["jobs"].values() if "permissions" in job]
    assert "workflow_run" not in tests["on"]
    assert "pull_request_target" not in json.dumps([tests, report])
    assert report["permissions"] == {}
    [job] = report["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs == [
        f"python -m pip install testlytics=={testlytics.__version__}",
        'testlytics comment --report "$RUNNER_TEMP/report/gate.json" --head "$HEAD"',
    ]
    assert not [step for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert report["on"]["workflow_run"]["workflows"] == [tests["name"]]


def test_what_the_action_is_given_is_an_input_of_it() -> None:
    inputs = set(load(ROOT / "action.yml")["inputs"])
    given = [
        step.get("with", {})
        for path in WORKFLOWS
        for job in load(path)["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").startswith("testlytics/testlytics@")
    ]
    assert len(given) == 2
    assert set().union(*given) <= inputs


def test_all_name_this_version() -> None:
    told = {
        version
        for path in [*EXAMPLES.iterdir(), *WORKFLOWS]
        for version in re.findall(r"testlytics(?:==|@v)([\d.]+\w*)", path.read_text())
    }
    assert told == {testlytics.__version__}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_shipped_shown_and_told_is_the_same(provider: str) -> None:
    source, target = PROVIDERS[provider]
    text = (EXAMPLES / source).read_text(encoding="utf-8")
    assert (SHIPPED / source).read_text(encoding="utf-8") == text
    page = (ROOT / "docs" / "how-to" / "ci" / f"{provider}.md").read_text(encoding="utf-8")
    assert f"\n{text}```" in page
    assert target in text.splitlines()[0]


def test_every_provider_has_its_files_and_its_page() -> None:
    assert [one.value for one in Provider] == list(PROVIDERS)
    assert {path.name for path in EXAMPLES.iterdir()} == {path.name for path in SHIPPED.iterdir()}
    assert {path.name for path in EXAMPLES.iterdir()} == {name for name, _ in PROVIDERS.values()}
    pages = {path.stem for path in (ROOT / "docs" / "how-to" / "ci").iterdir()}
    assert pages == set(PROVIDERS)


def scripts() -> Iterator[tuple[str, str]]:
    """Each CI's shell commands, as it hands them to a shell that ends at the first error."""
    yield "gitlab", "\n".join(load(EXAMPLES / "gitlab-ci.yml")["tests"]["script"])
    command_text = load(EXAMPLES / "buildkite.yml")["steps"][0]["command"]
    yield "buildkite", command_text.replace("$$", "$")
    [text] = re.findall(r"sh '''\n(.*?)'''", (EXAMPLES / "Jenkinsfile").read_text(), re.DOTALL)
    yield "jenkins", text.replace(".venv/bin/", "")
    steps = load(EXAMPLES / "azure-pipelines.yml")["steps"]
    [text] = [step["script"] for step in steps if "script" in step]
    yield "azure", text
    steps = load(EXAMPLES / "circleci.yml")["jobs"]["tests"]["steps"]
    [text] = [step["run"]["command"] for step in steps if "run" in step]
    yield "circleci", text


@pytest.mark.parametrize(("provider", "script"), list(scripts()), ids=[n for n, _ in scripts()])
def test_the_script_runs_and_tells(provider: str, script: str, tmp_path: Path) -> None:
    bin_, work, remote = (tmp_path / name for name in ("bin", "work", "remote"))
    for made in (bin_, work):
        made.mkdir()
    for arguments in (["init", "--bare", remote], ["-C", work, "init"],
                      ["-C", work, "remote", "add", "origin", remote]):  # fmt: skip
        subprocess.run(["git", *map(str, arguments)], check=True, capture_output=True)
    fakes = {
        "pip": "exit 0",
        "python": "exit 0",
        "buildkite-agent": 'echo "$@" > annotated; cat >> annotated',
        "pytest": "mkdir -p .testlytics; cp ../run.jsonl .testlytics/; exit $(cat ../pytest-exit)",
        "testlytics": f'exec {shlex.join(forked.program())} "$@"',
    }
    for name, text in fakes.items():
        (bin_ / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (bin_ / name).chmod(0o755)
    branch = {"BUILDKITE_BRANCH": "main", "BRANCH_NAME": "main", "TESTLYTICS_BASE": "main"}
    for number, (outcome, code) in enumerate((("passed", 0), ("failed", 1))):
        run_file(tmp_path / "run.jsonl", [attempt(), attempt("b.py::test", outcome)], number)
        (tmp_path / "pytest-exit").write_text(str(code), encoding="utf-8")
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=work,
            env={"PATH": f"{bin_}:/usr/bin:/bin", "STORE_FOLDER": "store", **branch},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
    told = [path for path in work.rglob("*") if path.name in {"gate.json", "annotated"}]
    assert told, list(work.iterdir())
    if provider in {"buildkite", "jenkins"}:
        merged = command("merge", f"git:{remote}#testlytics-history", cwd=tmp_path)
        assert "2 uploads stored" in merged.out, merged


def test_init_makes_what_is_missing_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_bytes(b'[project]\nname = "x"')
    dry = command("init", "--dry-run", cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "pyproject.toml"]
    assert "    runs-on:" not in dry.out.split("\n")
    assert "runs-on: ubuntu" in dry.out
    done = command("init", cwd=tmp_path)
    assert done.code == 0, done.err
    workflow = tmp_path / ".github" / "workflows" / "testlytics.yml"
    assert workflow.read_text() == (EXAMPLES / "github.yml").read_text()
    settings = (tmp_path / "pyproject.toml").read_text()
    assert settings.startswith('[project]\nname = "x"\n\n[tool.testlytics')
    assert tomllib.loads(settings)["tool"]["testlytics"] == {"prune": {"keep-runs": 1000}}
    assert (tmp_path / ".gitignore").read_text() == ".testlytics/\n"
    assert command("prune", cwd=tmp_path).code == 5, "the settings are read: only the store is none"

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = command("init", cwd=tmp_path)
    assert (again.code, again.out.count("left  ")) == (0, 3)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("provider", PROVIDERS)
def test_init_sees_which_ci_there_is_and_leaves_its_file(provider: str, tmp_path: Path) -> None:
    target = tmp_path / PROVIDERS[provider][1]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("mine", encoding="utf-8")
    done = command("init", cwd=tmp_path)
    assert f"left      {PROVIDERS[provider][1]} is there already" in done.out
    assert f"docs/how-to/ci/{provider}.md" in done.out
    assert target.read_text(encoding="utf-8") == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [target]


def test_init_follows_no_link_and_keeps_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "project" / ".github" / "workflows").mkdir(parents=True)
    link = tmp_path / "project" / ".github" / "workflows" / "testlytics.yml"
    link.symlink_to(tmp_path / "elsewhere.yml")
    (tmp_path / "project" / "pyproject.toml").write_text("[project", encoding="utf-8")
    done = command("init", cwd=tmp_path / "project")
    assert done.code == 2
    (tmp_path / "project" / "pyproject.toml").unlink()
    assert command("init", cwd=tmp_path / "project").code == 0
    assert not (tmp_path / "elsewhere.yml").exists()
