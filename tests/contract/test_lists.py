"""Lists, SQL, pruning and purging, as people and scripts use them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from random import Random

import duckdb
import pytest

from testlytics.report.sections import failure
from testlytics_analytics.interval import wilson
from testlytics_collector.store.store import open_store
from tests.command import command
from tests.factories import attempt, history, run_file

STORE = Path(".testlytics") / "history.duckdb"
HOSTILE = "t[\x1b[31m\u202e|=x]"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    (folder / "pyproject.toml").touch()
    tests = {"a.py::test_flaky": "PLPPFPPPPPPP", "a.py::test_good": "P" * 12, "b.py::x": "F" * 12}
    history(folder, tests)
    assert command("ingest", ".", cwd=folder).code == 0
    return folder


@pytest.fixture
def project(filled: Path, tmp_path: Path) -> Path:
    """A copy of one's own: most tests write."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return tmp_path


def state(project: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(project / STORE), read_only=True) as connection:
        found: list[tuple[object, ...]] = connection.execute(
            "from derived.state order by all"
        ).fetchall()
        return found


def test_runs(project: Path) -> None:
    told = command("runs", "--format", "json", cwd=project).json
    assert told["schema"] == 1
    newest, *_, second, _ = told["runs"]
    assert (newest["run_id"], newest["branch"], newest["variants"]) == (
        "run-11",
        "main",
        ["os=linux"],
    )
    counts = [second[name] for name in ("tests", "passed", "failed", "flaky", "skipped")]
    assert counts == [3, 1, 1, 1, 0]
    assert (newest["complete"], newest["exit_status"]) == (True, 0)
    table = command("runs", "--limit", 2, cwd=project).out
    assert "Runs (12)" in table
    assert "... and 10 more" in table
    assert max(map(len, table.splitlines())) <= 80
    assert command("runs", "--variant", "os=mac", cwd=project).code == 5


def test_cases_of_the_whole_history_and_of_a_window_agree(project: Path) -> None:
    whole = command("tests", "--format", "json", cwd=project).json["tests"]
    window = command("tests", "--last", 100, "--format", "json", cwd=project).json["tests"]
    assert whole == window
    flaky = whole[0]
    assert (flaky["runs"], flaky["failed"], flaky["flaky"], flaky["judged"]) == (12, 1, 1, 12)
    assert (flaky["low"], flaky["high"]) == wilson(2, 12)
    assert flaky["mean_s"] == pytest.approx(0.1)
    assert (flaky["last_verdict"], flaky["last_run_id"]) == ("passed", "run-11")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("FLAKY", ["a.py::test_flaky"]),
        ("*::x", ["b.py::x"]),
        ("a.py::test_goo?", ["a.py::test_good"]),
        ("_", ["a.py::test_flaky", "a.py::test_good"]),
        ("%", None),
        ("test_goo?d", None),
    ],
)
def test_search(project: Path, pattern: str, names: list[str] | None) -> None:
    done = command("tests", pattern, "--format", "csv", cwd=project)
    if names is None:
        assert (done.code, done.out) == (5, "")
    else:
        assert [row["test_id"] for row in csv.DictReader(io.StringIO(done.out))] == names


def test_orders(project: Path) -> None:
    told = command("tests", "--sort", "failures", "--format", "json", cwd=project).json["tests"]
    assert [row["test_id"] for row in told] == ["b.py::x", "a.py::test_flaky", "a.py::test_good"]


def test_owners_of_tag_and_of_file(project: Path) -> None:
    (project / "CODEOWNERS").write_text("* @all\na.py @team/a\n")
    tag = {"kind": "tag", "name": "owner", "value": "@tagged"}
    command(
        "ingest",
        run_file(project / "n.jsonl", [attempt("a.py::test_good", notes=[tag])], 50),
        cwd=project,
    )
    with duckdb.connect(str(project / STORE)) as connection:
        connection.execute(
            """insert into raw.notes
               select max(upload_key), min(test_key), 1, 'tag', 'owner', '@tagged'
               from raw.attempts join raw.tests using (test_key)
               where test_id = 'a.py::test_good'"""
        ).fetchall()
    told = command("tests", "--format", "json", cwd=project).json["tests"]
    assert [row["owner"] for row in told] == ["@team/a", "@tagged", "@all"]


def test_failures(project: Path) -> None:
    told = command("failures", "flaky", "--format", "json", cwd=project).json["failures"]
    assert [(row["run_id"], row["verdict"], row["message"]) for row in told] == [
        ("run-4", "failed", "no"),
        ("run-1", "flaky", "no"),
    ]
    done = command("failures", "good", cwd=project)
    assert (done.code, done.out) == (0, "Failures (0)\n  No failures.\n")


