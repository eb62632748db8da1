"""What the page says first: a few numbers, each with what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from testlytics.report.impact import minutes
from testlytics.report.sections import count, percent, seconds

if TYPE_CHECKING:
    from testlytics.report.html.gather import Gathered


class Tile(NamedTuple):
    """A number.

    Attributes:
        label: What it counts.
        value: The number.
        note: What is to be known of it; may be empty.
        kind: bad, warn or good; empty where it is neither.
        href: Where more of it stands; empty for nowhere.
    """

    label: str
    value: str
    note: str = ""
    kind: str = ""
    href: str = ""


def tiles(found: Gathered) -> list[Tile]:
    """Return the numbers in the order they are shown."""
    summary = found.report.summary
    undecided = summary["undecided"]
    slower = summary["slower"] or 0
    return [
        Tile(
            "Tests",
            f"{summary['tests']:,}",
            f"{summary['stable']:,} stable, {summary['unknown']:,} unknown",
            "",
            "#suite",
        ),
        Tile(
            "Broken",
            f"{summary['broken']:,}",
            f"{undecided} more failed last" if undecided else "",
            "bad" if summary["broken"] else "good",
            "#broken",
        ),
        Tile(
            "Flaky",
            f"{summary['flaky']:,}",
            f"{percent(summary['flaky'] / summary['tests'])} of tests" if summary["tests"] else "",
            "warn" if summary["flaky"] else "good",
            "#flaky",
        ),
        Tile(
            "Slower", f"{slower:,}", "than their baseline", "warn" if slower else "good", "#slower"
        ),
        _retries(found),
        _suite(found),
        _lost(found),
    ]


def _retries(found: Gathered) -> Tile:
    from testlytics_analytics.trends import TrendOptions

    told, most = found.retries, TrendOptions().retries
    if told is None or told.after is None:
        return Tile("Retried", "-", "not known", "", "#impact")
    note = f"of tests, {_rate(told.before)} before"
    if told.is_finding:
        note += f"; more than {percent(most)} is much"
    return Tile("Retried", _rate(told.after), note, "bad" if told.is_finding else "good", "#impact")


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate * 100:.1f} %"


def _suite(found: Gathered) -> Tile:
    """Tell how long all tests take, one after another."""
    whole = [row for row in found.section("trends").rows if row["part"] == "all"]
    before, after = (sum(row[key] for row in whole) for key in ("before_s", "after_s"))
    if not whole:
        newest = sum(one.rows[-1]["measured_s"] for one in found.curves)
        return Tile("Suite time", seconds(newest) if newest else "-", "", "", "#suite")
    change = (after - before) / before if before else 0
    sign = "+" if change > 0 else "-"
    kind = "warn" if change > 0.05 else "good" if change < -0.05 else ""
    suites = f" in {count(len(whole), 'suite')}" if len(whole) > 1 else ""
    note = f"{sign}{abs(change) * 100:.0f} % over the window{suites}"
    return Tile("Suite time", minutes(after), note, kind, "#suite")


def _lost(found: Gathered) -> Tile:
    losses = found.told.losses
    share = losses.lost_s / losses.taken_s if losses.taken_s else None
    return Tile(
        "Lost to failures",
        minutes(losses.lost_s),
        f"{percent(share)} of {minutes(losses.taken_s)} in {count(losses.jobs, 'job')}",
        "bad" if (share or 0) > 0.1 else "warn" if losses.lost_s else "good",
        "#impact",
    )
