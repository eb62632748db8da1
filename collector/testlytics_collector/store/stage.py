"""What is read of an upload and not in the facts yet, and the way from there to the facts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from operator import itemgetter

from testlytics_collector.records import Attempt, Failure, Measurement, Outcome
from testlytics_collector.store.columns import Table
from testlytics_collector.store.outcomes import BAD_OUTCOMES

PORTION = 120_000
"""How many attempts are moved to the facts at once: about a row group of DuckDB."""

DENSE = {
    "duration_us": ("bigint", 3),
    "setup_us": ("bigint", 4),
    "teardown_us": ("bigint", 5),
    "started_us": ("bigint", 6),
    "worker": ("varchar", 7),
}
"""Columns of the stage beside the test id: type, and place in an attempt."""

TABLES = {
    "stage": {
        "n": "integer",
        "test_id": "varchar",
        **{name: kind for name, (kind, _) in DENSE.items()},
    },
    "stage_special": {
        "n": "integer",
        "attempt": "integer",
        "outcome": "varchar",
        "digest": "varchar",
    },
    "stage_notes": {"n": "integer", "kind": "varchar", "name": "varchar", "value": "varchar"},
    "stage_why": dict.fromkeys(("type", "message", "text", "place", "digest"), "varchar"),
    "stage_measurements": {
        **dict.fromkeys(("name", "metric", "unit", "good"), "varchar"),
        "value": "double",
    },
}
"""Columns by table. Most attempts passed at the first try: only of the others, by their number in
the stage, attempt, outcome and failure are written down."""


class Stage:
    """A portion of the attempts of an upload, as columns.

    Args:
        tables: What it holds; nothing where this is left out.
        bad: See below.

    Attributes:
        tables: The rows by table; those beside `stage` are complete after `close`.
        bad: Numbers of the attempts that failed.
    """

    def __init__(self, tables: dict[str, Table] | None = None, bad: Sequence[int] = ()) -> None:
        self.tables = tables or {name: Table(kinds) for name, kinds in TABLES.items()}
        self.bad = list(bad)
        self._special: list[tuple[object, ...]] = []
        self._notes: list[tuple[object, ...]] = []
        self._digests: dict[Failure, str] = {}

    def __len__(self) -> int:
        """Return how many attempts it holds."""
        return len(self.tables["stage"])

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Take the next attempts, in document order."""
        first = len(self) + 1
        columns: dict[str, list[object]] = {
            "n": list(range(first, first + len(attempts))),
            "test_id": [row[0] for row in attempts],
        }
        for name, (_, at) in DENSE.items():
            column = list(map(itemgetter(at), attempts))
            if column.count(None) < len(attempts):
                columns[name] = column
        self.tables["stage"].add(columns)
        passed = Outcome.PASSED
        special = [
            (n, row)
            for n, row in enumerate(attempts, first)
            if row[2] is not passed or row[1] != 1 or row[8]
        ]
        self.bad += [n for n, row in special if row[2] in BAD_OUTCOMES]
        self._special += [(n, row[1], row[2], row[8] and self._name(row[8])) for n, row in special]
        self._notes += [
            (n, kind, name, value)
            for n, row in enumerate(attempts, first)
            if row[9]
            for kind, name, value in row[9]
        ]

    def measure(self, measurements: Sequence[Measurement]) -> None:
        """Take the next measurements, in document order; at least one."""
        names, metrics, units, values, goods = zip(*measurements, strict=True)
        self.tables["stage_measurements"].add(
            {"name": names, "metric": metrics, "unit": units, "good": goods, "value": values}
        )

    def is_empty(self) -> bool:
        """Tell whether it holds neither attempts nor measurements."""
        return not (len(self) or len(self.tables["stage_measurements"]))

    def _name(self, why: Failure) -> str:
        """Name a failure by its content; equal ones are stored once."""
        digest = self._digests.get(why)
        if digest is None:
            digest = hashlib.blake2b(repr(tuple(why)).encode(), digest_size=16).hexdigest()
            self._digests[why] = digest
        return digest

    def close(self) -> None:
        """Complete the tables, after the last `add`."""
        gathered: dict[str, list[tuple[object, ...]]] = {
            "special": self._special,
            "notes": self._notes,
            "why": [(*why, digest) for why, digest in self._digests.items()],
        }
        for name, rows in gathered.items():
            if rows:
                table = self.tables[f"stage_{name}"]
                table.add(dict(zip(table.kinds, zip(*rows, strict=True), strict=True)))
        self._special, self._notes, self._digests = [], [], {}


