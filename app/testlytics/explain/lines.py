"""What is said of a test, for people: blocks of lines that a terminal and Markdown both show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from testlytics.explain.outcomes import LEGEND, first_line
from testlytics.report.causes import between
from testlytics.report.sections import commit, count, failure, percent, probability, seconds

Row = dict[str, Any]

SHOWN = 5
"""Lines of a list of evidence; JSON has all."""

_WHAT = {"passed": ("more pass", "more passes"), "failed": ("more failure", "more failures")}
_PHASES = {"setup": "set-up", "call": "the test itself", "teardown": "teardown"}


class Block(NamedTuple):
    """Lines with a heading.

    Attributes:
        title: The heading; may hold untrusted text.
        level: 1 for a test, 2 for a variant, 3 for what is below it.
        lines: Sentences; may hold untrusted text.
        strip: A sign for each run, to be broken at any place; empty for none.
    """

    title: str
    level: int
    lines: Sequence[str] = ()
    strip: str = ""


def blocks(rows: Sequence[Row]) -> Iterator[Block]:
    """Say what is known of tests.

    Args:
        rows: What `explained.explain` gives.
    """
    several = len({row["project"] for row in rows}) > 1
    for row in rows:
        name = f"{row['project']}: {row['test_id']}" if several else row["test_id"]
        yield Block(name, 1, list(_of_test(row)))
        for variant in row["variants"]:
            yield from _of_variant(variant)


def _of_test(row: Row) -> Iterator[str]:
    if row["owner"]:
        yield f"Owner: {row['owner']}"
    entry = row["quarantine"]
    if entry:
        state = "Quarantine expired on" if entry["expired"] else "Quarantined until"
        link = f", {entry['issue']}" if entry["issue"] else ""
        yield f"{state} {entry['expires']}, {entry['owner']}: {entry['reason']}{link}"
    for one in row["environments"]:
        how = "Fails only with" if one["only_there"] else "Fails more often with"
        yield (
            f"{how} {' and '.join(one['pairs'])}: {one['failed']} of {one['of']} there,"
            f" {one['failed_elsewhere']} of {one['of_elsewhere']} elsewhere on the same sources"
            f" (by chance: {_chance(one['chance'])})"
        )
    if row["left_out"]:
        yield f"{count(row['left_out'], 'more variant')}: --limit 0 shows all."


def _chance(value: float) -> str:
    return "below 0.01 %" if value < 1e-4 else f"{value * 100:.2g} %"


def _of_variant(row: Row) -> Iterator[Block]:
    grade = f", {row['grade']}" if row["grade"] and row["status"] != "stable" else ""
    yield Block(f"{row['variant'] or 'no variant'}: {row['status']}{grade}", 2, list(_verdict(row)))
    used = set(row["strip"])
    legend = ", ".join(f"{sign} {text}" for sign, text in LEGEND.items() if sign in used)
    yield Block("History, oldest run first", 3, [legend], row["strip"])
    for title, lines in (
        ("Evidence of a flake", _pairs(row)),
        ("Newest failures", _failures(row)),
        ("What failures said", _causes(row)),
        ("Where outcomes changed", _changes(row)),
        ("Duration", list(_speeds(row))),
    ):
        if lines:
            yield Block(title, 3, lines)


def _verdict(row: Row) -> Iterator[str]:
    if row["p_flaky"] is None:
        yield "No run counts: the test was only skipped, or ended in no verdict."
        return
    counted = ", ".join(f"{row[name]} {name}" for name in ("passed", "failed", "flaky"))
    ignored = f"; {row['ignored']} of them do not count" if row["ignored"] else ""
    yield (
        f"Flaky with {probability(row['p_flaky'])}, broken with {probability(row['p_broken'])};"
        f" it flakes in 1 % or more with {probability(row['p_relevant'])}"
    )
    yield (
        f"Flake rate {percent(row['flake_rate'])}, 95 % interval {percent(row['flake_rate_low'])}"
        f" to {percent(row['flake_rate_high'])}; {count(row['runs'], 'run')}: {counted}{ignored}"
    )
    if row["broken_run"] and row["status"] in {"broken", "unknown"}:
        first, last = row["broken_first_commit"], row["broken_last_commit"]
        since = commit(first) if first == last else f"{commit(first)}..{commit(last)}"
        likely = "" if first == last else f", most likely {commit(row['broken_commit'])}"
        what = "Broken" if row["status"] == "broken" else "If broken,"
        yield f"{what} since {since} (99 %){likely}; last good: {_good(row)}"
    yield from _turns(row)


def _good(row: Row) -> str:
    if row["last_good_run"] is None:
        return "none in these runs"
    return f"{commit(row['last_good_commit'])} ({row['last_good_run']})"


def _turns(row: Row) -> Iterator[str]:
    told = []
    for turn in row["turns"]:
        if turn["runs"] is None:
            continue
        if turn["outcome"] == "flaky":
            what = count(turn["runs"], "run that fails and passes", "runs that fail and pass")
        else:
            what = count(turn["runs"], *_WHAT[turn["outcome"]])
        told.append(f"{what}: {turn['status']}")
    if told:
        yield f"What would change it: {'; '.join(told)}"


def _cut(lines: list[str], whole: int) -> list[str]:
    more = whole - len(lines)
    return [*lines, f"... and {more} more in --format json."] if more > 0 else lines


def _attempts(outcomes: Sequence[str]) -> str:
    return ", ".join(outcomes)


def _pairs(row: Row) -> list[str]:
    lines = []
    for one in row["pairs"][:SHOWN]:
        at = f"{one['grade']}: {commit(one['commit'])}, {one['failed_run']}"
        if one["failed_run"] == one["passed_run"]:
            lines.append(f"{at}: {_attempts(one['failed_attempts'])}")
            continue
        same = "on the same sources" if one["grade"] == "strong" else "next"
        lines.append(
            f"{at}: {_attempts(one['failed_attempts'])}; {same} {one['passed_run']}:"
            f" {_attempts(one['passed_attempts'])}"
        )
    return _cut(lines, len(row["pairs"]))


def _failures(row: Row) -> list[str]:
    lines = []
    for one in row["failures"][:SHOWN]:
        said = failure(one["type"], first_line(one["message"]))
        place = f" at {one['place']}" if one["place"] else ""
        void = "" if one["counts"] else ", does not count"
        lines.append(
            f"{str(one['started_at'])[:16]} {commit(one['commit'])} {one['run_id']}:"
            f" {_attempts(one['attempts'])}{void}{'; ' if said or place else ''}{said}{place}"
        )
    return _cut(lines, len(row["failures"]))


def _causes(row: Row) -> list[str]:
    lines = [
        f"{count(one['runs'], 'run')}, {str(one['first_at'])[:10]} to {str(one['last_at'])[:10]}"
        f" [{one['fingerprints'][0]}]: {one['cause']}"
        for one in row["causes"][:SHOWN]
    ]
    return _cut(lines, len(row["causes"]))


def _changes(row: Row) -> list[str]:
    return [
        f"{one['before_failed']} of {one['before_runs']} runs failed, then"
        f" {one['behind_failed']} of {one['behind_runs']};"
        f" {_since(one)}, most likely {commit(one['at_commit'])} ({one['at_run']})"
        for one in row["changes"]
    ]


def _since(one: Row, level: str = "99 %") -> str:
    return between({f"since_{key}": value for key, value in one.items()}, level)


def _speeds(row: Row) -> Iterator[str]:
    base = row["baseline"]
    if base:
        yield (
            f"Usual now: {seconds(base['median_s'])} in {count(base['runs'], 'run')}, 95 % of runs"
            f" expected from {seconds(base['low_s'])} to {seconds(base['high_s'])}"
        )
    for one in row["levels"]:
        if one["matters"]:
            held = f"{seconds(one['median_s'])} for {count(one['runs'], 'run')}"
            way = "Slower" if one["ratio"] > 1 else "Faster"
            yield f"{way} by {one['ratio']:.2f}, to {held}, {_since(one, '95 %')}"

    if row["phases"]:
        parts = (
            f"{_PHASES[one['phase']]} {seconds(one['median_s'])} ({percent(one['share'])})"
            for one in row["phases"]
        )
        yield f"Parts: {', '.join(parts)}"
    if row["levels"] and not row["machine"]:
        yield "What the machine did is not taken out: too few other tests ran beside it."
