"""Removing what should never have been kept, and looking afterwards whether it is gone."""

from __future__ import annotations

from dataclasses import dataclass, field

from testlytics_collector.store import measured
from testlytics_collector.store.pruned import Rows
from testlytics_collector.store.retention import remove_unused_messages

_NAMING = ("producer", "shard", "branch", "pull_request", "ci", "ci_url")
"""Columns of uploads that may name a person, and that nothing is joined by."""


@dataclass(slots=True)
class Purged:
    """What a purge changed.

    Attributes:
        removed: Rows that were removed or blanked, by table.
        remaining: Where the text still stands: rows by `table.column`.
    """

    removed: dict[str, int] = field(default_factory=dict)
    remaining: dict[str, int] = field(default_factory=dict)

    def count(self, table: str, rows: list[tuple[int]]) -> None:
        """Add how many rows a statement changed."""
        if rows and rows[0][0]:
            self.removed[table] = self.removed.get(table, 0) + int(rows[0][0])


def purge_case(rows: Rows, test_id: str) -> Purged:
    """Remove a test with all that is known of it, in all projects; benchmarks of its name as well.

    Args:
        rows: Of a writing connection, inside a transaction.
        test_id: Its whole id.
    """
    done = Purged()
    keys = [key for (key,) in rows("select test_key from raw.tests where test_id = $1", [test_id])]
    for table in (
        "raw.attempts",
        "raw.notes",
        "raw.rollups",
        "derived.events",
        "derived.totals",
        "derived.baselines",
        "raw.tests",
    ):
        done.count(
            table,
            rows(f"delete from {table} where test_key in (select unnest($1::integer[]))", [keys]),  # noqa: S608
        )
    done.count("raw.measurements", measured.forget(rows, test_id))
    removed = remove_unused_messages(rows)
    done.count("raw.messages", [(removed,)])
    done.remaining = occurrences(rows, test_id)
    return done


def purge_messages(rows: Rows) -> Purged:
    """Blank all failure messages and texts; types, places and digests stay.

    Args:
        rows: Of a writing connection, inside a transaction.
    """
    done = Purged()
    done.count(
        "raw.messages",
        rows(
            """update raw.messages set message = null, text = null
               where message is not null or text is not null"""
        ),
    )
    return done


def purge_text(rows: Rows, text: str) -> Purged:
    """Blank whatever holds a text and may be blank: where runs came from, notes, failures.

    Names that rows are joined by (tests, variants, projects, runs) are left, and told in
    `remaining`.

    Args:
        rows: Of a writing connection, inside a transaction.
        text: Any part of a value; capitals and small letters make no difference.
    """
    done = Purged()
    for column in _NAMING:
        done.count(
            "raw.uploads",
            rows(
                f"""update raw.uploads set {column} = null
                    where contains(lower({column}), lower($1))""",  # noqa: S608 - constants
                [text],
            ),
        )
    done.count(
        "raw.attempts",
        rows(
            "update raw.attempts set worker = null where contains(lower(worker), lower($1))",
            [text],
        ),
    )
    done.count(
        "raw.notes",
        rows(
            """delete from raw.notes
               where contains(lower(name), lower($1)) or contains(lower(value), lower($1))""",
            [text],
        ),
    )
    done.count(
        "raw.messages",
        rows(
            """update raw.messages set message = null, text = null,
                   type = case when contains(lower(type), lower($1)) then null else type end,
                   place = case when contains(lower(place), lower($1)) then null else place end
               where contains(lower(concat_ws(chr(10), type, message, text, place)), lower($1))""",
            [text],
        ),
    )
    done.remaining = occurrences(rows, text)
    return done


def occurrences(rows: Rows, text: str) -> dict[str, int]:
    """Search every text column of every table, but those of digests and commits.

    Args:
        rows: Of any connection.
        text: Any part of a value; capitals and small letters make no difference.

    Returns:
        How many rows hold it, by `schema.table.column`; without those where none does.
    """
    columns = rows(
        """select schema_name, table_name, column_name from duckdb_columns()
           where schema_name in ('raw', 'derived') and data_type = 'VARCHAR'
             and column_name not in ('digest', 'commit_id', 'tree_sha')
             and (schema_name, table_name) in (
                 select (schema_name, table_name) from duckdb_tables() where not temporary
             )
           order by all"""
    )
    found = {}
    for schema, table, column in columns:
        [(count,)] = rows(
            f"""select count(*) from {schema}."{table}"
                where contains(lower("{column}"), lower($1))""",  # noqa: S608 - from the catalog
            [text],
        )
        if count:
            found[f"{schema}.{table}.{column}"] = int(count)
    return found
