"""Reading what other tools measured: good files, hostile ones, and values that are none."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.errors import InputError
from testlytics_collector.formats import cobertura
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.formats.recognise import recognise
from testlytics_collector.records import Attempt, Good

DATA = Path(__file__).parents[2] / "data" / "measurements"
Values = dict[tuple[str, str], float]


class Nothing:
    """A sink for inputs without attempts."""

    def begin(self, project: str) -> None:
        raise AssertionError(project)

    def write(self, attempts: Sequence[Attempt]) -> None:
        raise AssertionError(attempts)


def read(data: bytes, limits: Limits | None = None) -> Reading:
    form, reader = recognise(data[:65_536])
    assert form not in {"run-file", "junit"}
    return reader(io.BytesIO(data), Nothing(), Origin("d" * 64, "-"), limits or Limits())


def values(reading: Reading) -> Values:
    return {(one.name, one.metric): one.value for one in reading.measurements}


def sample(name: str) -> Reading:
    return read((DATA / name).read_bytes())


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(data)
    return caught.value


def benchmark(**stats: object) -> bytes:
    return json.dumps({"machine_info": {}, "benchmarks": [{"name": "b", "stats": stats}]}).encode()


def test_pytest_benchmark() -> None:
    reading = sample("pytest-benchmark.json")
    found = values(reading)
    names = {"test_cart.py::test_total[10]", "test_cart.py::test_total[1000]"}
    assert set(found) == {
        (name, metric) for name in names for metric in ("time-median", "time-min")
    }
    told = json.loads((DATA / "pytest-benchmark.json").read_text())["benchmarks"]
    for one in told:
        assert found[one["fullname"], "time-median"] == one["stats"]["median"]
        assert found[one["fullname"], "time-min"] == one["stats"]["min"]
    assert {(one.unit, one.good) for one in reading.measurements} == {("s", Good.LOWER)}
    upload = reading.upload
    assert (upload.commit, upload.branch, upload.dirty) == (
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "main",
        False,
    )
    assert upload.started_us == 1_772_442_764_103_291
    assert (reading.counts.measurements, reading.counts.attempts, reading.problems) == (4, 0, ())


def test_benchmarks_outside_of_a_repository_have_no_commit() -> None:
    told = json.loads(benchmark(median=1.0, min=1.0))
    told["commit_info"] = {"id": "unknown", "dirty": False, "branch": "(unknown)"}
    upload = read(json.dumps(told).encode()).upload
    assert (upload.commit, upload.branch, upload.dirty) == (None, None, None)


def test_hyperfine() -> None:
    assert values(sample("hyperfine.json")) == {
        ("shop --help", "time-median"): 0.0508,
        ("shop --help", "time-min"): 0.0489,
        ("shop --help", "cpu-mean"): 0.05,
        ("shop import 10", "time-median"): 1.204,
        ("shop import 10", "time-min"): 1.204,
        ("shop import 10", "cpu-mean"): pytest.approx(1.2),
    }


def test_locust_csv_in_seconds_and_shares() -> None:
    reading = sample("locust_stats.csv")
    found = values(reading)
    assert {name for name, _ in found} == {"GET /", "POST /cart, add", "Aggregated"}
    post = {metric: value for (name, metric), value in found.items() if name == "POST /cart, add"}
    assert post == {
        "latency-p50": 0.031,
        "latency-p95": 0.07,
        "latency-p99": 0.18,
        "throughput": 10.025,
        "failure-rate": 0.025,
    }
    good = {one.metric: (one.unit, one.good.value) for one in reading.measurements}
    assert good["throughput"] == ("1/s", "higher")
    assert good["failure-rate"] == ("ratio", "lower")
    assert reading.problems == ()


def test_locust_json_takes_percentiles_as_locust_does() -> None:
    reading = sample("locust.json")
    # 45 of 4 ms, 50 of 9 ms, 3 of 19 ms, 2 of 90 ms.
    assert values(reading) == {
        ("GET /", "latency-p50"): 0.009,
        ("GET /", "latency-p95"): 0.019,
        ("GET /", "latency-p99"): 0.09,
        ("GET /", "throughput"): pytest.approx(100 / 20.5),
        ("GET /", "failure-rate"): 0.01,
    }
    assert reading.upload.started_us == 1_772_443_000_000_000


def test_coverage_says_the_same_in_both_formats() -> None:
    reading = sample("coverage.json")
    assert values(reading) == {
        ("total", "line-coverage"): pytest.approx(400 / 6),
        ("total", "branch-coverage"): 50.0,
        ("shop/cart.py", "line-coverage"): pytest.approx(400 / 6),
        ("shop/cart.py", "branch-coverage"): 50.0,
    }, "a file without lines has no coverage"
    xml = sample("coverage.xml")
    assert xml.measurements == reading.measurements
    assert xml.upload.started_us == 1_772_443_000_000_000
    assert reading.upload.started_us is None, "the zone is not told"


def test_classes_of_one_file_count_each_line_once() -> None:
    line = '<line number="{}" hits="{}"/>'
    classes = "".join(
        f'<class filename="a\\b.cs"><methods><method><lines>{line.format(9, 0)}</lines></method>'
        f"</methods><lines>{''.join(line.format(*one) for one in lines)}</lines></class>"
        for lines in ([(1, 1), (2, 0)], [(2, 3), (3, 0)])
    )
    found = read(f'<coverage line-rate="0.5">{classes}</coverage>'.encode())
    assert values(found)["a/b.cs", "line-coverage"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", "-Infinity", "1e999", "1e300"])
def test_what_is_no_number_is_left_out_and_told(value: str) -> None:
    data = benchmark(median="VALUE", min=2).replace(b'"VALUE"', value.encode())
    reading = read(data)
    assert values(reading) == {("b", "time-min"): 2.0}
    (problem,) = reading.problems
    assert "$.benchmarks[0].stats.median" in problem.text
    with pytest.raises(InputError) as caught:
        read(data.replace(b": 2}", b": null}"))
    assert caught.value.slug == "measurements-none"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (benchmark(median="fast"), "$.benchmarks[0].stats.median`, where fast stands"),
        (benchmark(median=10**400), "Number out of range"),
        (b'{"benchmarks": {}}', "got `object`"),
        (b'{"results": [{"command": 7}]}', "$.results[0].command"),
        (b'{"results": [[]]}', "$.results[0]"),
        (b'{"meta": {}, "files": {"a": {"summary": []}}, "totals": {}}', "summary"),
        (b'{"meta": {}}', "missing required field `files`"),
        (b'[{"num_requests": "many", "name": "x"}]', "where many stands"),
    ],
)
def test_wrong_types_are_refused_with_path_and_value(data: bytes, words: str) -> None:
    error = refusal(data)
    assert error.slug == "document-shape"
    assert words in str(error)


def test_a_cut_document_is_refused_with_its_line() -> None:
    error = refusal(b'{"machine_info": {},\n"benchmarks": [\n')
    assert (error.slug, error.line) == ("document-json", 3)
    deep = refusal(b'{"meta": {"x": ' + b"[" * 200_000)
    assert deep.slug == "document-json"


def test_each_series_is_kept_once() -> None:
    both = [{"name": "b", "stats": {"median": value, "min": 1}} for value in (1, 2)]
    reading = read(json.dumps({"benchmarks": both}).encode())
    assert values(reading)["b", "time-median"] == 2
    assert len(reading.measurements) == 2
    assert "told twice" in reading.problems[0].text


def test_problems_are_bounded() -> None:
    many = [{"name": f"b{n}", "stats": {"median": None, "min": 1}} for n in range(100)]
    reading = read(json.dumps({"benchmarks": many}).encode(), Limits(problems=5))
    assert len(reading.problems) == 6
    assert reading.problems[-1].text == "... and 95 problems more."


def test_names_are_bounded_and_can_be_stored() -> None:
    names = ["x" * 5_000, "nul\0", "\ud800", ""]
    many = [{"name": name, "stats": {"median": 1.0, "min": None}} for name in names]
    reading = read(json.dumps({"benchmarks": many}).encode())
    kept = [one.name for one in reading.measurements]
    assert len(kept) == 3
    assert max(map(len, kept)) <= 1_000
    assert all("\0" not in name and name.encode() for name in kept)
    assert any("no name" in problem.text for problem in reading.problems)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'<!DOCTYPE c [<!ENTITY a "b">]><coverage line-rate="1">&a;</coverage>', "entities"),
        (b'<coverage line-rate="1"><class/></coverage>', "no filename"),
        (b'<coverage line-rate="1">' + b"<a>" * 2_000, "nest deeper"),
        (b'<coverage line-rate="1">', "not well-formed"),
        (b'<x><coverage line-rate="1"/></x>', "root is x"),
        (
            b'<coverage line-rate="1"><class name="f"><lines><line number="-1" hits="2"/></lines>',
            "a line is -1",
        ),
    ],
)
def test_hostile_cobertura_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        cobertura.read(io.BytesIO(data), Nothing(), Origin("d" * 64, "-"), Limits())
    assert caught.value.slug == "cobertura"
    assert words in str(caught.value)
    assert caught.value.line == 1


def test_cobertura_with_the_usual_doctype_is_read_without_fetching_it() -> None:
    doctype = b"<!DOCTYPE coverage SYSTEM 'http://127.0.0.1:9/coverage-04.dtd'>\n<coverage "
    xml = (DATA / "coverage.xml").read_bytes().replace(b"<coverage ", doctype)
    assert read(xml).measurements == sample("coverage.xml").measurements


def test_locust_rows_that_are_torn_are_told_by_line() -> None:
    head = (DATA / "locust_stats.csv").read_bytes().splitlines()[0]
    reading = read(head + b"\r\nGET,/,10,1,fast,1,1,1,1,many,0,12\r\n")
    assert values(reading) == {("GET /", "latency-p50"): 0.012, ("GET /", "failure-rate"): 0.1}
    (problem,) = reading.problems
    assert (problem.line, "many" in problem.text) == (2, True)
    assert refusal(head + b'\r\nGET,"/,10').slug == "locust-csv"


KEYS = st.sampled_from(["machine_info", "benchmarks", "results", "meta", "files", "totals", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, JSON, min_size=1))
def test_any_json_is_read_or_refused(document: dict[str, object]) -> None:
    data = json.dumps(document).encode()
    form, reader = recognise(data)
    try:
        reader(io.BytesIO(data), Nothing(), Origin("d" * 64, "-"), Limits())
    except InputError as error:
        assert error.slug != "input", form


def test_a_junit_report_that_shows_a_coverage_report_stays_one() -> None:
    shown = b'<testsuite><system-out><![CDATA[<coverage line-rate="1"/>]]></system-out>'
    assert recognise(b'<?xml version="1.0"?>\n<!-- x -->' + shown)[0] == "junit"
    comments = b"<!---->" * 5_000
    assert recognise(comments + shown)[0] == "junit"
    assert recognise(comments + b'<coverage version="1" line-rate="1">')[0] == "cobertura"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_cobertura_in_other_encodings(encoding: str) -> None:
    text = (DATA / "coverage.xml").read_text(encoding="utf-8")
    text = text.replace('version="1.0" ?', f'version="1.0" encoding="{encoding[:6]}"?')
    assert read(text.replace("utf-8-", "utf-8").encode(encoding)).measurements


def test_a_head_of_escaped_quotes_is_recognised_in_no_time() -> None:
    form, _ = recognise(b'{"x": "' + b'\\"' * 32_000 + b"\\")
    assert form == "run-file"
