"""The facts of a run as flat rows, without a store's keys: what goes into an archive and out of it.

They are gathered in the temporary table `facts`, from a store or from a Parquet file, one row per
attempt and one per measurement, each with nulls for what it is not. An upload without either has
one row, in which both are null.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.errors import InputError
from testlytics_collector.records import (
    Attempt,
    Failure,
    Good,
    Measurement,
    Note,
    NoteKind,
    Outcome,
    Upload,
    variant_text,
)
from testlytics_collector.store.derived import Rows

if TYPE_CHECKING:
    import duckdb

VERSION = 2
"""Rises with every change of the columns or of their meaning.

A run without measurements is written as version 1, which lacks their column: equal facts are equal
bytes, whoever writes them.
"""

_NAMED = 1
"""Version of what goes into names: uploads name the bytes that all else comes from."""

VERSION_KEY = "testlytics_archive"
"""Where a file says its version: a key of the Parquet file's own metadata."""

_TEXT, _WHOLE = "VARCHAR", "BIGINT"
_FAILURE = 'STRUCT("type" VARCHAR, message VARCHAR, "text" VARCHAR, place VARCHAR)'
_MEASUREMENT = 'STRUCT("name" VARCHAR, metric VARCHAR, unit VARCHAR, good VARCHAR, "value" DOUBLE)'
_NOTES = 'STRUCT(kind VARCHAR, "name" VARCHAR, "value" VARCHAR)[]'

UPLOAD = {
    "project": (_TEXT, "r.project"),
    "run_id": (_TEXT, "r.run_id"),
    "upload_id": (_TEXT, "u.upload_id"),
    "run_attempt": ("INTEGER", "u.run_attempt"),
    "variant": (_TEXT, "v.variant"),
    "shard": (_TEXT, "u.shard"),
    "digest": (_TEXT, "u.digest"),
    "format": (_TEXT, "u.format"),
    "producer": (_TEXT, "u.producer"),
    "upload_started_us": (_WHOLE, "u.started_us"),
    "upload_ended_us": (_WHOLE, "u.ended_us"),
    "complete": ("BOOLEAN", "u.complete"),
    "exit_status": ("INTEGER", "u.exit_status"),
    "attempts": ("INTEGER", "u.attempts"),
    "ingested_us": (_WHOLE, "u.ingested_us"),
    "commit": (_TEXT, "u.commit_id"),
    "commit_order_us": (_WHOLE, "c.order_us"),
    "tree_sha": (_TEXT, "u.tree_sha"),
    "dirty": ("BOOLEAN", "u.dirty"),
    "branch": (_TEXT, "u.branch"),
    "pull_request": (_TEXT, "u.pull_request"),
    "ci": (_TEXT, "u.ci"),
    "ci_url": (_TEXT, "u.ci_url"),
}
"""Columns that say the same in all rows of an upload: type, and where a store has it."""

ATTEMPT = {
    "test_id": (_TEXT, "t.test_id"),
    "attempt": ("INTEGER", "a.attempt"),
    "outcome": (_TEXT, "a.outcome::varchar"),
    "duration_us": (_WHOLE, "a.duration_us"),
    "setup_us": (_WHOLE, "a.setup_us"),
    "teardown_us": (_WHOLE, "a.teardown_us"),
    "started_us": (_WHOLE, "a.started_us"),
    "worker": (_TEXT, "a.worker"),
    "failure": (
        _FAILURE,
        (
            "case when m.message_key is not null then "
            "{'type': m.type, 'message': m.message, 'text': m.text, 'place': m.place} end"
        ),
    ),
    "notes": (_NOTES, "n.notes"),
}
"""Columns of the attempt."""

PLAIN = UPLOAD | ATTEMPT
"""Columns of version 1."""

COLUMNS = PLAIN | {
    "measurement": (
        _MEASUREMENT,
        (
            "case when d.measured_key is not null then {'name': d.name, 'metric': d.metric, "
            "'unit': d.unit, 'good': d.good, 'value': a.value} end"
        ),
    )
}

