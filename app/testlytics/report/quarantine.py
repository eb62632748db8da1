"""What is told of a quarantine, as lists that people read."""

from __future__ import annotations

from testlytics.report.sections import Column, Row, Section, name_column, percent


def entries_section(rows: list[Row]) -> Section:
    """Show the entries; see `quarantine.listed` for the columns of rows."""
    columns = (
        Column("days left", _days_left, right=True),
        Column("runs", lambda r: _number(r["runs"]), right=True),
        Column("passed", lambda r: _number(r["passed"]), right=True),
        Column("failed", _failed, right=True),
        Column("flake rate", lambda r: percent(r["flake_rate"]), right=True),
        Column("owner", lambda r: r["owner"]),
        Column("test", _entry),
    )
    return Section("quarantine", "Quarantined", rows, columns, "Nothing is quarantined.")


def findings_section(rows: list[Row]) -> Section:
    """Show what must be mended; see `quarantine.checked` for the columns of rows."""
    return Section("findings", "To mend", rows, _finding_columns(), "The quarantine is in order.")


def review_section(rows: list[Row]) -> Section:
    """Show what needs somebody's eye; see `quarantine.review` for the columns of rows."""
    return Section("review", "To look at", rows, _finding_columns(), "Nothing to look at.")


def proofs_section(rows: list[Row], left_out: int = 0) -> Section:
    """Show how far tests are; see `quarantine.proofs` for the columns of rows."""
    columns = (
        Column("passes", lambda r: _number(r["passes"]), right=True),
        Column("needed", lambda r: _number(r["needed"]), right=True),
        Column("flake rate", lambda r: percent(r["flake_rate"]), right=True),
        Column("at most now", lambda r: percent(r["highest_rate"]), right=True),
        Column("so", _so),
        name_column(rows),
    )
    told = "passes: runs in a row since the last failure; needed: so many show it is mended."
    notes = (told,) if rows else ()
    return Section("proofs", "Proofs", rows, columns, "No tests.", left_out, notes)


def _finding_columns() -> tuple[Column, ...]:
    return (
        Column("finding", lambda r: r["finding"]),
        Column("owner", lambda r: r["owner"] or "-"),
        Column("test", lambda r: f"{r['test']}: {r['text']}" if r["test"] else r["text"]),
    )


def _so(row: Row) -> str:
    if row["needed"] is None:
        return "never failed"
    return "mended" if not row["left"] else f"{row['left']} to go"


def _days_left(row: Row) -> str:
    return "expired" if row["expired"] else str(row["days_left"])


def _failed(row: Row) -> str:
    return "-" if row["failed"] is None else str(row["failed"] + row["flaky"])


def _entry(row: Row) -> str:
    where = f" ({row['variant']})" if row["variant"] else ""
    return f"{row['test']}{where}: {row['reason']}"


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
