"""What the service counts of itself, and how Prometheus reads it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """Counters of one service; used from several threads.

    Args:
        queued: Tells how many uploads are between their first byte and their answer.
    """

    def __init__(self, queued: Callable[[], int]) -> None:
        self._lock = threading.Lock()
        self._queued = queued
        self._uploads: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._results = 0
        self._commits: Counter[int] = Counter()
        self._commit_s = 0.0

    def request(self, route: str, status: int) -> None:
        """Count an answer, by the route's name."""
        with self._lock:
            self._requests[route, status] += 1

    def upload(self, status: str, results: int) -> None:
        """Count an upload, and the attempts in it where it was stored."""
        with self._lock:
            self._uploads[status] += 1
            self._results += results

    def error(self, slug: str) -> None:
        """Count an error."""
        with self._lock:
            self._errors[slug] += 1

    def commit(self, seconds: float) -> None:
        """Count one transaction of the writer."""
        at = next((n for n, bound in enumerate(_BOUNDS_S) if seconds <= bound), len(_BOUNDS_S))
        with self._lock:
            self._commits[at] += 1
            self._commit_s += seconds

    def text(self) -> str:
        """Write all in the text format of Prometheus, version 0.0.4."""
        with self._lock:
            lines = [
                *_counter("uploads_total", "Uploads by what became of them", self._by_status()),
                *_counter("errors_total", "Errors by their name", self._by_slug()),
                *_counter("requests_total", "Answers by route and status", self._by_route()),
                *_counter("results_total", "Attempts of tests that were stored", self._all()),
                *_head("queue_length", "gauge", "Uploads without an answer"),
                f"testlytics_queue_length {self._queued()}",
                *self._histogram(),
            ]
        return "\n".join(lines) + "\n"

    def _by_status(self) -> list[tuple[str, int]]:
        return [(f'{{status="{one}"}}', n) for one, n in sorted(self._uploads.items())]

    def _by_slug(self) -> list[tuple[str, int]]:
        return [(f'{{slug="{one}"}}', n) for one, n in sorted(self._errors.items())]

    def _by_route(self) -> list[tuple[str, int]]:
        return [
            (f'{{route="{route}",status="{status}"}}', n)
            for (route, status), n in sorted(self._requests.items())
        ]

    def _all(self) -> list[tuple[str, int]]:
        return [("", self._results)]

    def _histogram(self) -> list[str]:
        lines, total = _head("commit_seconds", "histogram", "Transactions of the writer"), 0
        for at, bound in enumerate(_BOUNDS_S):
            total += self._commits[at]
            lines.append(f'testlytics_commit_seconds_bucket{{le="{bound:g}"}} {total}')
        total += self._commits[len(_BOUNDS_S)]
        lines.append(f'testlytics_commit_seconds_bucket{{le="+Inf"}} {total}')
        lines.append(f"testlytics_commit_seconds_sum {self._commit_s:.6f}")
        lines.append(f"testlytics_commit_seconds_count {total}")
        return lines


def _head(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP testlytics_{name} {about}.", f"# TYPE testlytics_{name} {kind}"]


def _counter(name: str, about: str, values: list[tuple[str, int]]) -> list[str]:
    named = [f"testlytics_{name}{labels} {value}" for labels, value in values]
    return [*_head(name, "counter", about), *named]
