"""Merging is a union: idempotent, commutative, associative, whichever copies the stores have."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import Phase, given, settings
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
from testlytics_collector.store import archive, baselines, derived
from testlytics_collector.store.merge import merge
from testlytics_collector.store.reader import Window
from testlytics_collector.store.store import open_store

START_US = 1_780_000_000_000_000
DAY_US = 86_400_000_000
VIEWS = ("runs", "tests", "attempts", "verdicts", "failures", "notes", "measurements")

ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        st.sampled_from(["a", "b.py::t[1]", "c"]),
        st.just(1),
        st.sampled_from(list(Outcome)),
        st.none() | st.integers(0, 10**9),
        st.sampled_from([None, 5]),
        st.none(),
        st.none() | st.just(START_US),
        worker=st.sampled_from([None, "gw0"]),
        failure=st.sampled_from([None, Failure("E", "no", None, "f:1"), Failure(*[None] * 4)]),
        notes=st.sampled_from([(), (Note(NoteKind.TAG, "slow", ""), Note(NoteKind.TAG, "a", ""))]),
    ),
    max_size=3,
    unique_by=lambda attempt: attempt.test_id,
)
MEASUREMENTS = st.lists(
    st.builds(
        Measurement,
        st.sampled_from(["bench", "GET /é", "a"]),
        st.sampled_from(["time-median", "throughput"]),
        st.sampled_from(["s", "1/s"]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(list(Good)),
    ),
    max_size=3,
)
# Few names, so that copies of one upload meet which differ in one thing or in several.
COPIES = st.tuples(
    st.builds(
        Upload,
        st.sampled_from(["u", "v"]),
        st.sampled_from(["r", "s"]),
        started_us=st.none() | st.integers(0, 60).map(lambda day: START_US + day * DAY_US),
        complete=st.sampled_from([True, False, None]),
        run_attempt=st.integers(1, 2),
        variant=st.sampled_from([{}, {"os": "a,b=%2C"}]),
        commit=st.sampled_from([None, "c"]),
        branch=st.sampled_from([None, "main"]),
    ),
    ATTEMPTS,
    st.sampled_from(["d", "e"]),
    st.integers(0, 60).map(lambda day: START_US + day * DAY_US),
    MEASUREMENTS,
)
STORES = st.lists(st.lists(COPIES, max_size=5), min_size=2, max_size=3)

# Making a counterexample small takes minutes: each try makes a dozen stores.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

Copy = tuple[Upload, list[Attempt], str, int, list[Measurement]]


@contextlib.contextmanager
def quiet(_: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def store_of(path: Path, copies: list[Copy]) -> Path:
    with open_store(path, write=True) as store:
        for upload, attempts, digest, now_us, measurements in copies:
            with store.intake() as intake:
                intake.write(attempts)
                intake.measure(measurements)
                store.keep(intake, upload, digest=digest, form="junit", now_us=now_us)
            if upload.commit:
                store.note_order(upload.commit, now_us)
    return path


def merged(path: Path, *sources: Path) -> Path:
    with open_store(path, write=True) as store:
        for result in merge([str(one) for one in sources], store):
            assert (result.refused, result.source) == ([], result.source)
        assert store.differences(mend=False) == {}
    return path


def answers(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            view: sorted(connection.execute(f"from {view}").fetchall(), key=repr) for view in VIEWS
        }


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds come into play in a few steps."""
    monkeypatch.setattr(derived, "FOLD_AFTER", 2)
    monkeypatch.setattr(baselines, "BASELINE_EVERY", 1)
    monkeypatch.setattr(baselines, "BASELINE_RUNS", 1)


@pytest.mark.usefixtures("often")
@pytest.mark.timeout(300)
def test_merging_is_a_union() -> None:
    @settings(max_examples=4, deadline=None, phases=PHASES)
    @given(STORES)
    def check(drawn: list[list[Copy]]) -> None:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            stores = [store_of(folder / f"{n}.db", copies) for n, copies in enumerate(drawn)]
            orders = [stores, stores[::-1], [*stores[1:], stores[0]]]
            first, *others = [
                answers(merged(folder / f"order-{n}.db", *order)) for n, order in enumerate(orders)
            ]
            assert all(other == first for other in others), "commutative"
            last = merged(folder / "last.db", *stores[1:])
            assert answers(merged(folder / "nested.db", stores[0], last)) == first, "associative"
            again = merged(folder / "order-0.db", *stores, folder / "nested.db")
            assert answers(again) == first, "idempotent"

    check()


@pytest.mark.usefixtures("often")
@pytest.mark.timeout(300)
def test_a_store_made_from_its_archive_is_equal() -> None:
    @settings(max_examples=4, deadline=None, phases=PHASES)
    @given(STORES)
    def check(drawn: list[list[Copy]]) -> None:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            target = archive.Folder(folder / "archive")
            for number, copies in enumerate(drawn):
                path = store_of(folder / f"{number}.db", copies)
                if not copies:
                    continue
                alone = folder / f"archive-{number}"
                with open_store(path) as store:
                    archive.export(store, Window(), target, quiet)
                    archive.export(store, Window(), archive.Folder(alone), quiet)
                    names = set(store.run_files(Window()))
                if number == 0:
                    rebuilt = merged(folder / f"rebuilt-{number}.db", alone)
                    assert answers(rebuilt) == answers(path)
                    with open_store(rebuilt) as store:
                        assert set(store.run_files(Window())) == names
            stores = [folder / f"{number}.db" for number in range(len(drawn))]
            if any(drawn):
                one = answers(merged(folder / "one.db", folder / "archive"))
                assert one == answers(merged(folder / "other.db", *stores))

    check()
