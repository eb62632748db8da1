"""Reading results of tests in CTRF, pytest-json-report and pytest-reportlog."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from testlytics_collector.errors import InputError
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.formats.recognise import recognise
from testlytics_collector.records import Attempt

DATA = Path(__file__).parents[2] / "data" / "measurements"


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def begin(self, project: str) -> None:
        raise AssertionError(project)

    def write(self, attempts: Sequence[Attempt]) -> None:
        self.attempts += attempts


def read(data: bytes, form: str) -> tuple[Reading, list[Attempt]]:
    found, reader = recognise(data[:65_536])
    assert found == form
    sink = Kept()
    reading = reader(io.BytesIO(data), sink, Origin("d" * 64, "-"), Limits())
    return reading, sink.attempts


def sample(name: str, form: str) -> tuple[Reading, list[Attempt]]:
    return read((DATA / name).read_bytes(), form)


def outcomes(attempts: list[Attempt]) -> list[tuple[str, int, str]]:
    return [(one.test_id, one.attempt, one.outcome.value) for one in attempts]


def ctrf(**test: object) -> bytes:
    told = {"name": "t", "status": "passed", "duration": 1, **test}
    return json.dumps({"results": {"tests": [told]}}).encode()


def test_ctrf() -> None:
    reading, attempts = sample("ctrf.json", "ctrf")
    assert outcomes(attempts) == [
        ("cart.spec.ts::chromium::cart::adds an item", 1, "failed"),
        ("cart.spec.ts::chromium::cart::adds an item", 2, "passed"),
        ("pay.spec.ts > pay::pays", 1, "failed"),
        ("ship.spec.ts::ships", 1, "skipped"),
        ("logs in", 1, "failed"),
        ("logs in", 2, "failed"),
        ("logs in", 3, "passed"),
    ]
    first, second = attempts[:2]
    assert first.failure is not None
    assert (first.failure.message, first.duration_us) == ("Timed out", 900_000)
    assert (second.failure, second.started_us) == (None, 1_772_443_001_000_000)
    assert [note.name for note in second.notes] == ["@smoke"]
    upload, counts = reading.upload, reading.counts
    assert (upload.producer, upload.branch) == ("playwright 1.50.0", "main")
    assert (upload.started_us, upload.ended_us) == (1_772_443_000_000_000, 1_772_443_009_000_000)
    assert (counts.tests, counts.attempts, counts.passed, counts.failed) == (4, 7, 2, 4)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({}, ["passed"]),
        ({"flaky": True}, ["failed", "passed"]),
        ({"status": "failed", "retries": 2}, ["failed"] * 3),
        ({"status": "pending"}, ["skipped"]),
        ({"status": "odd"}, ["unknown"]),
        ({"retries": -1}, ["passed"]),
        ({"retries": 10**9}, ["passed"]),
        (
            {
                "retries": 1,
                "retryAttempts": [
                    {"attempt": 2, "status": "passed"},
                    {"attempt": 1, "status": "failed"},
                ],
            },
            ["failed", "passed"],
        ),
        (
            {
                "retryAttempts": [
                    {"attempt": 1, "status": "failed"},
                    {"attempt": 2, "status": "passed"},
                ]
            },
            ["failed", "passed"],
        ),
        ({"duration": 1e300, "start": -5}, ["passed"]),
    ],
)
def test_ctrf_attempts(test: dict[str, object], expected: list[str]) -> None:
    _, attempts = read(ctrf(**test), "ctrf")
    assert [one.outcome.value for one in attempts] == expected
    assert [one.attempt for one in attempts] == list(range(1, len(expected) + 1))


def test_pytest_json_report() -> None:
    reading, attempts = sample("pytest-json-report.json", "pytest-json-report")
    assert outcomes(attempts) == [
        ("tests/test_torn.py", 1, "errored"),
        ("tests/test_cart.py::test_adds[1]", 1, "passed"),
        ("tests/test_cart.py::test_pays", 1, "failed"),
        ("tests/test_cart.py::test_base", 1, "errored"),
        ("tests/test_cart.py::test_ships", 1, "skipped"),
        ("tests/test_cart.py::test_rounds", 1, "xfailed"),
    ]
    adds, pays = attempts[1:3]
    assert (adds.duration_us, adds.setup_us, adds.teardown_us) == (253_000, 1_000, 2_000)
    assert pays.failure is not None
    assert pays.failure.type == "AssertionError"
    assert pays.failure.place == "tests/test_cart.py:12"
    upload = reading.upload
    assert (upload.exit_status, upload.complete) == (1, True)
    assert (upload.started_us, upload.ended_us) == (1_772_443_008_250_000, 1_772_443_010_500_000)


def test_reportlog() -> None:
    reading, attempts = sample("reportlog.jsonl", "pytest-reportlog")
    assert outcomes(attempts) == [
        ("tests/test_torn.py", 1, "errored"),
        ("tests/test_a.py::test_ok", 1, "passed"),
        ("tests/test_a.py::test_bad", 1, "failed"),
        ("tests/test_a.py::test_later", 1, "skipped"),
        ("tests/test_a.py::test_known", 1, "xfailed"),
        ("tests/test_a.py::test_again", 1, "failed"),
        ("tests/test_a.py::test_again", 2, "passed"),
    ]
    bad = attempts[2]
    assert (bad.duration_us, bad.worker) == (302_000, "gw1")
    assert bad.failure is not None
    assert bad.failure[:2] == ("ValueError", "ValueError: no")
    assert "raise ValueError" in (bad.failure.text or "")
    assert bad.failure.place == "/srv/shop/tests/test_a.py:8"
    assert attempts[3].failure is not None
    assert attempts[3].failure.message == "Skipped: later"
    upload = reading.upload
    assert (upload.producer, upload.exit_status, upload.complete) == ("pytest 8.4.2", 1, True)


def test_a_reportlog_whose_writer_died_tells_the_test_that_ran() -> None:
    data = (DATA / "reportlog.jsonl").read_bytes()
    whole = data.splitlines(keepends=True)
    reading, attempts = read(b"".join(whole[:7]) + whole[7][:30], "pytest-reportlog")
    assert outcomes(attempts)[1:] == [
        ("tests/test_a.py::test_ok", 1, "crashed"),
        ("tests/test_a.py::test_bad", 1, "crashed"),
    ]
    assert reading.upload.complete is False
    assert "cut off" in reading.problems[0].text
    assert "died in tests/test_a.py::test_ok" in reading.problems[1].text


@pytest.mark.parametrize(
    ("data", "form", "slug", "words"),
    [
        (ctrf(name=7), "ctrf", "document-shape", "$.results.tests[0].name`, where 7 stands"),
        (ctrf(duration="long"), "ctrf", "document-shape", "where long stands"),
        (b'{"reportFormat": "CTRF", "results": []}', "ctrf", "document-shape", "$.results"),
        (b'{"created": "x", "exitcode": 0}', "pytest-json-report", "document-shape", "$.created"),
        (
            b'{"$report_type": "SessionStart"}\n{"$report_type": 1}\n',
            "pytest-reportlog",
            "document-shape",
            "where 1 stands",
        ),
        (
            b'{"$report_type": "SessionStart"}\n{\n{}\n',
            "pytest-reportlog",
            "document-json",
            "no JSON",
        ),
    ],
)
def test_wrong_documents_are_refused(data: bytes, form: str, slug: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data, form)
    assert caught.value.slug == slug
    assert words in str(caught.value)
    if form == "pytest-reportlog":
        assert caught.value.line is not None
        assert caught.value.line >= 2
