"""Run files as CI jobs upload them: made up, deterministic, and cheap to make while measuring.

The client shares the machine with the service, so it must take little of it. All lines but the
first are made and compressed once; an upload is a first line of its own, as a gzip member of its
own, with one of these after it.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

_START_US = 1_780_000_000_000_000
_RUN_US = 60_000_000
_KINDS = 8
_LEVEL = 6


def _test_id(number: int) -> str:
    folder = f"tests/area_{number // 400:02}/component_{number // 40:03}/test_behaviour.py"
    name = f"{folder}::TestBehaviour{number % 8}::test_it_answers_as_it_is_told_{number}"
    return f"{name}[case-{number % 7}]" if number % 5 == 0 else name


def _attempts(tests: int, kind: int) -> Iterator[dict[str, object]]:
    """One test in a hundred fails, half of these pass at the next attempt."""
    chance = random.Random(kind)  # noqa: S311 - data, not secrets
    for number in range(tests):
        at_us = _START_US + number * 20_000
        line: dict[str, object] = {
            "type": "attempt",
            "test_id": _test_id(number),
            "attempt": 1,
            "outcome": "passed",
            "started_us": at_us,
            "setup_us": 900 + chance.randrange(200),
            "call_us": round(chance.lognormvariate(9, 0.2)),
            "teardown_us": 400 + chance.randrange(100),
            "worker": f"gw{number % 4}",
        }
        if chance.random() < 0.01:
            why = {
                "type": "AssertionError",
                "message": f"assert {number % 13} == {number % 11}",
                "text": f"def test_it():\n>   assert answer({number}) == expected\nE   assert\n"
                * 8,
                "place": f"tests/area_{number // 400:02}/test_behaviour.py:{number % 90}",
            }
            yield {**line, "outcome": "failed", "failure": why}
            if chance.random() < 0.5:
                yield {**line, "attempt": 2}
            continue
        yield line


class Bodies:
    """Makes the uploads of one project.

    Args:
        tests: How many each run has.
        first: The number of the first kind of run, so that clients differ.
    """

    def __init__(self, tests: int, first: int = 0) -> None:
        self._rests: list[bytes] = []
        self.results: list[int] = []
        for kind in range(first, first + _KINDS):
            rows = list(_attempts(tests, kind))
            last = {"type": "end", "ended_us": _START_US, "exit_status": 1, "attempts": len(rows)}
            text = "".join(json.dumps(one) + "\n" for one in (*rows, last))
            self._rests.append(gzip.compress(text.encode(), _LEVEL, mtime=0))
            self.results.append(len(rows))

    def body(self, run_id: str, number: int) -> tuple[bytes, int]:
        """Return the upload of a run, compressed, and how many results it holds.

        Args:
            run_id: Its name; the same name and number give the same bytes.
            number: Its place in time, and which kind of run it is.
        """
        first = {
            "type": "run",
            "schema_version": "1.0",
            "upload_id": run_id,
            "run_id": run_id,
            "producer": "load",
            "started_us": _START_US + number * _RUN_US,
            "sources": {"commit": f"{number:040x}", "dirty": False, "branch": "main"},
            "variant": {"os": "linux"},
        }
        kind = number % len(self._rests)
        head = gzip.compress(json.dumps(first).encode() + b"\n", 1, mtime=0)
        return head + self._rests[kind], self.results[kind]
