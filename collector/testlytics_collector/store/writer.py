"""Taking in one upload: rows go in while it is read, and stay only when it was read to its end.

All of it is one transaction. Rows are gathered as columns and moved on to the facts in portions, so
that an upload of any size takes the same memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from testlytics_collector.records import Problem, Upload, variant_text
from testlytics_collector.store import copies, derived, measured, pruned, stage

if TYPE_CHECKING:
    import duckdb

_NEXT_KEY = {
    "runs": "select coalesce(max(run_key), 0) + 1 from raw.runs",
    "uploads": "select coalesce(max(upload_key), 0) + 1 from raw.uploads",
    "variants": "select coalesce(max(variant_key), 0) + 1 from raw.variants",
    "tests": "select coalesce(max(test_key), 0) + 1 from raw.tests",
    "messages": "select coalesce(max(message_key), 0) + 1 from raw.messages",
    "measured": "select coalesce(max(measured_key), 0) + 1 from raw.measured",
}

_TAKE_BACK = {
    **dict.fromkeys(("attempts", "notes", "measurements"), "upload_key"),
    "tests": "test_key",
    "messages": "message_key",
    "measured": "measured_key",
}
"""Tables that rows are moved to before it is known whether they stay, and their keys."""


class Kept(NamedTuple):
    """What became of an upload.

    Attributes:
        stored: False where the store has it already.
        problems: What a person should know of: disagreements with what was known of the run.
    """

    stored: bool
    problems: list[Problem]


class Intake(stage.Gathering):
    """The sink of one input. A context manager: leaving it without `keep` leaves no row.

    Args:
        connection: A writing connection with no transaction open.
        project: The project that the caller states, or None.
        within: Whether the caller has begun a transaction, and ends it: nothing is kept before.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, project: str | None, *, within: bool = False
    ) -> None:
        super().__init__(project)
        self._connection = connection
        self._within = within
        self._upload_key = 0
        self._staged: list[tuple[int, list[int]]] = []
        self._keeping = False
        self._moved_from: dict[str, int] = {}

    def __enter__(self) -> Self:
        if not self._within:
            self._run("begin")
        self._upload_key = self._next("uploads")
        return self

    def __exit__(self, *_: object) -> None:
        import duckdb

        if not self._within:
            with contextlib.suppress(duckdb.Error):  # where `keep` has ended it already
                self._run("rollback")

    def take(self, portion: stage.Stage) -> None:
        """Take attempts that were gathered elsewhere."""
        self._settle()
        self._stage = portion
        self.attempts += len(portion)

    def _move(self, stage_: stage.Stage) -> None:
        """Move what was gathered on to the facts."""
        from testlytics_collector.store.arrow import shown

        if not (self._keeping or self._moved_from):
            self._moved_from = {
                table: self._upload_key if key == "upload_key" else self._next(table)
                for table, key in _TAKE_BACK.items()
            }
        tables = {name: table for name, table in stage_.tables.items() if len(table)}
        with shown(self._connection, tables):
            if "stage_measurements" in tables:
                measured.add(self._rows, self._upload_key)
            if "stage" in tables:
                self._move_attempts(stage_, tables)

    def _move_attempts(self, stage_: stage.Stage, tables: Container[str]) -> None:
        if "stage_why" in tables:
            self._run(stage.WHY_KEYED, [self._next("messages") - 1])
            self._run(stage.ADD_MESSAGES)
        base = self._add_tests()
        self._run(stage.add(stage_), [self._upload_key, base])
        special = "stage_special" if "stage_special" in tables else stage.NO_SPECIAL
        if "stage_notes" in tables:
            self._run(stage.ADD_NOTES.format(special=special), [self._upload_key, base])
        self._staged.append((base, stage_.bad))

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
        self._keeping = True
        if pruned.is_pruned(self._rows, upload):
            self._take_back()
            return Kept(stored=False, problems=[])
        run_key = self._known_run(upload)
        if run_key is None:
            self._add_run(upload, digest, form, now_us)
            self._end()
            return Kept(stored=True, problems=[])
        copy = copies.stored(self._rows, upload)
        rank = copies.rank(upload, digest=digest, form=form, attempts=self.attempts)
        if copy is not None and not copies.is_above(self._rows, upload, rank, content, copy):
            self._take_back()
            if now_us < copy.ingested_us:
                self._came_earlier(copy, now_us)
            return Kept(stored=False, problems=[])
        disagreements = self._disagreements(upload, run_key)
        suite = derived.Suite(run_key, self._variant_key(variant_text(upload.variant)))
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
        self._end()
        return Kept(stored=True, problems=problems + disagreements)

    def _add_run(self, upload: Upload, digest: str, form: str, now_us: int) -> None:
        """Add the first upload of a run: most are, and nothing of it is there to be looked at."""
        run_key = self._next("runs")
        self._run(
            "insert into raw.runs values ($1, $2, $3)", [run_key, upload.project, upload.run_id]
        )
        suite = derived.Suite(run_key, self._variant_key(variant_text(upload.variant)))
        self._settle()
        self._add_upload(upload, suite, digest, form, now_us)
        derived.add_run(
            self._rows, suite, self._upload_key, project=upload.project, staged=self._staged
        )

    def _take_back(self) -> None:
        """Undo what was moved: the transaction may hold other uploads, and may go on."""
        for table, first in self._moved_from.items():
            key = _TAKE_BACK[table]
            self._run(f"delete from raw.{table} where {key} >= $1", [first])  # noqa: S608
        self._moved_from = {}

    def _end(self) -> None:
        if not self._within:
            self._run("commit")

    def _came_earlier(self, copy: copies.Copy, ingested_us: int) -> None:
        before = derived.begin_change(self._rows, copy.suite)
        self._run(
            "update raw.uploads set ingested_us = $2 where upload_key = $1",
            [copy.upload_key, ingested_us],
        )
        derived.end_change(self._rows, before)
        self._end()

    def _known_run(self, upload: Upload) -> int | None:
        """Return the key of the upload's run, None where it is new."""
        known = self._rows(
            "select run_key from raw.runs where project = $1 and run_id = $2",
            [upload.project, upload.run_id],
        )
        return int(known[0][0]) if known else None

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
        self._run(stage.KEYED, [self._project])
        [(missing, last)] = self._rows("select count(*), max(n) from keyed where test_key is null")
        if not missing:
            return 0
        base = self._next("tests") - 1
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
