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

from testlytics_collector.records import Attempt, Failure, Problem, Upload, variant_text

if TYPE_CHECKING:
    import duckdb

PORTION = 120_000
"""How many attempts are moved to the facts at once: about a row group of DuckDB."""

_STAGED = [
    "test_id",
    "attempt",
    "outcome",
    "duration_us",
    "setup_us",
    "teardown_us",
    "started_us",
    "worker",
    "digest",
]
_STAGED_WHY = ["type", "message", "text", "place", "digest"]
_STAGE = """
create or replace temp table stage (
    test_id varchar, attempt integer, outcome varchar, duration_us bigint, setup_us bigint,
    teardown_us bigint, started_us bigint, worker varchar, digest varchar
)
"""
_STAGE_WHY = """
create or replace temp table stage_why (
    type varchar, message varchar, text varchar, place varchar, digest varchar
)
"""
_FROM_JSON = {
    "stage": """
insert into stage
select unnest(doc.test_id), unnest(doc.attempt), unnest(doc.outcome), unnest(doc.duration_us),
       unnest(doc.setup_us), unnest(doc.teardown_us), unnest(doc.started_us), unnest(doc.worker),
       unnest(doc.digest)
from (select from_json($1::json, '{"test_id": ["VARCHAR"], "attempt": ["INTEGER"],
    "outcome": ["VARCHAR"], "duration_us": ["BIGINT"], "setup_us": ["BIGINT"],
    "teardown_us": ["BIGINT"], "started_us": ["BIGINT"], "worker": ["VARCHAR"],
    "digest": ["VARCHAR"]}') as doc)
""",
    "stage_why": """
insert into stage_why
select unnest(doc.type), unnest(doc.message), unnest(doc.text), unnest(doc.place),
       unnest(doc.digest)
from (select from_json($1::json, '{"type": ["VARCHAR"], "message": ["VARCHAR"],
    "text": ["VARCHAR"], "place": ["VARCHAR"], "digest": ["VARCHAR"]}') as doc)
""",
}
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


