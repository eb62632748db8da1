"""The pact of the run file: what the collector relies on in its lines, and the plugin writes.

The collector reads what the pact says, with keys it has never heard of too. The plugin is held to
it by what it writes today, and by what the oldest plugin wrote (`tests/data/plugin/oldest.jsonl`).
`python -m tests.contract.test_pacts_messages` writes the file in `pacts/` anew.
"""

from __future__ import annotations

import gc
import io
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pact import Pact, Verifier, match
from pact.types import Message as Produced

from testlytics_collector.formats import runfile
from testlytics_collector.formats.interface import Limits, Origin, Reading
from testlytics_collector.records import Attempt, Outcome
from tests.exchanges import PACTS, together, written
from tests.factories import attempt, end, header, lines
from tests.unit.plugin.recorded import DATA, run

CONSUMER, PROVIDER = "testlytics-collector", "pytest-testlytics"
PACT = PACTS / f"{CONSUMER}-{PROVIDER}.json"
OLDEST = DATA / "oldest.jsonl"

Line = Mapping[str, Any]


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def begin(self, project: str) -> None:
        self.project = project

    def write(self, attempts: Sequence[Attempt]) -> None:
        self.attempts += attempts


def read(data: bytes) -> tuple[Reading, list[Attempt]]:
    sink = Kept()
    reading = runfile.read(io.BytesIO(data), sink, Origin("0" * 64, "run.jsonl"), Limits())
    return reading, sink.attempts


def check_first(line: Line) -> None:
    upload = read(lines(line, end(0)))[0].upload
    assert (upload.upload_id, upload.run_id) == (line["upload_id"], line["run_id"])
    assert (upload.project, upload.started_us) == (line["project"], line["started_us"])
    assert upload.variant == line["variant"]


def check_attempt(line: Line) -> None:
    reading, [found] = read(lines(header(), line, end(1)))
    assert reading.problems == ()
    assert (found.test_id, found.attempt) == (line["test_id"], line["attempt"])
    assert found.outcome is Outcome(line["outcome"])
    assert found.started_us == line["started_us"]
    assert found.duration_us == sum(line[f"{phase}_us"] for phase in ("setup", "call", "teardown"))
    told = line.get("failure")
    assert (found.failure and found.failure._asdict()) == told


def check_last(line: Line) -> None:
    rows = [attempt(f"t{n}") for n in range(line["attempts"])]
    reading, _ = read(lines(header(), *rows, line))
    assert reading.problems == ()
    assert reading.upload.complete
    shortened = read(lines(header(), *rows[1:], line))[0]
    assert "but" in shortened.problems[0].text


TIMES = {name: match.int(7) for name in ("started_us", "setup_us", "call_us", "teardown_us")}
TRIED = {"type": "attempt", "test_id": match.str("a.py::test_x"), "attempt": match.int(1), **TIMES}
WHY = {name: match.str(name) for name in ("type", "message", "text", "place")}


@dataclass(frozen=True)
class Message:
    """A line of the run file.

    Attributes:
        name: Which one.
        holds: What the collector relies on.
        check: Reads it, and looks whether it was understood.
        is_it: Tells it from others of a file.
    """

    name: str
    holds: dict[str, Any]
    check: Callable[[Line], None]
    is_it: Callable[[Line], bool]

    def pact(self) -> Pact:
        one = Pact(CONSUMER, PROVIDER).with_specification("V4")
        one.upon_receiving(self.name, "Async").with_body(self.holds, "application/json")
        return one


MESSAGES = (
    Message(
        "the first line",
        {
            "type": "run",
            "schema_version": match.regex("1.0", regex=r"^1\.[0-9]+$"),
            "upload_id": match.regex("0" * 32, regex="^[0-9a-f]{32}$"),
            "run_id": match.str("run-1"),
            "producer": match.str("pytest-testlytics 0.1.0"),
            "started_us": match.int(7),
            "project": match.str("default"),
            "variant": {"os": match.str("linux"), "python": match.str("3.11")},
        },
        check_first,
        lambda line: line["type"] == "run",
    ),
    Message(
        "an attempt that passed",
        TRIED | {"outcome": "passed"},
        check_attempt,
        lambda line: line.get("outcome") == "passed",
    ),
    Message(
        "an attempt that failed",
        TRIED | {"outcome": "failed", "failure": WHY},
        check_attempt,
        lambda line: line.get("outcome") == "failed",
    ),
    Message(
        "the last line",
        {
            "type": "end",
            "ended_us": match.int(7),
            "exit_status": match.int(0),
            "attempts": match.int(3),
        },
        check_last,
        lambda line: line["type"] == "end",
    ),
)


