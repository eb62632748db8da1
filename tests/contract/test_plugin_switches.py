"""When the plugin records, where, and that it is not there at all when it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.plugin.recorded import DATA, read, record, run, run_script
from tests.unit.plugin.schema import violations

WATCH = """
import json, pathlib, sys

def loaded(config):
    names = [name for name, plugin in config.pluginmanager.list_name_plugin() if plugin]
    return {
        "plugins": sorted(name for name in names if "testlytics" in name),
        "modules": sorted(name for name in sys.modules if name.startswith("pytest_testlytics.")),
    }

def pytest_runtest_setup(item):
    who = getattr(item.config, "workerinput", {}).get("workerid", "main")
    pathlib.Path(__file__).with_name(who + ".json").write_text(json.dumps(loaded(item.config)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(WATCH, encoding="utf-8")
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n", encoding="utf-8")
    return tmp_path


def hooks_in(folder: Path, who: str = "main") -> list[str]:
    plugins: list[str] = json.loads((folder / f"{who}.json").read_text("utf-8"))["plugins"]
    return plugins


def test_off_loads_options_and_registers_nothing(folder: Path) -> None:
    recorded = run(folder)
    assert recorded.path is None
    found = json.loads((folder / "main.json").read_text("utf-8"))
    assert found["plugins"] == ["testlytics"]
    assert "pytest_testlytics.recorder" not in found["modules"]
    assert "testlytics" not in recorded.output.replace("testlytics-0.1.0", "")


def test_worker_registers_nothing(folder: Path) -> None:
    recorded = record(folder, "-p", "xdist", "-n1")
    assert hooks_in(folder, "gw0") == ["testlytics"]
    assert len(recorded.attempts) == 1


def test_session_that_runs_no_test_leaves_nothing(folder: Path) -> None:
    options = "collect-only setup-plan setup-only fixtures markers help version cache-show"
    (folder / "sessions.py").write_text(
        "import pytest, sys\n"
        "for option in sys.argv[1:]:\n"
        "    pytest.main(['-p', 'testlytics', '--testlytics', option])\n",
        encoding="utf-8",
    )
    output = run_script(folder, "sessions.py", *(f"--{option}" for option in options.split()))
    assert "test_one.py" in output
    assert not (folder / ".testlytics").exists()


def test_command_line_beats_environment_beats_settings(folder: Path) -> None:
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestlytics = on\ntestlytics_project = from-ini\n"
        "testlytics_tags =\n  a=ini\n  b=ini\n  c=ini\n",
        encoding="utf-8",
    )
    assert run(folder, "--no-testlytics", TESTLYTICS="1").path is None
    recorded = run(
        folder,
        "--testlytics-tag=a=cli",
        TESTLYTICS_TAGS="a=env,b=env",
        TESTLYTICS_PROJECT="from-env",
        TESTLYTICS_RUN_ID="run-7",
        TESTLYTICS_COMMIT="c" * 40,
        TESTLYTICS_BRANCH="topic",
        TESTLYTICS_PR="12",
        TESTLYTICS_RUN_ATTEMPT="3",
        TESTLYTICS_SHARD="2/5",
        TESTLYTICS_TREE="d" * 40,
    )
    (header, *_) = recorded.records
    assert header["project"] == "from-env"
    assert {key: header["variant"][key] for key in "abc"} == {"a": "cli", "b": "env", "c": "ini"}
    assert header["run_id"] == "run-7"
    assert header["sources"] == {
        "commit": "c" * 40,
        "tree_sha": "d" * 40,
        "dirty": False,
        "branch": "topic",
        "pull_request": "12",
    }
    assert (header["ci"]["run_attempt"], header["ci"]["shard"]) == (3, "2/5")


def test_ci_mode_records_in_a_ci(folder: Path) -> None:
    recorded = run(folder, TESTLYTICS="ci", GITHUB_ACTIONS="true", GITHUB_RUN_ID="99")
    assert recorded.records[0]["run_id"] == "github-99"
    assert recorded.records[0]["sources"]["dirty"] is False


def test_file_and_folder_can_be_chosen(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "one.jsonl").write_text("of an earlier run", encoding="utf-8")
    record(folder, "--testlytics-file", "deep/one.jsonl")
    record(folder, "--testlytics-dir", "elsewhere")
    assert [line["type"] for line in read(folder / "deep" / "one.jsonl")] == [
        "run",
        "running",
        "attempt",
        "end",
    ]
    assert [path.suffix for path in (folder / "elsewhere").iterdir()] == [".jsonl"]
    assert not (folder / ".testlytics").exists()


def test_plugin_is_found_by_itself(folder: Path) -> None:
    recorded = run(folder, TESTLYTICS="1", PYTEST_DISABLE_PLUGIN_AUTOLOAD="")
    assert len(recorded.attempts) == 1
    assert any(
        name.startswith("pytest-xdist ") for name in recorded.records[0]["context"]["plugins"]
    )


def test_inner_sessions_leave_the_outer_file_alone(folder: Path) -> None:
    (folder / "test_nested.py").write_text(
        "import os\n"
        "def test_silent(pytester):\n"
        "    pytester.makepyfile('def test_inner(): pass')\n"
        "    pytester.runpytest_inprocess().assert_outcomes(passed=1)\n"
        "    pytester.runpytest_subprocess('-p', 'testlytics').assert_outcomes(passed=1)\n"
        "    assert not (pytester.path / '.testlytics').exists()\n"
        "def test_asked_for(pytester):\n"
        "    pytester.makepyfile('def test_inner(): pass')\n"
        "    pytester.runpytest_inprocess('-p', 'testlytics', '--testlytics')\n"
        "    assert len(list((pytester.path / '.testlytics').glob('*.jsonl'))) == 1\n"
        "def test_same_file(pytester):\n"
        "    pytester.makepyfile('def test_inner(): pass')\n"
        "    file = '--testlytics-file=' + os.environ['TESTLYTICS_ACTIVE']\n"
        "    result = pytester.runpytest_inprocess('-p', 'testlytics', '--testlytics', file)\n"
        "    result.assert_outcomes(passed=1)\n"
        "    result.stdout.fnmatch_lines('*belongs to the session around this one*')\n",
        encoding="utf-8",
    )
    recorded = run(folder, "-p", "pytester", "test_nested.py", TESTLYTICS="1")
    assert recorded.exit_status == 0, recorded.output
    assert recorded.ends == {
        "test_silent": "passed",
        "test_asked_for": "passed",
        "test_same_file": "passed",
    }
    assert recorded.records[-1]["attempts"] == 3


def test_two_sessions_in_one_process_leave_two_files_and_nothing_alive(folder: Path) -> None:
    (folder / "twice.py").write_text(
        "import gc, os, sys, pytest\n"
        "arguments = ['-p', 'testlytics', '-p', 'no:cacheprovider', *sys.argv[1:]]\n"
        "for _ in range(2):\n"
        "    pytest.main(arguments)\n"
        "    assert 'TESTLYTICS_ACTIVE' not in os.environ\n"
        "gc.collect()\n"
        "alive = [o for o in gc.get_objects() if isinstance(o, (pytest.Session, pytest.Config))]\n"
        "print('alive:', len(alive))\n",
        encoding="utf-8",
    )
    plain = run_script(folder, "twice.py").rpartition("alive: ")[2]
    assert run_script(folder, "twice.py", "--testlytics").rpartition("alive: ")[2] == plain
    assert len(list((folder / ".testlytics").glob("*.jsonl"))) == 2


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n1")])
def test_markers_and_resources_are_recorded_when_asked_for(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  owner: who\n  slow: takes long\ntestlytics_markers = owner slow\n",
        encoding="utf-8",
    )
    (folder / "test_marked.py").write_text(
        "import pytest\n"
        "pytestmark = pytest.mark.owner('team', 'a')\n"
        "@pytest.mark.slow\n"
        "def test_marked():\n"
        "    big = b'x' * 50_000_000\n"
        "    sum(range(300_000))\n"
        "@pytest.mark.owner('b')\n"
        "def test_failing(): assert 0\n",
        encoding="utf-8",
    )
    recorded = record(folder, "--testlytics-resources", *arguments)
    assert recorded.named("test_marked")["markers"] == {"owner": "team a", "slow": ""}
    assert recorded.named("test_failing")["markers"] == {"owner": "b"}
    assert "markers" not in recorded.named("test_one")
    assert recorded.named("test_marked")["cpu_us"] > 0
    assert recorded.named("test_marked")["peak_growth_bytes"] > 20_000_000
    assert [found for line in recorded.records for found in violations(line)] == []


def test_what_is_not_run_is_told_from_what_is_gone(folder: Path) -> None:
    shutil.copy(DATA / "scenario_small.py", folder / "test_small.py")
    narrowed = record(
        folder, "-k", "many", "--deselect", "test_small.py::test_many[0]", "test_small.py"
    )
    (end,) = narrowed.of_type("end")
    assert (end["collected"], end["deselected"]) == (39, 6)
    assert narrowed.records[0]["context"]["selection"] == {
        "paths": ["test_small.py"],
        "keyword": "many",
        "deselect": ["test_small.py::test_many[0]"],
    }
    stopped = record(folder, "-x", "-p", "xdist", "-n2")
    (end,) = stopped.of_type("end")
    assert "stopping after 1 failures" in end["stopped"]
    assert end["attempts"] < end["collected"] == 46


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n2")])
def test_broken_collectors_are_written_once(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "test_broken.py").write_text("import nothing_like_that\n", encoding="utf-8")
    (folder / "test_skipped.py").write_text(
        "import pytest\npytest.skip('not here', allow_module_level=True)\n", encoding="utf-8"
    )
    recorded = record(folder, "--continue-on-collection-errors", *arguments)
    collected = {line["test_id"]: line for line in recorded.of_type("collect")}
    assert len(recorded.of_type("collect")) == 2
    assert collected["test_broken.py"]["outcome"] == "errored"
    broken = collected["test_broken.py"]["failure"]
    assert broken["type"] == "ModuleNotFoundError"
    assert broken["message"] == "ModuleNotFoundError: No module named 'nothing_like_that'"
    assert collected["test_skipped.py"]["outcome"] == "skipped"
    assert collected["test_skipped.py"]["failure"]["message"] == "not here"
    assert recorded.ends == {"test_one": "passed"}
    assert recorded.exit_status == recorded.records[-1]["exit_status"] == 1


def test_named_twice_records_once(folder: Path) -> None:
    recorded = record(folder, "-p", "pytest_testlytics")
    assert len(recorded.attempts) == 1
    assert hooks_in(folder) == ["pytest_testlytics", "testlytics", *hooks_in(folder)[2:]]
