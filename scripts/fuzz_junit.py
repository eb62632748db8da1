"""Feeds the JUnit reader inputs that a fuzzer makes up: it may refuse them, and do nothing else.

Coverage-guided where atheris is installed (`make fuzz` installs it), starting from the small files
in tests/data/junit and from whole documents written here.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["testlytics_collector"]):
    from testlytics_collector.errors import InputError
    from testlytics_collector.formats import junit
    from testlytics_collector.formats.interface import Limits, Origin
    from testlytics_collector.records import Attempt

DATA = Path(__file__).resolve().parent.parent / "tests" / "data" / "junit"
WORDS = (
    "testsuites testsuite testcase failure error skipped rerunFailure flakyFailure flakyError "
    "system-out system-err properties property name classname file line time timestamp status "
    "result message type retries flaky value_param tests failures errors assertions hostname"
).split()
SEEDS = (
    b"<testsuite><testcase classname='a.B' name='c[1]' time='1,234.5'/></testsuite>",
    b"<?xml version='1.0' encoding='utf-16'?><testsuites/>".decode().encode("utf-16"),
    b"<testsuite name='pytest'><testcase classname='t.a' name='x'/><testcase classname='t.a' "
    b"name='x'><failure message='m'>a.py:3: E</failure></testcase></testsuite>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite>&b;</testsuite>",
    b"junk<testsuite timestamp='2026-01-01T00:00:00'><testcase name='\x1b'/></testsuite>junk",
)
LIMITS = Limits(message_chars=200, text_chars=400, batch=10)


class Sink:
    """Checks that what a reader gives can be stored."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self, project: str) -> None:
        """Take the project."""

    def write(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts."""
        for attempt in attempts:
            self.count += 1
            assert attempt.test_id, "an empty test id"
            assert attempt.attempt > 0, attempt
            assert attempt.duration_us is None or 0 <= attempt.duration_us < 2**62, attempt
            attempt.test_id.encode()


def try_one(data: bytes) -> None:
    """Read one input; anything but an answer or a refusal is a finding."""
    junit.looks_like(data[:1_000])
    sink = Sink()
    try:
        reading = junit.read(io.BytesIO(data), sink, Origin("0" * 64, "fuzz.xml"), LIMITS)
    except InputError as error:
        assert error.message, "a refusal without a word"
        return
    counts = reading.counts
    told = counts.passed + counts.failed + counts.errored + counts.skipped + counts.unknown
    assert told == counts.testcases, counts
    assert counts.attempts == sink.count, counts


def main() -> None:
    """Run the fuzzer; it leaves with a status other than 0 at the first finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="how many inputs")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--max-len", type=int, default=2_000, help="longest input, in bytes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name)
        for number, seed in enumerate([*SEEDS, *(p.read_bytes() for p in DATA.rglob("*.xml"))]):
            (corpus / f"seed-{number}").write_bytes(seed)
        words = corpus.parent / f"{corpus.name}.dict"
        words.write_text("".join(f'"{word}"\n' for word in WORDS))
        arguments = [
            sys.argv[0],
            f"-runs={options.runs}",
            f"-seed={options.seed}",
            f"-max_len={options.max_len}",
            f"-dict={words}",
            "-timeout=10",
            "-rss_limit_mb=1000",
            "-print_final_stats=1",
            f"-artifact_prefix={Path(tempfile.gettempdir())}/junit-",
            str(corpus),
        ]
        atheris.Setup(arguments, try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
