"""What `testlytics export` writes is what every reader reads, and what was stored."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import polars as pl
import pytest
from junitparser import xunit2

from testlytics import api
from testlytics_collector.formats.junit_writer import split
from testlytics_collector.store.reader import Window
from tests.command import command
from tests.factories import attempt, end, header, history, lines, run_file

TESTS = {
    "tests/test_a.py::test_one": "PPF",
    "tests/test_a.py::TestX::test_two[a::b-1]": "PLL",
    "tests/sub/test_b.py::test_three[x/y.z]": "SPP",
    "com.shop.CartTest::adds": "FLP",
}


def verdicts(store: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        rows: list[tuple[object, ...]] = connection.execute(
            "select test_id, verdict, passes, failures, skips, duration_s from verdicts order by 1"
        ).fetchall()
        return rows


def test_one_run_has_the_same_verdicts_after_the_way_there_and_back(tmp_path: Path) -> None:
    one, other = tmp_path / "one.duckdb", tmp_path / "other.duckdb"
    rows = [
        attempt("a.py::test_x", "failed", failure={"type": "E", "message": "no", "text": "t"}),
        attempt("a.py::test_x", "passed", attempt=2),
        attempt("a.py::test_y", "errored"),
        attempt("a.py::test_y", "failed", attempt=2),
        attempt("a.py::test_z", "xfailed"),
        attempt("a.py::test_w", "skipped", failure={"message": "later"}),
    ]
    api.ingest([str(run_file(tmp_path / "1.jsonl", rows))], one)
    (tmp_path / "1.xml").write_bytes(api.export_junit(one, Window()))
    api.ingest([str(tmp_path / "1.xml")], other)
    # A skipped test took no time that JUnit readers agree on; the verdicts have none either.
    assert verdicts(other) == verdicts(one)


def test_junitparser_counts_what_the_store_holds(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    api.ingest(map(str, history(tmp_path, TESTS)), store)
    document = xunit2.JUnitXml.fromstring(api.export_junit(store, Window(last=1)))
    assert (document.tests, document.failures, document.errors) == (4, 1, 0)
    flaky = [case.name for suite in document for case in suite if len(list(case)) > 0]
    assert flaky == ["test_two[a::b-1]", "test_one"]


def test_shards_and_reruns_are_merged(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    for number, (test_id, outcome) in enumerate(
        [("a", "failed"), ("b", "passed"), ("a", "passed")]
    ):
        ci = {"run_attempt": 2 if number == 2 else 1}
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(
            lines(header(number, run_id="r", ci=ci), attempt(test_id, outcome), end(1))
        )
        api.ingest([str(path)], store)
    root = ET.fromstring(api.export_junit(store, Window()))
    (suite,) = root
    assert suite.get("tests") == "2"
    assert suite.find("testcase[@name='a']/flakyFailure") is not None


def test_nothing_that_xml_cannot_hold_is_written(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    bad = "\x1b[31m<&\"']]>\ufffe\x0b\u00e9\U0001f600"
    rows = [attempt(f"t[{bad}]", "failed", failure={"message": bad, "text": bad, "type": bad})]
    api.ingest([str(run_file(tmp_path / "1.jsonl", rows))], store)
    failure = ET.fromstring(api.export_junit(store, Window())).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "\ufffd[31m<&\"']]>\ufffd\ufffd\u00e9\U0001f600"


@pytest.mark.parametrize(
    ("test_id", "parts"),
    [
        ("tests/a.py::test_x", ("tests/a.py", "tests.a", "test_x")),
        ("a.py::T::U::x[1::2]", ("a.py", "T::U", "x[1::2]")),
        ("com.Foo::bar", ("", "com.Foo", "bar")),
        ("alone", ("", "", "alone")),
        ("web/cart.spec.ts::cart > adds", ("web/cart.spec.ts", "web.cart.spec", "cart > adds")),
    ],
)
def test_split(test_id: str, parts: tuple[str, str, str]) -> None:
    assert split(test_id) == parts


def test_command(tmp_path: Path) -> None:
    files = history(tmp_path, TESTS)
    command("ingest", *files, "--store", "h.duckdb", cwd=tmp_path)
    out = command("export", "--format", "junit", "--store", "h.duckdb", cwd=tmp_path)
    assert out.code == 0
    assert out.out.startswith("<?xml")
    assert ET.fromstring(out.out).get("tests") == "4"  # the newest run
    arguments = ("export", "--format", "junit", "--store", "h.duckdb", "--run-id", "run-0")
    command(*arguments, "-o", "old.xml", cwd=tmp_path)
    assert ET.parse(tmp_path / "old.xml").getroot().get("skipped") is None
    assert "run-0" in (tmp_path / "old.xml").read_text()
    bad = command(*arguments, "-o", "no/all.xml", cwd=tmp_path)
    assert (bad.code, bad.err.count("\n")) == (3, 1)
    assert command("export", "--format", "junit", "--branch", "x", cwd=tmp_path).code == 5


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    rows = [attempt("=cmd()", "failed", failure={"message": "=1", "type": "E"})]
    files = [*history(folder, TESTS), run_file(folder / "n.jsonl", rows, 9)]
    api.ingest(map(str, files), folder / "h.duckdb")
    return folder


@pytest.mark.parametrize("view", ["attempts", "verdicts", "failures"])
def test_polars_duckdb_and_scripts_read_what_the_view_holds(filled: Path, view: str) -> None:
    arguments = ("export", "--store", "h.duckdb", "--what", view, "--format")
    for form in ("parquet", "csv", "json"):
        done = command(*arguments, form, "-o", f"x.{form}", cwd=filled)
        assert (done.code, done.out, done.err) == (0, "", "")
        if form != "parquet":
            told = command(*arguments, form, cwd=filled)
            assert (told.out, told.err) == ((filled / f"x.{form}").read_bytes().decode(), "")
    with duckdb.connect(str(filled / "h.duckdb"), read_only=True) as connection:
        expected = connection.execute(f"from {view} order by all").fetchall()
    frame = pl.read_parquet(filled / "x.parquet")
    assert sorted(map(repr, frame.rows())) == sorted(map(repr, expected))
    with duckdb.connect() as connection:
        names = connection.sql(f"from '{filled / 'x.parquet'}'").columns
    assert names == frame.columns
    assert list(frame["run_id"].unique(maintain_order=True)) == ["run-0", "run-1", "run-2", "run-9"]
    in_csv = list(csv.DictReader(io.StringIO((filled / "x.csv").read_text())))
    in_json = json.loads((filled / "x.json").read_text())[view]
    assert len(in_csv) == len(in_json) == len(expected)
    assert list(in_csv[0]) == list(in_json[0]) == names
    assert (in_csv[-1]["test_id"], in_json[-1]["test_id"]) == ("'=cmd()", "=cmd()")
    assert not list(filled.glob("*.part"))


def test_rows_of_a_window(filled: Path) -> None:
    def runs(*options: object) -> set[str]:
        arguments = ("export", "--store", "h.duckdb", "--format", "json", *options)
        return {row["run_id"] for row in command(*arguments, cwd=filled).json["attempts"]}

    assert runs("--last", 2) == {"run-2", "run-9"}
    assert runs("--run-id", "run-1") == {"run-1"}
    assert len(runs("--variant", "os=linux")) == 4


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--format", "csv", "--branch", "x"), 5),
        (("--format", "parquet", "-o", "y", "--branch", "x"), 5),
        (("--format", "csv", "--variant", "os=mac"), 5),
        (("--format", "parquet"), 2),
        (("--format", "junit", "--what", "attempts"), 2),
        (("--format", "parquet", "-o", "h.duckdb"), 2),
        (("--format", "csv", "-o", "no/x.csv"), 3),
        (("--format", "parquet", "-o", "no/x.parquet"), 3),
    ],
)
def test_rows_that_cannot_be_written(filled: Path, options: tuple[str, ...], code: int) -> None:
    done = command("export", "--store", "h.duckdb", *options, cwd=filled)
    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert not (filled / "y").exists()


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_progress_is_shown_on_a_terminal(filled: Path, form: str) -> None:
    words = ("export", "--store", "h.duckdb", "--format", form, "-o", f"t.{form}")
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "testlytics", *words],
        cwd=filled,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side has closed
        while portion := os.read(ours, 4096):
            shown += portion
    os.close(ours)
    assert done.wait() == 0
    assert b"export" in shown
    assert (b"100/100" if form == "parquet" else b"/4") in shown
