"""What is kept step by step is what the facts say, whatever came in and in which order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from testlytics_collector.records import Attempt, Failure, Note, NoteKind, Outcome, Upload
from testlytics_collector.store import baselines, derived
from testlytics_collector.store.retention import Policy
from testlytics_collector.store.store import open_store

START_US = 1_780_000_000_000_000
DAY_US = 86_400_000_000
WHY = Failure("E", "no", None, None)

ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from(list(Outcome)),
        st.none() | st.integers(0, 5_000_000),
    ),
    max_size=8,
)


def attempts_of(drawn: list[tuple[str, Outcome, int | None]]) -> list[Attempt]:
    made: dict[str, int] = {}
    rows = []
    for test, outcome, us in drawn:
        made[test] = made.get(test, 0) + 1
        why = WHY if outcome in {Outcome.FAILED, Outcome.CRASHED} else None
        notes = (Note(NoteKind.TAG, test, ""),) if us is None else ()
        rows.append(Attempt(test, made[test], outcome, us, failure=why, notes=notes))
    return rows


class StoppedError(Exception):
    """Something went wrong in the middle of an ingest."""


class Ingests(RuleBasedStateMachine):
    """Any sequence of ingests into one store."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = self.folder / "h.duckdb"
        self.uploads = 0
        self.unfinished: list[tuple[Upload, list[Attempt]]] = []

    def take_in(self, upload: Upload, rows: list[Attempt], *, stop: bool = False) -> None:
        with open_store(self.store, write=True) as store, store.intake() as intake:
            intake.begin(upload.project)
            for start in range(0, len(rows), 3):
                intake.write(rows[start : start + 3])
            if stop:
                raise StoppedError
            store.keep(intake, upload, digest=upload.upload_id, form="junit", now_us=START_US)

    def upload(self, run: int, day: int, variant: str, *, complete: bool | None) -> Upload:
        self.uploads += 1
        return Upload(
            f"u{self.uploads}",
            f"run-{run}",
            project=f"p{run % 2}",
            started_us=START_US + day * DAY_US,
            complete=complete,
            run_attempt=1 + self.uploads % 2,
            variant={"os": variant},
        )

    @rule(
        run=st.integers(0, 9),
        day=st.integers(0, 90),
        variant=st.sampled_from(["linux", "mac"]),
        complete=st.sampled_from([True, None]),
        drawn=ATTEMPTS,
    )
    def ingest(
        self, run: int, day: int, variant: str, complete: bool | None, drawn: list[Any]
    ) -> None:
        self.take_in(self.upload(run, day, variant, complete=complete), attempts_of(drawn))

    @rule(run=st.integers(0, 9), day=st.integers(0, 90), drawn=ATTEMPTS)
    def ingest_unfinished(self, run: int, day: int, drawn: list[Any]) -> None:
        upload, rows = self.upload(run, day, "linux", complete=False), attempts_of(drawn)
        self.take_in(upload, rows)
        self.unfinished.append((upload, rows))

    @rule(more=ATTEMPTS)
    def finish_one(self, more: list[Any]) -> None:
        if self.unfinished:
            upload, rows = self.unfinished.pop()
            longer = [
                *rows,
                *(row._replace(test_id="z" + row.test_id) for row in attempts_of(more)),
            ]
            self.take_in(upload, longer)

    @rule(run=st.integers(0, 9), drawn=ATTEMPTS)
    def stop_in_the_middle(self, run: int, drawn: list[Any]) -> None:
        with pytest.raises(StoppedError):
            self.take_in(self.upload(run, 0, "linux", complete=True), attempts_of(drawn), stop=True)

    @rule(keep=st.integers(1, 6), project=st.sampled_from([None, "p0", "p1"]))
    def prune(self, keep: int, project: str | None) -> None:
        if not self.store.exists():
            return
        before = self.state()
        with open_store(self.store, write=True) as store:
            removed = store.prune(Policy(keep_runs=keep, project=project), now_us=START_US)
            left = store.facts()["runs"]
        assert self.state() == before
        kept = (
            "select count(*) from raw.runs where project = coalesce($1, project) group by project"
        )
        assert all(runs <= keep for (runs,) in self.rows(kept, [project]))
        assert [(left,)] == self.rows("select count(distinct run_key) from raw.uploads")
        assert (
            not self.rows(
                """from raw.messages where message_key not in
               (select message_key from raw.attempts where message_key is not null)"""
            )
            or not removed.runs
        )

    @rule()
    def ingest_pruned_again(self) -> None:
        if not self.store.exists():
            return
        before = self.state()
        for project, run_id, upload_id, run_attempt in self.rows(
            "select project, run_id, upload_id, run_attempt from raw.pruned"
        ):
            upload = Upload(upload_id, run_id, project=project, run_attempt=run_attempt)
            self.take_in(upload, attempts_of([("a", Outcome.FAILED, 1)]))
        assert self.state() == before

    def state(self) -> list[tuple[Any, ...]]:
        return self.rows("from derived.state order by all")

    def rows(self, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.store), read_only=True) as connection:
            return connection.execute(sql, values or []).fetchall()

    @invariant()
    def no_row_is_left_of_what_is_gone(self) -> None:
        if not self.store.exists():
            return
        for table in ("attempts", "notes"):
            assert not self.rows(
                f"from raw.{table} where upload_key not in (select upload_key from raw.uploads)"
            )
        assert not self.rows(
            "from derived.events where run_key not in (select run_key from raw.runs)"
        )

    @invariant()
    def events_are_the_verdicts_with_failures(self) -> None:
        if not self.store.exists():
            return
        with duckdb.connect(str(self.store), read_only=True) as connection:
            kept = connection.execute(
                """select r.project, r.run_id, v.variant, t.test_id, e.passes, e.failures,
                          e.skips, e.attempts
                   from derived.events e join raw.runs r using (run_key)
                   join raw.variants v using (variant_key) join raw.tests t using (test_key)
                   order by all"""
            ).fetchall()
            told = connection.execute(
                """select project, run_id, variant, test_id, passes, failures, skips, attempts
                   from verdicts where failures > 0 order by all"""
            ).fetchall()
            sums = connection.execute(
                """select t.project, t.test_id, v.variant, sum(s.seen)::integer,
                          sum(s.passed)::integer, sum(s.failed)::integer, sum(s.flaky)::integer,
                          sum(s.skipped)::integer
                   from derived.state s join raw.variants v using (variant_key)
                   join raw.tests t using (test_key)
                   group by all order by all"""
            ).fetchall()
            counted = connection.execute(
                """select project, test_id, variant, sum(n)::integer,
                          coalesce(sum(p), 0)::integer, coalesce(sum(f), 0)::integer,
                          coalesce(sum(l), 0)::integer, coalesce(sum(s), 0)::integer
                   from (
                       select project, test_id, variant, 1 as n, verdict = 'passed' as p,
                              verdict = 'failed' as f, verdict = 'flaky' as l,
                              verdict = 'skipped' as s
                       from verdicts
                       union all
                       select t.project, t.test_id, v.variant, r.seen, r.passed, r.failed,
                              r.flaky, r.skipped
                       from raw.rollups r join raw.variants v using (variant_key)
                       join raw.tests t using (test_key)
                   )
                   group by all order by all"""
            ).fetchall()
        assert kept == told
        assert sums == counted

    def teardown(self) -> None:
        if self.store.exists():
            with open_store(self.store, write=True) as store:
                assert store.differences(mend=True) == {}
                assert store.differences(mend=True) == {}
        shutil.rmtree(self.folder)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds come into play in a few steps."""
    monkeypatch.setattr(derived, "FOLD_AFTER", 3)
    monkeypatch.setattr(baselines, "BASELINE_EVERY", 2)
    monkeypatch.setattr(baselines, "BASELINE_RUNS", 3)


@pytest.mark.usefixtures("often")
def test_kept_step_by_step_equals_rebuilt() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Ingests, settings=settings(max_examples=8, stateful_step_count=10, deadline=None)
    )


def test_a_difference_is_found(tmp_path: Path) -> None:
    store = tmp_path / "h.duckdb"
    with open_store(store, write=True) as opened, opened.intake() as intake:
        intake.write([Attempt("t", 1, Outcome.FAILED, 5)])
        opened.keep(intake, Upload("u", "r"), digest="d", form="junit", now_us=START_US)
    with duckdb.connect(str(store)) as connection:
        connection.execute("update derived.events set failures = 7").fetchall()
    with open_store(store, write=True) as opened:
        assert opened.differences(mend=True) == {"events": 2}
        assert opened.differences(mend=True) == {}
