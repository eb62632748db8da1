"""The store as its users see it: open it, take in an upload, ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testlytics_collector.records import Attempt, Upload
from testlytics_collector.store import (
    archive,
    digests,
    facts,
    gated_runs,
    pruned,
    purge,
    reader,
    rebuild,
    retention,
    shared,
    spool,
)
from testlytics_collector.store.compared import TwoRuns
from testlytics_collector.store.connection import connect, translated
from testlytics_collector.store.dashboard import Overview, PageReader
from testlytics_collector.store.extract import Extract
from testlytics_collector.store.gated_runs import GatedRun
from testlytics_collector.store.lists import Lists
from testlytics_collector.store.purge import Purged
from testlytics_collector.store.reader import Suite, Window
from testlytics_collector.store.retention import Policy, Removed
from testlytics_collector.store.schema import SCHEMA_VERSION
from testlytics_collector.store.screen import Screen, Slower, slower_than_before
from testlytics_collector.store.vanished import Changed, changed
from testlytics_collector.store.windowed import WindowReader
from testlytics_collector.store.writer import Intake, Kept

if TYPE_CHECKING:
    import duckdb
    import polars as pl


class Store:
    """An open store. Made by `open_store`, not by hand."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self._connection = connection

    @contextlib.contextmanager
    def intake(self, project: str | None = None) -> Iterator[Intake]:
        """Take in one input. Without a call of `keep` on what this gives, no row stays.

        Args:
            project: The project that the caller states; None leaves it to the input.

        Raises:
            StoreError: The database refused (disk full, damaged file).
        """
        with translated(self.path), Intake(self._connection, project) as intake:
            yield intake

    def keep(
        self,
        intake: Intake,
        upload: Upload,
        *,
        digest: str,
        form: str,
        now_us: int,
        content: str | None = None,
    ) -> Kept:
        """Make what the intake holds part of the store, wholly or not at all."""
        with translated(self.path):
            return intake.keep(upload, digest=digest, form=form, now_us=now_us, content=content)

    def known(
        self, digest: str, *, project: str | None, run_id: str | None, run_attempt: int | None
    ) -> digests.Known | None:
        """Return the run that the same bytes were of, None where they are new; see `digests`."""
        with translated(self.path):
            return digests.known(
                self._rows, digest, project=project, run_id=run_id, run_attempt=run_attempt
            )

    def is_pruned(self, upload: Upload) -> bool:
        """Tell whether an upload, or a shorter copy of it, was pruned."""
        with translated(self.path):
            return pruned.is_pruned(self._rows, upload)

    def prune(self, policy: Policy, *, now_us: int, dry_run: bool = False) -> Removed:
        """Remove old runs, wholly or not at all; see `retention.prune`."""
        with translated(self.path), self._changing():
            removed = retention.prune(self._rows, policy, now_us=now_us, dry_run=dry_run)
        self._checkpoint()
        return removed

    def purge(self, *, test_id: str | None = None, text: str | None = None) -> Purged:
        """Remove a test, or what holds a text, or else all messages; see `purge`."""
        with translated(self.path), self._changing():
            if test_id is not None:
                done = purge.purge_case(self._rows, test_id)
            elif text is not None:
                done = purge.purge_text(self._rows, text)
            else:
                done = purge.purge_messages(self._rows)
        self._checkpoint()
        return done

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        import duckdb

        self._rows("begin")
        try:
            yield
            self._rows("commit")
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._rows("rollback")
            raise

    def _checkpoint(self) -> None:
        with translated(self.path):
            self._rows("checkpoint")

    @contextlib.contextmanager
    def window(self, window: Window) -> Iterator[WindowReader]:
        """Ask about a window of runs; one at a time."""
        with translated(self.path):
            yield WindowReader(self._connection, window)

    @contextlib.contextmanager
    def lists(self, window: Window, pattern: str | None = None) -> Iterator[Lists]:
        """Ask for lists of runs, tests or failures; see `lists.Lists`."""
        with translated(self.path):
            yield Lists(self._connection, window, pattern)

    @contextlib.contextmanager
    def pages(self, window: Window) -> Iterator[PageReader]:
        """Ask about a window of runs what pages show; one at a time."""
        with translated(self.path):
            yield PageReader(self._connection, window)

    @contextlib.contextmanager
    def overview(self) -> Iterator[Overview]:
        """Ask about projects; see `dashboard.Overview`."""
        with translated(self.path):
            yield Overview(self._rows)

    @contextlib.contextmanager
    def two_runs(self, project: str, before: str, now: str) -> Iterator[TwoRuns]:
        """Compare two runs; see `compared.TwoRuns`."""
        with translated(self.path):
            yield TwoRuns(self._rows, project, before, now)

    @contextlib.contextmanager
    def extract(self, window: Window, view: str) -> Iterator[Extract]:
        """Read the rows of a view for the runs of a window; see `extract.Extract`."""
        with translated(self.path):
            yield Extract(self._connection, window, view)

    def attempts(self, window: Window) -> Iterator[tuple[Suite, list[Attempt]]]:
        """Yield all attempts of each run and variant; see `reader.run_attempts`."""
        with translated(self.path):
            yield from reader.run_attempts(self._connection, window)

    def changed(self, window: Window) -> Changed:
        """Find the tests that came and went in a window; see `vanished.changed`."""
        with translated(self.path):
            return changed(self._connection, window)

    def screen(self, project: str, run_id: str, screen: Screen | None = None) -> list[Slower]:
        """Find the tests of a run that took longer than before; see `slower_than_before`."""
        with translated(self.path):
            return slower_than_before(self._rows, project, run_id, screen or Screen())

    def run_to_judge(self, project: str | None, run_id: str | None) -> GatedRun | None:
        """Return the run that a gate looks at; see `gated_runs.run_to_judge`."""
        with translated(self.path):
            return gated_runs.run_to_judge(self._rows, project, run_id)

    def mark_gate(self, project: str, run_id: str, verdict: str, now_us: int) -> bool:
        """Write down what a gate said of a run; see `gated_runs.mark`."""
        with translated(self.path), self._changing():
            return gated_runs.mark(self._rows, project, run_id, verdict, now_us)

    def branches(self, run: GatedRun) -> list[str]:
        """Name the branches of a project; see `gated_runs.branches`."""
        with translated(self.path):
            return gated_runs.branches(self._rows, run)

    def earlier_runs(
        self, run: GatedRun, *, branch: str | None, until_us: int | None, limit: int
    ) -> list[GatedRun]:
        """Return runs before a run; see `gated_runs.earlier_runs`."""
        with translated(self.path):
            return gated_runs.earlier_runs(
                self._rows, run, branch=branch, until_us=until_us, limit=limit
            )

    def runs_of_change(self, run: GatedRun, limit: int) -> list[GatedRun]:
        """Return runs of the same change; see `gated_runs.runs_of_change`."""
        with translated(self.path):
            return gated_runs.runs_of_change(self._rows, run, limit)

    def verdicts(self, window: Window) -> pl.DataFrame:
        """Return the verdicts of a window's runs; see `reader.verdict_frame`."""
        with translated(self.path):
            return reader.verdict_frame(self._connection, window)

    def run_files(self, window: Window) -> dict[str, int]:
        """Name the archive files of a window's runs; see `archive.run_files`."""
        with translated(self.path):
            return archive.run_files(self._connection, window)

    def write_run(self, run_key: int, path: Path) -> None:
        """Write the facts of one run to an archive file."""
        with translated(self.path):
            self.gather(run_key)
            facts.write(self._rows, path)

    def gather(self, run_key: int) -> None:
        """Gather the facts of one run in the temporary table `facts`."""
        found = self._rows("select upload_key from raw.uploads where run_key = $1", [run_key])
        facts.gather(self._rows, [key for (key,) in found])

    def note_order(self, commit: str, order_us: int) -> None:
        """Take over where a commit stands in the history; of two places the later is right."""
        with translated(self.path):
            known = self._rows("select order_us from raw.commits where commit_id = $1", [commit])
            if not known:
                self._rows("insert into raw.commits values ($1, $2)", [commit, order_us])
            elif known[0][0] < order_us:
                self._rows(
                    "update raw.commits set order_us = $2 where commit_id = $1", [commit, order_us]
                )

    def unplaced_commits(self, since_us: int) -> tuple[list[str], dict[str, int]]:
        """Return commits of which nobody knows where they stand, and where the others stand.

        Args:
            since_us: Only commits of uploads that were taken in since then.

        Returns:
            Full ids; and microseconds since the epoch by commit, empty where the first is.
        """
        with translated(self.path):
            commits = self._rows(
                """select distinct u.commit_id from raw.uploads u
                   anti join raw.commits c using (commit_id)
                   where u.ingested_us >= $1 and u.commit_id is not null""",
                [since_us],
            )
            known = self._rows("select commit_id, order_us from raw.commits") if commits else []
        return [commit for (commit,) in commits], dict(known)

    def place_commits(self, placed: Mapping[str, int]) -> None:
        """Keep where commits stand: they are ordered by it, their runs are too."""
        if not placed:
            return
        with translated(self.path):
            self._rows(
                "insert into raw.commits select unnest($1::varchar[]), unnest($2::bigint[])",
                [list(placed), list(placed.values())],
            )

    def take_in_spool(self) -> None:
        """Take in the uploads that wait in the spool; see `spool.drain_quietly`."""
        spool.drain_quietly(self._connection, self.path)

    def differences(self, *, mend: bool) -> dict[str, int]:
        """Compare what follows from the facts with what is kept of it.

        Args:
            mend: Keep what follows; else the store is left as it was.

        Returns:
            For each derived table that differed, how many of its rows did; empty when all was as
            it should be.
        """
        with translated(self.path):
            self._rows("begin")
            found = rebuild.differences(self._rows)
            self._rows("commit" if mend else "rollback")
        return found

    def facts(self) -> dict[str, object]:
        """Tell what the store is: `store_schema`, `duckdb`, and how many runs, tests, attempts."""
        with translated(self.path):
            [row] = self._rows(
                """select version(), (select count(*) from raw.runs),
                          (select count(*) from raw.tests),
                          (select coalesce(sum(attempts), 0)::bigint from raw.uploads)"""
            )
        names = ("store_schema", "duckdb", "runs", "tests", "attempts")
        return dict(zip(names, (SCHEMA_VERSION, *row), strict=True))

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql, list(values)).fetchall()
        return found


@contextlib.contextmanager
def open_store(
    path: Path, *, write: bool = False, create: bool = True, wait_s: float = 10.0
) -> Iterator[Store]:
    """Open the store at `path` while the block runs; see `connection.connect`.

    A writer takes in what waits in the spool before it lets go; a reader does so before it reads,
    where nobody holds the store. Where this process holds it open for many, a reader is let in
    beside its writer.
    """
    if not write and (held := shared.shared(path)) is not None:
        with held.reader() as cursor:
            yield Store(path, cursor)
        return
    if not write:
        spool.take_in(path, seconds=spool.READER_S)
    with connect(path, write=write, create=create, wait_s=wait_s) as connection:
        opened = Store(path, connection)
        yield opened
        if write:
            opened.take_in_spool()
    if write:
        # Who gave up waiting while the file was being closed is seen only now.
        spool.take_in(path, seconds=spool.DRAIN_S)
