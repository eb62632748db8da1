"""The whole store as an answer, while it is used."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from starlette.responses import StreamingResponse

from testlytics_collector.errors import Error
from testlytics_collector.store import spool
from testlytics_collector.store.backup import back_up

_CHUNK = 1 << 20


class Backups:
    """Makes copies of a store, one at a time, and sends them.

    Args:
        store: The store's file.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._is_busy = False
        self._thread = ThreadPoolExecutor(1, "backup")

    async def answer(self, media: str) -> StreamingResponse:
        """Copy the store and answer with the copy. It cannot be sent in parts: each is another.

        Args:
            media: The type of the answer.

        Raises:
            Error: Another copy is being made.
            StoreError: It cannot be copied.
        """
        if self._is_busy:
            raise Error(
                "A backup is being made.",
                slug="http-busy",
                hint="Wait as long as Retry-After says, and ask again.",
            )
        self._is_busy = True
        try:
            loop = asyncio.get_running_loop()
            file, size = await loop.run_in_executor(self._thread, self._copied)
        finally:
            self._is_busy = False
        headers = {
            "content-length": str(size),
            "content-disposition": 'attachment; filename="history.duckdb"',
        }
        return StreamingResponse(self._parts(file), headers=headers, media_type=media)

    def close(self) -> None:
        """Let nobody in any more; a copy that is being made ends with the store."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _copied(self) -> tuple[BinaryIO, int]:
        """Return a copy without a name: it is gone when it is sent, whatever happens meanwhile."""
        # In the spool's folder: what a killed service leaves is swept out there.
        base = spool.folder(self._store)
        base.mkdir(parents=True, exist_ok=True)
        copy = base / f".{time.time_ns():020}-{os.getpid()}-backup.body"
        try:
            back_up(self._store, copy)
            file = copy.open("rb")
            return file, os.fstat(file.fileno()).st_size
        finally:
            copy.unlink(missing_ok=True)

    @staticmethod
    async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
        with file:
            while part := await asyncio.to_thread(file.read, _CHUNK):
                yield part
