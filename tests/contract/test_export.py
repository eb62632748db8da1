"""What `testlytics export` writes is what every reader reads, and what was stored."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
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
