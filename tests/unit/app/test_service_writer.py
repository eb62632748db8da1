"""The writer: what fails reaches its own client, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from testlytics.service.figures import Figures
from testlytics.service.writer import Writer, opener
from testlytics_collector import ingest
from testlytics_collector.errors import StoreError
from testlytics_collector.formats.interface import Limits, Origin
from testlytics_collector.store import shared, spool
from testlytics_collector.store.reader import Window
from testlytics_collector.store.shared import Shared
from testlytics_collector.store.store import open_store
from tests.factories import attempt, run_file

WAIT_S = 60.0


class Faulty:
    """The real store, but for what a test wants to fail."""

    def __init__(self, held: Shared, fault: Callable[[Sequence[Path]], None]) -> None:
        self._held, self._fault, self.sound = held, fault, True
        self.calls: list[int] = []

    def take_in(self, entries: Sequence[Path], answers: dict[Path, spool.Answer]) -> None:
        self.calls.append(len(entries))
        self._fault(entries)
        self._held.take_in(entries, answers)

    def is_sound(self) -> bool:
        return self.sound


class Halting(Faulty):
    """Fails in the middle of several: the first is committed by then."""

    def take_in(self, entries: Sequence[Path], answers: dict[Path, spool.Answer]) -> None:
        if len(entries) > 1:
            self._held.take_in(entries[:1], answers)
            raise StoreError("no")
        super().take_in(entries, answers)


def upload(store: Path, number: int) -> spool.Ticket:
    """Put a run into the spool, as the service does once it has read the body."""
    path, limits = run_file(store.parent / f"{number}.jsonl", [attempt()], number), Limits()
    with (
        ingest.opened(str(path), limits) as (stream, digest, form, read),
        spool.spooling(store, None) as spooled,
    ):
        told = read(stream, spooled, Origin(digest, path.name), limits).upload
        return spooled.hand_in(told, digest=digest, form=form, path=path.name, now_us=1)


def runs(store: Path) -> set[str]:
    with open_store(store) as opened, opened.lists(Window()) as lists:
        return {row["run_id"] for row in lists.runs(None).rows}


@contextlib.contextmanager
def writing(
    store: Path, fault: Callable[[Sequence[Path]], None], kind: type[Faulty] = Faulty
) -> Iterator[tuple[Writer, list[Faulty]]]:
    opened: list[Faulty] = []

    @contextlib.contextmanager
    def open_() -> Iterator[Faulty]:
        with shared.sharing(store, wait_s=10, read_s=60) as held:
            opened.append(kind(held, fault))
            yield opened[-1]

    writer = Writer(store, Figures(lambda: 0), open_)
    writer.start()
    try:
        yield writer, opened
    finally:
        writer.stop()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "h.duckdb"
    with open_store(path, write=True):
        pass
    return path


def test_several_uploads_are_one_transaction(store: Path) -> None:
    tickets = [upload(store, number) for number in range(5)]
    with writing(store, lambda _: None) as (writer, opened):
        answers = [writer.submit(ticket) for ticket in tickets]
        assert [one.result(WAIT_S).status for one in answers] == ["stored"] * 5
        assert opened[0].calls == [5]
    assert runs(store) == {f"run-{number}" for number in range(5)}


@pytest.mark.parametrize("kind", [StoreError, RuntimeError])
def test_an_upload_that_fails_costs_only_its_own_client(store: Path, kind: type[Exception]) -> None:
    tickets = [upload(store, number) for number in range(5)]
    bad = tickets[2].entry

    def fault(entries: Sequence[Path]) -> None:
        if bad in entries:
            raise kind("no")

    with writing(store, fault) as (writer, _):
        answers = [writer.submit(ticket) for ticket in tickets]
        with pytest.raises(kind, match="no"):
            answers[2].result(WAIT_S)
        good = [one.result(WAIT_S).status for n, one in enumerate(answers) if n != 2]
        assert good == ["stored"] * 4
        assert writer.is_ready
        # It works on, also for the one that failed.
        assert writer.submit(upload(store, 7)).result(WAIT_S).status == "stored"
    assert runs(store) == {"run-0", "run-1", "run-3", "run-4", "run-7"}
    assert list(spool.folder(store).iterdir()) == []


def test_what_was_committed_before_an_error_is_told_as_stored(store: Path) -> None:
    tickets = [upload(store, number) for number in range(3)]
    tickets[0].leave()  # as the service leaves its uploads: no file for the answer
    with writing(store, lambda _: None, Halting) as (writer, _):
        answers = [writer.submit(ticket) for ticket in tickets]
        assert [one.result(WAIT_S).status for one in answers] == ["stored"] * 3
    assert runs(store) == {"run-0", "run-1", "run-2"}


def test_an_upload_that_is_taken_in_before_it_is_asked_for_is_answered(store: Path) -> None:
    first = upload(store, 1)
    first.leave()
    with writing(store, lambda _: None) as (writer, _):
        assert writer.submit(upload(store, 2)).result(WAIT_S).status == "stored"
        assert not first.entry.exists()
        assert writer.submit(first).result(WAIT_S).status == "stored"


def test_a_store_that_broke_is_opened_anew(store: Path) -> None:
    broken = threading.Event()

    def fault(entries: Sequence[Path]) -> None:
        if not broken.is_set():
            broken.set()
            opened[0].sound = False
            raise StoreError("the disk is full", slug="store-disk-full")

    with writing(store, fault) as (writer, opened):
        with pytest.raises(StoreError, match="full"):
            writer.submit(upload(store, 1)).result(WAIT_S)
        assert writer.submit(upload(store, 2)).result(WAIT_S).status == "stored"
        assert len(opened) == 2
    assert runs(store) == {"run-2"}


def test_what_waits_at_the_end_is_taken_in(store: Path) -> None:
    with writing(store, lambda _: None) as (writer, _):
        answers = [writer.submit(upload(store, number)) for number in range(10)]
    assert [one.result(0).status for one in answers] == ["stored"] * 10


def test_what_nobody_of_the_service_brought_is_taken_in_too(store: Path) -> None:
    ticket = upload(store, 1)
    with writing(store, lambda _: None) as (writer, _):
        assert writer.submit(upload(store, 2)).result(WAIT_S).status == "stored"
    answer = ticket.answer()
    assert answer is not None
    assert answer.status == "stored"


def test_what_cannot_be_taken_in_and_has_no_client_holds_up_nobody(store: Path) -> None:
    stuck = upload(store, 1).entry

    def fault(entries: Sequence[Path]) -> None:
        if stuck in entries:
            raise StoreError("no")

    with writing(store, fault) as (writer, _):
        for number in (2, 3):
            assert writer.submit(upload(store, number)).result(WAIT_S).status == "stored"
        # Nobody was told that it failed: it is kept.
        assert stuck.exists()


def test_an_upload_that_vanished_is_told(store: Path) -> None:
    ticket = upload(store, 1)
    ticket.entry.unlink()
    with (
        writing(store, lambda _: None) as (writer, _),
        pytest.raises(StoreError, match="gone"),
    ):
        writer.submit(ticket).result(WAIT_S)


def test_after_the_end_nobody_waits(store: Path) -> None:
    with writing(store, lambda _: None) as (writer, _):
        pass
    with pytest.raises(StoreError, match="stopped"):
        writer.submit(upload(store, 1)).result(WAIT_S)


def test_a_store_that_cannot_be_opened_is_told_by_start(tmp_path: Path) -> None:
    path = tmp_path / "h.duckdb"
    path.write_text("no database")
    writer = Writer(path, Figures(lambda: 0), opener(path, wait_s=0, read_s=1))
    with pytest.raises(StoreError, match="not a testlytics store"):
        writer.start()
    assert not writer.is_ready
