"""Several uploads taken in as one: each statement once for all of them, not once for each.

A statement costs about as much for five hundred rows as for thirty thousand, so that fifty small
runs take little longer than one. It is for what nearly all uploads are: of a run that is new, and
without measurements. All others go the way of `writer.Intake`, after these, and what lies in the
store at the end is the same but for the order of the runs' keys.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from testlytics_collector.records import Upload, variant_text
from testlytics_collector.store import baselines, derived, spool_file, stage
from testlytics_collector.store.columns import Column, Piece, Table, column
from testlytics_collector.store.outcomes import BAD, GOOD

if TYPE_CHECKING:
    import duckdb

_UPLOADS = {
    "upload_key": "integer",
    "run_key": "integer",
    "variant_key": "integer",
    "upload_id": "varchar",
    "digest": "varchar",
    "format": "varchar",
    "producer": "varchar",
    "run_attempt": "integer",
    "shard": "varchar",
    "started_us": "bigint",
    "ended_us": "bigint",
    "complete": "integer",
    "exit_status": "integer",
    "attempts": "integer",
    "ingested_us": "bigint",
    "commit_id": "varchar",
    "tree_sha": "varchar",
    "dirty": "integer",
    "branch": "varchar",
    "pull_request": "varchar",
    "ci": "varchar",
    "ci_url": "varchar",
}
"""Columns of raw.uploads in their order, with booleans as numbers."""

_ARRIVALS = {**_UPLOADS, "project": "varchar", "run_id": "varchar"}
_ASKED = ("project", "run_id", "upload_id", "run_attempt")

_KNOWN = """
select a.run_key from arrivals a semi join raw.runs r using (project, run_id)
union
select a.run_key from arrivals a
semi join raw.pruned p using (project, run_id, upload_id, run_attempt)
"""

_KEYS = """
select (select coalesce(max(upload_key), 0) from raw.uploads),
       (select coalesce(max(run_key), 0) from raw.runs),
       (select coalesce(max(test_key), 0) from raw.tests),
       (select coalesce(max(message_key), 0) from raw.messages)
"""

_KEYED = """
create or replace temp table keyed as
select s.* exclude (test_id), t.test_key,
       case when t.test_key is null then s.test_id end as test_id
from stage s
join arrivals b using (upload_key)
left join raw.tests t on t.project = b.project and t.test_id = s.test_id
"""

_ADD_TESTS = """
insert into raw.tests
select $1 + row_number() over (order by min(k.n)), b.project, k.test_id
from keyed k join arrivals b using (upload_key)
where k.test_key is null
group by b.project, k.test_id
order by 1
"""

_NAME_TESTS = """
update keyed set test_key = t.test_key
from raw.tests t join arrivals b using (project)
where keyed.test_key is null and keyed.upload_key = b.upload_key
  and t.test_key > $1 and t.test_id = keyed.test_id
"""

# As `stage.WHY_KEYED`, but one failure may have come with several uploads.
_WHY_KEYED = """
create or replace temp table why_keyed as
with named as (select distinct digest from stage_why),
known as (select m.digest, m.message_key from raw.messages m semi join named using (digest))
select w.digest, k.message_key is null as is_new,
       coalesce(k.message_key, $1 + row_number() over ()) as message_key
from named w left join known k using (digest)
"""

_ADD_MESSAGES = """
insert into raw.messages
select distinct k.message_key, w.digest, w.type, w.message, w.text, w.place
from why_keyed k join stage_why w using (digest) where k.is_new order by 1
"""

_ADD_NOTES = """
insert into raw.notes
select k.upload_key, k.test_key, coalesce(s.attempt, 1), x.kind, x.name, x.value
from stage_notes x
join keyed k using (n)
left join {special} s using (n)
order by 1, 2, 3
"""

_ADD_UPLOADS = f"""
insert into raw.uploads
select {", ".join(f"{n}::boolean" if n in {"complete", "dirty"} else n for n in _UPLOADS)}
from arrivals order by upload_key
"""  # noqa: S608 - constants

_ADD_RUNS = "insert into raw.runs select run_key, project, run_id from arrivals order by run_key"

# As `derived.EVENTS`: each of these uploads is all of its run. $3 are numbers of those that failed.
_ADD_EVENTS = f"""
insert into derived.events
select b.run_key, b.variant_key, a.test_key,
       count_if(a.outcome in {GOOD}), count_if(a.outcome in {BAD}),
       count_if(a.outcome = 'skipped'::raw.outcome), count(*),
       arg_max(a.message_key, a.attempt) filter (where a.outcome in {BAD})
