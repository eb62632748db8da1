"""Times reading JUnit XML beside the other readers, all on the same files in one run.

Each measurement is a process of its own; the readers take turns, and the table shows the least of
the rounds, which other work on the machine disturbed least. CPU seconds are user + system of the
work itself, imports apart; memory is the process's peak.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from xml.parsers import expat

if TYPE_CHECKING:
    from testlytics_collector.records import Attempt

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "junit-speed.md"
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n'
CASES_A_SUITE = 100


def write_lean(path: Path, cases: int) -> None:
    """Write a document of testcases without output, a hundred a suite, one in fifty failed."""
    with path.open("w", encoding="utf-8") as out:
        out.write(HEAD)
        for first in range(0, cases, CASES_A_SUITE):
            module = f"com.example.shop.module{first // CASES_A_SUITE:05}.BasketServiceTest"
            out.write(f'<testsuite name="{module}" tests="{min(CASES_A_SUITE, cases - first)}">\n')
            for number in range(first, min(first + CASES_A_SUITE, cases)):
                start = (
                    f'<testcase classname="{module}" name="test_that_item_{number:07}_is_priced" '
                    f'time="{(number * 37 % 9973) / 1000:.3f}"'
                )
                if number % 50:
                    out.write(f"{start} />\n")
                else:
                    out.write(
                        f'{start}><failure type="AssertionError" message="expected 3, got 4">'
                        "at BasketServiceTest.java:42</failure></testcase>\n"
                    )
            out.write("</testsuite>\n")
        out.write("</testsuites>\n")


class Sink(Protocol):
    """Takes attempts."""

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Take the next attempts."""


class Keep:
    """Takes attempts and keeps none, as a database would that is infinitely fast."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self, project: str) -> None:
        """Take the project's name."""

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Count them."""
        self.count += len(attempts)


def read_bare(path: Path) -> int:
    """Expat callbacks that build the same tuples and know nothing else: the floor in Python."""
    return _bare(path, Keep())


def _bare(path: Path, sink: Sink) -> int:
    from testlytics_collector.records import Attempt, Outcome

    passed, failed = Outcome.PASSED, Outcome.FAILED
    rows: list[Attempt] = []
    count = 0
    case: dict[str, str] = {}
    outcome = passed

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal case, outcome
        if tag == "testcase":
            case, outcome = attributes, passed
        elif tag == "failure":
            outcome = failed

    def end(tag: str) -> None:
        nonlocal count, rows
        if tag == "testcase":
            test_id = f"{case['classname']}::{case['name']}"
            duration = round(float(case["time"]) * 1e6)
            rows.append(Attempt(test_id, 1, outcome, duration, None, None, None, None, None))
            if len(rows) == 10_000:
                sink.write(rows)
                count += len(rows)
                rows = []

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            parser.Parse(chunk, False)
    parser.Parse(b"", True)
    if rows:
        sink.write(rows)
    return count + len(rows)


def read_ours(path: Path) -> int:
    """This project's reader."""
    from testlytics_collector.formats import junit
    from testlytics_collector.formats.interface import Limits, Origin

    sink = Keep()
    with path.open("rb") as stream:
        junit.read(stream, sink, Origin("0" * 64, path.name), Limits())
    return sink.count


def _junitparser_rows(path: Path) -> list[tuple[str, float | None, str]]:
    from junitparser import Error, Failure, JUnitXml, Skipped

    words = {Error: "errored", Failure: "failed", Skipped: "skipped"}
    rows = []
    for suite in JUnitXml.fromfile(str(path)):
        for case in suite:
            word = next((words[type(r)] for r in case.result if type(r) in words), "passed")
            rows.append((f"{case.classname}::{case.name}", case.time, word))
    return rows


def read_junitparser(path: Path) -> int:
    """Junitparser, with lxml where that is installed."""
    return len(_junitparser_rows(path))


def read_xunitparser(path: Path) -> int:
    """Xunitparser."""
    import xunitparser

    with path.open(encoding="utf-8") as stream:
        suite, _ = xunitparser.parse(stream)
    return sum(1 for case in suite if case.good is not None)


def read_junit2html(path: Path) -> int:
    """junit2html's parser."""
    from junit2htmlreport.parser import Junit

    return sum(len(one.cases) for s in Junit(str(path)).suites for one in s.classes.values())


def read_test_results_parser(path: Path) -> int:
    """test-results-parser, written in Rust."""
    import test_results_parser

    parsed = test_results_parser.parse_junit_xml(path.read_bytes())
    return len(parsed.testruns)


def store_ours(path: Path) -> int:
    """This project's reader and store."""
    from testlytics import api

    with tempfile.TemporaryDirectory() as folder:
        (result,) = api.ingest([str(path)], Path(folder) / "h.duckdb")
    return result.counts.attempts if result.counts else 0


