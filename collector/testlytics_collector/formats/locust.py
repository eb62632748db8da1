"""Reads load tests: what `locust --csv` writes into `…_stats.csv`, and `locust --json`.

Percentiles in seconds, requests a second and the share that failed, for each endpoint.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from math import floor
from typing import BinaryIO

import msgspec

from testlytics_collector.errors import InputError
from testlytics_collector.formats import documents
from testlytics_collector.formats.interface import Limits, Origin, Reading, Sink
from testlytics_collector.formats.measured import Measurements, upload_of
from testlytics_collector.formats.text import printable
from testlytics_collector.records import Good

_COUNTS = ("Request Count", "Failure Count")
_PERCENTILES = (50, 95, 99)
_NONE = frozenset({"", "N/A"})
_PRODUCER = "locust"
_HINT = "Give the file that locust --csv names ..._stats.csv."


class _Entry(msgspec.Struct):
    name: str
    num_requests: int
    method: str | None = None
    num_failures: int = 0
    response_times: dict[str, int] = {}
    start_time: float | None = None
    last_request_timestamp: float | None = None


def read_csv(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read `…_stats.csv`; see `interface.Read`."""
    taken = Measurements(limits)
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
    rows = csv.DictReader(text, restval="", strict=True)
    try:
        for row in rows:
            _take_row(taken, row, rows.line_num)
    except csv.Error as error:
        raise InputError(
            f"Not Locust's statistics: {printable(str(error))}.",
            slug="locust-csv",
            hint=_HINT,
            line=rows.line_num,
        ) from error
    finally:
        text.detach()
    return taken.reading(upload_of(origin, _PRODUCER))


def _take_row(taken: Measurements, row: Mapping[str, str], line: int) -> None:
    name = " ".join(filter(None, (row["Type"], row["Name"])))
    requests, failures = (_number(taken, row, key, line) for key in _COUNTS)
    if not requests or requests < 0:  # what nobody asked for has no throughput either
        return
    for percent in _PERCENTILES:
        key = f"{percent}%"
        value = _number(taken, row, key, line)
        if value is not None:
            metric = f"latency-p{percent}"
            taken.add(name, metric, "s", value / 1000, Good.LOWER, key, line)
    rate = _number(taken, row, "Requests/s", line)
    if rate is not None:
        taken.add(name, "throughput", "1/s", rate, Good.HIGHER, "Requests/s", line)
    if failures is not None:
        share = failures / requests
        taken.add(name, "failure-rate", "ratio", share, Good.LOWER, "Failure Count", line)


def _number(taken: Measurements, row: Mapping[str, str], key: str, line: int) -> float | None:
    text = row.get(key) or ""
    if text in _NONE:  # Locust says N/A where there was no request
        return None
    try:
        return float(text)
    except ValueError:
        taken.say(f"{key} is {printable(text)}, not a number; left out.", line)
        return None


def read_json(stream: BinaryIO, sink: Sink, origin: Origin, limits: Limits) -> Reading:  # noqa: ARG001
    """Read what `locust --json` wrote; see `interface.Read`."""
    entries = documents.read(stream, list[_Entry], "Locust JSON")
    taken = Measurements(limits)
    starts = [one.start_time for one in entries if one.start_time]
    ends = [one.last_request_timestamp for one in entries if one.last_request_timestamp]
    lasted = max(ends) - min(starts) if starts and ends else 0.0
    for at, one in enumerate(entries):
        _take_entry(taken, one, f"$[{at}]", lasted)
    began = min(starts) if starts else 0.0
    started_us = int(began * 1e6) if 0 < began < 2**40 else None
    return taken.reading(upload_of(origin, _PRODUCER, started_us))


def _take_entry(taken: Measurements, one: _Entry, place: str, lasted: float) -> None:
    if one.num_requests <= 0:
        return
    name = " ".join(filter(None, (one.method, one.name)))
    times = _times(taken, one.response_times, f"{place}.response_times")
    for percent in _PERCENTILES if times else ():
        value = _percentile(times, percent) / 1000
        taken.add(name, f"latency-p{percent}", "s", value, Good.LOWER, f"{place}.response_times")
    if lasted > 0:
        rate = one.num_requests / lasted
        taken.add(name, "throughput", "1/s", rate, Good.HIGHER, f"{place}.num_requests")
    share = one.num_failures / one.num_requests
    taken.add(name, "failure-rate", "ratio", share, Good.LOWER, f"{place}.num_failures")


def _times(taken: Measurements, told: Mapping[str, int], place: str) -> list[tuple[float, int]]:
    """Return milliseconds and how often each was met, rising."""
    times = []
    for text, count in told.items():
        try:
            times.append((float(text), count))
        except ValueError:
            taken.say(f"{place} holds {printable(text)}, not a number; left out.")
    return sorted(one for one in times if one[1] > 0)


def _percentile(times: list[tuple[float, int]], percent: int) -> float:
    """Return the time of the request before which this share of all came, as Locust takes it."""
    before = floor(sum(count for _, count in times) * percent / 100)
    for time, count in times:
        before -= count
        if before < 0:
            return time
    return times[-1][0]
