"""One request and its answer, each bounded in time, with the standard library.

No redirect is followed: it may lead to a host that must not see the token. Certificates are checked
as the system does it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

import testlytics
from testlytics.push.address import Service
from testlytics_collector.errors import Error

CONNECT_S = 10.0
MOST_ANSWER = 1 << 18
_LAST_WORD_S = 2.0


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: The HTTP status.
        retry_after: The header of that name, None where there is none.
        body: At most `MOST_ANSWER` bytes of it.
    """

    status: int
    retry_after: str | None
    body: bytes


class UnreachableError(Error):
    """There is no answer: no connection, one that broke, or none in time."""

    default_slug = "push-unreachable"


class _Timed(io.RawIOBase):
    """Reads from a socket until a moment, however slowly it comes."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        self._sock.settimeout(_left(self._end))
        return self._sock.recv_into(cast("bytearray", buffer))


class _Source:
    """What `HTTPResponse` wants of a socket."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - a socket's signature
        return io.BufferedReader(_Timed(self._sock, self._end))


def post(
    service: Service, path: str, parts: Iterable[bytes], size: int, *, seconds: float
) -> Answer:
    """Send gzip to a path of the service.

    Args:
        service: Which one.
        path: With its query; what stands before `/api/` is put in front.
        parts: The body.
        size: Its length in bytes.
        seconds: For all of it.

    Raises:
        UnreachableError: There is no answer. The body may have been taken all the same.
    """
    headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
    headers["Content-Length"] = str(size)
    return _exchange(service, "POST", path, headers, parts, seconds)


def get(service: Service, path: str, *, seconds: float) -> Answer:
    """Ask for JSON at a path; the arguments are those of `post`.

    Raises:
        UnreachableError: There is no answer.
    """
    return _exchange(service, "GET", path, {"Accept": "application/json"}, (), seconds)


def _exchange(
    service: Service,
    method: str,
    path: str,
    own: dict[str, str],
    parts: Iterable[bytes],
    seconds: float,
) -> Answer:
    end = time.monotonic() + seconds
    try:
        connection, prefix, headers = _connection(service, min(CONNECT_S, seconds))
        with contextlib.closing(connection):
            connection.connect()
            sock = connection.sock
            connection.putrequest(method, prefix + service.path + path, skip_accept_encoding=True)
            headers |= own | {"Connection": "close"}
            headers |= {"User-Agent": f"testlytics/{testlytics.__version__}"}
            if service.token is not None:
                headers["Authorization"] = f"Bearer {service.token}"
            for name, value in headers.items():
                connection.putheader(name, value)
            try:
                sock.settimeout(_left(end))
                connection.endheaders()
                for part in parts:
                    sock.settimeout(_left(end))
                    connection.send(part)
            except OSError:
                # Who refuses a body need not read it: what it had to say may be there.
                end = min(end, time.monotonic() + _LAST_WORD_S)
                with contextlib.suppress(OSError, HTTPException):
                    return _answer(sock, end)
                raise
            return _answer(sock, end)
    except (OSError, HTTPException, ValueError) as error:
        raise UnreachableError(f"{service.netloc} {_why(error)}") from None


def _answer(sock: socket.socket, end: float) -> Answer:
    response = HTTPResponse(cast("socket.socket", _Source(sock, end)), method="POST")
    with contextlib.closing(response):
        response.begin()
        body = response.read(MOST_ANSWER)
        return Answer(response.status, response.getheader("Retry-After"), body)


def _connection(service: Service, connect_s: float) -> tuple[HTTPConnection, str, dict[str, str]]:
    """Return a connection that is not open yet, what comes before paths on it, and its headers."""
    proxy = None if service.is_near else _proxy(service)
    kind = HTTPSConnection if service.scheme == "https" else HTTPConnection
    if proxy is None:
        return kind(service.host, service.port, timeout=connect_s), "", {}
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    headers = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    connection = kind(parts.hostname or "", parts.port or 80, timeout=connect_s)
    if service.scheme == "http":
        return connection, f"http://{service.netloc}", headers
    connection.set_tunnel(service.host, service.port, headers=headers)
    return connection, "", {}


def _proxy(service: Service) -> str | None:
    """Return the proxy that the environment names for a service: `https_proxy`, `no_proxy`..."""
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(service.netloc) else getproxies().get(service.scheme)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _why(error: Exception) -> str:
    """Say in a few words why there is no answer."""
    if isinstance(error, TimeoutError):
        return "did not answer in time."
    if isinstance(error, socket.gaierror):
        return f"cannot be found: {error.strerror}."
    if isinstance(error, OSError):
        reason = getattr(error, "verify_message", None) or error.strerror or type(error).__name__
        return f"cannot be reached: {reason}."
    return f"broke off, or does not speak HTTP: {type(error).__name__}."
