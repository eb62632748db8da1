"""The one thread that writes: several uploads in a transaction, and an answer for each.

Uploads wait in the store's spool, those of the service and those that `testlytics ingest` left
there meanwhile; the oldest come first. What fails costs only its own client.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from testlytics_collector.errors import Error, StoreError
from testlytics_collector.store import shared, spool

if TYPE_CHECKING:
    from testlytics.service.figures import Figures

_log = logging.getLogger("testlytics.service")

_IDLE_S = 0.25
_AGAIN_S = 1.0
_ASIDE_S = 60.0
_REMEMBERED = 10_000


class Held(Protocol):
    """An open store, as the writer uses it; see `store.shared.Shared`."""

    def take_in(self, entries: Sequence[Path], answers: dict[Path, spool.Answer]) -> None:
        """Take uploads of the spool in; `answers` gets what became of each that is committed."""

    def is_sound(self) -> bool:
        """Tell whether it can still be used."""


class _UnsoundError(Exception):
    """The store must be closed and opened before it can be used again."""


class Writer:
    """Takes uploads from the spool into the store until it is stopped.

    Args:
        store: The store's file.
        figures: What is counted.
        open_: Opens the store for as long as its block runs.
    """

    def __init__(
        self, store: Path, figures: Figures, open_: Callable[[], AbstractContextManager[Held]]
    ) -> None:
        self._store, self._figures, self._open = store, figures, open_
        self._waiting: dict[Path, tuple[spool.Ticket, Future[spool.Answer]]] = {}
        self._aside: dict[Path, float] = {}
        self._told: OrderedDict[Path, spool.Answer] = OrderedDict()
        self._changed = threading.Condition()
        self._stopping = self._has_ended = False
        self._is_open = False
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Open the store and begin.

        Raises:
            StoreError: It cannot be opened or written.
        """
        self._thread.start()
        self._opened.result()

    @property
    def is_ready(self) -> bool:
        """Whether the store is open."""
        return self._is_open

    def submit(self, ticket: spool.Ticket) -> Future[spool.Answer]:
        """Ask for the answer of an upload that is in the spool.

        Returns:
            Its answer when it is committed; else the error that it failed with.
        """
        answer: Future[spool.Answer] = Future()
        answer.set_running_or_notify_cancel()  # a client that goes away must not cancel it
        with self._changed:
            self._waiting[ticket.entry] = (ticket, answer)
            self._changed.notify()
            has_ended = self._has_ended
        if has_ended:
            self._fail_all(_stopped())
        return answer

    def stop(self) -> None:
        """Take in what waits, then close the store and return."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                with self._open() as held:
                    self._is_open = True
                    if not self._opened.done():
                        self._opened.set_result(None)
                    while self._step(held):
                        pass
            except _UnsoundError:
                # Those who wait were not tried yet: they are, once it is open again.
                self._is_open = False
                _log.error("store opened anew")
                continue
            except Exception as error:  # noqa: BLE001 - nobody who waits may wait for ever
                if not self._opened.done():
                    self._opened.set_exception(error)
                    return
                self._is_open = False
                _log.error("writer failed", extra={"error": type(error).__name__})
                self._fail_all(error)
            with self._changed:
                if self._stopping:
                    break
                if not self._is_open:
                    self._changed.wait_for(lambda: self._stopping, timeout=_AGAIN_S)
        with self._changed:
            self._has_ended, self._is_open = True, False
        self._fail_all(_stopped())

    def _step(self, held: Held) -> bool:
        """Take in what waits; tell whether there is more to do with this store."""
        with self._changed:
            if not self._waiting and not self._stopping:
                self._changed.wait(_IDLE_S)
            is_last = self._stopping
        while entries := self._due():
            self._take(held, entries)
            if not held.is_sound():
                raise _UnsoundError
        self._settle_lost()
        return not is_last

    def _due(self) -> list[Path]:
        """Return the oldest that wait, without those that failed a moment ago."""
        now = time.monotonic()
        self._aside = {path: until for path, until in self._aside.items() if until > now}
        found = [path for path in spool.entries(self._store) if path not in self._aside]
        return found[: spool.TOGETHER]

    def _take(self, held: Held, entries: Sequence[Path]) -> None:
        began = time.perf_counter()
        try:
            held.take_in(entries, self._told)
        except Exception as error:  # noqa: BLE001 - told to whom it concerns
            self._settle(entries)
            if len(entries) == 1:
                self._refuse(entries[0], error)
                return
            for path in entries:
                if path.exists():
                    self._take(held, [path])
            return
        self._figures.commit(time.perf_counter() - began)
        self._settle(entries)
        # An upload can be taken in before its reader asks for the answer. Nobody ever asks for
        # those that other processes left.
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def _settle(self, entries: Sequence[Path]) -> None:
        """Answer those whose uploads are committed."""
        for entry in entries:
            with self._changed:
                ticket, answer = self._waiting.get(entry, (None, None))
            if ticket is None or answer is None:
                continue
            told = self._told.pop(entry, None) or ticket.answer()
            if told is not None:
                self._forget(entry)
                answer.set_result(told)

    def _settle_lost(self) -> None:
        """Answer those whose uploads were taken in before they asked, or are gone."""
        with self._changed:
            known = list(self._waiting)
        self._settle(known)
        for entry in known:
            if entry in self._waiting and not entry.exists():
                self._refuse(entry, StoreError(f"The upload {entry.name} has gone from the spool."))

    def _refuse(self, entry: Path, error: Exception) -> None:
        """Tell an upload's client that it failed; what has no client is tried again later."""
        with self._changed:
            ticket, answer = self._waiting.get(entry, (None, None))
        if ticket is not None and (entry in self._told or ticket.answer() is not None):
            self._settle([entry])
            return
        if answer is None:
            self._aside[entry] = time.monotonic() + _ASIDE_S
            _log.error("upload waits", extra={"error": _name(error)})
            return
        # Its client is told that it is not stored, so it must not be stored later.
        with contextlib.suppress(OSError):
            entry.unlink(missing_ok=True)
        self._forget(entry)
        answer.set_exception(error)

    def _forget(self, entry: Path) -> None:
        with self._changed:
            ticket, _ = self._waiting.pop(entry)
        with contextlib.suppress(OSError):
            ticket.leave()

    def _fail_all(self, error: Exception) -> None:
        with self._changed:
            known = list(self._waiting)
        for entry in known:
            self._refuse(entry, error)


def _name(error: Exception) -> str:
    return error.slug if isinstance(error, Error) else type(error).__name__


def _stopped() -> StoreError:
    return StoreError(
        "The service has stopped.", slug="service-stopped", hint="Send it again; it was not stored."
    )


def opener(
    store: Path, *, wait_s: float, read_s: float
) -> Callable[[], AbstractContextManager[Held]]:
    """Return what opens a store for a `Writer`; see `store.shared.sharing`."""
    return lambda: shared.sharing(store, wait_s=wait_s, read_s=read_s)
