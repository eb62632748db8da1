"""What failures and long tests cost, and what is worth doing: lists and sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.sections import (
    Column,
    Row,
    Section,
    commit,
    count,
    name_column,
    percent,
    probability,
    seconds,
)

if TYPE_CHECKING:
    from testlytics.report.groupings import Chosen
    from testlytics_analytics.impact import Advice, Losses, Path
    from testlytics_analytics.status import Judged
    from testlytics_collector.store.windowed import RunRow, WindowReader

PATH_TESTS = 20
"""Tests told of each critical path."""


class Told(NamedTuple):
    """What was found in a window.

    Attributes:
        losses: What failures cost.
        paths: The critical paths.
        advice: What is worth doing.
    """

    losses: Losses
    paths: list[Path]
    advice: list[Advice]


def find_impact(
    asked: WindowReader, judged: Sequence[Judged], runs: Sequence[RunRow], void: Collection[int]
) -> Told:
    """Ask the window what failures and long tests cost; after `histories`.

    Args:
        asked: The window.
        judged: Its tests that were judged.
        runs: Its runs.
        void: Indexes of runs that do not count.
    """
    from testlytics_analytics import impact

    jobs = [impact.Job(*one) for one in asked.jobs()]
    losses = impact.losses(jobs, (impact.Trouble(*one) for one in asked.troubles()), void)
    on_path = (impact.OnPath(*one) for one in asked.critical_path(PATH_TESTS))
    paths = impact.critical_paths(jobs, on_path, [run.project for run in runs])
    return Told(losses, paths, impact.advice(judged, losses, paths))


def impact_sections(told: Told, judged: Iterable[Judged], chosen: Chosen) -> list[Section]:
    """List what failures cost, what makes jobs long, and what is worth doing.

    Args:
        told: What `find_impact` found.
        judged: The tests that were judged.
        chosen: Whose tests are listed; what the whole suite lost is of all.
    """
    if chosen.among is not None:  # what is said of a whole suite is nobody's
        told = told._replace(advice=[one for one in told.advice if one.test_id is not None])
    return [
        chosen.kept(_impact_section(told.losses, judged)),
        chosen.kept(_path_section(told.paths)),
        chosen.kept(_advice_section(told)),
    ]


def loss_sentence(losses: Losses) -> str:
    """Say how much of what jobs took was lost."""
    share = losses.lost_s / losses.taken_s if losses.taken_s else None
    return (
        f"Lost to failures: {minutes(losses.lost_s)} of {minutes(losses.taken_s)}"
        f" ({percent(share)}); {losses.blocked} of {count(losses.jobs, 'job')} blocked,"
        f" {losses.reruns} of them started again."
    )


def minutes(value: float) -> str:
    """Write seconds as minutes, or hours where there are many."""
    if value < 60:
        return seconds(value) if value else "0 s"
    return f"{value / 60:.3g} min" if value < 600 * 60 else f"{value / 3600:,.0f} h"


def sentence(advice: Advice, *, variants: bool = True, projects: bool = False) -> str:
    """Write a recommendation with the numbers behind it; may hold untrusted text.

    Args:
        advice: What is worth doing.
        variants: Whether the variant is named …
        projects: … and the project.
    """
    where = f" ({advice.variant})" if advice.variant and variants else ""
    name = f"{advice.project + ': ' if projects else ''}{advice.test_id}{where}"
    if advice.kind == "split":
        return _split(name, advice)
    if advice.kind == "spread":
        return _spread(where, advice)
    return _failing(name, advice)


def _failing(name: str, advice: Advice) -> str:
    one, cost = advice.judged, advice.impact
    if one is None or cost is None:
        return name
    failed = one.failed + one.flaky
    told = [f"it blocked {count(cost.blocked, 'job')}"] if cost.blocked else []
    if cost.blocked_alone:
        told.append(f"{cost.blocked_alone} of them alone")
    if cost.retries and not cost.blocked:
        told.append(f"it was tried again {count(cost.retries, 'time')}")
    lost = ", ".join([*told, f"{'and' if told else 'it'} cost {minutes(cost.lost_s)}"])
    if advice.kind == "fix":
        first, last = one.broken_first_commit, one.broken_last_commit
        since = commit(last) if first == last else f"{commit(first)}..{commit(last)}"
        return (
            f"Fix {name}: broken with {probability(one.p_broken)} since {since},"
            f" failed in its last {count(one.failing_streak, 'run')}; {lost}."
        )
    rate = f"{percent(one.flake_rate)} ({percent(one.flake_rate_low)} to"
    why = f"it failed in {failed} of {count(one.runs, 'run')}, flake rate {rate}"
    why += f" {percent(one.flake_rate_high)}), evidence {one.grade}; {lost}."
    if advice.kind == "confirm":
        return f"Run {name} again on equal sources before it is quarantined: {why}"
    return f"Quarantine {name}: {why}"


def _split(name: str, advice: Advice) -> str:
    path, long = advice.path, advice.long
    if path is None or long is None:
        return name
    return (
        f"Split {name}: it takes {percent(long.share)} of the critical path,"
        f" {seconds(long.typical_s)} of {seconds(path.longest_s)}; an even share of"
        f" {path.workers:g} workers is {seconds(path.even_s)}."
    )


def _spread(where: str, advice: Advice) -> str:
    path = advice.path
    if path is None:
        return ""
    return (
        f"Spread the tests of {advice.project}{where} better: the longest of {path.workers:g}"
        f" workers takes {seconds(path.longest_s)}, {path.unevenness or 0:.1f} times an even share"
        f" of {seconds(path.even_s)}."
    )


def _advice_section(told: Told) -> Section:
    rows: list[Row] = []
    variants, projects = (
        len({getattr(one, name) for one in told.paths}) > 1 for name in ("variant", "project")
    )
    for one in told.advice:
        row: Row = {
            "kind": one.kind,
            "project": one.project,
            "test_id": one.test_id,
            "variant": one.variant,
            "text": sentence(one, variants=variants, projects=projects),
        }
        rows.append(row)
    columns = (Column("what, and why", lambda r: r["text"]),)
    return Section("advice", "Worth doing", rows, columns, "Nothing that the evidence speaks for.")


def _impact_section(losses: Losses, judged: Iterable[Judged]) -> Section:
    status = {(one.project, one.test_id, one.variant): one.status for one in judged}
    rows = [
        {
            **one._asdict(),
            "lost_s": round(one.lost_s, 6),
            "lost_share": one.lost_s / losses.lost_s if losses.lost_s else None,
            "status": status.get(one[:3]),
        }
        for one in losses.impacts
    ]
    columns = (
        Column("lost", lambda r: minutes(r["lost_s"]), right=True),
        Column("share", lambda r: percent(r["lost_share"]), right=True),
        Column("blocked", lambda r: str(r["blocked"]), right=True),
        Column("alone", lambda r: str(r["blocked_alone"]), right=True),
        Column("retries", lambda r: str(r["retries"]), right=True),
        Column("re-runs", lambda r: str(r["reruns"]), right=True),
        Column("status", lambda r: r["status"] or "-"),
        name_column(rows),
    )
    notes = [loss_sentence(losses)]
    if losses.outage_s:
        notes.append(
            f"{minutes(losses.outage_s)} of it in runs that count against no test: much of the"
            " suite failed at once."
        )
    return Section(
        "impact", "What failures cost", rows, columns, "No test failed.", notes=tuple(notes)
    )


def _path_section(paths: Iterable[Path]) -> Section:
    rows: list[Row] = []
    notes = []
    for path in paths:
        rows += [
            {
                "project": path.project,
                "test_id": one.test_id,
                "variant": path.variant,
                "share": one.share,
                "typical_s": round(one.typical_s, 6),
                "jobs": one.jobs,
                "all_jobs": path.jobs,
                "workers": path.workers,
                "longest_s": round(path.longest_s, 6),
                "even_s": round(path.even_s, 6),
            }
            for one in path.tests
        ]
        suite = " ".join(filter(None, [path.project, path.variant]))
        notes.append(
            f"{suite}: the longest of {path.workers:g} workers takes {seconds(path.longest_s)},"
            f" an even share is {seconds(path.even_s)}."
            if path.workers >= 2
            else f"{suite}: one worker, so every test is on the path of {seconds(path.longest_s)}."
        )
    rows.sort(key=lambda r: (-r["share"], r["project"], r["test_id"], r["variant"]))
    columns = (
        Column("of path", lambda r: percent(r["share"]), right=True),
        Column("takes", lambda r: seconds(r["typical_s"]), right=True),
        Column("on it in", lambda r: f"{r['jobs']} of {count(r['all_jobs'], 'job')}", right=True),
        name_column(rows),
    )
    empty = "No durations."
    return Section("critical_path", "Critical path", rows, columns, empty, notes=tuple(notes))
