"""The short way through a run file says what the long way says, whatever stands in a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from testlytics_collector.errors import InputError
from testlytics_collector.formats import runfile
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.records import Attempt
from tests.factories import header

NUMBERS = st.integers(-2, 2**63) | st.sampled_from([0, 1, True, None, 1.5, "7", 2**62 - 1])
NAMES = st.sampled_from(["a.py::t", "a.py::t[x]", "a.py::t[0x7f3a2b4c5d6e]", "", "\0", "\ud800", 7])
PASS = {
    "type": "attempt",
    "test_id": "a.py::t",
    "attempt": 1,
    "outcome": "passed",
    "started_us": 5,
    "setup_us": 1,
    "call_us": 2,
    "teardown_us": 3,
}
CHANGES = st.dictionaries(
    st.sampled_from([*PASS, "worker", "markers", "failure"]),
    NUMBERS | NAMES | st.sampled_from(["passed", "failed", "gw1", "attempt", {"m": "x"}]),
    max_size=3,
)
LEFT_OUT = st.sets(st.sampled_from(list(PASS)), max_size=1)
ENDS = st.sampled_from(["\n", "\r\n", " \n", "x\n", "\n\n"])


class Kept:
    """Takes attempts and keeps them."""

    def __init__(self) -> None:
        self.rows: list[Attempt] = []

    def begin(self, project: str) -> None:
        """Take the project's name."""

    def write(self, attempts: Iterable[Attempt]) -> None:
        """Keep them."""
        self.rows += attempts


def told(data: bytes) -> tuple[list[Attempt], Reading] | str:
    sink = Kept()
    try:
        reading = runfile.read(io.BytesIO(data), sink, Origin("0" * 64, "x"), Limits(batch=2))
    except InputError as error:
        return str(error)
    return sink.rows, reading


@given(st.lists(st.tuples(CHANGES, LEFT_OUT, ENDS), max_size=6))
def test_both_ways_say_the_same(lines: list[tuple[dict[str, object], set[str], str]]) -> None:
    data = json.dumps(header()).encode() + b"\n"
    for change, left_out, end in lines:
        line = {key: value for key, value in (PASS | change).items() if key not in left_out}
        data += json.dumps(line).encode() + end.encode()
    short = told(data)
    with patch.object(runfile._Reader, "_take_pass", lambda *_: False):
        assert short == told(data)
