"""An archive in an object store: Amazon S3 and what speaks like it, Google Cloud, Azure.

Polars speaks with them; it takes addresses and credentials from the environment (`AWS_...`,
`GOOGLE_...`, `AZURE_...`). An object is there wholly or not at all, and two writers of one name
write the same, so that nobody has to wait for anybody.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from testlytics_collector.errors import ConfigError, InputError
from testlytics_collector.store.archive import SUFFIX, Fetched, unreadable, unwritable
from testlytics_collector.store.archive_file import MAX_ROWS
from testlytics_collector.store.facts import VERSION_KEY

_KINDS = ("s3", "gs", "az")


class ObjectStore:
    """An archive below an address."""

    def __init__(self, text: str) -> None:
        self._root = text.rstrip("/")
        if text.partition("://")[0] not in _KINDS:
            raise ConfigError(
                f"{text!r}: archives lie in folders, {', '.join(f'{k}://' for k in _KINDS)} "
                "and git:BRANCH.",
                slug="archive-place",
                hint="For example: s3://bucket/testlytics",
            )

    def names(self) -> set[str]:
        """See `archive.Place`."""
        import polars as pl

        every = f"{self._root}/**/*{SUFFIX}"
        with self._told():
            try:
                found = pl.scan_parquet(
                    every,
                    include_file_paths="path",
                    hive_partitioning=False,
                    extra_columns="ignore",  # versions differ in them
                    missing_columns="insert",
                )
                paths = found.select("path").unique().collect()
            except pl.exceptions.PolarsError:
                # One damaged object spoils that; this reads all of them, but asks nothing of them.
                read = pl.scan_lines(every, include_file_paths="path")
                paths = read.select("path").unique().collect()
        return {path[len(self._root) + 1 :] for path in paths["path"]}

    def add(self, folder: Path, names: list[str], step: Callable[[], None]) -> None:
        """See `archive.Place`."""
        import polars as pl

        for name in names:
            frame = pl.read_parquet(folder / name, hive_partitioning=False, glob=False)
            kept = {VERSION_KEY: pl.read_parquet_metadata(folder / name)[VERSION_KEY]}
            try:
                frame.write_parquet(f"{self._root}/{name}", metadata=kept)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise unwritable(self._root, _reason(error)) from error
            step()

    def files(self) -> Iterator[Fetched]:
        """See `archive.Place`."""
        with tempfile.TemporaryDirectory(prefix="testlytics-") as made:
            path = Path(made) / f"one{SUFFIX}"
            for name in sorted(self.names()):
                whole = f"{self._root}/{name}"
                try:
                    self._fetch(whole, path)
                except InputError as error:
                    yield Fetched(whole, None, error)
                else:
                    yield Fetched(whole, path)

    def _fetch(self, name: str, path: Path) -> None:
        """Get one object as a file, with what it says of its version."""
        import polars as pl

        with self._told(name):
            said = pl.read_parquet_metadata(name)
            scan = pl.scan_parquet(name, hive_partitioning=False, glob=False)
            if scan.select(pl.len()).collect().item() > MAX_ROWS:
                raise unreadable(name, f"it holds more than {MAX_ROWS} rows")
            kept = {key: said[key] for key in (VERSION_KEY,) if key in said}
            scan.collect().write_parquet(path, metadata=kept)

    @contextlib.contextmanager
    def _told(self, name: str | None = None) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise unreadable(name or self._root, _reason(error)) from error


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:300]
