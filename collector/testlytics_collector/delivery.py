"""Ingest for many at once: straight into the store where it is free, else by way of its spool."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from testlytics_collector import ingest as intake
from testlytics_collector.errors import InputError, StoreLockedError
from testlytics_collector.formats.interface import Limits, Origin
from testlytics_collector.ingest import FileResult, Stated, Status
from testlytics_collector.records import Problem
from testlytics_collector.store import spool
from testlytics_collector.store.lock import pauses, writer_at_work
from testlytics_collector.store.store import Store, open_store

PATIENCE_S = 0.2
"""How long a writer waits for its answer where another one at work takes its uploads over."""

_FULL = 64
"""How many uploads may wait before those who bring more have to wait as well."""


class _Waiting(NamedTuple):
    at: int
    ticket: spool.Ticket
    result: FileResult


class Delivery:
    """One call's inputs on their way into a store.

    Args:
        path: The store's file; made where it is missing.
        stated: What the caller says of all inputs.
        limits: Bounds on what is kept of one input.
        wait_s: How long to wait for others who use the store, in seconds.
        on_file: Called with each answer as soon as it is there.
        on_stored: Called with the open store after inputs went into it.
    """

    def __init__(
        self,
        path: Path,
        *,
        stated: Stated,
        limits: Limits,
        wait_s: float,
        on_file: Callable[[FileResult], None],
        on_stored: Callable[[Store], None],
    ) -> None:
        self._path, self._stated, self._limits = path, stated, limits
        self._wait_s, self._on_file, self._on_stored = wait_s, on_file, on_stored
        self._left: list[tuple[int, str]] = []
        self._waiting: list[_Waiting] = []
        self._results: dict[int, FileResult] = {}

    def bring(self, paths: Iterable[str]) -> list[FileResult]:
        """Read each input and keep it, or leave it in the spool.

        Returns:
            One answer for each input, in the same order.

        Raises:
            StoreError: The store failed. Inputs whose answer was given before are stored.
        """
        self._left = list(enumerate(paths))
        try:
            while self._left and not self._straight():
                at, path = self._left.pop(0)
                self._aside(at, path)
            if self._waiting:
                self._await()
        finally:
            for one in self._waiting:
                one.ticket.leave()
        for one in self._waiting:
            self._answer(one.at, one.result)
        return [self._results[at] for at in sorted(self._results)]

    def _straight(self) -> bool:
        """Put what is left into the store, where nobody else has it."""
        try:
            with open_store(self._path, write=True, wait_s=0) as store:
                while self._left:
                    at, path = self._left[0]
                    [result] = intake.ingest(
                        [path], store, stated=self._stated, limits=self._limits
                    )
                    self._left.pop(0)
                    self._answer(at, result)
                store.take_in_spool()
                self._on_stored(store)
        except StoreLockedError:
            return False
        return True

    def _aside(self, at: int, path: str) -> None:
        """Read an input while others hold the store, and leave it in the spool."""
        form: str | None = None
        try:
            with (
                intake.opened(path, self._limits) as (stream, digest, form, read),
                spool.spooling(self._path, self._stated.project) as spooled,
            ):
                reading = read(stream, spooled, Origin(digest, path), self._limits)
                spooled.measure(reading.measurements)
                upload = self._stated.apply(reading.upload)
                now_us = time.time_ns() // 1000
                ticket = spooled.hand_in(upload, digest=digest, form=form, path=path, now_us=now_us)
            result = FileResult(
                path, form, Status.SPOOLED, upload.run_id, reading.counts, reading.problems
            )
            self._waiting.append(_Waiting(at, ticket, result))
        except InputError as error:
            reason = Problem(str(error), error.line, error.column)
            self._answer(at, FileResult(path, form, Status.REFUSED, problems=(reason,)))
        except (OSError, EOFError, zlib.error) as error:
            reason = Problem(f"Cannot be read: {intake.reason(error)}")
            self._answer(at, FileResult(path, form, Status.REFUSED, problems=(reason,)))

    def _await(self) -> None:
        """Wait until all is stored, by the one who holds the store or by this process."""
        began = time.monotonic()
        for _ in pauses(self._wait_s, longest_s=PATIENCE_S / 4):
            if self._collect():
                return
            try:
                with open_store(self._path, write=True, wait_s=0) as store:
                    store.take_in_spool()
                    self._on_stored(store)
            except StoreLockedError:
                is_long = time.monotonic() - began >= PATIENCE_S
                if is_long and writer_at_work(self._path) and not self._is_full():
                    return
            else:
                self._collect()
                return

    def _is_full(self) -> bool:
        return len(spool.entries(self._path)) > _FULL

    def _collect(self) -> bool:
        """Fetch the answers that are there, and tell whether none is left."""
        still = []
        for one in self._waiting:
            answer = one.ticket.answer()
            if answer is None:
                still.append(one)
                continue
            one.ticket.leave()
            stored = answer.status == Status.STORED
            result = replace(
                one.result,
                status=Status(answer.status),
                counts=one.result.counts if stored else None,
                problems=(*(one.result.problems if stored else ()), *answer.problems),
            )
            self._answer(one.at, result)
        self._waiting = still
        return not still

    def _answer(self, at: int, result: FileResult) -> None:
        if result.status is Status.SPOOLED:
            note = Problem(
                f"Waits in {spool.folder(self._path)}, safe, for the store to be free; the process "
                "that holds it takes it in, or the next command that can."
            )
            result = replace(result, problems=(*result.problems, note))
        self._results[at] = result
        self._on_file(result)
