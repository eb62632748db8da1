"""The command as people and scripts rely on it: exit codes, one clear line, JSON shapes."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.command import Done, command
from tests.factories import attempt, history, lines, run_file

STORE = Path(".testlytics") / "history.duckdb"
JUNIT = b"""<testsuite name="unit" tests="3">
<testcase classname="com.shop.CartTest" name="adds" time="0.5"/>
<testcase classname="com.shop.CartTest" name="removes" time="0.25"><failure/></testcase>
<testcase classname="com.shop.CartTest" name="pays" time="0"><skipped/></testcase>
</testsuite>"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def one_line(done: Done, code: int, *words: str) -> None:
    """Check for one clear line on stderr, no data and no traceback."""
    assert done.code == code, done.err
    assert done.err.count("\n") == 1, done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err + done.out


def test_no_arguments_show_the_help(project: Path) -> None:
    assert "Commands:" in command(cwd=project).out + command(cwd=project).err


def test_ingest_then_report(project: Path) -> None:
    history(project, {"a.py::test_flaky": "PLPPFPPPPPPP", "a.py::test_good": "P" * 12})
    assert command("ingest", ".", cwd=project).code == 0
    done = command("report", "--flaky", cwd=project)
    assert done.code == 0
    assert "Flaky tests (1)" in done.out
    assert "a.py::test_flaky" in done.out
    assert "test_good" not in done.out
    assert done.err == ""


def test_ingest_without_paths_takes_the_projects_run_files(project: Path) -> None:
    (project / ".testlytics").mkdir()
    history(project / ".testlytics", {"t": "PP"})
    inner = project / "src" / "deep"
    inner.mkdir(parents=True)
    assert "2 stored" in command("ingest", cwd=inner).out
    assert (project / STORE).is_file()


def test_ingest_answers_per_file_in_json(project: Path) -> None:
    history(project, {"t": "P", "u": "F"})
    (project / "bad.xml").write_text("<testsuite><testcase name='x'>")
    done = command("ingest", ".", "--format", "json", cwd=project)
    assert done.code == 3
    assert done.json["schema"] == 1
    bad, good = done.json["files"]
    assert (bad["status"], good["status"]) == ("refused", "stored")
    assert bad["problems"][-1]["line"] == 1
    assert good == {
        "path": "./run-000.jsonl",
        "format": "run-file",
        "status": "stored",
        "run_id": "run-0",
        "testcases": 2,
        "passed": 1,
        "failed": 1,
        "errored": 0,
        "skipped": 0,
        "xfailed": 0,
        "xpassed": 0,
        "unknown": 0,
        "tests": 2,
        "attempts": 2,
        "measurements": 0,
        "problems": [],
    }


def test_ingest_twice_says_so(project: Path) -> None:
    history(project, {"t": "PP"})
    command("ingest", ".", cwd=project)
    done = command("ingest", ".", cwd=project)
    assert (done.code, done.out.count("already stored  ")) == (0, 2)
    assert done.out.endswith("2 already stored\n")


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(project: Path, packed: bool) -> None:
    data = gzip.compress(JUNIT) if packed else JUNIT
    done = command("ingest", "-", "--format", "json", cwd=project, stdin=data)
    assert (done.code, done.json["files"][0]["testcases"]) == (0, 3)


def test_junit_of_another_tool_stands_beside_pytest(project: Path) -> None:
    history(project, {"a.py::test_one": "P" * 12})
    (project / "TEST-shop.xml").write_bytes(JUNIT)
    assert command("ingest", ".", cwd=project).code == 0
    names = [
        row["test_id"]
        for row in command("report", "--slowest", "--format", "json", cwd=project).json["slowest"]
    ]
    assert "com.shop.CartTest::adds" in names
    assert "a.py::test_one" in names


def test_globs_and_folders(project: Path) -> None:
    deep = project / "build" / "reports"
    deep.mkdir(parents=True)
    (deep / "one.xml").write_bytes(JUNIT)
    (deep / "coverage.xml").write_text("<coverage><packages/></coverage>")
    assert command("ingest", "build/**/one.x*", cwd=project).out.startswith("stored")
    done = command("ingest", "build", cwd=project)
    assert (done.code, done.out.count("\n")) == (0, 1)


