"""The few calls of GitHub's API that a comment needs, with the standard library."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage
from typing import IO, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec

from testlytics.report.render import visible
from testlytics_collector.errors import ConfigError, Error

TIMEOUT_S = 20.0
MAX_BYTES = 32 << 20
"""A page of a hundred comments at their largest has about 26 MB."""

MAX_WAIT_S = 60.0
"""A limit that lasts longer than this is not waited for."""

_PAGE = 100
_PAGES = 50
_TRIES = 3
_LIMITED = (403, 429)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")


class ApiError(Error):
    """GitHub did not do what it was asked for; nothing that should turn a build red.

    Attributes:
        status: The HTTP status; 0 where there was no answer.
    """

    default_slug = "github-api"

    def __init__(self, message: str, *, status: int = 0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class User(msgspec.Struct, frozen=True):
    """Who wrote a comment; `type` is Bot for apps and for the token of a job."""

    login: str
    type: str


class Comment(msgspec.Struct, frozen=True):
    """A comment of an issue or pull request; the user is None where the account is gone."""

    id: int
    body: str | None = None
    user: User | None = None


class _Head(msgspec.Struct, frozen=True):
    sha: str


class _Pull(msgspec.Struct, frozen=True):
    head: _Head


class _NoRedirects(HTTPRedirectHandler):
    """Follows nothing: a redirect may lead to a host that must not see the token."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Answer that there is no request to follow with: the status is the answer."""


class GitHub:
    """One repository.

    Args:
        repository: `owner/name`.
        token: What a job's `GITHUB_TOKEN` holds. It is sent in one header, to one host.
        address: Of the API, without a slash at its end.
        sleep: Waits so many seconds.

    Raises:
        ConfigError: One of them is not of that form. The token is in no message.
    """

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        address: str = "https://api.github.com",
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", repository):
            raise ConfigError(
                f"{repository!r} is not owner/name of a repository.",
                slug="github-repository",
                hint="GITHUB_REPOSITORY has it in a job.",
            )
        if not re.fullmatch(r"[\x21-\x7e]{1,2000}", token):
            raise ConfigError(
                "There is no token for GitHub, or it has characters that no token has.",
                slug="github-token",
                hint="Give the job's own: env: GITHUB_TOKEN: ${{ github.token }}",
            )
        self._root = f"{_checked(address)}/repos/{repository}"
        self._token = token
        self._sleep = sleep
        self._opener = build_opener(_NoRedirects())

    def comments(self, number: int) -> Iterator[Comment]:
        """Give the comments of a pull request, oldest first; at most 5,000."""
        for page in range(1, _PAGES + 1):
            path = f"/issues/{number}/comments?per_page={_PAGE}&page={page}"
            found = _read(self._call("GET", path), list[Comment])
            yield from found
            if len(found) < _PAGE:
                return

    def head(self, number: int) -> str:
        """Return the commit that a pull request is at now."""
        return _read(self._call("GET", f"/pulls/{number}"), _Pull).head.sha

    def add(self, number: int, body: str) -> Comment:
        """Write a new comment."""
        return _read(self._call("POST", f"/issues/{number}/comments", body), Comment)

    def change(self, comment: int, body: str) -> Comment:
        """Write another text into a comment."""
        return _read(self._call("PATCH", f"/issues/comments/{comment}", body), Comment)

    def _call(self, method: str, path: str, body: str | None = None) -> bytes:
        data = None if body is None else json.dumps({"body": body}).encode()
        for attempt in range(_TRIES):
            # The address was checked: https, or this machine.
            request = Request(self._root + path, data=data, method=method)  # noqa: S310
            request.add_header("Accept", "application/vnd.github+json")
            request.add_header("X-GitHub-Api-Version", "2022-11-28")
            request.add_header("User-Agent", "testlytics")
            request.add_header("Content-Type", "application/json")
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
            try:
                with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                    read: bytes = answer.read(MAX_BYTES + 1)
            except HTTPError as error:
                with error:
                    wait_s = _wait_s(error)
                    if wait_s is None or attempt == _TRIES - 1:
                        raise _refused(method, error) from None
                self._sleep(wait_s)
                continue
            except (OSError, HTTPException) as error:
                raise ApiError(f"GitHub cannot be reached: {_why(error)}.") from None
            if len(read) > MAX_BYTES:
                raise ApiError(f"GitHub's answer is larger than {MAX_BYTES >> 20} MiB.")
            return read
        raise AssertionError


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if not (safe and host and bare and re.fullmatch(r"[\x21-\x7e]+", address)):
        raise ConfigError(
            f"{address!r} is no address that a token may be sent to: https:// was expected.",
            slug="github-address",
            hint="GITHUB_API_URL has it in a job.",
        )
    return address.rstrip("/")


def _wait_s(error: HTTPError) -> float | None:
    """Return how long GitHub asks to wait; None where it does not, or for longer than we do."""
    text = error.headers.get("Retry-After", "")
    if error.code not in _LIMITED or not (text.isascii() and text.isdigit()):
        return None
    return float(text) if float(text) <= MAX_WAIT_S else None


def _refused(method: str, error: HTTPError) -> ApiError:
    limited = error.code == 429 or (
        error.code == 403
        and ("Retry-After" in error.headers or error.headers.get("X-RateLimit-Remaining") == "0")
    )
    if limited:
        hint = "It limits how often it is asked; a later run does it."
    elif error.code in {401, 403, 404}:
        hint = (
            "The token may not: permissions: pull-requests: write. A pull request from a fork "
            "never has it; see docs/how-to/ci/github.md."
        )
    else:
        hint = None
    return ApiError(f"GitHub answered {method} with {error.code}.", status=error.code, hint=hint)


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    # What is no HTTP is shown as it came.
    return visible(f"{reason}".strip()) or type(error).__name__


def _read(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(f"GitHub's answer is not what it should be: {error}.") from error