def play(message: Message, folder: Path) -> dict[str, Any]:
    """Let the collector meet a message; return the pact as it is written."""
    heard: list[Line] = []

    def handle(body: str | bytes | None, _: dict[str, object]) -> None:
        assert body is not None
        line = json.loads(body)
        message.check(line)
        message.check(foreign(line))
        heard.append(line)

    pact = message.pact()
    pact.verify(handle, "Async")
    assert len(heard) == 1
    return written(pact, folder / "written")


def foreign(line: Line) -> dict[str, Any]:
    """Return a line of a later plugin of the same major version: it says more."""
    more = {"new": {"deep": [1, None, "x"]}, "newer": "ü", "": 0}
    return {**more, **line, "last": 1.5}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: one.name)
def test_the_collector_keeps_its_side(message: Message, tmp_path: Path) -> None:
    [now] = play(message, tmp_path)["interactions"]
    kept = {row["description"]: row for row in json.loads(PACT.read_text())["interactions"]}
    assert kept[message.name] == now


def test_the_pact_holds_these_messages_and_no_others() -> None:
    names = [row["description"] for row in json.loads(PACT.read_text())["interactions"]]
    assert names == [message.name for message in MESSAGES]


def recorded(folder: Path) -> bytes:
    """Return what the plugin of today writes of the session that `OLDEST` records."""
    shutil.copy(DATA / "scenario_shop.py", folder / "test_shop.py")
    found = run(folder, "--testlytics", "test_shop.py")
    assert found.path is not None, found.output
    return found.path.read_bytes()


def produced(line: Line) -> Produced:
    contents = json.dumps(line).encode()
    return {"contents": contents, "metadata": None, "content_type": "application/json"}


def verify(data: bytes, source: Path) -> str:
    """Hold the lines of a run file against a pact; return what pact says against them."""
    told = [json.loads(line) for line in data.splitlines() if line.strip()]
    first = {one.name: next(line for line in told if one.is_it(line)) for one in MESSAGES}

    verifier = Verifier(PROVIDER, host="127.0.0.1").add_source(source)
    verifier.message_handler({name: produced(line) for name, line in first.items()})
    failed = ""
    try:
        verifier.verify()
    except RuntimeError:
        failed = verifier.output(strip_ansi=True) or "failed"
    with warnings.catch_warnings():
        # Its own server leaves a socket open; that is not for later tests to find.
        warnings.simplefilter("ignore", ResourceWarning)
        del verifier
        gc.collect()
    return failed


def test_the_plugin_keeps_its_side(tmp_path: Path) -> None:
    assert verify(recorded(tmp_path), PACT) == ""


def test_the_oldest_plugin_kept_its_side() -> None:
    assert verify(OLDEST.read_bytes(), PACT) == ""


def test_a_plugin_that_wrote_otherwise_would_be_found_out() -> None:
    data = OLDEST.read_bytes().replace(b'"call_us":99,', b"")
    assert "call_us" in verify(data, PACT)


def test_what_the_oldest_plugin_wrote_is_read_as_what_is_written_now(tmp_path: Path) -> None:
    def told(data: bytes) -> tuple[object, ...]:
        reading, found = read(data)
        ends = [
            (one.test_id, one.attempt, one.outcome, one.failure and one.failure.message)
            for one in found
        ]
        upload = reading.upload
        return reading.counts, reading.problems, ends, upload.project, upload.complete

    oldest = told(OLDEST.read_bytes())
    assert oldest == told(recorded(tmp_path))
    rows = [json.loads(line) for line in OLDEST.read_bytes().splitlines() if line.strip()]
    strange = [{"type": "strange", "test_id": 7}, {"type": None}, {"more": []}]
    later = [rows[0] | {"schema_version": "1.99"}, *strange, *rows[1:-1], *strange, rows[-1]]
    assert oldest == told(lines(*map(foreign, later)))


def main() -> int:
    """Write the pact from what the collector does now."""
    documents = []
    for message in MESSAGES:
        with tempfile.TemporaryDirectory() as folder:
            documents.append(play(message, Path(folder)))
    PACT.write_text(together(documents))
    return 0


if __name__ == "__main__":
    sys.exit(main())