def test_not_a_test_file(project: Path) -> None:
    (project / "notes.txt").write_text("buy milk\n")
    done = command("ingest", "notes.txt", cwd=project)
    one_line(done, 3, "notes.txt", "Neither a run file nor JUnit XML", "buy milk")


def test_empty_file(project: Path) -> None:
    (project / "empty.xml").touch()
    one_line(command("ingest", "empty.xml", cwd=project), 3, "empty.xml", "empty")


def test_missing_path(project: Path) -> None:
    one_line(command("ingest", "gone.xml", cwd=project), 3, "gone.xml", "no such file")
    one_line(command("ingest", "gone/*.xml", cwd=project), 3, "gone/*.xml", "No file matches")


def test_folder_without_results(project: Path) -> None:
    (project / "empty").mkdir()
    done = command("ingest", "empty", cwd=project)
    assert (done.code, done.out) == (5, "")
    assert "empty: no run files" in done.err


def test_store_that_is_a_folder(project: Path) -> None:
    path = run_file(project / "1.jsonl", [attempt()])
    one_line(command("ingest", path, "--store", project, cwd=project), 3, "is a folder", "--store")


def test_locked_store(project: Path) -> None:
    path = run_file(project / "1.jsonl", [attempt()])
    command("ingest", path, cwd=project)
    code = (
        "import sys, pathlib\n"
        "from testlytics_collector.store.store import open_store\n"
        "with open_store(pathlib.Path(sys.argv[1]), write=True):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(project / STORE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        other = run_file(project / "2.jsonl", [attempt()], 2)
        done = command("report", "--wait", 0, cwd=project)
        one_line(done, 3, "in use", f"process {holder.pid}", "--wait")
        done = command("ingest", other, "--wait", 0, cwd=project)
        one_line(done, 0, "Waits in", "safe")
        assert done.out.startswith("spooled  ")
        holder.communicate("")
    assert command("ingest", other, cwd=project).out.startswith("already stored")


def test_store_of_a_newer_version(project: Path) -> None:
    path = run_file(project / "1.jsonl", [attempt()])
    command("ingest", path, cwd=project)
    with duckdb.connect(str(project / STORE)) as connection:
        connection.execute("update raw.meta set value = '99'").fetchall()
    for arguments in (("ingest", path), ("report",)):
        one_line(command(*arguments, cwd=project), 3, "schema 99", "pip install -U testlytics")


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a read-only folder: /sys")
def test_read_only_folder(project: Path) -> None:
    path = run_file(project / "1.jsonl", [attempt()])
    for store in ("/sys/kernel/h.duckdb", "/sys/kernel/new/h.duckdb"):
        one_line(command("ingest", path, "--store", store, cwd=project), 3, "Cannot", "--store")
    assert path.is_file()


def test_report_without_a_store(project: Path) -> None:
    one_line(command("report", cwd=project), 5, "no store", "testlytics ingest")
    assert not (project / STORE).exists()


def test_report_of_nothing_that_fits(project: Path) -> None:
    command("ingest", run_file(project / "1.jsonl", [attempt()]), cwd=project)
    one_line(command("report", "--branch", "no", cwd=project), 5, "no run that fits", "--branch")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "--no-such-option"), "No such option"),
        (("report", "--format", "xls"), "xls"),
        (("report", "--variant", "linux"), "key=value"),
        (("report", "--since", "yesterday"), "--since"),
        (("report", "--flaky", "--broken", "--format", "csv"), "one list"),
        (("ingest", "x", "--format", "csv"), "table or json"),
        (("unheard",), "unheard"),
    ],
)
def test_wrong_usage_is_exit_code_2(project: Path, arguments: tuple[str, ...], words: str) -> None:
    done = command(*arguments, cwd=project)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err


