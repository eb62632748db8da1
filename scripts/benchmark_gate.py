"""Say whether a benchmark got worse for good, judged by its own history: exit code 0, or 1.

What `testlytics report --benchmarks` calls worse blocks, until an entry of kind `slower` in
testlytics-allowances.toml accepts it: its `test` is the name of the benchmark. With too little
history nothing blocks.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics import api
from testlytics.gate.allowances import Allowance, read_allowances
from testlytics.report.render import visible
from testlytics.reviewed import by_test
from testlytics_collector.errors import Error, NotFoundError
from testlytics_collector.store.reader import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / ".testlytics" / "history.duckdb"


def judge(
    rows: Sequence[dict[str, Any]], allowed: Sequence[Allowance], today: date
) -> tuple[list[str], list[str]]:
    """Say which benchmarks block, and what else there is to say.

    Args:
        rows: The rows of `report --benchmarks`.
        allowed: All allowances.
        today: The day, UTC; an allowance counts before the day on which it expires.

    Returns:
        A line for each that blocks, and lines for people.
    """
    good = by_test([one for one in allowed if one.kind == "slower" and one.expires > today])
    blocking, told = [], []
    for row in rows:
        if row["judgement"] != "worse":
            continue
        line = (
            f"{row['name']}: {row['metric']} {row['change_ratio'] - 1:+.0%} for good,"
            f" since commit {(row['since_commit'] or 'unknown')[:8]}"
        )
        excuse = next(iter(good(row["name"])), None)
        if excuse is None:
            blocking.append(line)
        else:
            told.append(f"{line}; allowed until {excuse.expires}: {excuse.reason}")
    waiting = sum(row["judgement"] is None for row in rows)
    if waiting:
        told.append(f"{waiting} of {len(rows)} have too few values to judge")
    return blocking, told


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=STORE, help="file of the history")
    parser.add_argument("--allowances", type=Path, help="what may be slower")
    given = parser.parse_args(arguments)
    today = datetime.now(UTC).date()
    try:
        allowed = read_allowances(given.allowances, today)
        report = api.report(given.store, Window(), sections=["benchmarks"], summary=False)
    except NotFoundError:
        print("benchmarks: no history yet, nothing is judged")
        return 0
    except Error as error:
        print(visible(f"benchmarks: {error}"), file=sys.stderr)
        return 3
    [section] = report.sections
    blocking, told = judge(section.rows, allowed, today)
    for line in (*blocking, *told):
        print(visible(f"benchmarks: {line}"))
    print(f"benchmarks: {len(blocking)} of {len(section.rows)} got worse")
    return 1 if blocking else 0


if __name__ == "__main__":
    sys.exit(main())
