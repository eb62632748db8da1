"""Taking in one upload: rows go in while it is read, and stay only when it was read to its end.

All of it is one transaction. Rows are gathered in a temporary table and moved on to the facts in
portions, so that an upload of any size takes the same memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from testlytics_collector.records import (
    Attempt,
    Failure,
    Outcome,
    Problem,
    Upload,
    variant_text,
)
from testlytics_collector.store import copies, derived, pruned, stage

if TYPE_CHECKING:
    import duckdb

PORTION = 120_000
"""How many attempts are moved to the facts at once: about a row group of DuckDB."""

_NEXT_KEY = {
    "runs": "select coalesce(max(run_key), 0) + 1 from raw.runs",
    "uploads": "select coalesce(max(upload_key), 0) + 1 from raw.uploads",
    "variants": "select coalesce(max(variant_key), 0) + 1 from raw.variants",
    "tests": "select coalesce(max(test_key), 0) + 1 from raw.tests",
    "messages": "select coalesce(max(message_key), 0) + 1 from raw.messages",
}
_JSON_ROWS = 5_000


class Kept(NamedTuple):
    """What became of an upload.

    Attributes:
        stored: False where the store has it already.
        problems: What a person should know of: disagreements with what was known of the run.
    """

    stored: bool
    problems: list[Problem]


class Intake:
    """The sink of one input. A context manager: leaving it without `keep` leaves no row.

    Args:
        connection: A writing connection with no transaction open.
        project: The project that the caller states, or None.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, project: str | None) -> None:
        self._connection = connection
        self._stated = project
        self._project = project or "default"
        self._upload_key = 0
        self._staged = 0
        self._digests: dict[Failure, str] = {}
        self._has_whys = self._has_notes = False
        self.attempts = 0

    def __enter__(self) -> Self:
        self._run("begin")
        for make in stage.MAKE.values():
            self._run(make)
        self._upload_key = self._next("uploads")
        return self

    def __exit__(self, *_: object) -> None:
        import duckdb

        with contextlib.suppress(duckdb.Error):  # where `keep` has ended it already
            self._run("rollback")

    def begin(self, project: str) -> None:
        """Say which project the input names; what the caller states wins."""
        self._project = self._stated or project

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Take the next attempts of the input, in document order."""
        columns: dict[str, Sequence[object]] = {"test_id": [row[0] for row in attempts]}
        for name, (_, at) in stage.DENSE.items():
            column = [row[at] for row in attempts]
            if column.count(None) < len(column):
                columns[name] = column
        self._stage("stage", columns)
        passed = Outcome.PASSED
        special = [
            # Plain texts: DuckDB takes twice as long over members of an enum.
            (n, row[1], str.__str__(row[2]), row[8] and self._name(row[8]))
            for n, row in enumerate(attempts, self._staged + 1)
            if row[2] is not passed or row[1] != 1 or row[8]
        ]
        if special:
            names = stage.TABLES["stage_special"]
            self._stage("stage_special", dict(zip(names, zip(*special, strict=True), strict=True)))
        notes = [
            (n, str(kind), name, value)
            for n, row in enumerate(attempts, self._staged + 1)
            if row[9]
            for kind, name, value in row[9]
        ]
        if notes:
            self._has_notes = True
            names = stage.TABLES["stage_notes"]
            self._stage("stage_notes", dict(zip(names, zip(*notes, strict=True), strict=True)))
        self.attempts += len(attempts)
        self._staged += len(attempts)
        if self._staged >= PORTION:
            self._settle()
            self._clear()

    def _name(self, why: Failure) -> str:
        """Name a failure by its content; equal ones are stored once."""
        digest = self._digests.get(why)
        if digest is None:
            digest = hashlib.blake2b(repr(tuple(why)).encode(), digest_size=16).hexdigest()
            self._digests[why] = digest
        return digest

    def _stage(self, table: str, columns: dict[str, Sequence[object]]) -> None:
        """Append columns of equal length to a temporary table; the others stay null."""
        if hasattr(self._connection, "appender"):
            appender = self._connection.appender(table, columns=list(columns))
            appender.append_rows(zip(*columns.values(), strict=True))
            appender.flush()
            return
        # DuckDB before 2.0 has no other quick way in.
        length = len(next(iter(columns.values())))
        for start in range(0, length, _JSON_ROWS):
            part = {name: column[start : start + _JSON_ROWS] for name, column in columns.items()}
            self._run(stage.FROM_JSON[table], [json.dumps(part)])

    def _stage_whys(self) -> None:
        """Write the failures that were named into the stage."""
        if self._digests:
            whys = zip(stage.TABLES["stage_why"], zip(*self._digests, strict=True), strict=False)
            self._stage("stage_why", {**dict(whys), "digest": list(self._digests.values())})
            self._digests.clear()
            self._has_whys = True

    def _settle(self) -> None:
        """Move what was gathered on to the facts."""
        self._stage_whys()
        if self._has_whys:
            self._add_messages()
        base = self._add_tests()
        self._run(stage.ADD[self._has_whys], [self._upload_key, base])
        if self._has_notes:
            self._run(stage.ADD_NOTES, [self._upload_key, base])

    def _clear(self) -> None:
        """Empty the stage for the next portion."""
        for table in stage.TABLES:
            self._run(f"truncate {table}")
        self._staged = 0
        self._has_whys = self._has_notes = False

    def wants(self, upload: Upload, *, digest: str, form: str, attempts: int, content: str) -> bool:
        """Tell whether `keep` would keep a copy, before any of its attempts is written.

        Args:
            upload: See `keep`, as for `digest`, `form` and `content`.
            digest: See `keep`.
            form: See `keep`.
            attempts: How many it has.
            content: See `keep`.
        """
        if pruned.is_pruned(self._rows, upload):
            return False
        copy = copies.stored(self._rows, upload)
        rank = copies.rank(upload, digest=digest, form=form, attempts=attempts)
        return copy is None or copies.is_above(self._rows, upload, rank, content, copy)

    def keep(
        self, upload: Upload, *, digest: str, form: str, now_us: int, content: str | None = None
    ) -> Kept:
        """Make what was written part of the store, wholly or not at all.

        Of two copies of an upload the one that is above in the order of `copies` stays, so that
        the unfinished is replaced by its longer self, whichever comes first.

        Args:
            upload: Where the results come from.
            digest: BLAKE2b-256 of the decompressed bytes, hexadecimal.
            form: Name of the input's format.
            now_us: When it came, microseconds since the epoch; of all copies the first counts.
            content: Digest of the attempts, see `facts.content`, which tells copies of equal rank
                apart; None takes them for equal.
        """
        if pruned.is_pruned(self._rows, upload):
            return Kept(stored=False, problems=[])
        copy = copies.stored(self._rows, upload)
        rank = copies.rank(upload, digest=digest, form=form, attempts=self.attempts)
        if copy is not None and not copies.is_above(self._rows, upload, rank, content, copy):
            if now_us < copy.ingested_us:
                self._came_earlier(copy, now_us)
            return Kept(stored=False, problems=[])
        run_key, is_new = self._run_key(upload)
        disagreements = [] if is_new else self._disagreements(upload, run_key)
        variant_key = self._variant_key(variant_text(upload.variant))
        suite = derived.Suite(run_key, variant_key)
        changed = {suite, copy.suite} if copy is not None else {suite}
        before = [derived.begin_change(self._rows, one) for one in sorted(changed)]
        problems = copies.remove(self._rows, copy) if copy is not None else []
        self._settle()
        first_us = min(now_us, copy.ingested_us) if copy is not None else now_us
        self._add_upload(upload, suite, digest, form, first_us)
        if copy is not None:
            copies.forget_tests(self._rows)
        for one in before:
            derived.end_change(self._rows, one)
        self._run("commit")
        return Kept(stored=True, problems=problems + disagreements)

    def _came_earlier(self, copy: copies.Copy, ingested_us: int) -> None:
        before = derived.begin_change(self._rows, copy.suite)
        self._run(
            "update raw.uploads set ingested_us = $2 where upload_key = $1",
            [copy.upload_key, ingested_us],
        )
        derived.end_change(self._rows, before)
        self._run("commit")

    def _run_key(self, upload: Upload) -> tuple[int, bool]:
        """Return the key of the upload's run, and whether the run is new."""
        known = self._rows(
            "select run_key from raw.runs where project = $1 and run_id = $2",
            [upload.project, upload.run_id],
        )
        if known:
            return int(known[0][0]), False
        key = self._next("runs")
        self._run("insert into raw.runs values ($1, $2, $3)", [key, upload.project, upload.run_id])
        return key, True

    def _disagreements(self, upload: Upload, run_key: int) -> list[Problem]:
        others = self._rows(
            "select distinct commit_id from raw.uploads where run_key = $1 and commit_id <> $2",
            [run_key, upload.commit],
        )
        return [
            Problem(
                f"Run {upload.run_id} was recorded with commit {other}, this file says "
                f"{upload.commit}; the one that began first counts."
            )
            for (other,) in others
        ]

    def _add_upload(
        self, upload: Upload, suite: derived.Suite, digest: str, form: str, now_us: int
    ) -> None:
        values = [
            self._upload_key,
            *suite,
            upload.upload_id,
            digest,
            form,
            upload.producer,
            upload.run_attempt,
            upload.shard,
            upload.started_us,
            upload.ended_us,
            upload.complete,
            upload.exit_status,
            self.attempts,
            now_us,
            upload.commit,
            upload.tree_sha,
            upload.dirty,
            upload.branch,
            upload.pull_request,
            upload.ci,
            upload.ci_url,
        ]
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        self._run(f"insert into raw.uploads values ({places})", values)  # noqa: S608 - placeholders

    def _add_tests(self) -> int:
        """Find the keys of the gathered tests, and make those that are missing.

        Returns:
            What to add to the number of a row without key, to get its key.
        """
        base = self._next("tests") - 1
        self._run(
            """create or replace temp table keyed as
               select s.*, t.test_key
               from (select row_number() over () as n, * from stage) s
               left join raw.tests t on t.project = $1 and t.test_id = s.test_id""",
            [self._project],
        )
        [(missing, last)] = self._rows("select count(*), max(n) from keyed where test_key is null")
        if not missing:
            return base
        # A new test's key is its number in the stage, which needs no second look-up.
        [(added,)] = self._rows(
            """insert into raw.tests
               select $1 + min(n), $2, test_id from keyed where test_key is null
               group by test_id order by 1""",
            [base, self._project],
        )
        if added < missing:
            self._run(
                """update keyed set test_key = t.test_key from raw.tests t
                   where keyed.test_key is null and t.test_key between $1 and $2
                     and t.test_id = keyed.test_id""",
                [base + 1, base + last],
            )
        return base

    def _add_messages(self) -> None:
        base = self._next("messages") - 1
        self._run(
            """create or replace temp table why_keyed as
               select w.*, m.message_key as known_key,
                      coalesce(m.message_key, $1 + row_number() over ()) as message_key
               from stage_why w left join raw.messages m on m.digest = w.digest""",
            [base],
        )
        self._run(
            """insert into raw.messages
               select message_key, digest, type, message, text, place
               from why_keyed where known_key is null order by message_key"""
        )

    def _variant_key(self, variant: str) -> int:
        known = self._rows("select variant_key from raw.variants where variant = $1", [variant])
        if known:
            return int(known[0][0])
        key = self._next("variants")
        self._run("insert into raw.variants values ($1, $2)", [key, variant])
        return key

    def _next(self, table: str) -> int:
        """Return the next free key: safe, because the one writer holds the store's lock."""
        key: int = self._rows(_NEXT_KEY[table])[0][0]
        return key

    def _rows(self, sql: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(values)).fetchall()
        return rows

    def _run(self, sql: str, values: Iterable[object] = ()) -> None:
        # A result that is not drained blocks the connection in DuckDB 2.
        self._connection.execute(sql, list(values)).fetchall()
