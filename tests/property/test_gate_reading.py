"""What a gate wrote is read back as it was, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testlytics.gate.findings import KINDS, Cause, Finding, GateResult, LegResult
from testlytics.gate.markdown import as_markdown
from testlytics.gate.reading import MAX_BYTES, read_result
from testlytics.gate.render import as_json, as_text
from testlytics_collector.errors import InputError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
maybe = st.none() | texts
counts = st.integers(0, 10**9)
plain = st.none() | st.booleans() | counts | st.floats(allow_nan=False, allow_infinity=False)
findings = st.builds(
    Finding,
    kind=st.sampled_from(list(KINDS)),
    level=st.sampled_from(["block", "warn"]),
    test_id=maybe,
    variant=texts,
    reason=texts,
    message=maybe,
    details=st.dictionaries(texts, plain | texts | st.lists(texts, max_size=2), max_size=3),
    place=maybe,
)
causes = st.builds(
    Cause,
    text=texts,
    tests=st.lists(texts, max_size=3),
    failures=counts,
    first_run=texts,
    first_commit=maybe,
    is_new=st.booleans(),
)
legs = st.builds(
    LegResult,
    *[texts, *[counts] * 7],
    run_factor=st.none() | st.floats(0, 100),
)
results = st.builds(
    GateResult,
    *[texts, texts, maybe, maybe, maybe, st.booleans(), maybe, counts, maybe, maybe, counts],
    legs=st.lists(legs, max_size=3),
    findings=st.lists(findings, max_size=4),
    causes=st.lists(causes, max_size=2),
    notes=st.lists(texts, max_size=2),
    measurements=counts,
)
RESULT = GateResult(
    "p", "r", None, None, "7", True, "main", 9, None, None, 0, [LegResult("", 1, 1, 0, 0, 0, 9, 0)],
    [Finding("new-failure", "block", "t.py::test", "", "why", "said", {"runs": 9}, "t.py:3")],
)  # fmt: skip


@given(results)
def test_an_answer_reads_back_as_it_was(result: GateResult) -> None:
    again = read_result(as_json(result).encode())
    assert again == result
    assert as_json(again) == as_json(result)
    assert as_markdown(again) == as_markdown(result)
    assert as_text(again, width=80, colour=False) == as_text(result, width=80, colour=False)


@given(st.binary(max_size=200) | texts.map(str.encode))
def test_anything_else_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError):
        read_result(data)


leaves = st.none() | st.booleans() | counts | texts
trees = st.recursive(leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x))
PLACES = [("verdict",), ("run",), ("run", "run_id"), ("baseline", "runs"), ("variants", 0)]
PLACES += [("findings", 0, "kind"), ("findings", 0, "level"), ("findings", 0, "reason")]
PLACES += [("findings", 0, "details"), ("causes",), ("notes",), ("schema",)]


@given(st.sampled_from(PLACES), trees)
def test_a_value_of_another_kind_is_refused_or_rendered(
    place: tuple[str | int, ...], value: object
) -> None:
    document = json.loads(as_json(RESULT))
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    try:
        again = read_result(json.dumps(document).encode())
    except InputError:
        return
    assert as_markdown(again)
    assert again.verdict == "blocked"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2"),
        ({"verdict": "passed"}, "verdict is passed"),
        ({"findings": "x"}, "findings"),
    ],
)
def test_why_an_answer_is_refused(change: dict[str, object], said: str) -> None:
    document = json.loads(as_json(RESULT)) | change
    with pytest.raises(InputError, match=said):
        read_result(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"[" * 100_000, b" " * (MAX_BYTES + 1), b'{"schema":1}', b"\xff"])
def test_deep_large_and_empty_answers_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="not a gate's answer"):
        read_result(data)


def test_what_a_newer_version_adds_is_passed_over() -> None:
    document = json.loads(as_json(RESULT)) | {"more": {"x": [1]}}
    document["findings"][0]["owner"] = "somebody"
    assert read_result(json.dumps(document).encode()) == RESULT
