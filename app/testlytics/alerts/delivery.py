"""Bringing a message to an address over HTTP, with the standard library."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from testlytics_collector.errors import ConfigError, Error

SIGNATURE = "X-Testlytics-Signature"
"""Header with `sha256=` and the HMAC-SHA256 of the body under the secret, in hexadecimal digits."""

TIMEOUT_S = 10.0
WAITS_S = (1.0, 4.0)
"""How long is waited before each further try."""

_LATER = frozenset({429, *range(500, 600)})
_PORTS = {"http": 80, "https": 443}


class _SameHost(HTTPRedirectHandler):
    """Follows to the same host only, and takes the message along."""

    max_redirections = 3

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],  # noqa: ARG002 - urllib's signature
        code: int,
        msg: str,  # noqa: ARG002
        headers: HTTPMessage,  # noqa: ARG002
        newurl: str,
    ) -> Request | None:
        """Return the request to follow with; None where the redirect is the answer."""
        if code not in {307, 308} or _origin(newurl) != _origin(req.full_url):
            return None
        return Request(  # noqa: S310 - the same origin, whose scheme was checked
            newurl,
            data=req.data,
            headers=dict(req.header_items()),
            method="POST",
        )


def deliver(
    url: str,
    body: bytes,
    *,
    secret: str | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Bring a message to an address, and try again where the other side is in trouble.

    Args:
        url: http:// or https://; a secret itself, as Slack's are: only its host is ever shown.
        body: JSON, UTF-8.
        secret: Signs the body, see `SIGNATURE`; not signed where None.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: The address is none that may be used.
        Error: It was not taken.
    """
    host = checked(url).hostname
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "testlytics"}
    if secret is not None:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    opener = build_opener(_SameHost())
    why = ""
    for wait_s in (*WAITS_S, None):
        request = Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - checked
        try:
            opener.open(request, timeout=TIMEOUT_S).close()
        except HTTPError as error:
            with error:
                why = f"answered {error.code}"
            if error.code not in _LATER:
                break
        except ValueError:  # an address that no URL is
            why = "sent us to an address that nobody can follow"
            break
        except (OSError, HTTPException) as error:
            why = f"cannot be reached: {getattr(error, 'reason', error)}"
        else:
            return
        if wait_s is not None:
            sleep(wait_s)
    raise Error(
        f"{host} {why}; nothing was delivered.",
        slug="alerts-undelivered",
        hint="The next call tells the same again.",
    )


def checked(url: str) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ConfigError: It is not http:// or https:// with a host, or holds a password. It is not
            shown: it may be a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    plain = not (parts.username or parts.password)
    if (
        parts.scheme not in _PORTS
        or not host
        or not plain
        or not re.fullmatch(r"[\x21-\x7e]+", url)
    ):
        raise ConfigError(
            "The address of --url is none that can be used: http:// or https:// with a host, "
            "without name and password.",
            slug="alerts-url",
            hint="TESTLYTICS_ALERTS_URL holds it where nobody reads along.",
        )
    return parts


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None
