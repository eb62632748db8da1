"""Which service results go to, and the token it is shown."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from testlytics_collector.errors import ConfigError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"http": 80, "https": 443}
_LONGEST = 16_384
"""Characters of a token; what a CI signs for a job is longer than ours."""


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
    def address(self) -> str:
        """The whole address, without a slash behind."""
        return f"{self.scheme}://{self.netloc}{self.path}"

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


def is_token(text: str) -> bool:
    """Tell whether a header can hold a text as a token."""
    return re.fullmatch(rf"[\x21-\x7e]{{1,{_LONGEST}}}", text) is not None


def split(url: str) -> tuple[Service, SplitResult] | None:
    """Take an address apart.

    Returns:
        Where it leads to, without a token, and all that was said; None for one that is not http://
        or https:// to a host, or has a name or password in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    # urlsplit leaves out line breaks and tabs; who wrote them meant something else.
    is_bare = re.fullmatch(r"[\x21-\x7e]+", url) and "@" not in parts.netloc
    is_host = re.fullmatch(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}", host)
    if parts.scheme not in _PORTS or not is_host or not is_bare or port == 0:
        return None
    port = port or _PORTS[parts.scheme]
    return Service(parts.scheme, host, port, parts.path.rstrip("/")), parts


def service(
    url: str, token: str | None, *, plain_http: bool = False, is_shown: bool = False
) -> Service:
    """Read the address of a service.

    Args:
        url: https:// or http://, with a path where the service lies below one.
        token: The token, or None.
        plain_http: The token may be sent over connections that others can read.
        is_shown: A token will be sent, though it is not known yet.

    Raises:
        ConfigError: The address or the token is none that can be used. Neither a password in the
            address nor the token is in the message.
    """
    found = split(url)
    if (
        found is None
        or not re.fullmatch(r"[A-Za-z0-9/._~-]*", found[1].path)
        or found[1].query
        or found[1].fragment
    ):
        raise ConfigError(
            "The address of --url is none that can be used: https:// with a host was expected, "
            "without name, password and query.",
            slug="push-url",
            hint="For example: --url https://testlytics.example.com; TESTLYTICS_URL is the same.",
        )
    if token is not None and not is_token(token):
        raise ConfigError(
            "The token has characters that no token has.",
            slug="push-token",
            hint="Make one: testlytics serve token create NAME",
        )
    one = replace(found[0], token=token)
    is_shown = is_shown or token is not None
    if one.scheme == "http" and is_shown and not (one.is_near or plain_http):
        raise ConfigError(
            f"Over http:// anybody on the way to {one.host} could read the token.",
            slug="push-plain-http",
            hint="Use https://, or say --plain-http where the way is your own.",
        )
    return one


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