class _Copy(NamedTuple):
    upload_key: int
    attempts: int
    complete: bool | None


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
        self.attempts = 0

    def __enter__(self) -> Self:
        self._run("begin")
        self._run(_STAGE)
        self._run(_STAGE_WHY)
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
        columns: list[Sequence[object]] = list(zip(*attempts, strict=True))
        # Plain texts: DuckDB takes twice as long over members of an enum.
        columns[2] = list(map(str.__str__, columns[2]))
        columns[8] = [row[8] and self._name(row[8]) for row in attempts]
        known = [index for index, column in enumerate(columns) if column.count(None) < len(column)]
        self._stage(
            "stage", [_STAGED[index] for index in known], [columns[index] for index in known]
        )
        self.attempts += len(attempts)
        self._staged += len(attempts)
        if self._staged >= PORTION:
            self._settle()

    def _name(self, why: Failure) -> str:
        """Name a failure by its content; equal ones are stored once."""
        digest = self._digests.get(why)
        if digest is None:
            digest = hashlib.blake2b(repr(tuple(why)).encode(), digest_size=16).hexdigest()
            self._digests[why] = digest
        return digest

    def _stage(self, table: str, names: list[str], columns: list[Sequence[object]]) -> None:
        """Append columns of equal length to a temporary table; the others stay null."""
        if hasattr(self._connection, "appender"):
            appender = self._connection.appender(table, columns=names)
            appender.append_rows(zip(*columns, strict=True))
            appender.flush()
            return
        # DuckDB before 2.0 has no other quick way in.
        for start in range(0, len(columns[0]), _JSON_ROWS):
            part = dict(zip(names, (c[start : start + _JSON_ROWS] for c in columns), strict=True))
            self._run(_FROM_JSON[table], [json.dumps(part)])

    def _settle(self) -> None:
        """Move what was gathered on to the facts."""
        if self._digests:
            whys: list[Sequence[object]] = list(zip(*self._digests, strict=True))
            self._stage("stage_why", _STAGED_WHY, [*whys, list(self._digests.values())])
            self._digests.clear()
        self._add_tests()
        self._add_messages()
        self._run(
            """insert into raw.attempts
               select $1, t.test_key, s.attempt, s.outcome::raw.outcome, s.duration_us,
                      s.setup_us, s.teardown_us, s.started_us, s.worker, m.message_key
               from stage s
               join raw.tests t on t.project = $2 and t.test_id = s.test_id
               left join raw.messages m on m.digest = s.digest
               order by t.test_key, s.attempt""",
            [self._upload_key, self._project],
        )
        self._run("truncate stage")
        self._run("truncate stage_why")
        self._staged = 0

    def keep(self, upload: Upload, *, digest: str, form: str, now_us: int) -> Kept:
        """Make what was written part of the store, wholly or not at all.

        An upload that was stored while its run was still going on is replaced by its longer self;
        a shorter copy of one that is stored changes nothing.

        Args:
            upload: Where the results come from.
            digest: BLAKE2b-256 of the decompressed bytes, hexadecimal.
            form: Name of the input's format.
            now_us: The present, microseconds since the epoch.
        """
        copy = self._stored_copy(upload)
        if copy is not None and not self._is_newer(upload, copy):
            return Kept(stored=False, problems=[])
        problems = self._replace(copy) if copy is not None else []
        run_key, disagreements = self._run_key(upload)
        self._settle()
        self._add_upload(upload, run_key, digest, form, now_us)
        self._run("commit")
        return Kept(stored=True, problems=problems + disagreements)

    def _stored_copy(self, upload: Upload) -> _Copy | None:
        copies = self._rows(
            """select u.upload_key, u.attempts, u.complete
               from raw.uploads u join raw.runs r using (run_key)
               where u.upload_id = $1 and u.run_attempt = $2
                 and r.project = $3 and r.run_id = $4""",
            [upload.upload_id, upload.run_attempt, upload.project, upload.run_id],
        )
        return _Copy(*copies[0]) if copies else None

    def _is_newer(self, upload: Upload, copy: _Copy) -> bool:
        finished = upload.complete is True
        return copy.complete is False and (finished or self.attempts > copy.attempts)

    def _replace(self, copy: _Copy) -> list[Problem]:
        self._run("delete from raw.attempts where upload_key = $1", [copy.upload_key])
        self._run("delete from raw.uploads where upload_key = $1", [copy.upload_key])
        return [Problem(f"Replaces an unfinished copy with {copy.attempts} attempts.")]

    def _run_key(self, upload: Upload) -> tuple[int, list[Problem]]:
        facts = [
            upload.commit,
            upload.tree_sha,
            upload.dirty,
            upload.branch,
            upload.pull_request,
            upload.ci,
            upload.ci_url,
        ]
        known = self._rows(
            "select run_key, commit_id from raw.runs where project = $1 and run_id = $2",
            [upload.project, upload.run_id],
        )
        if not known:
            key = self._next("runs")
            self._run(
                "insert into raw.runs values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                [key, upload.project, upload.run_id, *facts],
            )
            return key, []
        key, commit = known[0]
        if commit is not None and upload.commit not in {None, commit}:
            return key, [
                Problem(
                    f"Run {upload.run_id} was recorded with commit {commit}, this file says "
                    f"{upload.commit}; the first was kept."
                )
            ]
        self._run(
            """update raw.runs set
                   commit_id = coalesce(commit_id, $2), tree_sha = coalesce(tree_sha, $3),
                   dirty = coalesce(dirty, $4), branch = coalesce(branch, $5),
                   pull_request = coalesce(pull_request, $6), ci = coalesce(ci, $7),
                   ci_url = coalesce(ci_url, $8)
               where run_key = $1""",
            [key, *facts],
        )
        return key, []

    def _add_upload(
        self, upload: Upload, run_key: int, digest: str, form: str, now_us: int
    ) -> None:
        variant_key = self._variant_key(variant_text(upload.variant))
        self._run(
            """insert into raw.uploads
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)""",
            [
                self._upload_key,
                run_key,
                variant_key,
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
            ],
        )

    def _add_tests(self) -> None:
        # Looks first for those that are known, so that the small side is what is kept in memory.
        self._run(
            """insert into raw.tests
               select $1 + row_number() over (order by n.test_id) - 1, $2, n.test_id
               from (select distinct test_id from stage) n
               anti join (
                   select t.test_id from raw.tests t semi join stage s on t.test_id = s.test_id
                   where t.project = $2
               ) known on known.test_id = n.test_id""",
            [self._next("tests"), self._project],
        )

    def _add_messages(self) -> None:
        self._run(
            """insert into raw.messages
               select $1 + row_number() over (order by n.digest) - 1,
                      n.digest, n.type, n.message, n.text, n.place
               from stage_why n
               anti join raw.messages m on m.digest = n.digest""",
            [self._next("messages")],
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
