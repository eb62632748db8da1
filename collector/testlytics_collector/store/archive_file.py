"""Reading an archive file: everything it says is looked at before anything of it is believed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.errors import InputError
from testlytics_collector.records import Failure, Good, NoteKind, Outcome
from testlytics_collector.store.derived import Rows
from testlytics_collector.store.facts import COLUMNS, PLAIN, UPLOAD, VERSION, VERSION_KEY

if TYPE_CHECKING:
    import duckdb

MAX_ROWS = 20_000_000
"""More attempts than this are no run: a few bytes of Parquet can claim any number of rows."""

MAX_BYTES = 2 << 30
_MAX_TEXT = 1 << 20


_KNOWN = {"1": PLAIN, str(VERSION): COLUMNS}
"""Columns by version."""


def _empty(columns: Iterable[str]) -> str:
    return ", ".join(f'null::{COLUMNS[name][0]} as "{name}"' for name in columns)


_LOAD = f"""
create or replace temp table facts as
select {_empty(COLUMNS)} where false
union all by name
from read_parquet($1, hive_partitioning = false)
"""  # noqa: S608 - constants

_LENGTHS = (
    *(f'length("{name}")' for name, (kind, _) in COLUMNS.items() if kind == "VARCHAR"),
    *(f'length(failure."{name}")' for name in Failure._fields),
    *(f'length(measurement."{name}")' for name in ("name", "metric", "unit")),
    "list_max(list_transform(notes, lambda x: length(x.kind || x.name || x.value)))",
)
_LONG = " or ".join(f"{length} > {_MAX_TEXT}" for length in _LENGTHS)
_TIMES = [name for name in COLUMNS if name.endswith("_us")]

_RULES = {
    "its rows are of several runs": "count(distinct (project, run_id)) > 1",
    "a name is missing": (
        "count_if(project is null or run_id is null or upload_id is null or variant is null "
        "or digest is null or format is null or ingested_us is null) > 0"
    ),
    "a text is far too long": f"count_if({_LONG}) > 0",
    "a time is far too large": (
        f"count_if({' or '.join(f'{name} not between {-(2**62)} and {2**62}' for name in _TIMES)})"
        " > 0"
    ),
    "a counter is less than 1": (
        "count_if(coalesce(run_attempt, 0) < 1 or attempt < 1 or attempts is null) > 0"
    ),
    "an outcome is unknown": (
        f"count_if(outcome not in ({', '.join(repr(one.value) for one in Outcome)})) > 0"
    ),
    "an attempt has no test, number or outcome": (
        "count_if((test_id is null) <> (attempt is null) or (test_id is null) <> (outcome is null)"
        " or test_id = '') > 0"
    ),
    "a measurement is beside an attempt, or not whole": (
        "count_if(measurement is not null and (test_id is not null or measurement.name is null "
        "or measurement.name = '' or measurement.metric is null or measurement.unit is null "
        "or measurement.good is null or not coalesce(isfinite(measurement.value), false) "
        f"or measurement.good not in ({', '.join(repr(one.value) for one in Good)}))) > 0"
    ),
    "a note is of no known kind": (
        "count_if(len(list_filter(notes, lambda x: x.kind is null or x.name is null "
        "or x.value is null or x.kind not in "
        f"({', '.join(repr(one.value) for one in NoteKind)}))) > 0) > 0"
    ),
}
"""What is wrong with a file, and how it is seen in all of its rows."""

_SAME = f"""
select count(*) from (
    select count(distinct u) as said, any_value(u.attempts) as claimed, count(test_id) as held,
           count(test_id) + count(measurement) as filled, count(*) as lines
    from (select {{{", ".join(f"'{name}': " + chr(34) + name + chr(34) for name in UPLOAD)}}} as u,
                 test_id, measurement from facts)
    group by u.upload_id, u.run_attempt
) where said > 1 or claimed <> held or (filled < lines and lines > 1)
"""  # noqa: S608 - constants


def load(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Gather the facts from a Parquet file.

    Args:
        connection: What they are gathered in.
        path: The file.
        max_rows: How many rows it may have.
        max_bytes: How large its columns may be, decompressed.

    Raises:
        InputError: It is no archive file, a newer one, damaged, or says what no store can say.
            The message does not name it.
    """
    import duckdb

    def rows(sql: str, values: list[object] | None = None) -> list[tuple[Any, ...]]:
        return connection.execute(sql, values or []).fetchall()

    try:
        _check_envelope(rows, path)
        _check_size(rows, path, max_rows, max_bytes)
        rows(_LOAD, [str(path)])
        found = rows(f"select {', '.join(_RULES.values())} from facts")[0]  # noqa: S608 - constants
        broken = [rule for rule, is_so in zip(_RULES, found, strict=True) if is_so]
        if not broken and rows(_SAME) != [(0,)]:
            broken = ["rows of one upload contradict one another"]
    except duckdb.Error as error:
        raise InputError(
            f"The archive file cannot be read: {str(error).strip().splitlines()[0][:200]}",
            slug="archive-damaged",
            hint="Take the file out of the archive, and export its run again where it is known.",
        ) from error
    if broken:
        raise InputError(
            f"The archive file is not as testlytics writes it: {broken[0]}.",
            slug="archive-rows",
            hint="Nothing of it was taken. Write archives with: testlytics export --archive",
        )


def _types(rows: Rows, version: str) -> list[tuple[Any, ...]]:
    return rows(
        f"select column_name, column_type from (describe select {_empty(_KNOWN[version])})"  # noqa: S608
    )


def _check_envelope(rows: Rows, path: Path) -> None:
    """Look at what a file says of itself, before any of its rows is read."""
    said = rows(
        "select value::varchar from parquet_kv_metadata($1) where key::varchar = $2",
        [str(path), VERSION_KEY],
    )
    version = said[0][0][:9] if said else ""
    if version.isdecimal() and int(version) > VERSION:
        raise InputError(
            f"The archive file has version {version}; this testlytics knows up to {VERSION}.",
            slug="archive-newer",
            hint="Update with: pip install -U testlytics",
        )
    types = rows(
        "select column_name, column_type "
        "from (describe from read_parquet($1, hive_partitioning = false))",
        [str(path)],
    )
    if version not in _KNOWN or types != _types(rows, version):
        raise InputError(
            "The Parquet file is none that testlytics export --archive has written.",
            slug="archive-foreign",
            hint="Take it out of the folder, or name the right files.",
        )


def _check_size(rows: Rows, path: Path, max_rows: int, max_bytes: int) -> None:
    [(count, size)] = rows(
        "select (select sum(num_rows) from parquet_file_metadata($1)), "
        "(select sum(total_uncompressed_size) from parquet_metadata($1))",
        [str(path)],
    )
    if not count or count > max_rows or size > max_bytes:
        raise InputError(
            f"The archive file holds {count or 0} rows in {(size or 0) / 2**20:.0f} MiB; between 1 "
            f"and {max_rows} rows and at most {max_bytes / 2**20:.0f} MiB were expected.",
            slug="archive-size",
            hint="It is no run of tests.",
        )
