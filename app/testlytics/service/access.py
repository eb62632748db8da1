"""Who asks, whether they may, and whether not too often."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from testlytics.service.tokens import Keyring, find_token
from testlytics_collector.errors import Error

_NEIGHBOURS = {"localhost", "127.0.0.1", "::1"}
_REMEMBERED = 10_000


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        name: The token's name; None where no token is asked for.
        project: The only project they may see; None for all.
        scopes: What they may do.
    """

    name: str | None
    project: str | None
    scopes: frozenset[str]

    def allow(self, scope: str) -> None:
        """Refuse what the token is not for.

        Raises:
            Error: It is not for this.
        """
        if scope not in self.scopes:
            raise Error(
                f"The token {self.name!r} has not the scope {scope!r}.",
                slug="token-scope",
                hint=f"Make one: testlytics serve token create NAME --scope {scope}",
            )

    def project_of(self, asked: str | None) -> str | None:
        """Return the project that a request is about.

        Raises:
            Error: It is another than the token opens.
        """
        if self.project is None:
            return asked
        if asked is not None and asked != self.project:
            raise Error(
                f"The token {self.name!r} opens another project than {asked!r}.",
                slug="token-project",
                hint="Leave project out, or use the token of that project.",
            )
        return self.project


class Buckets:
    """How often each caller may ask: `rate` a second, and `burst` at once.

    Args:
        rate: Requests a second in the long run.
        burst: Requests at once after a pause.
        clock: Seconds that never go back.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Count a request.

        Raises:
            Error: It is one too many.
        """
        now = self._clock()
        left, then = self._left.pop(who, (float(self._burst), now))
        left = min(float(self._burst), left + (now - then) * self._rate)
        self._left[who] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            raise Error(
                f"More than {self._rate:g} requests a second.",
                slug="http-rate",
                hint="Wait as long as Retry-After says.",
            )


class Guests(Protocol):
    """Knows callers whose tokens are not kept here; see `oidc.Oidc`."""

    def caller(self, secret: str) -> Caller:
        """Return who shows a token; raises Error where it is not accepted."""


class Access:
    """Decides about requests.

    Args:
        keyring: The tokens.
        buckets: How often one may ask.
        guests: Knows the tokens of CI jobs; None where none are taken.
        public: Projects whose pages everybody may read.
    """

    def __init__(
        self,
        keyring: Keyring,
        buckets: Buckets,
        guests: Guests | None = None,
        public: Collection[str] = (),
    ) -> None:
        self._keyring, self._buckets, self._guests = keyring, buckets, guests
        self.public = frozenset(public)

    @property
    def is_open(self) -> bool:
        """Whether no token is asked for."""
        return self._keyring.is_open

    def visitor(self, project: str | None, address: str) -> Caller:
        """Return somebody unknown who looks at public projects.

        Raises:
            Error: There were too many requests.
        """
        self._buckets.take(f"@{address}")
        return Caller(None, project, frozenset({"read"}))

    def may_wait(self, headers: Mapping[str, str]) -> bool:
        """Tell whether `caller` may have to ask another machine."""
        return self._guests is not None and _is_signed(_secret(headers) or "")

    def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Return who asks.

        Args:
            headers: Of the request, by names in lower case.
            address: Where it comes from.

        Raises:
            Error: There is no token, a wrong one, too many requests, or a web page asks.
        """
        if self._keyring.is_open:
            self._buckets.take("")
            _refuse_pages(headers)
            return Caller(None, None, frozenset({"ingest", "read", "admin"}))
        secret = _secret(headers)
        if secret is None:
            self._buckets.take(f"@{address}")
            raise Error(
                "A token is needed.",
                slug="token-missing",
                hint="Send it as header: Authorization: Bearer TOKEN",
            )
        if self._guests is not None and _is_signed(secret):
            return self._guest(self._guests, secret, address)
        found = find_token(self._keyring.tokens(), secret)
        if found is None:
            self._buckets.take(f"@{address}")
            raise Error(
                "This token is not known here.",
                slug="token-wrong",
                hint="Make one: testlytics serve token create NAME",
            )
        self._buckets.take(found.name)
        return Caller(found.name, found.project, frozenset(found.scopes))

    def _guest(self, guests: Guests, secret: str, address: str) -> Caller:
        try:
            caller = guests.caller(secret)
        except Error:
            self._buckets.take(f"@{address}")
            raise
        self._buckets.take(caller.name or "")
        return caller


def _secret(headers: Mapping[str, str]) -> str | None:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return (secret.strip() or None) if scheme.lower() == "bearer" else None


def _is_signed(secret: str) -> bool:
    """Tell whether a token is of a CI job: three parts; our own have one."""
    return secret.count(".") == 2


def _refuse_pages(headers: Mapping[str, str]) -> None:
    """Refuse what a foreign web page makes a browser send to a service without tokens."""
    host = headers.get("host", "")
    try:
        name = urlsplit(f"//{host}").hostname
        origin = urlsplit(headers["origin"]).netloc if "origin" in headers else host
    except ValueError:
        name, origin = None, ""
    if name not in _NEIGHBOURS or origin != host:
        raise Error(
            "A service without tokens answers only to its own machine, and to no web page.",
            slug="http-host",
            hint="Ask http://127.0.0.1, or make a token: testlytics serve token create NAME",
        )
