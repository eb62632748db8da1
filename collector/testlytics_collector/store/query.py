"""One SQL query of a user's, shut off from everything but the store it reads."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import ConfigError, Error, StoreError, unwritable
from testlytics_collector.store.connection import connect, translated

if TYPE_CHECKING:
    import duckdb

MEMORY = "512MB"
"""What a query may hold; more goes to a temporary file …"""

SPILL = "8GB"
"""… of at most this size."""

_PORTION = 2_000


class Answer:
    """The rows of a query, read as they come.

    Attributes:
        columns: Names, in order; the same name may come twice.
    """

    def __init__(self, found: duckdb.DuckDBPyConnection) -> None:
        self._found = found
        self.columns = [str(column[0]) for column in found.description or ()]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        with _told():
            while portion := self._found.fetchmany(_PORTION):
                yield from portion


@contextlib.contextmanager
def ask(path: Path, sql: str, *, wait_s: float) -> Iterator[Answer]:
    """Run one reading statement on a store while the block runs.

    Args:
        path: The store's file.
        sql: One statement that gives rows.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        ConfigError: It is no SQL, more than one statement, would change something, or asks for
            what is not there.
        StoreError: The store cannot be opened or read, or the query needs too much.
    """
    with _shut_off(path, None, wait_s) as connection, _told():
        _check(sql)
        yield Answer(connection.execute(sql))


def save_parquet(path: Path, sql: str, output: Path, *, wait_s: float) -> None:
    """Write the rows of one reading statement as Parquet, wholly or not at all.

    Args:
        path: The store's file.
        sql: One statement that gives rows.
        output: The file to write; one that is there is replaced.
        wait_s: How long to wait for a writer, in seconds.

    Raises:
        ConfigError: As for `ask`.
        StoreError: As for `ask`.
        Error: The file cannot be written.
    """
    part = output.absolute().with_name(f"{output.name}.{os.getpid()}.part")
    try:
        with _shut_off(path, part, wait_s) as connection, _told():
            _check(sql)
            connection.sql(sql).write_parquet(str(part))
        part.replace(output)
    except OSError as error:
        raise unwritable(output, error) from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _shut_off(
    path: Path, writable: Path | None, wait_s: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    with (
        tempfile.TemporaryDirectory(prefix="testlytics-") as folder,
        connect(path, write=False, wait_s=wait_s) as connection,
    ):
        with translated(path):
            for name, value in (
                ("memory_limit", MEMORY),
                ("temp_directory", folder),
                ("max_temp_directory_size", SPILL),
                ("python_enable_replacements", "false"),
                ("autoinstall_known_extensions", "false"),
                ("autoload_known_extensions", "false"),
            ):
                connection.execute(f"set {name} = '{_quoted(value)}'").fetchall()
            if writable is not None:
                connection.execute(f"set allowed_paths = ['{_quoted(str(writable))}']").fetchall()
            connection.execute("set enable_external_access = false").fetchall()
            connection.execute("set lock_configuration = true").fetchall()
        yield connection


def _quoted(text: str) -> str:
    # Settings take no parameters.
    return text.replace("'", "''")


def _check(sql: str) -> None:
    """Let only one statement through, and only one that reads."""
    import duckdb

    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise ConfigError(
            f"One statement was expected, {len(statements)} were given.",
            slug="sql-one-statement",
            hint="Put a ; only at the end.",
        )
    if statements[0].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}:
        raise ConfigError(
            "Only statements that read are run: select, from, with, describe, summarize, explain.",
            slug="sql-reads-only",
        )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in one line what DuckDB has against a query."""
    import duckdb

    try:
        yield
    except (
        duckdb.ProgrammingError,
        duckdb.NotSupportedError,
        duckdb.DataError,
        duckdb.PermissionException,
    ) as error:
        raise ConfigError(f"The query failed: {_line(error)}", slug="sql-wrong") from error
    except duckdb.IOException as error:
        raise Error(f"The query failed: {_line(error)}", slug="output-unwritable") from error
    except duckdb.OutOfMemoryException as error:
        raise StoreError(
            f"The query needs more than {MEMORY} of memory and {SPILL} of temporary files.",
            slug="sql-too-large",
            hint="Select fewer columns, or filter and group first.",
        ) from error
    except duckdb.Error as error:
        raise StoreError(f"The query failed: {_line(error)}", slug="sql-failed") from error


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:500] if lines else type(error).__name__
