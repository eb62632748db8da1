"""The lists of runs, tests and failures as sections that people read."""

from __future__ import annotations

from testlytics.report.sections import Column, Row, Section, commit, failure, percent, seconds


def runs_section(rows: list[Row], left_out: int = 0) -> Section:
    """Show runs; see `Lists.runs` of the store for the columns of rows."""
    projects = len({row["project"] for row in rows}) > 1

    def name(row: Row) -> str:
        project = f"{row['project']}: " if projects else ""
        branch = f" on {row['branch']}" if row["branch"] else ""
        variants = f" ({'; '.join(filter(None, row['variants']))})" if any(row["variants"]) else ""
        return f"{project}{row['run_id']}{branch}{variants}{_ended(row)}"

    columns = (
        Column("when (UTC)", lambda r: str(r["started_at"] or "-")[:16]),
        Column("commit", lambda r: commit(r["commit"])),
        *(_number(key) for key in ("tests", "passed", "failed", "flaky", "skipped")),
        Column("took", lambda r: seconds(_either(r["duration_s"], r["tests_s"])), right=True),
        Column("run", name),
    )
    return Section("runs", "Runs", rows, columns, "No runs.", left_out)


def cases_section(rows: list[Row], left_out: int = 0) -> Section:
    """Show tests; see `browse.list_cases` for the columns of rows."""
    owners = any(row["owner"] for row in rows)
    columns = (
        Column("fails", lambda r: percent(r["failure_rate"]), right=True),
        Column("95 % interval", _interval, right=True),
        Column("of", lambda r: str(r["judged"]), right=True),
        Column("last", lambda r: r["last_verdict"] or "-"),
        Column("last run", lambda r: str(r["last_run_at"])[:10]),
        Column("mean", lambda r: seconds(r["mean_s"]), right=True),
        *([Column("owner", lambda r: r["owner"] or "-")] if owners else []),
        _name(rows),
    )
    return Section("tests", "Tests", rows, columns, "No tests.", left_out)


def failures_section(rows: list[Row], left_out: int = 0) -> Section:
    """Show failures; see `Lists.failures` of the store for the columns of rows."""
    named = _name(rows)

    def what(row: Row) -> str:
        told = failure(row["type"], row["message"])
        place = f" at {row['place']}" if row["place"] else ""
        return f"{named.text(row)}  {told}{place}".rstrip()

    columns = (
        Column("when (UTC)", lambda r: str(r["started_at"] or "-")[:16]),
        Column("commit", lambda r: commit(r["commit"])),
        Column("verdict", lambda r: r["verdict"]),
        Column("test and message", what),
    )
    return Section("failures", "Failures", rows, columns, "No failures.", left_out)


def renames_section(rows: list[Row], left_out: int = 0) -> Section:
    """Show what may be renames; see `testlytics_analytics.renames.Rename` for the columns."""
    projects = len({row["project"] for row in rows}) > 1

    def pair(row: Row) -> str:
        project = f"{row['project']}: " if projects else ""
        return f"{project}{row['old']} -> {row['new']}"

    columns = (
        Column("score", lambda r: f"{r['score']:.2f}", right=True),
        Column("because", lambda r: r["reason"]),
        Column("test and its new name", pair),
    )
    return Section("renames", "Renames", rows, columns, "No renames.", left_out)


def _number(key: str) -> Column:
    return Column(key, lambda row: str(row[key]), right=True)


def _either(first: float | None, second: float | None) -> float | None:
    return second if first is None else first


def _ended(row: Row) -> str:
    if not row["complete"]:
        return ", died"
    blocked = ", blocked" if row["gate"] == "blocked" else ""
    return (f", exit {row['exit_status']}" if row["exit_status"] else "") + blocked


def _interval(row: Row) -> str:
    return "-" if row["low"] is None else f"{percent(row['low'])} - {percent(row['high'])}"


def _name(rows: list[Row]) -> Column:
    several = {key: len({row[key] for row in rows}) > 1 for key in ("project", "variant")}

    def text(row: Row) -> str:
        project = f"{row['project']}: " if several["project"] else ""
        variant = f" ({row['variant'] or 'no variant'})" if several["variant"] else ""
        return f"{project}{row['test_id']}{variant}"

    return Column("test", text)
