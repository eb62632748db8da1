"""Measures what recording costs, beside other plugins that record, all in one run.

Every measurement is a pytest process of its own on the same trivial tests, in random order within
each round; the tables show medians over the rounds.

- In hooks: the time spent inside of the hook functions of one plugin, in the process that records.
  Each of its functions is wrapped in a pair of clock readings, and so are those of a plugin that
  does nothing, whose time is subtracted. Of each kind of call the median counts; what a plugin does
  once, at the start or at the end, stands in a column of its own.
- CPU: user + system of all processes of a session, as difference to plain pytest in the same round.
- Bytes: the size of what was written, by test.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter_ns
from typing import Any, NamedTuple

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "plugin-cost.md"
TARGET = "BENCH_PLUGIN_TARGET"
MEMORY = "BENCH_PLUGIN_MEMORY"
RESULT = "BENCH_PLUGIN_RESULT"
PRIVATE = ("PYTEST", "TESTLYTICS", "GITHUB_", "GITLAB_", "CI", "BUILD", "JENKINS", "TF_", "COV")
TESTS_A_FILE = 100
OURS, PEER = "**testlytics**", "junitxml"
PHASES = ("pytest_runtest_", "pytest_report_teststatus")


class Recorder(NamedTuple):
    """One row of the tables.

    Attributes:
        name: As shown.
        package: Modules whose hooks are measured.
        options: What switches it on; `{out}` is the path to write to.
    """

    name: str
    package: str
    options: tuple[str, ...]


PLAIN = Recorder("plain pytest", "", ())
OPTIONS = {
    (OURS, "pytest_testlytics"): "-p testlytics --testlytics --testlytics-file={out}",
    (PEER, "_pytest.junitxml"): "--junitxml={out}",
    ("pytest-reportlog", "pytest_reportlog"): "-p pytest_reportlog.plugin --report-log={out}",
    ("pytest-json-report", "pytest_jsonreport"): "-p pytest_metadata.plugin "
    "-p pytest_jsonreport.plugin --json-report --json-report-file={out}",
}
RECORDERS = tuple(Recorder(*names, tuple(options.split())) for names, options in OPTIONS.items())


class Nothing:
    """A plugin that does nothing: what measuring costs by itself."""

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        """Do nothing."""

    def pytest_runtest_logreport(self, report: object) -> None:
        """Do nothing."""


class Probe:
    """Measures the hook functions of one plugin in the process that records."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._spent: dict[str, list[int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Wrap the hook functions once all plugins are there."""
        manager = session.config.pluginmanager
        measured = {
            id(plugin): "nothing" if isinstance(plugin, Nothing) else "target"
            for plugin in manager.get_plugins()
            if isinstance(plugin, Nothing) or _module_of(plugin).startswith(self._package)
        }
        for name, caller in vars(manager.hook).items():
            for hook in getattr(caller, "get_hookimpls", list)():
                whose = measured.get(id(hook.plugin))
                if whose is not None:
                    around = hook.hookwrapper or getattr(hook, "wrapper", False)
                    wrap = self._wrap_around if around else self._wrap
                    hook.function = wrap(hook.function, f"{whose}:{name}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Write what was measured."""
        found = {
            kind: {"calls": len(spent), "median": statistics.median(spent), "sum": sum(spent)}
            for kind, spent in self._spent.items()
        }
        Path(os.environ[RESULT]).write_text(json.dumps(found), encoding="ascii")

    def _wrap(self, function: Callable[..., object], kind: str) -> Callable[..., object]:
        keep, clock = self._keep, perf_counter_ns
        of_phase = kind.endswith("logreport")

        def timed(*arguments: Any) -> object:  # noqa: ANN401
            began = clock()
            result = function(*arguments)
            spent = clock() - began
            keep(f"{kind}:{arguments[0].when}" if of_phase else kind, spent)
            return result

        return timed

    def _wrap_around(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        """Time a hook wrapper before and after its yield; only the old style, which peers use."""
        keep, clock = self._keep, perf_counter_ns

        def timed(*arguments: Any) -> Generator[None, Any, None]:  # noqa: ANN401
            began = clock()
            around = function(*arguments)
            next(around)
            keep(f"{kind}:before", clock() - began)
            outcome = yield
            began = clock()
            with suppress(StopIteration):
                around.send(outcome)
            keep(f"{kind}:after", clock() - began)

        return timed

    def _keep(self, kind: str, spent: int) -> None:
        self._spent.setdefault(kind, []).append(spent)


class Flood:
    """Feeds very many tests to the hooks of the recorder, as pytest does, and watches memory."""

    def __init__(self, tests: int) -> None:
        self._tests = tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run no test, and report all of them."""
        start, report = (
            [
                impl.function
                for impl in getattr(session.config.hook, name).get_hookimpls()
                if _module_of(impl.plugin).startswith("pytest_testlytics")
            ]
            for name in ("pytest_runtest_logstart", "pytest_runtest_logreport")
        )
        sizes = []
        for numbers in (range(1_000), range(1_000, self._tests)):
            for number in numbers:
                test_id, location = name_of(number), ("t.py", number, "t")
                for function in start:
                    function(test_id, location)
                for when in ("setup", "call", "teardown"):
                    made = _report(test_id, location, when)
                    for function in report:
                        function(made)
            sizes.append(_resident_kib())
        Path(os.environ[RESULT]).write_text(json.dumps(sizes), encoding="ascii")
        return True


def pytest_configure(config: pytest.Config) -> None:
    """Register what is to be measured; pytest loads this file as a plugin."""
    if hasattr(config, "workerinput"):
        return
    if TARGET in os.environ:
        config.pluginmanager.register(Nothing())
        config.pluginmanager.register(Probe(os.environ[TARGET]))
    if MEMORY in os.environ:
        config.pluginmanager.register(Flood(int(os.environ[MEMORY])))


def _module_of(plugin: object) -> str:
    return str(getattr(plugin, "__name__", None) or type(plugin).__module__)


def _report(test_id: str, location: tuple[str, int, str], when: Any) -> pytest.TestReport:  # noqa: ANN401
    return pytest.TestReport(test_id, location, {}, "passed", None, when, duration=1e-9)


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


def name_of(number: int) -> str:
    """Return a test id of sixty characters."""
    return f"tests/test_{number // TESTS_A_FILE:06}.py::test_that_item_{number:07}_is_priced_right"


def write_suite(folder: Path, tests: int) -> None:
    """Write trivial tests."""
    files: dict[str, list[str]] = {}
    for number in range(tests):
        path, _, name = name_of(number).partition("::")
        files.setdefault(path, []).append(f"def {name}():\n    pass\n")
    (folder / "tests").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    for path, functions in files.items():
        (folder / path).write_text("\n\n".join(functions), encoding="ascii")


class Session(NamedTuple):
    """What one session cost: microseconds and bytes a test, and what the probe saw."""

    wall_us: float
    cpu_us: float
    size: float
    probe: dict[str, dict[str, float]]


def run_session(
    folder: Path, recorder: Recorder, tests: int, workers: int, *, probe: bool
) -> Session:
    """Run all tests once."""
    out, result = folder / "out", folder / "result.json"
    out.unlink(missing_ok=True)
    options = [option.format(out=out) for option in recorder.options]
    if workers:
        options += ["-p", "xdist", f"-n{workers}"]
    more = {TARGET: recorder.package, RESULT: str(result)} if probe else {}
    wall, cpu = _run_pytest(folder, options, probe=probe, environment=more)
    return Session(
        wall / tests,
        cpu / tests,
        out.stat().st_size / tests if out.exists() else 0.0,
        json.loads(result.read_bytes()) if probe else {},
    )


def _run_pytest(
    folder: Path, options: Iterable[str], *, probe: bool, environment: dict[str, str]
) -> tuple[float, float]:
    """Run pytest; return its wall time and its CPU time, microseconds."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(PRIVATE)}
    kept |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    command += ["-p", Path(__file__).stem] * probe
    # Where objects come to lie changes the time by some percent: let that be chance as well.
    kept["BENCH_PLUGIN_PADDING"] = "x" * random.randrange(4_096)  # noqa: S311
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=kept | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_us = (time.perf_counter() - began) * 1e6
    if process.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"{' '.join(command)} failed:\n{output}")
    return wall_us, (usage.ru_utime + usage.ru_stime) * 1e6


def in_hooks(probe: dict[str, dict[str, float]], tests: int) -> tuple[float, float]:
    """Return microseconds a test in the hooks of each test, and milliseconds in all others."""
    own = {
        kind.partition(":")[2]: spent["median"]
        for kind, spent in probe.items()
        if kind.startswith("nothing:")
    }
    usual = statistics.median(own.values())
    each = once = 0.0
    for kind, spent in probe.items():
        whose, _, name = kind.partition(":")
        if whose == "target" and name.startswith(PHASES):
            each += spent["calls"] * (spent["median"] - own.get(name, usual))
        elif whose == "target":
            once += spent["sum"]
    return each / tests / 1e3, once / 1e6


def measure(
    folder: Path, recorders: list[Recorder], tests: int, rounds: int, workers: int
) -> dict[str, dict[str, float]]:
    """Let the recorders take turns; return the medians by name."""
    found: dict[str, list[dict[str, float]]] = {recorder.name: [] for recorder in recorders}
    run_session(folder, PLAIN, tests, workers, probe=False)  # compiles the tests
    for _ in range(rounds):
        row: dict[str, dict[str, float]] = {}
        for recorder in random.sample(recorders, len(recorders)):
            bare = run_session(folder, recorder, tests, workers, probe=False)
            row[recorder.name] = {"wall": bare.wall_us, "cpu": bare.cpu_us, "size": bare.size}
            if recorder.package:
                probed = run_session(folder, recorder, tests, workers, probe=True)
                each, once = in_hooks(probed.probe, tests)
                row[recorder.name] |= {"each": each, "once": once}
        for name, values in row.items():
            values["more"] = values["cpu"] - row[PLAIN.name]["cpu"]
            if "each" in values:
                values["ratio"] = values["each"] / row[PEER]["each"]
            found[name].append(values)
    return {
        name: {key: statistics.median(one[key] for one in many) for key in many[0]}
        for name, many in found.items()
    }


def table(title: str, found: dict[str, dict[str, float]], absent: list[str]) -> str:
    """Write the medians as Markdown."""
    wall = found[PLAIN.name]["wall"]
    lines = [
        f"### {title}\n",
        f"| | in hooks µs/test | × {PEER} | % of plain wall | once ms | CPU µs/test | B/test |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in found.items():
        if "each" not in row:
            text = f"wall {row['wall']:,.0f} µs/test | | | | {row['cpu']:,.0f} |"
        else:
            text = (
                f"{row['each']:.1f} | {row['ratio']:.2f} | {100 * row['each'] / wall:.1f} | "
                f"{row['once']:.1f} | {row['more']:+.0f} | {row['size']:,.0f}"
            )
        lines.append(f"| {name} | {text} |")
    lines += [f"| {name} | not installed | | | | | |" for name in absent]
    return "\n".join(lines)


def memory(folder: Path, tests: int) -> str:
    """Say how much a session grows while it records very many tests."""
    result = folder / "result.json"
    options = [option.format(out=folder / "out") for option in RECORDERS[0].options]
    (folder / "empty").mkdir()
    environment = {MEMORY: str(tests), RESULT: str(result)}
    _run_pytest(folder / "empty", options, probe=True, environment=environment)
    before, after = json.loads(result.read_bytes())
    lines = (folder / "out").read_bytes().count(b'{"type":"attempt"')
    grown = (after - before) / 1_024
    return (
        f"### Memory\n\nA session whose hooks were given the {3 * tests:,} reports of {tests:,} "
        f"tests wrote {lines:,} attempts, and its resident memory grew by {grown:.1f} MiB after "
        "the first thousand."
    )


def compare(folder: Path, tests: int, rounds: int, workers: int) -> list[str]:
    """Measure in one process, and with workers where xdist is there."""
    present = [recorder for recorder in RECORDERS if find_spec(recorder.package.partition(".")[0])]
    absent = [recorder.name for recorder in RECORDERS if recorder not in present]
    write_suite(folder, tests)
    tables = []
    for count in (0, workers) if workers and find_spec("xdist") else (0,):
        found = measure(folder, [PLAIN, *present], tests, rounds, count)
        title = f"{tests:,} trivial tests, {f'-n {count}' if count else 'one process'}"
        tables.append(table(title, found, absent))
    return tables


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tests", type=int, default=5_000, help="how many tests (default: 5000)")
    parser.add_argument("--rounds", type=int, default=9, help="how many rounds (default: 9)")
    parser.add_argument(
        "--workers", type=int, default=2, help="of xdist (default: 2; 0 for one process only)"
    )
    parser.add_argument(
        "--memory", type=int, metavar="N", help="also watch memory while N tests are recorded"
    )
    parser.add_argument("--update", action="store_true", help=f"write the tables to {PAGE.name}")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-plugin-"))
    try:
        texts = compare(folder, options.tests, options.rounds, options.workers)
        if options.memory:
            texts.append(memory(folder, options.memory))
    finally:
        shutil.rmtree(folder)
    text = "\n\n".join(texts) + "\n"
    print(text)
    if options.update:
        about = (__doc__ or "").partition("\n\n")[2].strip()
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(
            f"# What recording costs\n\nMade by `make bench-plugin`. {about}\n\n{text}",
            encoding="utf-8",
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
