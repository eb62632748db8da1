"""A server on this machine that follows a script, also one that no server should follow."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """A request as it came; the body may be a part of what was announced."""

    line: str
    headers: dict[str, str]
    body: bytes


Act = Callable[[socket.socket], Asked | None]
"""Does something with a connection, and tells what was asked on it."""


@dataclass
class Scripted:
    """What the server saw."""

    port: int = 0
    connections: int = 0
    told: list[Asked] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[Asked]:
        """What was asked so far. An act ends a moment after the client has its answer."""
        with self.lock:
            begun = list(self.threads)
        for thread in begun:
            thread.join(2)
        return list(self.told)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def read_head(peer: socket.socket) -> tuple[str, dict[str, str], bytes]:
    told = b""
    while b"\r\n\r\n" not in told:
        part = peer.recv(65_536)
        if not part:
            break
        told += part
    head, _, rest = told.partition(b"\r\n\r\n")
    line, *others = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in others)}
    return line, headers, rest


def read_all(peer: socket.socket) -> Asked:
    line, headers, body = read_head(peer)
    while len(body) < int(headers.get("content-length", 0)):
        part = peer.recv(65_536)
        if not part:
            break
        body += part
    return Asked(line, headers, body)


def response(status: int, body: bytes, *headers: str, media: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", f"Content-Type: {media}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def says(status: int, body: bytes, *headers: str, media: str = "application/json") -> Act:
    """Reads the request and answers."""

    def act(peer: socket.socket) -> Asked:
        asked = read_all(peer)
        peer.sendall(response(status, body, *headers, media=media))
        return asked

    return act


def says_at_once(status: int, body: bytes) -> Act:
    """Answers after the headers, reads nothing of the body, and closes."""

    def act(peer: socket.socket) -> Asked:
        line, headers, rest = read_head(peer)
        peer.sendall(response(status, body))
        return Asked(line, headers, rest)

    return act


def resets(after: int) -> Act:
    """Reads so many bytes and breaks the connection off."""

    def act(peer: socket.socket) -> None:
        left = after
        while left > 0 and (part := peer.recv(min(left, 4_096))):
            left -= len(part)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def drips(peer: socket.socket) -> Asked:
    """Reads the request, and then answers a byte at a time without an end."""
    asked = read_all(peer)
    stop = threading.Event()
    with contextlib.suppress(OSError):
        peer.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not stop.wait(0.02):
            peer.sendall(b"x")
    return asked


def hangs(peer: socket.socket) -> Asked:
    """Reads the request and waits until the client goes."""
    asked = read_all(peer)
    with contextlib.suppress(OSError):
        while peer.recv(1):
            pass
    return asked


def forwards(port: int, *, swallow: bool = False) -> Act:
    """Brings the request to another server, and its answer back, unless that is swallowed."""

    def act(peer: socket.socket) -> Asked:
        asked = read_all(peer)
        head = [asked.line, *(f"{name}: {value}" for name, value in asked.headers.items())]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as other:
            other.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + asked.body)
            told = b""
            while part := other.recv(65_536):
                told += part
        if swallow:
            with contextlib.suppress(OSError):
                while peer.recv(1):
                    pass
        else:
            peer.sendall(told)
        return asked

    return act


@contextlib.contextmanager
def scripted(
    *script: Act, wrap: Callable[[socket.socket], socket.socket] | None = None
) -> Iterator[Scripted]:
    """Serve while the block runs; the last act of the script is for all further connections."""
    seen = Scripted()
    listening = socket.create_server(("127.0.0.1", 0))
    seen.port = listening.getsockname()[1]
    peers: list[socket.socket] = []

    def answer(peer: socket.socket, act: Act) -> None:
        with contextlib.suppress(OSError), wrap(peer) if wrap else peer as one:
            asked = act(one)
            if asked is not None:
                with seen.lock:
                    seen.told.append(asked)

    def accept() -> None:
        acts: Sequence[Act] = script
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                act = acts[min(seen.connections, len(acts) - 1)]
                seen.connections += 1
                peers.append(peer)
                thread = threading.Thread(target=answer, args=(peer, act), daemon=True)
                with seen.lock:
                    thread.start()
                    seen.threads.append(thread)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield seen
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(10)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in seen.threads:
            thread.join(10)
