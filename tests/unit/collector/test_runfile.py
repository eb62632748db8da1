"""Reading run files: whole ones, broken-off ones, and hostile ones."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from testlytics_collector.errors import InputError
from testlytics_collector.formats import runfile
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.formats.notes import MOST_NOTES
from testlytics_collector.records import Attempt, Outcome
from tests.factories import START_US, attempt, end, header, lines


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def begin(self, project: str) -> None:
        self.project = project

    def write(self, attempts: Sequence[Attempt]) -> None:
        self.attempts += attempts


def read(data: bytes, limits: Limits | None = None) -> tuple[Reading, list[Attempt]]:
    sink = Kept()
    origin = Origin("0" * 64, "run.jsonl")
    reading = runfile.read(io.BytesIO(data), sink, origin, limits or Limits())
    return reading, sink.attempts


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        read(data)
    return caught.value


def running(test_id: str | None, done: int, worker: str | None = None) -> dict[str, object]:
    return {"type": "running", "worker": worker, "test_id": test_id, "done": done, "started_us": 5}


def test_header_becomes_the_upload() -> None:
    ci = {"provider": "github", "url": "https://ci/1", "run_attempt": 2, "shard": "1/3"}
    reading, _ = read(lines(header(7, ci=ci), end(0)))
    upload = reading.upload
    assert (upload.upload_id, upload.run_id) == (f"{7:032x}", "run-7")
    assert (upload.commit, upload.dirty, upload.branch) == (f"{7:040x}", False, "main")
    assert (upload.ci, upload.run_attempt, upload.shard) == ("github", 2, "1/3")
    assert upload.variant == {"os": "linux"}
    assert upload.complete is True


def test_attempt_keeps_phases_and_failure() -> None:
    failure = {"type": "ValueError", "message": "no", "text": "long", "place": "a.py:3"}
    _, rows = read(
        lines(header(), attempt("t", "failed", failure=failure, worker="gw1", started_us=9), end(1))
    )
    row = rows[0]
    assert row[:8] == ("t", 1, Outcome.FAILED, 100_000, 1_000, 1_000, 9, "gw1")
    assert row.failure == ("ValueError", "no", "long", "a.py:3")


def test_counts_add_up_for_every_outcome() -> None:
    rows = [attempt(f"t{index}", outcome.value) for index, outcome in enumerate(Outcome)]
    counts = read(lines(header(), *rows, attempt("t0", attempt=2), end(10)))[0].counts
    assert (counts.testcases, counts.tests, counts.attempts) == (10, 9, 10)
    assert counts.errored == 2  # one of them crashed
    assert counts.unknown == 2  # one of them was interrupted
    statuses = ("passed", "failed", "errored", "skipped", "xfailed", "xpassed", "unknown")
    assert sum(getattr(counts, status) for status in statuses) == counts.testcases


def test_missing_phases_stay_unknown() -> None:
    _, rows = read(
        lines(header(), {"type": "attempt", "test_id": "t", "outcome": "passed"}, end(1))
    )
    assert (rows[0].attempt, rows[0].duration_us, rows[0].setup_us) == (1, None, None)


def test_attempts_without_a_number_are_counted() -> None:
    row = {"type": "attempt", "test_id": "t", "outcome": "passed"}
    _, rows = read(lines(header(), row, row, end(2)))
    assert [one.attempt for one in rows] == [1, 2]


def test_failed_collector_is_an_attempt() -> None:
    collect = {"type": "collect", "test_id": "test_b.py", "outcome": "errored"}
    reading, rows = read(lines(header(), collect, end(0)))
    assert reading.problems == ()
    assert (rows[0].test_id, rows[0].outcome) == ("test_b.py", Outcome.ERRORED)


def test_unknown_types_keys_and_minor_versions_are_ignored() -> None:
    reading, rows = read(
        lines(header(schema_version="1.9", new=1), {"type": "new"}, attempt(new=[1]), end(1))
    )
    assert (len(rows), reading.problems) == (1, ())


def test_run_without_end_names_the_running_test() -> None:
    reading, rows = read(lines(header(), running("t2", 1), attempt("t1")))
    assert [(row.test_id, row.outcome) for row in rows] == [
        ("t1", Outcome.PASSED),
        ("t2", Outcome.CRASHED),
    ]
    assert rows[1].started_us == 5
    assert reading.upload.complete is False
    assert "died while running t2" in reading.problems[-1].text


def test_run_without_end_between_two_tests_blames_none() -> None:
    reading, rows = read(lines(header(), running("t1", 0), attempt("t1")))
    assert [row.outcome for row in rows] == [Outcome.PASSED]
    assert reading.problems[-1].text == "The run did not end: the test process died."


def test_failed_collectors_do_not_hide_the_running_test() -> None:
    collect = {"type": "collect", "test_id": "test_b.py", "outcome": "errored"}
    _, rows = read(lines(header(), collect, running("t", 0)))
    assert [row.outcome for row in rows] == [Outcome.ERRORED, Outcome.CRASHED]


def test_running_tests_are_told_apart_by_worker() -> None:
    slots = (running("a", 0, "gw0"), running("b", 0, "gw1"))
    _, rows = read(lines(header(), *slots, attempt("a", worker="gw0")))
    assert [(row.test_id, row.worker) for row in rows] == [("a", "gw0"), ("b", "gw1")]


def test_torn_last_line_is_left_out_with_a_word() -> None:
    reading, rows = read(lines(header(), attempt("t1")) + b'{"type":"attempt","test_')
    assert len(rows) == 1
    assert "cut off" in reading.problems[0].text
    assert reading.upload.complete is False


def test_damage_in_the_middle_is_refused_with_its_line() -> None:
    error = refusal(lines(header()) + b"{oops\n" + lines(attempt(), end(1)))
    assert error.line == 2
    assert "{oops" in error.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"{}\n", '"type":"run"'),
        (b"[1]\n", "Not a JSON object"),
        (lines(header(schema_version=None)), "schema_version"),
        (lines(header(upload_id="")), "upload_id"),
        (lines(header(), {"type": "attempt", "outcome": "passed"}), "without test_id"),
        (lines(header(), attempt()) + b"{" * 100_000, ""),
    ],
)
def test_wrong_input_is_refused_or_read_never_an_accident(data: bytes, words: str) -> None:
    if words:
        assert words in refusal(data).message
    else:
        assert read(data)[0].counts.attempts == 1


def test_lines_that_only_complete_each_other_are_refused() -> None:
    # One value over two lines, and two values on a third: as many values as lines.
    data = lines(header()) + b'{"type": "note", "of": [1\n2]}\n{"type": "a"},{"type": "b"}\n'
    error = refusal(data + lines(attempt(), end(1)))
    assert error.line == 2
    assert "Not a JSON object" in error.message


def test_newer_major_version_is_refused_with_the_remedy() -> None:
    error = refusal(lines(header(schema_version="2.0")))
    assert "schema 2.0" in error.message
    assert "pip install -U" in str(error)


def test_odd_values_are_left_out_and_told() -> None:
    odd = attempt("t", "mangled", setup_us=-1, call_us=1.5, teardown_us=True)
    reading, rows = read(lines(header(), odd, end(1)))
    assert rows[0].outcome is Outcome.UNKNOWN
    assert rows[0].duration_us is None
    assert [problem.line for problem in reading.problems] == [2, 2, 2, 2]


def test_lone_surrogates_and_nul_become_storable() -> None:
    failure = {"message": "a\ud83db\0c", "text": "\ud83d\ude00"}
    _, rows = read(lines(header(), attempt("t", "failed", failure=failure), end(1)))
    assert rows[0].failure is not None
    assert rows[0].failure.message == "a\ufffdb\ufffdc"
    assert rows[0].failure.text == "\U0001f600"


def test_long_messages_keep_head_and_tail() -> None:
    failure = {"message": "head" + "x" * 9_000 + "tail"}
    _, rows = read(lines(header(), attempt("t", "failed", failure=failure), end(1)))
    message = rows[0].failure.message if rows[0].failure else None
    assert message is not None
    assert len(message) <= 2_000
    assert message.startswith("head")
    assert message.endswith("tail")
    assert "characters left out" in message


def test_wrong_total_is_told() -> None:
    reading, _ = read(lines(header(), attempt(), end(7)))
    assert "holds 7 attempts, but 1" in reading.problems[0].text


def test_batches_keep_the_order() -> None:
    names = [f"t{index}" for index in range(25)]
    data = lines(header(), *(attempt(name) for name in names), end(25))
    _, rows = read(data, Limits(batch=10))
    assert [row.test_id for row in rows] == names


def test_end_of_a_dead_run_is_taken_from_its_last_attempt() -> None:
    reading, _ = read(lines(header(), attempt(started_us=START_US + 5)))
    assert reading.upload.ended_us == START_US + 5 + 100_000


def test_what_a_run_makes_up_is_replaced_in_ids() -> None:
    uuid = "5f0c954a-9c1e-4a0b-8a1d-3f1f2a4b5c6d"
    first, second = (f"a.py::C::t[<X at 0x7f22280da{n}>-b::c]" for n in ("c90", "d10"))
    same = "a.py::C::t[<X at <address>>{}-b::c]"
    reading, rows = read(
        lines(
            header(),
            attempt(first),
            attempt(second),
            attempt(second, attempt=2),
            attempt(f"a.py::t[{uuid}]"),
            attempt("a.py::t[1-plain]"),
            attempt(f"[a]/{uuid}.py::t"),
            running(f"a.py::r[{uuid}]", 6),
        )
    )
    assert [(row.test_id, row.attempt) for row in rows] == [
        (same.format(""), 1),
        ("a.py::C::t[<X at <address>>-b::c#2]", 1),
        ("a.py::C::t[<X at <address>>-b::c#2]", 2),
        ("a.py::t[<uuid>]", 1),
        ("a.py::t[1-plain]", 1),
        (f"[a]/{uuid}.py::t", 1),
        ("a.py::r[<uuid>]", 1),
    ]
    assert reading.counts.tests == 6
    assert f"(4; the first: {first})" in "\n".join(problem.text for problem in reading.problems)


def test_times_near_the_run_are_replaced_in_ids() -> None:
    seconds = START_US // 1_000_000
    _, rows = read(lines(header(), attempt(f"a.py::t[{seconds}]"), attempt("a.py::t[1600000000]")))
    assert [row.test_id for row in rows] == ["a.py::t[<time>]", "a.py::t[1600000000]"]


def test_markers_and_properties_become_notes() -> None:
    reading, rows = read(
        lines(
            header(),
            attempt(
                "t1",
                properties={"commit": "3f785a2e1c9d4b6a8e0f7c5d3b1a9e8f6d4c2b0a", "token": "abc"},
                markers={"owner": "team a", "slow": ""},
            ),
            attempt("t2", properties={"attachment": "a.png", "": "x", "odd": 3}, markers=[1]),
            attempt("t3", properties={f"n{n}": "v" * 9_999 for n in range(MOST_NOTES + 2)}),
            attempt("t4"),
        )
    )
    assert [tuple(note) for note in rows[0].notes] == [
        ("tag", "owner", "team a"),
        ("tag", "slow", ""),
        ("property", "commit", "3f785a2e1c9d4b6a8e0f7c5d3b1a9e8f6d4c2b0a"),
        ("property", "token", "<redacted>"),
    ]
    assert [tuple(note) for note in rows[1].notes] == [("attachment", "", "a.png")]
    assert len(rows[2].notes) == MOST_NOTES
    assert max(len(note.value) for note in rows[2].notes) <= Limits().message_chars
    assert rows[3].notes == ()
    told = "\n".join(problem.text for problem in reading.problems)
    assert "(1; the first: token)" in told
    assert "2 more are left out" in told
