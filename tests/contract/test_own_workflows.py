"""The workflows of this repository: valid, audited, of least permissions, and in step with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.composite import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
USES = re.compile(r"uses: ([\w.-]+/[\w./-]+?)@(\S+(?: # \S+)?)$", re.MULTILINE)


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )


def audit(*paths: Path) -> subprocess.CompletedProcess[str]:
    config = ROOT / "examples" / "zizmor.yml"
    return tool("zizmor", "--offline", "--no-progress", "--quiet", "--config", config, *paths)


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_what_github_reads(path: Path) -> None:
    schema = ("--builtin-schema", "vendor.github-workflows", "--regex-variant", "nonunicode")
    done = tool("check-jsonschema", *schema, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_audit_finds_nothing_and_would_find_what_is_wrong(tmp_path: Path) -> None:
    done = audit(*WORKFLOWS)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / ".github" / "workflows" / "tests.yml"
    wrong.parent.mkdir(parents=True)
    shutil.copy(FOLDER / "tests.yml", wrong)
    text = wrong.read_text(encoding="utf-8")
    wrong.write_text(text.replace("- run: make", "- run: ${{ github.head_ref }} make", 1))
    assert "template-injection" in audit(wrong).stdout


def test_actions_are_pinned_to_one_commit_each_everywhere() -> None:
    others = [ROOT / "action.yml", *(ROOT / "examples").rglob("*.yml")]
    pins: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, *others]:
        text = path.read_text(encoding="utf-8")
        for name, pin in re.findall(
            r"uses: ([\w.-]+/[\w./-]+?)@(\S+(?: # \S+)?)$", text, re.MULTILINE
        ):
            if name != "testlytics/testlytics":
                pins.setdefault(name, set()).add(pin)
    assert {name: len(found) for name, found in pins.items()} == dict.fromkeys(pins, 1)
    assert all(re.fullmatch(r"[0-9a-f]{40} # v[\d.]+", pin) for [pin] in pins.values()), pins


def test_only_two_jobs_may_do_more_than_read() -> None:
    more = {}
    for path in WORKFLOWS:
        workflow = load(path)
        assert workflow["permissions"] in ({}, {"contents": "read"})
        assert "pull_request_target" not in workflow["on"]
        assert all("timeout-minutes" in job for job in workflow["jobs"].values())
        for name, job in workflow["jobs"].items():
            given = {key for key, value in job.get("permissions", {}).items() if value != "read"}
            if given:
                more[f"{path.stem}.{name}"] = given
    assert more == {"nightly.gate": {"contents"}, "release.publish": {"id-token"}}


def test_who_may_publish_runs_nothing_but_the_upload() -> None:
    publish = load(FOLDER / "release.yml")["jobs"]["publish"]
    assert publish["environment"]["name"] == "pypi"
    assert publish["permissions"] == {"id-token": "write"}
    assert [set(step) - {"with"} for step in publish["steps"]] == [{"uses"}, {"uses"}]
    assert "password" not in str(publish)


def test_what_is_judged_is_what_was_recorded() -> None:
    inputs = set(load(ROOT / "action.yml")["inputs"])
    for name, legs in (("tests", "tests"), ("nightly", "suites")):
        workflow = load(FOLDER / f"{name}.yml")
        gate = workflow["jobs"]["gate"]
        assert gate["needs"] == legs
        [ours] = [step for step in gate["steps"] if step.get("uses") == "$/"]
        assert set(ours["with"]) <= inputs
        assert ours["with"]["version"] == "local"
        recorded = [step["run"] for step in steps(workflow) if "--testlytics" in str(step)]
        assert recorded
        kept = [step["with"]["name"] for step in workflow["jobs"][legs]["steps"] if "with" in step
                and "name" in step["with"]]  # fmt: skip
        [pattern] = [step["with"]["pattern"] for step in gate["steps"] if "pattern" in
                     step.get("with", {})]  # fmt: skip
        assert [one.startswith(pattern.removesuffix("*")) for one in kept] == [True]


def test_they_run_what_is_there() -> None:
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "Makefile.test.mk"))
    for path in WORKFLOWS:
        for target in re.findall(r"\bmake PYTHON=python ([\w-]+)", path.read_text()):
            assert re.search(rf"^{target}:", text, re.MULTILINE), target
    nightly = load(FOLDER / "nightly.yml")["jobs"]["suites"]["strategy"]["matrix"]["include"]
    assert all((ROOT / "tests" / one["suite"]).is_dir() for one in nightly)


def test_every_supported_python_is_tried() -> None:
    matrix = load(FOLDER / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = [
        one.rpartition(" ")[2]
        for one in project["classifiers"]
        if re.search(r"Python :: 3\.\d+$", one)
    ]
    assert set(told) <= set(matrix["python"])
    assert project["requires-python"] == f">={matrix['python'][0]}"
