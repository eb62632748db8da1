"""Bringing files to the service: what waits from before first, then those of this call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from testlytics.push import waits
from testlytics.push.address import Service
from testlytics.push.circuit import Circuit, Way
from testlytics.push.description import Describer
from testlytics.push.identity import Identity
from testlytics.push.outbox import Entry, Outbox, elsewhere
from testlytics.push.reading import Later, Refused, Taken, understand
from testlytics.push.waits import World
from testlytics_collector.errors import InputError
from testlytics_collector.ingest import FileResult, Stated, Status
from testlytics_collector.records import Problem

PATH = "/api/v1/runs"
_TRY_S = 75.0
_LEAST_S = 0.05


class Pushed(NamedTuple):
    """What came of a call.

    Attributes:
        files: An answer for each file, in the same order; `spooled` are those that wait.
        earlier: The same for files of earlier calls that no longer wait.
        waiting: How many files wait now.
        notes: What a person should know beside.
        is_misused: Whether address, token or options are why something was refused.
        is_late: Whether something that this call should have brought waits.
    """

    files: list[FileResult]
    earlier: list[FileResult]
    waiting: int
    notes: list[str]
    is_misused: bool
    is_late: bool


class Push:
    """One call of the command.

    Args:
        service: Where to.
        base: The folder with an outbox for each service.
        within_s: How long files are sent, in seconds; what is left then waits for the next call.
        identity: Gives the token that is shown; None where the service's own is.
        world: Clocks and chance.

    Raises:
        Error: The outbox cannot be made.
    """

    def __init__(
        self,
        service: Service,
        base: Path,
        *,
        within_s: float,
        identity: Identity | None = None,
        world: World | None = None,
    ) -> None:
        self._service, self._base, self._world = service, base, world or World()
        self._outbox = Outbox(base / service.folder)
        with contextlib.suppress(OSError), (base / ".gitignore").open("x") as file:
            file.write("*\n")
        self._circuit = Circuit(self._outbox.folder)
        self._end = self._world.steady() + within_s
        self._halt: Refused | None = None
        self._identity, self._is_nobody = identity, False
        self._is_misused = False
        self._late = ""
        self._describer = Describer(self._world.wall())

    def bring(
        self,
        paths: Iterable[str],
        stated: Stated,
        *,
        on_file: Callable[[FileResult], None] = lambda _: None,
    ) -> Pushed:
        """Send files; they wait in the outbox until the service has them, or has refused them.

        Args:
            paths: Files, as `testlytics_collector.ingest.find` gives them.
            stated: What is known of all of them.
            on_file: Called with each answer as soon as it is there.

        Raises:
            Error: The outbox cannot be written. Files whose answer was given are safe.
        """
        world = self._world
        dropped = self._outbox.tidy(world.wall())
        earlier = self._bring_earlier()
        files = []
        for path in paths:
            result = self._bring_one(path, stated)
            on_file(result)
            files.append(result)
        dropped += self._outbox.tidy(world.wall())
        waiting = len(self._outbox.waiting())
        is_misused = self._is_misused or self._halt is not None
        is_late = any(one.status is Status.SPOOLED for one in files) or (waiting > 0 and not files)
        notes = self._notes(waiting, dropped)
        return Pushed(files, earlier, waiting, notes, is_misused, is_late)

    def _bring_earlier(self) -> list[FileResult]:
        done = []
        for path in self._outbox.waiting():
            if self._halt is not None or self._is_over() or self._is_shut():
                break
            entry = self._outbox.claim(path)
            if entry is None:
                continue
            outcome = self._deliver(entry)
            if isinstance(outcome, Refused):
                if not outcome.is_file:  # another token or another option may help it
                    entry.leave()
                    self._late = outcome.why
                    continue
                entry.put_aside(outcome.why)
            if not isinstance(outcome, Later):
                done.append(_told(entry.name, outcome))
        return done

    def _bring_one(self, path: str, stated: Stated) -> FileResult:
        if self._halt is not None:
            return _told(path, self._halt)
        try:
            entry = self._outbox.put(path, self._describer.query(stated, path))
        except InputError as error:
            return FileResult(path, None, Status.REFUSED, problems=(Problem(str(error)),))
        outcome = self._deliver(entry)
        if isinstance(outcome, Refused):
            self._is_misused = self._is_misused or not outcome.is_file
            entry.taken()
        return _told(path, outcome)

    def _deliver(self, entry: Entry) -> Taken | Refused | Later:
        """Send an entry until there is an answer that counts, or it must wait."""
        # Who has no token does not ask, and that says nothing of how the service is.
        is_shut = self._is_over() or self._is_shut() or not self._has_token()
        way = Way.SHUT if is_shut else self._circuit.admit(self._world.wall())
        outcome: Taken | Refused | Later = Later("")
        if way is Way.SHUT:
            entry.leave()
            return outcome
        for tried in count(1):
            outcome = self._try(entry)
            if not isinstance(outcome, Later):
                break
            pause_s = waits.backoff_s(tried, self._world.draw)
            pause_s = max(pause_s, outcome.asked_s)
            left = self._end - self._world.steady()
            is_last = tried == waits.TRIES or pause_s >= left or self._is_nobody
            if way is Way.PROBE or is_last:
                self._circuit.failed(self._world.wall(), outcome.asked_s)
                self._late = outcome.why
                entry.leave()
                return outcome
            self._world.sleep(pause_s)
        if isinstance(outcome, Refused):
            self._halt = outcome if outcome.is_all else None
        if isinstance(outcome, Taken):
            entry.taken()
        # Something else that speaks in its place says nothing of how the service is.
        if not isinstance(outcome, Refused) or outcome.is_known:
            self._circuit.succeeded()
        return outcome

    def _try(self, entry: Entry) -> Taken | Refused | Later:
        from testlytics.push.sending import UnreachableError, post

        if not self._has_token():
            return Later(self._late)
        seconds = min(max(self._end - self._world.steady(), _LEAST_S), _TRY_S)
        path = f"{PATH}?{urlencode(entry.query)}" if entry.query else PATH
        try:
            answer = post(self._service, path, entry.parts(), entry.size, seconds=seconds)
        except UnreachableError as error:
            return Later(error.message)
        return understand(answer, self._service, self._world.wall())

    def _is_over(self) -> bool:
        return self._world.steady() >= self._end

    def _has_token(self) -> bool:
        """Take a token that is fresh where the job has to get one; False where none is to be had.

        That is tried once in a call: all other files wait as well.
        """
        if self._identity is None or self._is_nobody:
            return not self._is_nobody
        from testlytics.push.sending import UnreachableError

        try:
            token = self._identity.token(self._world)
        except UnreachableError as error:
            self._is_nobody, self._late = True, error.message
            return False
        self._service = replace(self._service, token=token)
        return True

    def _is_shut(self) -> bool:
        return self._is_nobody or self._circuit.shut_until(self._world.wall()) > 0

    def _notes(self, waiting: int, dropped: int) -> list[str]:
        notes = []
        if waiting:
            many = "1 file waits" if waiting == 1 else f"{waiting} files wait"
            why = f": {self._late}" if self._late else "."
            notes.append(f"{many} in {self._outbox.folder} for the next push{why}")
        until = self._circuit.shut_until(self._world.wall())
        if until:
            moment = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S")
            notes.append(f"{self._service.netloc} is not asked before {moment} UTC.")
        if dropped:
            many = "1 file that" if dropped == 1 else f"{dropped} files that"
            notes.append(f"{many} waited too long, or were too much to keep, are gone.")
        if other := elsewhere(self._base, self._service.folder):
            many = "1 file waits" if other == 1 else f"{other} files wait"
            notes.append(f"{many} in {self._base} for other services.")
        return notes


def _told(path: str, outcome: Taken | Refused | Later) -> FileResult:
    if isinstance(outcome, Taken):
        status, counts, problems = outcome.status, outcome.counts, outcome.problems
        return FileResult(path, outcome.format, status, outcome.run_id, counts, problems)
    if isinstance(outcome, Refused):
        return FileResult(path, None, Status.REFUSED, problems=(Problem(outcome.why),))
    return FileResult(path, None, Status.SPOOLED)
