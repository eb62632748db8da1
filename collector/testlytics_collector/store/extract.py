"""The rows of a public view for the runs of a window, for other programs."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import Error, unwritable
from testlytics_collector.records import variant_text
from testlytics_collector.store.reader import Window, select_window

if TYPE_CHECKING:
    import duckdb

ORDERS = {
    "attempts": "test_id, variant, run_attempt, shard, attempt",
    "verdicts": "test_id, variant",
    "failures": "test_id, variant, run_attempt, attempt",
    "measurements": "name, metric, variant, run_attempt, shard, value",
}
"""The views that can be written, and how the rows of one run are ordered."""

_PORTION = 2_000
_LOOK_S = 0.2

_RUNS = """
select count(distinct u.run_key)
from windowed w
join raw.runs r using (project, run_id)
join raw.uploads u using (run_key)
join raw.variants v using (variant_key)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
"""

_ROWS = """
select v.*
from {view} v
join windowed w using (project, run_id)
where list_has_all(string_split(v.variant, ','), $1::varchar[])
order by w.project, w.position, {order}
"""


class Extract:
    """Rows of one view, by project, position of the run, and then `ORDERS`.

    Args:
        connection: A connection to the store; gets temporary tables.
        window: Which runs, and which variants.
        view: A key of `ORDERS`.

    Attributes:
        runs: How many runs the window holds in these variants.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, window: Window, view: str) -> None:
        self._connection = connection
        order = ", ".join(f"v.{name}" for name in ORDERS[view].split(", "))
        self._sql = _ROWS.format(view=view, order=order)
        self._pairs = variant_text(window.variant).split(",") if window.variant else []
        select_window(connection, window)
        [(self.runs,)] = connection.execute(_RUNS, [self._pairs]).fetchall()

    def read(self) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Return the names of the columns, and the rows while they come; one at a time."""
        found = self._connection.execute(self._sql, [self._pairs])
        return [str(column[0]) for column in found.description or ()], _portions(found)

    def save_parquet(self, output: Path, on_percent: Callable[[], None] | None = None) -> None:
        """Write the rows as Parquet, wholly or not at all; a file that is there is replaced.

        Args:
            output: The file.
            on_percent: Called a hundred times, from another thread while DuckDB works.

        Raises:
            Error: The file cannot be written.
        """
        import duckdb

        part = output.absolute().with_name(f"{output.name}.{os.getpid()}.part")
        try:
            part.touch(exist_ok=False)
            with _watched(self._connection, on_percent):
                found = self._connection.sql(self._sql, params=[self._pairs])
                found.write_parquet(str(part), compression="zstd")
            part.replace(output)
        except OSError as error:
            raise unwritable(output, error) from error
        except duckdb.IOException as error:
            why = str(error).partition("\n")[0]
            raise Error(f"Cannot write {output}: {why}", slug="output-unwritable") from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


@contextlib.contextmanager
def _watched(
    connection: duckdb.DuckDBPyConnection, on_percent: Callable[[], None] | None
) -> Iterator[None]:
    """Ask DuckDB how far it is while the block runs."""
    if on_percent is None:
        yield
        return
    done, told = threading.Event(), 0

    def tell(percent: float) -> None:
        nonlocal told
        while told < percent:
            told += 1
            on_percent()

    def watch() -> None:
        while not done.wait(_LOOK_S):
            tell(connection.query_progress())

    for setting in ("enable_progress_bar = true", "enable_progress_bar_print = false"):
        connection.execute(f"set {setting}").fetchall()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    tell(100)


def _portions(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while portion := found.fetchmany(_PORTION):
        yield from portion
