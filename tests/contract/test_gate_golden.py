"""What the gate writes, in every format, word by word.

After a change that is meant: python -m tests.contract.test_gate_golden
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from testlytics import __version__
from testlytics.gate import exchange, github, markdown, render
from testlytics.gate.findings import GateResult
from testlytics.gate.judge import gate
from testlytics_collector.records import Attempt, Failure, Good, Measurement, Outcome
from tests.gating import History, failing, passing

GOLDEN = Path(__file__).parents[1] / "data" / "gate"
TESTS = [f"tests/shop/test_{n // 5}.py::test_{n}[a|b]" for n in range(15)]
WRITERS: dict[str, Callable[[GateResult], str]] = {
    "table.txt": lambda result: render.as_text(result, width=80, colour=False),
    "colour.txt": lambda result: render.as_text(result, width=80, colour=True),
    "github.txt": lambda result: re.sub(r"\b[0-9a-f]{32}\b", "WORD", github.as_github(result)),
    "summary.md": markdown.as_markdown,
    "gate.json": render.as_json,
    "gate.xml": lambda result: exchange.as_junit(result).decode(),
    "gate.sarif": lambda result: exchange.as_sarif(result).replace(__version__, "VERSION"),
}


def answer(folder: Path) -> GateResult:
    """Judge a run in which everything is found that can be."""
    dice = random.Random(4)
    flaky, broken, slow = TESTS[1], TESTS[2], TESTS[3]
    store = folder / "h.duckdb"

    def times(name: str, factor: float = 1.0) -> Attempt:
        us = (150_000 + 1_000 * TESTS.index(name)) * dice.lognormvariate(0, 0.03) * factor
        return Attempt(name, 1, Outcome.PASSED, int(us))

    def covered(percent: float) -> Measurement:
        return Measurement("total", "line-coverage", "percent", percent, Good.HIGHER)

    with History(store) as history:
        for number in range(30):
            bad = {flaky: f"timeout after {number} s"} if number % 7 == 3 else {}
            bad |= {broken: "assert total == 3"} if number > 26 else {}
            passed = [times(name) for name in TESTS if name not in bad]
            history.run([*failing(bad), *passed], measured=[covered(90 + number % 3 / 10)])
        for _ in range(3):
            retried = [
                Attempt(TESTS[6], 1, Outcome.FAILED, 9, failure=Failure("E", "late", None, None)),
                Attempt(TESTS[6], 2, Outcome.PASSED, 9),
            ]
            skipped = Failure(None, "needs <docker>", None, None)
            history.run(
                [
                    *failing({flaky: "timeout after 77 s", broken: "assert total == 3"}),
                    *failing({TESTS[4]: "KeyError: '</td>'", "new.py::test": "no"}, "shop.py:12"),
                    *retried,
                    times(slow, 1.7),
                    Attempt(TESTS[7], 1, Outcome.SKIPPED, 1, failure=skipped),
                    *passing(TESTS[5]),
                    *(times(name) for name in TESTS[9:]),
                ],
                branch="topic",
                pull_request="12",
                measured=[covered(80.25)],
            )
    return gate(store)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> GateResult:
    return answer(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_what_was_looked_at(name: str, result: GateResult) -> None:
    assert WRITERS[name](result) == (GOLDEN / name).read_bytes().decode()


def test_all_is_found_in_it(result: GateResult) -> None:
    assert {one.kind for one in result.findings} == {
        "new-failure", "flaky-new-failure", "slower", "new-flake", "broken-before", "removed",
        "newly-skipped", "measurement",
    }  # fmt: skip


def main() -> None:
    """Write the files anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        told = answer(Path(folder))
    for name, write in WRITERS.items():
        (GOLDEN / name).write_bytes(write(told).encode())


if __name__ == "__main__":
    main()