def test_hostile_names_stay_in_their_place(project: Path) -> None:
    rows = [attempt(HOSTILE, "failed", failure={"message": "=1\x1b[2J\u202e", "type": "E|"})]
    command("ingest", run_file(project / "n.jsonl", rows, 50), cwd=project)
    for name in ("tests", "failures", "runs"):
        for form in ("table", "json", "csv", "markdown"):
            out = command(name, "--format", form, cwd=project).out
            assert not {"\x1b", "\u202e"} & set(out)
    assert "t[\x1b" in [
        row["test_id"][:3]
        for row in command("tests", "--format", "json", cwd=project).json["tests"]
    ]
    for form in ("table", "json", "csv", "markdown"):
        done = command(
            "sql", "select message, test_id from failures", "--format", form, cwd=project
        )
        assert not {"\x1b", "\u202e"} & set(done.out)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("drop table raw.runs", "Only statements that read"),
        ("delete from raw.runs", "Only statements that read"),
        ("copy tests to 'x.csv'", "Only statements that read"),
        ("attach 'x.db'", "Only statements that read"),
        ("install httpfs", "Only statements that read"),
        ("select 1; select 2", "One statement"),
        ("", "no query"),
        ("selct", "syntax error"),
        ("from nope", "nope"),
        ("select * from read_text('pyproject.toml')", "disabled"),
        ("select * from read_csv('pyproject.toml')", "disabled"),
        ("select * from glob('*')", "disabled"),
        ("explain analyze delete from raw.runs", "read-only"),
        ("select 'a'::int", "Could not convert"),
    ],
)
def test_sql_reaches_nothing_else(project: Path, query: str, words: str) -> None:
    done = command("sql", query, cwd=project)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err


def test_sql_formats(project: Path) -> None:
    query = "select test_id, count(*) as n from attempts group by 1 order by 1"
    told = command("sql", query, "--format", "json", cwd=project).json
    assert told["rows"][0] == {"test_id": "a.py::test_flaky", "n": 13}
    out = command("sql", "--format", "csv", cwd=project, stdin=query.encode()).out
    assert out.splitlines()[:2] == ["test_id,n", "a.py::test_flaky,13"]
    assert command("sql", query, cwd=project).out.splitlines()[1] == "a.py::test_flaky  13"
    for kind in ("parquet", "csv", "json"):
        assert command("sql", query, "-o", f"x.{kind}", cwd=project).code == 0
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select sum(n) from read_parquet($1)", [str(project / "x.parquet")]
        )
        assert rows.fetchall() == [(37,)]
    assert json.loads((project / "x.json").read_text()) == told
    assert command("sql", query, "-o", "x.xls", cwd=project).code == 2
    assert command("sql", query, "-o", "no/x.parquet", cwd=project).code == 3
    assert not list(project.glob("*.part"))


def test_pruned_runs_still_count_and_do_not_come_back(project: Path) -> None:
    before = state(project)
    told = command("tests", "--format", "json", cwd=project).json
    dry = command("prune", "--keep-runs", 5, "--dry-run", "--format", "json", cwd=project).json
    assert (dry["runs"], dry["dry_run"]) == (7, True)
    assert len(command("runs", "--format", "json", cwd=project).json["runs"]) == 12
    (project / "pyproject.toml").write_text("[tool.testlytics.prune]\nkeep-runs = 5\n")
    done = command("prune", "--compact", "--format", "json", cwd=project).json
    assert (done["runs"], done["attempts"]) == (7, 22)
    assert len(command("runs", "--format", "json", cwd=project).json["runs"]) == 5
    assert state(project) == before
    assert command("tests", "--format", "json", cwd=project).json == told
    assert command("ingest", ".", cwd=project).out.endswith(
        "7 already stored (pruned), 5 already stored\n"
    )
    assert state(project) == before
    assert command("doctor", cwd=project).code == 0


def test_prune_by_age_and_without_a_bound(project: Path) -> None:
    assert command("prune", cwd=project).code == 2
    assert command("prune", "--older-than", "soon", cwd=project).code == 2
    done = command("prune", "--older-than", "2000-01-01", cwd=project)
    assert done.out == "No run is beyond the bounds.\n"


