"""Running the service: open, listen, and end in order."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from pathlib import Path
from typing import NamedTuple

import uvicorn

from testlytics.service.access import Access, Buckets, Guests
from testlytics.service.app import Most, Service
from testlytics.service.connections import IDLE_S, Protocol
from testlytics.service.logs import to_stderr
from testlytics.service.tokens import Keyring, read_tokens
from testlytics.service.uploads import Bounds
from testlytics.service.writer import Writer, opener
from testlytics_collector.errors import ConfigError, Error
from testlytics_collector.store.store import open_store

_log = logging.getLogger("testlytics.service")

_READ_S = 60.0
_GRACE_S = 30


class Settings(NamedTuple):
    """How the service runs.

    Attributes:
        store: The store's file.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        read_only: Whether uploads are refused; others can write the store meanwhile.
        bounds: What an upload may be.
        rate: Requests a second for each token in the long run.
        burst: Requests at once for each token.
        wait_s: How long to wait for others who hold the store, in seconds.
        oidc: The file that says which CI jobs are trusted; None for none.
        public: Projects whose pages everybody may read.
    """

    store: Path
    host: str
    port: int
    read_only: bool
    bounds: Bounds
    rate: float
    burst: int
    wait_s: float
    oidc: Path | None = None
    public: tuple[str, ...] = ()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT comes; then answer what was begun, and return.

    Raises:
        ConfigError: It would be open to other machines, or cannot listen there.
        Error: The store or the tokens cannot be used.
    """
    near = _is_near(settings.host)
    guests = _guests(settings.oidc)
    if not near and guests is None and not read_tokens(settings.store):
        raise ConfigError(
            f"At {settings.host} everybody who reaches this machine could read and upload.",
            slug="serve-open",
            hint="Make a token first: testlytics serve token create NAME --project PROJECT",
        )
    to_stderr()
    keyring = Keyring(settings.store, is_open=near and guests is None)
    access = Access(keyring, Buckets(settings.rate, settings.burst), guests, settings.public)
    service = Service(settings.store, access, settings.bounds, Most())
    listening = _listen(settings.host, settings.port)
    try:
        if settings.read_only:
            with open_store(settings.store, wait_s=settings.wait_s):
                pass  # so that what is wrong is said before anybody asks
        else:
            opens = opener(settings.store, wait_s=settings.wait_s, read_s=_READ_S)
            writer = Writer(settings.store, service.figures, opens)
            writer.start()
            service.writer = writer
        _run(service, listening, settings, "open" if keyring.is_open else "tokens")
    finally:
        listening.close()
        service.close()
        if service.writer is not None:
            service.writer.stop()
        _log.info("stopped")


def _run(service: Service, listening: socket.socket, settings: Settings, mode: str) -> None:
    config = uvicorn.Config(
        service.application(),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=32 << 10,
    )
    # The server raises the signal that ended it once more; by then all is in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    host, port = listening.getsockname()[:2]
    told = {"host": host, "port": port, "store": settings.store.name, "mode": mode}
    _log.info("listening", extra=told)
    uvicorn.Server(config).run(sockets=[listening])


def _guests(file: Path | None) -> Guests | None:
    if file is None:
        return None
    # Its libraries are loaded only where they are needed.
    from testlytics.service.oidc import Oidc, read_trusts

    return Oidc(read_trusts(file))


def _is_near(host: str) -> bool:
    """Tell whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(128)
            made.setblocking(False)
        except BaseException:
            made.close()
            raise
    except OSError as error:
        raise Error(
            f"Cannot listen at {host}, port {port}: {error.strerror}.",
            slug="serve-address",
            hint="Choose another with --host and --port.",
        ) from error
    return made