class Gathering:
    """A sink that hands on what it is given in portions, so that all sizes take the same memory.

    Args:
        project: The project that the caller states, or None.
    """

    def __init__(self, project: str | None) -> None:
        self._stated = project
        self._project = project or "default"
        self._stage = Stage()
        self.attempts = 0

    def begin(self, project: str) -> None:
        """Say which project the input names; what the caller states wins."""
        self._project = self._stated or project

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Take the next attempts of the input, in document order."""
        if not attempts:
            return
        self._stage.add(attempts)
        self.attempts += len(attempts)
        if len(self._stage) >= PORTION:
            self._settle()

    def measure(self, measurements: Sequence[Measurement]) -> None:
        """Take the next measurements of the input, in document order."""
        for start in range(0, len(measurements), PORTION):
            self._stage.measure(measurements[start : start + PORTION])
            self._settle()

    def _settle(self) -> None:
        """Hand on what was gathered."""
        full, self._stage = self._stage, Stage()
        if not full.is_empty():
            full.close()
            self._move(full)

    def _move(self, stage: Stage) -> None:
        raise NotImplementedError


KEYED = """
create or replace temp table keyed as
select s.* exclude (test_id), t.test_key,
       case when t.test_key is null then s.test_id end as test_id
from stage s
left join raw.tests t on t.project = $1 and t.test_id = s.test_id
"""

# The digests of all messages are looked through once, here, and first for those that are known.
WHY_KEYED = """
create or replace temp table why_keyed as
with known as (
    select m.digest, m.message_key from raw.messages m semi join stage_why w using (digest)
)
select w.digest, k.message_key is null as is_new,
       coalesce(k.message_key, $1 + row_number() over ()) as message_key
from stage_why w left join known k using (digest)
"""

ADD_MESSAGES = """
insert into raw.messages
select k.message_key, w.digest, w.type, w.message, w.text, w.place
from why_keyed k join stage_why w using (digest) where k.is_new order by 1
"""

ADD_NOTES = """
insert into raw.notes
select $1, coalesce(k.test_key, $2 + k.n), coalesce(s.attempt, 1), x.kind, x.name, x.value
from stage_notes x
join keyed k using (n)
left join {special} s using (n)
order by 2, 3
"""

NO_SPECIAL = "(select null::integer as n, null::integer as attempt)"
"""Stands for `stage_special` where it has no rows."""


def add(stage: Stage, *, upload: str = "$1", test: str = "coalesce(k.test_key, $2 + k.n)") -> str:
    """Return the statement that moves attempts to the facts: upload key, base of new keys.

    Args:
        stage: What is shown as `stage`, and in `keyed`.
        upload: What the upload's key is.
        test: What the test's key is.
    """
    there = stage.tables["stage"].names
    dense = ", ".join(f"k.{name}" if name in there else "null" for name in DENSE)
    if len(stage.tables["stage_why"]):
        why, named = "m.message_key", "left join why_keyed m on m.digest = x.digest"
    else:
        why, named = "null::integer", ""
    if len(stage.tables["stage_special"]):
        # The few texts become members of the enum before the join, not every row's after it.
        told = "coalesce(s.attempt, 1), coalesce(s.outcome, 'passed'), " + dense + ", s.why"
        join = f"""left join (
            select x.n, x.attempt, x.outcome::raw.outcome as outcome, {why} as why
            from stage_special x {named}
        ) s using (n)"""  # noqa: S608 - constants
    else:
        told, join = f"1, 'passed', {dense}, null", ""
    return f"""insert into raw.attempts
        select {upload}, {test}, {told}
        from keyed k {join}
        order by 1, 2, 3"""  # noqa: S608 - constants
