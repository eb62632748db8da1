"""One measurement: what clients saw and the service took, and the figures that follow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from scripts.load.clients import Acknowledged, Entry, Failure, Moment
from scripts.load.scenarios import Scenario
from scripts.load.serving import Sample
from scripts.load.stored import Broken

UPLOADS = ("POST run", "POST bulk run")
SETTLED_S = 180.0
"""From when on memory should not grow: caches are full and the threads have started by then."""

_SEVERAL = 8


class Measured(NamedTuple):
    """All of one load.

    Attributes:
        name: Of the scenario.
        scenario: What was asked for.
        began_s: When the virtual users began, seconds since the epoch.
        watched_s: When the first sample was taken, seconds since the epoch.
        moments: What clients saw second by second.
        entries: What became of the requests by name, all together last.
        failures: How they failed.
        acknowledged: Uploads that were acknowledged as stored.
        samples: What the service took.
        clients_cpu_s: What the clients took, on the same machine.
        broken: What the store has not kept.
    """

    name: str
    scenario: Scenario
    began_s: float
    watched_s: float
    moments: Sequence[Moment]
    entries: Sequence[Entry]
    failures: Sequence[Failure]
    acknowledged: Sequence[Acknowledged]
    samples: Sequence[Sample]
    clients_cpu_s: float
    broken: Broken

    @property
    def plateau(self) -> tuple[float, float]:
        """The time with the most users, seconds since the epoch."""
        most = max((one.users for one in self.moments), default=0)
        full = [one.at_s for one in self.moments if one.users >= 0.95 * most]
        return (full[0], full[-1]) if full else (self.began_s, self.began_s)

    @property
    def uploads(self) -> Entry | None:
        """What became of the uploads that were new."""
        return next((one for one in self.entries if one.name in UPLOADS), None)

    def steady(self) -> list[Sample]:
        """Return the samples of the plateau; all where it is too short."""
        first, last = (at - self.watched_s for at in self.plateau)
        found = [one for one in self.samples if first <= one.at_s <= last and one.queued >= 0]
        return found if len(found) >= _SEVERAL else [one for one in self.samples if one.queued >= 0]


def figures(one: Measured) -> dict[str, float | None]:
    """Return the figures by name; None where nothing was measured. See docs/how-to/load.md."""
    together = one.entries[-1] if one.entries else None
    uploads, broken = one.uploads, one.broken
    results = sum(upload.results for upload in one.acknowledged)
    last_s = one.acknowledged[-1].at_s if one.acknowledged else one.began_s
    spent_s = last_s - one.began_s
    return {
        "clients": max((moment.users for moment in one.moments), default=0),
        "requests": together.requests if together else 0,
        "requests_per_s": together.rate if together else None,
        "errors": together.failures if together else 0,
        "error_share": _share(together.failures, together.requests) if together else None,
        "uploads": len(one.acknowledged),
        "uploads_per_s": _rate(one),
        "upload_p50_s": uploads and uploads.p50_s,
        "upload_p95_s": uploads and uploads.p95_s,
        "upload_p99_s": uploads and uploads.p99_s,
        "results": results,
        "results_per_s": results / spent_s if spent_s > 0 else None,
        "after_spike_p95_s": _recovered(one),
        **_taken(one),
        "lost_uploads": broken.lost,
        "lost_results": broken.lost_results,
        "torn_uploads": broken.torn,
        "doubled_uploads": broken.doubled,
        "broken_stores": broken.stores,
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _rate(one: Measured) -> float | None:
    """Return acknowledged uploads a second while all users were there."""
    first, last = one.plateau
    if last <= first:
        return None
    return sum(first <= upload.at_s <= last for upload in one.acknowledged) / (last - first)


def _recovered(one: Measured) -> float | None:
    """Return the worst 95th percentile from ten seconds after the last step down on."""
    steps = one.scenario.steps
    if len(steps) < 3 or steps[-1].users >= steps[-2].users:
        return None
    # Percentiles are of the last ten seconds.
    calm_s = one.began_s + steps[-2].until * one.scenario.seconds + 2 * 10
    times = [it.p95_s for it in one.moments if it.at_s >= calm_s and it.p95_s is not None]
    return max(times, default=None)


def _spent(one: Measured) -> float:
    """Return what the service took in all, its start left out, in seconds."""
    return max(it.cpu_s for it in one.samples) - one.samples[0].cpu_s


def _taken(one: Measured) -> dict[str, float | None]:
    """Return what the service took while all users were there."""
    steady = one.steady()
    names = ["cpu_cores", "cpu_ms_per_upload", "cpu_us_per_result", "delayed_threads"]
    names += ["loop_share", "commit_share", "results_per_commit", "queued_most"]
    names += ["rss_mib", "memory_growth", "files_growth"]
    if len(steady) < 2:
        return dict.fromkeys(names)
    first, last = steady[0], steady[-1]
    spent_s, commits = last.at_s - first.at_s, last.commits - first.commits
    # What is there after three minutes, or at the half of what is shorter than six.
    mark_s = min(SETTLED_S, (steady[-1].at_s - steady[0].at_s) / 2) + steady[0].at_s
    before = [it for it in steady if it.at_s <= mark_s][-_SEVERAL:]
    after = steady[-_SEVERAL:]
    rss = median(it.rss for it in after)
    return {
        "cpu_cores": (last.cpu_s - first.cpu_s) / spent_s,
        "cpu_ms_per_upload": _share(1e3 * _spent(one), len(one.acknowledged)),
        "cpu_us_per_result": _share(1e6 * _spent(one), sum(it.results for it in one.acknowledged)),
        "delayed_threads": (last.delayed_s - first.delayed_s) / spent_s,
        "loop_share": (last.loop_s - first.loop_s) / spent_s,
        "commit_share": (last.commit_s - first.commit_s) / spent_s,
        "results_per_commit": _share(last.results - first.results, commits),
        "queued_most": max(it.queued for it in steady),
        "rss_mib": rss / 2**20,
        "memory_growth": rss / median(it.rss for it in before) - 1,
        "files_growth": median(it.files for it in after) - median(it.files for it in before),
    }


class Bottleneck(NamedTuple):
    """Something that may limit the service, with the evidence, and whether it does."""

    what: str
    evidence: str
    limits: bool


def bottlenecks(one: Measured, told: dict[str, float | None]) -> list[Bottleneck]:
    """Say what limits, those that do first."""
    cores = os.cpu_count() or 1
    cpu, loop, commit = (told[key] or 0.0 for key in ("cpu_cores", "loop_share", "commit_share"))
    span_s = max(one.moments[-1].at_s - one.moments[0].at_s, 1.0) if one.moments else 1.0
    clients = one.clients_cpu_s / span_s
    busy = {"503 http-busy": 0, "429 http-rate": 0}
    for failure in one.failures:
        for kind in busy:
            busy[kind] += failure.times if kind in failure.kind else 0
    slowest = max(one.entries[:-1], key=lambda it: it.p95_s or 0.0, default=None)
    growth = told["memory_growth"] or 0.0
    delayed = told["delayed_threads"] or 0.0
    found = [
        Bottleneck(
            "processor",
            f"service {cpu:.2f} and clients {clients:.2f} of {cores} cores; on average "
            f"{delayed:.2f} of the service's threads waited for one",
            cpu + clients > 0.85 * cores or delayed > 0.5,
        ),
        Bottleneck("event loop", f"its thread was busy for {loop:.0%} of the time", loop > 0.7),
        Bottleneck(
            "writer",
            f"in transactions for {commit:.0%} of the time, "
            f"{told['results_per_commit'] or 0:,.0f} results in each",
            commit > 0.7,
        ),
        Bottleneck(
            "bounds",
            f"at most {told['queued_most'] or 0:.0f} uploads at once; "
            + ", ".join(f"{count} times {kind}" for kind, count in busy.items()),
            any(busy.values()),
        ),
        Bottleneck("memory", f"{told['rss_mib'] or 0:,.0f} MiB, {growth:+.1%} since", growth > 0.1),
    ]
    if slowest is not None and slowest.p95_s is not None:
        found.append(
            Bottleneck(
                "slowest request", f"{slowest.name}, p95 {slowest.p95_s:.2f} s", slowest.p95_s > 1.0
            )
        )
    return sorted(found, key=lambda it: not it.limits)