def store_junitparser(path: Path) -> int:
    """Junitparser's rows through this project's store."""
    from testlytics_collector.records import Attempt, Outcome

    rows = [
        Attempt(test_id, 1, Outcome(word), None if time is None else round(time * 1e6))
        for test_id, time, word in _junitparser_rows(path)
    ]
    with _intake() as intake:
        for first in range(0, len(rows), 10_000):
            intake.write(rows[first : first + 10_000])
    return len(rows)


def store_bare(path: Path) -> int:
    """The bare callbacks' tuples through this project's store: what no reader on expat beats."""
    with _intake() as intake:
        return _bare(path, intake)


@contextlib.contextmanager
def _intake() -> Iterator[Sink]:
    """Give what keeps attempts in a new store."""
    from testlytics_collector.records import Upload
    from testlytics_collector.store.store import open_store

    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder) / "h.duckdb", write=True) as store,
        store.intake() as intake,
    ):
        yield intake
        store.keep(intake, Upload("u", "r"), digest="d", form="junit", now_us=1)


class Reader(NamedTuple):
    """One row of the table."""

    name: str
    needs: str
    run: Callable[[Path], int]


PARSERS = (
    Reader("bare expat callbacks", "xml", read_bare),
    Reader("**testlytics**", "testlytics_collector", read_ours),
    Reader("junitparser", "junitparser", read_junitparser),
    Reader("xunitparser", "xunitparser", read_xunitparser),
    Reader("junit2html", "junit2htmlreport", read_junit2html),
    Reader("test-results-parser (Rust)", "test_results_parser", read_test_results_parser),
)
STORES = (
    Reader("**testlytics ingest**", "testlytics", store_ours),
    Reader("bare expat callbacks + the same store", "xml", store_bare),
    Reader("junitparser + the same store", "junitparser", store_junitparser),
)
ALL = {reader.run.__name__: reader for reader in (*PARSERS, *STORES)}


def _peak_mib() -> float:
    # Not ru_maxrss: a child inherits its parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def work(name: str, path: Path) -> None:
    """Measure one reader on one file in this process, and print it as JSON."""
    run = ALL[name].run
    small = path.with_name("small.xml")
    run(small)  # imports and first-time costs apart
    began = time.process_time()
    cases = run(path)
    cpu = time.process_time() - began
    print(json.dumps({"cases": cases, "cpu": cpu, "peak": _peak_mib()}))


def measure(readers: Iterable[Reader], path: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Let the readers take turns; return the least of the rounds by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    present = [reader for reader in readers if find_spec(reader.needs)]
    for _ in range(rounds):
        for reader in present:
            command = [sys.executable, __file__, "--work", reader.run.__name__, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(reader.name, []).append(json.loads(done.stdout))
    return {
        name: {key: min(one[key] for one in many) for key in many[0]}
        for name, many in found.items()
    }


def table(title: str, found: dict[str, dict[str, float]], base: str) -> str:
    """Write the figures as Markdown, with the CPU time as a ratio to one row."""
    lines = [
        f"### {title}",
        "",
        f"| reader | CPU s | × {base.strip('*')} | testcases per CPU s | peak MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in found.items():
        ratio = row["cpu"] / found[base]["cpu"]
        rate = row["cases"] / row["cpu"]
        lines.append(
            f"| {name} | {row['cpu']:.2f} | {ratio:.2f} | {rate:,.0f} | {row['peak']:.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark, or with --work one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="testcases of the small file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--million", action="store_true", help="also with 1,000,000 testcases")
    parser.add_argument("--update", action="store_true", help=f"write the tables to {PAGE.name}")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work[0], Path(options.work[1]))
        return 0
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        write_lean(Path(folder) / "small.xml", 100)
        sizes = [(options.cases, options.rounds)] + [(1_000_000, 1)] * options.million
        for cases, rounds in sizes:
            path = Path(folder) / "cases.xml"
            write_lean(path, cases)
            size = f"{cases:,} testcases, {path.stat().st_size / 2**20:.0f} MiB"
            parsed = measure(PARSERS, path, rounds)
            tables.append(table(f"Parsing: {size}", parsed, PARSERS[0].name))
            stored = measure(STORES, path, rounds)
            tables.append(table(f"Into DuckDB: {size}", stored, STORES[0].name))
    text = "\n\n".join(tables) + "\n"
    print(text)
    if options.update:
        about = (__doc__ or "").partition("\n\n")[2].strip()
        PAGE.write_text(f"# Reading JUnit XML: speed and memory\n\n{about}\n\n{text}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
