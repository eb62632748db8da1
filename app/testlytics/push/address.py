"""Which service results go to, and the token it is shown."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from testlytics_collector.errors import ConfigError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"http": 80, "https": 443}
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Service:
    """Where to send.

    Attributes:
        scheme: `http` or `https`.
        host: Its name or number, IPv6 without brackets.
        port: Its port.
        path: What stands before `/api/`; empty, or with a slash in front and none behind.
        token: What is sent as a bearer token; None for a service that asks for none. In no text
            that this object gives.
    """

    scheme: str
    host: str
    port: int
    path: str
    token: str | None = field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """Host and port as they stand in an address; the port only where it is not the usual."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_near(self) -> bool:
        """Whether it is this machine."""
        return self.host in _LOOPBACK

    @property
    def folder(self) -> str:
        """A folder's name for what waits for this service, and for no other."""
        whole = f"{self.scheme}://{self.host}:{self.port}{self.path}"
        plain = re.sub(r"[^a-z0-9.-]", "_", self.host)[:60]
        return f"{plain}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def service(url: str, token: str | None, *, plain_http: bool = False) -> Service:
    """Read the address of a service.

    Args:
        url: https:// or http://, with a path where the service lies below one.
        token: The token, or None.
        plain_http: The token may be sent over connections that others can read.

    Raises:
        ConfigError: The address or the token is none that can be used. Neither a password in the
            address nor the token is in the message.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    # urlsplit leaves out line breaks and tabs; who wrote them meant something else.
    bare = bool(re.fullmatch(r"[\x21-\x7e]+", url)) and not (
        parts.username or parts.password or "@" in parts.netloc
    )
    bare = bare and not (parts.query or parts.fragment)
    is_host = re.fullmatch(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}", host)
    is_path = re.fullmatch(r"[A-Za-z0-9/._~-]*", parts.path)
    if parts.scheme not in _PORTS or not is_host or not is_path or not bare or port == 0:
        raise ConfigError(
            "The address of --url is none that can be used: https:// with a host was expected, "
            "without name, password and query.",
            slug="push-url",
            hint="For example: --url https://testlytics.example.com; TESTLYTICS_URL is the same.",
        )
    if token is not None and not re.fullmatch(rf"[\x21-\x7e]{{1,{_LONGEST}}}", token):
        raise ConfigError(
            "The token has characters that no token has.",
            slug="push-token",
            hint="Make one: testlytics serve token create NAME",
        )
    found = Service(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/"), token)
    if found.scheme == "http" and token is not None and not (found.is_near or plain_http):
        raise ConfigError(
            f"Over http:// anybody on the way to {host} could read the token.",
            slug="push-plain-http",
            hint="Use https://, or say --plain-http where the way is your own.",
        )
    return found


def read_token(path: Path) -> str:
    """Read a token from a file.

    Raises:
        ConfigError: It cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        text, reason = "", f"cannot be read: {why}"
    else:
        reason = "is empty"
    if not text:
        raise ConfigError(
            f"The token's file {path} {reason}.",
            slug="push-token",
            hint="Make one: testlytics serve token create NAME > FILE",
        )
    return text
