"""Who looks at a page: the same question as of the API, with a session in place of a header."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from testlytics.service.access import Access, Caller
from testlytics.service.pages.asking import Visible
from testlytics.service.pages.sessions import COOKIE, LIFE_S, Sessions
from testlytics_collector.errors import Error, InputError

SIGN_IN = frozenset({"token-missing", "token-wrong"})
"""Errors after which a person is asked to sign in."""

_BODY = 4 << 10
_BODY_S = 10.0


class Admitted(NamedTuple):
    """Somebody who may look.

    Attributes:
        caller: As the API knows them.
        visible: What they may see.
    """

    caller: Caller
    visible: Visible


class Entrance:
    """Decides who may look at pages.

    Args:
        access: Who may do what.
        threads: Run what may have to wait.
    """

    def __init__(self, access: Access, threads: Executor) -> None:
        self._access, self._threads = access, threads
        self.sessions = Sessions()

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return self._access.is_open

    async def admit(self, request: Request, project: str | None) -> Admitted:
        """Return who looks at a page.

        Args:
            request: The request.
            project: What it asks about; None for all they may see.

        Raises:
            Error: They may not.
        """
        headers, public = dict(request.headers), self._access.public
        token = None
        if "authorization" not in headers and not self.is_open:
            token = self.sessions.token(request.cookies.get(COOKIE))
            if token is not None:
                headers["authorization"] = f"Bearer {token}"
            elif public and (project is None or project in public):
                caller = self._access.visitor(project, address_of(request))
                return Admitted(caller, Visible(None, project, public, signed_in=False))
        caller = await self._caller(headers, address_of(request))
        caller.allow("read")
        if project in public and caller.project not in {None, project}:
            caller = caller._replace(project=project, scopes=frozenset({"read"}))
        told = Visible(caller.name, caller.project, None, signed_in=token is not None)
        return Admitted(caller, told)

    async def sign_in(self, request: Request, token: str) -> str:
        """Begin a session with a token and return the header that sets its cookie.

        Raises:
            Error: The token does not open pages.
        """
        if token.count(".") == 2:
            raise Error(
                "A token of a CI job opens no pages.",
                slug="token-wrong",
                hint="Make one: testlytics serve token create NAME --scope read",
            )
        caller = await self._caller({"authorization": f"Bearer {token}"}, address_of(request))
        caller.allow("read")
        self.sessions.end(request.cookies.get(COOKIE))
        return _cookie(self.sessions.begin(token), LIFE_S, request)

    def sign_out(self, request: Request) -> str:
        """End a session and return the header that takes its cookie away."""
        self.sessions.end(request.cookies.get(COOKIE))
        return _cookie("", 0, request)

    async def _caller(self, headers: Mapping[str, str], address: str) -> Caller:
        if not self._access.may_wait(headers):
            return self._access.caller(headers, address)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._access.caller, headers, address)


def address_of(request: Request) -> str:
    """Return where a request comes from."""
    return request.client.host if request.client else ""


def refuse_foreign(request: Request) -> None:
    """Refuse a form that a page of somebody else sent.

    Raises:
        Error: It was one.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    host = request.headers.get("host", "")
    try:
        origin = urlsplit(request.headers["origin"]).netloc if "origin" in request.headers else host
    except ValueError:
        origin = ""
    if site not in {"same-origin", "none"} or origin != host:
        raise Error(
            "This form was sent by another page.",
            slug="http-host",
            hint="Open the page of this service and send its form.",
        )


async def read_form(request: Request) -> dict[str, str]:
    """Read a small form.

    Raises:
        InputError: It is too large, too slow, or none.
    """
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > _BODY:
                    break
    except TimeoutError as error:
        raise InputError("The form came too slowly.", slug="http-body-slow") from error
    if len(body) > _BODY:
        raise InputError("The form is too large.", slug="http-body-large")
    try:
        found = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=8)
    except ValueError as error:
        raise InputError("The form cannot be read.", slug="http-form") from error
    return {name: values[0] for name, values in found.items()}


def way_back(address: str) -> str:
    """Return an address of this service to go on to; the overview where it is none."""
    fits = address.startswith("/") and not address.startswith("//")
    return address if fits and address.isprintable() and "\\" not in address else "/"


def _cookie(value: str, life_s: int, request: Request) -> str:
    # Behind TLS, which ends in front of us, only the browser says that it is there.
    secure = "; Secure" if request.headers.get("origin", "").startswith("https:") else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict{secure}"
