"""Uploads that are taken in together leave what they leave one by one, whatever they are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from testlytics_collector.records import (
    Attempt,
    Failure,
    Good,
    Measurement,
    Note,
    NoteKind,
    Outcome,
    Upload,
)
from testlytics_collector.store import baselines, derived, spool, stage, together
from testlytics_collector.store.connection import connect
from testlytics_collector.store.store import open_store

START_US = 1_780_000_000_000_000
HOUR_US = 3_600_000_000
MEASURED = Measurement("import", "time-median", "s", 0.5, Good.LOWER)

# Each query names what it finds by texts, since keys may differ.
FACTS = (
    """select r.project, r.run_id, v.variant, u.* exclude (upload_key, run_key, variant_key)
       from raw.uploads u join raw.runs r using (run_key)
       join raw.variants v using (variant_key)""",
    """select r.project, r.run_id, u.upload_id, t.project, t.test_id, a.attempt, a.outcome,
              a.duration_us, a.setup_us, a.teardown_us, a.started_us, a.worker,
              m.type, m.message, m.text, m.place
       from raw.attempts a join raw.uploads u using (upload_key) join raw.runs r using (run_key)
       join raw.tests t using (test_key) left join raw.messages m using (message_key)""",
    """select u.upload_id, t.test_id, n.attempt, n.kind, n.name, n.value
       from raw.notes n join raw.uploads u using (upload_key) join raw.tests t using (test_key)""",
    """select r.project, r.run_id, v.variant, t.test_id, e.passes, e.failures, e.skips, e.attempts,
              m.message
       from derived.events e join raw.runs r using (run_key) join raw.variants v using (variant_key)
       join raw.tests t using (test_key) left join raw.messages m using (message_key)""",
    """select t.project, t.test_id, v.variant, s.* exclude (test_key, variant_key)
       from derived.state s join raw.tests t using (test_key)
       join raw.variants v using (variant_key)""",
    "select project, test_id, count(*) from raw.tests group by all",
    "select digest, type, message, text, place, count(*) from raw.messages group by all",
    "select name, metric, value from raw.measurements join raw.measured using (measured_key)",
    "select project, count(*) from raw.runs group by all",
)

# Up to which run baselines go depends on the order of the runs' keys, and what goes together comes
# before what goes one by one. That they follow from the facts is asked in both cases.
ORDER = "select project, run_id from raw.runs order by run_key"
BASELINES = """select b.project, t.test_id, v.variant, b.samples, b.median_us, b.p95_us
               from derived.baselines b join raw.tests t using (test_key)
               join raw.variants v using (variant_key)
               order by all"""

ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c[1]", "d"]),
        st.sampled_from(list(Outcome)),
        st.none() | st.integers(0, 5_000_000),
        st.sampled_from(["", "no", "nope"]),
    ),
    max_size=6,
)

UPLOADS = st.lists(
    st.tuples(
        st.integers(0, 60),  # the run: few enough to come again
        st.sampled_from(["linux", "mac"]),
        st.sampled_from([True, False, None]),
        ATTEMPTS,
        st.integers(0, 9),  # 0: with a measurement
    ),
    max_size=70,
)


def attempts_of(drawn: list[tuple[str, Outcome, int | None, str]]) -> list[Attempt]:
    made: dict[str, int] = {}
    rows = []
    for test, outcome, us, text in drawn:
        made[test] = made.get(test, 0) + 1
        why = Failure("E", text, None, None) if text else None
        notes = (Note(NoteKind.TAG, test, text),) if us is None else ()
        rows.append(
            Attempt(test, made[test], outcome, us, us, None, None, text or None, why, notes)
        )
    return rows


def spooled(store: Path, drawn: list[Any]) -> None:
    for number, (run, variant, complete, attempts, measured) in enumerate(drawn):
        upload = Upload(
            f"u{number}",
            f"run-{run}",
            project=f"p{run % 2}",
            started_us=START_US + run * HOUR_US,
            complete=complete,
            variant={"os": variant},
            commit=f"c{run % 7}",
            dirty=None if run % 3 else False,
        )
        with spool.spooling(store, None) as one:
            one.write(attempts_of(attempts))
            if not measured:
                one.measure([MEASURED])
            one.hand_in(upload, digest=f"d{number}", form="junit", path="x", now_us=START_US)


class Left(NamedTuple):
    """What lies in a store: rows of each of FACTS, of ORDER and of BASELINES."""

    facts: list[list[tuple[object, ...]]]
    order: list[tuple[object, ...]]
    baselines: list[tuple[object, ...]]


def left(store: Path) -> Left:
    with duckdb.connect(str(store), read_only=True) as connection:
        facts = [
            sorted(connection.execute(sql).fetchall(), key=lambda row: list(map(repr, row)))
            for sql in FACTS
        ]
        order = connection.execute(ORDER).fetchall()
        return Left(facts, order, connection.execute(BASELINES).fetchall())


def taken(store: Path, drawn: list[Any], size: int) -> Left:
    """Take uploads in, so many at a time; return what lies in the store."""
    spooled(store, drawn)
    with connect(store, write=True, wait_s=0) as connection:
        waiting = spool.entries(store)
        for start in range(0, len(waiting), size):
            spool.take(connection, store, waiting[start : start + size], {})
    assert spool.entries(store) == []
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=False) == {}
    return left(store)


OTHER_ORDER = [
    (2, "linux", True, [], 0),
    (6, "linux", True, [], 0),
    (4, "linux", True, [("a", Outcome.PASSED, None, "")], 1),
    (0, "linux", True, [], 0),
    (0, "linux", True, [("a", Outcome.PASSED, 0, "")], 1),
]
"""Runs 4 and 0 go together, 2 and 6 come after them."""


@settings(max_examples=15, deadline=None)
@example(OTHER_ORDER, 7, 12, 0)
@given(
    UPLOADS,
    st.sampled_from([2, 7, 64]),
    st.sampled_from([12, stage.PORTION]),
    st.sampled_from([0, derived.FOLD_ATTEMPTS]),
)
def test_together_is_as_one_by_one(
    drawn: list[Any], size: int, portion: int, attempts: int
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(stage, "PORTION", portion),
        patch.object(baselines, "BASELINE_EVERY", 3),
        patch.object(derived, "FOLD_ATTEMPTS", attempts),
    ):
        together_ = taken(Path(folder) / "a.duckdb", drawn, size)
        alone = taken(Path(folder) / "b.duckdb", drawn, 1)
        assert together_.facts == alone.facts
        assert sorted(together_.order, key=repr) == sorted(alone.order, key=repr)
        if together_.order == alone.order:
            assert together_.baselines == alone.baselines


def test_most_new_runs_are_taken_together() -> None:
    """Else the test above would compare a thing with itself."""
    many = [(n, "linux", True, [("a", Outcome.FAILED, 5, "no")], 1) for n in range(40)]
    found: list[set[int]] = []
    real = together.take

    def watched(connection: Any, uploads: Any) -> set[int]:  # noqa: ANN401 - handed on
        found.append(real(connection, uploads))
        return found[-1]

    with tempfile.TemporaryDirectory() as folder, patch.object(together, "take", watched):
        taken(Path(folder) / "a.duckdb", [*many, many[3], (90, "mac", True, [], 0)], 64)
    assert found == [set(range(40))]