_UPLOAD_NAMES = ", ".join(f'"{name}"' for name in UPLOAD)
_ATTEMPT_NAMES = ", ".join(f'"{name}"' for name in ATTEMPT)
_FACT_NAMES = f"{_ATTEMPT_NAMES}, measurement"

_UPLOADS = f"""
select {", ".join(f'{source} as "{name}"' for name, (_, source) in UPLOAD.items())}
from raw.uploads u
join raw.runs r using (run_key)
join raw.variants v using (variant_key)
left join raw.commits c on c.commit_id = u.commit_id
where u.run_key = $1
order by u.run_attempt, u.upload_id
"""  # noqa: S608 - constants

_GATHER = f"""
create or replace temp table facts as
select {", ".join(f'{source}::{kind} as "{name}"' for name, (kind, source) in COLUMNS.items())}
from raw.uploads u
join raw.runs r using (run_key)
join raw.variants v using (variant_key)
left join raw.commits c on c.commit_id = u.commit_id
left join (
    select *, rowid as place, null::integer as measured_key, null::double as value,
           row_number() over (partition by upload_key, test_key, attempt order by rowid) as copy
    from raw.attempts where upload_key in (select unnest($1::integer[]))
    union all by name
    select * from raw.measurements where upload_key in (select unnest($1::integer[]))
) a on a.upload_key = u.upload_key
left join raw.measured d using (measured_key)
left join raw.tests t using (test_key)
left join raw.messages m using (message_key)
left join (
    select upload_key, test_key, attempt,
           list({{'kind': kind, 'name': name, 'value': value}} order by rowid) as notes
    from raw.notes where upload_key in (select unnest($1::integer[]))
    group by all
) n on n.upload_key = a.upload_key and n.test_key = a.test_key and n.attempt = a.attempt
       and a.copy = 1  -- of two attempts with one number, one has the notes of both
where u.upload_key in (select unnest($1::integer[]))
order by u.run_attempt, u.upload_id, t.test_id, a.attempt, a.place, d.name, d.metric, d.unit,
         d.good, a.value
"""  # noqa: S608 - constants

# What lies in the store with the attempts alone: what is said of the upload is compared before.
_CONTENT = f"""
select md5(coalesce(string_agg(line, '' order by line), ''))
from (
    select md5(to_json(a)::varchar) as line
    from (
        select {_FACT_NAMES} from facts where upload_id = $1 and run_attempt = $2
    ) a
)
"""  # noqa: S608 - constants

_ATTEMPTS = f"""
select {_ATTEMPT_NAMES} from facts
where upload_id = $1 and run_attempt = $2 and test_id is not null
order by rowid
"""  # noqa: S608 - constants

_MEASUREMENTS = """
select measurement.name, measurement.metric, measurement.unit, measurement.value, measurement.good
from facts
where upload_id = $1 and run_attempt = $2 and measurement is not null
order by rowid
"""

_WRITE = f"""
copy (select {{names}} from facts order by rowid) to $1
(format parquet, compression zstd, parquet_version v2, write_bloom_filter false,
 kv_metadata {{{{{VERSION_KEY}: '{{version}}'}}}})
"""  # noqa: S608 - constants


_OUTCOMES = {one.value: one for one in Outcome}


class Arrival(NamedTuple):
    """An upload that comes from an archive or another store.

    Attributes:
        upload: Where the results come from.
        digest: BLAKE2b-256 of the bytes they were read from, hexadecimal.
        form: Name of the format they were read from.
        attempts: How many there are.
        ingested_us: When they first came into a store, microseconds since the epoch.
        commit_order_us: Where the commit stands in the history, see raw.commits; None where that
            is not known.
    """

    upload: Upload
    digest: str
    form: str
    attempts: int
    ingested_us: int
    commit_order_us: int | None


