"""What is told of a load: text, CSV, and one HTML page that fetches nothing."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from scripts.accuracy.table import Table
from scripts.load.measured import Bottleneck, Measured
from scripts.load.serving import Sample
from scripts.load.targets import Verdict

_WIDTH, _HEIGHT = 640, 120
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #8884; text-align: right; }
td:first-child, th:first-child { text-align: left; }
svg { display: block; margin: .2rem 0 1rem; background: #8881; }
polyline { fill: none; stroke: #06c; stroke-width: 1.5; }
:root { color-scheme: light dark; }
"""


def number(value: float | None) -> str:
    """Write a figure for people; nothing measured is a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"


def tables(
    one: Measured,
    figures: Mapping[str, float | None],
    verdicts: Sequence[Verdict],
    limits: Sequence[Bottleneck],
) -> list[Table]:
    """Return what is told, as tables."""
    scenario = one.scenario
    note = (
        f"{scenario.about[:1].upper()}{scenario.about[1:]}; {scenario.users} virtual users, "
        f"{scenario.seconds:g} s, {scenario.tests} tests in a run file."
    )
    made = [
        Table(
            f"Load: {one.name}",
            ("target", "reached", "kept"),
            [(it.text, number(it.reached), "yes" if it.kept else "NO") for it in verdicts],
            note,
            [it.text for it in verdicts if not it.kept],
        ),
        Table(
            "Requests",
            ("request", "count", "errors", "p50 s", "p95 s", "p99 s", "most s", "1/s"),
            [
                (it.name, *map(number, it[1:6]), number(it.most_s), number(it.rate))
                for it in one.entries
            ],
        ),
    ]
    if one.failures:
        rows = [(it.name, it.kind, str(it.times)) for it in one.failures]
        made.append(Table("Errors by kind", ("request", "kind", "count"), rows))
    rows = [(it.what, it.evidence, "yes" if it.limits else "no") for it in limits]
    made.append(Table("Bottlenecks", ("what", "evidence", "limits"), rows))
    made.append(Table("Figures", ("figure", "value"), [(k, number(v)) for k, v in figures.items()]))
    return made


def write_csv(one: Measured, figures: Mapping[str, float | None], prefix: Path) -> None:
    """Write the figures and what the service took; what clients saw, Locust has written."""
    with prefix.with_name(f"{prefix.name}_figures.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("figure", "value"))
        out.writerows((name, "" if value is None else value) for name, value in figures.items())
    with prefix.with_name(f"{prefix.name}_service.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(Sample._fields)
        out.writerows(one.samples)


def html(one: Measured, told: Sequence[Table]) -> str:
    """Write the page."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        f"<title>Load: {escape(one.name)}</title><style>{_STYLE}</style>",
        *(_section(table) for table in told[:-1]),
        "<h2>Over time</h2>",
        *_curves(one),
        _section(told[-1]),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _section(table: Table) -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    rows = "\n".join(row(cells, "td") for cells in table.rows)
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    head = row(table.columns, "th")
    return f"<h2>{escape(table.title)}</h2>{note}<table>{head}\n{rows}</table>"


def _curves(one: Measured) -> Iterable[str]:
    moments, samples = one.moments, [it for it in one.samples if it.queued >= 0]
    seen = [it.at_s - one.began_s for it in moments]
    yield _curve("Virtual users", seen, [float(it.users) for it in moments])
    yield _curve("Requests a second", seen, [it.rate for it in moments])
    yield _curve("Errors a second", seen, [it.failures for it in moments])
    yield _curve("p95 of all requests, s", seen, [it.p95_s or 0.0 for it in moments])
    at = [it.at_s for it in samples]
    pairs = list(itertools.pairwise(samples))
    spans = [max(after.at_s - before.at_s, 1e-9) for before, after in pairs]
    cpu = [(b.cpu_s - a.cpu_s) / s for (a, b), s in zip(pairs, spans, strict=True)]
    results = [(b.results - a.results) / s for (a, b), s in zip(pairs, spans, strict=True)]
    yield _curve("Service: cores in use", at[1:], cpu)
    yield _curve("Service: results stored a second", at[1:], results)
    yield _curve("Service: memory, MiB", at, [it.rss / 2**20 for it in samples])
    yield _curve("Service: open files", at, [float(it.files) for it in samples])
    yield _curve("Service: uploads without an answer", at, [float(it.queued) for it in samples])


def _curve(title: str, xs: Sequence[float], ys: Sequence[float]) -> str:
    if len(xs) < 2:
        return ""
    most, first, last = max(*ys, 1e-9), xs[0], xs[-1]
    points = " ".join(
        f"{(x - first) / (last - first or 1) * _WIDTH:.1f},{_HEIGHT - y / most * _HEIGHT:.1f}"
        for x, y in zip(xs, ys, strict=True)
    )
    return (
        f"<h3>{escape(title)}: at most {number(most)}, {number(last - first)} s</h3>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><polyline points="{points}"/></svg>'
    )
