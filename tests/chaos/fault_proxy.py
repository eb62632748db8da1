"""A TCP proxy on this machine that breaks connections as networks do, each as it is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from enum import StrEnum
from urllib.parse import urlsplit

PATIENCE_S = 30.0
WRONG = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 43\r\n\r\n"
    b"<html><body>Sign in to the Wi-Fi</body></h>"
)
GARBAGE = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no answer at all\r\n\r\n"


class Fault(StrEnum):
    """What becomes of one connection."""

    NONE = "none"
    RESET = "reset"
    """Reset before a byte was read."""
    RESET_IN_BODY = "reset in body"
    """Reset on both sides when half of the first part of the request has been passed on."""
    HALF_OPEN = "half open"
    """Taken, and never answered."""
    ANSWER_LOST = "answer lost"
    """The request arrives, is answered, and the answer never comes."""
    ANSWER_CUT = "answer cut"
    """Half of the answer comes, and then the end."""
    SLOW = "slow"
    """The answer comes byte by byte."""
    WRONG = "wrong"
    """Somebody else answers: the sign-in page of a network."""
    GARBAGE = "garbage"
    """What answers does not speak HTTP."""


class FaultProxy:
    """Stands between a client and a server.

    Args:
        host: Of the server.
        port: Of the server.
        plan: What becomes of each connection; NONE of those that come after its end.
    """

    def __init__(self, host: str, port: int, plan: Iterable[Fault] = ()) -> None:
        self._server = host, port
        self._plan = iter(plan)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._port: int = self._listener.getsockname()[1]
        self.met: list[Fault] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def address(self) -> str:
        """Its address for clients of HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def then(self, *plan: Fault) -> None:
        """Take another plan."""
        with self._lock:
            self._plan = iter(plan)

    def serve(self) -> None:
        """Take connections until `end` is called."""
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed by `end`
            with self._lock:
                fault = next(self._plan, Fault.NONE)
                self.met.append(fault)
            thread = threading.Thread(target=self._one, args=(client, fault), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Give up all connections."""
        self._ended.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _one(self, client: socket.socket, fault: Fault) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(PATIENCE_S)
            if fault is Fault.RESET:
                _reset(client)
            elif fault is Fault.HALF_OPEN:
                self._ended.wait(PATIENCE_S)
            elif fault in {Fault.WRONG, Fault.GARBAGE}:
                client.recv(65_536)
                client.sendall(WRONG if fault is Fault.WRONG else GARBAGE)
            else:
                with socket.create_connection(self._server, PATIENCE_S) as server:
                    self._between(client, server, fault)

    def _between(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        if fault is Fault.RESET_IN_BODY:
            part = client.recv(65_536)
            server.sendall(part[: len(part) // 2])
            _reset(server)
            _reset(client)
            return
        back = threading.Thread(target=_pass_on, args=(client, server), daemon=True)
        back.start()
        if fault is Fault.NONE:
            _pass_on(server, client)
        elif fault is Fault.ANSWER_LOST:
            server.recv(65_536)
            _reset(client)
        elif fault is Fault.ANSWER_CUT:
            answer = server.recv(65_536)
            client.sendall(answer[: len(answer) // 2])
        else:
            self._slowly(client, server)
        _shut(client)
        _shut(server)
        back.join(PATIENCE_S)

    def _slowly(self, client: socket.socket, server: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while answer := server.recv(65_536):  # it may come in parts
            for at in range(len(answer)):
                client.sendall(answer[at : at + 1])
                if self._ended.wait(0.005):
                    return


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65_536):
            sink.sendall(part)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _reset(one: socket.socket) -> None:
    """Close so that the other side gets RST and not FIN."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


@contextlib.contextmanager
def fault_proxy(address: str, *plan: Fault) -> Iterator[FaultProxy]:
    """Stand between clients and the server of an address while the block runs."""
    parts = urlsplit(address)
    proxy = FaultProxy(parts.hostname or "", parts.port or 80, plan)
    serving = threading.Thread(target=proxy.serve)
    serving.start()
    try:
        yield proxy
    finally:
        proxy.end()
        serving.join(PATIENCE_S)
