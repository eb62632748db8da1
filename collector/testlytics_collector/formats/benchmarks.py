"""Reads benchmarks: the JSON that pytest-benchmark and hyperfine write.

Of each benchmark median and minimum are kept: the mean follows whatever else the machine did.
"""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.junit.instants import instant_of
from testlytics_collector.formats.measured import Measurements, full_commit, upload_of
from testlytics_collector.formats.values import text_of
from testlytics_collector.records import Good


class _Stats(msgspec.Struct):
    median: float | None = None
    min: float | None = None


class _Benchmark(msgspec.Struct):
    stats: _Stats
    name: str | None = None
    fullname: str | None = None


class _Commit(msgspec.Struct):
    id: str | None = None
    dirty: bool | None = None
    branch: str | None = None


class _PytestBenchmark(msgspec.Struct):
    benchmarks: list[_Benchmark]
    commit_info: _Commit | None = None
    datetime: str | None = None
    version: str | None = None


class _Timed(msgspec.Struct):
    command: str | None = None
    median: float | None = None
    min: float | None = None
    user: float | None = None
    system: float | None = None


class _Hyperfine(msgspec.Struct):
    results: list[_Timed]


def read_pytest(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read what `pytest --benchmark-json` wrote; see `interface.Read`."""
    told = documents.read(stream, _PytestBenchmark, "pytest-benchmark JSON")
    taken = Measurements(limits)
    for at, one in enumerate(told.benchmarks):
        name, place = one.fullname or one.name, f"$.benchmarks[{at}].stats"
        taken.add(name, "time-median", "s", one.stats.median, Good.LOWER, f"{place}.median")
        taken.add(name, "time-min", "s", one.stats.min, Good.LOWER, f"{place}.min")
    commit = told.commit_info or _Commit()
    known = full_commit(commit.id)
    instant = instant_of(told.datetime or "")
    return taken.reading(
        upload_of(
            origin,
            f"pytest-benchmark {text_of(told.version) or ''}".strip(),
            instant.us if instant else None,
            commit=known,
            dirty=commit.dirty if known else None,
            # Outside of a repository it says "unknown" or "(unknown)".
            branch=text_of(commit.branch) if known else None,
        )
    )


def read_hyperfine(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read what `hyperfine --export-json` wrote; see `interface.Read`."""
    told = documents.read(stream, _Hyperfine, "hyperfine JSON")
    taken = Measurements(limits)
    for at, one in enumerate(told.results):
        place = f"$.results[{at}]"
        for metric, value, key in (
            ("time-median", one.median, "median"),
            ("time-min", one.min, "min"),
        ):
            taken.add(one.command, metric, "s", value, Good.LOWER, f"{place}.{key}")
        if one.user is not None and one.system is not None:
            cpu = one.user + one.system
            taken.add(one.command, "cpu-mean", "s", cpu, Good.LOWER, f"{place}.user")
    return taken.reading(upload_of(origin, "hyperfine"))