from raw.attempts a
join arrivals b using (upload_key)
semi join (
    select upload_key, test_key from keyed where n in (select unnest($3::integer[]))
) f on f.upload_key = a.upload_key and f.test_key = a.test_key
where a.upload_key between $1 and $2
group by b.run_key, b.variant_key, a.test_key
order by 1, 2, 3
"""  # noqa: S608 - constants

_RUNS = "select project, count(*) from raw.runs where project in (select unnest($1)) group by all"


class _One(NamedTuple):
    """An upload that may be taken in with others; its place among them, and what is known of it."""

    at: int
    upload: Upload
    about: dict[str, Any]
    stage: stage.Stage


def take(connection: duckdb.DuckDBPyConnection, found: Sequence[spool_file.Upload]) -> set[int]:
    """Take in those of some uploads that can be, all with the same statements.

    Args:
        connection: A writing connection, within a transaction.
        found: Together at most about `stage.PORTION` attempts.

    Returns:
        The places of those that were stored; nothing was done for the others.
    """
    from testlytics_collector.store.arrow import shown

    candidates = _candidates(found)
    if len(candidates) < 2:
        return set()
    rows = _runner(connection)
    numbered = [(0, place, 0) for place in range(len(candidates))]
    with shown(connection, {"arrivals": _arrivals(candidates, numbered)}):
        known = {place for (place,) in rows(_KNOWN)}
    new = [one for place, one in enumerate(candidates) if place not in known]
    if len(new) < 2:
        return set()
    _Taking(connection, rows, new).take()
    return {one.at for one in new}


def _runner(connection: duckdb.DuckDBPyConnection) -> derived.Rows:
    def rows(sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        got: list[tuple[Any, ...]] = connection.execute(sql, list(values)).fetchall()
        return got

    return rows


def _candidates(found: Sequence[spool_file.Upload]) -> list[_One]:
    """Return the uploads that may be, each run once: what comes second of a run adds to it."""
    chosen: dict[tuple[str, str], _One] = {}
    for at, one in enumerate(found):
        if one.about["attempts"] >= stage.PORTION:
            continue  # it comes in several portions, of which one at a time is in memory
        portions = list(one.portions())
        if len(portions) != 1 or len(portions[0].tables["stage_measurements"]):
            continue
        if len(portions[0]) != one.about["attempts"]:
            continue  # told by who takes it alone
        upload = Upload(**one.about["upload"])
        key = (upload.project, upload.run_id)
        chosen.setdefault(key, _One(at, upload, one.about, portions[0]))
    return list(chosen.values())


def _arrivals(ones: Sequence[_One], keys: Sequence[tuple[int, int, int]]) -> Table:
    """Lay out what is known of uploads; keys are those of upload, run and variant."""
    values: list[tuple[object, ...]] = [
        (
            *key,
            one.upload.upload_id,
            one.about["digest"],
            one.about["form"],
            one.upload.producer,
            one.upload.run_attempt,
            one.upload.shard,
            one.upload.started_us,
            one.upload.ended_us,
            one.upload.complete,
            one.upload.exit_status,
            one.about["attempts"],
            one.about["now_us"],
            one.upload.commit,
            one.upload.tree_sha,
            one.upload.dirty,
            one.upload.branch,
            one.upload.pull_request,
            one.upload.ci,
            one.upload.ci_url,
            one.upload.project,
            one.upload.run_id,
        )
        for one, key in zip(ones, keys, strict=True)
    ]
    table = Table(_ARRIVALS)
    table.add(dict(zip(_ARRIVALS, zip(*values, strict=True), strict=True)))
    return table


class _Taking:
    """New uploads on their way into the store, within a transaction."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, rows: derived.Rows, ones: Sequence[_One]
    ) -> None:
        self._connection, self._rows, self._ones = connection, rows, ones
        [(upload, run, test, message)] = rows(_KEYS)
        self._tests, self._messages = test, message
        self._first, self._last = upload + 1, upload + len(ones)
        variants = self._variants()
        self._runs = range(run + 1, run + 1 + len(ones))
        self._arrivals = _arrivals(
            ones,
            [
                (upload + n, run + n, variants[variant_text(one.upload.variant)])
                for n, one in enumerate(ones, 1)
            ],
        )
        self._stage = _joined([one.stage for one in ones], self._first)

    def take(self) -> None:
        """Add all facts, and what follows from them."""
        from testlytics_collector.store.arrow import shown

        before = self._counted()
        tables = {name: table for name, table in self._stage.tables.items() if len(table)}
        with shown(self._connection, {**tables, "arrivals": self._arrivals}):
            self._rows(_ADD_RUNS)
            self._rows(_ADD_UPLOADS)
            if "stage" in tables:
                self._add_attempts()
        every = derived.FOLD_AFTER
        if self._last // every > (self._first - 1) // every:
            derived.fold(self._rows, least=every, attempts=derived.FOLD_ATTEMPTS)
        self._refresh(before)

    def _add_attempts(self) -> None:
        rows, tables = self._rows, self._stage.tables
        if len(tables["stage_why"]):
            rows(_WHY_KEYED, [self._messages])
            rows(_ADD_MESSAGES)
        rows(_KEYED)
        if rows("select 1 from keyed where test_key is null limit 1"):
            rows(_ADD_TESTS, [self._tests])
            rows(_NAME_TESTS, [self._tests])
        rows(stage.add(self._stage, upload="k.upload_key", test="k.test_key"))
        if len(tables["stage_notes"]):
            special = "stage_special" if len(tables["stage_special"]) else stage.NO_SPECIAL
            rows(_ADD_NOTES.format(special=special))
        if self._stage.bad:
            rows(_ADD_EVENTS, [self._first, self._last, self._stage.bad])

    def _variants(self) -> dict[str, int]:
        """Return the keys of the variants by their text; make those that are missing."""
        asked = sorted({variant_text(one.upload.variant) for one in self._ones})
        found = self._rows(
            "select variant, variant_key from raw.variants where variant in (select unnest($1))",
            [asked],
        )
        keys: dict[str, int] = dict(found)
        for variant in asked:
            if variant not in keys:
                [(key,)] = self._rows("select coalesce(max(variant_key), 0) + 1 from raw.variants")
                self._rows("insert into raw.variants values ($1, $2)", [key, variant])
                keys[variant] = key
        return keys

    def _counted(self) -> dict[str, int]:
        """Return how many runs the projects of these uploads have now."""
        projects = sorted({one.upload.project for one in self._ones})
        return dict.fromkeys(projects, 0) | dict(self._rows(_RUNS, [projects]))

    def _refresh(self, before: dict[str, int]) -> None:
        """Take baselines anew where a project's mark has moved."""
        last = {one.upload.project: key for one, key in zip(self._ones, self._runs, strict=True)}
        every = baselines.BASELINE_EVERY
        for project, runs in self._counted().items():
            if (runs - 1) // every > max(before[project] - 1, 0) // every:
                baselines.refresh(self._rows, last[project])