def name_of(rows: Rows, run_key: int) -> str:
    """Name the facts of a run: equal ones get the same name, a run that has grown another.

    What is said of the uploads tells attempts apart as well: it names the bytes they came from.

    Returns:
        Hexadecimal digits.
    """
    said = json.dumps(rows(_UPLOADS, [run_key]), separators=(",", ":"))
    return hashlib.blake2b(f"{_NAMED}{said}".encode(), digest_size=16).hexdigest()


def gather(rows: Rows, upload_keys: list[int]) -> None:
    """Gather the facts of some uploads from a store."""
    rows(_GATHER, [upload_keys])


def write(rows: Rows, path: Path) -> None:
    """Write what is gathered to a Parquet file."""
    measured = rows("select 1 from facts where measurement is not null limit 1")
    columns, version = (COLUMNS, VERSION) if measured else (PLAIN, 1)
    names = ", ".join(f'"{name}"' for name in columns)
    rows(_WRITE.format(names=names, version=version), [str(path)])


def content(rows: Rows, upload: Upload) -> str:
    """Return a digest of what one gathered upload holds, whatever the order."""
    [(digest,)] = rows(_CONTENT, [upload.upload_id, upload.run_attempt])
    return str(digest)


def arrivals(rows: Rows) -> list[Arrival]:
    """Return the uploads that are gathered, in a stable order.

    Raises:
        InputError: A variant is not in its canonical form.
    """
    found = rows(
        f"select distinct {_UPLOAD_NAMES} from facts order by run_attempt, upload_id"  # noqa: S608
    )
    return [_arrival(dict(zip(UPLOAD, row, strict=True))) for row in found]


def _arrival(row: dict[str, Any]) -> Arrival:
    said = {
        name: row[name]
        for name in Upload.__dataclass_fields__
        if name not in {"variant", "started_us", "ended_us"}
    }
    upload = Upload(
        **said,
        variant=_variant(row["variant"]),
        started_us=row["upload_started_us"],
        ended_us=row["upload_ended_us"],
    )
    return Arrival(
        upload,
        row["digest"],
        row["format"],
        row["attempts"],
        row["ingested_us"],
        row["commit_order_us"],
    )


def _variant(text: str) -> dict[str, str]:
    """Read a variant from its canonical form."""

    def plain(part: str) -> str:
        return part.replace("%3D", "=").replace("%2C", ",").replace("%25", "%")

    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    variant = {plain(key): plain(value) for key, _, value in pairs}
    if variant_text(variant) != text:
        raise InputError(
            f"The variant {text[:80]!a} is not in its canonical form.",
            slug="archive-rows",
            hint="Nothing of it was taken. Write archives with: testlytics export --archive",
        )
    return variant


def attempts(
    connection: duckdb.DuckDBPyConnection, upload: Upload, batch: int = 10_000
) -> Iterator[list[Attempt]]:
    """Yield the attempts of one gathered upload in their order, in batches."""
    cursor = connection.execute(_ATTEMPTS, [upload.upload_id, upload.run_attempt])
    while rows := cursor.fetchmany(batch):
        yield [_attempt(*row) for row in rows]


def measurements(rows: Rows, upload: Upload) -> list[Measurement]:
    """Return the measurements of one gathered upload in their order."""
    return [
        Measurement(name, metric, unit, value, Good(good))
        for name, metric, unit, value, good in rows(
            _MEASUREMENTS, [upload.upload_id, upload.run_attempt]
        )
    ]


def _attempt(  # noqa: PLR0913, PLR0917 - a column each
    test_id: str,
    attempt: int,
    outcome: str,
    duration_us: int | None,
    setup_us: int | None,
    teardown_us: int | None,
    started_us: int | None,
    worker: str | None,
    failure: dict[str, str | None] | None,
    notes: list[dict[str, str]] | None,
) -> Attempt:
    return Attempt(
        test_id,
        attempt,
        _OUTCOMES[outcome],
        duration_us,
        setup_us,
        teardown_us,
        started_us,
        worker,
        Failure(**failure) if failure is not None else None,
        tuple(Note(NoteKind(one["kind"]), one["name"], one["value"]) for one in notes or ()),
    )
