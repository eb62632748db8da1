"""One test: its verdict and why, its outcomes, its durations, what its failures said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from testlytics.explain import lines
from testlytics.report.html import svg
from testlytics.report.html.tables import badge
from testlytics.report.sections import Column, Row, Section, commit, count, failure, seconds
from testlytics.service.pages import charts
from testlytics.service.pages.asking import Asked, Block, Part, Shown
from testlytics.service.pages.lists import outcome_legend
from testlytics.service.pages.project import run_name
from testlytics.service.pages.tables import link, table
from testlytics_collector.errors import NotFoundError

VARIANTS = 12
"""Variants of tests that are told of at most, the worst first."""

RUNS = 30
"""Runs listed of each variant; the data has all."""

_LETTERS = {".": "P", "F": "F", "~": "L", "s": "S", "?": "?", "-": ".", "x": "?"}
_WORDS = {"P": "passed", "F": "failed", "L": "failed and passed", "S": "skipped", "?": "no verdict"}
_CHARTED = {"History, oldest run first", "Duration", "What failures said", "Newest failures"}


def case(asked: Asked) -> Shown:
    """Explain one test, or those of a family."""
    from testlytics.explain.explained import explain

    name = asked.values["test"]
    if name is None:
        raise NotFoundError(
            "This page is about one test.", slug="no-tests", hint="Choose it in the list of tests."
        )
    rows = explain(asked.store, asked.window(), name, limit=VARIANTS)
    title = name if len(rows) == 1 else f"{name}: {count(len(rows), 'test')}"
    blocks = [one for row in rows for one in _of_case(asked, row, several=len(rows) > 1)]
    told = rows[0]["variants"][0] if rows and rows[0]["variants"] else None
    lead = f"{told['status']} in its worst variant" if told else ""
    return Shown(title, blocks, lead, {}, {"runs": _run_rows(rows), "tests": rows})


def _run_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the outcome of each test, variant and run, the newest run first."""
    return [
        {"test_id": row["test_id"], "variant": variant["variant"], **seen}
        for row in rows
        for variant in row["variants"]
        for seen in reversed(variant["runs_seen"])
    ]


def _of_case(asked: Asked, row: Row, *, several: bool) -> list[Block]:
    first = next(iter(lines.blocks([row])))
    blocks = []
    told = list(first.lines)
    if told or several:
        parts = [Part("lines", told)] if told else []
        if several:
            href = asked.links.here(test=row["test_id"])
            parts.append(Part("lines", [link(href, "This test alone")]))
        blocks.append(Block(_id(row, "about"), row["test_id"] if several else "About it", parts))
    blocks += [_of_variant(asked, row, variant) for variant in row["variants"]]
    return blocks


def _id(row: Row, *rest: str) -> str:
    # An id of the page must not hold what a test is called.
    return "-".join([*rest, f"{abs(hash_of(row['test_id'])):x}"])


def hash_of(text: str) -> int:
    """Return a number for a text, the same in every process."""
    from zlib import crc32

    return crc32(text.encode("utf-8", "surrogatepass"))


def _of_variant(asked: Asked, row: Row, variant: Row) -> Block:
    verdict = next(one for one in lines.blocks([row | {"variants": [variant]}]) if one.level == 2)
    parts = [Part("badges", _badges(variant)), Part("lines", verdict.lines)]
    parts += [Part("strip", _strip(variant)), Part("legend", outcome_legend())]
    parts += _durations(variant)
    below = [one for one in lines.blocks([row | {"variants": [variant]}]) if one.level == 3]
    parts += [Part("lines", one.lines) for one in below if one.title == "Duration"]
    parts += [Part("told", one[::2]) for one in below if one.title not in _CHARTED]
    parts += _causes(asked, variant)
    parts.append(_runs(asked, variant))
    name = variant["variant"] or "No variant"
    ident = f"v{hash_of(row['test_id'] + chr(0) + variant['variant']):x}"
    return Block(
        ident, name if len(row["variants"]) > 1 or variant["variant"] else "Verdict", parts
    )


def _badges(variant: Row) -> list[Any]:
    told = [badge(variant["status"])]
    if variant["grade"] and variant["status"] != "stable":
        told.append(badge(variant["grade"]))
    return told


def _strip(variant: Row) -> Markup:
    letters = "".join(_LETTERS[sign] for sign in variant["strip"])
    seen = iter(variant["runs_seen"])
    titles = []
    for letter in letters:
        run = next(seen, None) if letter != "." else None
        titles.append(f"{_WORDS.get(letter, '')}: {run_name(run)}, {run['run_id']}" if run else "")
    told = [f"{letters.count(one)} {word}" for one, word in _WORDS.items() if one in letters]
    runs = count(len(letters) - letters.count("."), "run")
    return svg.strip(letters, f"{runs}: {', '.join(told) or 'no outcome'}", titles)


def _durations(variant: Row) -> list[Part]:
    """Draw the durations with their levels; the newest one with what is usual around it."""
    timed = [one for one in variant["runs_seen"] if one["duration_s"] and one["counts"]]
    if len(timed) < 2:
        return []
    values = [one["duration_s"] for one in timed]
    levels, marks, start = [], [], 0
    for one in variant["levels"]:
        levels.append(svg.Level(start, start + one["runs"], one["median_s"]))
        if one["matters"]:
            marks.append(charts.mark(start, one["ratio"]))
        start += one["runs"]
    base, bands = variant["baseline"], []
    if base and levels:
        bands.append(svg.Band(levels[-1].start, levels[-1].stop, base["low_s"], base["high_s"]))
    drawn = charts.Drawn(levels, marks, bands=bands)
    names = [run_name(one) for one in timed]
    return [charts.chart("Duration", values, names, drawn=drawn)]


def _causes(asked: Asked, variant: Row) -> list[Part]:
    found = [
        (
            link(
                asked.links.to("/cluster", cluster=one["fingerprints"][0]),
                f"{count(one['runs'], 'run')}, {str(one['first_at'])[:10]} to"
                f" {str(one['last_at'])[:10]}",
            ),
            "",
            one["cause"],
            "",
        )
        for one in variant["causes"][:10]
    ]
    return [Part("causes", ("What failures said", found))] if found else []


def _runs(asked: Asked, variant: Row) -> Part:
    rows = variant["runs_seen"][::-1]
    said = {one["run_id"]: one for one in variant["failures"]}

    def words(row: Row) -> str:
        told = said.get(row["run_id"])
        return failure(told["type"], told["message"]) if told else ""

    columns = (
        Column("verdict", lambda r: badge(r["verdict"] or "unknown")),
        Column("took", lambda r: seconds(r["duration_s"]), right=True),
        Column("attempts", lambda r: ", ".join(r["attempts"])),
        Column("when (UTC)", lambda r: str(r["started_at"])[:16]),
        Column("commit", lambda r: commit(r["commit"])),
        Column("said", words),
        Column("run", lambda r: r["run_id"]),
    )
    section = Section("runs", "Runs", rows[:RUNS], columns, "No runs.", max(len(rows) - RUNS, 0))
    caption = f"Runs in {variant['variant'] or 'no variant'}, the newest first"
    return table(section, caption, href=lambda r: asked.links.to("/run", run=r["run_id"]))