def test_options_come_from_flag_environment_and_configuration(project: Path) -> None:
    path = run_file(project / "1.jsonl", [attempt()])
    (project / "pyproject.toml").write_text(
        '[tool.testlytics]\nstore = "shared.db"\n[tool.testlytics.report]\nformat = "json"\n'
    )
    command("ingest", path, cwd=project)
    assert (project / "shared.db").is_file()
    assert command("report", cwd=project).json["summary"]["runs"] == 1
    assert "1 test in" in command("report", "--format", "table", cwd=project).out
    env = {"TESTLYTICS_STORE": "env.db"}
    one_line(command("report", cwd=project, env=env), 5, "env.db")
    assert command("report", "--store", "shared.db", cwd=project, env=env).code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.testlytics]\nstroe = 1\n", "'stroe'"),
        ("[tool.testlytics.report]\nrun_id = 1\n", "'run_id'"),
        ("[tool", "cannot be read"),
    ],
)
def test_wrong_configuration_is_named(project: Path, text: str, words: str) -> None:
    (project / "pyproject.toml").write_text(text)
    one_line(command("report", cwd=project), 2, "pyproject.toml", words)


def test_formats_tell_the_same(project: Path) -> None:
    history(project, {"a.py::test_x[a|b]": "PLPPPPPPPPPP", "b.py::test_y[=1+1]": "P" * 12})
    command("ingest", ".", cwd=project)
    told = command("report", "--flaky", "--format", "json", cwd=project).json
    table = command("report", "--flaky", "--format", "csv", cwd=project).out
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["test_id"] for row in rows] == [row["test_id"] for row in told["flaky"]]
    assert float(rows[0]["failure_rate"]) == told["flaky"][0]["failure_rate"]
    markdown = command("report", "--flaky", "--format", "markdown", cwd=project).out
    assert "test_x" in markdown
    assert "a|b" not in markdown  # it would be a cell of its own


def test_hostile_names_stay_in_their_place(project: Path) -> None:
    hostile = "t[\x1b[31m\u202e\r\n::error::x</details><script>`|]"
    history(project, {hostile: "PLPPPPPPPPPP", "=cmd()": "PLPPPPPPPPPP"})
    command("ingest", ".", cwd=project)
    table, markdown = (
        command("report", "--flaky", "--format", form, cwd=project).out
        for form in ("table", "markdown")
    )
    for out in (table, markdown):
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert not any(line.startswith("::error") for line in out.splitlines())
    assert "<script>" not in markdown
    assert ",'=cmd()," in command("report", "--flaky", "--format", "csv", cwd=project).out


def test_table_fits_80_columns_and_never_cuts_a_name(project: Path) -> None:
    names = [f"tests/{'folder/' * 12}test_file.py::TestClass::test_case[{n}]" for n in range(12)]
    # Each in another run: if all failed in one, it would be the fault of none of them.
    history(project, {name: f"{'P' * n}L{'P' * (11 - n)}" for n, name in enumerate(names)})
    command("ingest", ".", cwd=project)
    out = command("report", "--flaky", "--slowest", cwd=project).out
    assert max(map(len, out.splitlines())) <= 80
    joined = "".join(line.strip() for line in out.splitlines())
    assert all(joined.count(name) >= 1 for name in names)


def test_colours_only_on_a_terminal(project: Path) -> None:
    history(project, {"t": "PLPPPPPPPPPP"})
    command("ingest", ".", cwd=project)
    done = command("report", "--flaky", cwd=project, env={"NO_COLOR": "", "TERM": "xterm"})
    assert "\x1b" not in done.out
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "testlytics", "report", "--flaky"],
        cwd=project,
        stdout=follower,
        env={**os.environ, "NO_COLOR": "", "TERM": "xterm"},
        check=True,
    )
    os.close(follower)
    assert b"\x1b[1;33m" in os.read(leader, 10_000)
    os.close(leader)


@pytest.mark.parametrize(
    "arguments", [("report", "--slowest", "--limit", "0"), ("export", "--format", "junit")]
)
def test_output_into_a_closed_pipe_is_no_error(project: Path, arguments: tuple[str, ...]) -> None:
    history(project, {"t" * 100 + str(n): "P" for n in range(3_000)})
    command("ingest", ".", cwd=project)
    with subprocess.Popen(
        [sys.executable, "-m", "testlytics", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_names_that_are_no_utf8(project: Path) -> None:
    path = os.fsencode(project) + b"/caf\xe9.jsonl"
    try:
        with open(path, "wb") as stream:  # noqa: PTH123
            stream.write(lines({"type": "nothing"}))
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    done = command("ingest", ".", "--format", "json", cwd=project)
    assert (done.code, done.json["files"][0]["status"]) == (3, "refused")
    one_line(command("ingest", ".", cwd=project), 3, "caf")
