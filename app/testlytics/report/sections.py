"""What a report says: sections of rows, drawn from the analytics. Knows nothing of formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testlytics.report.breakages import BrokenPlaces
    from testlytics.report.curves import Curve
    from testlytics_analytics.status import Judged, Judgement
    from testlytics_collector.store.calm import Calm
    from testlytics_collector.store.speeds import Speeds
    from testlytics_collector.store.windowed import RunRow

Row = dict[str, Any]

_NOTES = 5
"""Tests named below a list; the others are counted."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is shown to a person.

    Attributes:
        title: Its heading.
        text: What stands in a row's cell; may hold untrusted text.
        right: Whether it is set to the right, as numbers are.
    """

    title: str
    text: Callable[[Row], str]
    right: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One list of a report.

    Attributes:
        name: Its key in JSON.
        title: Its heading for people.
        rows: Plain values (str, int, float, bool, None), most important first.
        columns: What people are shown; programs get the whole rows.
        empty: What is said where there are no rows.
        left_out: How many rows were cut off at the end.
        notes: What is told to people below the rows; may hold untrusted text.
        groups: What rows with an equal `group` have in common: `group`, `text` for people (may hold
            untrusted text), `folded` where only programs get the rows, and more values; None where
            each row stands alone.
        curves: What is drawn for people below the rows.
        counted: Whether its heading says how many rows there are.
    """

    name: str
    title: str
    rows: list[Row]
    columns: tuple[Column, ...]
    empty: str
    left_out: int = 0
    notes: tuple[str, ...] = ()
    groups: list[Row] | None = None
    curves: tuple[Curve, ...] = ()
    counted: bool = True

    def heading(self) -> str:
        """Return what stands above the list: its title, and how many rows it has."""
        return f"{self.title} ({len(self.shown()) + self.left_out})" if self.counted else self.title

    def shown(self) -> list[Row]:
        """Return the rows that people are shown: those of no folded group."""
        folded = {one["group"] for one in self.groups or () if one["folded"]}
        return [row for row in self.rows if row["group"] not in folded] if folded else self.rows

    def lead(self, row: Row, before: Row | None) -> str:
        """Return what stands above a row: the text of its group, where that begins with it."""
        if self.groups is None or (before and before["group"] == row["group"]):
            return ""
        return next((one["text"] for one in self.groups if one["group"] == row["group"]), "")

    def events(self) -> list[str]:
        """Return the texts of the folded groups."""
        return [one["text"] for one in self.groups or () if one["folded"]]

    def shown_with(self, columns: tuple[Column, ...]) -> Section:
        """Return the section with other columns for people."""
        return replace(self, columns=columns)

    def cut(self, limit: int | None) -> Section:
        """Return the section with at most this many rows that people are shown; None keeps all."""
        if limit is None:
            return self
        shown = self.shown()
        rows = shown[:limit]
        return replace(self, rows=rows, left_out=self.left_out + len(shown) - len(rows))


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Attributes:
        summary: Plain values about everything in the window.
        lines: The summary in sentences.
        sections: The lists asked for.
    """

    summary: Row
    lines: list[str]
    sections: list[Section]


def percent(rate: float | None) -> str:
    """Write a rate in percent; an unknown one as a dash."""
    if rate is None:
        return "-"
    value = rate * 100
    return f"{value:.1f} %" if 0 < value < 1 or 99 < value < 100 else f"{value:.0f} %"


def seconds(value: float | None) -> str:
    """Write a duration with three digits and its unit; an unknown one as a dash."""
    if value is None:
        return "-"
    if value < 0.9995e-3:
        return f"{value * 1e6:.0f} µs"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.3g} s" if value < 999.5 else f"{value:,.0f} s"


def commit(value: str | None) -> str:
    """Write a commit short; an unknown one as a dash."""
    return value[:8] if value else "-"


def failure(kind: str | None, message: str | None) -> str:
    """Write a failure's type before its message, unless that begins with it, as pytest's does."""
    kind, told = kind or "", message or ""
    if kind and told.startswith((f"{kind}:", f"{kind.rpartition('.')[2]}:")):
        return told
    return ": ".join(filter(None, [kind, told]))


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with what it counts."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def probability(value: float | None) -> str:
    """Write a probability in percent, never as impossible or certain; an unknown one as a dash."""
    return percent(None if value is None else min(max(value, 0.001), 0.999))


def _evidence(row: Row) -> str:
    """Say why a test counts as flaky: the strongest reason, after its grade."""
    if row["flaky"]:
        reason = f"{count(row['flaky'], 'run')} failed and passed"
    elif row["disagreements"]:
        reason = f"failed and passed on {count(row['disagreements'], 'commit')}"
    else:
        reason = f"{row['flips']} flips in {row['runs']} runs"
    return f"{row['grade']}: {reason}"


def _since(row: Row) -> str:
    """Write between which commits a test broke; one where both are the same."""
    first, last = row["broken_first_commit"], row["broken_last_commit"]
    return commit(first) if first == last else f"{commit(first)}..{commit(last)}"


def label_column(rows: list[Row], key: str) -> Column:
    """Show what a row is about, and what else it takes to tell two rows apart.

    Args:
        rows: All rows of the list, with `project` and `variant`.
        key: Holds the name of what a row is about; None where it has none.
    """
    several = {key: len({row[key] for row in rows}) > 1 for key in ("project", "variant")}
    nameless = "(not told apart)" if key == "phase" else f"(no {key})"

    def text(row: Row) -> str:
        project = f"{row['project']}: " if several["project"] else ""
        variant = f" ({row['variant'] or 'no variant'})" if several["variant"] else ""
        name = nameless if row[key] is None else row[key]
        return f"{project}{name}{variant}"

    return Column(key, text)


def name_column(rows: list[Row]) -> Column:
    """Show the test, and what else it takes to tell two rows apart."""
    return replace(label_column(rows, "test_id"), title="test")


def flaky_section(judged: Judgement) -> Section:
    """List the flaky tests, those with the highest flake rate first."""
    found = [one for one in judged.rows if one.status == "flaky"]
    rows = [one._asdict() for one in sorted(found, key=lambda one: -(one.flake_rate or 0))]
    columns = (
        Column("flake rate", lambda r: percent(r["flake_rate"]), right=True),
        Column(
            "95 % interval",
            lambda r: f"{percent(r['flake_rate_low'])} - {percent(r['flake_rate_high'])}",
            right=True,
        ),
        Column("runs", lambda r: str(r["runs"]), right=True),
        Column("evidence", _evidence),
        name_column(rows),
    )
    return Section(
        "flaky", "Flaky tests", rows, columns, "No flaky tests.", left_out=judged.more_flaky
    )


def broken_section(judged: Sequence[Judged], places: BrokenPlaces | None = None) -> Section:
    """List the broken tests, those that broke last first.

    Below stands how likely the others are broken whose newest run failed: it is too early to say.

    Args:
        judged: All tests that were judged.
        places: Which of them broke at one place; not told where None.
    """
    found = [one for one in judged if one.status == "broken"]
    order = sorted(found, key=lambda one: (one.failing_streak, -(one.p_broken or 0)))
    rows = [one._asdict() for one in order]
    if places is not None:
        number = places.number
        rows = [row | {"group": number[one[:3]]} for row, one in zip(rows, order, strict=True)]
        first = {row["group"]: at for at, row in reversed(list(enumerate(rows)))}
        rows.sort(key=lambda row: first[row["group"]])
    columns = (
        Column("broken", lambda r: probability(r["p_broken"]), right=True),
        Column("failed runs", lambda r: str(r["failing_streak"]), right=True),
        Column("since", _since),
        Column("last good", lambda r: commit(r["last_good_commit"])),
        name_column(rows),
    )
    undecided = sorted(filter(is_undecided, judged), key=lambda one: -(one.p_broken or 0))
    notes = [
        f"Too early to say, broken with {probability(one.p_broken)}: {one.test_id}"
        + (f" ({one.variant})" if one.variant else "")
        for one in undecided[:_NOTES]
    ]
    if len(undecided) > _NOTES:
        notes.append(f"... and {len(undecided) - _NOTES} more for which it is too early to say.")
    empty, told = "No broken tests.", tuple(notes)
    return Section(
        "broken", "Broken tests", rows, columns, empty, notes=told, groups=places and places.groups
    )


def is_undecided(one: Judged) -> bool:
    """Tell whether a test failed in its newest run, and may be broken or not."""
    return one.status == "unknown" and one.last_verdict == "failed" and one.p_broken is not None


def speed_columns() -> tuple[Column, ...]:
    """Show median, 95th percentile, total and how many runs they are of."""
    return (
        Column("median", lambda r: seconds(r["median_s"]), right=True),
        Column("p95", lambda r: seconds(r["p95_s"]), right=True),
        Column("total", lambda r: seconds(r["total_s"]), right=True),
        Column("runs", lambda r: str(r["samples"]), right=True),
    )


def speed_section(timed: Speeds, *, slowest: bool, sort: str) -> Section:
    """List the slowest or the fastest tests.

    Args:
        timed: What `WindowReader.speeds` gives.
        slowest: The slowest first, or the fastest first.
        sort: By `median`, `p95` or `total`.
    """
    rows = timed.rows
    columns = (*speed_columns(), name_column(rows))
    name = "slowest" if slowest else "fastest"
    empty = "No durations: no test has passed yet."
    title = f"{name.capitalize()} tests, by {sort}"
    return Section(name, title, rows, columns, empty, timed.series - len(rows))


def summarise(
    runs: Sequence[RunRow],
    judged: Judgement,
    calm: Calm,
    slower: Section | None,
    void: Collection[int] = (),
) -> tuple[Row, list[str]]:
    """Say what the window holds, as values and as sentences.

    Args:
        runs: Its runs, at least one.
        judged: The tests that failed in it.
        calm: How many there are of the others.
        slower: The regressions, None where nobody asked for them.
        void: Indexes of runs that do not count.
    """
    status = Counter(one.status for one in judged.rows)
    summary: Row = {
        "runs": len(runs),
        "commits": len({run.commit for run in runs if run.commit is not None}),
        "tests": calm.tests,
        "attempts": sum(run.attempts for run in runs),
        "incomplete_runs": sum(not run.complete for run in runs),
        "first_run_at": min(run.started_at for run in runs),
        "last_run_at": max(run.started_at for run in runs),
        "last_run_id": runs[-1].run_id,
        "last_commit": runs[-1].commit,
        "flaky": status["flaky"] + judged.more_flaky,
        "broken": status["broken"],
        "stable": status["stable"] + calm.settled,
        "unknown": status["unknown"] + calm.unsettled,
        "failing": sum(one.last_verdict == "failed" for one in judged.rows),
        "undecided": sum(map(is_undecided, judged.rows)),
        "ignored_runs": len(void),
        "slower": None if slower is None else len(slower.shown()) + slower.left_out,
    }
    return summary, _sentences(summary)


def _sentences(summary: Row) -> list[str]:
    lines = [
        (
            f"{count(summary['tests'], 'test')} in {count(summary['runs'], 'run')}"
            f" of {count(summary['commits'], 'commit')},"
            # To the second: the rest tells a person nothing, and is in the JSON.
            f" {str(summary['first_run_at'])[:19]} to {str(summary['last_run_at'])[:19]} UTC"
        ),
        "   ".join(
            f"{summary[name]} {name}"
            for name in ("flaky", "broken", "slower", "stable", "unknown")
            if summary[name] is not None
        ),
    ]
    if summary["incomplete_runs"]:
        lines.append(f"{count(summary['incomplete_runs'], 'run')} did not end: the process died.")
    if summary["ignored_runs"]:
        which = count(summary["ignored_runs"], "run does not count", "runs do not count")
        lines.append(f"{which}: much of the suite failed at once.")
    if summary["undecided"]:
        lines.append(
            f"{count(summary['undecided'], 'test')} failed last, too early to say why: --broken."
        )
    if summary["unknown"]:
        lines.append("unknown: too few runs to tell, or only skipped.")
    return lines
