"""Plays the few calls of GitHub's API that the comment needs, on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_a-token-that-nobody-may-see"
REPOSITORY = "owner/name"


@dataclass
class Answer:
    """What the next call gets instead of the usual answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "no"}'


class FakeGitHub(ThreadingHTTPServer):
    """A repository with comments; notes all calls."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = []
        self.heads: dict[int, str] = {}
        self.calls: list[str] = []
        self.authorizations: set[str | None] = set()
        self.answers: list[Answer] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.address,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
        }

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("GET")]

    def has(self, body: str, *, login: str = "github-actions[bot]", kind: str = "Bot") -> None:
        """Put a comment there."""
        number = len(self.comments) + 1
        self.comments.append(
            {"id": number, "body": body, "user": {"login": login, "type": kind}, "more": [1]}
        )


class _Handler(BaseHTTPRequestHandler):
    server: FakeGitHub

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def _handle(self) -> None:
        server = self.server
        size = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(size) or b"{}")
        server.calls.append(f"{self.command} {self.path}")
        server.authorizations.add(self.headers.get("Authorization"))
        if server.answers:
            answer = server.answers.pop(0)
            self._send(answer.status, answer.body, answer.headers)
            return
        status, told = self._usual(sent)
        self._send(status, json.dumps(told).encode(), {})

    def _usual(self, sent: dict[str, Any]) -> tuple[int, object]:
        server, parts = self.server, urlsplit(self.path)
        rest = parts.path.removeprefix(f"/repos/{REPOSITORY}")
        if self.command == "GET" and (match := re.fullmatch(r"/pulls/(\d+)", rest)):
            head = server.heads.get(int(match[1]))
            return (200, {"head": {"sha": head}}) if head else (404, {})
        if self.command == "GET" and re.fullmatch(r"/issues/\d+/comments", rest):
            asked = parse_qs(parts.query)
            size, page = int(asked["per_page"][0]), int(asked["page"][0])
            return 200, server.comments[(page - 1) * size : page * size]
        if self.command == "POST" and re.fullmatch(r"/issues/\d+/comments", rest):
            if len(sent["body"]) > 65_536:
                return 422, {}
            server.has(sent["body"])
            return 201, server.comments[-1]
        if self.command == "PATCH" and (match := re.fullmatch(r"/issues/comments/(\d+)", rest)):
            comment = server.comments[int(match[1]) - 1]
            comment["body"] = sent["body"]
            return 200, comment
        return 404, {}

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    """Serve until the block ends."""
    with FakeGitHub() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()