def test_compacted_store_is_smaller_and_the_same(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    noise = Random(5)  # texts that take room however well they are compressed
    for number in range(4):
        rows = [
            attempt(f"t{n}", "failed", failure={"message": noise.randbytes(500).hex()})
            for n in range(3_000)
        ]
        run_file(tmp_path / f"{number}.jsonl", rows, number)
    command("ingest", ".", cwd=tmp_path)
    done = command("prune", "--keep-runs", 1, "--compact", "--format", "json", cwd=tmp_path).json
    assert done["bytes_after"] < done["bytes_before"]
    with open_store(tmp_path / STORE, write=True) as store:
        assert store.differences(mend=False) == {}
    assert len(command("failures", "--format", "json", cwd=tmp_path).json["failures"]) == 3_000


def test_purge_of_a_case(project: Path) -> None:
    done = command("purge", "--test", "b.py::x", "--format", "json", cwd=project)
    assert (done.code, done.json["remaining"]) == (0, {})
    assert done.json["removed"]["raw.attempts"] == 12
    names = [
        row["test_id"] for row in command("tests", "--format", "json", cwd=project).json["tests"]
    ]
    assert names == ["a.py::test_flaky", "a.py::test_good"]
    assert b"b.py::x" not in (project / STORE).read_bytes()
    assert command("doctor", cwd=project).code == 0


def test_purge_of_a_name_says_where_it_still_stands(project: Path) -> None:
    rows = [attempt("t[Ada]", "failed", failure={"message": "Dear ADA", "type": "E", "text": "x"})]
    command("ingest", run_file(project / "n.jsonl", rows, 50), "--branch", "ada/fix", cwd=project)
    done = command("purge", "--text", "ada", "--format", "json", cwd=project)
    assert done.code == 1
    assert done.json["remaining"] == {"raw.tests.test_id": 1}
    assert done.json["removed"] == {"raw.uploads": 1, "raw.messages": 1}
    assert command("purge", "--test", "t[Ada]", cwd=project).code == 0
    assert command("purge", "--text", "ada", cwd=project).code == 0
    assert b"dear ada" not in (project / STORE).read_bytes().lower()


@pytest.mark.parametrize("arguments", [(), ("--messages", "--text", "x"), ("--text", "")])
def test_purge_takes_one_thing(project: Path, arguments: tuple[str, ...]) -> None:
    assert command("purge", *arguments, cwd=project).code == 2


@pytest.mark.parametrize("how", ["hash", "none", "purged"])
def test_messages_that_are_not_kept(tmp_path: Path, how: str) -> None:
    (tmp_path / "pyproject.toml").touch()
    why = {"type": "E", "message": "secret-1", "text": "secret-2", "place": "a.py:1"}
    rows = [
        attempt("a", "failed", failure=why),
        attempt("b", "failed", failure=why),
        attempt("c", "failed", failure={**why, "message": "secret-3"}),
    ]
    run_file(tmp_path / "1.jsonl", rows)
    options = () if how == "purged" else ("--messages", how)
    command("ingest", ".", *options, cwd=tmp_path)
    if how == "purged":
        assert command("purge", "--messages", cwd=tmp_path).code == 0
    told = command("failures", "--format", "json", cwd=tmp_path).json["failures"]
    assert [row["type"] for row in told] == ["E"] * 3
    assert len({row["message"] for row in told}) == (2 if how == "hash" else 1)
    assert b"secret-" not in (tmp_path / STORE).read_bytes()


@pytest.mark.parametrize("name", ["runs", "tests", "failures", "report"])
def test_a_variant_that_nothing_has_is_no_good_news(tmp_path: Path, name: str) -> None:
    store = tmp_path / "h.duckdb"
    command("ingest", *history(tmp_path, {"t": "PF"}), "--store", store, cwd=tmp_path)
    done = command(name, "--variant", "os=no", "--store", store, cwd=tmp_path)
    assert (done.code, done.out) == (5, "")


def test_a_query_that_is_far_too_long_is_refused_not_cut(project: Path) -> None:
    done = command("sql", cwd=project, stdin=b"from runs -- " + b"x" * 2**20)
    assert (done.code, done.out) == (2, "")
    assert "longer than" in done.err


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        ("AssertionError", "AssertionError: assert 1 == 2", "AssertionError: assert 1 == 2"),
        ("shop.OutOfStock", "OutOfStock: none left", "OutOfStock: none left"),
        ("KeyError", "KeyErrors are bad", "KeyError: KeyErrors are bad"),
        ("KeyError", None, "KeyError"),
        (None, "no", "no"),
        (None, None, ""),
    ],
)
def test_a_failure_says_its_type_once(kind: str | None, message: str | None, text: str) -> None:
    assert failure(kind, message) == text