def _joined(stages: Sequence[stage.Stage], first_key: int) -> stage.Stage:
    """Put stages below each other: attempts are numbered on, and each has its upload's key."""
    kinds = {**stage.TABLES, "stage": {**stage.TABLES["stage"], "upload_key": "integer"}}
    tables = {name: Table(columns) for name, columns in kinds.items()}
    bad: list[int] = []
    base = 0
    for upload_key, one in enumerate(stages, first_key):
        at = base
        for piece in one.tables["stage"].pieces:
            numbers = column("integer", range(at + 1, at + 1 + piece.length))
            keys = Column(b"", b"", array("i", [upload_key]).tobytes() * piece.length)
            at += piece.length
            columns = {**piece.columns, "n": numbers, "upload_key": keys}
            tables["stage"].pieces.append(Piece(piece.length, columns))
        for name in ("stage_special", "stage_notes"):
            tables[name].pieces += [_moved(piece, base) for piece in one.tables[name].pieces]
        tables["stage_why"].pieces += one.tables["stage_why"].pieces
        bad += [base + n for n in one.bad]
        base = at
    return stage.Stage(tables, bad)


def _moved(piece: Piece, base: int) -> Piece:
    """Number rows on."""
    numbers = array("i", piece.columns["n"].data)
    moved = Column(b"", b"", array("i", [base + n for n in numbers]).tobytes())
    return Piece(piece.length, {**piece.columns, "n": moved})
