"""Object stores that refuse: an archive that cannot be reached costs the own store nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.command import command
from tests.factories import history

pytestmark = pytest.mark.chaos
SECRET = "a-key-that-nobody-may-see"
DENIED = b"<Error><Code>AccessDenied</Code></Error>"


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._refuse()

    def do_PUT(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Length", str(len(DENIED)))
        self.end_headers()
        self.wfile.write(DENIED)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_an_object_store_that_refuses_is_told_and_costs_nothing(
    tmp_path: Path, refusing: str
) -> None:
    """Promise: warn, lose nothing. What cannot be carried off or fetched stays where it is."""
    env = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": refusing,
        "AWS_ALLOW_HTTP": "true",
    }
    store = tmp_path / "h.duckdb"
    assert (
        command("ingest", *history(tmp_path, {"a": "PP"}), "--store", store, cwd=tmp_path).code == 0
    )
    for arguments in (["export", "--archive", "s3://runs/x"], ["merge", "s3://runs/x"]):
        done = command(*arguments, "--store", store, cwd=tmp_path, env=env)
        assert done.code == 3
        assert "s3://runs/x" in done.err
        assert "the rights to it" in done.err
        assert SECRET not in done.err + done.out
    assert (
        len(command("runs", "--format", "json", "--store", store, cwd=tmp_path).json["runs"]) == 2
    )
